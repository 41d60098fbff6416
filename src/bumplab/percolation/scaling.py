"""Finite-size scaling: the threshold of an infinite lattice, and curves of all sizes on one line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bumplab.common.errors import BumplabError
from bumplab.percolation.curves import PercolationCurves
from bumplab.percolation.thresholds import Estimate, WrappingSample

#: Exponents in two dimensions: of the correlation length, the largest cluster, and the susceptibility.
NU, BETA, GAMMA = 4 / 3, 5 / 36, 43 / 18


def extrapolate(samples: Sequence[WrappingSample]) -> tuple[Estimate, float]:
    """Return the threshold by finite-size scaling, and chi^2 per degree of freedom (NaN for two sides).

    The mean p at which clusters go round differs from the threshold by an amount that falls as side^(-1 / nu). A line
    through the means over side^(-3/4), weighted by their errors, meets 0 at the threshold.

    Parameters
    ----------
    samples : sequence of WrappingSample

    Returns
    -------
    (Estimate, float)

    Raises
    ------
    BumplabError
        For fewer than two different sides.

    Examples
    --------
    >>> from bumplab.percolation import sample_wrapping, shells
    >>> threshold, _ = extrapolate([sample_wrapping(side, shells(1), realisations=500) for side in (16, 32, 64)])
    >>> round(threshold.value, 2)
    0.59
    """
    sides = np.array([each.side for each in samples], dtype=float)
    if len(set(sides)) < 2:
        raise BumplabError("Finite-size scaling needs two or more different sides.")
    each = [f.shares().mean(axis=1) for f in samples]
    means, errors = np.array([(e.mean(), e.std(ddof=1) / np.sqrt(len(e))) for e in each]).T
    design = np.stack([np.ones_like(sides), sides ** (-1 / NU)], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    best = covariance @ design.T @ (means / errors)
    freedom = len(sides) - 2
    chi2 = float(((means / errors - design @ best) ** 2).sum() / freedom) if freedom else float("nan")
    return Estimate(float(best[0]), float(np.sqrt(covariance[0, 0]))), chi2


def collapse(
    curves: PercolationCurves, name: str, critical: float, nu: float = NU, power: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve in scaled axes, where lattices of all sizes fall onto one line near the threshold.

    Parameters
    ----------
    curves : PercolationCurves
        Of a square lattice.
    name : {"share", "susceptibility", "crossing"}
    critical : float
        The threshold.
    nu : float
        Exponent of the correlation length.
    power : float, optional
        The curve is multiplied by side^power. Unless given, it is what theory says: 5/48 for the share (beta / nu),
        -43/24 for the susceptibility (-gamma / nu), 0 for the crossing probability.

    Returns
    -------
    (array (k,), array (k,))
        (p - critical) side^(1 / nu), and the mean curve times side^power.

    Examples
    --------
    >>> zeros = np.zeros((2, 3))
    >>> lattice = PercolationCurves(np.array([0.5, 0.6, 0.7]), zeros + 0.5, zeros, zeros, zeros, shape=(16, 16))
    >>> collapse(lattice, "share", critical=0.6)[0].round(3).tolist()  # 0.1 x 16^(3/4)
    [-0.8, 0.0, 0.8]
    """
    if power is None:
        power = {"share": BETA / NU, "susceptibility": -GAMMA / NU, "crossing": 0.0}[name]
    side = float(np.sqrt(curves.shape[0] * curves.shape[1]))
    return (curves.p - critical) * side ** (1 / nu), curves.mean(name) * side**power


def collapse_error(lines: Sequence[tuple[np.ndarray, np.ndarray]], reach: float = 1.0) -> float:
    """Return how far scaled curves lie apart: their mean standard deviation over their range; 0 is one line for all.

    Both are taken for x from -`reach` to `reach`; the range is that of the mean curve.

    Parameters
    ----------
    lines : sequence of (array (k,), array (k,))
        As :func:`collapse` returns them, with ascending x.
    reach : float

    Raises
    ------
    BumplabError
        If a curve does not reach so far.

    Examples
    --------
    >>> x = np.linspace(-2, 2, 9)
    >>> collapse_error([(x, x), (x, x)]), round(collapse_error([(x, x), (x, x + 0.2)]), 6)
    (0.0, 0.05)
    """
    grid = np.linspace(-reach, reach, 41)
    if any(x[0] > -reach or x[-1] < reach for x, _ in lines):
        raise BumplabError(f"Every curve has to reach from -{reach:g} to {reach:g} on the scaled axis.")
    values = np.array([np.interp(grid, x, y) for x, y in lines])
    return float(values.std(axis=0).mean() / np.ptp(values.mean(axis=0)))
