"""Multi-layer perceptrons, M of them in one stack: every product of matrices serves all.

Weights are plain tensors by name: ``w1`` (M, inputs, units) and ``b1`` (M, units) of the first layer, and so on.
Activity flows to the right, x @ w + b: a column of ``w1`` holds what one unit takes from the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch.nn import functional as F

#: Functions of one unit, by name; the slope of the leaky one is .1 below 0.
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "tanh": torch.tanh,
    "identity": lambda x: x,
}


def init_perceptron(
    widths: Sequence[int],
    generator: torch.Generator,
    masks: Sequence[torch.Tensor] | None = None,
    bias: bool = True,
) -> dict[str, torch.Tensor]:
    """Return starting weights of one network, uniform within 1 / sqrt(inputs of a unit), as PyTorch's layers.

    Parameters
    ----------
    widths : sequence of int, (L + 1,)
        Inputs, hidden units of each layer, outputs.
    generator : torch.Generator
    masks : sequence of torch.Tensor, L of (widths[l], widths[l + 1]), optional
        1 where there is a connection: a unit with few inputs starts with larger weights. All of them unless given.
    bias : bool

    Returns
    -------
    dict of str to torch.Tensor
        ``w1`` (widths[0], widths[1]), ``b1`` (widths[1],), ..., ``wL``, ``bL``.

    Examples
    --------
    >>> weights = init_perceptron([4, 32, 2], torch.Generator().manual_seed(0))
    >>> {name: tuple(value.shape) for name, value in weights.items()}
    {'w1': (4, 32), 'b1': (32,), 'w2': (32, 2), 'b2': (2,)}
    >>> bool(weights["w1"].abs().max() <= 0.5)
    True
    """
    weights = {}
    for layer, (inputs, units) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        mask = masks[layer] if masks is not None else torch.ones(inputs, units)
        bound = mask.sum(0).clamp(min=1).rsqrt()
        weights[f"w{layer + 1}"] = (2 * torch.rand(inputs, units, generator=generator) - 1) * bound * mask
        if bias:
            weights[f"b{layer + 1}"] = (2 * torch.rand(units, generator=generator) - 1) * bound
    return weights


def block_masks(widths: Sequence[int], blocks: int, layers: Sequence[int] | None = None) -> list[torch.Tensor]:
    """Return the connections of a network that is cut into equal blocks: 1 within a block, 0 between two.

    Parameters
    ----------
    widths : sequence of int, (L + 1,)
        Each is a multiple of `blocks` where a layer is cut.
    blocks : int
    layers : sequence of int, optional
        Which layers are cut, from 0; all of them unless given.

    Returns
    -------
    list of torch.Tensor, L of (widths[l], widths[l + 1])

    Examples
    --------
    >>> block_masks([2, 4], 2)[0].int().tolist()
    [[1, 1, 0, 0], [0, 0, 1, 1]]
    """
    cut = range(len(widths) - 1) if layers is None else layers
    masks = []
    for layer, (inputs, units) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        size = (inputs // blocks, units // blocks)
        whole = torch.block_diag(*[torch.ones(size)] * blocks) if layer in cut else torch.ones(inputs, units)
        masks.append(whole)
    return masks


def num_layers(weights: Mapping[str, torch.Tensor]) -> int:
    """Return how many layers of weights a network has.

    Examples
    --------
    >>> num_layers(init_perceptron([2, 8, 8, 1], torch.Generator()))
    3
    """
    return sum(name.startswith("w") for name in weights)


def perceptron(
    weights: Mapping[str, torch.Tensor],
    x: torch.Tensor,
    activation: str = "leaky_relu",
    noise: Callable[[int, torch.Tensor], torch.Tensor] | None = None,
    linear: Sequence[int] = (),
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Map inputs through M networks.

    Parameters
    ----------
    weights : mapping
        See :func:`init_perceptron`; each with M in front.
    x : torch.Tensor, (M, n, inputs)
    activation : str
        Of the hidden units, a name in :data:`ACTIVATIONS`.
    noise : callable, optional
        Layer from 0, and the activity of its hidden units (M, n, units), to what the next layer hears of it.
    linear : sequence of int
        Hidden layers, from 0, whose units have no activation.

    Returns
    -------
    output : torch.Tensor, (M, n, outputs)
    activities : list of torch.Tensor, L - 1 of (M, n, units)
        Of the hidden units, before the noise.

    Examples
    --------
    >>> weights = init_perceptron([4, 32, 2], torch.Generator().manual_seed(0))
    >>> output, (hidden,) = perceptron({name: value[None] for name, value in weights.items()}, torch.zeros(1, 5, 4))
    >>> tuple(output.shape), tuple(hidden.shape)
    ((1, 5, 2), (1, 5, 32))
    """
    function, depth = ACTIVATIONS[activation], num_layers(weights)
    activities = []
    for layer in range(depth):
        matrix, bias = weights[f"w{layer + 1}"], weights.get(f"b{layer + 1}")
        x = torch.bmm(x, matrix) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, matrix)
        if layer < depth - 1:
            x = x if layer in linear else function(x)
            activities.append(x)
            x = x if noise is None else noise(layer, x)
    return x, activities


def solo(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of one network as those of a stack of one.

    Examples
    --------
    >>> solo({"w1": torch.zeros(4, 32)})["w1"].shape
    torch.Size([1, 4, 32])
    """
    return {name: value.unsqueeze(0) for name, value in weights.items()}
