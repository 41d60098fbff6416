"""The parameters of a chapter, read and checked in one call.

params = parameters(globals(), sigma=at_most(2), seeds=between(1, 100), held_out=interval(6, 37))
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from bumplab import chapters
from bumplab.base import BumplabError
from bumplab.chapters_checks import Check


def parameters(namespace: Mapping[str, Any], /, **checks: Check) -> SimpleNamespace:
    """Read and check a chapter's parameters inside the notebook: ``parameters(globals(), seeds=between(1, 100))``.

    Parameters
    ----------
    namespace : mapping
        The notebook's globals, see :func:`bumplab.chapters.parameters`: names and types are checked first.
    **checks : Check
        Parameter to what it may be, asked in this order.

    Returns
    -------
    SimpleNamespace with the values of all parameters.

    Raises
    ------
    ParameterError
        With one sentence that names the parameter, its value, and what would be right.
    BumplabError
        For a check of a parameter that the chapter does not declare.

    Examples
    --------
    >>> from bumplab.chapters_checks import at_most, between
    >>> notebook = {"__annotations__": {"seeds": int, "sigma": float}, "seeds": 5, "sigma": 1}
    >>> parameters(notebook, seeds=between(1, 100), sigma=at_most(2))
    namespace(seeds=5, sigma=1.0)
    >>> parameters(notebook | {"seeds": 0}, seeds=between(1, 100))
    Traceback (most recent call last):
    bumplab.chapters.ParameterError: Parameter 'seeds' must be from 1 to 100, got 0.
    """
    params = chapters.parameters(namespace)
    for name, check in checks.items():
        if name not in vars(params):
            raise BumplabError(f"A check is given for {name!r}, which is no parameter of this chapter.")
        check.apply(name, getattr(params, name), params)
    return params
