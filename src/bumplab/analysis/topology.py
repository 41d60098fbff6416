"""The shape of a representation: persistent homology on landmarks, and Betti numbers by a stated rule (Fig. 2b)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ripser import ripser
from scipy.spatial.distance import cdist

from bumplab.analysis.geometry import pca
from bumplab.common.errors import BumplabError, quote

# A k-simplex with edges up to s lies in a ball of radius s sqrt(k / (2 (k + 1))) (Jung's theorem). A k-cycle that balls
# of this radius round the landmarks fill is filled by edges of twice the radius, c_k s. c_k is 1 at least; k = 0, 1, 2.
_JUNG_FACTORS = (1.0, 1.0, 2 / np.sqrt(3))
_SAME = 1 + 1e-6  # lengths this close are equal: ripser works in single precision, and lattices have many ties


@dataclass(frozen=True)
class Persistence:
    """Persistence diagrams of a point cloud and how they were made; lengths are in the units of the points.

    Attributes
    ----------
    diagrams : tuple of arrays (bars, 2)
        For H0, H1, ...: births and deaths in the Vietoris-Rips filtration, as lengths of edges. Bars that outlive the
        threshold have death infinity.
    threshold : float
        Longest edge in the filtration.
    scale : float
        Length of edges at which :meth:`betti` counts: 2 (cover + gap) on a lattice, 2 hypot(cover, gap) in a cloud.
    cover_radius : float
        Largest distance from a point to its nearest landmark.
    sampling_gap : float
        Estimate of the radius of the largest hole in the sampling. On a lattice (n_x, n_y, D): half the longest
        diagonal of a cell, corners being neighbours in x and y. In a cloud (n, D): the largest distance to a second
        neighbour.
    enclosing : float
        Enclosing radius of the landmarks: from this length on the complex is a cone, without holes.
    landmarks : array (m,)
        Indices of the points used, in the order in which they were chosen.
    components : int or None
        Principal components kept, None for all dimensions.
    coefficients : int
        The prime p of the coefficient field Z/p.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> result = persistence(circle, dimensions=1)
    >>> result.diagrams[1].round(2).tolist(), round(result.sampling_gap, 2)  # alive where the filtration stops
    ([[0.52, inf]], 0.52)
    """

    diagrams: tuple[np.ndarray, ...]
    threshold: float
    scale: float
    cover_radius: float
    sampling_gap: float
    enclosing: float
    landmarks: np.ndarray
    components: int | None
    coefficients: int

    def betti(self, scale: float | None = None) -> tuple[int, ...]:
        """Return the Betti numbers: how many bars of H_k hold all lengths from s to c_k s; c = (1, 1, 2/sqrt(3)).

        Parameters
        ----------
        scale : float, optional
            s; the attribute :attr:`scale` if not given. The numbers at several scales make Betti curves, which show
            where the answer holds.

        Returns
        -------
        tuple of int
            Of H0, H1, ...

        Raises
        ------
        BumplabError
            If the filtration stops below c_k s.

        Notes
        -----
        Let every point of the sampled shape M lie within eps of a landmark, and let the balls of radius a
        round the landmarks together have the homology of M, kept as they grow, for eps <= a < w. Then the rule is
        exact for 2 eps <= s < 2 w in H0, sqrt(3) w in H1 and sqrt(2) w in H2. For a k-cycle with edges up to s lies
        inside the balls of the radius that Jung's theorem gives (as in de Silva and Ghrist 2007); where it bounds in
        them it bounds in the complex at c_k s, so no bar of noise counts. And the balls of radius s/2 lie inside the
        complex at s, and the complex at c_k s inside balls smaller than w, so every hole of M counts. A circle or a
        sphere of radius 1 has w = 1, a torus the lesser of its tube's and its hole's radius.

        eps is not known. It is at most cover + gap, and on a lattice, taken to sample a surface without tears, that
        is what :attr:`scale` / 2 is: landmarks and cells line up. In a cloud the way from M to the sample and the way
        from there to a landmark have unrelated directions, so the two add in quadrature. There, the largest empty
        disc among n random points of a surface and the largest distance to a second neighbour follow the same law to
        leading order, n times u exp(-u) with u the expected number of points in the disc (Janson 1986). The rule
        fails where 2 eps reaches w: too few points for the shape, noise near its size, parts that nearly touch. Tears
        and isolated points enlarge the scale, so that it sooner misses a hole than invents one.

        Examples
        --------
        >>> angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        >>> persistence(circle, dimensions=1).betti()  # one piece, one hole
        (1, 1)
        """
        s = self.scale if scale is None else scale
        if s >= self.enclosing:
            return (1,) + (0,) * (len(self.diagrams) - 1)
        reach = min(s * _JUNG_FACTORS[len(self.diagrams) - 1], self.enclosing)  # no hole lives longer than that
        if not 0 < reach <= self.threshold * _SAME:
            raise BumplabError(
                f"Counting at scale {s:.3g} needs a threshold of {reach:.3g} or more, but the filtration stops at "
                f"{self.threshold:.3g}."
            )
        alive = zip(self.diagrams, _JUNG_FACTORS, strict=False)
        return tuple(
            int(((bars[:, 0] <= s * _SAME) & (bars[:, 1] > s * filled * _SAME)).sum()) for bars, filled in alive
        )


def farthest_points(points: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Return indices of landmarks, each the point farthest from those before it, and the cover radius.

    The first landmark is the point nearest to the mean. With all points as landmarks the cover radius is 0.

    Parameters
    ----------
    points : array (n, D)
    count : int
        1 to n.

    Returns
    -------
    (array (count,), float)

    Raises
    ------
    BumplabError
        For fewer landmarks than 1 or more than n.

    Examples
    --------
    >>> chosen, cover_radius = farthest_points(np.array([[0.0], [1.0], [2.0], [9.0]]), 2)
    >>> chosen.tolist(), cover_radius  # 2 is nearest to the mean, 9 farthest from it
    ([2, 3], 2.0)
    """
    if not 1 <= count <= len(points):
        raise BumplabError(f"There are 1 to {len(points)} landmarks among {len(points)} points, got {quote(count)}.")
    chosen = [int(cdist(points.mean(axis=0)[None], points).argmin())]
    nearest = cdist(points[chosen], points)[0]
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, cdist(points[chosen[-1:]], points)[0])
    return np.array(chosen), float(nearest.max())


def _gap(points: np.ndarray) -> float:
    """Estimate the radius of the largest hole in the sampling; see :class:`Persistence`."""
    from sklearn.neighbors import NearestNeighbors

    if points.ndim == 2:
        return float(NearestNeighbors(n_neighbors=2).fit(points).kneighbors()[0].max())
    diagonals = points[1:, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, 1:]
    return float(np.linalg.norm(diagonals, axis=3).max()) / 2


def _sample(
    r: np.ndarray, components: int | None, landmarks: int, coefficients: int, dimensions: int
) -> tuple[np.ndarray, dict]:
    """Return the distances between landmarks (m, m), and what :class:`Persistence` tells of them."""
    if dimensions not in (0, 1, 2) or landmarks < 4:
        raise BumplabError(
            f"Use homology up to 0, 1 or 2 and at least 4 landmarks, got {quote(dimensions)} and {quote(landmarks)}."
        )
    if not 2 <= coefficients < 100 or any(coefficients % k == 0 for k in range(2, coefficients)):
        raise BumplabError(f"The coefficients are a prime below 100, got {quote(coefficients)}.")
    points = pca(r, components)
    if points[..., 0].size < 4 or min(points.shape[:-1]) < 2:
        raise BumplabError(f"Homology needs 4 points or more, and 2 or more along x and y, got {points.shape[:-1]}.")
    gap = _gap(points)
    points = points.reshape(-1, points.shape[-1])
    chosen, cover = farthest_points(points, min(landmarks, len(points)))
    scale = 2 * float(cover + gap if np.ndim(r) == 3 else np.hypot(cover, gap))
    distances = cdist(points[chosen], points[chosen])
    enclosing = float(distances.max(axis=1).min())
    facts = {"scale": scale, "cover_radius": cover, "sampling_gap": gap, "enclosing": enclosing, "landmarks": chosen}
    return distances, {**facts, "components": components, "coefficients": coefficients}


def _bars(distances: np.ndarray, threshold: float, coefficients: int, dimensions: int) -> tuple[np.ndarray, ...]:
    """Return the persistence diagrams of landmarks at these distances (m, m), from H0 to the highest dimension."""
    return tuple(
        ripser(distances, distance_matrix=True, maxdim=dimensions, thresh=threshold, coeff=coefficients)["dgms"]
    )


def persistence(
    r: np.ndarray,
    components: int | None = 6,
    landmarks: int = 300,
    threshold: float | None = None,
    coefficients: int = 2,
    dimensions: int = 2,
) -> Persistence:
    """Return persistence diagrams of a representation.

    Parameters
    ----------
    r : array, (n_x, n_y, D) or (n, D)
        At least 4 points.
    components : int or None
        Principal components to keep first. Isotropic noise in many dimensions lengthens every distance and so
        shortens the bars; six components keep a torus and drop most of the noise. None keeps all dimensions. A code
        whose variance is spread evenly over many components (one-hot) loses its shape in the projection.
    landmarks : int
        Farthest points that stand for all; fewer points stand for themselves.
    threshold : float, optional
        Longest edge, in the units of `r`. If not given: what :meth:`Persistence.betti` needs, or the 0.3 quantile of
        the distances between landmarks where it needs none. Time and memory grow steeply with it.
    coefficients : int
        Prime p below 100 of the field Z/p: 2 and 3 tell a Klein bottle, (1, 2, 1) and (1, 1, 0), from a torus.
    dimensions : int
        Highest homology, 0 to 2.

    Returns
    -------
    Persistence

    Raises
    ------
    BumplabError
        If a parameter is out of its range, or the representation is not a cloud of at least 4 finite points.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> diagrams = persistence(circle, dimensions=1).diagrams
    >>> [len(bars) for bars in diagrams]  # 12 points and one hole
    [12, 1]
    """
    distances, facts = _sample(r, components, landmarks, coefficients, dimensions)
    if threshold is not None:
        length = threshold
    elif 0 < facts["scale"] < facts["enclosing"]:
        length = min(facts["scale"] * _JUNG_FACTORS[dimensions], facts["enclosing"])
    else:
        length = float(np.quantile(distances[np.triu_indices(len(distances), 1)], 0.3))
    if not length > 0:
        raise BumplabError(f"The threshold is a length above 0, got {quote(length)}.")
    return Persistence(_bars(distances, length, coefficients, dimensions), length, **facts)


def _strong_collapse(distances: np.ndarray, scale: float) -> np.ndarray:
    """Return indices of the landmarks that hold the homology from length `scale` on.

    A landmark goes if another one is, at each length from `scale` on, joined to all that it is joined to: the complexes
    then shrink onto the rest, and the bars beyond `scale` stay (strong collapses, Barmak and Minian 2012).
    """
    lengths = np.maximum(distances, scale)
    kept, before = np.arange(len(lengths)), len(lengths) + 1
    while len(kept) < before:
        before = len(kept)
        for point in kept:
            near = kept[(lengths[point, kept] == scale) & (kept != point)]
            if (lengths[np.ix_(near, kept)] <= lengths[point, kept]).all(axis=1).any():
                kept = kept[kept != point]
    return kept


def betti_numbers(
    r: np.ndarray, components: int | None = 6, landmarks: int = 300, coefficients: int = 2, dimensions: int = 2
) -> tuple[int, ...]:
    """Return the Betti numbers of a representation: those of ``persistence(...).betti()``, without the diagrams.

    Landmarks that the count can do without are dropped first. Next to none are left of a cloud without holes, whose
    diagrams take longest. Parameters and errors are those of :func:`persistence`.

    Examples
    --------
    >>> angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> betti_numbers(circle, dimensions=1), betti_numbers(np.concatenate([circle, circle + 9]), dimensions=1)
    ((1, 1), (2, 2))
    """
    distances, facts = _sample(r, components, landmarks, coefficients, dimensions)
    scale, enclosing = facts["scale"], facts["enclosing"]
    if scale >= enclosing:
        return (1,) + (0,) * dimensions
    core = _strong_collapse(distances, scale)
    lengths = np.maximum(distances, scale)[np.ix_(core, core)]
    np.fill_diagonal(lengths, 0)
    threshold = min(scale * _JUNG_FACTORS[dimensions], enclosing)
    return Persistence(_bars(lengths, threshold, coefficients, dimensions), threshold, **facts).betti()
