"""Union-find in compiled code: clusters on lattices and of discs that know which way each site is from its root.

Each site points to another of its cluster and holds the step that leads there, so that a cluster which meets itself
after going round a periodic lattice is noticed at once: the two ways then differ by a multiple of the side.
"""

# numba compiles these for the types that come; annotations say what they mean, not what numpy calls them.
# pyright: reportArgumentType=false, reportReturnType=false
from __future__ import annotations

import numpy as np
from numba import njit

_EMPTY = -(2**31)  # the parent of a site that is not filled; of a root, it is minus the size of its cluster
# A step (dx, dy) is one number, dx + _ROW dy: read from memory at once, and adding adds both. It is kept modulo 2^32,
# which does no harm: what has to be told from 0 are ways round the lattice, and those are a few sides long.
_ROW = 2**16
#: Longest side of a lattice, so that two sides fit into one such number.
MAX_SIDE = 2**15 - 1


def allocate(sites: int, periodic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return room for parents, steps and, on an open lattice, the edges that a root's cluster comes to.

    NumPy asks the system for large pages, which compiled code does not; that helps lattices of millions of sites.
    """
    return np.empty(sites, np.int32), np.empty(sites, np.int32), np.empty(0 if periodic else sites, np.uint8)


@njit(nogil=True)
def find_root(parent: np.ndarray, step: np.ndarray, site: int) -> tuple[int, int]:
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
def union(parent: np.ndarray, step: np.ndarray, one: int, other: int, gap: int) -> tuple[int, int]:
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
def record_wrap(first: np.ndarray, gap: int, filled: int) -> None:
    """Record along which axes a way of step `gap` goes round, unless one did with fewer sites."""
    dy = (gap + _ROW // 2) // _ROW
    if gap != dy * _ROW:
        first[0] = min(first[0], filled)
    if dy != 0:
        first[1] = min(first[1], filled)


@njit(nogil=True)
def fill_sites(
    order: np.ndarray,
    columns: int,
    rows: int,
    offsets: np.ndarray,
    periodic: bool,
    until_wrapped: bool,
    parent: np.ndarray,
    step: np.ndarray,
    edges: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the four arrays of a Growth.

    With `until_wrapped` only the last of them counts: sites are shuffled as they are needed, until clusters went along
    both axes. `parent`, `step` and `edges` are the room of :func:`allocate`.
    """
    parent[:] = _EMPTY
    length = 1 if until_wrapped else len(order) + 1
    largest, clusters, squares = np.zeros(length, np.int32), np.zeros(length, np.int32), np.zeros(length, np.int64)
    most = count = total = 0  # what these three say so far
    first = np.full(2, len(order) + 1)
    settled = not periodic  # no way round is left to be looked for, so that links within a cluster are no news
    far_x = far_y = 0
    for k in range(len(offsets)):
        far_x, far_y = max(far_x, offsets[k, 0]), max(far_y, offsets[k, 1])
    # What a step adds to the number of a site away from the edges, and the step as one number.
    ahead, ways = offsets[:, 0] + columns * offsets[:, 1], offsets[:, 0] + _ROW * offsets[:, 1]
    for n in range(len(order)):
        if until_wrapped:
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
            top, to_top = find_root(parent, step, other)
            gap = np.int32(ways[k] + to_top - to_root)
            if top != root:
                count, total = count - 1, total + 2 * np.int64(parent[root]) * np.int64(parent[top])
                if not periodic:
                    edges[root] = edges[top] = edges[root] | edges[top]
                root, gap = union(parent, step, root, top, gap)
                most, to_root = max(most, -parent[root]), to_root + gap
            elif gap != 0:
                record_wrap(first, gap, filled)
                settled = max(first[0], first[1]) <= filled
        if not periodic:
            touched = edges[root]
            if touched & 3 == 3:
                first[0] = min(first[0], filled)
            if touched & 12 == 12:
                first[1] = min(first[1], filled)
        if not until_wrapped:
            largest[filled], clusters[filled], squares[filled] = most, count, total
        elif max(first[0], first[1]) <= filled:
            break
    return largest, clusters, squares, first


@njit(nogil=True)
def fill_until_wrapped(seed: int, realisations: int, columns: int, rows: int, offsets: np.ndarray) -> np.ndarray:
    """Return how many sites of periodic lattices it took to go round along x and y, (realisations, 2)."""
    np.random.seed(seed)  # of this thread's generator in compiled code
    order, counts = np.arange(columns * rows), np.zeros((realisations, 2), np.int64)
    parent, step, edges = np.empty(len(order), np.int32), np.empty(len(order), np.int32), np.empty(0, np.uint8)
    for k in range(realisations):  # shuffling a shuffled order again is as good as shuffling a new one
        counts[k] = fill_sites(order, columns, rows, offsets, True, True, parent, step, edges)[3]
    return counts


@njit(nogil=True)
def drop_discs(side: int, points: np.ndarray) -> np.ndarray:
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
                        (root, to_root), (top, to_top) = find_root(parent, step, n), find_root(parent, step, other)
                        gap = np.int32(dx + _ROW * dy + to_top - to_root)
                        if top != root:
                            union(parent, step, root, top, gap)
                        elif gap != 0:
                            record_wrap(first, gap, n + 1)
                    other = before[other]
        before[n], cells[j, i] = cells[j, i], n
        if max(first[0], first[1]) <= n + 1:
            break
    return first
