"""Models of images with one part for x and one for y, fitted in closed form: sums, products, and rank-one images.

They know that a condition has two factors, and nothing else, not even that neighbouring values are alike. What they
draw of pairs that training does not show tells whether a world is a sum of its factors or a product.
"""

from __future__ import annotations

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote

#: Brightness below this counts as this before a logarithm is taken; the smallest normal double is 2e-308.
FLOOR = 1e-300
_SWEEPS = 200
_PRECISION = 1e-15  # relative change of a sweep at which it ends


def additive_prediction(seen: torch.Tensor, images: np.ndarray, mu: torch.Tensor) -> np.ndarray:
    """Fit images as f(x) + g(y), a free image for each value, and return the sums for other conditions.

    Parameters
    ----------
    seen : torch.Tensor, (m, 2)
        Conditions of the images.
    images : array (m, P)
    mu : torch.Tensor, (n, 2)
        Conditions to draw; each of their values occurs in `seen`.

    Returns
    -------
    array (n, P), float64
        Of all least-squares fits that of least length.

    Raises
    ------
    BumplabError
        If shapes do not fit, or a value of `mu` occurs nowhere in `seen`.

    Examples
    --------
    >>> seen = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> additive_prediction(seen, np.array([[1.0], [2.0], [4.0]]), torch.tensor([[1.0, 1.0]])).round(12).tolist()
    [[5.0]]
    """
    rows, new = _value_indices(seen, mu)
    images = _per_condition(images, seen)
    count = rows.max(0) + 1
    design = _one_hot_pairs(rows, count)
    return _one_hot_pairs(new, count) @ np.linalg.lstsq(design, images, rcond=None)[0]


def multiplicative_prediction(seen: torch.Tensor, images: np.ndarray, mu: torch.Tensor) -> np.ndarray:
    """Fit images as f(x) g(y), pixel by pixel: :func:`additive_prediction` in the logarithm of the brightness.

    Parameters, return value and errors are those of :func:`additive_prediction`. Negative brightness counts as none.

    Examples
    --------
    >>> seen = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> images = np.array([[1.0], [2.0], [4.0]])
    >>> multiplicative_prediction(seen, images, torch.tensor([[1.0, 1.0]])).round(12).tolist()
    [[8.0]]
    """
    logs = np.log(np.maximum(np.asarray(images, np.float64), FLOOR))
    return np.exp(additive_prediction(seen, logs, mu))


def rank_one_prediction(seen: torch.Tensor, images: np.ndarray, mu: torch.Tensor) -> np.ndarray:
    """Fit images as v(y) u(x)^T, a profile for each value, by alternating least squares: the exact renderer.

    Parameters
    ----------
    seen : torch.Tensor, (m, 2)
        Conditions of the images.
    images : array (m, N, N)
        Rows are along y.
    mu : torch.Tensor, (n, 2)
        Conditions to draw; each of their values occurs in `seen`.

    Returns
    -------
    array (n, N, N), float64

    Raises
    ------
    BumplabError
        If shapes do not fit, or a value of `mu` occurs nowhere in `seen`.

    Notes
    -----
    With 2 n_x N numbers it draws every bump exactly, also those that training does not show: 1,568 for 28 values.

    Examples
    --------
    >>> seen = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    >>> column, row = np.eye(2)[seen.long()[:, 0]], np.eye(2)[seen.long()[:, 1]]
    >>> rank_one_prediction(seen, row[:, :, None] * column[:, None], torch.tensor([[1.0, 1.0]])).round(6).tolist()
    [[[0.0, 0.0], [0.0, 1.0]]]
    """
    rows, new = _value_indices(seen, mu)
    images = _per_condition(images, seen)
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise BumplabError(f"A renderer needs square images (n, N, N), got shape {images.shape}.")
    u = np.ones((rows[:, 0].max() + 1, images.shape[2]))
    v, last = np.ones((rows[:, 1].max() + 1, images.shape[1])), np.inf
    for _ in range(_SWEEPS):
        v = _solve_profiles(np.einsum("nij,nj->ni", images, u[rows[:, 0]]), u[rows[:, 0]], rows[:, 1], len(v))
        u = _solve_profiles(np.einsum("nij,ni->nj", images, v[rows[:, 1]]), v[rows[:, 1]], rows[:, 0], len(u))
        error = ((images - v[rows[:, 1], :, None] * u[rows[:, 0], None]) ** 2).mean()
        if last - error <= _PRECISION * error or error < _PRECISION**2:
            break
        last = error
    return v[new[:, 1], :, None] * u[new[:, 0], None]


def _solve_profiles(products: np.ndarray, partners: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return the profile of each value, given what its images give along the profiles of their other value."""
    top, bottom = np.zeros((count, products.shape[1])), np.zeros(count)
    np.add.at(top, values, products)
    np.add.at(bottom, values, (partners**2).sum(1))
    return top / bottom[:, None]


def _one_hot_pairs(rows: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.concatenate([np.eye(count[axis])[rows[:, axis]] for axis in (0, 1)], axis=1)


def _value_indices(seen: torch.Tensor, mu: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return conditions as indices (m, 2) and (n, 2) into the ascending values of each axis of `seen`."""
    for name, conditions in (("seen", seen), ("mu", mu)):
        if conditions.ndim != 2 or conditions.shape[1] != 2 or not len(conditions):
            raise BumplabError(f"Conditions {name} come as (n, 2), at least one; got shape {tuple(conditions.shape)}.")
    columns = []
    for axis in (0, 1):
        values, index = np.unique(seen[:, axis].numpy(), return_inverse=True)
        asked = mu[:, axis].numpy()
        place = np.searchsorted(values, asked).clip(max=len(values) - 1)
        if (strange := values[place] != asked).any():
            value = float(asked[strange][0])
            raise BumplabError(f"A fit of parts for x and y knows only values that it has seen, not {quote(value)}.")
        columns.append((index, place))
    return np.stack([index for index, _ in columns], 1), np.stack([place for _, place in columns], 1)


def _per_condition(images: np.ndarray, seen: torch.Tensor) -> np.ndarray:
    images = np.asarray(images, np.float64)
    if images.ndim < 2 or len(images) != len(seen) or not np.isfinite(images).all():
        raise BumplabError(f"Give one image of finite numbers for each of {len(seen)} conditions, got {images.shape}.")
    return images
