"""A simulated Colab: a chapter installs the package beside a torch and numpy that must stay as they are."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = ROOT / "book" / "01-worlds.ipynb"


def setup_cell():
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    return "".join(next(cell for cell in cells if "setup" in cell["metadata"].get("tags", []))["source"])


def test_without_an_address_the_setup_cell_says_what_to_set(monkeypatch):
    source = re.sub(r"github\.com/[^/]+/", "github.com/OWNER/", setup_cell())
    monkeypatch.delenv("BUMPLAB_SOURCE", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "check_call", lambda command: pytest.fail("nothing may be installed"))
    with pytest.raises(RuntimeError, match="set BUMPLAB_SOURCE"):
        exec(source, {})


@pytest.mark.parametrize(
    "source, clone", [("somewhere", "somewhere"), ("git+https://a.b/c@main", "git+https://a.b/c@main#egg=bumplab")]
)
def test_the_setup_cell_clones_and_holds_torch_and_numpy(source, clone, monkeypatch):
    from importlib.metadata import version

    calls = []
    monkeypatch.setenv("BUMPLAB_SOURCE", source)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bumplab" else object())
    monkeypatch.setattr(subprocess, "check_call", calls.append)
    monkeypatch.setattr("site.main", lambda: calls.append("the new folder is on the path"))
    exec(setup_cell(), {})
    assert calls == [
        [sys.executable, "-m", "pip", "install", "--quiet", "-e", clone]
        + [f"{name}=={version(name)}" for name in ("torch", "numpy")],
        "the new folder is on the path",
    ]


def test_the_setup_cell_does_nothing_where_the_package_is(monkeypatch):
    monkeypatch.setattr(subprocess, "check_call", lambda command: pytest.fail("nothing may be installed"))
    exec(setup_cell(), {})


def files_of(site, *names):
    """Return size and time of every file of the named packages."""
    found = (path for name in names for top in site.glob(f"{name}*") for path in [top, *top.rglob("*")])
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for path in found
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.mark.colab
def test_a_chapter_runs_beside_the_torch_and_numpy_of_colab(tmp_path):
    """Only torch, numpy and a kernel are there; the set-up cell fetches the rest, then the chapter runs."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {
        "BUMPLAB_SOURCE": str(ROOT),
        "BUMPLAB_STORE": str(tmp_path / "store"),
        "PIP_COMPILE": "no",  # only to be quicker
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "TQDM_DISABLE": "1",
    }

    def run(*command):
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        done = subprocess.run([python, "-m", *command], **options)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    run("pip", "install", "--quiet", "torch", "numpy", "nbclient", "ipykernel")
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    before = files_of(site, "torch", "numpy")
    assert len(before) > 1000 and not list(site.glob("bumplab*"))

    notebook = tmp_path / "chapter.ipynb"
    notebook.write_bytes(CHAPTER.read_bytes())
    run("jupyter", "execute", "--timeout=600", str(notebook))

    assert list(site.glob("bumplab*"))
    assert files_of(site, "torch", "numpy") == before
