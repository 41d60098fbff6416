"""Frozen codes of words: random vectors, with or without their places, with or without what is around them.

Stand-ins for the text encoders of arXiv:2601.06338. Random vectors with places are its RTE. Mixing them by a layer of
random attention does what T5 does to its tokens, and nothing else of it: each hears of the others, or, where the mixing
is causal as in CLIP, of those before it. All weights follow from a seed and are never trained.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError
from bumplab.models.layers import sinusoidal_encoding

#: How sharply random attention picks among tokens: the deviation of its scores.
_SHARPNESS = 2.0


class TextEncoder(FrozenConfig):
    """A frozen encoder of tokens.

    Attributes
    ----------
    width : int
        Length of a token's code, even.
    positions : bool
        Whether a sinusoidal code of its place is added, as long as that of the word. Without it a prompt is a bag of
        words, whatever reads it, unless mixing is causal.
    mixing : {"none", "both", "causal"}
        Whether half of a code comes from other words, or from those before it.
    seed : int

    Examples
    --------
    >>> codes = TextEncoder(width=16)(torch.tensor([[0, 3, 5]]))
    >>> codes.shape, round(codes.square().mean().item(), 1)
    (torch.Size([1, 3, 16]), 1.0)
    """

    width: Annotated[int, Field(ge=4, le=4096, multiple_of=2)] = 64
    positions: bool = True
    mixing: Literal["none", "both", "causal"] = "none"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the codes of tokens (n, L), int64, 0 to 999: (n, L, width), float32, of mean square 1.

        Raises
        ------
        BumplabError
            For a token outside of that.
        """
        if tokens.numel() and not (0 <= int(tokens.min()) and int(tokens.max()) < 1000):
            raise BumplabError(f"Tokens are 0 to 999, got {int(tokens.min())} to {int(tokens.max())}.")
        generator = torch.Generator().manual_seed(self.seed)
        words = _unit(torch.randn(1000, self.width, generator=generator)).to(tokens.device)
        x = words[tokens]
        if self.positions:
            places = sinusoidal_encoding(torch.arange(tokens.shape[1], device=tokens.device), self.width, base=100.0)
            x = _unit(x + _unit(places))
        if self.mixing == "none":
            return x
        query, key, value = (
            (torch.randn(self.width, self.width, generator=generator) / self.width**0.5).to(x) for _ in range(3)
        )
        scores = _SHARPNESS * (x @ query) @ (x @ key).transpose(1, 2) / self.width**0.5
        if self.mixing == "causal":
            later = torch.ones(scores.shape[1:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return _unit(x + _unit(scores.softmax(2) @ x @ value))


def _unit(x: torch.Tensor) -> torch.Tensor:
    """Return vectors (..., width) scaled to mean square 1."""
    return x / x.square().mean(-1, keepdim=True).sqrt()
