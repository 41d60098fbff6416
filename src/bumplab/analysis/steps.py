"""Angles between the steps that a representation takes: orthogonality and parallelism (Fig. 3 of the paper).

A representation is an array (n_x, n_y, D), x first. A *step* of x is the difference d_x(x, x'; y) = r(x', y) - r(x, y),
and likewise d_y(x; y, y') for y. We did not find the paper's exact statistics: the definitions here are this
book's own. Their values on the codes of :mod:`bumplab.analysis.ideal_codes` are derived in the docstrings and
held by tests.
"""

from __future__ import annotations

import numpy as np

from bumplab.analysis.geometry import pca, validate_and_center
from bumplab.common.errors import BumplabError, quote

#: Below this share of the variance a squared length is a rounding error.
TINY_SHARE = 1e-12
_Places = tuple[np.ndarray, np.ndarray]  # indices along x and along y


def lattice_code(r: np.ndarray) -> np.ndarray:
    """Return a representation centred; more dimensions than conditions are turned into as many.

    Angles and distances stay.

    Examples
    --------
    >>> lattice_code(np.random.default_rng(0).normal(size=(4, 5, 60))).shape
    (4, 5, 20)
    """
    if np.ndim(r) != 3 or min(np.shape(r)[:2]) < 4:
        raise BumplabError(
            f"This needs a representation (n_x, n_y, D), x first, of at least 4 x 4 conditions, got {np.shape(r)}."
        )
    n_x, n_y, dimensions = np.shape(r)
    return pca(r, None) if dimensions > n_x * n_y else validate_and_center(r, lattice=True)


class _DisplacementSampler:
    """Cosines between steps, from the products of all pairs of conditions."""

    def __init__(self, r: np.ndarray, tuples: int, seed: int) -> None:
        if tuples < 1:
            raise BumplabError(f"Draw at least 1 tuple of conditions, got {quote(tuples)}.")
        points = lattice_code(r)
        self.shape, self.tuples, self.rng = points.shape[:2], tuples, np.random.default_rng(seed)
        points = points.reshape(-1, points.shape[2])
        self.products = points @ points.T  # (n_x n_y, n_x n_y)
        self.scale = np.trace(self.products) / len(points)

    def draw(self, axis: int, k: int) -> np.ndarray:
        """Return k different values of x (0) or y (1) for each tuple, (k, tuples)."""
        return self.rng.random((self.tuples, self.shape[axis])).argsort(axis=1)[:, :k].T

    def draw_equal_steps(self, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where two steps along an axis begin and how long both are, (3, tuples), and at which other value.

        Begins and ends are four different values.
        """
        n = self.shape[axis]
        begin, other, length = np.indices((n, n, n)).reshape(3, -1)
        apart = (begin != other) & (abs(begin - other) != length) & (length > 0)
        valid = np.flatnonzero(apart & (np.maximum(begin, other) + length < n))
        chosen = self.rng.choice(valid, self.tuples)
        equal = np.stack([part[chosen] for part in (begin, other, length)])
        return equal, self.rng.integers(self.shape[1 - axis], size=self.tuples)

    def cosines(self, from_a: _Places, to_a: _Places, from_b: _Places, to_b: _Places) -> np.ndarray:
        """Return the cosines between steps a and b; each argument is a pair of indices (x, y) of arrays."""
        i, j, k, m = (np.ravel_multi_index(pair, self.shape) for pair in (from_a, to_a, from_b, to_b))
        p = self.products
        dot = p[j, m] - p[j, k] - p[i, m] + p[i, k]
        squares = (p[j, j] - 2 * p[i, j] + p[i, i]) * (p[m, m] - 2 * p[k, m] + p[k, k])
        real = squares > (TINY_SHARE * self.scale) ** 2
        if not real.any():
            raise BumplabError("The representation does not change with one of its features, so it takes no steps.")
        return (dot[real] / np.sqrt(squares[real])).clip(-1, 1)


def orthogonality(r: np.ndarray, tuples: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return cosines between steps that have no condition in common, drawn at random.

    ``"x-on-y"``: cos(d_x(x1, x2; y1), d_y(x3; y2, y3)), three different x and three different y. Are the directions
    in which x moves the code, anywhere, orthogonal to those in which y moves it anywhere else?

    ``"x-on-x"``: cos(d_x(x1, x2; y), d_x(x3, x4; y)) with four different x, x1 < x2 and x3 < x4. Are different values
    of the same feature coded in orthogonal directions? ``"y-on-y"`` likewise.

    Parameters
    ----------
    r : array, (n_x, n_y, D)
        At least 4 values of each feature.
    tuples : int
        Draws for each distribution. Steps of length 0 are left out.
    seed : int

    Returns
    -------
    dict of arrays (tuples,), each in [-1, 1]. Their summary is the mean of the squares: 0 is orthogonal.

    Raises
    ------
    BumplabError
        If the shape is another one, a number is not finite, a feature leaves the representation unchanged, or for fewer
        than one tuple.

    Notes
    -----
    Mean squares. x-on-y: Clifford, one-hot and conjunctive code 0; the torus in 3D above 0. x-on-x: straight line 1;
    ring of n values (Clifford) 1/2 + 1 / ((n - 1)(n - 2)); one-hot and conjunctive code 0. Independent noise in D
    dimensions has 1/D, since steps that shared a condition would share its noise, and these do not. Noise on top of
    a code lengthens the steps and so makes every pair look more orthogonal; :func:`factorization_scores` averages it
    out.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> cosines = orthogonality(clifford(8, 8), tuples=100)
    >>> round(float((cosines["x-on-y"] ** 2).mean()), 6)  # the planes of x and y are orthogonal
    0.0
    """
    steps = _DisplacementSampler(r, tuples, seed)
    (x1, x2, x3), (y1, y2, y3) = steps.draw(0, 3), steps.draw(1, 3)
    result = {"x-on-y": steps.cosines((x1, y1), (x2, y1), (x3, y2), (x3, y3))}
    x, y = steps.draw(0, 4), steps.draw(1, 1)[0]
    (x1, x2), (x3, x4) = np.sort(x[:2], axis=0), np.sort(x[2:], axis=0)
    result["x-on-x"] = steps.cosines((x1, y), (x2, y), (x3, y), (x4, y))
    x, y = steps.draw(0, 1)[0], steps.draw(1, 4)
    (y1, y2), (y3, y4) = np.sort(y[:2], axis=0), np.sort(y[2:], axis=0)
    result["y-on-y"] = steps.cosines((x, y1), (x, y2), (x, y3), (x, y4))
    return result


def parallelism(r: np.ndarray, tuples: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return cosines between the same step taken at two values of the other feature, drawn at random.

    ``"x across y"``: cos(d_x(x1, x2; y1), d_x(x1, x2; y2)). Does x move the code the same way whatever y is?
    ``"y across x"`` likewise. Akin to the parallelism score of Bernardi et al. (2020) for features of two values.
    Parameters and errors as for :func:`orthogonality`.

    Returns
    -------
    dict of arrays (tuples,), each in [-1, 1]. Their summary is the mean: 1 is parallel.

    Notes
    -----
    Means. Every sum f(x) + g(y) of two codes (Clifford, one-hot) 1; conjunctive code 0; independent noise 0. Torus in
    3D: x across y 1, y across x (n_x / 2 - 1) / (n_x - 1) when averaged over all pairs, since x turns the plane of
    y's ring.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import torus3d
    >>> cosines = parallelism(torus3d(16, 16), tuples=10_000)
    >>> {name: round(float(values.mean()), 1) for name, values in cosines.items()}  # (8 - 1) / 15 across x
    {'x across y': 1.0, 'y across x': 0.5}
    """
    steps = _DisplacementSampler(r, tuples, seed)
    (x1, x2), (y1, y2) = steps.draw(0, 2), steps.draw(1, 2)
    return {
        "x across y": steps.cosines((x1, y1), (x2, y1), (x1, y2), (x2, y2)),
        "y across x": steps.cosines((x1, y1), (x1, y2), (x2, y1), (x2, y2)),
    }


def parallelism_along(r: np.ndarray, tuples: int = 20_000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return cosines between equal steps from two values of the same feature, drawn at random.

    ``"x along x"``: cos(d_x(x1, x1 + k; y), d_x(x2, x2 + k; y)), four different x. Does a step of k values move
    the code the same way wherever it begins? ``"y along y"`` likewise. Parameters and errors as for
    :func:`orthogonality`.

    Returns
    -------
    dict of arrays (tuples,), each in [-1, 1]. Their summary is the mean: 1 is parallel.

    Notes
    -----
    A straight line has 1 throughout; one-hot and conjunctive code 0. On a ring of n values steps from x1 and x2 have
    cos(2 pi (x2 - x1) / n): 0.10 on average for n = 32.

    Examples
    --------
    >>> line = np.stack(np.broadcast_arrays(np.arange(8.0)[:, None], np.arange(8.0)), axis=2)
    >>> {name: round(float(values.mean()), 2) for name, values in parallelism_along(line, 100).items()}
    {'x along x': 1.0, 'y along y': 1.0}
    """
    steps = _DisplacementSampler(r, tuples, seed)
    (a, b, k), y = steps.draw_equal_steps(0)
    result = {"x along x": steps.cosines((a, y), (a + k, y), (b, y), (b + k, y))}
    (a, b, k), x = steps.draw_equal_steps(1)
    result["y along y"] = steps.cosines((x, a), (x, a + k), (x, b), (x, b + k))
    return result


def pullback_orthogonality(r: np.ndarray) -> float:
    """Return 1 - mean abs(g_xy) / mean(g_xx + g_yy), with the metric g that a code pulls back from its space.

    g_xx is the squared length of the derivative of r along x, g_xy the product of the derivatives along x and y,
    by finite differences. Two codes can hardly differ in it, since abs(g_xy) is at most (g_xx + g_yy) / 2: it lies in
    [1/2, 1], and is near 1 for all codes whose neighbours are far apart, entangled or not. It is here to be shown, not
    to be used: the "factorization metric" of the code released with arXiv:2501.18797.

    Parameters
    ----------
    r : array (n_x, n_y, D)
        Of at least 2 x 2 conditions.

    Returns
    -------
    float
        NaN for a code that does not vary.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import conjunctive, one_hot
    >>> round(pullback_orthogonality(one_hot(28, 28)), 3), round(pullback_orthogonality(conjunctive(28, 28)), 3)
    (1.0, 0.996)
    """
    if np.ndim(r) != 3 or min(np.shape(r)[:2]) < 2:
        raise BumplabError(f"This needs a code (n_x, n_y, D) of at least 2 x 2 conditions, got {np.shape(r)}.")
    along_x, along_y = np.gradient(np.asarray(r, np.float64), axis=(0, 1))
    lengths = ((along_x**2).sum(2) + (along_y**2).sum(2)).mean()
    return float(1 - np.abs((along_x * along_y).sum(2)).mean() / lengths) if lengths else float("nan")
