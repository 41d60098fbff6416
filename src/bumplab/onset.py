"""Where accuracy sets in as more of the lattice is shown, and three laws that say where it should (Figs. 6e and 15).

Each law has one parameter. *Percolation*: half of the shown images hang together, linked where they overlap by more
than theta. Its rivals: a fixed *number* of images, and a fixed *distance* to the nearest shown image in units of sigma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from bumplab import clusters
from bumplab.base import BumplabError
from bumplab.curves import threshold
from bumplab.percolation import half, link_radius, linked, neighbours
from bumplab.worlds import World

# ---------------------------------------------------------------- onset


def lattice_accuracy(table: pandas.DataFrame, which: str = "joint") -> np.ndarray:
    """Return accuracy over the whole lattice, seen and unseen conditions, for each row of a table of runs.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`bumplab.sweeps.run` returns it.
    which : {"joint", "x", "y"}
    """
    shown = table["world.fraction"].to_numpy(float)
    seen = table[f"seen.{which}"].to_numpy(float)
    unseen = table[f"unseen.{which}"].to_numpy(float) if f"unseen.{which}" in table else np.full(len(table), np.nan)
    return shown * seen + (1 - shown) * np.nan_to_num(unseen)


@dataclass(frozen=True)
class Onset:
    """The share at which accuracy comes to one half: geometric mean over seeds with a 95 % Student interval.

    Where a seed has no onset within the shares tried, mean and interval are 0 (always above) or infinity (never).
    """

    value: float
    low: float
    high: float
    each: tuple[float, ...]

    @property
    def found(self) -> bool:
        """Whether every seed has its onset within the shares tried."""
        return 0 < self.value < np.inf


def onsets(table: pandas.DataFrame, level: float = 0.5) -> dict[float, Onset]:
    """Return the onset of accuracy over the whole lattice for each sigma in a table of runs, in ascending order."""
    table = table.assign(accuracy=lattice_accuracy(table))
    if table["accuracy"].isna().any():
        raise BumplabError("Some runs of the table have no accuracy; look at its column error.")
    found = {}
    for sigma, rows in table.groupby("world.sigma"):
        each = [threshold(r["world.fraction"], r["accuracy"], level) for _, r in rows.groupby("seed")]
        found[float(sigma)] = _pooled(each)
    return found


def _pooled(each: list[float]) -> Onset:
    if 0 in each or np.inf in each:
        value = 0.0 if 0 in each else np.inf
        return Onset(value, value, value, tuple(each))
    logs = np.log(each)
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs) if len(logs) > 1 else 0.0
    return Onset(*(float(np.exp(logs.mean() + k * half)) for k in (0, -1, 1)), tuple(each))


# ---------------------------------------------------------------- laws


@dataclass(frozen=True, eq=False)
class Law:
    """A law with one parameter for the share at which accuracy sets in.

    Attributes
    ----------
    name, parameter : str
        Of the law, and of its parameter.
    values : array (k,)
        Values of the parameter.
    predicted : array (k, s)
        The share for each value and each sigma; 0 where one image would do, infinity where not even all do.
    """

    name: str
    parameter: str
    values: np.ndarray
    predicted: np.ndarray


def percolation_law(
    world: World, sigmas: Sequence[float], thetas: Sequence[float], draws: int = 50, seed: int = 0
) -> Law:
    """Predict that accuracy sets in where half of the shown images are in one cluster of linked images.

    The clusters are simulated on the world's own lattice, with as many images as are shown.

    Parameters
    ----------
    world : World
        Its lattice; its sigma and fraction are not used.
    sigmas : sequence of float
    thetas : sequence of float
        Thresholds of the overlap, between 0 and 1.
    draws : int
        Random orders of the images.
    """
    shape, rng = (len(world.axis(0)), len(world.axis(1))), np.random.default_rng(seed)
    orders = [rng.permutation(shape[0] * shape[1]) for _ in range(draws)]
    known: dict[int, float] = {}

    def onset(radius: float) -> float:
        steps = neighbours(radius, world.spacing)
        if len(steps) not in known:
            grown = (clusters.grow(order, shape, steps, world.periodic).share() for order in orders)
            known[len(steps)] = half(np.mean(list(grown), axis=0))
        return known[len(steps)]

    predicted = np.array([[onset(link_radius(sigma, theta)) for sigma in sigmas] for theta in thetas])
    return Law("percolation", "theta", np.asarray(thetas, dtype=float), predicted)


def number_law(world: World, sigmas: Sequence[float], counts: Sequence[float]) -> Law:
    """Predict that accuracy sets in at a fixed number of images, whatever their width."""
    values = np.asarray(counts, dtype=float)
    share = values / len(world.lattice())
    return Law("number", "images", values, np.repeat(np.where(share <= 1, share, np.inf)[:, None], len(sigmas), 1))


def distance_law(
    world: World, sigmas: Sequence[float], distances: Sequence[float], draws: int = 20, seed: int = 0
) -> Law:
    """Predict that accuracy sets in where the nearest shown image is a fixed distance away, in units of sigma.

    The distance is the mean over all conditions of the lattice, 0 for those that are shown.

    Parameters
    ----------
    distances : sequence of float
        In units of sigma.
    """
    mu, rng = world.lattice().double().numpy(), np.random.default_rng(seed)
    counts = np.unique(np.geomspace(1, len(mu), 60).round().astype(int))
    mean = np.zeros(len(counts))
    for _ in range(draws):
        order = rng.permutation(len(mu))
        trees = (cKDTree(mu[order[:n]], boxsize=world.size if world.periodic else None) for n in counts)
        mean += np.array([tree.query(mu)[0].mean() for tree in trees]) / draws
    values = np.asarray(distances, dtype=float)
    asked = np.outer(values, sigmas)
    share = np.exp(np.interp(asked, mean[::-1], np.log(counts / len(mu))[::-1]))
    return Law("distance", "distance / sigma", values, np.where(asked > mean[0], 0.0, share))


@dataclass(frozen=True)
class Fit:
    """How well a law explains onsets; errors are factors: 1.3 means off by 30 %, either way.

    Attributes
    ----------
    name : str
    value : float
        The best parameter.
    factor : float
        exp of the root mean square of ln(predicted / found), with that parameter for all sigma.
    left_out : float
        The same where each sigma is predicted with the parameter that is best for the others.
    explained : float
        Share of the variance of ln(onset) over sigma that is explained; below 0, worse than one share for all.
    predicted : array (s,)
        The share for each sigma, with the best parameter.
    """

    name: str
    value: float
    factor: float
    left_out: float
    explained: float
    predicted: np.ndarray


def fit(law: Law, found: Sequence[float]) -> Fit:
    """Choose the parameter of a law that explains onsets best, by least squares in ln(share).

    Parameters
    ----------
    law : Law
        With predictions for the same sigmas.
    found : sequence of float
        The share at which accuracy set in for each sigma, above 0 and finite; three or more.

    Raises
    ------
    BumplabError
        If the onsets do not fit the law's sigmas, or no parameter gives a finite prediction for all of them.
    """
    with np.errstate(divide="ignore"):
        y = np.log(np.asarray(found, dtype=float))
    if y.shape != law.predicted.shape[1:] or len(y) < 3 or not np.isfinite(y).all():
        raise BumplabError(f"The law {law.name} needs {law.predicted.shape[1]} finite onsets, 3 or more; got {found}.")
    with np.errstate(divide="ignore"):
        squares = (np.log(law.predicted) - y) ** 2
    if not np.isfinite(squares.sum(axis=1)).any():
        raise BumplabError(f"No value of {law.parameter} lets the law {law.name} predict an onset for every sigma.")
    best = int(squares.sum(axis=1).argmin())
    left = [squares[np.delete(squares, k, axis=1).sum(axis=1).argmin(), k] for k in range(len(y))]
    explained = 1 - squares[best].sum() / ((y - y.mean()) ** 2).sum()
    factor, left_out = (float(np.exp(np.sqrt(np.mean(s)))) for s in (squares[best], left))
    return Fit(law.name, float(law.values[best]), factor, left_out, float(explained), law.predicted[best])


# ---------------------------------------------------------------- clusters of conditions and of representations


def largest_cluster(world: World, theta: float) -> np.ndarray:
    """Return which conditions of the lattice are in reach of the largest cluster of shown images, boolean (n,).

    Shown ones that belong to it, and others that overlap with one of it by more than `theta`. Rows are those of
    :meth:`bumplab.worlds.World.lattice`.
    """
    shape, shown = (len(world.axis(1)), len(world.axis(0))), world.seen_mask().numpy()
    steps = linked(world, theta)
    largest = (clusters.label(shown.reshape(shape), steps, world.periodic) == 1).ravel()
    reached = largest.copy()
    y, x = np.divmod(np.flatnonzero(largest), shape[1])
    for dx, dy in steps:
        u, v = x + dx, y + dy
        inside = np.ones(len(u), bool) if world.periodic else (0 <= u) & (u < shape[1]) & (0 <= v) & (v < shape[0])
        reached[(v % shape[0] * shape[1] + u % shape[1])[inside]] = True
    return reached


def component_share(points: np.ndarray, radius: float) -> float:
    """Return the share of points in the largest component, where points nearer than `radius` are linked.

    Parameters
    ----------
    points : array (n, D)
    radius : float
        In the units of `points`.
    """
    pairs = cKDTree(np.asarray(points, dtype=float)).query_pairs(radius, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(points), len(points)))
    return float(np.bincount(connected_components(graph, directed=False)[1]).max() / len(points))
