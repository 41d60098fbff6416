"""Heads of a diffusion transformer that attend to text: where they look, and what they do.

A head is taken out, or hears another prompt than the rest of the network: if the image then follows the other prompt,
the head carries what the two prompts differ in. Heads are pairs of numbers, block and head, from 0. For the circuits of
arXiv:2601.06338.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch.func import functional_call

from bumplab.common.errors import BumplabError
from bumplab.models.attention import TokenAttention
from bumplab.models.dit import DiT

#: A block and a head of its attention to text, from 0.
Head = tuple[int, int]


def text_heads(model: DiT) -> list[Head]:
    """Return the heads that attend to text.

    Examples
    --------
    >>> text_heads(DiT(size=2, width=8, depth=2, heads=2, text_width=4))
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    if not model.text_width:
        raise BumplabError("This DiT reads no text, so none of its heads attends to one.")
    return [(block, head) for block in range(len(model.blocks)) for head in range(_attention(model, block).heads)]


@contextmanager
def swap_text(model: DiT, heads: Iterable[Head], text: torch.Tensor | None) -> Iterator[DiT]:
    """Let some heads read another text, or none, within a ``with`` block; no hook is left behind.

    Parameters
    ----------
    model : DiT
    heads : iterable of (int, int)
        See :func:`text_heads`.
    text : torch.Tensor, (n, K, text_width), optional
        What they read, a text for each image; None to take them out: they bring zeros.

    Raises
    ------
    BumplabError
        If there is no such head.

    Examples
    --------
    >>> model = DiT(size=2, width=8, depth=1, heads=2, text_width=4)
    >>> x, t, (here, there) = torch.randn(1, 1, 2, 2), torch.zeros(1), torch.randn(2, 1, 3, 4)
    >>> with swap_text(model, text_heads(model), there):
    ...     swapped = model(x, t, here)
    >>> torch.equal(swapped, model(x, t, there))
    True
    """
    by_block: dict[int, list[int]] = {}
    for block, head in heads:
        if (block, head) not in text_heads(model):
            raise BumplabError(f"Heads are pairs of a block and a head, one of {text_heads(model)}, got {block, head}.")
        by_block.setdefault(block, []).append(head)
    hooks = []
    try:
        for block, group in by_block.items():
            hooks += _add_hooks(_attention(model, block), group, text)
        yield model
    finally:
        for hook in hooks:
            hook.remove()


def _attention(model: DiT, block: int) -> TokenAttention:
    return model.blocks[block].text_attention  # type: ignore[return-value]


def _add_hooks(attention: TokenAttention, heads: list[int], text: torch.Tensor | None) -> list:
    inputs: list[torch.Tensor] = []

    def note(_module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        inputs[:] = arguments[:1]

    def change(_module: torch.nn.Module, _arguments: object, brought: torch.Tensor) -> torch.Tensor:
        other = torch.zeros_like(brought) if text is None else attention.bring(inputs[0], text)
        brought = brought.clone()
        brought[:, :, heads] = other[:, :, heads]
        return brought

    return [attention.register_forward_pre_hook(note), attention.mixed.register_forward_hook(change)]


@torch.no_grad()
def text_attention(
    model: DiT, weights: Mapping[str, torch.Tensor], x: torch.Tensor, t: torch.Tensor, text: torch.Tensor
) -> torch.Tensor:
    """Return how much each patch attends to each word, (blocks, n, heads, L, K); sums over words are 1.

    Parameters
    ----------
    model : DiT
    weights : mapping of str to torch.Tensor
        Used in the place of its own.
    x, t, text : torch.Tensor
        As the network takes them.

    Examples
    --------
    >>> model = DiT(size=2, width=8, depth=1, heads=2, text_width=4)
    >>> x, t, text = torch.randn(1, 1, 2, 2), torch.zeros(1), torch.randn(1, 3, 4)
    >>> text_attention(model, dict(model.named_parameters()), x, t, text).sum(-1).round(decimals=4).unique()
    tensor([1.])
    """
    maps: list[torch.Tensor] = []

    def look(attention: TokenAttention) -> Callable[..., None]:
        return lambda _module, arguments, _output: maps.append(attention.weights(*arguments))

    modules = [_attention(model, block) for block in range(len(model.blocks))]
    hooks = [each.register_forward_hook(look(each)) for each in modules]
    try:
        functional_call(model, dict(weights), (x, t, text))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(maps)
