"""The chapters of the book: their files, parameters and cells."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bumplab
from bumplab.chapters.validation import parameter_type, reject_unknown, typed
from bumplab.common.errors import BumplabError
from bumplab.common.parsing import parse_literal


def chapter_names() -> list[str]:
    """Return the names of the book's chapters."""
    return sorted(path.stem for path in bumplab.book_folder().glob("[0-9]*.ipynb"))


def chapter_path(name: str) -> Path:
    """Return the notebook of a chapter given by name (``02-training``), by number (``02``) or by path.

    Raises
    ------
    BumplabError
        If there is no such chapter.
    """
    if name.endswith(".ipynb") and Path(name).is_file():
        return Path(name)
    for known in chapter_names():
        if name in (known, known.split("-")[0]):
            return bumplab.book_folder() / f"{known}.ipynb"
    raise BumplabError(f"There is no chapter {name!r}: use one of {', '.join(chapter_names())}.")


def declared_parameters(path: Path) -> dict[str, tuple[type, Any]]:
    """Return a chapter's parameters: name to (type, default)."""
    source = _tagged(path, "parameters")
    return {
        node.target.id: (parameter_type(ast.unparse(node.annotation)), ast.literal_eval(node.value))
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign)
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
    values_by_name = {}
    for name, value in values.items():
        if isinstance(value, str) and types[name] is not str:
            value = parse_literal(value)
        values_by_name[name] = typed(name, value, types[name])
    namespace: dict[str, Any] = {"__name__": "__validation__"}
    exec(compile(_tagged(path, "parameters"), f"{path.name}: parameters", "exec"), namespace)
    namespace.update(values_by_name)
    exec(compile(_tagged(path, "validation"), f"{path.name}: validation", "exec"), namespace)
    return values_by_name


def _tagged(path: Path, tag: str) -> str:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        raise BumplabError(f"{path} is not a notebook.") from None
    for cell in cells:
        if tag in cell["metadata"].get("tags", ()):
            return "".join(cell["source"])
    raise BumplabError(f"{path} has no cell tagged {tag!r}, so it is not a chapter of this book.")
