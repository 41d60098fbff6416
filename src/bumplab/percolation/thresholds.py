"""Where lattices and discs percolate: thresholds with error bars, finite-size scaling and data collapse.

Thresholds come from the probability that a cluster goes round a periodic square along one axis. At the threshold
it is the same number for every neighbourhood and for discs, whatever the side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from bumplab.common.errors import BumplabError
from bumplab.percolation.clusters import first_wraps, first_wraps_of_discs
from bumplab.percolation.curves import PercolationCurves
from bumplab.percolation.links import offsets_within

#: Probability at the threshold that a cluster goes round a periodic square along x (Pinson 1994).
CRITICAL_WRAPPING = 0.521058290
#: Exponents in two dimensions: of the correlation length, the largest cluster, and the susceptibility.
NU, BETA, GAMMA = 4 / 3, 5 / 36, 43 / 18
#: Mean number of discs that a disc overlaps at the threshold, 4 x 1.12808737 (Mertens and Moore 2012).
CRITICAL_DEGREE = 4.51234948


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.5f} ± {self.error:.5f}"


@dataclass(frozen=True, eq=False)
class WrappingSample:
    """How many sites, or discs, it took until a cluster had gone round a periodic square, in many realisations.

    Attributes
    ----------
    spanning_counts : array (realisations, 2), int
        For going round along x and along y.
    side : int
    discs : bool
        False: sites of a lattice, each filled with probability p. True: a Poisson number of discs of diameter 1, and p
        is the mean number of others that a disc overlaps.
    """

    spanning_counts: np.ndarray
    side: int
    discs: bool = False

    @cached_property
    def _counted(self) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(self.spanning_counts, return_inverse=True)

    def _each(self, p: float) -> np.ndarray:
        """Return the probability of wrapping at p in each realisation, the mean of both axes, (realisations,)."""
        taken, where = self._counted
        if self.discs:
            values = stats.poisson.sf(taken - 1, p / np.pi * self.side**2)
        else:
            values = stats.binom.sf(taken - 1, self.side**2, p)
        return values[where].reshape(self.spanning_counts.shape).mean(axis=1)

    def probability(self, p: float) -> Estimate:
        """Return the probability that a cluster goes round along one given axis."""
        each = self._each(p)
        return Estimate(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))))

    def shares(self) -> np.ndarray:
        """Return the p of every realisation and axis at which its first cluster went round, (realisations, 2)."""
        return self.spanning_counts / self.side**2 * (np.pi if self.discs else 1)

    def slope(self, p: float) -> float:
        """Return how fast the probability rises with p."""
        h = 0.1 * float(self.shares().std())
        return (self.probability(p + h).value - self.probability(p - h).value) / (2 * h)


def sample_wrapping(side: int, offsets: np.ndarray, realisations: int, seed: int = 0) -> WrappingSample:
    """Fill periodic square lattices until they wrap; see :func:`bumplab.percolation.clusters.first_wraps`."""
    return WrappingSample(first_wraps((side, side), offsets, realisations, seed), side)


def sample_disc_wrapping(side: int, realisations: int, seed: int = 0) -> WrappingSample:
    """Drop discs on periodic squares until they wrap; see :func:`bumplab.percolation.clusters.first_wraps_of_discs`."""
    return WrappingSample(first_wraps_of_discs(side, realisations, seed), side, discs=True)


def estimate_threshold(found: WrappingSample) -> Estimate:
    """Return the p at which the probability of going round is the one that it has at the threshold.

    Its error from the finite side falls as side^(-11/4) on lattices (Newman and Ziff 2001), so that moderate sides do.
    """
    return _root(lambda p: found.probability(p).value - CRITICAL_WRAPPING, [found])


def crossing(small: WrappingSample, large: WrappingSample) -> tuple[Estimate, float]:
    """Return the p at which the probabilities of two sides are the same, and that probability.

    This needs no number from theory: it finds the threshold and the probability there.
    """
    at = _root(lambda p: large.probability(p).value - small.probability(p).value, [small, large])
    return at, large.probability(at.value).value


def _root(difference, found: list[WrappingSample]) -> Estimate:
    """Return where a difference between the curves of `found` rises through 0, with its error to first order."""
    middle = np.mean([each.shares().mean() for each in found])
    spread = min(each.shares().std() for each in found)
    low, high = max(middle - 2 * spread, 0.0), middle + 2 * spread
    if not difference(low) < 0 < difference(high):
        raise BumplabError("The wrapping probabilities do not cross; take more realisations, or sides further apart.")
    at = float(brentq(difference, low, high, xtol=1e-9))
    noise = np.sqrt(sum(each.probability(at).error ** 2 for each in found))
    slopes = [each.slope(at) for each in found]
    return Estimate(at, float(noise / abs(slopes[-1] - (slopes[0] if len(found) > 1 else 0))))


def extrapolate(found: Sequence[WrappingSample]) -> tuple[Estimate, float]:
    """Return the threshold by finite-size scaling, and chi^2 per degree of freedom (NaN for two sides).

    The mean p at which clusters go round differs from the threshold by an amount that falls as side^(-1 / nu). A line
    through the means over side^(-3/4), weighted by their errors, meets 0 at the threshold.

    Raises
    ------
    BumplabError
        For fewer than two different sides.
    """
    sides = np.array([each.side for each in found], dtype=float)
    if len(set(sides)) < 2:
        raise BumplabError("Finite-size scaling needs two or more different sides.")
    each = [f.shares().mean(axis=1) for f in found]
    means, errors = np.array([(e.mean(), e.std(ddof=1) / np.sqrt(len(e))) for e in each]).T
    design = np.stack([np.ones_like(sides), sides ** (-1 / NU)], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    best = covariance @ design.T @ (means / errors)
    freedom = len(sides) - 2
    chi2 = float(((means / errors - design @ best) ** 2).sum() / freedom) if freedom else float("nan")
    return Estimate(float(best[0]), float(np.sqrt(covariance[0, 0]))), chi2


def collapse(found: PercolationCurves, name: str, critical: float, nu: float = NU, power: float | None = None):
    """Return a curve in scaled axes, where lattices of all sizes fall onto one line near the threshold.

    Parameters
    ----------
    found : PercolationCurves
        Of a square lattice.
    name : {"share", "susceptibility", "crossing"}
    critical : float
        The threshold.
    nu : float
        Exponent of the correlation length.
    power : float, optional
        The curve is multiplied by side^power. Unless given, it is what theory says: 5/48 for the share (beta / nu),
        -43/24 for the susceptibility (-gamma / nu), 0 for the crossing probability.

    Returns
    -------
    (array (k,), array (k,))
        (p - critical) side^(1 / nu), and the mean curve times side^power.
    """
    if power is None:
        power = {"share": BETA / NU, "susceptibility": -GAMMA / NU, "crossing": 0.0}[name]
    side = float(np.sqrt(found.shape[0] * found.shape[1]))
    return (found.p - critical) * side ** (1 / nu), found.mean(name) * side**power


def collapse_error(lines: Sequence[tuple[np.ndarray, np.ndarray]], reach: float = 1.0) -> float:
    """Return how far scaled curves lie apart: their mean standard deviation over their range; 0 is one line for all.

    Both are taken for x from -`reach` to `reach`; the range is that of the mean curve.
    """
    grid = np.linspace(-reach, reach, 41)
    if any(x[0] > -reach or x[-1] < reach for x, _ in lines):
        raise BumplabError(f"Every curve has to reach from -{reach:g} to {reach:g} on the scaled axis.")
    values = np.array([np.interp(grid, x, y) for x, y in lines])
    return float(values.std(axis=0).mean() / np.ptp(values.mean(axis=0)))


def thresholds_by_reach(
    largest: float, side: int = 128, realisations: int = 200, seed: int = 0
) -> dict[float, Estimate]:
    """Return the site threshold of every neighbourhood of the square lattice up to a reach of `largest` steps.

    The key is the distance of a neighbourhood's last shell: sites are linked up to and including it.
    """
    squares = np.unique(np.add.outer(np.arange(int(largest) + 1) ** 2, np.arange(int(largest) + 1) ** 2))[1:]
    return {
        float(np.sqrt(square)): estimate_threshold(
            sample_wrapping(side, offsets_within(float(np.sqrt(square + 0.5))), realisations, seed + k)
        )
        for k, square in enumerate(squares[squares <= largest**2])
    }
