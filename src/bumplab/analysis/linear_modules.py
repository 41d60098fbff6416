"""When would a linear network pay to be modular? An exact answer for two layers, input by input.

A linear network y = W2 W1 x that copies its d inputs with H hidden units pays the weighted activity penalty
sum_j E abs(a_j) ** alpha sum_k W_kj ** 2. In the modular net a unit hears one input, in the mixing one all of them,
and incoming and outgoing weights of a unit are equally long. At alpha = 2 every tight frame pays the same,
d ** 2 sigma ** 2 / H, by Cauchy and Schwarz; elsewhere the inputs decide.
"""

from __future__ import annotations

import numpy as np

from bumplab.common.errors import BumplabError

#: Distributions of inputs that :func:`draw_inputs` knows.
INPUTS = ("uniform", "one at a time", "gaussian")


def draw_inputs(kind: str, n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Return n samples of d uncorrelated inputs, (n, d).

    Parameters
    ----------
    kind : {"uniform", "one at a time", "gaussian"}
        Uniform on [-2, 2]; the same for one input, drawn for each sample, and 0 for the others; Gaussian with the
        variance of the first.

    Raises
    ------
    BumplabError
        For another kind.

    Examples
    --------
    >>> int(np.count_nonzero(draw_inputs("one at a time", 5, 4, np.random.default_rng(0))))
    5
    """
    if kind == "gaussian":
        return rng.normal(size=(n, d)) * np.sqrt(4 / 3)
    x = rng.uniform(-2, 2, (n, d))
    if kind == "uniform":
        return x
    if kind != "one at a time":
        raise BumplabError(f"Inputs are uniform, one at a time or gaussian, got {kind!r}.")
    return x * np.eye(d)[rng.integers(d, size=n)]


def modular_frame(d: int, units: int) -> np.ndarray:
    """Return incoming weights of units that hear one input each, (d, units), whose rows are orthonormal.

    Examples
    --------
    >>> modular_frame(2, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return np.kron(np.eye(d), np.ones((1, units // d))) / np.sqrt(units // d)


def mixing_frame(d: int, units: int) -> np.ndarray:
    """Return incoming weights of units that hear all inputs alike but for signs, (d, units), rows orthonormal.

    Parameters
    ----------
    d : int
        A power of 2.
    units : int
        A multiple of `d`.

    Examples
    --------
    >>> mixing_frame(2, 2).round(3).tolist()
    [[0.707, 0.707], [0.707, -0.707]]
    """
    signs = np.ones((1, 1))
    while len(signs) < d:
        signs = np.block([[signs, signs], [signs, -signs]])
    return np.tile(signs, units // d) / np.sqrt(units)


def linear_penalty(frame: np.ndarray, x: np.ndarray, alpha: float) -> float:
    """Return the weighted activity penalty of a linear network that copies its inputs by a frame.

    Parameters
    ----------
    frame : array (d, units)
        Incoming weights, rows orthonormal; the outgoing ones are its transpose.
    x : array (n, d)
    alpha : float

    Examples
    --------
    >>> x = draw_inputs("uniform", 1000, 4, np.random.default_rng(0))
    >>> pair = [linear_penalty(make(4, 32), x, 2) for make in (modular_frame, mixing_frame)]
    >>> bool(np.allclose(pair, np.square(x).sum(1).mean() / 8))
    True
    """
    outgoing = np.square(frame).sum(0)
    return float((np.abs(x @ frame) ** alpha).mean(0) @ outgoing)


def random_frame(d: int, units: int, rng: np.random.Generator) -> np.ndarray:
    """Return incoming weights of groups of d units, each a random rotation of the inputs, (d, units), rows orthonormal.

    Examples
    --------
    >>> frame = random_frame(4, 32, np.random.default_rng(0))
    >>> bool(np.allclose(frame @ frame.T, np.eye(4)))
    True
    """
    groups = [np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(units // d)]
    return np.concatenate(groups, 1) / np.sqrt(units // d)


def mixing_cost(
    kind: str, alpha: float, d: int = 4, units: int = 32, n: int = 100_000, seed: int = 0, frame: str = "even"
) -> float:
    """Return log2 of what mixing pays over what modules pay: above 0, modules are cheaper.

    Parameters
    ----------
    kind : str
        Of the inputs, see :func:`draw_inputs`.
    alpha : float
    d, units, n, seed : int
        Inputs, hidden units, samples, and seed of the samples.
    frame : {"even", "random"}
        The mixing network: :func:`mixing_frame` or :func:`random_frame`, which mixes less.

    Examples
    --------
    >>> [round(2 ** mixing_cost(kind, 1), 2) for kind in ("uniform", "one at a time")]
    [0.93, 2.0]
    """
    rng = np.random.default_rng(seed)
    x = draw_inputs(kind, n, d, rng)
    mixing = mixing_frame(d, units) if frame == "even" else random_frame(d, 32 * units, rng)
    scale = 1.0 if frame == "even" else mixing.shape[1] / units  # many groups stand for their mean
    mixed = linear_penalty(mixing, x, alpha) * scale ** (alpha / 2)
    return float(np.log2(mixed / linear_penalty(modular_frame(d, units), x, alpha)))
