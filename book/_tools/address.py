"""Write the address of the repository, ``repository.url`` of ``_config.yml``, wherever the book names it.

In every chapter these are the link to Colab and the set-up cell, whose text lives here; in the other files,
each address of a repository called bumplab. Run again, it changes nothing. With ``--check`` it writes
nothing, and exits 1 naming the files that differ.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

from book._tools.contents import find_chapters
from bumplab.common.exits import exit_code
from bumplab.common.files import atomic_write

ROOT = Path(__file__).resolve().parents[2]

SETUP = """\
# Set-up: nothing where bumplab is there; elsewhere (Colab) a clone, beside its torch.
import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from site import main as refresh_path
from subprocess import check_call

if find_spec("bumplab") is None:
    source = os.environ.get("BUMPLAB_SOURCE", "git+{url}")
    if "/OWNER/" in source:
        raise RuntimeError("No public address yet: set BUMPLAB_SOURCE to a clone.")
    clone = f"{{source}}#egg=bumplab" if "://" in source else source
    kept = [f"{{lib}}=={{version(lib)}}" for lib in ("torch", "numpy") if find_spec(lib)]
    check_call([sys.executable, "-m", "pip", "install", "--quiet", "-e", clone, *kept])
    refresh_path()"""

BADGE = "[Open in Colab](https://colab.research.google.com/github/{slug}/blob/{branch}/{path})"
ANY_BADGE = re.compile(r"\[Open in Colab\]\([^)]*\)")
ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w-]+")


class AddressError(Exception):
    """The address, or a file that should name it, is not as it must be."""


def read_address(root: Path) -> tuple[str, str]:
    """Return address and branch from ``_config.yml``."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    if not ADDRESS.fullmatch(repository["url"]):
        raise AddressError("_config.yml: repository.url must read https://github.com/OWNER/NAME.")
    return repository["url"], repository["branch"]


def lines(text: str) -> list[str]:
    """Return `text` as a notebook stores it."""
    return text.splitlines(keepends=True)


def update_chapter(text: str, path: str, url: str, branch: str) -> str:
    """Return the notebook `text` with the link to Colab and the set-up cell that it must have.

    A missing link goes below the title, a missing set-up cell before the first code cell.
    """
    notebook = json.loads(text)
    cells = notebook["cells"]
    badge = BADGE.format(slug=url.removeprefix("https://github.com/"), branch=branch, path=path)
    prose = [cell for cell in cells if cell["cell_type"] == "markdown"]
    linked = [cell for cell in prose if ANY_BADGE.search("".join(cell["source"]))]
    for cell in linked:
        cell["source"] = lines(ANY_BADGE.sub(badge, "".join(cell["source"])))
    if not linked:
        if not prose or cells[0] is not prose[0]:
            raise AddressError(f"{path}: the first cell must be Markdown with the title of the chapter.")
        title, *rest = "".join(prose[0]["source"]).split("\n", 1)
        prose[0]["source"] = lines("\n".join([title, "", badge, *rest]))
    setup = next((cell for cell in cells if "setup" in cell["metadata"].get("tags", [])), None)
    if setup is None:
        first = next((i for i, cell in enumerate(cells) if cell["cell_type"] == "code"), len(cells))
        setup = {"cell_type": "code", "execution_count": None, "id": "setup", "metadata": {}, "outputs": []}
        setup["metadata"]["tags"] = ["setup", "hide-input"]
        cells.insert(first, setup)
    setup["source"] = lines(SETUP.format(url=url))
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def update_text(text: str, url: str) -> str:
    """Return `text` with every address of this repository changed to `url`."""
    names = "|".join({"bumplab", re.escape(url.rsplit("/", 1)[1])})
    return re.sub(rf"https://github\.com/[\w.-]+/(?:{names})\b", url, text)


def updates(root: Path) -> dict[Path, tuple[str, str]]:
    """Return, for every file that names the address, the text it has and the text it must have."""
    url, branch = read_address(root)
    found = {}
    for path in find_chapters(root):
        text = path.read_text(encoding="utf-8")
        found[path] = (text, update_chapter(text, path.relative_to(root).as_posix(), url, branch))
    for path in [root / "README.md", root / "CITATION.cff", *sorted((root / "book").glob("*.md"))]:
        if path.exists():
            text = path.read_text(encoding="utf-8")
            found[path] = (text, update_text(text, url))
    return found


def differs(old: str, new: str, path: Path) -> bool:
    """Return whether a file must change; how a notebook's JSON is laid out does not matter."""
    return json.loads(old) != json.loads(new) if path.suffix == ".ipynb" else old != new


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Update the files, or check them; return the exit code."""
    if arguments not in ([], ["--check"]):
        print("Usage: python -m book._tools.address [--check]", file=sys.stderr)
        return 2
    try:
        changed = {path: new for path, (old, new) in updates(root).items() if differs(old, new, path)}
    except AddressError as error:
        print(error, file=sys.stderr)
        return 1
    for path, new in changed.items():
        name = path.relative_to(root).as_posix()
        if arguments:
            print(f"{name}: not the address of _config.yml; run make address")
        else:
            atomic_write(path, new)
            print(f"{name}: updated")
    return 1 if arguments and changed else 0


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
