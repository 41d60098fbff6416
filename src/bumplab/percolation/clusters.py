"""Clusters that grow while sites are filled one by one: union-find after Newman and Ziff, on a lattice and for discs.

One pass over the sites in random order gives the clusters at every number of filled sites at once, and notices when a
cluster has gone round a periodic lattice.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bumplab.common.errors import BumplabError, quote
from bumplab.percolation._union_find import MAX_SIDE, allocate, drop_discs, fill_sites, fill_until_wrapped

#: Most random fillings behind a curve.
MAX_REALISATIONS = 1_000_000
#: Largest side of a square of discs, in their diameters.
MAX_DISC_SIDE = 1_000
_BATCH = 500  # realisations that one thread runs from one seed


@dataclass(frozen=True, eq=False)
class Growth:
    """Clusters at every number n of filled sites, from 0 to all that were filled.

    Attributes
    ----------
    largest, clusters, squares : arrays (n + 1,), int
        Size of the largest cluster, number of clusters, and the sum of the squares of their sizes.
    spanning_counts : array (2,), int64
        Number of filled sites with which a cluster first went along x and along y all the way: round a periodic
        lattice, or from one edge to the opposite one of an open lattice, where it comes to both as near as half its
        longest step (with nearest neighbours, it touches them). One more than all sites if none did.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> growth = fill_lattice(np.array([0, 2, 1]), (3, 1), steps, periodic=False)  # 1 joins its two neighbours
    >>> growth.largest.tolist(), growth.clusters.tolist()
    ([0, 1, 1, 3], [0, 1, 2, 1])
    """

    largest: np.ndarray
    clusters: np.ndarray
    squares: np.ndarray
    spanning_counts: np.ndarray

    def share(self) -> np.ndarray:
        """Return the largest cluster's share of the filled sites, (n + 1,); 0 while there is none.

        Examples
        --------
        >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        >>> fill_lattice(np.array([0, 2, 1]), (3, 1), steps, periodic=False).share().tolist()
        [0.0, 1.0, 0.5, 1.0]
        """
        return self.largest / np.maximum(np.arange(len(self.largest)), 1)

    def finite(self) -> np.ndarray:
        """Return the sum of s^2 over the sizes s of all clusters but the largest, (n + 1,).

        Examples
        --------
        >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
        >>> fill_lattice(np.array([0, 2, 1]), (3, 1), steps, periodic=False).finite().tolist()
        [0.0, 0.0, 1.0, 0.0]
        """
        return self.squares - self.largest.astype(float) ** 2


def fill_lattice(order: np.ndarray, shape: tuple[int, int], offsets: np.ndarray, periodic: bool = True) -> Growth:
    """Fill sites of a lattice in a given order and follow the clusters.

    Parameters
    ----------
    order : array (n,), int
        Sites, each at most once. The site in column x and row y has number y * columns + x, as in
        :meth:`bumplab.worlds.bumps.BumpWorld.lattice`.
    shape : (int, int)
        Columns and rows.
    offsets : array (z, 2), int
        Steps (x, y) from a site to its neighbours; with a step, its opposite.
    periodic : bool
        Whether the lattice wraps round. Its sides are then more than twice as long as the longest step.

    Returns
    -------
    Growth

    Raises
    ------
    BumplabError
        If a site is not there or filled twice, or the neighbourhood does not fit the lattice.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> growth = fill_lattice(np.arange(9), (3, 3), steps)  # row by row
    >>> growth.spanning_counts.tolist()  # one row goes round along x; with the first site of the third, a column does
    [3, 7]
    """
    order = np.ascontiguousarray(order, dtype=np.int64)
    offsets = _validate_offsets(shape, offsets, periodic)
    columns, rows = shape
    inside = order.ndim == 1 and (not order.size or 0 <= order.min() <= order.max() < columns * rows)
    if not inside or (order.size and np.bincount(order).max() > 1):
        raise BumplabError(f"The order names sites from 0 to {columns * rows - 1}, each at most once.")
    return Growth(*fill_sites(order, columns, rows, offsets, periodic, False, *allocate(columns * rows, periodic)))


def first_wraps(shape: tuple[int, int], offsets: np.ndarray, realisations: int, seed: int = 0) -> np.ndarray:
    """Fill periodic lattices in random order until a cluster has gone round along x and one along y.

    As many threads work on it as Numba may use; the numbers do not depend on how many.

    Parameters
    ----------
    shape : (int, int)
        Columns and rows.
    offsets : array (z, 2), int
        See :func:`fill_lattice`.
    realisations : int
        1 to a million.
    seed : int

    Returns
    -------
    array (realisations, 2), int64
        Filled sites at that moment, for x and for y; see :class:`Growth`.

    Raises
    ------
    BumplabError
        If the neighbourhood does not fit the lattice, or for fewer than one realisation.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> counts = first_wraps((32, 32), steps, realisations=100)
    >>> counts.shape, round(float(counts.mean()) / 32**2, 1)  # near the threshold, 0.593
    ((100, 2), 0.6)
    """
    offsets = _validate_offsets(shape, offsets, True)
    sizes = [min(_BATCH, realisations - start) for start in range(0, _validate_count(realisations), _BATCH)]
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes))
    with ThreadPoolExecutor(get_num_threads()) as threads:
        batches = threads.map(lambda seed, size: fill_until_wrapped(seed, size, *shape, offsets), seeds, sizes)
        return np.concatenate(list(batches))


def first_wraps_of_discs(side: int, realisations: int, seed: int = 0) -> np.ndarray:
    """Drop points on a periodic square at random, linked at distances below 1, until clusters have gone round.

    Points at distances below 1 are the centres of discs of diameter 1 that overlap: the Poisson Boolean model.

    Parameters
    ----------
    side : int
        Side of the square in diameters of a disc, 8 to 1,000.
    realisations : int
        1 to a million.
    seed : int

    Returns
    -------
    array (realisations, 2), int64
        Points at the moment when a cluster had gone round along x, and along y.

    Raises
    ------
    BumplabError
        For a smaller side, fewer than one realisation, or a square in which no cluster goes round.

    Examples
    --------
    >>> counts = first_wraps_of_discs(16, realisations=20)
    >>> counts.shape, round(float(counts.mean()) / 16**2, 1)  # near the threshold, 1.436 discs per unit of area
    ((20, 2), 1.4)
    """
    if not 8 <= side <= MAX_DISC_SIDE:
        raise BumplabError(
            f"The square of the discs has a side of 8 to {MAX_DISC_SIDE:,} of their diameters, got {quote(side)}."
        )
    rng = np.random.default_rng(seed)
    points = 4 * side**2  # three times as many as it takes on average
    counts = np.array([drop_discs(side, side * rng.random((points, 2))) for _ in range(_validate_count(realisations))])
    if counts.max() > points:
        raise BumplabError(f"No cluster went round a square of side {side} with {points} points; take a larger side.")
    return counts


def label_clusters(filled: np.ndarray, offsets: np.ndarray, periodic: bool = True) -> np.ndarray:
    """Return the clusters of a lattice as it stands: 0 where it is empty, 1 in the largest cluster, 2 in the next.

    Parameters
    ----------
    filled : array (rows, columns), bool
    offsets, periodic
        See :func:`fill_lattice`.

    Returns
    -------
    array (rows, columns), int
        Clusters of one size are numbered in the order of their first sites.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> label_clusters(np.array([[True, False, True], [False, False, True]]), steps, periodic=False).tolist()
    [[2, 0, 1], [0, 0, 1]]
    """
    filled = np.asarray(filled, dtype=bool)
    rows, columns = filled.shape
    y, x = np.nonzero(filled)
    ends = []
    for dx, dy in _validate_offsets((columns, rows), offsets, periodic):
        u, v = x + dx, y + dy
        inside = np.ones(len(x), bool) if periodic else (0 <= u) & (u < columns) & (0 <= v) & (v < rows)
        u, v = u % columns, v % rows
        linked = inside & filled[v, u]
        ends.append(np.stack([(y * columns + x)[linked], (v * columns + u)[linked]]))
    a, b = np.concatenate(ends, axis=1) if ends else np.empty((2, 0), int)
    graph = coo_array((np.ones(len(a), bool), (a, b)), shape=(filled.size, filled.size))
    number = connected_components(graph, directed=False)[1][filled.ravel()]
    _, at, number, sizes = np.unique(number, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), int)
    rank[np.lexsort((at, -sizes))] = 1 + np.arange(len(sizes))
    labels = np.zeros(filled.shape, int)
    labels[filled] = rank[number]
    return labels


def _validate_count(realisations: int) -> int:
    if not 1 <= realisations <= MAX_REALISATIONS:
        raise BumplabError(f"Take 1 to {MAX_REALISATIONS:,} realisations, got {quote(realisations)}.")
    return realisations


def _validate_offsets(shape: tuple[int, int], offsets: np.ndarray, periodic: bool) -> np.ndarray:
    """Return the offsets (z, 2), int64, if they are a neighbourhood that fits the lattice."""
    offsets = np.ascontiguousarray(offsets, dtype=np.int64).reshape(-1, 2)
    if not 1 <= min(shape) <= max(shape) <= MAX_SIDE:
        raise BumplabError(f"A lattice has 1 to {MAX_SIDE:,} columns and rows, got {quote(tuple(shape))}.")
    steps = set(map(tuple, offsets.tolist()))
    if (0, 0) in steps or len(steps) < len(offsets) or {(-x, -y) for x, y in steps} != steps:
        raise BumplabError("A neighbourhood holds every step once and with it its opposite, but not (0, 0).")
    if periodic and (2 * np.abs(offsets) >= shape).any():
        raise BumplabError(
            f"On a periodic lattice of {shape[0]} x {shape[1]} sites every step is shorter than half a side, "
            f"got one of {np.abs(offsets).max()}."
        )
    return offsets
