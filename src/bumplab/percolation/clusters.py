"""Clusters that grow while sites are filled one by one: union-find after Newman and Ziff, on a lattice and for discs.

One pass over the sites in random order gives the clusters at every number of filled sites at once. Each site
points to another of its cluster and knows the step that leads there, so that a cluster which meets itself after
going round a periodic lattice is noticed at once: the two ways then differ by a multiple of the side.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numba import get_num_threads, njit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bumplab.common.errors import BumplabError

_EMPTY = -(2**31)  # the parent of a site that is not filled; of a root, it is minus the size of its cluster
# A step (dx, dy) is one number, dx + _ROW dy: read from memory at once, and adding adds both. It is kept modulo 2^32,
# which does no harm: what has to be told from 0 are ways round the lattice, and those are a few sides long.
_ROW = 2**16
_LONGEST = 2**15 - 1  # side


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
    """

    largest: np.ndarray
    clusters: np.ndarray
    squares: np.ndarray
    spanning_counts: np.ndarray

    def share(self) -> np.ndarray:
        """Return the largest cluster's share of the filled sites, (n + 1,); 0 while there is none."""
        return self.largest / np.maximum(np.arange(len(self.largest)), 1)

    def finite(self) -> np.ndarray:
        """Return the sum of s^2 over the sizes s of all clusters but the largest, (n + 1,)."""
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

    Raises
    ------
    BumplabError
        If a site is not there or filled twice, or the neighbourhood does not fit the lattice.
    """
    order = np.ascontiguousarray(order, dtype=np.int64)
    offsets = _checked(shape, offsets, periodic)
    columns, rows = shape
    inside = order.ndim == 1 and (not order.size or 0 <= order.min() <= order.max() < columns * rows)
    if not inside or (order.size and np.bincount(order).max() > 1):
        raise BumplabError(f"The order names sites from 0 to {columns * rows - 1}, each at most once.")
    return Growth(*_grow(order, columns, rows, offsets, periodic, False, *_space(columns * rows, periodic)))


def first_wraps(shape: tuple[int, int], offsets: np.ndarray, realisations: int, seed: int = 0) -> np.ndarray:
    """Fill periodic lattices in random order until a cluster has gone round along x and one along y.

    As many threads work on it as PyTorch may use; the numbers do not depend on how many.

    Returns
    -------
    array (realisations, 2), int64
        Filled sites at that moment, for x and for y; see :class:`Growth`.
    """
    offsets, batch = _checked(shape, offsets, True), 500
    counts = [min(batch, realisations - start) for start in range(0, _many(realisations), batch)]
    seeds = np.random.SeedSequence(seed).generate_state(len(counts))
    with ThreadPoolExecutor(get_num_threads()) as threads:
        found = threads.map(lambda seed, count: _grow_many(seed, count, *shape, offsets), seeds, counts)
        return np.concatenate(list(found))


def first_wraps_of_discs(side: int, realisations: int, seed: int = 0) -> np.ndarray:
    """Drop points on a periodic square at random, linked at distances below 1, until clusters have gone round.

    Points at distances below 1 are the centres of discs of diameter 1 that overlap: the Poisson Boolean model.

    Parameters
    ----------
    side : int
        Side of the square, 8 or more.

    Returns
    -------
    array (realisations, 2), int64
        Points at the moment when a cluster had gone round along x, and along y.
    """
    if side < 8:
        raise BumplabError(f"The square of the discs has a side of 8 or more of their diameters, got {side}.")
    rng = np.random.default_rng(seed)
    points = 4 * side**2  # three times as many as it takes on average
    found = np.array([_grow_discs(side, side * rng.random((points, 2))) for _ in range(_many(realisations))])
    if found.max() > points:
        raise BumplabError(f"No cluster went round a square of side {side} with {points} points; take a larger side.")
    return found


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
    """
    filled = np.asarray(filled, dtype=bool)
    rows, columns = filled.shape
    y, x = np.nonzero(filled)
    ends = []
    for dx, dy in _checked((columns, rows), offsets, periodic):
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
    found = np.zeros(filled.shape, int)
    found[filled] = rank[number]
    return found


def _space(sites: int, periodic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return room for parents, steps and, on an open lattice, the edges that a root's cluster comes to.

    NumPy asks the system for large pages, which compiled code does not; that helps lattices of millions of sites.
    """
    return np.empty(sites, np.int32), np.empty(sites, np.int32), np.empty(0 if periodic else sites, np.uint8)


def _many(realisations: int) -> int:
    if realisations < 1:
        raise BumplabError(f"Take at least 1 realisation, got {realisations}.")
    return realisations


def _checked(shape: tuple[int, int], offsets: np.ndarray, periodic: bool) -> np.ndarray:
    """Return the offsets (z, 2), int64, if they are a neighbourhood that fits the lattice."""
    offsets = np.ascontiguousarray(offsets, dtype=np.int64).reshape(-1, 2)
    if not 1 <= min(shape) <= max(shape) <= _LONGEST:
        raise BumplabError(f"A lattice has 1 to {_LONGEST:,} columns and rows, got {shape[0]} and {shape[1]}.")
    steps = set(map(tuple, offsets.tolist()))
    if (0, 0) in steps or len(steps) < len(offsets) or {(-x, -y) for x, y in steps} != steps:
        raise BumplabError("A neighbourhood holds every step once and with it its opposite, but not (0, 0).")
    if periodic and (2 * np.abs(offsets) >= shape).any():
        raise BumplabError(
            f"On a periodic lattice of {shape[0]} x {shape[1]} sites every step is shorter than half a side, "
            f"got one of {np.abs(offsets).max()}."
        )
    return offsets


@njit(nogil=True)
def _find(parent, step, site):
    """Return the root of a site and the step to it, and let every site on the way point to the root."""
    above = parent[site]
    if above < 0:
        return site, 0
    if parent[above] < 0:  # most often: nothing to shorten
        return above, step[site]
    root, total = site, 0
    while parent[root] >= 0:
        total += step[root]
        root = parent[root]
    rest = total
    while site != root:
        above, way = parent[site], step[site]
        parent[site], step[site] = root, rest
        rest -= way
        site = above
    return root, total


@njit(nogil=True)
def _join(parent, step, one, other, gap):
    """Let the smaller of two roots, `other` at the step `gap` from `one`, point to the larger one.

    Return the larger one and the step to it from `one`.
    """
    both = parent[one] + parent[other]
    if parent[one] < parent[other]:
        parent[other], step[other] = one, -gap
        other, gap = one, 0
    else:
        parent[one], step[one] = other, gap
    parent[other] = both
    return other, gap


@njit(nogil=True)
def _note(first, gap, filled):
    """Note along which axes a way of step `gap` goes round."""
    dy = (gap + _ROW // 2) // _ROW
    if gap != dy * _ROW:
        first[0] = min(first[0], filled)
    if dy != 0:
        first[1] = min(first[1], filled)


@njit(nogil=True)
def _grow(order, columns, rows, offsets, periodic, race, parent, step, edges):
    """Return the four arrays of a Growth.

    In a race only the last of them counts: sites are shuffled as they are needed, until clusters went along both axes.
    """
    parent[:] = _EMPTY
    length = 1 if race else len(order) + 1
    largest, clusters, squares = np.zeros(length, np.int32), np.zeros(length, np.int32), np.zeros(length, np.int64)
    most = count = total = 0  # what these three say so far
    first = np.full(2, len(order) + 1)
    settled = not periodic  # no way round is left to be found, so that links within a cluster are no news
    far_x = far_y = 0
    for k in range(len(offsets)):
        far_x, far_y = max(far_x, offsets[k, 0]), max(far_y, offsets[k, 1])
    # What a step adds to the number of a site away from the edges, and the step as one number.
    ahead, ways = offsets[:, 0] + columns * offsets[:, 1], offsets[:, 0] + _ROW * offsets[:, 1]
    for n in range(len(order)):
        if race:
            other = n + int((len(order) - n) * np.random.random())
            order[n], order[other] = order[other], order[n]
        site, filled = order[n], n + 1
        x, y = site % columns, site // columns
        parent[site] = -1
        most, count, total = max(most, 1), count + 1, total + 1
        if not periodic:
            edges[site] = (2 * x < far_x) + 2 * (2 * (columns - 1 - x) < far_x)
            edges[site] += 4 * (2 * y < far_y) + 8 * (2 * (rows - 1 - y) < far_y)
        inner = far_x <= x < columns - far_x and far_y <= y < rows - far_y  # all steps stay inside
        root, to_root = site, 0  # of the new site
        for k in range(len(offsets)):
            other = site + ahead[k]
            if not inner:
                u, v = x + offsets[k, 0], y + offsets[k, 1]
                if periodic:
                    u += columns * ((u < 0) - (u >= columns))
                    v += rows * ((v < 0) - (v >= rows))
                elif u < 0 or v < 0 or u >= columns or v >= rows:
                    continue
                other = v * columns + u
            above = parent[other]
            if (above == _EMPTY) | (settled & (above == root)):
                continue
            top, to_top = _find(parent, step, other)
            gap = np.int32(ways[k] + to_top - to_root)
            if top != root:
                count, total = count - 1, total + 2 * np.int64(parent[root]) * np.int64(parent[top])
                if not periodic:
                    edges[root] = edges[top] = edges[root] | edges[top]
                root, gap = _join(parent, step, root, top, gap)
                most, to_root = max(most, -parent[root]), to_root + gap
            elif gap != 0:
                _note(first, gap, filled)
                settled = max(first[0], first[1]) <= filled
        if not periodic:
            touched = edges[root]
            if touched & 3 == 3:
                first[0] = min(first[0], filled)
            if touched & 12 == 12:
                first[1] = min(first[1], filled)
        if not race:
            largest[filled], clusters[filled], squares[filled] = most, count, total
        elif max(first[0], first[1]) <= filled:
            break
    return largest, clusters, squares, first


@njit(nogil=True)
def _grow_many(seed, realisations, columns, rows, offsets):
    """Return the outcomes (realisations, 2) of races on periodic lattices."""
    np.random.seed(seed)  # of this thread's generator in compiled code
    order, found = np.arange(columns * rows), np.zeros((realisations, 2), np.int64)
    parent, step, edges = np.empty(len(order), np.int32), np.empty(len(order), np.int32), np.empty(0, np.uint8)
    for k in range(realisations):  # shuffling a shuffled order again is as good as shuffling a new one
        found[k] = _grow(order, columns, rows, offsets, True, True, parent, step, edges)[3]
    return found


@njit(nogil=True)
def _grow_discs(side, points):
    """Return how many points it took to go round along x and along y; steps count cells of side 1."""
    cells = np.full((side, side), -1, np.int64)  # the last point of each cell; each point knows the one before it
    before, parent = np.full(len(points), -1, np.int64), np.full(len(points), -1, np.int32)
    step, first = np.zeros(len(points), np.int32), np.full(2, len(points) + 1)
    for n in range(len(points)):
        x, y = points[n]
        i, j = min(int(x), side - 1), min(int(y), side - 1)
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                u, v = (i + dx) % side, (j + dy) % side
                other = cells[v, u]
                while other >= 0:
                    away_x, away_y = points[other, 0] + i + dx - u - x, points[other, 1] + j + dy - v - y
                    if away_x**2 + away_y**2 < 1:
                        (root, to_root), (top, to_top) = _find(parent, step, n), _find(parent, step, other)
                        gap = np.int32(dx + _ROW * dy + to_top - to_root)
                        if top != root:
                            _join(parent, step, root, top, gap)
                        elif gap != 0:
                            _note(first, gap, n + 1)
                    other = before[other]
        before[n], cells[j, i] = cells[j, i], n
        if max(first[0], first[1]) <= n + 1:
            break
    return first
