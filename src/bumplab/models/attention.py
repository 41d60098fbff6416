"""Attention among tokens, or of tokens to others, and the perceptron that follows it.

The blocks are those of Vaswani et al. (arXiv:1706.03762). The heads pass through a module of their own, so
that a hook can watch them or take one out.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from bumplab.common.errors import BumplabError


class TokenAttention(nn.Module):
    """Attention of tokens (n, L, width) to themselves, or to other tokens (n, K, context).

    Parameters
    ----------
    width, heads : int
        The heads divide the width.
    context : int, optional
        Length of the other tokens; of its own unless given.
    causal : bool
        Whether a token attends to itself and those before it alone.

    Attributes
    ----------
    mixed : torch.nn.Identity
        What the heads bring, (n, L, heads, width / heads), before it is put together.

    Raises
    ------
    BumplabError
        If the heads do not divide the width.

    Examples
    --------
    >>> TokenAttention(8, heads=2)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    >>> TokenAttention(8, heads=2, context=4)(torch.zeros(3, 5, 8), torch.zeros(3, 7, 4)).shape
    torch.Size([3, 5, 8])
    >>> TokenAttention(8, heads=3)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: The heads of attention divide its width, got 3 heads and width 8.
    """

    def __init__(self, width: int, heads: int, context: int | None = None, causal: bool = False) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise BumplabError(f"The heads of attention divide its width, got {heads} heads and width {width}.")
        self.heads, self.causal = heads, causal
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width if context is None else context, 2 * width)
        self.mixed = nn.Identity()
        self.out = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
        """Map tokens (n, L, width), and what they attend to (n, K, context), to (n, L, width)."""
        return self.out(self.mixed(self.bring(tokens, others)).flatten(2))

    def bring(self, tokens: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
        """Return what each head brings to each token, (n, L, heads, width / heads).

        Examples
        --------
        >>> TokenAttention(8, heads=2, context=4).bring(torch.zeros(3, 5, 8), torch.zeros(3, 7, 4)).shape
        torch.Size([3, 5, 2, 4])
        """
        key_value = self.key_value(tokens if others is None else others)
        q = self.query(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k, v = key_value.unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).transpose(1, 2)

    def weights(self, tokens: torch.Tensor, others: torch.Tensor | None = None) -> torch.Tensor:
        """Return how much each token attends to each, (n, heads, L, K); rows sum to 1.

        Examples
        --------
        >>> TokenAttention(8, heads=2, causal=True).weights(torch.zeros(1, 2, 8))[0, 0].tolist()
        [[1.0, 0.0], [0.5, 0.5]]
        """
        k = self.key_value(tokens if others is None else others).unflatten(2, (2, self.heads, -1))[:, :, 0]
        q = self.query(tokens).unflatten(2, (self.heads, -1))
        scores = torch.einsum("nlhd,nkhd->nhlk", q, k) / q.shape[-1] ** 0.5
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return scores.softmax(-1)


def token_perceptron(width: int) -> nn.Sequential:
    """Return the perceptron of a block, four times as wide inside.

    Examples
    --------
    >>> token_perceptron(8)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
