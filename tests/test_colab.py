"""The set-up cell, and what make colab compares; make colab itself runs chapters beside the versions of Colab."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from book._tools import colab

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


# ---------------------------------------------------------------- make colab


def test_colab_is_what_its_maintainers_list():
    asked = colab.read_asked(colab.COLAB.read_text(encoding="utf-8"))
    assert asked["python"].startswith("3.13.") and asked["torch"] == "2.11.0" and asked["numpy"] == "2.1.3"
    assert (asked["ipython"], asked["ipykernel"]) == ("7.34.0", "6.17.1")


def test_what_colab_brings_is_within_what_the_book_asks_for():
    asked = colab.read_asked(colab.COLAB.read_text(encoding="utf-8"))
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = {item.name: item.specifier for item in map(Requirement, filter(re.compile(r"\w").match, lines))}
    assert set(needed) - set(asked) == {"ripser", "papermill"}  # what the set-up cell fetches
    assert [name for name in set(needed) & set(asked) if asked[name] not in needed[name]] == []


def test_colabs_versions_go_before_ours():
    merged = colab.read_pins(
        colab.merge_constraints("numpy==2.4.6\nripser==0.6.15\nsetuptools==84.2.1\n", {"numpy": "2.1.3"})
    )
    assert merged == {"numpy": "2.1.3", "ripser": "0.6.15"}


def test_the_table_names_what_differs():
    asked = {"python": "3.13.15", "torch": "2.11.0", "a": "1", "b": "1"}
    rows = colab.compare(asked, {"torch": "2.11.0+cu128", "a": "2", "b": "1"}, ["torch"])
    assert [row.split() for row in rows[1:]] == [
        ["torch", "2.11.0", "2.11.0+cu128"], ["a", "1", "2", "differs"], ["python", "3.13.15", "none", "differs"],
        ["1", "more", "as", "on", "Colab"],
    ]  # fmt: skip
