"""Does a representation keep its features apart? Orthogonality and parallelism (Fig. 3 of the paper), and two scores.

A representation is an array (n_x, n_y, D), x first. A *step* of x is the difference d_x(x, x'; y) = r(x', y) - r(x, y),
and likewise d_y(x; y, y') for y. The paper's exact statistics are not public: the definitions here are this
book's own. Their values on the codes of :mod:`bumplab.analysis.ideal_codes` are derived in the docstrings and
held by tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bumplab.analysis.geometry import pca, validate_and_center
from bumplab.common.errors import BumplabError, quote

#: The overlap of every torus in 3D, whatever its radii; see :class:`FactorizationScores`.
TORUS3D_OVERLAP = 1 / np.sqrt(3)

_NOTHING = 1e-12  # below this share of the variance a squared length is a rounding error
_Places = tuple[np.ndarray, np.ndarray]  # indices along x and along y


def _lattice(r: np.ndarray) -> np.ndarray:
    """Return `r` centred; more dimensions than conditions are turned into as many, angles and distances stay."""
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
        points = _lattice(r)
        self.shape, self.tuples, self.rng = points.shape[:2], tuples, np.random.default_rng(seed)
        points = points.reshape(-1, points.shape[2])
        self.products = points @ points.T  # (n_x n_y, n_x n_y)
        self.scale = np.trace(self.products) / len(points)

    def draw(self, axis: int, k: int) -> np.ndarray:
        """Return k different values of x (0) or y (1) for each tuple, (k, tuples)."""
        return self.rng.random((self.tuples, self.shape[axis])).argsort(axis=1)[:, :k].T

    def cosines(self, from_a: _Places, to_a: _Places, from_b: _Places, to_b: _Places) -> np.ndarray:
        """Return the cosines between steps a and b; each argument is a pair of indices (x, y) of arrays."""
        i, j, k, m = (np.ravel_multi_index(pair, self.shape) for pair in (from_a, to_a, from_b, to_b))
        p = self.products
        dot = p[j, m] - p[j, k] - p[i, m] + p[i, k]
        squares = (p[j, j] - 2 * p[i, j] + p[i, i]) * (p[m, m] - 2 * p[k, m] + p[k, k])
        real = squares > (_NOTHING * self.scale) ** 2
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


@dataclass(frozen=True)
class FactorizationScores:
    """Where a representation stands between the ideals, over all conditions and without sampling.

    Write C_x for the covariance of r over x at fixed y, averaged over y, and C_y likewise.

    *Factorization* is 1 - sqrt(3) o with the overlap o = tr(C_x C_y) / sqrt(tr C_x^2 tr C_y^2), in [0, 1]: the mean
    square of d_x . d_y over all steps, normalised. Whatever the code leaves unexplained as a sum f(x) + g(y) is part
    of C_x and of C_y, and tr(C_x C_y) is at least the trace of its square; so o = 0 if and only if r = f + g with f
    and g in orthogonal subspaces, which is what a factorized code is. Every torus in 3D has o = 1/sqrt(3), for all
    radii, and is the zero.

    *Hyper-factorization* of x is (1/2 - c) / (1/2 - 1/(n_x - 1)). Here c = tr(G G) / (tr G)^2, with the Gram matrix G,
    is the mean squared cosine, weighted by squared length, between the codes of two values of x, and 1/c the
    effective dimension of the code of x alone. G(x1, x2), the product of the centred codes of x1 and x2 at two values
    of y, averaged over all pairs of different y, holds what does not depend on y; noise that is independent between
    conditions averages out of it. Codes of n values have c from 1/(n - 1) (one-hot) through 1/2 (ring) to 1 (straight
    line, and by definition a code too weak to have a c). The score is the mean over x and y.

    Attributes
    ----------
    factorization : float
        0 for a torus in 3D, 1 for every factorized code, 1 - sqrt(3) = -0.73 at worst (o = 1).
    hyperfactorization : float
        0 for a Clifford torus, 1 for one-hot codes, -1 - 2 / (n - 3) for straight lines, for the conjunctive code
        and for noise, which have no code of x by itself.
    overlap : float
        o, see above.
    cosine_x, cosine_y : float
        c, see above.
    parallelism_x, parallelism_y : float
        tr G over the variance of r over x at fixed y: the share of what x does to the code that it does whatever y is.
        1 for a sum of codes, 0 for noise and the conjunctive code.

    Notes
    -----
    ==============  =====================  =====================  =============  ====================
    code            factorization          hyperfactorization     parallelism_x  parallelism_y
    ==============  =====================  =====================  =============  ====================
    torus in 3D     0                      -1/2 - 1 / (n - 3)     see below      (n/2 - 1) / (n - 1)
    Clifford torus  1                      0                      1              1
    one-hot         1                      1                      1              1
    two lines       1                      -1 - 2 / (n - 3)       1              1
    conjunctive     1 - sqrt(3) (n - 1)/n  -1 - 2 / (n - 3)       0              0
    noise           about 1 - sqrt(3)      -1 - 2 / (n - 3)       about 0        about 0
    ==============  =====================  =====================  =============  ====================

    For the torus, parallelism_x is (R^2 - r^2 / (2 (n - 1))) / (R^2 + r^2 / 2): directions are the same, lengths not.

    Noise that differs between conditions averages out of c and leaves hyper-factorization where it was. It counts as
    interaction in o, diluted: with as much noise as signal, spread over D dimensions, o of a code of effective
    dimension k grows by up to about 4 k (1/D + 1/(n_x n_y)), and parallelism falls by about two thirds. By the same
    token the scores overlook interaction that is spread over far more dimensions than the code: a single measurement
    cannot tell that from noise. So read them beside parallelism or the shares of
    :func:`bumplab.analysis.geometry.additive_fit`, and average representations over repeated noise where there is any.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> scores = factorization_scores(clifford(8, 8))
    >>> round(scores.cosine_x, 6), round(scores.parallelism_x, 6)  # a ring; the same whatever y is
    (0.5, 1.0)
    """

    factorization: float
    hyperfactorization: float
    overlap: float
    cosine_x: float
    cosine_y: float
    parallelism_x: float
    parallelism_y: float


def factorization_scores(r: np.ndarray) -> FactorizationScores:
    """Return the :class:`FactorizationScores` of a representation (n_x, n_y, D) with at least 4 values of each feature.

    Parameters
    ----------
    r : array, (n_x, n_y, D)

    Returns
    -------
    FactorizationScores

    Raises
    ------
    BumplabError
        If the shape is another one, a number is not finite, or a feature leaves the representation unchanged.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford, one_hot, torus3d
    >>> scores = [factorization_scores(code(8, 8)) for code in (torus3d, clifford, one_hot)]
    >>> [(round(s.factorization, 2) + 0.0, round(s.hyperfactorization, 2) + 0.0) for s in scores]
    [(0.0, -0.7), (1.0, 0.0), (1.0, 1.0)]
    """
    r = _lattice(r)
    total = (r**2).sum()
    covariances, cosines, parallelisms, hyper = [], [], [], []
    for moved in (r, r.swapaxes(0, 1)):  # (the feature that varies, the one held fixed, D)
        centred = moved - moved.mean(axis=0)
        n, m, dimensions = centred.shape
        flat = centred.reshape(n * m, dimensions)
        covariances.append(flat.T @ flat)
        rows = centred.reshape(n, m * dimensions)
        within, mean = rows @ rows.T, centred.mean(axis=1)
        if np.trace(within) < _NOTHING * total:
            raise BumplabError("The representation does not change with one of its features, so it has no scores.")
        gram = (m**2 * mean @ mean.T - within) / (m - 1)  # (n, n), m times G: a sum over pairs of different y
        shared = np.trace(gram) / np.trace(within)
        cosine = min(1.0, (gram**2).sum() / np.trace(gram) ** 2) if shared > 1e-9 else 1.0
        cosines.append(cosine)
        parallelisms.append(shared)
        hyper.append((1 / 2 - cosine) / (1 / 2 - 1 / (n - 1)))
    x, y = covariances
    overlap = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
    return FactorizationScores(
        factorization=float(1 - overlap / TORUS3D_OVERLAP),
        hyperfactorization=float(np.mean(hyper)),
        overlap=float(overlap),
        cosine_x=float(cosines[0]),
        cosine_y=float(cosines[1]),
        parallelism_x=float(parallelisms[0]),
        parallelism_y=float(parallelisms[1]),
    )
