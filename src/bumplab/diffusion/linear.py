"""Linear denoisers: what they know of the data, the weights that are best, and the images that weights generate.

A denoiser D(x; sigma) = W_sigma x + b_sigma has weights of its own at every noise level. Of the data it uses mean and
covariance alone: the best weight along a mode of variance lambda, by the mean squared error of x0, is
lambda/(lambda + sigma^2). Along the probability-flow equation dx/dsigma = (x - D)/sigma it generates Gaussian images,
the mode with variance sigma_max^2 exp(-2 int (1 - w) dsigma/sigma). How weights learn is told by
:mod:`~bumplab.diffusion.linear_laws`.

Noise is that of Karras et al. (2022, arXiv:2206.00364), x0 + sigma z. Source: Wang and Pehlevan (2025,
arXiv:2503.03206).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError, quote

#: Least and largest noise level of Karras et al. (2022), between which images are generated.
EDM_RANGE = (0.002, 80.0)
#: Noise levels at which :func:`generated_variances` knows the weights: with 64 it is exact to 7 digits.
QUADRATURE_NODES = 64


def optimal_weights(variances: ArrayLike, sigmas: ArrayLike) -> np.ndarray:
    """Return the weights of the best linear denoiser, lambda / (lambda + sigma^2).

    Parameters
    ----------
    variances : array_like, (M,)
        lambda of each mode, 0 or more.
    sigmas : array_like, (S,)
        Noise levels above 0.

    Returns
    -------
    array (M, S), float64, 0 to 1

    Examples
    --------
    >>> optimal_weights([0.0, 1.0], [1.0]).tolist()
    [[0.0], [0.5]]
    """
    variances, sigmas = check_modes(variances), np.asarray(sigmas, float)
    return variances[:, None] / (variances[:, None] + sigmas**2)


def quadrature(noise: tuple[float, float] = EDM_RANGE, nodes: int = QUADRATURE_NODES) -> tuple[np.ndarray, np.ndarray]:
    """Return noise levels and the weights of an integral over log sigma, by Gauss and Legendre.

    Parameters
    ----------
    noise : (float, float)
        Least and largest noise level, above 0.
    nodes : int

    Returns
    -------
    sigmas, shares : arrays (nodes,)
        ``shares`` sum to log(largest / least).

    Raises
    ------
    BumplabError
        Unless 0 < least < largest.

    Examples
    --------
    >>> sigmas, shares = quadrature((0.1, 10.0))
    >>> np.isclose((sigmas * shares).sum(), 10.0 - 0.1)  # the integral of sigma dsigma / sigma
    np.True_
    """
    low, high = check_noise(noise)
    at, shares = np.polynomial.legendre.leggauss(nodes)
    half = np.log(high / low) / 2
    return np.sqrt(low * high) * np.exp(half * at), half * shares


def generated_variances(weights: ArrayLike, noise: tuple[float, float] = EDM_RANGE) -> np.ndarray:
    """Return the variance that weights generate along each mode, whatever they come from.

    Parameters
    ----------
    weights : array_like, (..., S)
        At the S noise levels of :func:`quadrature` with S nodes.
    noise : (float, float)
        Least and largest noise level.

    Returns
    -------
    array (...), float64

    Examples
    --------
    >>> sigmas, _ = quadrature()
    >>> generated_variances(optimal_weights([4.0], sigmas)).round(3).tolist()  # 80^2 (4 + 0.002^2) / (4 + 80^2)
    [3.998]
    """
    weights = np.asarray(weights, float)
    _, shares = quadrature(noise, weights.shape[-1])
    return noise[1] ** 2 * np.exp(-2 * ((1 - weights) @ shares))


def check_modes(variances: ArrayLike) -> np.ndarray:
    """Return variances of modes as float64 (M,), all of them finite and 0 or more.

    Raises
    ------
    BumplabError

    Examples
    --------
    >>> check_modes([1, 2]).dtype
    dtype('float64')
    """
    result = np.asarray(variances, float)
    if result.ndim != 1 or not result.size or not np.isfinite(result).all() or (result < 0).any():
        raise BumplabError(f"Variances of modes are a row of finite numbers, 0 or more; got {quote(variances)}.")
    return result


def check_times(times: ArrayLike) -> np.ndarray:
    """Return times of training as float64 (T,), 0 or more; infinity is the end.

    Raises
    ------
    BumplabError

    Examples
    --------
    >>> check_times([0, np.inf]).tolist()
    [0.0, inf]
    """
    result = np.asarray(times, float)
    if result.ndim != 1 or not result.size or not (result >= 0).all():
        raise BumplabError(f"Times of training are a row of numbers, 0 or more; got {quote(times)}.")
    return result


def check_noise(noise: tuple[float, float]) -> tuple[float, float]:
    """Return least and largest noise level, in this order and above 0.

    Raises
    ------
    BumplabError

    Examples
    --------
    >>> check_noise((0.1, 10))
    (0.1, 10)
    """
    low, high = noise
    if not 0 < low < high < np.inf:
        raise BumplabError(f"Noise levels go from one above 0 to a larger one; got {quote(noise)}.")
    return low, high
