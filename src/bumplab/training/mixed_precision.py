"""Half precision where it is safe: weights are kept in single precision, networks compute with copies of them.

The rules are written out instead of left to autocast, so that they are the same on every device, under ``vmap`` and in
a CUDA graph:

- weights, moments, averages, losses and their sums are single precision;
- convolutions and linear layers compute with copies of their weights in half precision, and so does attention, whose
  softmax PyTorch takes in single precision;
- norms compute in the precision of their own weights, which have no copies, see :mod:`bumplab.models.layers`;
- gradients arrive in half precision and are cast back with the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

#: Layers whose weights stay as they are.
NORMS = (nn.GroupNorm, nn.LayerNorm)


def norm_names(model: nn.Module) -> set[str]:
    """Return the names of the parameters of a network's norms.

    Examples
    --------
    >>> sorted(norm_names(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))))
    ['1.bias', '1.weight']
    """
    norms = {name: module for name, module in model.named_modules() if isinstance(module, NORMS)}
    return {f"{name}.{parameter}" for name, module in norms.items() for parameter, _ in module.named_parameters()}


def cast_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor], dtype: torch.dtype | None
) -> Mapping[str, torch.Tensor]:
    """Return weights of a network in `dtype`, but for those of its norms; gradients go back to the originals.

    Parameters
    ----------
    model : torch.nn.Module
    weights : mapping of str to torch.Tensor
        Its parameters by name, or stacks of them.
    dtype : torch.dtype or None
        None leaves all as they are.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    >>> copies = cast_weights(model, dict(model.named_parameters()), torch.bfloat16)
    >>> copies["0.weight"].dtype, copies["1.weight"].dtype
    (torch.bfloat16, torch.float32)
    """
    if dtype is None:
        return weights
    norms = norm_names(model)
    names = [name for name in weights if name not in norms]
    copies = _Cast.apply(dtype, *(weights[name] for name in names))
    return {**weights, **dict(zip(names, copies, strict=True))}


class _Cast(torch.autograd.Function):
    """Cast many tensors at once: two kernels in place of two for each."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.dtype = tensors[0].dtype
        return _copy(tensors, dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *_copy(gradients, ctx.dtype)


def _copy(tensors: tuple[torch.Tensor, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    copies = tuple(torch.empty_like(tensor, dtype=dtype) for tensor in tensors)
    torch._foreach_copy_(copies, tensors)  # pyright: ignore[reportPrivateImportUsage, reportArgumentType, reportCallIssue]
    return copies
