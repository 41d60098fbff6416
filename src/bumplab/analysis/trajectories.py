"""Ways from noise to image: at what noise each wave appears, and how near to a plain rotation the way is.

Wang and Vastola (2023, arXiv:2303.02490) describe the ways of trained samplers as rotations in a plane, along which
what varies most in the data appears first. Both follow for Gaussian images; here they are measured for any network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic import explained_variance, noise_level
from bumplab.diffusion.process import Denoiser, Diffusion


def wave_onsets(
    diffusion: Diffusion, network: Denoiser, noise: torch.Tensor, waves: Sequence[int], steps: int = 200
) -> torch.Tensor:
    """Return the noise level at which waves along x have half of their last amplitude in the guess of the clean image.

    Parameters
    ----------
    diffusion : Diffusion
    network : callable (x, t, mu) -> output
        Is told the condition (0, 0).
    noise : torch.Tensor, (n, 1, N, N)
        What sampling starts from; the median over the n ways is returned.
    waves : sequence of int
        Whole waves along x, 0 to N/2.
    steps : int
        Of the sampler.

    Returns
    -------
    torch.Tensor, (len(waves),)
        sigma; by the formula of a Gaussian sqrt(3 lambda).

    Raises
    ------
    BumplabError
        For a wave that images of this size do not have.

    Examples
    --------
    >>> from bumplab.diffusion import GaussianDenoiser, as_network
    >>> diffusion, gaussian = Diffusion(), GaussianDenoiser(torch.zeros(1, 4, 4), torch.tensor(1 / 3))
    >>> noise = torch.randn(9, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> wave_onsets(diffusion, as_network(gaussian, diffusion), noise, [1, 2], steps=500).round(decimals=1).tolist()
    [1.0, 1.0]
    """
    size = noise.shape[-1]
    if not all(0 <= wave <= size // 2 for wave in waves):
        raise BumplabError(f"Images of {size} pixels have 0 to {size // 2} whole waves, got {quote(list(waves))}.")
    levels = noise_level(diffusion, diffusion.sampling_timesteps(steps)[:-1])
    path = diffusion.sample_trajectory(network, torch.zeros(len(noise), 2), size, steps, clip=False, noise=noise)
    amplitudes = torch.stack([torch.fft.fft2(x0[:, 0])[:, 0, list(waves)].abs() for _, x0 in path])
    first = (amplitudes >= amplitudes[-1] / 2).float().argmax(0)
    return levels[first].median(0).values


def rotation_shares(diffusion: Diffusion, noise: torch.Tensor, states: torch.Tensor) -> dict[str, float]:
    """Return how much of the ways from noise to image a rotation explains: to their own ends, and to wrong ones.

    Parameters
    ----------
    diffusion : Diffusion
    noise : torch.Tensor, (n, 1, N, N)
        n of 2 or more.
    states : torch.Tensor, (steps, n, 1, N, N)
        x after each step of the sampler, the last being the image, as
        :meth:`~bumplab.diffusion.process.Diffusion.sample_trajectory` yields it from that noise.

    Returns
    -------
    dict of str to float
        Shares of the squared length of x on the way that sqrt(alpha_bar) x_end + sqrt(1 - alpha_bar) noise explains,
        with the ``"own"`` last image, with that of the ``"next"`` noise, and with ``"none"`` (0).

    Raises
    ------
    BumplabError
        For less than two ways, or states that are not on the ways of this noise.

    Examples
    --------
    >>> from bumplab.diffusion import GaussianDenoiser, as_network
    >>> diffusion, black = Diffusion(), GaussianDenoiser(torch.full((1, 4, 4), -1.0), torch.tensor(0.0))
    >>> noise = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> path = diffusion.sample_trajectory(as_network(black, diffusion), torch.zeros(2, 2), 4, clip=False, noise=noise)
    >>> shares = rotation_shares(diffusion, noise, torch.stack([x for x, _ in path]))
    >>> round(shares["own"], 3), round(shares["next"], 3), shares["none"] < 0.9  # all ends are black
    (1.0, 1.0, True)
    """
    if len(noise) < 2:
        raise BumplabError(f"Ways are compared with those to other images: give two noises or more, not {len(noise)}.")
    if states.shape[1:] != noise.shape:
        raise BumplabError(f"Ways from noise {tuple(noise.shape)} have no states {tuple(states.shape)}.")
    signal, level = diffusion.signal_and_noise_scale(diffusion.sampling_timesteps(len(states)))
    states = torch.cat([noise[None], states])
    ends = {"own": states[-1], "next": states[-1].roll(1, 0), "none": torch.zeros_like(states[-1])}
    turned = {name: signal[..., None] * end + level[..., None] * noise for name, end in ends.items()}
    return {name: explained_variance(states, way).item() for name, way in turned.items()}
