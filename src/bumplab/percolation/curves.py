"""Percolation curves over the share of the lattice that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.sparse import csr_array

from bumplab.common.errors import BumplabError, quote
from bumplab.percolation.clusters import fill_lattice


@dataclass(frozen=True, eq=False)
class PercolationCurves:
    """What clusters do at shares p of filled sites, one row for each realisation.

    Every site is filled with probability p on its own: the canonical average, a binomial convolution over the number of
    filled sites.

    Attributes
    ----------
    p : array (k,)
    share : array (realisations, k)
        The largest cluster's share of the filled sites.
    susceptibility : array (realisations, k)
        Mean size of the finite clusters: the sum of s^2 over all clusters but the largest, per site of the lattice.
        This is the size that a random site sees, 0 where the site is empty or in the largest cluster.
    clusters : array (realisations, k)
        Number of clusters, per site of the lattice.
    crossing : array (realisations, k)
        Probability that a cluster goes all the way along x, see :class:`bumplab.percolation.clusters.Growth`.
    shape : (int, int)
        Columns and rows.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> curves = percolation_curves(8, steps, [0.0, 0.5, 1.0], realisations=5)
    >>> curves.share.shape, curves.clusters[:, [0, -1]].mean(axis=0).tolist()  # no cluster, and one on 64 sites
    ((5, 3), [0.0, 0.015625])
    """

    p: np.ndarray
    share: np.ndarray
    susceptibility: np.ndarray
    clusters: np.ndarray
    crossing: np.ndarray
    shape: tuple[int, int]

    def mean(self, name: str) -> np.ndarray:
        """Return the mean over realisations of one of the curves, (k,).

        Parameters
        ----------
        name : {"share", "susceptibility", "clusters", "crossing"}

        Examples
        --------
        >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        >>> percolation_curves(8, steps, [0.0, 1.0], realisations=5).mean("share").tolist()
        [0.0, 1.0]
        """
        return getattr(self, name).mean(axis=0)

    def interval(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the 95 % Student interval of that mean, (k,) each.

        Parameters
        ----------
        name : {"share", "susceptibility", "clusters", "crossing"}

        Examples
        --------
        >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        >>> curves = percolation_curves(8, steps, [0.5], realisations=5)
        >>> low, high = curves.interval("share")
        >>> bool(low < curves.mean("share") < high)
        True
        """
        values = getattr(self, name)
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
        return values.mean(axis=0) - half, values.mean(axis=0) + half


def percolation_curves(
    shape: int | tuple[int, int],
    offsets: np.ndarray,
    p: Sequence[float] | np.ndarray,
    realisations: int = 20,
    periodic: bool = True,
    seed: int = 0,
) -> PercolationCurves:
    """Fill lattices in random order and return what their clusters do, as curves over the share p.

    Parameters
    ----------
    shape : int or (int, int)
        Side of a square lattice, or its columns and rows.
    offsets, periodic
        See :func:`bumplab.percolation.clusters.fill_lattice`.
    p : sequence of float
        Shares from 0 to 1.
    realisations : int
        2 or more.
    seed : int

    Returns
    -------
    PercolationCurves

    Raises
    ------
    BumplabError
        If a share lies outside of 0 to 1, there are fewer than two realisations, or the neighbourhood does not fit the
        lattice.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> percolation_curves(16, steps, [0.2, 0.9], realisations=5).mean("crossing").round(2).tolist()
    [0.0, 1.0]
    """
    shape = tuple(np.broadcast_to(shape, 2).tolist())
    p, sites, rng = np.asarray(p, dtype=float), shape[0] * shape[1], np.random.default_rng(seed)
    if realisations < 2:
        raise BumplabError(f"Intervals need at least 2 realisations, got {quote(realisations)}.")
    weights = binomial_weights(sites, p)
    rows, first = [], []
    for _ in range(realisations):
        growth = fill_lattice(rng.permutation(sites), shape, offsets, periodic)
        micro = np.stack([growth.share(), growth.finite() / sites, growth.clusters / sites], axis=1)
        rows.append((weights @ micro).T)
        first.append(stats.binom.sf(growth.spanning_counts[0] - 1, sites, p))
    share, susceptibility, number = np.array(rows).swapaxes(0, 1)
    return PercolationCurves(p, share, susceptibility, number, np.array(first), shape)


def binomial_weights(sites: int, p: np.ndarray) -> csr_array:
    """Return the probabilities (k, sites + 1) of every number of filled sites, for filling each with probability p.

    What lies more than eight standard deviations from the mean is left out; rows sum to 1.

    Parameters
    ----------
    sites : int
    p : array (k,)
        0 to 1.

    Returns
    -------
    scipy.sparse.csr_array, (k, sites + 1)

    Raises
    ------
    BumplabError
        If a probability lies outside of 0 to 1.

    Examples
    --------
    >>> binomial_weights(2, np.array([0.5])).toarray().round(4).tolist()
    [[0.25, 0.5, 0.25]]
    """
    p = np.asarray(p, dtype=float)
    if p.ndim != 1 or not ((0 <= p) & (p <= 1)).all():
        raise BumplabError("Shares of filled sites are numbers from 0 to 1.")
    reach = 8 * np.sqrt(sites * p * (1 - p)) + 8
    low, high = np.clip(sites * p + np.outer([-1, 1], reach), 0, sites).astype(int)
    columns = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    values = [stats.binom.pmf(n, sites, each) for n, each in zip(columns, p, strict=True)]
    values = np.concatenate([v / v.sum() for v in values])
    starts = np.concatenate([[0], np.cumsum(high - low + 1)])
    return csr_array((values, np.concatenate(columns), starts), shape=(len(p), sites + 1))
