"""Ideal codes of two periodic features, to hold representations against (Figs. 2a and 3 of the paper).

Each returns an array (n_x, n_y, D): the code of value i of x and value j of y, out of n_x and n_y values evenly
spaced round a circle. Rotation, scale and translation of a code carry no meaning.
"""

from __future__ import annotations

import numpy as np

from bumplab.common.errors import BumplabError, quote


def _angles(n_x: int, n_y: int) -> tuple[np.ndarray, np.ndarray]:
    if min(n_x, n_y) < 4:
        raise BumplabError(f"An ideal code needs at least 4 values of each feature, got {quote(n_x)} and {quote(n_y)}.")
    return 2 * np.pi * np.arange(n_x) / n_x, 2 * np.pi * np.arange(n_y) / n_y


def _concatenate(code_x: np.ndarray, code_y: np.ndarray) -> np.ndarray:
    """Join a code of x (n_x, D_x) and a code of y (n_y, D_y) to (n_x, n_y, D_x + D_y)."""
    n_x, n_y = len(code_x), len(code_y)
    x = np.broadcast_to(code_x[:, None], (n_x, n_y, code_x.shape[1]))
    y = np.broadcast_to(code_y[None, :], (n_x, n_y, code_y.shape[1]))
    return np.concatenate([x, y], axis=2)


def torus3d(n_x: int, n_y: int, major: float = 2.0, minor: float = 1.0) -> np.ndarray:
    """Return the torus in three dimensions, a coupled code: what y does depends on x.

    r(x, y) = ((R + r cos y) cos x, (R + r cos y) sin x, r sin y): x runs the long way round, y round the tube.

    Parameters
    ----------
    n_x, n_y : int
        Numbers of values, at least 4.
    major, minor : float
        R and r, with R > r > 0.

    Returns
    -------
    array (n_x, n_y, 3), float64

    Raises
    ------
    BumplabError
        If the radii make no torus, or there are fewer than 4 values of a feature.

    Examples
    --------
    >>> torus3d(4, 4, major=2.0, minor=1.0)[0].round(6).tolist()  # x = 0: round the tube
    [[3.0, 0.0, 0.0], [2.0, 0.0, 1.0], [1.0, 0.0, 0.0], [2.0, 0.0, -1.0]]
    """
    if not major > minor > 0:
        raise BumplabError(f"A torus in 3D needs major > minor > 0, got {quote(major)} and {quote(minor)}.")
    x, y = np.meshgrid(*_angles(n_x, n_y), indexing="ij")
    distance = major + minor * np.cos(y)
    return np.stack([distance * np.cos(x), distance * np.sin(x), minor * np.sin(y)], axis=2)


def clifford(n_x: int, n_y: int) -> np.ndarray:
    """Return the Clifford torus (cos x, sin x, cos y, sin y), a factorized code: a plane for x, another one for y.

    Parameters
    ----------
    n_x, n_y : int
        Numbers of values, at least 4.

    Returns
    -------
    array (n_x, n_y, 4), float64

    Examples
    --------
    >>> clifford(4, 4)[0, 2].round(6).tolist()  # x at its start, y halfway round
    [1.0, 0.0, -1.0, 0.0]
    """
    rings = [np.stack([np.cos(angle), np.sin(angle)], axis=1) for angle in _angles(n_x, n_y)]
    return _concatenate(*rings)


def one_hot(n_x: int, n_y: int) -> np.ndarray:
    """Return one unit for each value of x and one for each value of y, a hyper-factorized code (D = n_x + n_y).

    Parameters
    ----------
    n_x, n_y : int
        Numbers of values, at least 4.

    Returns
    -------
    array (n_x, n_y, n_x + n_y), float64

    Examples
    --------
    >>> one_hot(4, 4)[1, 3].tolist()
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """
    _angles(n_x, n_y)
    return _concatenate(np.eye(n_x), np.eye(n_y))


def population(n_x: int, n_y: int, width: float) -> np.ndarray:
    """Return one von Mises bump of activity over n_x units for x, and one over n_y units for y.

    Unit k answers to value i with exp((cos(theta_i - theta_k) - 1) / width^2). The code runs from the one-hot code
    (width to 0) to the Clifford torus (width to infinity, up to scale), and is factorized all the way.

    Parameters
    ----------
    n_x, n_y : int
        Numbers of values, at least 4.
    width : float
        Width of the bumps in radians, above 0; narrow ones are close to Gaussian, with this standard deviation.

    Returns
    -------
    array (n_x, n_y, n_x + n_y), float64

    Raises
    ------
    BumplabError
        If the width is not above 0, or there are fewer than 4 values of a feature.

    Examples
    --------
    >>> population(4, 4, width=1.0)[0, 0, :4].round(3).tolist()  # the first unit answers most, the opposite one least
    [1.0, 0.368, 0.135, 0.368]
    """
    if not width > 0:
        raise BumplabError(f"The width of a bump of activity is above 0 radians, got {quote(width)}.")
    bumps = [np.exp((np.cos(a[:, None] - a[None, :]) - 1) / width**2) for a in _angles(n_x, n_y)]
    return _concatenate(*bumps)


def conjunctive(n_x: int, n_y: int) -> np.ndarray:
    """Return one unit for each pair of values, a code that shares nothing between pairs (D = n_x n_y).

    Parameters
    ----------
    n_x, n_y : int
        Numbers of values, at least 4.

    Returns
    -------
    array (n_x, n_y, n_x n_y), float64

    Examples
    --------
    >>> code = conjunctive(4, 6)
    >>> code.shape, float(code[0, 0] @ code[0, 1])  # neighbours have nothing in common
    ((4, 6, 24), 0.0)
    """
    _angles(n_x, n_y)
    return np.eye(n_x * n_y).reshape(n_x, n_y, n_x * n_y)
