"""What several seeds say together: intervals, ranges, rows; and proportions with Wilson intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError


@dataclass(frozen=True)
class Proportion:
    """A share with its 95 % Wilson interval, and the number of cases behind it.

    Attributes
    ----------
    value, low, high : float
        The share and the ends of its interval, 0 to 1.
    n : int
        Cases.

    Examples
    --------
    >>> print(Proportion(0.5, 0.25, 0.75, n=10))
    0.500 [0.250, 0.750]
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Proportion:
    """Return a share and its Wilson score interval (Wilson 1927); n = 0 gives NaN and the interval [0, 1].

    Parameters
    ----------
    successes : int
        0 to `n`.
    n : int
        Cases.
    confidence : float
        Above 0 and below 1.

    Returns
    -------
    Proportion
        Its interval ends at 0 for no success and at 1 for no failure.

    Examples
    --------
    >>> print(wilson_interval(10, 10))  # ten of ten do not prove that the next is right
    1.000 [0.722, 1.000]
    """
    if n == 0:
        return Proportion(float("nan"), 0.0, 1.0, 0)
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Proportion(p, 0.0 if successes == 0 else low, 1.0 if successes == n else high, n)


def t_interval(values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> tuple[float, float, float]:
    """Return a mean and the two ends of its 95 % Student interval.

    Parameters
    ----------
    values : array_like, (n,)
        One for each seed. A single one has no interval: both ends are the value.
    low, high : float
        What the quantity cannot go below or above, such as 0 and 1 for a share: the interval ends there.

    Returns
    -------
    (float, float, float)
        Mean, lower end, upper end.

    Examples
    --------
    >>> t_interval([0.2, 0.8], low=0, high=1)  # two seeds say little
    (0.5, 0.0, 1.0)
    """
    from scipy import stats

    data = np.asarray(values, dtype=float)
    half = stats.t.ppf(0.975, data.size - 1) * stats.sem(data) if data.size > 1 else 0.0
    ends = np.clip([data.mean() - half, data.mean() + half], low, high)
    return float(data.mean()), float(ends[0]), float(ends[1])


def format_mean_ci(values: Sequence[float], high: float = 1.0) -> str:
    """Return ``"0.77 [0.58, 0.97]"``, a mean with its interval within 0 and `high`; for one value, the value.

    Parameters
    ----------
    values : sequence of float, (n,)
        One for each seed, 0 or more.
    high : float
        What the quantity cannot go above, such as 1 for a share.

    Examples
    --------
    >>> format_mean_ci([0.5, 0.7, 0.9])
    '0.70 [0.20, 1.00]'
    """
    mean, *ends = t_interval(values, 0, high)
    return f"{mean:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]" if len(values) > 1 else f"{mean:.2f}"


def format_mean_range(values: Sequence[float], digits: int = 2) -> str:
    """Return ``"0.77 (0.59 to 1.00)"``, a mean and, in brackets, the range.

    Values that are not finite are left out; for one value that is left, the value, for none ``"-"``.

    Parameters
    ----------
    values : sequence of float, (n,)
    digits : int
        After the point.

    Examples
    --------
    >>> format_mean_range([0.5, 1.0, float("nan")])
    '0.75 (0.50 to 1.00)'
    """
    finite = [value for value in values if np.isfinite(value)]
    if len(finite) < 2:
        return f"{finite[0]:.{digits}f}" if finite else "-"
    return f"{np.mean(finite):.{digits}f} ({min(finite):.{digits}f} to {max(finite):.{digits}f})"


def print_table(rows: Sequence[Sequence], width: int) -> None:
    """Print rows: the first column as wide as it must be, flush left, the others `width` wide, flush right.

    Parameters
    ----------
    rows : sequence of sequences
        The first cell of each is text.
    width : int
        In characters.

    Examples
    --------
    >>> print_table([("network", "accuracy"), ("quick", 0.99)], width=10)
    network  accuracy
    quick        0.99
    """
    first = max(len(row[0]) for row in rows)
    print("\n".join(f"{row[0]:{first}}" + "".join(f"{cell:>{width}}" for cell in row[1:]) for row in rows))


def variance_shares(values: np.ndarray) -> dict[str, float]:
    """Split the variance of a full table of two factors with replication: a two-way analysis of variance.

    Parameters
    ----------
    values : array, (a, b, n)
        n replications, such as seeds, for each of a x b combinations.

    Returns
    -------
    dict
        Shares of the sum of squares, which add up to 1: ``"first"`` and ``"second"``, the two factors by themselves;
        ``"both"``, what depends on their combination; ``"rest"``, what differs between replications.

    Raises
    ------
    BumplabError
        For another shape, a number that is not finite, or values that are all the same but for rounding.

    Examples
    --------
    >>> variance_shares(np.array([[[1.0, 1.0], [2.0, 2.0]], [[3.0, 3.0], [4.0, 4.0]]]))
    {'first': 0.8, 'second': 0.2, 'both': 0.0, 'rest': 0.0}
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 3 or not table.size or not np.isfinite(table).all():
        raise BumplabError(f"An analysis of variance needs finite numbers (a, b, n), got shape {table.shape}.")
    centred = table - table.mean()
    total = (centred**2).sum()
    if np.abs(centred).max() <= 1e-12 * np.abs(table).max():  # the mean of equal numbers is rounded
        raise BumplabError("All values are the same, so there is no variance to split.")
    cells = centred.mean(axis=2)
    first, second = cells.mean(axis=1, keepdims=True), cells.mean(axis=0, keepdims=True)
    squares = {
        "first": (np.broadcast_to(first, cells.shape) ** 2).sum(),
        "second": (np.broadcast_to(second, cells.shape) ** 2).sum(),
        "both": ((cells - first - second) ** 2).sum(),
    }
    shares = {name: round(float(square * table.shape[2] / total), 12) for name, square in squares.items()}
    return shares | {"rest": round(float(((centred - cells[..., None]) ** 2).sum() / total), 12)}
