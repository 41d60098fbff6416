"""The repository agrees with itself: addresses, requirements, chapters, pages and the wheel."""

import ast
import importlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import bumplab
from book._tools import contents
from bumplab.models.unet import UNet
from bumplab.training.presets import PRESETS
from bumplab.training.settings import preset

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = contents.find_chapters(ROOT)
LONGEST_CELL = 16  # lines
LEAST_COMPARED = 6  # outputs of a chapter that nbval compares
BUILDS_BOOKS = {"jupyter-book", "sphinx", "myst-nb", "myst-parser", "nbval", "pytest", "ruff", "nbconvert"}
MODULES = sorted(path.relative_to(ROOT / "src/bumplab").as_posix() for path in (ROOT / "src/bumplab").rglob("*.py"))

needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
every_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def tool(name):
    """Import a script of book/_tools."""
    return importlib.import_module(f"book._tools.{name}")


def requirements():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for group in project["optional-dependencies"].values() for text in group]


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {canonicalize_name(item.name): item for item in found}


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path):
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def tags(cell):
    return cell["metadata"].get("tags", [])


# ---------------------------------------------------------------- address


def test_every_file_names_the_address_of_the_configuration(capsys):
    code = tool("address").main(["--check"])
    assert code == 0, capsys.readouterr().out


def small_book(folder, url):
    (folder / "book").mkdir(exist_ok=True)
    (folder / "_config.yml").write_text(f"repository: {{url: {url}, branch: main}}\n")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/01-small\n")
    (folder / "README.md").write_text("At https://github.com/OWNER/bumplab, not https://github.com/a/b.\n")
    title = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Title\n", "\n", "Text."]}
    code = {"cell_type": "code", "id": "b", "metadata": {}, "source": ["1 + 1"], "outputs": []}
    path = folder / "book" / "01-small.ipynb"
    path.write_text(json.dumps({"cells": [title, code], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_the_address_is_written_everywhere_and_once(tmp_path, capsys):
    address = tool("address")
    path = small_book(tmp_path, "https://github.com/someone/bumplab")
    assert address.main(["--check"], tmp_path) == 1
    assert "book/01-small.ipynb" in capsys.readouterr().out
    assert address.main([], tmp_path) == 0
    title, setup, code = read(path)["cells"]
    link = "https://colab.research.google.com/github/someone/bumplab/blob/main/book/01-small.ipynb"
    assert f"({link})" in "".join(title["source"])
    assert "git+https://github.com/someone/bumplab" in "".join(setup["source"]) and "setup" in tags(setup)
    readme = (tmp_path / "README.md").read_text()
    assert readme == "At https://github.com/someone/bumplab, not https://github.com/a/b.\n"
    before = path.read_bytes()
    assert address.main([], tmp_path) == 0 and address.main(["--check"], tmp_path) == 0
    assert path.read_bytes() == before
    config = (tmp_path / "_config.yml").read_text()
    (tmp_path / "_config.yml").write_text(config.replace("someone", "other"))
    assert address.main([], tmp_path) == 0
    assert path.read_text().count("other/bumplab") == 2 and "someone" not in path.read_text()


@pytest.mark.parametrize("url", ["OWNER/bumplab", "https://example.org/bumplab", "https://github.com/a/b/c"])
def test_an_address_that_colab_cannot_open_is_refused(tmp_path, capsys, url):
    small_book(tmp_path, url)
    assert tool("address").main([], tmp_path) == 1
    assert "repository.url" in capsys.readouterr().err


# ---------------------------------------------------------------- absolute paths


@needs_git
def test_no_file_holds_an_absolute_path_of_one_computer(capsys):
    code = tool("check_paths").main()
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "open('X/home/ann/a.png')", "X/Users/ann", "see X/tmp/run1/log", "file://X/root/a", '"X/work/book"',
        "a:X/opt/b", "C:Y\\Users\\Ann", "C:Y\\\\Users\\\\Ann", "C:Y/Users/Ann",
    ],
)  # fmt: skip
def test_absolute_paths_are_found(text):
    text = text.replace("X", "").replace("Y", "")
    assert len(tool("check_paths").find_paths("first line\n" + text)) == 1
    assert tool("check_paths").find_paths("first line\n" + text)[0][0] == 2


@pytest.mark.parametrize(
    "text",
    [
        "#!/usr/bin/env bash", "https://example.org/home/page", "book/work/a", "../tmp/x", "~/work/x",
        "$HOME/work/x", "under /tmp only", "a/root/b",
    ],
)  # fmt: skip
def test_other_slashes_are_left_alone(text):
    assert tool("check_paths").find_paths(text) == []


def test_absolute_paths_are_found_in_the_outputs_of_notebooks():
    folder = "/" + "home/ann"
    line = json.dumps(f"Traceback\n{folder}/a.py and \u001b[0m{folder}/b.py")
    image = '"image/png": "' + folder + '",'
    assert len(tool("check_paths").find_paths(line + "\n" + image, notebook=True)) == 2


# ---------------------------------------------------------------- requirements


def test_a_readers_requirements_build_no_books():
    assert not {canonicalize_name(item.name) for item in requirements()} & BUILDS_BOOKS


def test_a_readers_requirements_pin_nothing():
    assert {spec.operator for item in requirements() for spec in item.specifier} == {">="}


def test_constraints_are_exact_and_cover_every_requirement():
    held = constraints()
    assert all(re.fullmatch(r"==[\w.]+", str(item.specifier)) for item in held.values())
    assert str(held["torch"].specifier) == "==2.13.0"
    for item in requirements() + extras():
        pinned = held.get(canonicalize_name(item.name))
        assert pinned, f"constraints.txt lacks {item.name}"
        version = str(pinned.specifier).removeprefix("==")
        assert item.specifier.contains(version, prereleases=True), f"{item} does not allow {version}"


def test_constraints_are_what_make_installs():
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not the environment that make builds")
    held = {name: str(item.specifier).removeprefix("==") for name, item in constraints().items()}
    here = {canonicalize_name(d.metadata["Name"]): Version(d.version).public for d in distributions()}
    ours = {name for name in here if not name.startswith(("nvidia-", "cuda-"))} - {"bumplab", "pip", "triton"}
    assert {name: here[name] for name in ours if here[name] != held.get(name)} == {}


# ---------------------------------------------------------------- the package


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == bumplab.__version__


def test_no_module_is_longer_than_300_lines():
    lengths = {name: len((ROOT / "src/bumplab" / name).read_text().splitlines()) for name in MODULES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


@pytest.mark.parametrize("name", MODULES)
def test_no_docstring_has_bars_that_sphinx_would_take_for_a_substitution(name):
    tree = ast.parse((ROOT / "src/bumplab" / name).read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            text = re.sub(r"``.*?``", "", ast.get_docstring(node) or "")
            assert not re.search(r"\|[^\s|](?:[^|\n]*[^\s|])?\|", text), f"{name}, line {node.lineno}"


# ---------------------------------------------------------------- chapters and pages


def tracked(*patterns):
    """Return the files that git holds."""
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True).stdout
    return {ROOT / name for name in listed.decode().split("\0")[:-1]}


def test_every_page_of_the_contents_exists():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = re.findall(r"(?:root|file): (\S+)", (ROOT / "_toc.yml").read_text())
    assert len(pages) > sum(len(part["chapters"]) for part in toc["parts"])  # with those below others
    there = {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "book").rglob("*.*")}
    assert set(pages) <= there


@needs_git
def test_every_committed_chapter_is_in_the_contents_under_a_name_without_spaces():
    assert tracked("book/*.ipynb") <= set(CHAPTERS)
    assert all(re.fullmatch(r"[a-z0-9-]+", path.stem) for path in CHAPTERS)


def test_the_reference_describes_every_module_once():
    pages = (path.read_text(encoding="utf-8") for path in (ROOT / "book/reference").glob("*.md"))
    described = re.findall(r"automodule:: (\S+)", "".join(pages))
    private = ("__init__", "__main__")
    modules = [name for name in MODULES if not name.startswith("cli/") and Path(name).stem not in private]
    dotted = [f"bumplab.{name.removesuffix('.py').replace('/', '.')}" for name in modules if "/_" not in name]
    assert sorted(described) == sorted(dotted)


def test_there_are_chapters():
    assert CHAPTERS


@every_chapter
def test_a_chapter_opens_anywhere(path):
    notebook = read(path)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in notebook["metadata"]


@every_chapter
def test_a_chapter_that_can_train_the_network_of_the_paper_asks_colab_for_a_gpu(path):
    metadata = read(path)["metadata"]
    assert metadata == tool("outputs").metadata_of(path)
    source = "".join(next(cell for cell in code_cells(path) if "parameters" in tags(cell))["source"])
    asks = "paper (for a GPU)" in source
    assert (metadata.get("accelerator"), metadata.get("colab")) == (
        ("GPU", {"gpuType": "T4"}) if asks else (None, None)
    )


@every_chapter
def test_a_chapter_starts_with_setup_parameters_and_validation(path):
    cells = code_cells(path)
    for place, tag in enumerate(("setup", "parameters", "validation")):
        assert [number for number, cell in enumerate(cells) if tag in tags(cell)] == [place]


@every_chapter
def test_the_parameters_are_annotated_literals(path):
    source = "".join(next(cell for cell in code_cells(path) if "parameters" in tags(cell))["source"])
    for statement in ast.parse(source).body:
        assert isinstance(statement, ast.AnnAssign), f"not name: type = value: {ast.unparse(statement)}"
        ast.literal_eval(statement.value)


@every_chapter
def test_a_chapter_is_short_celled(path):
    lengths = {cell["id"]: len("".join(cell["source"]).splitlines()) for cell in code_cells(path)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_CELL} == {}


@every_chapter
def test_a_chapter_is_committed_with_clean_outputs(path):
    for cell in code_cells(path):
        if "".join(cell["source"]).strip():
            assert cell["execution_count"] is not None, f"{path.name}: cell {cell['id']} was never run"
        for output in cell["outputs"]:
            kind = output.get("name", output["output_type"])
            assert kind not in ("error", "stderr"), f"{path.name}: cell {cell['id']} shows {kind}"


@every_chapter
def test_a_chapter_gives_nbval_something_to_compare(path):
    texts = 0
    for cell in code_cells(path):
        if any(tag in ("nbval-ignore-output", "nbval-skip") for tag in tags(cell)):
            continue
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = output.get("text") or data.get("text/plain") or data.get("text/markdown") or []
            texts += bool(text) and "<Figure" not in "".join(text)
    assert texts >= LEAST_COMPARED


STUDIES = sorted(path.parent for path in (ROOT / "book/runs").glob("*/runs.jsonl"))


def weight(paths):
    return sum(path.stat().st_size for path in paths)


@needs_git
def test_the_repository_stays_below_120_megabytes():
    assert weight(tracked()) < 120e6


@needs_git
def test_recorded_runs_stay_below_their_limits():
    of_weights = tracked("book/runs/*/weights/*")
    heavy = {study.name: weight(tracked(f"book/runs/{study.name}/*") - of_weights) for study in STUDIES}
    assert {name: size for name, size in heavy.items() if size > 4.5e6} == {}
    assert weight(of_weights) < 84e6 and len(tracked("book/runs/*")) < 200


# ---------------------------------------------------------------- the wheel


def test_the_wheel_brings_the_chapters_and_recorded_runs_without_weights(tmp_path):
    options = ["--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={tmp_path}"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, ROOT], check=True)
    (wheel,) = tmp_path.glob("bumplab-*.whl")
    assert wheel.stat().st_size < 20e6
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    recorded = [path for study in STUDIES for path in study.iterdir() if path.is_file()]
    recorded += (ROOT / "book/results").glob("*.json")
    for path in CHAPTERS + recorded:
        assert f"bumplab/{path.relative_to(ROOT).as_posix()}" in names
    sources = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(ROOT / "src").as_posix() for path in sources} <= names
    assert not [name for name in names if "_static" in name or "_tools" in name or "/weights/" in name]
    needed = [Requirement(text) for text in re.findall(r"^Requires-Dist: (.*)$", metadata, flags=re.M)]
    assert {str(item) for item in needed if not item.marker} == {str(item) for item in requirements()}


def test_the_page_of_running_describes_the_presets_as_they_are():
    page = (ROOT / "book" / "running.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:6]] for line in page.splitlines() if line.startswith("| `")]
    table = {row[0].strip("`"): row[1:] for row in rows if row[0].strip("`") in PRESETS}
    assert list(table) == list(PRESETS)
    for name, cells in table.items():
        settings = preset(name)
        size = f"{UNet(settings.model).size() / 1e6:.2f} M"
        described = [
            settings.diffusion.prediction_type,
            str(settings.model.patch),
            size,
            f"{settings.training.steps:,}",
        ]
        assert cells == described, name


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_plain_markdown(path):
    """Colab, GitHub and editors know no roles and no directives."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    words = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert re.findall(r"\{[a-z:]+\}`|^:::|^```\{", words, re.MULTILINE) == []
