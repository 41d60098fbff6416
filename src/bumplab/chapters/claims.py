"""A claim of the paper, the number measured for it, and the verdict.

A chapter ends with :func:`check_claim` calls, or calls of a :class:`Checker`, which holds what they share. Each
prints its verdict and leaves it, as data, in the notebook's output, where
:func:`~bumplab.chapters.scoreboard.collect_claims` finds it for the scoreboard.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bumplab.common.errors import BumplabError, quote
from bumplab.common.statistics import t_interval

#: Under which a claim lies, as data, in the output of a notebook.
CLAIM_MIME = "application/vnd.bumplab.claim+json"
#: What can become of a claim, see :class:`Claim`.
VERDICTS = ("reproduced", "partly", "not reproduced", "undecided")


@dataclass(frozen=True)
class Claim:
    """A claim and what was measured.

    Attributes
    ----------
    name : str
        Short unique name, for example ``"fig2.betti1"``.
    source : str
        Where the claim stands: paper and figure.
    statement : str
        The claim in one sentence.
    value, low, high : float or None
        Mean over seeds and its 95 % Student interval (equal to the value for a single seed); None without data.
    seeds : int
        How many values are behind it; 0 without data.
    at_least, at_most : float or None
        What the claim predicts for the value.
    verdict : str
        ``"reproduced"`` if the whole interval agrees with the prediction, ``"partly"`` if the mean does but the
        interval does not, or a single seed does, else ``"not reproduced"``; ``"undecided"`` without data, or where a
        change of the numbers within `tolerance` would give another verdict.
    preset, note : str
        Which preset (and device) the value comes from; what else the reader should know.
    tolerance : float
        How far value, low and high may move from one processor to another.

    Examples
    --------
    >>> claim = check_claim("a.b", "It works.", [0.9, 1.0], source="ours", preset="quick", at_least=0.5, share=True)
    >>> claim.value, claim.low, claim.high, claim.seeds, claim.verdict  # two seeds leave a wide interval
    (0.95, 0.31, 1.0, 2, 'partly')
    """

    name: str
    source: str
    statement: str
    value: float | None
    low: float | None
    high: float | None
    seeds: int
    at_least: float | None
    at_most: float | None
    verdict: str
    preset: str
    note: str = ""
    tolerance: float = 0.0

    def prediction(self) -> str:
        """Return the predicted range in words.

        Examples
        --------
        >>> claim = check_claim("a.b", "It works.", [0.9, 1.0], source="ours", preset="quick", at_least=0.5, share=True)
        >>> claim.prediction()
        'at least 0.5'
        """
        low, high = self.at_least, self.at_most
        within = f" (within {self.tolerance:g} undecided)" if self.tolerance else ""
        if low is not None and high is not None:
            return f"between {low:g} and {high:g}{within}"
        return (f"at least {low:g}" if low is not None else f"at most {high:g}") + within

    def measured(self) -> str:
        """Return the value with its interval and the number of seeds, or ``"no value"``.

        Examples
        --------
        >>> claim = check_claim("a.b", "It works.", [0.9, 1.0], source="ours", preset="quick", at_least=0.5, share=True)
        >>> claim.measured()
        '0.95 [0.31, 1] (2 seeds)'
        """
        if not self.seeds:
            return "no value"
        if self.seeds < 2:
            return f"{self.value:g} (1 seed)"
        return f"{self.value:g} [{self.low:g}, {self.high:g}] ({self.seeds} seeds)"

    def __str__(self) -> str:
        note = f" {self.note}" if self.note else ""
        numbers = f"Measured {self.measured()}, claimed {self.prediction()}; {self.preset}."
        return f"{self.verdict.upper()}: {self.statement} {numbers}{note}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        kind = self.verdict.replace(" ", "-")
        body = (
            f'<div class="claim claim-{kind}"><strong>{self.verdict}</strong> '
            f"<em>{html.escape(self.source)}</em><br>{html.escape(self.statement)}<br>"
            f"Measured {self.measured()}; claimed {self.prediction()}. "
            f"{html.escape(self.preset)}. {html.escape(self.note)}</div>"
        )
        data = {key: value for key, value in asdict(self).items() if key != "tolerance" or value}
        return {"text/plain": str(self), "text/html": body, CLAIM_MIME: data}


def check_claim(
    name: str,
    statement: str,
    values: float | Sequence[float],
    *,
    source: str,
    preset: str,
    at_least: float | None = None,
    at_most: float | None = None,
    digits: int = 2,
    share: bool = False,
    tolerance: float = 0.0,
    note: str = "",
) -> Claim:
    """Compare measured values, one per seed, with what a claim predicts.

    Parameters
    ----------
    values : float or sequence of float
        One value for each seed. With none, or none that is finite, the claim is undecided, and shown like the others.
        Where only some are not finite the caller decides what that means, leaves them out, and says so in `note`.
    at_least, at_most : float, optional
        The predicted range; at least one of the two.
    digits : int
        Digits after the point to which values are rounded, chosen so that they are stable across machines. The
        verdict is taken from the rounded numbers, those that the reader sees.
    share : bool
        The values are shares: the interval ends at 0 and 1.
    tolerance : float
        How far the numbers may move from one processor to another, at least 0: where they come out of steps that
        amplify rounding, such as UMAP. A verdict that such a move could change is undecided. 0 for all else, which
        is stable in its printed digits.

    Raises
    ------
    BumplabError
        If some values are finite and others are not, nothing is predicted, or the tolerance is negative.

    Examples
    --------
    >>> accuracy = [0.97, 1.0, 0.99]
    >>> print(check_claim("p0.phase-c", "Bumps are right.", accuracy, source="LLF24", preset="quick", at_least=0.9))
    REPRODUCED: Bumps are right. Measured 0.99 [0.95, 1.02] (3 seeds), claimed at least 0.9; quick.
    """
    data = np.atleast_1d(np.asarray(values, dtype=float))
    finite = np.isfinite(data)
    if finite.any() and not finite.all():
        raise BumplabError(f"Claim {name}: leave out values that are not finite and say so, got {quote(values)}.")
    if at_least is None and at_most is None:
        raise BumplabError(f"Claim {name}: say what is predicted, with at_least or at_most.")
    if not tolerance >= 0:
        raise BumplabError(f"Claim {name}: a tolerance is at least 0, got {quote(tolerance)}.")
    if not finite.any():
        numbers = (None, None, None, 0)
        verdict = "undecided"
    else:
        value, low, high = (round(v, digits) + 0.0 for v in t_interval(data, *((0, 1) if share else (-np.inf, np.inf))))
        numbers = (value, low, high, data.size)
        bounds = (-np.inf if at_least is None else at_least, np.inf if at_most is None else at_most)
        verdicts = {_verdict(*numbers, *bounds, slack) for slack in (-tolerance, tolerance)}
        verdict = verdicts.pop() if len(verdicts) == 1 else "undecided"
    return Claim(name, source, statement, *numbers, at_least, at_most, verdict, preset, note, tolerance)


def _verdict(value: float, low: float, high: float, seeds: int, least: float, most: float, slack: float) -> str:
    """Return the verdict of an interval on a range made wider by `slack` at both ends."""

    def agrees(v: float) -> bool:
        margin = 1.000001 * slack  # a number at the tolerance is within it, however the sum is rounded
        return least - margin <= v <= most + margin

    if seeds > 1 and agrees(low) and agrees(high):
        return "reproduced"
    return "partly" if agrees(value) else "not reproduced"


@dataclass(frozen=True)
class Checker:
    """A :func:`check_claim` that knows the source and the preset which the claims of a chapter share.

    Attributes
    ----------
    source, preset : str
        What :func:`check_claim` gets where a call names nothing else.

    Examples
    --------
    >>> ours = Checker(source="this book", preset="quick")
    >>> print(ours("ours.overfit", "Longer training needs more bumps.", [], at_least=1))
    UNDECIDED: Longer training needs more bumps. Measured no value, claimed at least 1; quick.
    """

    source: str
    preset: str

    def __call__(self, name: str, statement: str, values: float | Sequence[float], **options: Any) -> Claim:
        """Return what :func:`check_claim` does; `options` are its keywords, and may replace what is shared."""
        return check_claim(name, statement, values, **{"source": self.source, "preset": self.preset, **options})
