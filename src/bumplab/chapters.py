"""Chapters as programs: their declared parameters, checked however a chapter is started.

A chapter has a cell tagged ``parameters`` of annotated literals (``sigma: float = 1.0``) and, after it, a cell
tagged ``validation`` that calls :func:`parameters` and builds what the parameters describe, so that an
impossible value stops it there. :func:`rerun` runs these two cells alone first, then the chapter by papermill.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bumplab
from bumplab.base import BumplabError
from bumplab.settings import literal

_TYPES = {"int": int, "float": float, "bool": bool, "str": str, "list": list}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}


class ParameterError(BumplabError):
    """A parameter of a chapter is unknown, of the wrong type or impossible."""


def parameters(namespace: Mapping[str, Any]) -> SimpleNamespace:
    """Check a chapter's parameters inside the notebook: call it as ``parameters(globals())``.

    Parameters
    ----------
    namespace : mapping
        The notebook's globals. Declared parameters are its annotated names. Names that papermill injected are
        read from the cell it added, which starts with ``# Parameters``.

    Returns
    -------
    SimpleNamespace with the checked values.

    Raises
    ------
    ParameterError
        For an injected name that was not declared, or a value of the wrong type.
    """
    types = {name: _type(kind) for name, kind in namespace.get("__annotations__", {}).items()}
    for cell in namespace.get("In", ()):
        if cell.startswith("# Parameters\n"):
            _known((node.targets[0].id for node in ast.parse(cell).body if isinstance(node, ast.Assign)), types)
    return SimpleNamespace(**{name: _typed(name, namespace[name], kind) for name, kind in types.items()})


def chapters() -> list[str]:
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
    for known in chapters():
        if name in (known, known.split("-")[0]):
            return bumplab.book_folder() / f"{known}.ipynb"
    raise BumplabError(f"There is no chapter {name!r}: use one of {', '.join(chapters())}.")


def declared(path: Path) -> dict[str, tuple[type, Any]]:
    """Return a chapter's parameters: name to (type, default)."""
    source = _tagged(path, "parameters")
    return {
        node.target.id: (_type(ast.unparse(node.annotation)), ast.literal_eval(node.value))
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign)
    }


def check(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check values for a chapter's parameters without running the chapter; return them with their proper types.

    Text for a parameter that is not text is read as a literal first (``"true"``, ``"3"``).

    Raises
    ------
    BumplabError
        For an unknown name, a wrong type, or a value that the chapter's validation cell refuses.
    """
    types = {name: kind for name, (kind, _) in declared(path).items()}
    _known(values, types)
    typed = {}
    for name, value in values.items():
        if isinstance(value, str) and types[name] is not str:
            value = literal(value)
        typed[name] = _typed(name, value, types[name])
    namespace: dict[str, Any] = {"__name__": "__validation__"}
    exec(compile(_tagged(path, "parameters"), f"{path.name}: parameters", "exec"), namespace)
    namespace.update(typed)
    exec(compile(_tagged(path, "validation"), f"{path.name}: validation", "exec"), namespace)
    return typed


def rerun(path: Path, values: Mapping[str, Any], out: Path, progress: bool = True) -> None:
    """Check the parameters, run the chapter with them by papermill, and write the executed notebook to `out`.

    Raises
    ------
    BumplabError
        If the parameters are refused (nothing is run), `out` cannot be written, or the chapter fails.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    values = check(path, values)
    if out.suffix != ".ipynb":
        raise BumplabError(f"The output {str(out)!r} must be a notebook: give a name that ends in .ipynb.")
    if out.resolve() == path.resolve():
        raise BumplabError(f"The output {str(out)!r} is the chapter itself: choose another file.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        papermill.execute_notebook(
            path, out, parameters=values, cwd=out.parent, progress_bar=progress, log_output=False
        )
    except PapermillExecutionError as error:
        raise ChapterFailed(
            f"{path.stem} failed: {error.ename}: {error.evalue} The notebook so far is {out}."
        ) from None
    except OSError as error:
        raise BumplabError(f"Cannot write {str(out)!r}: {error.strerror}.") from None


class ChapterFailed(BumplabError):
    """A chapter stopped with an error while it ran."""


def _known(names, types: Mapping[str, type]) -> None:
    for name in names:
        if name not in types:
            close = difflib.get_close_matches(name, types, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ParameterError(f"There is no parameter {name!r}: {hint}This chapter has {', '.join(types)}.")


def _type(annotation: Any) -> type:
    kind = _TYPES.get(getattr(annotation, "__name__", annotation))
    if kind is None:
        raise ParameterError(f"A parameter is annotated {annotation!r}: use one of {', '.join(_TYPES)}.")
    return kind


def _typed(name: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is list and isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise ParameterError(f"Parameter {name!r} must be {_WORDS[kind]}, got {value!r}.")
    return value


def _tagged(path: Path, tag: str) -> str:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        raise BumplabError(f"{path} is not a notebook.") from None
    for cell in cells:
        if tag in cell["metadata"].get("tags", ()):
            return "".join(cell["source"])
    raise BumplabError(f"{path} has no cell tagged {tag!r}, so it is not a chapter of this book.")
