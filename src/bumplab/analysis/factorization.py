"""Does a representation keep its features apart? Two scores, and how much of it is a sum of a code of x and one of y.

A representation is an array (n_x, n_y, D), x first; its steps are those of :mod:`bumplab.analysis.steps`. The
definitions are this book's own. Their values on the codes of :mod:`bumplab.analysis.ideal_codes` are derived in the
docstrings and held by tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bumplab.analysis.steps import TINY_SHARE, lattice_code
from bumplab.common.errors import BumplabError

#: The overlap of every torus in 3D, whatever its radii; see :class:`FactorizationScores`.
TORUS3D_OVERLAP = 1 / np.sqrt(3)


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
    r = lattice_code(r)
    total = (r**2).sum()
    covariances, cosines, parallelisms, hyper = [], [], [], []
    for moved in (r, r.swapaxes(0, 1)):  # (the feature that varies, the one held fixed, D)
        centred = moved - moved.mean(axis=0)
        n, m, dimensions = centred.shape
        flat = centred.reshape(n * m, dimensions)
        covariances.append(flat.T @ flat)
        rows = centred.reshape(n, m * dimensions)
        within, mean = rows @ rows.T, centred.mean(axis=1)
        if np.trace(within) < TINY_SHARE * total:
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
