"""Reading curves: where one crosses a level, and the power law through several such points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError


def level_crossing(x: ArrayLike, y: ArrayLike, level: float) -> float:
    """Return where a rising curve reaches a level.

    The curve is first made monotone by isotonic regression, so that one noisy point neither makes nor hides a
    crossing, then read off between its points along log x.

    Parameters
    ----------
    x : array_like, (n,)
        Positive, in any order, two or more different values; equal ones are averaged by the regression.
    y : array_like, (n,)
        For a curve that falls give -y and -level.
    level : float

    Returns
    -------
    float
        In the unit of x. 0 where the curve starts at the level or above, infinity where it never gets there.

    Raises
    ------
    BumplabError
        If x and y do not match, x is not positive, or one of them is not finite.

    Examples
    --------
    >>> round(level_crossing([1, 100], [0.0, 1.0], level=0.5), 6)  # halfway on a logarithmic axis
    10.0
    >>> level_crossing([1, 100], [0.0, 0.4], level=0.5)
    inf
    """
    from sklearn.isotonic import IsotonicRegression

    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(np.unique(x)) < 2:
        raise BumplabError(f"A curve needs as many y as x, two or more of them; got {x.shape} and {y.shape}.")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and (x > 0).all()):
        raise BumplabError("A curve needs finite values, and positive ones along x.")
    at = np.unique(x)
    rising = IsotonicRegression().fit(x, y).predict(at)
    above = np.flatnonzero(rising >= level)
    if not len(above):
        return math.inf
    k = above[0]
    if k == 0:
        return 0.0
    share = (level - rising[k - 1]) / (rising[k] - rising[k - 1])
    return float(np.exp((1 - share) * np.log(at[k - 1]) + share * np.log(at[k])))


@dataclass(frozen=True)
class PowerLaw:
    """y = factor * x^exponent, by least squares on logarithms.

    Attributes
    ----------
    exponent, factor : float
    low, high : float
        95 % Student interval of the exponent.
    n : int
        How many points are behind it.
    mean_log, spread, residual : float
        Mean and sum of squared deviations of log x, and the residuals' standard deviation: what
        :meth:`predict` needs.

    Examples
    --------
    >>> law = fit_log_log([1, 2, 4], [3.0, 6.0, 12.0])
    >>> print(law, round(law(8), 6))
    exponent 1.00 [1.00, 1.00] 24.0
    """

    exponent: float
    low: float
    high: float
    factor: float
    n: int
    mean_log: float
    spread: float
    residual: float

    def __call__(self, x: float) -> float:
        """Return y at x."""
        return self.factor * x**self.exponent

    def predict(self, x: float) -> tuple[float, float]:
        """Return the 95 % interval of the law itself (not of one more measurement) at x, also far outside the data.

        It assumes that the law goes on; it knows the scatter of the points, nothing else.

        Parameters
        ----------
        x : float
            Above 0.

        Returns
        -------
        (float, float)
            Its lower and its upper end, in the unit of y.

        Examples
        --------
        >>> law = fit_log_log([1, 1, 10, 10], [0.9, 1.1, 9.0, 11.0])
        >>> round(law(100)), [round(end) for end in law.predict(100)]
        (99, [38, 261])
        """
        from scipy import stats

        t = stats.t.ppf(0.975, self.n - 2)
        half = t * self.residual * math.sqrt(1 / self.n + (math.log(x) - self.mean_log) ** 2 / self.spread)
        return self(x) * math.exp(-half), self(x) * math.exp(half)

    def __str__(self) -> str:
        return f"exponent {self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}]"


def fit_log_log(x: ArrayLike, y: ArrayLike) -> PowerLaw:
    """Fit a power law to points (x, y), one for each measurement; several may share an x.

    Parameters
    ----------
    x, y : sequences of float, (n,)
        Positive and finite; three points or more, at two or more different x.

    Returns
    -------
    PowerLaw

    Raises
    ------
    BumplabError
        With fewer than three points, one of them not positive and finite, or all at one x.

    Examples
    --------
    >>> law = fit_log_log([1, 2, 4], [5.0, 20.0, 80.0])
    >>> round(law.exponent, 6), round(law.factor, 6)
    (2.0, 5.0)
    """
    from scipy import stats

    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3 or len(np.unique(x)) < 2:
        raise BumplabError("A power law needs three points or more, at two or more different x.")
    if not (np.isfinite([x, y]).all() and (x > 0).all() and (y > 0).all()):
        raise BumplabError("A power law needs positive, finite values.")
    log_x, log_y = np.log(x), np.log(y)
    fit: Any = stats.linregress(log_x, log_y)  # its fields have no types
    half = stats.t.ppf(0.975, len(x) - 2) * fit.stderr
    spread = float(((log_x - log_x.mean()) ** 2).sum())
    residual = float(fit.stderr * math.sqrt(spread))
    return PowerLaw(
        float(fit.slope), float(fit.slope - half), float(fit.slope + half), float(np.exp(fit.intercept)), len(x),
        float(log_x.mean()), spread, residual,
    )  # fmt: skip
