"""Linear denoisers in training, exactly: how the weight along each mode of the data grows, and what it then generates.

Weights are trained by gradient flow on the loss of :mod:`~bumplab.diffusion.linear`. If they are diagonal in the modes
of the data's covariance from the start, each mode learns by itself, and a law says how its weight w goes from Q to its
optimum w* = lambda/(lambda + sigma^2), at every noise level.

Time is learning rate times duration, eta tau: no law has a rate of its own. Source: Wang and Pehlevan (2025,
arXiv:2503.03206); what they leave open is derived where it stands.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator
from scipy.special import exp1, exprel

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError
from bumplab.diffusion.linear import EDM_RANGE, check_modes, check_noise, check_times, quadrature

#: Most weights that are held at a time, 64 MB.
_CHUNK = 8_000_000


class ModeLaw(FrozenConfig):
    """How the weight along a mode learns, independently of all other modes.

    Attributes
    ----------
    start : float
        Q, the weight of every mode at every noise level before training, 0 to 10.

    Examples
    --------
    >>> OneLayer(start=0.1).variances([1.0], [0.0, 0.1, np.inf]).round(5).ravel().tolist()
    [3e-05, 0.00017, 0.99985]
    """

    start: Annotated[float, Field(ge=0, le=10)] = 0.0

    def weights(self, variances: ArrayLike, sigmas: ArrayLike, times: ArrayLike) -> np.ndarray:
        """Return the weights during training.

        Parameters
        ----------
        variances : array_like, (M,)
            lambda of each mode, 0 or more.
        sigmas : array_like, (S,)
            Noise levels above 0.
        times : array_like, (T,)
            eta tau, 0 or more; infinity is the end of training.

        Returns
        -------
        array (T, M, S), float64

        Examples
        --------
        >>> OneLayer(start=0.25).weights([3.0], [1.0], [0.0, np.inf]).ravel().tolist()
        [0.25, 0.75]
        """
        times, variances = check_times(times)[:, None, None], check_modes(variances)[:, None]
        squares = np.asarray(sigmas, float) ** 2
        return self._weights(variances, squares, times)

    def variances(self, variances: ArrayLike, times: ArrayLike, noise: tuple[float, float] = EDM_RANGE) -> np.ndarray:
        """Return the variances that the denoiser generates along the modes, during training.

        Parameters
        ----------
        variances : array_like, (M,)
            Of the data, lambda.
        times : array_like, (T,)
            eta tau, 0 or more; infinity is the end of training.
        noise : (float, float)
            Least and largest noise level.

        Returns
        -------
        array (T, M), float64

        Raises
        ------
        BumplabError
            If variances or times are negative, or the noise levels are not in order.

        Examples
        --------
        >>> f"{OneLayer().variances([1.0], [0.0]).item():.0e}"  # nothing but the least noise, 0.002^2
        '4e-06'
        """
        times, variances, (low, high) = check_times(times), check_modes(variances), check_noise(noise)
        logs = np.empty((len(times), len(variances)))
        over = np.isinf(times)
        logs[over] = np.log((variances + low**2) / (variances + high**2))
        logs[~over] = self._log_shrinkage(variances, times[~over], (low, high))
        return high**2 * np.exp(logs)

    def _weights(self, variances: np.ndarray, squares: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return the weights (T, M, S) for variances (M, 1), sigma^2 (S,) and times (T, 1, 1)."""
        raise NotImplementedError

    def _log_shrinkage(self, variances: np.ndarray, times: np.ndarray, noise: tuple[float, float]) -> np.ndarray:
        """Return the logarithm of generated variance over sigma_max^2, (T, M); by quadrature, unless a law is known."""
        sigmas, shares = quadrature(noise)
        logs, rows = np.empty((len(times), len(variances))), max(1, _CHUNK // (len(variances) * len(sigmas)))
        for k in range(0, len(times), rows):
            logs[k : k + rows] = -2 * ((1 - self.weights(variances, sigmas, times[k : k + rows])) @ shares)
        return logs


class ExponentialLaw(ModeLaw):
    """A law by which the weight goes from its start to its optimum as exp(-rate eta tau).

    Attributes
    ----------
    start : float
        Q.

    Examples
    --------
    >>> isinstance(OneLayer(), ExponentialLaw), isinstance(TwoLayers(start=0.1), ExponentialLaw)
    (True, False)
    """

    def rates(self, variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return the rates for variances (M, 1) and sigma^2 (S,), shaped (M, S): the loss's second derivative.

        Examples
        --------
        >>> OneLayer().rates(np.array([[3.0]]), np.array([1.0])).item()
        8.0
        """
        raise NotImplementedError

    def starts(self, squares: np.ndarray) -> np.ndarray:
        """Return the weights before training at sigma^2 (S,), shaped (S,).

        Examples
        --------
        >>> OneLayer(start=0.5).starts(np.array([0.25])).item()
        0.5
        """
        return np.full(len(squares), self.start)

    def _weights(self, variances: np.ndarray, squares: np.ndarray, times: np.ndarray) -> np.ndarray:
        best = variances / (variances + squares)
        return best + (self.starts(squares) - best) * np.exp(-times * self.rates(variances, squares))


class OneLayer(ExponentialLaw):
    """One layer: the weight goes from Q to its optimum as exp(-2 gain (lambda + sigma^2) eta tau).

    Attributes
    ----------
    start : float
        Q.
    gain : float
        How much faster than a fully connected layer it learns. A circular convolution as wide as its N positions has
        N, since each of its taps sees all of them; modes are then those of Fourier.

    Examples
    --------
    >>> OneLayer(gain=1024).weights([1.0], [1.0], [1 / 1024]).round(4).ravel().tolist()  # (1 - exp(-4)) / 2
    [0.4908]
    """

    gain: Annotated[float, Field(gt=0, le=1e9)] = 1.0

    def rates(self, variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return 2 gain (lambda + sigma^2)."""
        return 2 * self.gain * (variances + squares)

    def _log_shrinkage(self, variances: np.ndarray, times: np.ndarray, noise: tuple[float, float]) -> np.ndarray:
        pace = 2 * self.gain * times[:, None]

        def log_phi(sigma: float) -> np.ndarray:  # Ei(-x) = -exp1(x)
            learning = (1 - self.start) * np.exp(-pace * variances) * exp1(pace * sigma**2)
            return (np.log(variances + sigma**2) - learning + exp1(pace * (variances + sigma**2))) / 2

        low, high = noise
        with np.errstate(invalid="ignore"):
            logs = 2 * (log_phi(low) - log_phi(high))
        return np.where(pace > 0, logs, 2 * (1 - self.start) * np.log(low / high))


class TwoLayers(ModeLaw):
    """Two tied layers, W = P P^T: logistic growth, w = w* Q / ((w* - Q) exp(-8 lambda eta tau) + Q).

    Every weight of a mode passes the harmonic mean of its start and its end at eta tau = log(2) / (8 lambda), whatever
    the noise. The generated variance in closed form is derived here: with e = exp(-8 lambda eta tau), A = e + Q (1 - e)
    and B = Q (1 - e) / lambda the weight is Q / (A + B sigma^2), whose integral over log sigma is elementary.

    Attributes
    ----------
    start : float
        Q, above 0: two layers that start at 0 never leave it.

    Examples
    --------
    >>> TwoLayers(start=0.2).weights([1.0], [1.0], [np.log(2) / 8]).round(6).item()  # 2 / (1 / 0.2 + 1 / 0.5)
    0.285714
    """

    @model_validator(mode="after")
    def _leaves_its_start(self) -> TwoLayers:
        if not self.start > 0:
            raise BumplabError("TwoLayers: two layers that start at a weight of 0 never learn; give a start above 0.")
        return self

    def _weights(self, variances: np.ndarray, squares: np.ndarray, times: np.ndarray) -> np.ndarray:
        over = np.isinf(times)
        first, second = self._denominator(variances, np.where(over, 0.0, times))
        return np.where(over, variances / (variances + squares), self.start / (first + second * squares))

    def _log_shrinkage(self, variances: np.ndarray, times: np.ndarray, noise: tuple[float, float]) -> np.ndarray:
        first, second = self._denominator(variances, times[:, None])
        share = self.start / first
        low, high = noise
        ends = np.log((first + second * low**2) / (first + second * high**2))
        return 2 * (1 - share) * np.log(low / high) + share * ends

    def _denominator(self, variances: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return A and B."""
        age = 8 * variances * times
        growth = -np.expm1(-age)  # 1 - e
        return 1 - growth + self.start * growth, self.start * 8 * times * exprel(-age)  # no 0 / 0 without variance


class EqualRates(ExponentialLaw):
    """A null: every mode learns at one rate at every noise level, as exp(-2 eta tau), as if perfectly normalised.

    Whatever law of emergence is found with it comes from how emergence is read off.

    Attributes
    ----------
    start : float
        Q.

    Examples
    --------
    >>> EqualRates().weights([1.0, 9.0], [1.0], [np.log(2) / 2]).ravel().tolist()
    [0.25, 0.45]
    """

    def rates(self, variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return 2."""
        return np.full(np.broadcast_shapes(variances.shape, squares.shape), 2.0)

    def _log_shrinkage(self, variances: np.ndarray, times: np.ndarray, noise: tuple[float, float]) -> np.ndarray:
        left = np.exp(-2 * times[:, None])
        low, high = noise
        end = np.log((variances + low**2) / (variances + high**2))
        return left * 2 * (1 - self.start) * np.log(low / high) + (1 - left) * end
