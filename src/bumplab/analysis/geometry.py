"""The geometry of a representation: its dimension and its parts (Fig. 2 of the paper).

A representation is an array (n_x, n_y, D), one vector for each condition of a lattice, x first; where the lattice
does not matter, (n, D) will do. Every number here ignores translation, rotation and scale of the representation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, eigvalsh
from scipy.special import digamma

from bumplab.common.errors import BumplabError, quote


def validate_and_center(r: np.ndarray, lattice: bool = False) -> np.ndarray:
    """Return `r` checked and centred, float64: (n_x, n_y, D) for a lattice, else (n, D).

    Parameters
    ----------
    r : array (n_x, n_y, D) or (n, D)
    lattice : bool
        Ask for the first of these shapes, and keep it.

    Raises
    ------
    BumplabError
        If `r` has another shape, holds NaN or infinity, or all its vectors are the same.

    Examples
    --------
    >>> validate_and_center(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    >>> validate_and_center(np.ones((4, 4, 2)))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: All vectors of the representation are the same, so it has no geometry.
    """
    r = np.array(r, dtype=np.float64)
    if r.ndim != 3 and (lattice or r.ndim != 2):
        shape = "(n_x, n_y, D), x first" if lattice else "(n_x, n_y, D) or (n, D)"
        raise BumplabError(f"A representation has shape {shape}, got {r.shape}.")
    if not np.isfinite(r).all():
        raise BumplabError("A representation holds finite numbers, got NaN or infinity in it.")
    points = r.reshape(-1, r.shape[-1])
    points -= points.mean(axis=0)
    if not points.any() or np.abs(points).max() < 1e-12 * np.abs(r).max():
        raise BumplabError("All vectors of the representation are the same, so it has no geometry.")
    return points.reshape(r.shape) if lattice else points


def _products(points: np.ndarray) -> np.ndarray:
    """Return the smaller product matrix of centred points (n, D); its eigenvalues are n times the variances."""
    return points @ points.T if len(points) <= points.shape[1] else points.T @ points


def explained_variance_ratio(r: np.ndarray) -> np.ndarray:
    """Return each principal component's share of the variance, descending, (min(n, D),); the sum is 1.

    Parameters
    ----------
    r : array (n_x, n_y, D) or (n, D)

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> explained_variance_ratio(clifford(8, 8)).round(6).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    variances = eigvalsh(_products(validate_and_center(r)))[::-1].clip(0)
    return variances / variances.sum()


def pca(r: np.ndarray, components: int | None) -> np.ndarray:
    """Return the first principal components: (n_x, n_y, components) or (n, components).

    If there are fewer, and for None, all min(n, D) of them are returned, with all distances kept. Signs are
    fixed: the largest entry of each component is positive.

    Parameters
    ----------
    r : array (n_x, n_y, D) or (n, D)
    components : int or None
        1 or more.

    Returns
    -------
    array (n_x, n_y, components) or (n, components), float64

    Raises
    ------
    BumplabError
        For fewer than one component, and as :func:`validate_and_center`.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import one_hot
    >>> pca(one_hot(4, 6), 3).shape, pca(one_hot(4, 6), None).shape
    ((4, 6, 3), (4, 6, 10))
    """
    if components is not None and components < 1:
        raise BumplabError(f"Keep at least 1 principal component, got {quote(components)}.")
    points = validate_and_center(r)
    squares, vectors = eigh(_products(points))
    if len(points) <= points.shape[1]:
        coordinates = vectors * np.sqrt(squares.clip(0))
    else:
        coordinates = points @ vectors
    coordinates = coordinates[:, ::-1][:, :components]
    largest = np.abs(coordinates).argmax(axis=0)  # signs are arbitrary: make each axis' largest entry positive
    coordinates = coordinates * np.where(coordinates[largest, range(coordinates.shape[1])] < 0, -1, 1)
    return coordinates.reshape(*np.shape(r)[:-1], -1)


def participation_ratio(r: np.ndarray) -> float:
    """Return the effective dimension (sum l)^2 / sum l^2 of the variances l along the principal components.

    It is k for k equal variances, hence 4 for a Clifford torus and 2 (n - 1) for two one-hot codes of n values.

    Parameters
    ----------
    r : array (n_x, n_y, D) or (n, D)

    Returns
    -------
    float
        1 to min(n, D).

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford, one_hot
    >>> round(participation_ratio(clifford(8, 8)), 6), round(participation_ratio(one_hot(8, 8)), 6)
    (4.0, 14.0)
    """
    return float(1 / (explained_variance_ratio(r) ** 2).sum())


def n_components_for(r: np.ndarray, share: float = 0.95) -> int:
    """Return how many principal components hold at least `share` (0 to 1) of the variance.

    Parameters
    ----------
    r : array (n_x, n_y, D) or (n, D)
    share : float
        Above 0 and below 1.

    Raises
    ------
    BumplabError
        For another share.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> n_components_for(clifford(8, 8), share=0.5), n_components_for(clifford(8, 8), share=0.95)
    (2, 4)
    """
    if not 0 < share < 1:
        raise BumplabError(f"The share of the variance lies between 0 and 1, got {quote(share)}.")
    return int((explained_variance_ratio(r).cumsum() < share - 1e-12).sum()) + 1


def intrinsic_dimension(r: np.ndarray, components: int | None = None, neighbours: tuple[int, int] = (10, 60)) -> float:
    """Return how many coordinates the points vary in locally: 2 for a torus, however many dimensions it bends in.

    For points spread evenly in d dimensions the expected log distance to the k-th neighbour is digamma(k) / d plus
    a constant. The inverse slope of the mean log distance against digamma(k) estimates d (Pettis et al. 1979, with
    the logarithm averaged over points as in MacKay and Ghahramani's note on Levina and Bickel 2004). On a lattice,
    many distances are equal, which derails estimators that compare the first neighbours; the default range
    of k reaches past that.

    Parameters
    ----------
    r : array, (n_x, n_y, D) or (n, D)
        All points must differ.
    components : int, optional
        Project to so many principal components first. Isotropic noise in many dimensions hides the shape;
        six components keep a torus and drop most of the noise. Say so wherever the number is shown.
    neighbours : (int, int)
        First and last k. A ball round a point must hold the last k neighbours without bending much.

    Returns
    -------
    float

    Raises
    ------
    BumplabError
        For an impossible range of neighbours, or points that are the same.

    Notes
    -----
    Within 0.1 on 1,000 points drawn from circles, spheres and tori, within 0.25 on lattices of 32 x 32 conditions.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> round(intrinsic_dimension(clifford(32, 32)))  # a surface that bends in four dimensions
    2
    """
    from sklearn.neighbors import NearestNeighbors

    points = pca(r, components)
    points = points.reshape(-1, points.shape[-1])
    first, last = neighbours
    if not 1 <= first < last < len(points):
        raise BumplabError(
            f"neighbours takes 1 <= first < last < {len(points)}, the number of points, got {quote(neighbours)}."
        )
    distances = NearestNeighbors(n_neighbors=last).fit(points).kneighbors()[0][:, first - 1 :]
    if not distances.all():
        raise BumplabError(
            "Some vectors of the representation are the same; the intrinsic dimension needs all to differ."
        )
    slope = np.polyfit(digamma(np.arange(first, last + 1)), np.log(distances).mean(axis=0), 1)[0]
    return float(1 / slope)


@dataclass(frozen=True)
class AdditiveFit:
    """The best fit r(x, y) = mean + f(x) + g(y), and what each part explains.

    Attributes
    ----------
    mean, f, g : arrays (D,), (n_x, D), (n_y, D)
        f and g are centred.
    x, y, interaction : float
        Shares of the variance: of f, of g, and of what the sum leaves over. Their sum is 1.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import one_hot
    >>> fit = additive_fit(one_hot(4, 6))
    >>> fit.f.shape, fit.g.shape
    ((4, 10), (6, 10))
    """

    mean: np.ndarray
    f: np.ndarray
    g: np.ndarray
    x: float
    y: float
    interaction: float


def additive_fit(r: np.ndarray) -> AdditiveFit:
    """Fit r(x, y) = mean + f(x) + g(y) by least squares: a two-way analysis of variance without replication.

    On a full lattice f and g are the centred means over y and over x. What differs between conditions without
    system, such as noise, counts as interaction; only repeated measurement could tell the two apart.

    Parameters
    ----------
    r : array (n_x, n_y, D)

    Returns
    -------
    AdditiveFit

    Raises
    ------
    BumplabError
        As :func:`validate_and_center`.

    Notes
    -----
    Interaction is 0 for Clifford and one-hot, (r^2 / 2) / (R^2 + r^2) for the torus in 3D, and
    (n_x - 1)(n_y - 1) / (n_x n_y - 1) for the conjunctive code, where every part is like noise.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford, torus3d
    >>> fits = additive_fit(clifford(8, 8)), additive_fit(torus3d(8, 8, major=2.0, minor=1.0))
    >>> [round(fit.interaction, 6) for fit in fits]  # (1 / 2) / (4 + 1) for the torus in 3D
    [0.0, 0.1]
    """
    centred = validate_and_center(r, lattice=True)
    f, g = centred.mean(axis=1), centred.mean(axis=0)
    x, y = (f**2).sum(axis=1).mean(), (g**2).sum(axis=1).mean()
    total = (centred**2).sum(axis=2).mean()
    centred -= f[:, None] + g[None, :]
    rest = (centred**2).sum(axis=2).mean()
    mean = np.asarray(r, dtype=np.float64).mean(axis=(0, 1))
    return AdditiveFit(mean, f, g, float(x / total), float(y / total), float(rest / total))
