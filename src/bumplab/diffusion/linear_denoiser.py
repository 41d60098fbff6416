"""A linear denoiser in the middle of its training, as a theory that the book's sampler can sample with."""

from __future__ import annotations

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic import column
from bumplab.diffusion.linear_convolution import PatchConvolution
from bumplab.diffusion.linear_laws import ModeLaw

#: Noise levels at which weights are computed; between them they are read along log sigma.
_LEVELS = np.geomspace(1e-4, 1e4, 1025)


class LinearDenoiser:
    """What a linear denoiser makes of noisy images after some training, where modes are those of Fourier.

    Only the weights are those of this moment: it knows the mean of the data from the start.

    Parameters
    ----------
    mean : torch.Tensor, (1, N, N)
    spectrum : torch.Tensor, (N, N)
        Variances of the data, see :func:`~bumplab.diffusion.analytic_spectra.fourier_variances`.
    law : ModeLaw or PatchConvolution
        How it learns; a convolution that was made for this spectrum.
    time : float
        eta tau, 0 or more; infinity is the end of training.

    Raises
    ------
    BumplabError
        If the shapes do not go together, or the time is below 0.

    Examples
    --------
    >>> from bumplab.diffusion.linear_laws import OneLayer
    >>> student = LinearDenoiser(torch.zeros(1, 2, 2), torch.ones(2, 2), OneLayer(start=0.25), time=0.0)
    >>> student(torch.ones(1, 1, 2, 2), 3.0).unique().tolist()
    [0.25]
    """

    def __init__(
        self, mean: torch.Tensor, spectrum: torch.Tensor, law: ModeLaw | PatchConvolution, time: float
    ) -> None:
        modes = spectrum.numel()
        if spectrum.ndim != 2 or mean.shape != (1, *spectrum.shape):
            raise BumplabError(
                f"A mean (1, N, N) goes with a spectrum (N, N), not {tuple(mean.shape)} with {tuple(spectrum.shape)}."
            )
        if isinstance(law, PatchConvolution):
            if len(law.shares) != modes:
                raise BumplabError(f"This convolution is of {len(law.shares)} positions, the spectrum of {modes}.")
            weights = law.weights(_LEVELS, [time])[0]
        else:
            weights = law.weights(spectrum.flatten().numpy(), _LEVELS, [time])[0]
        self._mean, self._size = mean, len(spectrum)
        self._weights = torch.from_numpy(np.ascontiguousarray(weights.T)).reshape(-1, *spectrum.shape)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return the guess of x0 for images `x` (n, 1, N, N) with noise `sigma`, (n,) or one for all, 1e-4 to 1e4."""
        logs, mean = column(sigma, x)[:, 0].log().double(), self._mean.to(x)
        step = np.log(_LEVELS[1] / _LEVELS[0])
        place = (logs - np.log(_LEVELS[0])) / step
        if not ((place >= 0) & (place <= len(_LEVELS) - 1)).all():
            raise BumplabError(f"A linear denoiser is known for noise from 0.0001 to 10,000; got {quote(sigma)}.")
        low = place.floor().long().clamp(max=len(_LEVELS) - 2).cpu()
        share = (place.cpu() - low)[:, None, None]
        half = self._size // 2 + 1
        weights = torch.lerp(self._weights[low, :, :half], self._weights[low + 1, :, :half], share).to(x)
        waves = torch.fft.rfft2(x - mean) * weights[:, None]
        return mean + torch.fft.irfft2(waves, s=(self._size, self._size))
