"""Chapters as programs: their declared parameters, checked however a chapter is started.

A chapter has a cell tagged ``parameters`` of annotated literals (``sigma: float = 1.0``) and, after it, a cell
tagged ``validation`` that calls :func:`parameters` and builds what the parameters describe, so that an
impossible value stops it there. :func:`~bumplab.chapters.execution.rerun` runs these two cells alone first, then
the chapter by papermill.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bumplab.common.errors import BumplabError, quote
from bumplab.common.parsing import MAX_TEXT

if TYPE_CHECKING:
    from bumplab.chapters.checks import Check

#: Largest whole number or float of a parameter, either way.
MAX_NUMBER = 2**53
#: Most values of a parameter that is a list.
MAX_VALUES = 1_000
#: Most characters of a name that is compared with those of the parameters.
MAX_NAME = 100
_TYPES = {"int": int, "float": float, "bool": bool, "str": str, "list": list}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}


class ParameterError(BumplabError):
    """A parameter of a chapter is unknown, of the wrong type or impossible."""


def parameters(namespace: Mapping[str, Any], /, **checks: Check) -> SimpleNamespace:
    """Check a chapter's parameters inside the notebook: call it as ``parameters(globals())``.

    Parameters
    ----------
    namespace : mapping
        The notebook's globals. Declared parameters are its annotated names, see :func:`annotated_types`. Names that
        papermill injected are read from the cell it added, which starts with ``# Parameters``.
    **checks : bumplab.chapters.checks.Check
        Parameter to what it may be, asked in this order.

    Returns
    -------
    SimpleNamespace with the checked values.

    Raises
    ------
    ParameterError
        For an injected name that was not declared, a value of the wrong type, or one that its check refuses.
    BumplabError
        For a check of a parameter that the chapter does not declare.

    Examples
    --------
    >>> from bumplab.chapters.checks import at_most, between
    >>> notebook = {"__annotations__": {"seeds": int, "sigma": float}, "seeds": 5, "sigma": 1}
    >>> parameters(notebook, seeds=between(1, 100), sigma=at_most(2))
    namespace(seeds=5, sigma=1.0)
    >>> parameters(notebook | {"seeds": 0}, seeds=between(1, 100))
    Traceback (most recent call last):
    bumplab.chapters.validation.ParameterError: Parameter 'seeds' must be from 1 to 100, got 0.
    """
    types = annotated_types(namespace)
    for cell in namespace.get("In", ()):
        if cell.startswith("# Parameters\n"):
            targets = [node.targets[0] for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
            reject_unknown((target.id for target in targets if isinstance(target, ast.Name)), types)
    params = SimpleNamespace(**{name: typed(name, namespace[name], kind) for name, kind in types.items()})
    for name, check in checks.items():
        if name not in types:
            raise BumplabError(f"A check is given for {quote(name)}, which is no parameter of this chapter.")
        check.apply(name, getattr(params, name), params)
    return params


def annotated_types(namespace: Mapping[str, Any]) -> dict[str, type]:
    """Return the type of every annotated name of a notebook, or of a script: bool, int, float, str or list.

    From Python 3.14 on, annotations are evaluated when they are asked for, by a function ``__annotate__``; and IPython
    compiles one statement at a time, so that a notebook has that function of its last annotation alone. The cells
    themselves, which IPython keeps as ``In``, say it under every Python.

    Parameters
    ----------
    namespace : mapping
        The globals. Names that are annotated and have no value are left out.

    Raises
    ------
    ParameterError
        For another annotation.

    Examples
    --------
    >>> annotated_types({"In": ["", "seeds: int = 5"], "seeds": 5})
    {'seeds': <class 'int'>}
    """
    annotations: dict[str, Any] = {}
    for cell in namespace.get("In", ()):
        annotations |= {name: kind for name, kind, _ in annotated_names(cell)}
    if "In" not in namespace and (annotate := namespace.get("__annotate__")):
        annotations = annotate(1)  # annotationlib.Format.VALUE
    annotations |= namespace.get("__annotations__") or {}
    return {name: parameter_type(kind) for name, kind in annotations.items() if name in namespace}


def annotated_names(source: str) -> list[tuple[str, str, ast.expr | None]]:
    """Return name, annotation and value of every annotated name at the top level of a program, none if it is not one.

    Examples
    --------
    >>> [(name, kind) for name, kind, _ in annotated_names("seeds: int = 5")]
    [('seeds', 'int')]
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):  # a cell that did not run
        return []
    return [
        (node.target.id, ast.unparse(node.annotation), node.value)
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


def reject_unknown(names: Iterable[str], types: Mapping[str, type]) -> None:
    """Raise :class:`ParameterError` for a name that is no parameter, with the closest one as a hint."""
    for name in names:
        if name not in types:
            close = difflib.get_close_matches(name[:MAX_NAME], types, n=1)
            hint = f"did you mean {quote(close[0])}? " if close else ""
            raise ParameterError(f"There is no parameter {quote(name)}: {hint}This chapter has {', '.join(types)}.")


def parameter_type(annotation: Any) -> type:
    """Return the type that a parameter's annotation stands for, evaluated or as text: bool, int, float, str or list.

    Examples
    --------
    >>> parameter_type(int), parameter_type("int"), parameter_type("'int'")
    (<class 'int'>, <class 'int'>, <class 'int'>)
    """
    name = getattr(annotation, "__name__", annotation)
    kind = _TYPES.get(name.strip("'\" ") if isinstance(name, str) else name)
    if kind is None:
        raise ParameterError(f"A parameter is annotated {quote(annotation)}: use one of {', '.join(_TYPES)}.")
    return kind


def typed(name: str, value: Any, kind: type) -> Any:
    """Return a value with its parameter's type, or raise :class:`ParameterError`; whole numbers serve as floats.

    Numbers, also those in a list, are finite and lie within 2^53 of 0, up to which floats tell whole numbers apart. A
    list holds at most 1,000 values and no lists; text is of at most 10,000 characters.
    """
    if kind is list and isinstance(value, tuple):
        value = list(value)
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or (kind is not bool and isinstance(value, bool)):
        raise ParameterError(f"Parameter {quote(name)} must be {_WORDS[kind]}, got {quote(value)}.")
    if isinstance(value, list):
        if len(value) > MAX_VALUES:
            raise ParameterError(f"Parameter {quote(name)} must be a list of at most 1,000 values, got {len(value):,}.")
        for item in value:
            if not isinstance(item, bool | int | float | str | None):
                raise ParameterError(f"Parameter {quote(name)} must be a list of numbers or text, got {quote(item)}.")
            _check_extent(name, item)
    _check_extent(name, value)
    return float(value) if kind is float and isinstance(value, int) else value


def _check_extent(name: str, value: Any) -> None:
    """Refuse numbers and text that no parameter means."""
    if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
        raise ParameterError(f"Parameter {quote(name)} must be finite and between -2^53 and 2^53, got {quote(value)}.")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ParameterError(f"Parameter {quote(name)} must be of at most {MAX_TEXT:,} characters, got {len(value):,}.")
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ParameterError(f"Parameter {quote(name)} must be text, got half of a character in {quote(value)}.")
