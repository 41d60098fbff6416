"""Exercises: say whether the answer that a reader filled in is right, without saying what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bumplab.common.errors import BumplabError, quote


def check_answer(answer: Any, truth: Any | Callable[[], Any], *, tolerance: float = 0.0, hint: str = "") -> None:
    """Print whether an answer to an exercise is right.

    Parameters
    ----------
    answer : number, text, sequence of numbers, or None
        What the reader filled in; None while there is nothing yet.
    truth : like `answer`, or a function without arguments that returns it
        A function is called only once there is an answer.
    tolerance : float
        How far a number may be off, not negative.
    hint : str
        A sentence for an answer that is not right.

    Raises
    ------
    BumplabError
        For a negative tolerance.

    Examples
    --------
    >>> check_answer(None, 0.25)
    No answer yet: put yours in place of None and run this cell again.
    >>> check_answer(0.3, 0.25, tolerance=0.02, hint="Is a corner as common as an edge?")
    Not yet. Is a corner as common as an edge?
    >>> check_answer([1, 2], lambda: [1, 2])
    Right.
    """
    if not tolerance >= 0:
        raise BumplabError(f"the tolerance of an answer must not be negative, got {tolerance}")
    if answer is None:
        print("No answer yet: put yours in place of None and run this cell again.")
        return
    value = truth() if callable(truth) else truth
    right: bool | None
    if isinstance(value, str):
        right = answer.strip().lower() == value.strip().lower() if isinstance(answer, str) else None
        wanted = "a text"
    else:
        right, wanted = _near(answer, value, tolerance)
    if right is None:
        print(f"Not yet: the answer is {wanted}, not {quote(answer)}.")
    else:
        print("Right." if right else f"Not yet. {hint}".rstrip())


def _near(answer: Any, value: Any, tolerance: float) -> tuple[bool | None, str]:
    """Return whether an answer is near a number or numbers, None if it is none, and what an answer is."""
    expected = np.asarray(value, dtype=float)
    wanted = "a number" if expected.ndim == 0 else f"{expected.size} numbers"
    try:
        given = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return None, wanted
    if given.shape != expected.shape or isinstance(answer, str):
        return None, wanted
    return bool(np.allclose(given, expected, rtol=0, atol=tolerance + 1e-12)), wanted
