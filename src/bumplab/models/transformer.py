"""An autoregressive transformer over cells that have several attributes each, and three ways to say a cell.

``"separate"``: one softmax for each attribute, drawn independently, the default of the GPT-2 of GenRAVEN
(arXiv:2411.07873). ``"joint"``: one softmax over all combinations. ``"sequence"``: an attribute is a token of its own,
and hears those before it in its cell. The first cannot express that attributes of a cell depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import nn

from bumplab.common.errors import BumplabError, quote
from bumplab.models.attention import TokenAttention, token_perceptron

Head = Literal["separate", "joint", "sequence"]


class CausalBlock(nn.Module):
    """Attention to tokens up to one's own, and a perceptron, each after a norm and residual.

    Examples
    --------
    >>> CausalBlock(8, heads=2)(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = TokenAttention(width, heads, causal=True)
        self.mlp = token_perceptron(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map (n, L, width) to the same shape."""
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class CellTransformer(nn.Module):
    """A causal transformer over sequences of cells.

    Parameters
    ----------
    values : sequence of int
        How many values each attribute of a cell may take, from 0.
    length : int
        Cells of a sequence.
    width, depth, heads : int
        Of the transformer; the heads divide the width.
    head : {"separate", "joint", "sequence"}
        See the module.

    Examples
    --------
    >>> model = CellTransformer((5, 5, 5), length=9, width=16, depth=1, heads=2, head="joint")
    >>> cells = model.draw(4, torch.Generator().manual_seed(0))
    >>> cells.shape, model.log_likelihood(cells).shape
    (torch.Size([4, 9, 3]), torch.Size([4, 9]))
    """

    def __init__(
        self,
        values: Sequence[int],
        length: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        head: Head = "joint",
    ) -> None:
        super().__init__()
        if head not in get_args(Head):
            raise BumplabError(f"A head is separate, joint or sequence, got {quote(head)}.")
        self.values, self.length, self.head = tuple(values), length, head
        steps = length * len(self.values) if head == "sequence" else length
        self.embeddings = nn.ModuleList(nn.Embedding(number, width) for number in self.values)
        self.start = nn.Parameter(torch.randn(width))
        self.positions = nn.Parameter(0.02 * torch.randn(steps, width))
        self.blocks = nn.ModuleList(CausalBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        sizes = [math.prod(self.values)] if head == "joint" else self.values
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def forward(self, cells: torch.Tensor) -> list[torch.Tensor]:
        """Map cells (n, L, A) to logits of each from those before it: of every attribute (n, L, values), or one joint.

        Raises
        ------
        BumplabError
            For cells of another shape.
        """
        if cells.ndim != 3 or cells.shape[1:] != (self.length, len(self.values)):
            raise BumplabError(f"Cells have shape (n, {self.length}, {len(self.values)}), got {tuple(cells.shape)}.")
        parts = torch.stack([embed(cells[..., a]) for a, embed in enumerate(self.embeddings)], 2)  # (n, L, A, width)
        tokens = parts.flatten(1, 2) if self.head == "sequence" else parts.sum(2)
        first = self.start.expand(len(cells), 1, -1)
        tokens = torch.cat([first, tokens[:, :-1]], 1) + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        hidden = self.norm(tokens)
        if self.head == "sequence":
            hidden = hidden.unflatten(1, (self.length, len(self.values)))
            return [head(hidden[:, :, a]) for a, head in enumerate(self.heads)]
        return [head(hidden) for head in self.heads]

    def log_likelihood(self, cells: torch.Tensor) -> torch.Tensor:
        """Return the logarithm, in nats, of the chance of each cell after those before it, (n, L).

        Parameters
        ----------
        cells : torch.Tensor, (n, L, A), int64
        """
        return self.score(self(cells), cells)

    def score(self, logits: Sequence[torch.Tensor], cells: torch.Tensor) -> torch.Tensor:
        """Return the same from what :meth:`forward` said of these cells, (n, L)."""
        targets = [self._joint_place(cells)] if self.head == "joint" else cells.unbind(2)
        pairs = zip(logits, targets, strict=True)
        return torch.stack([each.log_softmax(2).gather(2, at[..., None])[..., 0] for each, at in pairs]).sum(0)

    def _joint_place(self, cells: torch.Tensor) -> torch.Tensor:
        place = torch.zeros_like(cells[..., 0])
        for a, number in enumerate(self.values):
            place = place * number + cells[..., a]
        return place

    def _split_place(self, place: torch.Tensor) -> torch.Tensor:
        parts = []
        for number in reversed(self.values):
            parts.append(place % number)
            place = place // number
        return torch.stack(parts[::-1], -1)

    @torch.no_grad()
    def draw(
        self,
        n: int,
        generator: torch.Generator | None = None,
        given: torch.Tensor | None = None,
        temperature: float = 1.0,
    ) -> torch.Tensor:
        """Return n sequences of cells, (n, L, A), drawn one cell after the other.

        Parameters
        ----------
        n : int
        generator : torch.Generator, optional
            On the device of the network.
        given : torch.Tensor, (n, k, A), optional
            First cells, to be completed.
        temperature : float
            0 takes the likeliest value; a joint head the likeliest cell.

        Examples
        --------
        >>> model = CellTransformer((2, 3), length=4, width=8, depth=1, heads=2, head="sequence")
        >>> given = torch.ones(5, 3, 2, dtype=torch.int64)
        >>> torch.equal(model.draw(5, given=given)[:, :3], given)
        True
        """
        cells = torch.zeros(n, self.length, len(self.values), dtype=torch.int64, device=self.start.device)
        begin = 0
        if given is not None:
            begin = given.shape[1]
            cells[:, :begin] = given
        for k in range(begin, self.length):
            if self.head == "joint":
                cells[:, k] = self._split_place(_choose(self(cells)[0][:, k], temperature, generator))
                continue
            logits = self(cells)
            for a in range(len(self.values)):
                if self.head == "sequence" and a:
                    logits = self(cells)  # with the attributes of this cell that are there by now
                cells[:, k, a] = _choose(logits[a][:, k], temperature, generator)
        return cells


def _choose(logits: torch.Tensor, temperature: float, generator: torch.Generator | None) -> torch.Tensor:
    if temperature == 0:
        return logits.argmax(1)
    return torch.multinomial((logits / temperature).softmax(1), 1, generator=generator)[:, 0]
