"""Gaussian denoisers: what is known of images from their mean and their covariance, and the flow to which it leads.

For images with mean mu and covariance of modes u_k with variances lambda_k the best denoiser shrinks the distance from
the mean along each mode by lambda/(lambda + sigma^2), and the probability-flow equation has a closed form: from noise
sigma to sigma' each mode shrinks by sqrt((lambda + sigma'^2)/(lambda + sigma^2)). With one variance for all modes, or
none, the same formulas are the two baselines that know less.

Source: Wang and Vastola (2023, arXiv:2303.02490 and arXiv:2311.10892; 2024, arXiv:2412.09726). Noise is that of Karras
et al. (2022, arXiv:2206.00364), x0 + sigma z.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic import column

#: From variances (K,) and sigma^2 (n, 1) or (1, 1) to the factor of each mode, (n, K) or (1, K).
_Gains = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
#: Most numbers of images that are scaled at a time; with what leads to them 16 MB.
_CHUNK = 2**20


class GaussianDenoiser:
    """The best denoiser of Gaussian images, and the flow that leads from noise to them.

    See :mod:`~bumplab.diffusion.analytic_spectra` for those with mean and covariance of a world, or of a sample.

    Parameters
    ----------
    mean : torch.Tensor, (1, N, N)
    variances : torch.Tensor
        lambda, 0 or more: () one variance in every direction; (N, N) of the modes of Fourier, in the order of
        :func:`torch.fft.fft2`; or (K,) of the columns of `modes`.
    modes : torch.Tensor, (N * N, K), optional
        Orthonormal. Along directions that they do not span the variance is 0.

    Raises
    ------
    BumplabError
        If the shapes do not go together, or a variance is below 0.

    Examples
    --------
    >>> gaussian = GaussianDenoiser(torch.zeros(1, 2, 2), torch.tensor(3.0))
    >>> gaussian(torch.ones(1, 1, 2, 2), 1.0).unique().tolist()
    [0.75]
    """

    def __init__(self, mean: torch.Tensor, variances: torch.Tensor, modes: torch.Tensor | None = None) -> None:
        pixels = mean.numel()
        shapes = [torch.Size([]), mean.shape[1:]] if modes is None else [torch.Size([modes.shape[-1]])]
        if mean.ndim != 3 or variances.shape not in shapes or (modes is not None and modes.shape[0] != pixels):
            raise BumplabError(
                f"A Gaussian of images {tuple(mean.shape)} has one variance, {tuple(mean.shape[1:])} for modes of "
                f"Fourier, or K with modes ({pixels}, K); got {tuple(variances.shape)}"
                + ("." if modes is None else f" with modes {tuple(modes.shape)}.")
            )
        if not (torch.isfinite(variances).all() and (variances >= 0).all()):
            raise BumplabError("The variances of a Gaussian are finite, and 0 or more.")
        if variances.ndim == 2 and not torch.allclose(variances, variances.flip(0, 1).roll((1, 1), (0, 1))):
            raise BumplabError("The spectrum of real images is even: frequencies k and -k have one variance.")
        self.mean, self.variances, self.modes = mean, variances, modes

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return the mean of x0 for images `x` (n, 1, N, N) with noise `sigma`, (n,) or one for all."""
        return self._scale(x, sigma, lambda variances, squares: variances / (variances + squares))

    def flow(self, x: torch.Tensor, sigma: torch.Tensor | float, end: float = 0.0) -> torch.Tensor:
        """Return where the probability-flow equation leads from images with noise `sigma` to those with noise `end`.

        Parameters
        ----------
        x : torch.Tensor, (n, 1, N, N)
            x0 + sigma z; for pure noise sigma z.
        sigma : float or torch.Tensor, (n,)
            Above 0.
        end : float
            0 or more, above `sigma` to go backwards.

        Returns
        -------
        torch.Tensor, (n, 1, N, N)

        Examples
        --------
        >>> gaussian = GaussianDenoiser(torch.zeros(1, 2, 2), torch.tensor(9.0))
        >>> gaussian.flow(torch.full((1, 1, 2, 2), 5.0), 4.0).unique().tolist()  # sqrt(9 / (9 + 16))
        [3.0]
        """
        if not 0 <= end < float("inf"):
            raise BumplabError(f"A flow ends at a level of noise, 0 or more; got {quote(end)}.")
        return self._scale(x, sigma, lambda variances, squares: ((variances + end**2) / (variances + squares)).sqrt())

    def log_density(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return the logarithm of the density of noisy images `x` (n, 1, N, N), with noise `sigma`: (n,).

        Examples
        --------
        >>> point = GaussianDenoiser(torch.zeros(1, 1, 1), torch.tensor(0.0))
        >>> round(point.log_density(torch.zeros(1, 1, 1, 1), 1.0).exp().item(), 4)  # 1 / sqrt(2 pi)
        0.3989
        """
        squares = column(sigma, x) ** 2
        away = self._scale(x, sigma, lambda variances, squares: (variances + squares).rsqrt()) - self.mean.to(x)
        variances, pixels = self.variances.to(x).flatten(), self.mean.numel()
        others = pixels - (pixels if self.variances.ndim == 0 else len(variances))
        logs = (variances + squares).log().sum(1) * (pixels if self.variances.ndim == 0 else 1)
        logs = logs + others * squares.log()[:, 0]
        return -(away.flatten(1).square().sum(1) + logs + pixels * math.log(2 * math.pi)) / 2

    def _scale(self, x: torch.Tensor, sigma: torch.Tensor | float, gains: _Gains) -> torch.Tensor:
        """Return the mean plus the distance from it, scaled along each mode."""
        if x.shape[1:] != self.mean.shape:
            raise BumplabError(f"Images of shape {tuple(x.shape[1:])} are no noisy ones of {tuple(self.mean.shape)}.")
        mean, squares, result = self.mean.to(x), column(sigma, x) ** 2, torch.empty_like(x)
        step = max(1, _CHUNK // mean.numel())
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            some = squares if len(squares) == 1 else squares[rows]
            result[rows] = mean + self._scale_distance((x[rows] - mean).flatten(1), some, gains).reshape(
                -1, *mean.shape
            )
        return result

    def _scale_distance(self, away: torch.Tensor, squares: torch.Tensor, gains: _Gains) -> torch.Tensor:
        variances = self.variances.to(away)
        if variances.ndim == 0:
            return gains(variances, squares) * away
        if self.modes is None:
            size = len(variances)
            half = variances[:, : size // 2 + 1]  # of a real image, the other half of the waves mirrors them
            waves = torch.fft.rfft2(away.reshape(-1, size, size))
            waves *= gains(half.flatten(), squares).reshape(-1, *half.shape)
            return torch.fft.irfft2(waves, s=(size, size)).flatten(1)
        modes, rest = self.modes.to(away), gains(torch.zeros_like(squares), squares)  # along no mode
        return rest * away + ((away @ modes) * (gains(variances, squares) - rest)) @ modes.T


class MixtureDenoiser:
    """The best denoiser of a mixture of Gaussians.

    Parameters
    ----------
    components : sequence of GaussianDenoiser
    shares : torch.Tensor, (C,), optional
        How likely each of them is, above 0; all alike unless given. They need not sum to 1.

    Raises
    ------
    BumplabError
        Without components, or with other shares than these.

    Examples
    --------
    >>> points = [GaussianDenoiser(torch.full((1, 1, 1), m), torch.tensor(0.0)) for m in (-1.0, 1.0)]
    >>> round(MixtureDenoiser(points)(torch.full((1, 1, 1, 1), 0.5), 1.0).item(), 4)  # tanh(0.5)
    0.4621
    """

    def __init__(self, components: list[GaussianDenoiser], shares: torch.Tensor | None = None) -> None:
        shares = torch.ones(len(components)) if shares is None else shares
        if not components or shares.shape != (len(components),) or not (shares > 0).all():
            raise BumplabError(
                f"A mixture has one component or more, and a share above 0 for each; got {len(components)} components "
                f"and shares of shape {tuple(shares.shape)}."
            )
        self.components, self.shares = components, shares

    def weights(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return how likely each component is behind each of `x` (n, 1, N, N), with noise `sigma`: (n, C).

        Examples
        --------
        >>> point = GaussianDenoiser(torch.zeros(1, 1, 1), torch.tensor(0.0))
        >>> MixtureDenoiser([point, point]).weights(torch.zeros(1, 1, 1, 1), 1.0).tolist()
        [[0.5, 0.5]]
        """
        logs = torch.stack([component.log_density(x, sigma) for component in self.components], dim=1)
        return (logs + self.shares.to(x).log()).softmax(1)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return the mean of x0 for images `x` (n, 1, N, N) with noise `sigma`, (n,) or one for all."""
        weights = self.weights(x, sigma)
        means = torch.stack([component(x, sigma) for component in self.components])
        return torch.einsum("nc,cn...->n...", weights, means)
