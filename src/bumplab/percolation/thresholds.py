"""Where lattices and discs percolate: thresholds with error bars.

Thresholds come from the probability that a cluster goes round a periodic square along one axis. At the threshold
it is the same number for every neighbourhood and for discs, whatever the side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from bumplab.common.errors import BumplabError
from bumplab.percolation.clusters import first_wraps, first_wraps_of_discs
from bumplab.percolation.links import offsets_within

#: Probability at the threshold that a cluster goes round a periodic square along x (Pinson 1994).
CRITICAL_WRAPPING = 0.521058290
#: Mean number of discs that a disc overlaps at the threshold, 4 x 1.12808737 (Mertens and Moore 2012).
CRITICAL_DEGREE = 4.51234948


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error.

    Attributes
    ----------
    value, error : float
        In the same unit.

    Examples
    --------
    >>> Estimate(0.59, 0.01).value
    0.59
    """

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

    Examples
    --------
    >>> steps = offsets_within(1.1)  # four neighbours
    >>> sample = sample_wrapping(32, steps, realisations=100)
    >>> sample.spanning_counts.shape, sample.side
    ((100, 2), 32)
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
        """Return the probability that a cluster goes round along one given axis.

        Parameters
        ----------
        p : float
            Share of filled sites, or mean number of others that a disc overlaps.

        Returns
        -------
        Estimate
            0 to 1.

        Examples
        --------
        >>> steps = offsets_within(1.1)  # four neighbours
        >>> sample = sample_wrapping(32, steps, realisations=100)
        >>> [round(sample.probability(p).value, 2) for p in (0.4, 0.8)]
        [0.0, 1.0]
        """
        each = self._each(p)
        return Estimate(float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each))))

    def shares(self) -> np.ndarray:
        """Return the p of every realisation and axis at which its first cluster went round, (realisations, 2).

        Examples
        --------
        >>> WrappingSample(np.array([[50, 60]]), side=10).shares().tolist()
        [[0.5, 0.6]]
        """
        return self.spanning_counts / self.side**2 * (np.pi if self.discs else 1)

    def slope(self, p: float) -> float:
        """Return how fast the probability rises with p.

        Parameters
        ----------
        p : float
            As for :meth:`probability`.

        Examples
        --------
        >>> steps = offsets_within(1.1)  # four neighbours
        >>> small, large = (sample_wrapping(side, steps, realisations=100) for side in (16, 64))
        >>> small.slope(0.593) < large.slope(0.593)  # the larger the lattice, the sharper the threshold
        True
        """
        h = 0.1 * float(self.shares().std())
        return (self.probability(p + h).value - self.probability(p - h).value) / (2 * h)


def sample_wrapping(side: int, offsets: np.ndarray, realisations: int, seed: int = 0) -> WrappingSample:
    """Fill periodic square lattices until they wrap; see :func:`bumplab.percolation.clusters.first_wraps`.

    Parameters
    ----------
    side : int
        Columns and rows.
    offsets : array (z, 2), int
    realisations, seed : int

    Returns
    -------
    WrappingSample

    Examples
    --------
    >>> steps = offsets_within(1.1)  # four neighbours
    >>> round(float(sample_wrapping(32, steps, realisations=100).shares().mean()), 1)  # the threshold is 0.593
    0.6
    """
    return WrappingSample(first_wraps((side, side), offsets, realisations, seed), side)


def sample_disc_wrapping(side: int, realisations: int, seed: int = 0) -> WrappingSample:
    """Drop discs on periodic squares until they wrap; see :func:`bumplab.percolation.clusters.first_wraps_of_discs`.

    Parameters
    ----------
    side : int
        In diameters of a disc, 8 or more.
    realisations, seed : int

    Returns
    -------
    WrappingSample

    Examples
    --------
    >>> round(float(sample_disc_wrapping(16, realisations=20).shares().mean()))  # the threshold is 4.512
    5
    """
    return WrappingSample(first_wraps_of_discs(side, realisations, seed), side, discs=True)


def estimate_threshold(sample: WrappingSample) -> Estimate:
    """Return the p at which the probability of going round is the one that it has at the threshold.

    Its error from the finite side falls as side^(-11/4) on lattices (Newman and Ziff 2001), so that moderate sides do.

    Parameters
    ----------
    sample : WrappingSample

    Returns
    -------
    Estimate

    Raises
    ------
    BumplabError
        If the sample is too small to tell.

    Examples
    --------
    >>> steps = offsets_within(1.1)  # four neighbours
    >>> round(estimate_threshold(sample_wrapping(64, steps, realisations=200)).value, 2)  # 0.5927 exactly
    0.59
    """
    return _root(lambda p: sample.probability(p).value - CRITICAL_WRAPPING, [sample])


def crossing(small: WrappingSample, large: WrappingSample) -> tuple[Estimate, float]:
    """Return the p at which the probabilities of two sides are the same, and that probability.

    This needs no number from theory: it finds the threshold and the probability there.

    Parameters
    ----------
    small, large : WrappingSample
        Of different sides.

    Returns
    -------
    (Estimate, float)

    Raises
    ------
    BumplabError
        If the two curves do not cross.

    Examples
    --------
    >>> steps = offsets_within(1.1)  # four neighbours
    >>> at, probability = crossing(*(sample_wrapping(side, steps, realisations=500) for side in (16, 64)))
    >>> round(at.value, 2), round(probability, 1)  # theory says 0.52 at the threshold
    (0.59, 0.5)
    """
    at = _root(lambda p: large.probability(p).value - small.probability(p).value, [small, large])
    return at, large.probability(at.value).value


def _root(difference: Callable[[float], float], samples: Sequence[WrappingSample]) -> Estimate:
    """Return where a difference between the curves of `samples` rises through 0, with its error to first order."""
    middle = np.mean([each.shares().mean() for each in samples])
    spread = min(each.shares().std() for each in samples)
    low, high = max(middle - 2 * spread, 0.0), middle + 2 * spread
    if not difference(low) < 0 < difference(high):
        raise BumplabError("The wrapping probabilities do not cross; take more realisations, or sides further apart.")
    at: float = brentq(difference, low, high, xtol=1e-9)  # pyright: ignore[reportAssignmentType]
    noise = np.sqrt(sum(each.probability(at).error ** 2 for each in samples))
    slopes = [each.slope(at) for each in samples]
    return Estimate(at, float(noise / abs(slopes[-1] - (slopes[0] if len(samples) > 1 else 0))))


def thresholds_by_reach(
    largest: float, side: int = 128, realisations: int = 200, seed: int = 0
) -> dict[float, Estimate]:
    """Return the site threshold of every neighbourhood of the square lattice up to a reach of `largest` steps.

    The key is the distance of a neighbourhood's last shell: sites are linked up to and including it.

    Parameters
    ----------
    largest : float
        In steps of the lattice, 1 or more.
    side, realisations : int
        Of each lattice, and how many.
    seed : int
        Of the first neighbourhood; the others count on from there.

    Returns
    -------
    dict of float to Estimate

    Examples
    --------
    >>> thresholds = thresholds_by_reach(1.5, side=32, realisations=100)
    >>> {round(reach, 2): round(estimate.value, 1) for reach, estimate in thresholds.items()}
    {1.0: 0.6, 1.41: 0.4}
    """
    squares = np.unique(np.add.outer(np.arange(int(largest) + 1) ** 2, np.arange(int(largest) + 1) ** 2))[1:]
    return {
        float(np.sqrt(square)): estimate_threshold(
            sample_wrapping(side, offsets_within(float(np.sqrt(square + 0.5))), realisations, seed + k)
        )
        for k, square in enumerate(squares[squares <= largest**2])
    }
