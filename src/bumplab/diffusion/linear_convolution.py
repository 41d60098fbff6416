"""Linear convolutions in training, exactly: what a denoiser learns that sees a patch of the image at a time.

On a circle, or a torus, of N positions a filter of K taps acts on the Fourier modes of the image. Its taps learn along
the modes of the K x K covariance of patches, each by the law of one layer with gain N. Wang and Pehlevan (2025,
arXiv:2503.03206) give this and say that the generated variance has no closed form. It has one, derived here. Let
patch mode j have variance c_j, Fourier transform F_kj and entry v_j at the centre of the patch. A filter whose only tap
is the centre has weight 1 at every k, so the shares M_kj = F_kj v_j sum to 1 over j, and the weight at k is
sum_j M_kj w(c_j). The generated variance is the exponential of an integral over the weight, hence

    log variance_k = sum_j M_kj log variance(c_j),

a geometric mean, with shares that may be negative, of variances that one layer generates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.linear import EDM_RANGE
from bumplab.diffusion.linear_laws import OneLayer


class PatchConvolution:
    """A circular convolution with few taps, or as many as there are positions.

    Parameters
    ----------
    spectrum : array_like, (N,) or (N, N)
        Variance of each Fourier mode of the data in the order of :func:`numpy.fft.fft`, 0 or more, such as
        :func:`~bumplab.diffusion.analytic_spectra.fourier_variances` returns; even, as that of real images is.
    taps : int
        K, the width of the filter along each axis: odd, so that it has a centre, at most N; or N.
    start : float
        Q, the centre of the filter before training; other taps start at 0. 0 to 10.

    Attributes
    ----------
    law : OneLayer
        By which each mode of patches learns. Plain descent takes ``shares @ descend(law, patch_variances, ...)``, see
        :func:`~bumplab.diffusion.linear_descent.descend`.
    patch_variances : array (K,) or (K K,)
        c_j, of the modes of patches.
    shares : array (N, K) or (N N, K K)
        M, rows in the order of the flattened spectrum.

    Raises
    ------
    BumplabError
        For a spectrum of another shape, with negative or uneven entries, or a filter without a centre.

    Examples
    --------
    >>> spectrum = np.array([0.0, 1.0, 0.1, 1.0])
    >>> full, local = (PatchConvolution(spectrum, taps) for taps in (4, 3))
    >>> full.variances([np.inf])[0, 1].round(3), local.variances([np.inf])[0, 1].round(3)  # a local filter misses it
    (np.float64(1.0), np.float64(0.521))
    """

    def __init__(self, spectrum: ArrayLike, taps: int, start: float = 0.0) -> None:
        spectrum = _check_spectrum(spectrum)
        size, axes = len(spectrum), spectrum.ndim
        if not 1 <= taps <= size or (taps % 2 == 0 and taps != size):
            raise BumplabError(
                f"On {size} positions a filter has an odd number of taps up to {size}, or {size}; got {quote(taps)}."
            )
        self.law = OneLayer(start=start, gain=spectrum.size)
        offsets = np.stack(np.meshgrid(*[np.arange(taps) - taps // 2] * axes, indexing="ij"), -1).reshape(-1, axes)
        covariance = np.fft.ifftn(spectrum).real
        lags = (offsets[:, None] - offsets) % size
        values, modes = np.linalg.eigh(covariance[tuple(lags[..., axis] for axis in range(axes))])
        self.patch_variances = np.clip(values, 0, None)
        centre = modes[(offsets == 0).all(1).argmax()]
        frequencies = np.stack(np.meshgrid(*[np.arange(size)] * axes, indexing="ij"), -1).reshape(-1, axes)
        # spectrum and start are even, so is the filter, and its transform is real
        self.shares = (np.cos(2 * np.pi / size * (frequencies @ offsets.T)) @ modes) * centre

    def weights(self, sigmas: ArrayLike, times: ArrayLike) -> np.ndarray:
        """Return the weight of every Fourier mode during training.

        Parameters
        ----------
        sigmas : array_like, (S,)
            Noise levels above 0.
        times : array_like, (T,)
            eta tau, 0 or more; infinity is the end of training.

        Returns
        -------
        array (T, modes, S), float64

        Examples
        --------
        >>> one = PatchConvolution([0.0, 1.0, 1.0, 1.0], 1)  # it sees the variance of a pixel, 0.75
        >>> one.weights([1.0], [np.inf]).round(3).ravel().tolist()
        [0.429, 0.429, 0.429, 0.429]
        """
        return self.shares @ self.law.weights(self.patch_variances, sigmas, times)

    def variances(self, times: ArrayLike, noise: tuple[float, float] = EDM_RANGE) -> np.ndarray:
        """Return the variance that is generated along every Fourier mode during training.

        Parameters
        ----------
        times : array_like, (T,)
            eta tau, 0 or more; infinity is the end of training.
        noise : (float, float)
            Least and largest noise level.

        Returns
        -------
        array (T, modes), float64

        Examples
        --------
        >>> PatchConvolution([0.0, 1.0, 1.0, 1.0], 3).variances([0.0]).round(6).ravel().tolist()
        [4e-06, 4e-06, 4e-06, 4e-06]
        """
        logs = np.log(self.law.variances(self.patch_variances, times, noise) / noise[1] ** 2)
        return noise[1] ** 2 * np.exp(logs @ self.shares.T)


def _check_spectrum(spectrum: ArrayLike) -> np.ndarray:
    result = np.asarray(spectrum, float)
    if result.ndim not in (1, 2) or len(set(result.shape)) != 1 or result.size < 2:
        raise BumplabError(f"A spectrum has shape (N,) or (N, N), with N of 2 or more; got shape {result.shape}.")
    if not np.isfinite(result).all() or (result < 0).any():
        raise BumplabError("The variances of a spectrum are finite, and 0 or more.")
    mirrored = np.roll(np.flip(result), 1, axis=tuple(range(result.ndim)))
    if not np.allclose(result, mirrored, rtol=1e-6, atol=1e-9 * result.max()):
        raise BumplabError("The spectrum of real images is even: frequencies k and -k have one variance.")
    return result
