"""When modes emerge in training, and the power law of it: one reading for theories and for networks.

A mode emerges when its generated variance has come half of the way from its first value to its last one. Halfway is the
geometric mean of the two, or the harmonic one, or the arithmetic one; the exponent alpha in time ~ variance^-alpha
depends on which (and on the weights that training starts from), so that an exponent without it means nothing.
Wang and Pehlevan (2025, arXiv:2503.03206) use the first two, and leave out modes whose beginning is within a factor of
2 of their end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.curves import PowerLaw, fit_log_log
from bumplab.common.errors import BumplabError, quote

#: What halfway is.
Threshold = Literal["geometric", "harmonic", "arithmetic"]
#: Times eta tau at which theories are read: 100 a decade, between which a time is known to 1 in 10,000.
TIMES = np.geomspace(1e-9, 1e15, 2401)


@dataclass(frozen=True)
class Emergence:
    """When each of M modes emerges.

    Attributes
    ----------
    times : array (M,)
        Above 0; infinity for a mode that does not get halfway.
    first, last : array (M,)
        Its variance before training, and at the end.

    Examples
    --------
    >>> from bumplab.diffusion.linear_laws import OneLayer
    >>> variances = np.array([1.0, 0.1, 0.01])
    >>> emergence = emergence_of_law(lambda times: OneLayer().variances(variances, times))
    >>> print(emergence.power_law(variances))
    exponent 0.98 [0.96, 1.01]
    """

    times: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def branch(self, direction: Literal["rising", "falling"] = "rising", factor: float = 2.0) -> np.ndarray:
        """Return which modes rise, or fall, by more than a factor, and emerge: boolean (M,).

        Examples
        --------
        >>> Emergence(np.ones(3), np.array([1.0, 1.0, 1.0]), np.array([9.0, 1.5, 0.1])).branch("falling").tolist()
        [False, False, True]
        """
        ratio = self.last / self.first if direction == "rising" else self.first / self.last
        return (ratio > factor) & np.isfinite(self.times)

    def power_law(
        self, variances: ArrayLike, direction: Literal["rising", "falling"] = "rising", factor: float = 2.0
    ) -> PowerLaw:
        """Return the law time = constant * (1 / variance)^alpha of one branch; its ``exponent`` is alpha.

        Parameters
        ----------
        variances : array_like, (M,)
            Of the data, for example; those of other branches may be 0.
        direction : {"rising", "falling"}
        factor : float
            Modes whose variance changes by less are left out.

        Raises
        ------
        BumplabError
            If fewer than three modes of the branch are left.

        Examples
        --------
        >>> Emergence(np.array([1.0, 4.0, 16.0]), np.full(3, 1e-6), np.ones(3)).power_law([1.0, 0.5, 0.25]).exponent
        2.0
        """
        branch = self.branch(direction, factor)
        if branch.sum() < 3:
            raise BumplabError(
                f"Only {branch.sum()} of {len(branch)} modes are {direction} by a factor above {factor:g}; "
                "a power law needs three."
            )
        return fit_log_log(1 / np.asarray(variances, float)[branch], self.times[branch])

    def bootstrap(
        self,
        variances: ArrayLike,
        direction: Literal["rising", "falling"] = "rising",
        factor: float = 2.0,
        draws: int = 1000,
        seed: int = 0,
    ) -> tuple[float, float]:
        """Return the 95 % interval of alpha over modes drawn with replacement, :meth:`power_law` being one of all.

        It asks how much the law is a matter of which modes the data have, and assumes no scatter of any form.

        Parameters
        ----------
        variances, direction, factor
            As for :meth:`power_law`.
        draws : int
            How often modes are drawn.
        seed : int

        Raises
        ------
        BumplabError
            If fewer than three modes of the branch are left, or they all have one variance.

        Examples
        --------
        >>> emergence = Emergence(np.array([1.0, 4.0, 16.0]), np.full(3, 1e-6), np.ones(3))
        >>> [round(end, 6) for end in emergence.bootstrap([1.0, 0.5, 0.25])]
        [2.0, 2.0]
        """
        self.power_law(variances, direction, factor)
        branch = self.branch(direction, factor)
        x, y = -np.log(np.asarray(variances, float)[branch]), np.log(self.times[branch])
        rows = np.random.default_rng(seed).integers(len(x), size=(draws, len(x)))
        x, y = (values[rows] - values[rows].mean(1, keepdims=True) for values in (x, y))
        spread = (x**2).sum(1)
        slopes = (x * y).sum(1)[spread > 0] / spread[spread > 0]
        low, high = np.percentile(slopes, [2.5, 97.5])
        return float(low), float(high)


def halfway(first: ArrayLike, last: ArrayLike, threshold: Threshold = "geometric") -> np.ndarray:
    """Return the variance that counts as halfway between two, 0 or more.

    Parameters
    ----------
    first, last : array_like, (M,)
    threshold : {"geometric", "harmonic", "arithmetic"}

    Returns
    -------
    array (M,)

    Raises
    ------
    BumplabError
        For another threshold.

    Examples
    --------
    >>> [float(halfway(1.0, 4.0, threshold).round(3)) for threshold in ("harmonic", "geometric", "arithmetic")]
    [1.6, 2.0, 2.5]
    """
    first, last = np.asarray(first, float), np.asarray(last, float)
    if threshold == "geometric":
        return np.sqrt(first) * np.sqrt(last)
    if threshold == "harmonic":
        return 2 * first / (first + last) * last
    if threshold == "arithmetic":
        return (first + last) / 2
    raise BumplabError(f"A threshold is geometric, harmonic or arithmetic; got {quote(threshold)}.")


def emergence_of_law(
    variances_at: Callable[[np.ndarray], np.ndarray], threshold: Threshold = "geometric", times: np.ndarray = TIMES
) -> Emergence:
    """Return when modes emerge by a theory, which knows the beginning and the end of training.

    Parameters
    ----------
    variances_at : callable
        From times (T,) to generated variances (T, M), also at 0 and infinity, as
        :meth:`~bumplab.diffusion.linear_laws.ModeLaw.variances` with the variances filled in, or
        :meth:`~bumplab.diffusion.linear_convolution.PatchConvolution.variances`.
    threshold : {"geometric", "harmonic", "arithmetic"}
    times : array (T,)
        Rising, above 0; read between, along log time. A mode that is not halfway at the last of them has no time.

    Examples
    --------
    >>> from bumplab.diffusion.linear_laws import EqualRates
    >>> emergence = emergence_of_law(lambda times: EqualRates().variances([1.0, 4.0], times))
    >>> emergence.times.round(4).tolist()  # with one rate for all, log(2) / 2 for all
    [0.3466, 0.3466]
    """
    first, last = variances_at(np.array([0.0, np.inf]))
    return _read(times, variances_at(times), first, last, threshold)


def emergence_of_curves(
    times: ArrayLike, curves: ArrayLike, last: ArrayLike | None = None, threshold: Threshold = "geometric"
) -> Emergence:
    """Return when modes emerge in a network, of which variances are measured at some moments of training.

    Parameters
    ----------
    times : array_like, (T,)
        Rising; the first is the beginning of training, and may be 0.
    curves : array_like, (T, M)
        Generated variances, above 0. Of n images each has a relative error of sqrt(2/n), the same for every mode, so
        that what must be left out is not the small modes but those that change by no more than a few such errors.
    last : array_like, (M,), optional
        Where modes go, such as the variances of the data; unless given, the last of the curves.
    threshold : {"geometric", "harmonic", "arithmetic"}

    Returns
    -------
    Emergence
        By the first crossing, read along the logarithms of time and variance.

    Raises
    ------
    BumplabError
        If times do not rise or do not match the curves, or a variance is not above 0.

    Examples
    --------
    >>> curves = [[1e-6, 1e-6], [1e-3, 1e-6], [1.0, 1e-5]]
    >>> emergence_of_curves([0, 10, 100], curves, last=[1.0, 1.0]).times.round(3).tolist()
    [10.0, inf]
    """
    times, curves = np.asarray(times, float), np.asarray(curves, float)
    if times.ndim != 1 or curves.shape[:1] != times.shape or curves.ndim != 2 or len(times) < 2:
        raise BumplabError(f"Curves come as (times, modes); got {curves.shape} for {times.shape} times.")
    if not (np.diff(times) > 0).all() or not times[0] >= 0:
        raise BumplabError("The times of curves rise, from 0 or more.")
    end = curves[-1] if last is None else np.asarray(last, float)
    if not (np.isfinite(curves).all() and (curves > 0).all() and (end > 0).all()):
        raise BumplabError("Generated variances are finite and above 0; leave out the modes that have none.")
    return _read(times[1:], curves[1:], curves[0], end, threshold)


def _read(
    times: np.ndarray, curves: np.ndarray, first: np.ndarray, last: np.ndarray, threshold: Threshold
) -> Emergence:
    """Return the first crossings of the way from first to last, both (M,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (np.log(curves) - np.log(halfway(first, last, threshold))) * np.sign(last - first)  # negative before
    over = left >= 0
    k = over.argmax(0)
    modes = np.arange(curves.shape[1])
    after, before = left[k, modes], left[np.maximum(k - 1, 0), modes]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(k > 0, after / (after - before), 0.0)
    crossing = np.log(times[k]) - share * (np.log(times[k]) - np.log(times[np.maximum(k - 1, 0)]))
    return Emergence(np.where(over.any(0) & (first != last), np.exp(crossing), np.inf), first, last)
