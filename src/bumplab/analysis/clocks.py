"""When something sets in during training, where it may never do so within the steps that were taken.

A time that was not reached is no number to average: it is later than the last step, and is kept as such ("censored").
Medians come from the estimate of Kaplan and Meier (1958), their intervals from Brookmeyer and Crowley (1982).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError


@dataclass(frozen=True, order=True)
class CensoredTime:
    """A time, or that it is later than the last one at which anybody looked.

    Attributes
    ----------
    value : float
        In steps; where it was not reached, the last step.
    reached : bool

    Examples
    --------
    >>> print(CensoredTime(1500, True), CensoredTime(20_000, False))
    1,500 > 20,000
    """

    value: float
    reached: bool = True

    def __str__(self) -> str:
        return f"{'' if self.reached else '> '}{self.value:,.0f}"

    def precedes(self, other: CensoredTime) -> bool:
        """Return whether it was reached, and the other one later or not at all; both were looked for equally long.

        Examples
        --------
        >>> never, late = CensoredTime(900, False), CensoredTime(500)
        >>> late.precedes(never), never.precedes(late), never.precedes(never), late.precedes(late)
        (True, False, False, False)
        """
        return self.reached and (not other.reached or self.value < other.value)


def lasting_onset(steps: ArrayLike, values: ArrayLike, level: float, lasting: int = 5) -> CensoredTime:
    """Return the first of several steps in a row at which a quantity is above a level.

    Parameters
    ----------
    steps, values : array_like, (n,)
        Of a curve through training, in ascending order.
    level : float
    lasting : int
        How many in a row; the clocks of arXiv:2605.10019 take 5.

    Returns
    -------
    CensoredTime
        Not reached where there are no so many in a row.

    Raises
    ------
    BumplabError
        If there are not as many steps as values, and at least one.

    Examples
    --------
    >>> print(lasting_onset([10, 20, 30, 40], [0.0, 0.95, 0.2, 0.97], 0.9, lasting=1))
    20
    >>> print(lasting_onset([10, 20, 30, 40], [0.0, 0.95, 0.2, 0.97], 0.9, lasting=2))
    > 40
    """
    steps, above = np.asarray(steps, dtype=float), np.asarray(values, dtype=float) > level
    if steps.shape != above.shape or steps.ndim != 1 or not len(steps) or lasting < 1:
        raise BumplabError(f"An onset needs as many steps as values, got {steps.shape} and {above.shape}.")
    run = 0
    for k, high in enumerate(above):
        run = run + 1 if high else 0
        if run == lasting:
            return CensoredTime(float(steps[k - lasting + 1]))
    return CensoredTime(float(steps[-1]), False)


@dataclass(frozen=True)
class MedianTime:
    """The median of times, some of them not reached, and its 95 % interval.

    Attributes
    ----------
    median : CensoredTime
    low, high : float
        Ends of the interval, in steps; infinity where the times do not say how late it may be.
    reached, n : int
        How many of how many were reached.

    Examples
    --------
    >>> print(censored_median([CensoredTime(100), CensoredTime(300), CensoredTime(900, False)]))
    300 [100, never], 2 of 3
    """

    median: CensoredTime
    low: float
    high: float
    reached: int
    n: int

    def __str__(self) -> str:
        low, high = (f"{end:,.0f}" if math.isfinite(end) else "never" for end in (self.low, self.high))
        return f"{self.median} [{low}, {high}], {self.reached} of {self.n}"


def survival_curve(times: Iterable[CensoredTime]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the estimate of Kaplan and Meier: the share that has not reached it yet, after each time.

    Parameters
    ----------
    times : iterable of CensoredTime, n

    Returns
    -------
    at : array, (k,)
        The different times, ascending.
    share : array, (k,)
        From there on.
    band : array, (2, k)
        Lower and upper end of its 95 % interval, by the complementary log-log transform.

    Raises
    ------
    BumplabError
        If there are no times.

    Examples
    --------
    >>> at, share, _ = survival_curve([CensoredTime(1), CensoredTime(2, False), CensoredTime(3), CensoredTime(4)])
    >>> at.tolist(), share.tolist()
    ([1.0, 2.0, 3.0, 4.0], [0.75, 0.75, 0.375, 0.0])
    """
    from scipy.stats import CensoredData, ecdf

    times = list(times)
    if not times:
        raise BumplabError("Give one time or more.")
    late = [each.value for each in times if not each.reached]
    survival = ecdf(CensoredData([each.value for each in times if each.reached], right=late)).sf
    share = np.asarray(survival.probabilities)
    with warnings.catch_warnings():  # where all or none are left there is no interval
        warnings.simplefilter("ignore", RuntimeWarning)
        ends = survival.confidence_interval(0.95, method="log-log")
    low, high = np.asarray(ends.low.probabilities), np.asarray(ends.high.probabilities)
    inner = (share > 0) & (share < 1)
    return np.asarray(survival.quantiles), share, np.where(inner, [low, high], [share, share])


def censored_median(times: Iterable[CensoredTime]) -> MedianTime:
    """Return the median of times, some of which were not reached, with its 95 % interval.

    Parameters
    ----------
    times : iterable of CensoredTime, n
        One for each seed.

    Returns
    -------
    MedianTime
        The median is not reached, and later than the last step, where half of the times are.

    Examples
    --------
    >>> print(censored_median([CensoredTime(100), CensoredTime(500, False), CensoredTime(500, False)]).median)
    > 500
    """
    times = list(times)
    at, share, band = survival_curve(times)

    def first(values: np.ndarray) -> float:
        below = at[values <= 0.5]
        return float(below[0]) if len(below) else math.inf

    middle = first(share)
    median = CensoredTime(middle) if math.isfinite(middle) else CensoredTime(float(at[-1]), False)
    return MedianTime(median, first(band[0]), first(band[1]), sum(each.reached for each in times), len(times))
