"""What can be drawn by adding training images: the best superposition, kernels, and what a blank image costs.

A network that has not learnt to draw but to add draws weighted sums of its training images. How far such sums reach is
a question of linear algebra: what of an image lies outside of the span of the training images, no weights bring back.
"""

from __future__ import annotations

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.worlds.bumps import BumpWorld

#: Added to the diagonal of the kernels of :func:`kernel_superposition`, which is 1. Up to a length of 1 pixel on a
#: lattice of step 1 it changes nothing; beyond, the kernels are so nearly singular that it decides the answer.
KERNEL_RIDGE = 1e-9
#: A blank is a yardstick up to this width of a bump, as a share of the size of the window.
MAX_WIDTH = 0.25


def exact_images(world: BumpWorld, mu: torch.Tensor) -> np.ndarray:
    """Return the brightness of the images of conditions in double precision.

    Parameters
    ----------
    world : BumpWorld
        Its images are products or sums of two profiles, or single stripes.
    mu : torch.Tensor, (n, 2)

    Returns
    -------
    array (n, N * N), float64
        Rows of the image one after the other; 0 is black, 1 the peak of a bump, 2 the crossing of two stripes.

    Examples
    --------
    >>> world = BumpWorld(size=4)
    >>> exact_images(world, torch.tensor([[1.0, 2.0]]))[0].argmax()  # row 2, column 1
    np.int64(9)
    """
    columns, rows = (world.profile(mu[:, which].double(), which).numpy() for which in (0, 1))
    row, column = rows[:, :, None], columns[:, None, :]
    if world.kind == "bump+stripes":
        x, y = world.in_window(mu).T[..., None, None].numpy()
        images = np.where(x, column, 1.0) * np.where(y, row, 1.0) * (x | y)
    else:
        images = row * column if world.kind == "bump" else row + column
    return images.reshape(len(mu), -1)


def pairs_of(world: BumpWorld, mu: torch.Tensor) -> torch.Tensor:
    """Return the conditions (n, 2) of those that have both an x and a y: all of them but single stripes.

    Examples
    --------
    >>> world = BumpWorld(kind="bump+stripes", size=4, margin=1)
    >>> len(world.lattice()), len(pairs_of(world, world.lattice()))
    (36, 16)
    """
    return mu[world.in_window(mu).all(1)] if world.kind == "bump+stripes" else mu


def blank_error(world: BumpWorld) -> float:
    """Return the mean squared error of a black image on the pairs of x and y that training does not show.

    For a bump it is about pi sigma^2 / N^2, less where bumps reach over an edge. Errors are reported in this unit: a
    decoder with 1 blank or more does no better than one that draws nothing.

    Parameters
    ----------
    world : BumpWorld
        With a hold-out.

    Returns
    -------
    float
        In squared brightness.

    Raises
    ------
    BumplabError
        If the hold-out touches no condition, or bumps are wider than a quarter of the window.

    Examples
    --------
    >>> world = BumpWorld(size=28, held_out="box(5.5, 22.5, 5.5, 22.5)")
    >>> round(blank_error(world), 6), round(np.pi / 28**2, 6)
    (0.004008, 0.004007)
    """
    mu = pairs_of(world, world.unseen())
    if not len(mu):
        raise BumplabError(
            f"The hold-out {quote(str(world.held_out or 'nothing'))} touches no condition of the lattice; "
            "hold out a box such as box(5.5, 22.5, 5.5, 22.5)."
        )
    if max(world.sigma) > MAX_WIDTH * world.size:
        raise BumplabError(
            f"Bumps of sigma {max(world.sigma):g} fill a window of {world.size} pixels, so that all images are alike "
            f"and a blank is no yardstick; take a sigma of at most {MAX_WIDTH * world.size:g}."
        )
    return float((exact_images(world, mu) ** 2).mean())


def span_basis(images: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the span of images.

    Parameters
    ----------
    images : array (m, P)

    Returns
    -------
    array (r, P), float64
        r is the numerical rank, as :func:`numpy.linalg.matrix_rank` counts it.

    Raises
    ------
    BumplabError
        Unless the images are a table of finite numbers.

    Examples
    --------
    >>> span_basis(np.array([[2.0, 0.0, 0.0], [4.0, 0.0, 0.0]])).shape
    (1, 3)
    """
    images = _table(images)
    _, lengths, basis = np.linalg.svd(images, full_matrices=False)
    return basis[lengths > lengths[0] * max(images.shape) * np.finfo(float).eps]


def best_superposition(seen: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the weighted sums of training images that are nearest to images, by least squares.

    Parameters
    ----------
    seen : array (m, P)
        Training images.
    images : array (n, P)
        Each is given weights of its own: no superposition does better.

    Returns
    -------
    array (n, P), float64

    Raises
    ------
    BumplabError
        If images have other shapes, or numbers that are not finite.

    Examples
    --------
    >>> best_superposition(np.array([[1.0, 1.0, 0.0]]), np.array([[2.0, 0.0, 5.0]])).round(12).tolist()
    [[1.0, 1.0, 0.0]]
    """
    basis, images = span_basis(seen), _table(images)
    if images.shape[1] != basis.shape[1]:
        raise BumplabError(f"Images of {images.shape[1]} pixels are no sums of images of {basis.shape[1]} pixels.")
    return images @ basis.T @ basis


def share_outside_span(seen: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the share of each image's energy that no superposition of training images reaches.

    Parameters and errors are those of :func:`best_superposition`. For the share of all images together, take the mean
    weighted with their energies, as :func:`span_share` does.

    Returns
    -------
    array (n,), 0 to 1; NaN for a black image.

    Examples
    --------
    >>> share_outside_span(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]])).round(12).tolist()
    [0.64]
    """
    images = _table(images)
    with np.errstate(invalid="ignore"):
        return ((images - best_superposition(seen, images)) ** 2).sum(1) / (images**2).sum(1)


def span_share(world: BumpWorld) -> float:
    """Return the share of the energy of all unseen images that lies outside of the span of the seen ones.

    This is the least that a decoder can be off, in blanks, as long as it superposes its training images.

    Parameters
    ----------
    world : BumpWorld
        With a hold-out.

    Returns
    -------
    float
        0 to 1. It falls with the width of a bump, since wide bumps overlap, and is 0 for sums of stripes.

    Raises
    ------
    BumplabError
        As :func:`blank_error`.

    Examples
    --------
    >>> world = BumpWorld(size=28, held_out="box(5.5, 22.5, 5.5, 22.5)")
    >>> round(span_share(world), 3), round(span_share(world.replace(kind="sos")), 3)
    (0.734, 0.0)
    """
    blank, images = blank_error(world), exact_images(world, pairs_of(world, world.unseen()))
    rest = images - best_superposition(exact_images(world, world.seen()), images)
    return float((rest**2).mean() / blank)


def kernel_superposition(world: BumpWorld, length: float, mu: torch.Tensor | None = None) -> np.ndarray:
    """Return what a radial kernel draws: training images weighted by how near their conditions are.

    Kernel regression of the true images on (mu_x, mu_y) with k = exp(-distance^2 / 2 length^2) and
    :data:`KERNEL_RIDGE`. It is a superposition of training images, whatever the length.

    Parameters
    ----------
    world : BumpWorld
    length : float
        In pixels, above 0.
    mu : torch.Tensor, (n, 2), optional
        Conditions to draw; unless given, those that training does not show.

    Returns
    -------
    array (n, N * N), float64

    Raises
    ------
    BumplabError
        If the length is not above 0.

    Examples
    --------
    >>> world = BumpWorld(size=28, held_out="box(5.5, 22.5, 5.5, 22.5)")
    >>> error = ((kernel_superposition(world, 1.0) - exact_images(world, world.unseen())) ** 2).mean()
    >>> print(f"{error / blank_error(world):.2f} blanks")
    0.81 blanks
    """
    if not length > 0:
        raise BumplabError(f"The length of a kernel is above 0 pixels, got {quote(length)}.")
    seen, mu = world.seen().double(), (world.unseen() if mu is None else mu).double()
    kernels = []
    for places in (seen, mu):
        squares = (world.wrap(places[:, None] - seen) ** 2).sum(2)
        kernels.append(torch.exp(-squares / (2 * length**2)).numpy())
    train, test = kernels
    weights = np.linalg.solve(train + KERNEL_RIDGE * np.eye(len(seen)), exact_images(world, seen))
    return test @ weights


def _table(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images, np.float64)
    if images.ndim != 2 or not images.size or not np.isfinite(images).all():
        raise BumplabError(
            f"Images come as a table (n, pixels) of finite numbers, at least one; got shape {images.shape}."
        )
    return images
