"""When do two bumps count as linked? Overlap, link radius, neighbourhoods."""

from __future__ import annotations

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.worlds.bumps import BumpWorld

#: Largest product of radius / spacing along x and y; a neighbourhood has about three times as many sites.
MAX_NEIGHBOURS = 1_000_000
#: Most shells of a neighbourhood on the square lattice.
MAX_SHELLS = 1_000


def overlap(r: np.ndarray | float, sigma: float) -> np.ndarray:
    """Return the normalised inner product exp(-r^2 / 4 sigma^2) of two ideal Gaussian bumps at distance r (pixels).

    Parameters
    ----------
    r : float or array
    sigma : float
        Standard deviation of both in pixels.

    Examples
    --------
    >>> overlap(np.array([0.0, 2.0]), sigma=1.0).round(3).tolist()  # exp(-1) at two sigma
    [1.0, 0.368]
    """
    return np.exp(-np.square(r) / (4 * sigma**2))


def rendered_overlap(world: BumpWorld, mu: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    """Return the normalised inner products (n,) of images of a world, drawn for conditions `mu` and `other`, (n, 2).

    Where bumps are narrower than about 0.7 pixels, or cut by the rim, this is not what :func:`overlap` says.

    Examples
    --------
    >>> world = BumpWorld(sigma=2.0)
    >>> pair = torch.tensor([[14.0, 16.0]]), torch.tensor([[18.0, 16.0]])
    >>> rendered_overlap(world, *pair).round(3).tolist(), overlap(4.0, 2.0).round(3).item()
    ([0.368], 0.368)
    """
    first, second = (world.brightness(world.render(each)).flatten(1).double() for each in (mu, other))
    return torch.nn.functional.cosine_similarity(first, second, eps=1e-300).numpy()


def link_radius(sigma: float, theta: float) -> float:
    """Return the distance 2 sigma sqrt(ln(1 / theta)) below which bumps overlap by more than `theta` (pixels).

    Parameters
    ----------
    sigma : float
        Above 0, in pixels.
    theta : float
        Above 0 and below 1.

    Raises
    ------
    BumplabError
        For other values.

    Examples
    --------
    >>> round(link_radius(1.0, theta=0.5), 3)  # bumps of one pixel: nearest and diagonal neighbours are linked
    1.665
    """
    if not (0 < theta < 1 and sigma > 0):
        raise BumplabError(
            f"Links need sigma above 0 and theta between 0 and 1, got {quote(sigma)} and {quote(theta)}."
        )
    return float(2 * sigma * np.sqrt(-np.log(theta)))


def offsets_within(radius: float, spacing: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Return the steps (z, 2) of a lattice to all sites nearer than `radius`, in columns and rows, nearest first.

    Parameters
    ----------
    radius : float
        In the units of `spacing`; sites at this very distance do not belong.
    spacing : (float, float)
        Steps of the lattice along x and y.

    Raises
    ------
    BumplabError
        If the radius is negative or not finite, or the neighbourhood has more than about three million sites.

    Examples
    --------
    >>> offsets_within(1.5).tolist()
    [[-1, 0], [0, -1], [0, 1], [1, 0], [-1, -1], [-1, 1], [1, -1], [1, 1]]
    """
    if not 0 <= radius < np.inf:
        raise BumplabError(f"The radius of a neighbourhood is finite and not negative, got {quote(radius)}.")
    if not (min(spacing) > 0 and radius / spacing[0] * (radius / spacing[1]) <= MAX_NEIGHBOURS):
        raise BumplabError(
            f"A neighbourhood of radius {quote(radius)} at spacing {quote(tuple(spacing))} has too many sites: the "
            f"product of radius / spacing along x and y is at most {MAX_NEIGHBOURS:,}."
        )
    reach = [int(radius / d) for d in spacing]
    x, y = (axis.ravel() for axis in np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1])
    away = np.round(np.hypot(x * spacing[0], y * spacing[1]), 9)
    near = np.flatnonzero((0 < away) & (away < round(radius, 9)))
    return np.stack([x, y], axis=1)[near[np.lexsort((y[near], x[near], away[near]))]]


def shells(count: int) -> np.ndarray:
    """Return the steps (z, 2) to the first `count` shells of neighbours on the square lattice.

    z = 4, 8, 12, 20, 24, 28, 36, 44 for one to eight shells.

    Parameters
    ----------
    count : int
        1 to 1,000.

    Raises
    ------
    BumplabError
        For another count.

    Examples
    --------
    >>> [len(shells(count)) for count in (1, 2, 3, 4)]
    [4, 8, 12, 20]
    """
    if not 1 <= count <= MAX_SHELLS:
        raise BumplabError(f"A neighbourhood has 1 to {MAX_SHELLS:,} shells, got {quote(count)}.")
    squares = np.unique(np.add.outer(np.arange(count + 1) ** 2, np.arange(count + 1) ** 2))
    return offsets_within(float(np.sqrt(squares[count] + 0.5)))


def neighbour_offsets(world: BumpWorld, theta: float, pixels: bool = False) -> np.ndarray:
    """Return the steps (z, 2) of a world's lattice to the conditions whose images overlap by more than `theta`.

    Parameters
    ----------
    world : BumpWorld
        Of bumps.
    theta : float
        0 to 1.
    pixels : bool
        False: the overlap of ideal Gaussians, see :func:`overlap`. True: that of bumps rendered with their centres on
        pixels, far from the rim; narrow ones overlap less. This needs a spacing of whole pixels.

    Raises
    ------
    BumplabError
        If theta is out of its range, or `pixels` is given for a spacing that is no whole number.

    Examples
    --------
    >>> [len(neighbour_offsets(BumpWorld(sigma=sigma), theta=0.5)) for sigma in (0.7, 1.0, 2.0)]
    [4, 8, 36]
    """
    scaled = world.spacing[0] / world.sigma[0], world.spacing[1] / world.sigma[1]
    ideal = offsets_within(link_radius(1.0, theta), scaled)
    if not pixels:
        return ideal
    if any(d % 1 for d in world.spacing):
        raise BumplabError(f"Bumps sit on pixels where the spacing is a whole number, got {world.spacing}.")
    steps = offsets_within(1.2 * link_radius(1.0, theta) + max(scaled), scaled)  # none further away is linked
    product = np.ones(len(steps))
    for away, sigma in zip((steps * world.spacing).T, world.sigma, strict=True):
        pixel = np.arange(away.min() - 8 * np.ceil(sigma), away.max() + 8 * np.ceil(sigma) + 1)
        one, others = (np.exp(-((pixel - at) ** 2) / (2 * sigma**2)) for at in (0, away[:, None]))
        product *= others @ one / (one @ one)
    return steps[product > theta]
