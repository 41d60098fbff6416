"""Linear denoisers in training by plain gradient descent, step by step, exactly.

Gradient flow is the limit of small steps. Descent needs a learning rate below 1/(lambda + sigma^2): 1.6e-4 at a noise
level of 80, by which the weights at the least noise hardly move. So each noise level may have a rate of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.linear import check_modes
from bumplab.diffusion.linear_laws import ExponentialLaw, ModeLaw, TwoLayers


def descend(
    law: ModeLaw, variances: ArrayLike, sigmas: ArrayLike, learning_rate: ArrayLike, steps: Sequence[int]
) -> np.ndarray:
    """Return the weights after steps of full-batch gradient descent.

    Parameters
    ----------
    law : ModeLaw
        Whose gradient is followed: for an :class:`~bumplab.diffusion.linear_laws.ExponentialLaw` each step takes the
        share eta * rate of the way, for :class:`~bumplab.diffusion.linear_laws.TwoLayers` both layers are one.
    variances : array_like, (M,)
        lambda of each mode, 0 or more.
    sigmas : array_like, (S,)
        Noise levels above 0.
    learning_rate : float or array_like, (S,)
        eta, one for all noise levels or one for each.
    steps : sequence of int, (T,)
        After how many steps, 0 or more.

    Returns
    -------
    array (T, M, S), float64

    Raises
    ------
    BumplabError
        If the learning rate is so high that descent diverges.

    Examples
    --------
    >>> from bumplab.diffusion.linear_laws import OneLayer
    >>> descend(OneLayer(), [1.0], [1.0], 0.125, [0, 1, 2]).ravel().tolist()  # half of the way to 1/2, then half of it
    [0.0, 0.25, 0.375]
    """
    variances, squares = check_modes(variances)[:, None], np.asarray(sigmas, float) ** 2
    counts, eta = np.asarray(steps), np.broadcast_to(np.asarray(learning_rate, float), squares.shape)
    if counts.ndim != 1 or not counts.size or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise BumplabError(f"Steps are a row of whole numbers, 0 or more; got {quote(steps)}.")
    if isinstance(law, ExponentialLaw):
        way = eta * law.rates(variances, squares)
        _check_rate(way / 2, eta)
        best = variances / (variances + squares)
        return best + (law.starts(squares) - best) * (1 - way) ** counts[:, None, None]
    if isinstance(law, TwoLayers):
        _check_rate(4 * eta * np.maximum(variances, law.start * (variances + squares)), eta)
        return _descend_two_layers(law.start, variances, squares, eta, counts)
    raise BumplabError(f"Descent is known for exponential laws and for two layers, not for {type(law).__name__}.")


def _descend_two_layers(
    start: float, variances: np.ndarray, squares: np.ndarray, eta: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return w = p^2, where p descends on (p^2 - 1)^2 lambda + p^4 sigma^2."""
    factor = np.full(np.broadcast_shapes(variances.shape, squares.shape), np.sqrt(start))
    result, step = np.empty((len(counts), *factor.shape)), 0
    for count, place in sorted(zip(counts.tolist(), range(len(counts)), strict=True)):
        for _ in range(count - step):
            factor = factor * (1 - 4 * eta * (factor**2 * (variances + squares) - variances))
        result[place], step = factor**2, count
    return result


def _check_rate(share: np.ndarray, eta: np.ndarray) -> None:
    """Check that every learning rate is above 0 and below its limit, of which `share` (M, S) is how much it takes."""
    if not (np.isfinite(eta).all() and (eta > 0).all()):
        raise BumplabError("A learning rate is above 0.")
    if not (share < 1).all():
        worst = share.max(0).argmax()
        limit = eta[worst] / share[:, worst].max()
        raise BumplabError(
            f"A learning rate of {eta[worst]:.2g} diverges where the noise is largest: take one below {limit:.2g}, "
            "or one for each noise level."
        )


def affine_flow(
    covariance: ArrayLike, mean: ArrayLike, sigma: float, times: ArrayLike, start: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias by gradient flow where the mean of the data is not 0.

    [W, b] acts on (x, 1), whose second moments are H = [[Sigma + sigma^2 I + mu mu^T, mu], [mu^T, 1]]; from its start
    it comes to its optimum as exp(-2 H eta tau). A mean that overlaps with one mode alone couples the bias to the
    weight of this mode, and to nothing else (on a periodic lattice of bumps: the constant mode). One that overlaps with
    several mixes them: on its way, W is then not diagonal in the modes, though it is at both ends.

    Parameters
    ----------
    covariance : array_like, (d, d)
        Sigma.
    mean : array_like, (d,)
        mu.
    sigma : float
        The noise level, above 0.
    times : array_like, (T,)
        eta tau, 0 or more and finite.
    start : float
        Q: W begins at Q times the identity, b at 0.

    Returns
    -------
    weights, biases : arrays (T, d, d), (T, d), float64

    Examples
    --------
    >>> weights, biases = affine_flow([[1.0]], [0.5], 1.0, [0.0, 100.0])
    >>> weights.round(6).ravel().tolist(), biases.round(6).ravel().tolist()  # b = (1 - w) mu at the end
    ([0.0, 0.5], [0.0, 0.25])
    """
    covariance, mean, times = np.asarray(covariance, float), np.asarray(mean, float), np.asarray(times, float)
    d = len(mean)
    if covariance.shape != (d, d) or not sigma > 0:
        raise BumplabError(f"A mean of {d} entries goes with a covariance ({d}, {d}) and noise above 0.")
    noisy = covariance + sigma**2 * np.eye(d)
    best = np.linalg.solve(noisy, covariance).T
    end = np.hstack([best, (mean - best @ mean)[:, None]])
    first = np.hstack([start * np.eye(d), np.zeros((d, 1))])
    moments = np.block([[noisy + np.outer(mean, mean), mean[:, None]], [mean[None], np.ones((1, 1))]])
    values, modes = np.linalg.eigh(moments)
    both = end + ((first - end) @ modes * np.exp(-2 * values * times[:, None, None])) @ modes.T
    return both[..., :d], both[..., d]
