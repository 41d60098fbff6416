"""Where accuracy sets in as more of the lattice is shown, and what clusters have to do with it (Figs. 6e and 15)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from bumplab.common.curves import level_crossing
from bumplab.common.errors import BumplabError
from bumplab.common.statistics import t_interval
from bumplab.percolation.clusters import label_clusters
from bumplab.percolation.links import neighbour_offsets
from bumplab.worlds.bumps import BumpWorld


def lattice_accuracy(table: pandas.DataFrame, which: str = "joint") -> np.ndarray:
    """Return accuracy over the whole lattice, seen and unseen conditions, for each row of a table of runs.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`bumplab.runs.sweep.sweep_settings` returns it.
    which : {"joint", "x", "y"}

    Returns
    -------
    array (rows,), float64
        0 to 1.

    Examples
    --------
    >>> table = pandas.DataFrame({"world.fraction": [0.25], "seen.joint": [1.0], "unseen.joint": [0.2]})
    >>> lattice_accuracy(table).round(2).tolist()
    [0.4]
    """
    shown = table["world.fraction"].to_numpy(float)
    seen = table[f"seen.{which}"].to_numpy(float)
    unseen = table[f"unseen.{which}"].to_numpy(float) if f"unseen.{which}" in table else np.full(len(table), np.nan)
    return shown * seen + (1 - shown) * np.nan_to_num(unseen)


@dataclass(frozen=True)
class Onset:
    """The share at which accuracy comes to one half: geometric mean over seeds with a 95 % Student interval.

    Where a seed has no onset within the shares tried, mean and interval are 0 (always above) or infinity (never).

    Attributes
    ----------
    value, low, high : float
        Share of the lattice, 0 to 1.
    by_seed : tuple of float

    Examples
    --------
    >>> Onset(0.2, 0.1, 0.4, by_seed=(0.1, 0.4)).is_finite
    True
    >>> Onset(np.inf, np.inf, np.inf, by_seed=(0.1, np.inf)).is_finite
    False
    """

    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]

    @property
    def is_finite(self) -> bool:
        """Whether every seed has its onset within the shares tried.

        Examples
        --------
        >>> Onset(0.0, 0.0, 0.0, by_seed=(0.0, 0.4)).is_finite  # one seed was right at every share
        False
        """
        return 0 < self.value < np.inf


def onsets(table: pandas.DataFrame, level: float = 0.5) -> dict[float, Onset]:
    """Return the onset of accuracy over the whole lattice for each sigma in a table of runs, in ascending order.

    Parameters
    ----------
    table : pandas.DataFrame
        As for :func:`lattice_accuracy`, also with ``world.sigma`` and ``seed``.
    level : float
        Accuracy that counts as its onset.

    Returns
    -------
    dict of float to Onset

    Raises
    ------
    BumplabError
        If a run has no accuracy.

    Examples
    --------
    >>> runs = {"world.sigma": 1.0, "seed": 0, "world.fraction": [0.01, 1.0], "seen.joint": [0.0, 1.0]}
    >>> {sigma: round(onset.value, 3) for sigma, onset in onsets(pandas.DataFrame(runs)).items()}
    {1.0: 0.1}
    """
    table = table.assign(accuracy=lattice_accuracy(table))
    if table["accuracy"].isna().to_numpy().any():
        raise BumplabError("Some runs of the table have no accuracy; look at its column error.")
    by_sigma = {}
    for sigma, rows in table.groupby("world.sigma"):
        each = [level_crossing(r["world.fraction"], r["accuracy"], level) for _, r in rows.groupby("seed")]
        by_sigma[float(sigma)] = _pooled(each)  # pyright: ignore[reportArgumentType]
    return by_sigma


def _pooled(each: list[float]) -> Onset:
    if 0 in each or np.inf in each:
        value = 0.0 if 0 in each else np.inf
        return Onset(value, value, value, tuple(each))
    value, low, high = np.exp(t_interval(np.log(each))).tolist()
    return Onset(value, low, high, tuple(each))


def largest_cluster(world: BumpWorld, theta: float) -> np.ndarray:
    """Return which conditions of the lattice are in reach of the largest cluster of shown images, boolean (n,).

    Shown ones that belong to it, and others that overlap with one of it by more than `theta`. Rows are those of
    :meth:`bumplab.worlds.bumps.BumpWorld.lattice`.

    Parameters
    ----------
    world : BumpWorld
        Of bumps.
    theta : float
        0 to 1.

    Examples
    --------
    >>> world = BumpWorld(size=8, held_out="~band_x(1, 5)")  # columns 2 to 4 are shown
    >>> largest_cluster(world, theta=0.5).reshape(8, 8)[0].tolist()  # those beside them are in reach
    [False, True, True, True, True, True, False, False]
    """
    shape, shown = (len(world.axis(1)), len(world.axis(0))), world.seen_mask().numpy()
    steps = neighbour_offsets(world, theta)
    largest = (label_clusters(shown.reshape(shape), steps, world.periodic) == 1).ravel()
    reached = largest.copy()
    y, x = np.divmod(np.flatnonzero(largest), shape[1])
    for dx, dy in steps:
        u, v = x + dx, y + dy
        inside = np.ones(len(u), bool) if world.periodic else (0 <= u) & (u < shape[1]) & (0 <= v) & (v < shape[0])
        reached[(v % shape[0] * shape[1] + u % shape[1])[inside]] = True
    return reached


def mantel_haenszel_difference(right: np.ndarray, inside: np.ndarray, distance: np.ndarray) -> tuple[float, int]:
    """Return how much more often images are right for conditions inside a group, at the same distance to shown images.

    Percolation says that belonging to the largest cluster matters; that images nearby help, whatever they are linked
    to, is no news. So conditions are compared only with others at the same distance: the difference of the shares,
    averaged over distances with the weights of Mantel and Haenszel.

    Parameters
    ----------
    right, inside : arrays (n,), bool
    distance : array (n,)
        To the nearest shown image, see :func:`bumplab.percolation.laws.distance_to_training`.

    Returns
    -------
    (float, int)
        The difference, -1 to 1, NaN where no distance occurs on both sides; and how many conditions are behind it.

    Examples
    --------
    >>> right, inside = np.array([1, 1, 0, 0], bool), np.array([1, 1, 0, 0], bool)
    >>> mantel_haenszel_difference(right, inside, distance=np.ones(4))
    (1.0, 4)
    >>> mantel_haenszel_difference(right, inside, distance=np.array([1, 1, 2, 2]))  # nothing can be compared
    (nan, 0)
    """
    right, inside, distance = (
        np.asarray(right, float),
        np.asarray(inside, bool),
        np.round(np.asarray(distance, float), 6),
    )
    total = weights = behind = 0
    for value in np.unique(distance):
        one, other = right[inside & (distance == value)], right[~inside & (distance == value)]
        if len(one) and len(other):
            weight = len(one) * len(other) / (len(one) + len(other))
            total, weights = total + weight * (one.mean() - other.mean()), weights + weight
            behind += len(one) + len(other)
    return (float(total / weights) if weights else float("nan")), behind


def component_share(points: np.ndarray, radius: float) -> float:
    """Return the share of points in the largest component, where points nearer than `radius` are linked.

    Parameters
    ----------
    points : array (n, D)
    radius : float
        In the units of `points`.

    Returns
    -------
    float
        1 / n to 1.

    Examples
    --------
    >>> component_share(np.array([[0.0], [1.0], [2.0], [9.0]]), radius=1.5)
    0.75
    """
    pairs = KDTree(np.asarray(points, dtype=float)).query_pairs(radius, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(points), len(points)))
    return float(np.bincount(connected_components(graph, directed=False)[1]).max() / len(points))
