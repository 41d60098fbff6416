"""Training histories as curves: what was measured at which step, and when a curve comes to a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Real

import numpy as np

from bumplab.common.errors import BumplabError, join_names, quote


def curve(history: Mapping[str, Sequence], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return one quantity of a training history as a curve.

    Parameters
    ----------
    history : mapping
        As a run holds it: ``loss``, pairs (step, loss), and ``accuracy``, one dictionary for each measurement with
        ``step``, ``seen`` and, where the world has any, ``unseen``.
    name : str
        ``"loss"``, or a part and a measure joined by a dot: ``"seen.joint"``, ``"unseen.x"``, ``"seen.misplaced"``.

    Returns
    -------
    steps : array (k,), int
    values : array (k,), float64

    Raises
    ------
    BumplabError
        If the history holds no such curve; the sentence names those it holds.

    Examples
    --------
    >>> history = {"loss": [[2, 0.5]], "accuracy": [{"step": 10, "seen": {"joint": 0.25}}]}
    >>> curve(history, "seen.joint")
    (array([10]), array([0.25]))
    """
    part, _, measure = name.partition(".")
    try:
        if name == "loss":
            pairs = [(row[0], row[1]) for row in history["loss"]]
        else:
            pairs = [(entry["step"], entry[part][measure]) for entry in history["accuracy"]]
        if not all(isinstance(value, Real) for pair in pairs for value in pair):
            raise TypeError
        steps, values = zip(*pairs, strict=True)
        return np.array(steps), np.array(values, dtype=float)
    except (LookupError, TypeError, ValueError):
        use = join_names(_names(history), most=20) or "none"
        raise BumplabError(f"The history has no curve {quote(name)}: use {use}.") from None


def measurements(history: Mapping[str, Sequence], part: str) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Return all that was measured on one part of the conditions, for figures that show several quantities at once.

    Parameters
    ----------
    history : mapping
        As for :func:`curve`.
    part : {"seen", "unseen"}

    Returns
    -------
    steps : array (k,), int
    values : list of k dictionaries, measure to value

    Raises
    ------
    BumplabError
        If the part was not measured.

    Examples
    --------
    >>> measurements({"loss": [], "accuracy": [{"step": 10, "seen": {"joint": 0.25}}]}, "seen")
    (array([10]), [{'joint': 0.25}])
    """
    rows = [row for row in history["accuracy"] if isinstance(row, Mapping) and isinstance(row.get("step"), Real)]
    entries = [row for row in rows if isinstance(row.get(part), Mapping)]
    if not entries:
        use = join_names(_names(history), most=20) or "none"
        raise BumplabError(f"The history has no measurements of {quote(part)}: use {use}.")
    return np.array([entry["step"] for entry in entries]), [entry[part] for entry in entries]


def step_at_level(steps: Sequence[float], values: Sequence[float], level: float = 0.5) -> float:
    """Return the step at which a curve first comes to a level, on the line between two measurements.

    The curve starts with 0 at step 0. Unlike :func:`bumplab.common.curves.level_crossing`, nothing is smoothed and
    steps are not read on a logarithmic axis: this is for curves that are measured often and rise once.

    Parameters
    ----------
    steps, values : sequences of float, (k,)
        Steps above 0, ascending.
    level : float
        Above 0.

    Returns
    -------
    float
        The last step where the curve does not get there: a lower bound.

    Raises
    ------
    BumplabError
        If the sequences are empty or of different lengths, steps do not ascend, or the level is not above 0.

    Examples
    --------
    >>> step_at_level([10, 20], [0.25, 0.75])
    15.0
    """
    points = [(0, 0.0), *zip(steps, values, strict=False)]
    if len(steps) != len(values) or len(points) < 2 or any(a >= b for (a, _), (b, _) in pairwise(points)):
        raise BumplabError("A curve needs ascending steps above 0, and as many values.")
    if not level > 0:
        raise BumplabError(f"A curve that starts at 0 comes to a level above 0, got {quote(level)}.")
    for (before, low), (after, high) in pairwise(points):
        if high >= level:
            return float(before + (after - before) * (level - low) / (high - low))
    return float(points[-1][0])


def _names(history: Mapping[str, Sequence]) -> list[str]:
    """Return the curves that a history holds, as :func:`curve` takes them."""
    names = ["loss"] if len(history["loss"]) else []
    first = history["accuracy"][0] if history["accuracy"] else {}
    for part, measures in first.items() if isinstance(first, Mapping) else ():
        names += [f"{part}.{measure}" for measure in measures] if isinstance(measures, Mapping) else []
    return names
