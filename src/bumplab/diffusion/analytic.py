"""Exact denoisers in the place of a network, and a network in the place of an exact denoiser.

A *theory* is a function D(x, sigma): given images x = x0 + sigma z with noise of level sigma, it returns the mean of
x0. The best denoiser of a known distribution is one; (D - x)/sigma^2 is then the score of the noised distribution
(Tweedie's formula, Efron 2011). :func:`as_network` puts it where the book's sampler takes a network, and
:func:`as_theory` reads a network as a theory, so that one is exchanged for the other in one word.

The book's process shrinks images as it adds noise: x_t = sqrt(alpha_bar) (x0 + sigma z), with
sigma^2 = (1 - alpha_bar)/alpha_bar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.process import Denoiser, Diffusion

#: From images x0 + sigma z (n, 1, N, N) and noise levels sigma, (n,) or one for all, to the mean of x0 (n, 1, N, N).
Theory = Callable[[torch.Tensor, torch.Tensor | float], torch.Tensor]


def noise_level(diffusion: Diffusion, t: torch.Tensor | float) -> torch.Tensor:
    """Return sigma at timesteps.

    Parameters
    ----------
    diffusion : Diffusion
    t : float or torch.Tensor, (n,)
        In [-1, T-1].

    Returns
    -------
    torch.Tensor, (n,), float32

    Examples
    --------
    >>> [round(sigma, 2) for sigma in noise_level(Diffusion(), torch.tensor([0.0, 999.0])).tolist()]
    [0.01, 157.41]
    """
    signal, noise = diffusion.signal_and_noise_scale(torch.atleast_1d(torch.as_tensor(t)))
    return (noise / signal).flatten()


def timestep_at(diffusion: Diffusion, sigma: torch.Tensor | float) -> torch.Tensor:
    """Return the timesteps at which noise has some level, the inverse of :func:`noise_level`.

    Parameters
    ----------
    diffusion : Diffusion
    sigma : float or torch.Tensor, (n,)
        Noise levels that training shows, those of timesteps 0 to T-1.

    Returns
    -------
    torch.Tensor, (n,), float32, real-valued

    Raises
    ------
    BumplabError
        For a noise level outside of the schedule.

    Examples
    --------
    >>> round(timestep_at(Diffusion(), 1.0).item(), 1)  # where half of the variance is noise
    258.1
    """
    levels = torch.atleast_1d(torch.as_tensor(sigma, dtype=torch.float64))
    table = diffusion.log_alpha_bar(torch.arange(diffusion.timesteps, device=levels.device)).flatten().double()
    logs = -torch.log1p(levels**2)
    if not ((logs <= table[0] * (1 - 1e-5)) & (logs >= table[-1] * (1 + 1e-5))).all():
        low, high = noise_level(diffusion, torch.tensor([0, diffusion.timesteps - 1])).tolist()
        raise BumplabError(
            f"The noise of this schedule goes from sigma {low:.3g} to {high:.4g}; give one between, not {quote(sigma)}."
        )
    after = torch.searchsorted(-table, -logs).clamp(1, diffusion.timesteps - 1)
    share = (logs - table[after - 1]) / (table[after] - table[after - 1])
    return (after - 1 + share).clamp(0, diffusion.timesteps - 1).float()


def as_network(theory: Theory, diffusion: Diffusion) -> Denoiser:
    """Return a theory as the network that a diffusion samples with; it pays no heed to the condition.

    Parameters
    ----------
    theory : callable (x, sigma) -> x0
    diffusion : Diffusion
        Whose ``prediction_type`` the network has.

    Returns
    -------
    callable (x, t, mu) -> output
        For t of 0 or more. The sampler clips what it is told of x0 to [-1, 1] unless given ``clip=False``: images of a
        lattice do not notice it, those of a Gaussian do.

    Raises
    ------
    BumplabError
        For a regression, which has no noise.

    Examples
    --------
    >>> diffusion, grey = Diffusion(), lambda x, sigma: torch.full_like(x, 0.5)
    >>> diffusion.sample(as_network(grey, diffusion), torch.zeros(1, 2), size=4, steps=5).round(decimals=3).unique()
    tensor([0.5000])
    """
    if diffusion.kind != "diffusion":
        raise BumplabError("A regression has no noise, so no theory of noisy images takes the place of its network.")

    def network(x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        signal, noise = diffusion.signal_and_noise_scale(t)
        x0 = theory(x / signal, (noise / signal).flatten())
        return diffusion.target(x0, (x - signal * x0) / noise, t)

    return network


def as_theory(model: Denoiser, diffusion: Diffusion, mu: torch.Tensor) -> Theory:
    """Return what a network makes of noisy images as a theory: the inverse of :func:`as_network`.

    Parameters
    ----------
    model : callable (x, t, mu) -> output
    diffusion : Diffusion
    mu : torch.Tensor, (2,) or (n, 2)
        The condition that the network is given, or one for each image.

    Returns
    -------
    callable (x, sigma) -> x0
        For noise levels of the schedule.

    Examples
    --------
    >>> diffusion, half = Diffusion(prediction_type="v"), lambda x, sigma: x / 2
    >>> theory = as_theory(as_network(half, diffusion), diffusion, torch.zeros(2))
    >>> theory(torch.ones(1, 1, 2, 2), 3.0).round(decimals=3).unique()
    tensor([0.5000])
    """

    def theory(x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        t = timestep_at(diffusion, sigma).to(x.device).expand(len(x))
        signal, _ = diffusion.signal_and_noise_scale(t)
        with torch.no_grad():
            output = model(signal * x, t, mu.expand(len(x), 2))
        return diffusion.to_x0_and_eps(output.float(), signal * x, t)[0]

    return theory


def explained_variance(
    reference: torch.Tensor, candidate: torch.Tensor, about: torch.Tensor | float = 0.0
) -> torch.Tensor:
    """Return the share of a denoiser's, or a score's, output that another one explains.

    The score, mean 0 for almost every noise, flatters: at high noise nearly all of it is the noise itself, which every
    denoiser with the right mean explains. Compare denoisers, about the mean of the data.

    Parameters
    ----------
    reference, candidate : torch.Tensor, (n, ...)
    about : torch.Tensor or float
        What explains nothing: the mean of the data for denoisers, 0 for scores.

    Returns
    -------
    torch.Tensor, scalar
        1 - sum (reference - candidate)^2 / sum (reference - about)^2; 1 or less.

    Examples
    --------
    >>> explained_variance(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]), about=2.0).item()
    0.5
    """
    return 1 - (reference - candidate).square().sum() / (reference - about).square().sum()


def column(sigma: torch.Tensor | float, x: torch.Tensor) -> torch.Tensor:
    """Return noise levels as (n, 1) or (1, 1), of the type of images and on their device.

    Raises
    ------
    BumplabError
        Unless they are above 0, one for all images or one for each.

    Examples
    --------
    >>> column(0.5, torch.zeros(3, 1, 8, 8)).shape
    torch.Size([1, 1])
    """
    levels = torch.atleast_1d(torch.as_tensor(sigma, dtype=x.dtype, device=x.device))
    if levels.ndim != 1 or len(levels) not in (1, len(x)) or not (levels > 0).all():
        raise BumplabError(
            f"Noise levels are above 0, one for all of {len(x)} images or one for each; got {quote(sigma)}."
        )
    return levels[:, None]
