"""Ideal codes of two periodic features, to hold representations against (Figs. 2a and 3 of the paper).

Each returns an array (n_x, n_y, D): the code of value i of x and value j of y, out of n_x and n_y values evenly
spaced round a circle. Rotation, scale and translation of a code carry no meaning.
"""

from __future__ import annotations

import numpy as np

from bumplab.common.errors import BumplabError


def _angles(n_x: int, n_y: int) -> tuple[np.ndarray, np.ndarray]:
    if min(n_x, n_y) < 4:
        raise BumplabError(f"An ideal code needs at least 4 values of each feature, got {n_x} and {n_y}.")
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

    Raises
    ------
    BumplabError
        If the radii make no torus.
    """
    if not major > minor > 0:
        raise BumplabError(f"A torus in 3D needs major > minor > 0, got {major:g} and {minor:g}.")
    x, y = np.meshgrid(*_angles(n_x, n_y), indexing="ij")
    distance = major + minor * np.cos(y)
    return np.stack([distance * np.cos(x), distance * np.sin(x), minor * np.sin(y)], axis=2)


def clifford(n_x: int, n_y: int) -> np.ndarray:
    """Return the Clifford torus (cos x, sin x, cos y, sin y), a factorized code: a plane for x, another one for y."""
    rings = [np.stack([np.cos(angle), np.sin(angle)], axis=1) for angle in _angles(n_x, n_y)]
    return _concatenate(*rings)


def one_hot(n_x: int, n_y: int) -> np.ndarray:
    """Return one unit for each value of x and one for each value of y, a hyper-factorized code (D = n_x + n_y)."""
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
    """
    if not width > 0:
        raise BumplabError(f"The width of a bump of activity is above 0 radians, got {width:g}.")
    bumps = [np.exp((np.cos(a[:, None] - a[None, :]) - 1) / width**2) for a in _angles(n_x, n_y)]
    return _concatenate(*bumps)


def conjunctive(n_x: int, n_y: int) -> np.ndarray:
    """Return one unit for each pair of values, a code that shares nothing between pairs (D = n_x n_y)."""
    _angles(n_x, n_y)
    return np.eye(n_x * n_y).reshape(n_x, n_y, n_x * n_y)
