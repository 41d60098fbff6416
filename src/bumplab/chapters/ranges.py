"""What a claim asks of a value, and what an interval says of that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bumplab.common.errors import BumplabError, quote


@dataclass(frozen=True)
class Range:
    """What we ask of a value: at least, at most, or between.

    Raises
    ------
    BumplabError
        If an end is no number, or the first is above the second.

    Examples
    --------
    >>> print(Range(3, 5), "or", Range(None, 0.25))
    between 3 and 5 or at most 0.25
    >>> Range(3, 5).judge(2.5, 3.5), Range(3, 5).judge(3, 5), Range(3, 5).judge(5.1, 6)
    ('undecided', 'holds', 'fails')
    """

    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        ends = [end for end in (self.at_least, self.at_most) if end is not None]
        if not all(isinstance(end, int | float | np.number) and not np.isnan(end) for end in ends):
            raise BumplabError(f"what you ask for is a number, got {' and '.join(map(quote, ends))}.")
        if len(ends) == 2 and ends[0] > ends[1]:
            raise BumplabError(f"no value is at least {ends[0]:g} and at most {ends[1]:g}: exchange them.")

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"between {self.at_least:g} and {self.at_most:g}"
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"

    def judge(self, low: float, high: float, tolerance: float = 0.0) -> str:
        """Return what an interval says of this range.

        Parameters
        ----------
        low, high : float
            The ends of the interval.
        tolerance : float
            How far both may move, at least 0: a verdict that such a move could change is undecided.

        Returns
        -------
        {"holds", "fails", "undecided"}
            The whole interval is in the range; all of it is outside; or a part of it is.
        """
        least = -np.inf if self.at_least is None else self.at_least
        most = np.inf if self.at_most is None else self.at_most
        slack = 1.000001 * tolerance  # a number at the tolerance is within it, however the sum is rounded
        if high < least - slack or low > most + slack:
            return "fails"
        return "holds" if least + slack <= low and high <= most - slack else "undecided"
