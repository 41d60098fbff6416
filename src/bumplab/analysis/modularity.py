"""How modular is a network? Of its weights: eigenvalues of a graph, and purity. Of what it does: its Jacobian.

A matrix of weights has a row for each input (or each module of the layer before) and a column for each unit. Cosines
between columns of absolute weights make a graph of units; with K rows it has rank K, so that all eigenvalues of its
Laplacian after the K-th are exactly 1, for every network: only the first K say anything, and only beside null models
(arXiv:2512.13707 shows them without).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from bumplab.common.errors import BumplabError

#: Added to absolute weights, as in the released code: a unit that hears nothing has a direction, too.
_FLOOR = 1e-7


def laplacian_eigenvalues(weights: np.ndarray) -> np.ndarray:
    """Return the first K eigenvalues of the symmetric normalised Laplacian of the graph of units, ascending.

    Parameters
    ----------
    weights : array (K, units)

    Returns
    -------
    array (K,)
        The first is 0. K zeros stand for K modules that share no input; a dense random matrix of 4 x 32 has a fourth
        one of .91 +- .02.

    Raises
    ------
    BumplabError
        If there are fewer units than rows.

    Examples
    --------
    >>> blocks = np.kron(np.eye(4), np.ones(8))
    >>> bool(np.abs(laplacian_eigenvalues(blocks)).max() < 1e-5)
    True
    """
    if weights.ndim != 2 or weights.shape[0] > weights.shape[1]:
        raise BumplabError(f"Weights have at least as many units as rows, got the shape {weights.shape}.")
    columns = np.abs(weights) + _FLOOR
    columns = columns / np.linalg.norm(columns, axis=0)
    similarity = columns.T @ columns
    roots = 1 / np.sqrt(similarity.sum(0))
    # Eigenvalues of 1 - D^-1/2 S D^-1/2 by the singular values of a matrix with K rows.
    singular = np.linalg.svd(columns * roots, compute_uv=False)
    return np.sort(1 - singular**2)


def purity(weights: np.ndarray) -> float:
    """Return the share of squared weights that units have from their strongest input.

    Parameters
    ----------
    weights : array (K, units)

    Returns
    -------
    float
        From 1 / K to 1 for modules. Dense Gaussian weights of 4 x 32 have .62, two inputs of four .82 +- .04.

    Examples
    --------
    >>> purity(np.array([[3.0, 0.0], [1.0, 2.0]]))
    0.9285714285714286
    """
    squares = np.square(weights)
    return float(squares.max(0).sum() / squares.sum())


def pool_rows(weights: np.ndarray, modules: np.ndarray, num_modules: int) -> np.ndarray:
    """Return what units take from each module of the layer before: the root of summed squares, (num_modules, units).

    Parameters
    ----------
    weights : array (units before, units)
    modules : array of int (units before,)

    Examples
    --------
    >>> pool_rows(np.array([[3.0], [4.0], [1.0]]), np.array([0, 0, 1]), 2).tolist()
    [[5.0], [1.0]]
    """
    onto = np.eye(num_modules)[modules].T
    return np.sqrt(onto @ np.square(weights))


def network_modularity(layers: Sequence[np.ndarray]) -> dict[str, dict[str, float]]:
    """Return eigenvalues and purity of a network, layer by layer.

    A unit belongs to the module, or input, from which it takes most; the rows of the next layer are pooled by that. The
    last layer is read against its outputs: from which module does each take?

    Parameters
    ----------
    layers : sequence of arrays
        (K, units), (units, units), ..., (units, K).

    Returns
    -------
    dict
        ``purity`` to ``w1``, ``w2``, ... and ``all``, weighted by squares, and ``lambda2`` to ``lambdaK`` to ``w1``,
        ..., all but the last layer: the name of the eigenvalue, then the layer.

    Examples
    --------
    >>> blocks = [np.kron(np.eye(2), np.ones(shape)) for shape in ((1, 4), (4, 4), (4, 1))]
    >>> network_modularity(blocks)["purity"]
    {'w1': 1.0, 'w2': 1.0, 'w3': 1.0, 'all': 1.0}
    """
    k = len(layers[0])
    rows, purities, kept, eigenvalues = layers[0], {}, [], {}
    for number, matrix in enumerate(layers):
        if number:
            rows = pool_rows(matrix, np.abs(rows).argmax(0), k)
        kept.append((np.square(rows).max(0).sum(), np.square(rows).sum()))
        purities[f"w{number + 1}"] = purity(rows)
        if rows.shape[1] >= k and number < len(layers) - 1:
            values = laplacian_eigenvalues(rows)
            for which in range(2, k + 1):
                eigenvalues.setdefault(f"lambda{which}", {})[f"w{number + 1}"] = float(values[which - 1])
    most, total = np.sum(kept, axis=0)
    return {"purity": {**purities, "all": float(most / total)}, **eigenvalues}


def sort_units(layers: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the absolute weights of a network, its hidden units in the order of the modules that they belong to.

    Parameters
    ----------
    layers : sequence of arrays
        See :func:`network_modularity`. Outputs stay where they are.

    Examples
    --------
    >>> first, last = sort_units([np.array([[0.0, 2.0], [-1.0, 0.0]]), np.array([[0.0, 3.0], [4.0, 0.0]])])
    >>> first.tolist(), last.tolist()
    ([[2.0, 0.0], [0.0, 1.0]], [[4.0, 0.0], [0.0, 3.0]])
    """
    rows, before, ordered = np.abs(layers[0]), np.arange(len(layers[0])), []
    for number, matrix in enumerate(layers):
        if number:
            rows = pool_rows(matrix, rows.argmax(0), len(layers[0]))
        hidden = number < len(layers) - 1
        after = np.argsort(rows.argmax(0), kind="stable") if hidden else np.arange(matrix.shape[1])
        ordered.append(np.abs(matrix[before][:, after]))
        before = after
    return ordered


def live_units(incoming: np.ndarray, outgoing: np.ndarray, share: float = 0.01) -> np.ndarray:
    """Return which units of a hidden layer do anything, boolean (units,).

    A penalty lets units die: their weights shrink to nothing. :func:`laplacian_eigenvalues` counts a dead unit like any
    other, and one below the floor of 1e-7 as hearing all inputs alike. Leave them out first.

    Parameters
    ----------
    incoming : array (inputs, units)
    outgoing : array (units, outputs)
    share : float
        A unit is alive where the product of the lengths of both its vectors is at least this share of the largest. The
        product does not change where a unit is rescaled.

    Examples
    --------
    >>> live_units(np.array([[3.0, 1e-9]]), np.array([[1.0], [2.0]])).tolist()
    [True, False]
    """
    strength = np.linalg.norm(incoming, axis=0) * np.linalg.norm(outgoing, axis=1)
    return strength >= share * strength.max()


def activity_purity(activity: np.ndarray) -> float:
    """Return the share of the variance of units that one of two features explains by itself, the stronger one.

    Where weights pool many inputs, or units hear modules that have mixed already, purity of weights says little; this
    one looks at what units do. Units count by their variance.

    Parameters
    ----------
    activity : array (n_x, n_y, units)

    Returns
    -------
    float
        1 where each unit follows x alone or y alone, 1/2 where all follow x + y alike, less where they follow pairs.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(5.0), np.arange(5.0), indexing="ij")
    >>> [activity_purity(np.stack(units, -1)) for units in ([x, y], [x + y, x - y])]
    [1.0, 0.5]
    """
    centred = activity - activity.mean((0, 1))
    parts = np.stack([np.square(centred.mean(axis)).mean(0) for axis in (1, 0)])
    total = np.square(centred).mean((0, 1)).sum()
    return float(parts.max(0).sum() / total) if total else 0.0


def permuted(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the same entries in random places: the null model of a matrix with its own weights.

    Examples
    --------
    >>> float(permuted(np.array([[1.0, 2.0]]), np.random.default_rng(0)).sum())
    3.0
    """
    return rng.permutation(weights.ravel()).reshape(weights.shape)


def random_weights(kind: str, shape: tuple[int, int], rng: np.random.Generator, leak: float = 0.0) -> np.ndarray:
    """Return a matrix of a null model, to set measures beside.

    Parameters
    ----------
    kind : {"gaussian", "uniform", "blocks", "two of four"}
        Dense; dense as PyTorch initialises; units with one input each and Gaussian weights, plus a leak; units with two
        random inputs.
    shape : (int, int)
        Rows and units.
    rng : numpy.random.Generator
    leak : float
        Of blocks: standard deviation of the other weights, as a share of that of the blocks.

    Examples
    --------
    >>> purity(random_weights("blocks", (4, 32), np.random.default_rng(0)))
    1.0
    """
    k, units = shape
    if kind == "uniform":
        return rng.uniform(-1, 1, shape)
    whole = rng.normal(size=shape)
    if kind == "gaussian":
        return whole
    if kind == "two of four":
        heard = np.argsort(rng.random(shape), axis=0) < 2
        return whole * heard
    if kind != "blocks":
        raise BumplabError(f"Use gaussian, uniform, blocks or two of four, got {kind!r}.")
    own = np.arange(units) * k // units == np.arange(k)[:, None]
    return np.where(own, whole, leak * whole)


def input_jacobian(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Return the derivatives of outputs by inputs at each sample, (n, outputs, inputs).

    Parameters
    ----------
    function : callable
        (n, inputs) -> (n, outputs), each row by itself.
    x : torch.Tensor, (n, inputs)

    Examples
    --------
    >>> input_jacobian(lambda x: x.square(), torch.tensor([[1.0, 2.0]])).tolist()
    [[[2.0, 0.0], [0.0, 4.0]]]
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        outputs = function(x)
        columns = [torch.autograd.grad(part.sum(), x, retain_graph=True)[0] for part in outputs.unbind(1)]
    return torch.stack(columns, 1)


def mixing_share(jacobian: torch.Tensor) -> float:
    """Return the share of the squared Jacobian that is off the diagonal: 0 for modules, 1 - 1/K where all mix.

    Parameters
    ----------
    jacobian : torch.Tensor, (n, K, K)

    Examples
    --------
    >>> mixing_share(torch.ones(5, 4, 4))
    0.75
    """
    squares = jacobian.double().square().sum(0)
    return float(1 - squares.diagonal().sum() / squares.sum())
