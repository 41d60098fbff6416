"""Percolation: which bumps are linked, and how their clusters grow with the share that is shown (Figs. 6, 13 and 14).

Two images are linked where they overlap by more than theta. On a lattice of centres that is site percolation with
an extended neighbourhood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from scipy.sparse import csr_array

from bumplab import clusters
from bumplab.base import BumplabError
from bumplab.worlds import World

# ---------------------------------------------------------------- links


def overlap(r: np.ndarray | float, sigma: float) -> np.ndarray:
    """Return the normalised inner product exp(-r^2 / 4 sigma^2) of two ideal Gaussian bumps at distance r (pixels)."""
    return np.exp(-np.square(r) / (4 * sigma**2))


def rendered_overlap(world: World, mu: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    """Return the normalised inner products (n,) of images of a world, drawn for conditions `mu` and `other`, (n, 2).

    Where bumps are narrower than about 0.7 pixels, or cut by the rim, this is not what :func:`overlap` says.
    """
    images = (world.brightness(world.render(each)).flatten(1).double() for each in (mu, other))
    return torch.nn.functional.cosine_similarity(*images, eps=1e-300).numpy()


def link_radius(sigma: float, theta: float) -> float:
    """Return the distance 2 sigma sqrt(ln(1 / theta)) below which bumps overlap by more than `theta` (pixels)."""
    if not (0 < theta < 1 and sigma > 0):
        raise BumplabError(f"Links need sigma above 0 and theta between 0 and 1, got {sigma:g} and {theta:g}.")
    return float(2 * sigma * np.sqrt(-np.log(theta)))


def neighbours(radius: float, spacing: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Return the steps (z, 2) of a lattice to all sites nearer than `radius`, in columns and rows, nearest first.

    Parameters
    ----------
    radius : float
        In the units of `spacing`; sites at this very distance do not belong.
    spacing : (float, float)
        Steps of the lattice along x and y.
    """
    if not 0 <= radius < np.inf:
        raise BumplabError(f"The radius of a neighbourhood is finite and not negative, got {radius:g}.")
    reach = [int(radius / d) for d in spacing]
    x, y = (axis.ravel() for axis in np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1])
    away = np.round(np.hypot(x * spacing[0], y * spacing[1]), 9)
    near = np.flatnonzero((0 < away) & (away < round(radius, 9)))
    return np.stack([x, y], axis=1)[near[np.lexsort((y[near], x[near], away[near]))]]


def shells(count: int) -> np.ndarray:
    """Return the steps (z, 2) to the first `count` shells of neighbours on the square lattice.

    z = 4, 8, 12, 20, 24, 28, 36, 44 for one to eight shells.
    """
    if count < 1:
        raise BumplabError(f"A neighbourhood has at least 1 shell, got {count}.")
    squares = np.unique(np.add.outer(np.arange(count + 1) ** 2, np.arange(count + 1) ** 2))
    return neighbours(float(np.sqrt(squares[count] + 0.5)))


def linked(world: World, theta: float, pixels: bool = False) -> np.ndarray:
    """Return the steps (z, 2) of a world's lattice to the conditions whose images overlap by more than `theta`.

    Parameters
    ----------
    world : World
        Of bumps.
    theta : float
        0 to 1.
    pixels : bool
        False: the overlap of ideal Gaussians, see :func:`overlap`. True: that of bumps rendered with their centres on
        pixels, far from the rim; narrow ones overlap less. This needs a spacing of whole pixels.
    """
    scaled = tuple(d / s for d, s in zip(world.spacing, world.sigma, strict=True))
    ideal = neighbours(link_radius(1.0, theta), scaled)
    if not pixels:
        return ideal
    if any(d % 1 for d in world.spacing):
        raise BumplabError(f"Bumps sit on pixels where the spacing is a whole number, got {world.spacing}.")
    steps = neighbours(1.2 * link_radius(1.0, theta) + max(scaled), scaled)  # none further away is linked
    product = np.ones(len(steps))
    for away, sigma in zip((steps * world.spacing).T, world.sigma, strict=True):
        pixel = np.arange(away.min() - 8 * np.ceil(sigma), away.max() + 8 * np.ceil(sigma) + 1)
        one, others = (np.exp(-((pixel - at) ** 2) / (2 * sigma**2)) for at in (0, away[:, None]))
        product *= others @ one / (one @ one)
    return steps[product > theta]


# ---------------------------------------------------------------- curves over the filled share


@dataclass(frozen=True, eq=False)
class Curves:
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
        Probability that a cluster goes all the way along x, see :class:`bumplab.clusters.Growth`.
    shape : (int, int)
        Columns and rows.
    """

    p: np.ndarray
    share: np.ndarray
    susceptibility: np.ndarray
    clusters: np.ndarray
    crossing: np.ndarray
    shape: tuple[int, int]

    def mean(self, name: str) -> np.ndarray:
        """Return the mean over realisations of one of the curves, (k,)."""
        return getattr(self, name).mean(axis=0)

    def interval(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the 95 % Student interval of that mean, (k,) each."""
        values = getattr(self, name)
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
        return values.mean(axis=0) - half, values.mean(axis=0) + half


def curves(
    shape: int | tuple[int, int],
    offsets: np.ndarray,
    p: Sequence[float] | np.ndarray,
    realisations: int = 20,
    periodic: bool = True,
    seed: int = 0,
) -> Curves:
    """Fill lattices in random order and return what their clusters do, as curves over the share p.

    Parameters
    ----------
    shape : int or (int, int)
        Side of a square lattice, or its columns and rows.
    offsets, periodic
        See :func:`bumplab.clusters.grow`.
    p : sequence of float
        Shares from 0 to 1.
    realisations : int
        2 or more.
    seed : int

    Raises
    ------
    BumplabError
        If a share lies outside of 0 to 1, or the neighbourhood does not fit the lattice.
    """
    shape = tuple(np.broadcast_to(shape, 2).tolist())
    p, sites, rng = np.asarray(p, dtype=float), shape[0] * shape[1], np.random.default_rng(seed)
    if realisations < 2:
        raise BumplabError(f"Intervals need at least 2 realisations, got {realisations}.")
    weights = binomial_weights(sites, p)
    rows, first = [], []
    for _ in range(realisations):
        growth = clusters.grow(rng.permutation(sites), shape, offsets, periodic)
        micro = np.stack([growth.share(), growth.finite() / sites, growth.clusters / sites], axis=1)
        rows.append((weights @ micro).T)
        first.append(stats.binom.sf(growth.first[0] - 1, sites, p))
    share, susceptibility, number = np.array(rows).swapaxes(0, 1)
    return Curves(p, share, susceptibility, number, np.array(first), shape)


def binomial_weights(sites: int, p: np.ndarray) -> csr_array:
    """Return the probabilities (k, sites + 1) of every number of filled sites, for filling each with probability p.

    What lies more than eight standard deviations from the mean is left out; rows sum to 1.
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
