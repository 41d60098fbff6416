"""Shells of Fourier modes, and generated images compared with the bumps of a periodic world."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from bumplab.worlds.bumps import BumpWorld

#: An image is a bump where its squared distance to the nearest one is below this share of a bump's square.
BUMP_SHARE = 0.25


@lru_cache(maxsize=8)
def shells_of(size: int) -> dict[str, np.ndarray]:
    """Return the Fourier modes of images in shells, within which turned and mirrored bumps have one variance.

    Parameters
    ----------
    size : int
        N.

    Returns
    -------
    dict of str to array, int
        Waves along one axis and the other, the larger number first, to places in the flattened (N, N); without the
        constant mode.

    Examples
    --------
    >>> shells = shells_of(16)
    >>> len(shells), len(shells["k1-0"]), len(shells["k3-1"]), sum(map(len, shells.values()))
    (44, 4, 8, 255)
    """
    waves = np.minimum(np.arange(size), size - np.arange(size))
    down, across = (each.ravel() for each in np.meshgrid(waves, waves, indexing="ij"))
    larger, smaller = np.maximum(down, across), np.minimum(down, across)
    pairs = sorted({*zip(larger.tolist(), smaller.tolist(), strict=True)} - {(0, 0)})
    return {f"k{a}-{b}": np.flatnonzero((larger == a) & (smaller == b)) for a, b in pairs}


def bump_distances(images: torch.Tensor, world: BumpWorld) -> torch.Tensor:
    """Return the squared distances of images to their nearest bumps, over the square of a bump.

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
    world : BumpWorld
        Periodic, of step 1.

    Returns
    -------
    torch.Tensor, (n,), float64

    Examples
    --------
    >>> world = BumpWorld(size=16, periodic=True)
    >>> bump, black = world.render(torch.tensor([[3.0, 4.0]])), torch.full((1, 1, 16, 16), -1.0)
    >>> bump_distances(torch.cat([bump, black]), world).round(decimals=3).tolist()
    [0.0, 1.0]
    """
    bump = world.brightness(world.render(torch.zeros(1, 2)))[0].double()
    brightness = world.brightness(images).double()
    matches = torch.fft.ifft2(torch.fft.fft2(brightness) * torch.fft.fft2(bump).conj()).real
    square = bump.square().sum()
    return ((brightness.square().sum((1, 2)) - 2 * matches.amax((1, 2)) + square) / square).abs()


def transfer_of(images: torch.Tensor, mu: torch.Tensor, world: BumpWorld) -> dict[str, float]:
    """Return the mean amplitude of each shell of modes in phase with the bumps of conditions, over their own.

    A smear in the right place, a bump of width s instead of sigma, has exp(-(s^2 - sigma^2) k^2 / 2).

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
    mu : torch.Tensor, (n, 2)
    world : BumpWorld
        Periodic.

    Examples
    --------
    >>> world, mu = BumpWorld(size=16, periodic=True), torch.tensor([[3.0, 4.0]])
    >>> round(transfer_of(world.replace(sigma=2).render(mu), mu, world)["k2-0"] / 4, 3)  # exp(-3 (pi / 4)^2 / 2)
    0.396
    """
    own, true = (torch.fft.fft2(each.double(), norm="ortho")[:, 0] for each in (images, world.render(mu)))
    power = true.abs().square().mean(0).flatten()
    in_phase = (own * true.conj()).real.mean(0).flatten()
    return {name: float(in_phase[rows].sum() / power[rows].sum()) for name, rows in shells_of(world.size).items()}
