"""The chapters of the book: their files, parameters and cells."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bumplab.chapters.validation import annotated_names, parameter_type, reject_unknown, typed
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import book_folder, disk_errors, read_text
from bumplab.common.parsing import parse_named

#: Not NN-name-out, which is what a re-run of NN-name writes.
_CHAPTER = re.compile(r"\d\d(-[a-z0-9]+)+(?<!-out)")


def listed_notebooks(contents: Path) -> list[Path]:
    """Return the notebooks that a ``_toc.yml`` names, in reading order.

    Raises
    ------
    BumplabError
        If the file cannot be read.
    """
    try:
        with disk_errors(contents, "read", "take it from the repository again"):
            pages = list(_pages(yaml.safe_load(read_text(contents))))
    except (UnicodeDecodeError, RecursionError, yaml.YAMLError):
        raise BumplabError(f"{contents} is not a table of contents; take it from the repository again.") from None
    return [path for page in pages if (path := contents.parent / f"{page}.ipynb").is_file()]


def chapter_paths(book: Path | None = None) -> list[Path]:
    """Return the notebooks of the chapters, in reading order.

    A chapter is called NN-name, two digits and words of small letters. In a checkout the contents, ``_toc.yml`` beside
    the folder, name the chapters, and no other file is one, such as a copy made by hand; in an installed package,
    which has no contents, the name alone decides.

    Parameters
    ----------
    book : Path, optional
        The folder of the chapters; by default that of this book.

    Examples
    --------
    >>> [path.stem for path in chapter_paths()][:2]
    ['01-worlds', '02-training']
    """
    book = book or book_folder()
    contents = book.parent / "_toc.yml"
    paths = listed_notebooks(contents) if contents.is_file() else sorted(book.glob("*.ipynb"))
    return [path for path in paths if path.parent == book and _CHAPTER.fullmatch(path.stem)]


def stray_notebooks(book: Path | None = None) -> list[Path]:
    """Return the notebooks beside the chapters that ``_toc.yml`` does not name, such as copies made by hand."""
    book = book or book_folder()
    contents = book.parent / "_toc.yml"
    return sorted(set(book.glob("*.ipynb")) - set(listed_notebooks(contents))) if contents.is_file() else []


def chapter_names() -> list[str]:
    """Return the names of the book's chapters, in reading order.

    Examples
    --------
    >>> chapter_names()[:2]
    ['01-worlds', '02-training']
    """
    return [path.stem for path in chapter_paths()]


def chapter_path(name: str) -> Path:
    """Return the notebook of a chapter given by name (``02-training``), by number (``02``) or by path.

    Raises
    ------
    BumplabError
        If there is no such chapter.

    Examples
    --------
    >>> chapter_path("02").name
    '02-training.ipynb'
    """
    if name.endswith(".ipynb"):
        with disk_errors(Path(name), "read", "name another chapter"):
            if Path(name).is_file():
                return Path(name)
    for path in chapter_paths():
        if name in (path.stem, path.stem.split("-")[0]):
            return path
    raise BumplabError(f"There is no chapter {quote(name)}: use one of {', '.join(chapter_names())}.")


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook, each with its ``cell_type``, ``source``, ``metadata`` and perhaps ``outputs``.

    Raises
    ------
    BumplabError
        If the file cannot be read, or is no notebook.
    """
    try:
        with disk_errors(path, "read", "name another chapter"):
            text = read_text(path)
        cells = json.loads(text)["cells"]
        if all(isinstance(cell["source"], (str, list)) and isinstance(cell["metadata"], dict) for cell in cells):
            return cells
    except BumplabError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise BumplabError(f"{path} is not a notebook.")


def tagged_source(path: Path, tag: str) -> str:
    """Return the code of a chapter's cell with a tag.

    Raises
    ------
    BumplabError
        If the file is no notebook, or none of its cells has the tag.
    """
    for cell in read_cells(path):
        if tag in cell["metadata"].get("tags", ()):
            return "".join(cell["source"])
    raise BumplabError(f"{path} has no cell tagged {quote(tag)}, so it is not a chapter of this book.")


def declared_parameters(path: Path) -> dict[str, tuple[type, Any]]:
    """Return a chapter's parameters: name to (type, default)."""
    return {
        name: (parameter_type(kind), ast.literal_eval(value))
        for name, kind, value in annotated_names(tagged_source(path, "parameters"))
        if value
    }


def validate(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check values for a chapter's parameters without running the chapter; return them with their proper types.

    Text for a parameter that is not text is read as a literal first (``"true"``, ``"3"``).

    Raises
    ------
    BumplabError
        For an unknown name, a wrong type, or a value that the chapter's validation cell refuses.
    """
    types = {name: kind for name, (kind, _) in declared_parameters(path).items()}
    reject_unknown(values, types)
    checked = {}
    for name, value in values.items():
        if isinstance(value, str) and types[name] is not str:
            value = parse_named(name, value)
        checked[name] = typed(name, value, types[name])
    source = tagged_source(path, "parameters")
    namespace: dict[str, Any] = {"__name__": "__validation__", "In": ["", source]}  # as in a notebook
    exec(compile(source, f"{path.name}: parameters", "exec"), namespace)
    namespace.update(checked)
    exec(compile(tagged_source(path, "validation"), f"{path.name}: validation", "exec"), namespace)
    return checked


def _pages(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("root", "file") if key in node)
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _pages(child)
