"""What several seeds say together: intervals, ranges, rows; and proportions with Wilson intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.stats import norm


@dataclass(frozen=True)
class Proportion:
    """A share with its 95 % Wilson interval, and the number of cases behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Proportion:
    """Return a share and its Wilson score interval (Wilson 1927); n = 0 gives NaN and the interval [0, 1]."""
    if n == 0:
        return Proportion(float("nan"), 0.0, 1.0, 0)
    z, p = norm.ppf((1 + confidence) / 2), successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Proportion(p, 0.0 if successes == 0 else low, 1.0 if successes == n else high, n)


def t_interval(values: Sequence[float], low: float = -np.inf, high: float = np.inf) -> tuple[float, float, float]:
    """Return a mean and the two ends of its 95 % Student interval.

    Parameters
    ----------
    values : sequence of float, (n,)
        One for each seed. A single one has no interval: both ends are the value.
    low, high : float
        What the quantity cannot go below or above, such as 0 and 1 for a share: the interval ends there.
    """
    data = np.asarray(values, dtype=float)
    half = stats.t.ppf(0.975, data.size - 1) * stats.sem(data) if data.size > 1 else 0.0
    ends = np.clip([data.mean() - half, data.mean() + half], low, high)
    return float(data.mean()), float(ends[0]), float(ends[1])


def format_mean_ci(values: Sequence[float], high: float = 1.0) -> str:
    """Return ``"0.77 [0.58, 0.97]"``, a mean with its interval within 0 and `high`; for one value, the value."""
    mean, *ends = t_interval(values, 0, high)
    return f"{mean:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]" if len(values) > 1 else f"{mean:.2f}"


def format_mean_range(values: Sequence[float], digits: int = 2) -> str:
    """Return ``"0.77 (0.59 to 1.00)"``, a mean and, in brackets, the range.

    Values that are not finite are left out; for one value that is left, the value, for none ``"-"``.
    """
    known = [value for value in values if np.isfinite(value)]
    if len(known) < 2:
        return f"{known[0]:.{digits}f}" if known else "-"
    return f"{np.mean(known):.{digits}f} ({min(known):.{digits}f} to {max(known):.{digits}f})"


def print_table(rows: Sequence[Sequence], width: int) -> None:
    """Print rows: the first column as wide as it must be, flush left, the others `width` wide, flush right."""
    first = max(len(row[0]) for row in rows)
    print("\n".join(f"{row[0]:{first}}" + "".join(f"{cell:>{width}}" for cell in row[1:]) for row in rows))
