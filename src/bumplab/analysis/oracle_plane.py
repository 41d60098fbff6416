"""Where a function stands among three others, drawn in the plane that they span.

Functions are vectors of what they say on the same questions. From squared distances alone, to three known functions and
between these, follows the foot of the perpendicular on their plane, and how high above it the function is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError


def plane_corners(between: ArrayLike) -> np.ndarray:
    """Return three functions as points of their plane: the first at the origin, the second to the right, the third up.

    Parameters
    ----------
    between : array_like, (3, 3)
        Squared distances between them.

    Returns
    -------
    array, (3, 2)

    Raises
    ------
    BumplabError
        If there is no triangle with such sides.

    Examples
    --------
    >>> plane_corners([[0, 9, 16], [9, 0, 25], [16, 25, 0]]).round(6).tolist()
    [[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]
    """
    between = np.asarray(between, dtype=float)
    if between.shape != (3, 3) or not np.allclose(between, between.T) or (between[~np.eye(3, dtype=bool)] <= 0).any():
        raise BumplabError(
            "Three functions have a symmetric table of 3 x 3 squared distances, above 0 off the diagonal."
        )
    base = np.sqrt(between[0, 1])
    x = (between[0, 1] + between[0, 2] - between[1, 2]) / (2 * base)
    height = between[0, 2] - x**2
    if height <= 1e-12 * between.max():
        raise BumplabError("Three functions in one line span no plane.")
    return np.array([[0, 0], [base, 0], [x, np.sqrt(height)]])


def place_in_plane(distances: ArrayLike, between: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the feet of functions on the plane of three others, and their squared heights above it.

    Parameters
    ----------
    distances : array_like, (n, 3)
        Squared distances of each function to the three.
    between : array_like, (3, 3)
        Squared distances between these, see :func:`plane_corners`.

    Returns
    -------
    feet : array, (n, 2)
    heights : array, (n,)
        Squared; 0 in the plane, and where rounding makes them negative.

    Examples
    --------
    >>> between = [[0, 9, 16], [9, 0, 25], [16, 25, 0]]
    >>> feet, heights = place_in_plane([[3, 6, 11]], between)  # a unit along both axes, and one above them
    >>> feet.round(6).tolist(), heights.round(6).tolist()
    ([[1.0, 1.0]], [1.0])
    """
    corners, distances = plane_corners(between), np.atleast_2d(np.asarray(distances, dtype=float))
    # |p - c|^2 - |p|^2 = |c|^2 - 2 p c, for the second and third corner
    sides = corners[1:]
    right = (distances[:, :1] - distances[:, 1:] + (sides**2).sum(1)) / 2
    feet = np.linalg.solve(sides, right.T).T
    return feet, np.maximum(distances[:, 0] - (feet**2).sum(1), 0)
