"""Starts between noise and image: teleportation by the Gaussian flow, and kicks along the way.

At high noise the best denoiser of any images is that of a Gaussian, whose flow is known in closed form. So the first
part of sampling may be skipped: compute x at a lower noise, and let the sampler start there (Wang and Vastola 2023,
arXiv:2311.10892). Whoever claims a gain by the covariance compares with one variance: the flow shrinks noise, and which
image it leads to is decided for the most part by the pattern of the noise, which any shrinking keeps.
"""

from __future__ import annotations

import torch

from bumplab.diffusion.analytic import noise_level, timestep_at
from bumplab.diffusion.analytic_gaussian import GaussianDenoiser
from bumplab.diffusion.process import Diffusion


def teleport(
    gaussian: GaussianDenoiser, diffusion: Diffusion, noise: torch.Tensor, sigma: float
) -> tuple[torch.Tensor, float]:
    """Go from pure noise to a level of noise in one step, by the flow of a Gaussian.

    Parameters
    ----------
    gaussian : GaussianDenoiser
    diffusion : Diffusion
    noise : torch.Tensor, (n, 1, N, N)
        What sampling would start from.
    sigma : float
        Noise level of the schedule to land at.

    Returns
    -------
    x : torch.Tensor, (n, 1, N, N)
    start : float
        The timestep of this noise; both go to
        :meth:`~bumplab.diffusion.process.Diffusion.sample_trajectory`, as ``noise`` and ``start``.

    Raises
    ------
    BumplabError
        If the noise level lies outside of the schedule.

    Examples
    --------
    >>> from bumplab.diffusion.analytic import as_network
    >>> diffusion, gaussian = Diffusion(), GaussianDenoiser(torch.zeros(1, 4, 4), torch.tensor(0.25))
    >>> noise = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> x, start = teleport(gaussian, diffusion, noise, sigma=3.0)
    >>> network, mu = as_network(gaussian, diffusion), torch.zeros(1, 2)
    >>> short = diffusion.sample(network, mu, size=4, steps=300, noise=x, start=start, clip=False)
    >>> whole = diffusion.sample(network, mu, size=4, steps=900, noise=noise, clip=False)
    >>> (short - whole).abs().max().item() < 0.01
    True
    """
    start = timestep_at(diffusion, sigma)
    last = torch.tensor([diffusion.timesteps - 1.0])
    before, _ = diffusion.signal_and_noise_scale(last)
    after, _ = diffusion.signal_and_noise_scale(start)
    state = gaussian.flow(noise / before.to(noise), noise_level(diffusion, last).item(), sigma)
    return after.to(noise) * state, start.item()


def kick(diffusion: Diffusion, x: torch.Tensor, t: float, mode: torch.Tensor, size: float) -> torch.Tensor:
    """Push images on their way from noise along a mode.

    By the flow of a Gaussian the final image moves along the mode by ``size`` times :func:`kick_response`, and along no
    other one.

    Parameters
    ----------
    diffusion : Diffusion
    x : torch.Tensor, (n, 1, N, N)
        At timestep `t`, as the sampler yields it.
    t : float
        0 to T-1.
    mode : torch.Tensor, (1, N, N)
        Of length 1, such as :func:`~bumplab.diffusion.analytic_spectra.fourier_mode`.
    size : float
        In the scale of x0 + sigma z: compare it with sigma.

    Returns
    -------
    torch.Tensor, (n, 1, N, N)
        To go on from, with ``start=t``.

    Examples
    --------
    >>> x, mode = torch.zeros(1, 1, 2, 2), torch.full((1, 2, 2), 0.5)
    >>> pushed = kick(Diffusion(), x, 258.1, mode, size=2.0)
    >>> round(pushed.norm().item(), 2)  # at sigma 1 the process shrinks images by sqrt(1/2)
    1.41
    """
    signal, _ = diffusion.signal_and_noise_scale(torch.tensor([t]))
    return x + signal.to(x) * size * mode.to(x)


def kick_response(variances: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return by how much a kick of size 1 at noise `sigma` moves the final image, along modes of given variances.

    sqrt(lambda / (lambda + sigma^2)): kicks at a noise above a mode's standard deviation are forgotten.

    Parameters
    ----------
    variances : torch.Tensor, of any shape
        lambda, 0 or more.
    sigma : float
        Above 0.

    Examples
    --------
    >>> kick_response(torch.tensor([9.0, 0.0], dtype=torch.float64), 4.0).tolist()
    [0.6, 0.0]
    """
    return (variances / (variances + sigma**2)).sqrt()
