"""Three laws for the share of the lattice at which accuracy sets in, and how well each explains it (Fig. 6e).

Each has one parameter. *Percolation*: images that overlap by more than theta are linked, and chains of links reach
across the lattice. Its rivals: a fixed *number* of images, and a fixed *distance* to the nearest one in units of sigma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import KDTree

from bumplab.common.errors import BumplabError, quote
from bumplab.percolation.clusters import fill_lattice
from bumplab.percolation.links import neighbour_offsets
from bumplab.worlds.bumps import BumpWorld


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
        The share for each value and each sigma; 0 where one image does, infinity where not even all of them do.

    Examples
    --------
    >>> law = number_law(BumpWorld(), sigmas=[1.0, 2.0], counts=[256])
    >>> law.parameter, law.predicted.tolist()
    ('images', [[0.25, 0.25]])
    """

    name: str
    parameter: str
    values: np.ndarray
    predicted: np.ndarray


def percolation_law(
    world: BumpWorld,
    sigmas: Sequence[float],
    thetas: Sequence[float],
    draws: int = 50,
    seed: int = 0,
    pixels: bool = False,
) -> Law:
    """Predict that accuracy sets in at the threshold of percolation on the world's own lattice.

    That is the share at which, in half of the random draws, a cluster of linked images reaches from one edge to the
    opposite one, or round a periodic world; the median over draws and both axes.

    Parameters
    ----------
    world : BumpWorld
        Its lattice; its sigma and fraction are not used.
    sigmas : sequence of float
    thetas : sequence of float
        Thresholds of the overlap, between 0 and 1.
    draws : int
        Random orders of the images.
    pixels : bool
        Links of rendered bumps instead of ideal ones, see :func:`bumplab.percolation.links.neighbour_offsets`.

    Returns
    -------
    Law

    Raises
    ------
    BumplabError
        If a theta is not between 0 and 1.

    Examples
    --------
    >>> law = percolation_law(BumpWorld(size=16), sigmas=[1.0, 3.0], thetas=[0.5], draws=3)
    >>> law.predicted.shape, bool(law.predicted[0, 0] > law.predicted[0, 1])  # wide bumps need fewer images
    ((1, 2), True)
    """
    shape, rng = (len(world.axis(0)), len(world.axis(1))), np.random.default_rng(seed)
    sites = shape[0] * shape[1]
    orders = [rng.permutation(sites) for _ in range(draws)]
    cache: dict[bytes, float] = {}

    def threshold(sigma: float, theta: float) -> float:
        steps = neighbour_offsets(world.replace(sigma=sigma), theta, pixels)
        key = steps.tobytes()
        if key not in cache:
            first = [fill_lattice(order, shape, steps, world.periodic).spanning_counts for order in orders]
            cache[key] = float(np.median(first)) / sites
        return cache[key] if cache[key] <= 1 else float("inf")

    predicted = np.array([[threshold(sigma, theta) for sigma in sigmas] for theta in thetas])
    return Law("percolation, pixels" if pixels else "percolation", "theta", np.asarray(thetas, dtype=float), predicted)


def number_law(world: BumpWorld, sigmas: Sequence[float], counts: Sequence[float]) -> Law:
    """Predict that accuracy sets in at a fixed number of images, whatever their width.

    Parameters
    ----------
    world : BumpWorld
        Its lattice.
    sigmas : sequence of float
    counts : sequence of float
        Numbers of images.

    Returns
    -------
    Law

    Examples
    --------
    >>> number_law(BumpWorld(), sigmas=[1.0], counts=[512, 2000]).predicted.tolist()  # a lattice of 1,024
    [[0.5], [inf]]
    """
    values = np.asarray(counts, dtype=float)
    share = values / len(world.lattice())
    return Law("number", "images", values, np.repeat(np.where(share <= 1, share, np.inf)[:, None], len(sigmas), 1))


def distance_to_training(world: BumpWorld, shown: torch.Tensor | None = None) -> np.ndarray:
    """Return the distance of every condition of the lattice to the nearest one in training.

    Parameters
    ----------
    world : BumpWorld
    shown : torch.Tensor, (m, 2), optional
        Conditions in training; unless given, those of :meth:`bumplab.worlds.bumps.BumpWorld.seen`.

    Returns
    -------
    array (n,), float64
        In pixels, on a periodic world the short way round; rows are those of
        :meth:`bumplab.worlds.bumps.BumpWorld.lattice`.

    Examples
    --------
    >>> distance_to_training(BumpWorld(size=4), torch.tensor([[0.0, 0.0]]))[:4].tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    shown = world.seen() if shown is None else shown
    tree = KDTree(shown.double().numpy(), boxsize=world.size if world.periodic else None)
    return tree.query(world.lattice().double().numpy())[0]


def distance_law(
    world: BumpWorld, sigmas: Sequence[float], distances: Sequence[float], draws: int = 20, seed: int = 0
) -> Law:
    """Predict that accuracy sets in where the nearest shown image is a fixed distance away, in units of sigma.

    The distance is the mean over all conditions of the lattice, 0 for those that are shown.

    Parameters
    ----------
    world : BumpWorld
        Its lattice.
    sigmas : sequence of float
        In pixels.
    distances : sequence of float
        In units of sigma.
    draws : int
        Random orders of the images.
    seed : int

    Returns
    -------
    Law

    Examples
    --------
    >>> law = distance_law(BumpWorld(size=8), sigmas=[1.0, 2.0], distances=[1.0], draws=2)
    >>> bool(law.predicted[0, 0] > law.predicted[0, 1])  # twice the distance takes fewer images
    True
    """
    mu, rng = world.lattice(), np.random.default_rng(seed)
    counts = np.unique(np.geomspace(1, len(mu), 60).round().astype(int))
    mean = np.zeros(len(counts))
    for _ in range(draws):
        order = rng.permutation(len(mu))
        mean += [distance_to_training(world, mu[order[:n]]).mean() / draws for n in counts]
    values = np.asarray(distances, dtype=float)
    pixels = np.outer(values, sigmas)
    share = np.exp(np.interp(pixels, mean[::-1], np.log(counts / len(mu))[::-1]))
    return Law("distance", "distance / sigma", values, np.where(pixels > mean[0], 0.0, share))


@dataclass(frozen=True)
class LawFit:
    """How well a law explains onsets; errors are factors: 1.3 means off by 30 %, either way.

    Attributes
    ----------
    name : str
    value : float
        The best parameter.
    factor : float
        exp of the root mean square of ln(predicted / onset), with that parameter for all sigma.
    leave_one_out_error : float
        The same where each sigma is predicted with the parameter that is best for the others.
    r2 : float
        Share of the variance of ln(onset) over sigma that is explained; below 0, worse than one share for all.
    predicted : array (s,)
        The share for each sigma, with the best parameter.

    Examples
    --------
    >>> law = Law("number", "images", np.array([1.0, 2.0]), np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2]]))
    >>> fit = fit_law(law, [0.1, 0.2, 0.4])
    >>> fit.value, round(fit.factor, 2)  # off by a factor of 2 at two of three
    (2.0, 1.76)
    """

    name: str
    value: float
    factor: float
    leave_one_out_error: float
    r2: float
    predicted: np.ndarray


def fit_law(law: Law, onsets: Sequence[float]) -> LawFit:
    """Choose the parameter of a law that explains onsets best, by least squares in ln(share).

    Parameters
    ----------
    law : Law
        With predictions for the same sigmas.
    onsets : sequence of float
        The share at which accuracy set in for each sigma, above 0 and finite; three or more.

    Returns
    -------
    LawFit

    Raises
    ------
    BumplabError
        If the onsets do not fit the law's sigmas, or no parameter gives a finite prediction for all of them.

    Examples
    --------
    >>> law = Law("number", "images", np.array([1.0, 2.0]), np.array([[0.1, 0.1, 0.1], [0.2, 0.3, 0.4]]))
    >>> fit_law(law, [0.2, 0.3, 0.4]).r2
    1.0
    """
    with np.errstate(divide="ignore"):
        y = np.log(np.asarray(onsets, dtype=float))
    if y.shape != law.predicted.shape[1:] or len(y) < 3 or not np.isfinite(y).all():
        raise BumplabError(
            f"The law {law.name} needs {law.predicted.shape[1]} finite onsets, 3 or more; got {quote(onsets)}."
        )
    with np.errstate(divide="ignore"):
        squares = (np.log(law.predicted) - y) ** 2
    if not np.isfinite(squares.sum(axis=1)).any():
        raise BumplabError(f"No value of {law.parameter} lets the law {law.name} predict an onset for every sigma.")
    best = int(squares.sum(axis=1).argmin())
    left = [squares[np.delete(squares, k, axis=1).sum(axis=1).argmin(), k] for k in range(len(y))]
    explained = 1 - squares[best].sum() / ((y - y.mean()) ** 2).sum()
    factor, left_out = (float(np.exp(np.sqrt(np.mean(s)))) for s in (squares[best], left))
    return LawFit(law.name, float(law.values[best]), factor, left_out, float(explained), law.predicted[best])
