"""What a stack of perceptrons pays for its weights and its activity, and noise on that activity.

Each penalty is a number for each of M networks. The fourth stands for the noise of Poisson-like neurons: to the mean
squared error of K outputs, noise of variance c^2 abs(a)^n on the last hidden layer adds exactly c^2 / K times the
penalty with alpha = n (Qian, Liang, Fiete, arXiv:2512.13707; for earlier layers it is a local stand-in).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch


def l1_penalty(weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the sum of the absolute values of all weights, biases left out, (M,).

    Examples
    --------
    >>> l1_penalty({"w1": torch.full((1, 2, 3), -2.0), "b1": torch.ones(1, 3)})
    tensor([12.])
    """
    return torch.stack([value.abs().sum((1, 2)) for name, value in weights.items() if name[0] == "w"]).sum(0)


def l2_penalty(weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the sum of the squares of all weights and biases, (M,).

    Examples
    --------
    >>> l2_penalty({"w1": torch.full((1, 2, 3), -2.0), "b1": torch.ones(1, 3)})
    tensor([27.])
    """
    return torch.stack([value.square().flatten(1).sum(1) for value in weights.values()]).sum(0)


def power(x: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return abs(x) ** alpha; 0 and 1 and 2 without a logarithm.

    Examples
    --------
    >>> power(torch.tensor([-2.0, 3.0]), 2)
    tensor([4., 9.])
    """
    if alpha == 2:
        return x.square()
    size = x.abs()
    return size if alpha == 1 else torch.ones_like(x) if alpha == 0 else size.pow(alpha)


def activity_penalty(activities: Sequence[torch.Tensor], alpha: float = 2) -> torch.Tensor:
    """Return the mean over the batch of the sum of abs(a) ** alpha over all hidden units, (M,).

    Parameters
    ----------
    activities : sequence of torch.Tensor, each (M, n, units)
    alpha : float

    Examples
    --------
    >>> activity_penalty([torch.full((1, 5, 3), 2.0)])
    tensor([12.])
    """
    return torch.stack([power(a, alpha).sum(2).mean(1) for a in activities]).sum(0)


def weighted_activity_penalty(
    activities: Sequence[torch.Tensor], weights: Mapping[str, torch.Tensor], alpha: float = 2
) -> torch.Tensor:
    """Return the mean over the batch of sum_j abs(a_j) ** alpha sum_k w_jk ** 2 over all hidden layers, (M,).

    Parameters
    ----------
    activities : sequence of torch.Tensor, each (M, n, units)
        Of the hidden layers; w is the layer of weights that hears them.
    weights : mapping
        See :mod:`bumplab.models.perceptrons`.
    alpha : float
        2 as in the released code of arXiv:2512.13707; Poisson noise would be 1.

    Examples
    --------
    >>> weights = {"w1": torch.zeros(1, 2, 3), "w2": torch.full((1, 3, 1), 0.5)}
    >>> weighted_activity_penalty([torch.full((1, 5, 3), 2.0)], weights, alpha=1)
    tensor([1.5000])
    """
    parts = []
    for layer, a in enumerate(activities):
        outgoing = weights[f"w{layer + 2}"].square().sum(2)
        parts.append((power(a, alpha).mean(1) * outgoing).sum(1))
    return torch.stack(parts).sum(0)


def activity_noise(
    strength: torch.Tensor, exponent: float, generators: Sequence[torch.Generator]
) -> Callable[[int, torch.Tensor], torch.Tensor]:
    """Return noise for hidden units: a + c xi abs(a) ** (n / 2), of each network from its own generator.

    Parameters
    ----------
    strength : torch.Tensor, (M,)
        c of each network.
    exponent : float
        n: 0 constant, 1 as of Poisson spikes, 2 multiplicative.
    generators : sequence of torch.Generator, M

    Examples
    --------
    >>> noise = activity_noise(torch.tensor([0.1]), 0, [torch.Generator().manual_seed(0)])
    >>> round(float(noise(0, torch.zeros(1, 10000, 1)).std()), 2)
    0.1
    """

    def add(layer: int, a: torch.Tensor) -> torch.Tensor:
        xi = torch.stack([torch.randn(a.shape[1:], generator=g, device=a.device) for g in generators])
        size = torch.ones_like(a) if exponent == 0 else power(a, 1) if exponent == 2 else _root(a, exponent)
        return a + strength[:, None, None] * xi * size

    return add


def _root(a: torch.Tensor, exponent: float) -> torch.Tensor:
    """Return abs(a) ** (exponent / 2), whose slope at 0 is made finite."""
    size = a.abs() + 1e-6
    return size.sqrt() if exponent == 1 else size.pow(exponent / 2)
