"""Means and covariances of images: of a lattice, exactly, of a sample, and the baselines that know less.

The images of a periodic lattice of step 1 are one image, shifted by every number of pixels: their covariance is
circulant, its modes are those of Fourier, and the variances are the squares of the Fourier transform of one image. For
bumps they fall as exp(-sigma^2 k^2): for a width of 1 pixel, over seven decades.
"""

from __future__ import annotations

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic_gaussian import GaussianDenoiser, MixtureDenoiser
from bumplab.worlds.bumps import BumpWorld


def fourier_variances(world: BumpWorld) -> torch.Tensor:
    """Return the variance of the images of a periodic lattice along each mode of Fourier.

    Parameters
    ----------
    world : BumpWorld
        Periodic, of step 1, all of which training shows.

    Returns
    -------
    torch.Tensor, (N, N), float64
        In the order of :func:`torch.fft.fft2`, 0 for the constant mode; they sum to the variance of all pixels.

    Raises
    ------
    BumplabError
        For any other world: its covariance has other modes.

    Examples
    --------
    >>> variances = fourier_variances(BumpWorld(periodic=True))
    >>> f"{variances.sum():.1f} in all, {variances.max():.3f} at most, {variances.median():.1e} in the middle"
    '12.4 in all, 0.148 at most, 2.8e-04 in the middle'
    """
    _check_lattice(world)
    variances = torch.fft.fft2(_one_image(world)).abs().square() / world.size**2
    variances[0, 0] = 0.0
    return variances


def gaussian_of_world(world: BumpWorld) -> GaussianDenoiser:
    """Return the Gaussian with mean and covariance of the images of a periodic lattice.

    Parameters and errors are those of :func:`fourier_variances`; for other worlds, take :func:`gaussian_of_images`.

    Examples
    --------
    >>> gaussian = gaussian_of_world(BumpWorld(periodic=True))
    >>> round(gaussian.mean.mean().item(), 3), gaussian.variances.shape
    (-0.988, torch.Size([32, 32]))
    """
    variances = fourier_variances(world)
    return GaussianDenoiser(_one_image(world).mean().expand(1, world.size, world.size), variances)


def gaussian_of_images(images: torch.Tensor, modes: int | None = None) -> GaussianDenoiser:
    """Return the Gaussian with mean and covariance of images, or with its strongest modes alone.

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
        A whole population, such as a lattice, or a sample of it.
    modes : int, optional
        How many, 1 to the smaller of n - 1 and N^2; all N^2 unless given, for which it takes as many images.

    Returns
    -------
    GaussianDenoiser
        Its modes fall in variance.

    Raises
    ------
    BumplabError
        For fewer images than modes: the sentence says which modes they say nothing of.

    Examples
    --------
    >>> world = BumpWorld(size=8)
    >>> gaussian_of_images(world.render(world.lattice()), modes=3).variances.shape
    torch.Size([3])
    """
    if images.ndim != 4 or len(images) < 2 or not torch.isfinite(images).all():
        raise BumplabError(f"A covariance takes two finite images (n, 1, N, N) or more; got {tuple(images.shape)}.")
    n, pixels = len(images), images[0].numel()
    keep = pixels if modes is None else modes
    if not 1 <= keep <= pixels:
        raise BumplabError(f"Images of {pixels} pixels have 1 to {pixels} modes, got {quote(modes)}.")
    if n < pixels and keep > n - 1:
        raise BumplabError(
            f"{n} images say nothing of modes {n} to {pixels} of {pixels}, counted from the strongest, so these are "
            f"excluded: give modes={n - 1} or fewer."
        )
    flat = images.double().flatten(1)
    mean = flat.mean(0)
    if n < pixels:
        _, sizes, rows = torch.linalg.svd(flat - mean, full_matrices=False)
        return GaussianDenoiser(mean.reshape(images.shape[1:]), sizes[:keep] ** 2 / n, rows[:keep].T.contiguous())
    values, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean) / n)
    strongest = slice(pixels - keep, None)
    return GaussianDenoiser(
        mean.reshape(images.shape[1:]), values[strongest].flip(0).clamp(min=0), vectors[:, strongest].flip(1)
    )


def mixture_of_tiles(world: BumpWorld, images: int = 8) -> MixtureDenoiser:
    """Return a mixture with a Gaussian for each square tile of places: mean and covariance of what is shown there.

    Parameters
    ----------
    world : BumpWorld
        What training shows of it, and nothing else, makes the mixture.
    images : int
        Tiles are as small as they can be with so many images in each on average, and halve the side a whole number of
        times.

    Returns
    -------
    MixtureDenoiser
        Shares are those of images. Along directions in which the images of a tile do not differ the variance is 0.

    Examples
    --------
    >>> mixture = mixture_of_tiles(BumpWorld(size=16, periodic=True, fraction=0.5))
    >>> len(mixture.components)  # tiles of 4 x 4 places, 8 of which are shown on average
    16
    """
    mu, shown = world.seen(), world.render(world.seen())
    tiles = 1
    while len(mu) / (4 * tiles**2) >= images:
        tiles *= 2
    columns, rows = (mu // (world.extent / tiles)).long().T
    groups = [shown[columns + tiles * rows == tile] for tile in (columns + tiles * rows).unique()]
    components = [
        gaussian_of_images(group, min(len(group) - 1, group[0].numel())) for group in groups if len(group) > 1
    ]
    points = [GaussianDenoiser(group[0], torch.zeros(())) for group in groups if len(group) == 1]
    shares = sorted(map(len, groups), key=lambda count: count == 1)
    return MixtureDenoiser(components + points, torch.tensor(shares, dtype=torch.float64))


def one_variance(gaussian: GaussianDenoiser) -> GaussianDenoiser:
    """Return the baseline that knows the mean, and the variance of a pixel on average.

    Examples
    --------
    >>> one_variance(GaussianDenoiser(torch.zeros(1, 2, 2), torch.ones(1), torch.eye(4)[:, :1])).variances
    tensor(0.2500)
    """
    total = gaussian.variances.sum() * (gaussian.mean.numel() if gaussian.variances.ndim == 0 else 1)
    return GaussianDenoiser(gaussian.mean, total / gaussian.mean.numel())


def mean_only(gaussian: GaussianDenoiser) -> GaussianDenoiser:
    """Return the baseline that knows the mean alone: it always returns it.

    Examples
    --------
    >>> point = mean_only(GaussianDenoiser(torch.full((1, 2, 2), -1.0), torch.tensor(0.3)))
    >>> point(torch.randn(1, 1, 2, 2), 0.1).unique().tolist()
    [-1.0]
    """
    return GaussianDenoiser(gaussian.mean, torch.zeros((), dtype=gaussian.variances.dtype))


def rotate_modes(gaussian: GaussianDenoiser, seed: int = 0) -> GaussianDenoiser:
    """Return the control with the right variances along wrong modes, a random rotation of the true ones.

    Parameters
    ----------
    gaussian : GaussianDenoiser
    seed : int
        Of the rotation, drawn evenly from all.

    Examples
    --------
    >>> right = GaussianDenoiser(torch.zeros(1, 2, 2), torch.tensor([4.0, 0.0, 0.0, 0.0]), torch.eye(4))
    >>> wrong = rotate_modes(right)
    >>> wrong.variances.tolist(), wrong.modes.shape
    ([4.0, 0.0, 0.0, 0.0], torch.Size([4, 4]))
    """
    pixels = gaussian.mean.numel()
    variances = gaussian.variances.flatten() if gaussian.variances.ndim else gaussian.variances.expand(pixels)
    draws = np.random.default_rng(seed).standard_normal((pixels, len(variances)))
    basis, upper = np.linalg.qr(draws)
    modes = torch.from_numpy(basis * np.sign(np.diag(upper))).to(gaussian.variances)
    return GaussianDenoiser(gaussian.mean, variances, modes)


def fourier_mode(size: int, across: int, down: int, phase: float = 0.0) -> torch.Tensor:
    """Return a wave of length 1, along which images are kicked.

    Parameters
    ----------
    size : int
        N.
    across, down : int
        Whole waves along x and y; the variance of the mode is entry [down, across] of :func:`fourier_variances`.
    phase : float
        In radians.

    Returns
    -------
    torch.Tensor, (1, N, N), float64

    Raises
    ------
    BumplabError
        If this phase of the wave is 0 at every pixel.

    Examples
    --------
    >>> wave = fourier_mode(32, across=3, down=1)
    >>> round(wave.square().sum().item(), 6), torch.fft.fft2(wave)[0].abs().argmax().item() == 1 * 32 + 3
    (1.0, True)
    """
    pixels = torch.arange(size, dtype=torch.float64)
    wave = torch.cos(2 * torch.pi / size * (across * pixels + down * pixels[:, None]) + phase)
    length = wave.norm()
    if length < 1e-6:
        raise BumplabError(f"A wave ({across}, {down}) of phase {phase:g} is 0 at every pixel; take phase 0.")
    return (wave / length)[None]


def _check_lattice(world: BumpWorld) -> None:
    if not world.periodic or world.spacing != (1.0, 1.0) or not world.seen_mask().all():
        raise BumplabError(
            "Only a periodic world of spacing 1, without a hold-out, has images that form a lattice with modes of "
            "Fourier; for others take gaussian_of_images(world.render(world.seen()))."
        )


def _one_image(world: BumpWorld) -> torch.Tensor:
    """Return the image of condition (0, 0), (N, N) float64."""
    zero = torch.zeros(1, dtype=torch.float64)
    column, row = (world.profile(zero, which)[0] for which in (0, 1))
    brightness = row[:, None] * column if world.kind == "bump" else row[:, None] + column
    return 2 * brightness / world.peak - 1
