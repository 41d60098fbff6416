"""A diffusion transformer: patches of an image are tokens, and the timestep scales their norms.

After Peebles and Xie, "Scalable diffusion models with transformers" (arXiv:2212.09748), with adaLN-Zero: at the start
every block passes its input on, and the network says 0. Text, if there is any, enters by attention to its tokens, as in
PixArt-alpha (arXiv:2310.00426). Without positions a permutation of patches permutes the output, and nothing else.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from bumplab.common.errors import BumplabError
from bumplab.models.attention import TokenAttention, token_perceptron
from bumplab.models.layers import sinusoidal_encoding


def grid_positions(side: int, width: int) -> torch.Tensor:
    """Return codes of the cells of a square grid, (side^2, width): sines and cosines of the row, then of the column.

    Parameters
    ----------
    side : int
    width : int
        A multiple of 4.

    Examples
    --------
    >>> grid_positions(2, 4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.0000, 1.0000, 0.8415, 0.5403],
            [0.8415, 0.5403, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.8415, 0.5403]])
    """
    line = sinusoidal_encoding(torch.arange(side), width // 2, base=100.0)
    return torch.cat([line.repeat_interleave(side, 0), line.repeat(side, 1)], 1)


def cut_patches(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Return the patches of images (n, c, N, N), row by row, (n, (N / patch)^2, c patch^2).

    Examples
    --------
    >>> cut_patches(torch.arange(16.0).reshape(1, 1, 4, 4), 2)[0, :2].tolist()
    [[0.0, 1.0, 4.0, 5.0], [2.0, 3.0, 6.0, 7.0]]
    """
    return F.unfold(x, patch, stride=patch).transpose(1, 2)


def join_patches(tokens: torch.Tensor, patch: int) -> torch.Tensor:
    """Return the images (n, c, N, N) of which these are the patches: the inverse of :func:`cut_patches`.

    Examples
    --------
    >>> x = torch.randn(2, 3, 4, 4)
    >>> torch.equal(join_patches(cut_patches(x, 2), 2), x)
    True
    """
    side = round(tokens.shape[1] ** 0.5) * patch
    return F.fold(tokens.transpose(1, 2), side, patch, stride=patch)


class DiTBlock(nn.Module):
    """Attention among patches, attention to text if there is any, and a perceptron; the timestep scales and gates them.

    Parameters
    ----------
    width, heads : int
    text_width : int
        0 for no text.

    Examples
    --------
    >>> tokens = torch.randn(2, 9, 8)
    >>> torch.equal(DiTBlock(8, heads=2)(tokens, torch.randn(2, 8)), tokens)  # the gates start closed
    True
    """

    def __init__(self, width: int, heads: int, text_width: int = 0) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.attention = TokenAttention(width, heads)
        self.mlp = token_perceptron(width)
        self.modulation = nn.Linear(width, 6 * width)
        _zero(self.modulation)
        self.text_attention = TokenAttention(width, heads, context=text_width) if text_width else None
        if self.text_attention is not None:
            _zero(self.text_attention.out)

    def forward(self, tokens: torch.Tensor, encoding: torch.Tensor, text: torch.Tensor | None = None) -> torch.Tensor:
        """Map patches (n, L, width), an encoding (n, width) and text (n, K, text_width) to (n, L, width)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(encoding))[:, None].chunk(6, 2)
        tokens = tokens + gate1 * self.attention(self.norm1(tokens) * (1 + scale1) + shift1)
        if self.text_attention is not None:
            tokens = tokens + self.text_attention(tokens, text)
        return tokens + gate2 * self.mlp(self.norm2(tokens) * (1 + scale2) + shift2)


class DiT(nn.Module):
    """A diffusion transformer, in the place of a UNet.

    Parameters
    ----------
    size : int
        N, of images (n, channels, N, N).
    channels : int
    patch : int
        Side of a patch in pixels, a divisor of N.
    width : int
        Of a token, a multiple of 4 and of the heads.
    depth, heads : int
    positions : {"sinusoidal", "none"}
        Fixed codes of the patches' places, or nothing, so that patches are a set.
    text_width : int
        Length of a text's tokens, 0 for no text.

    Raises
    ------
    BumplabError
        If the patch does not divide the image, or width and heads do not fit.

    Examples
    --------
    >>> model = DiT(size=8, channels=5, width=16, depth=1, heads=2, text_width=6)
    >>> model(torch.zeros(3, 5, 8, 8), torch.tensor([0.0, 1.0, 2.0]), torch.zeros(3, 4, 6)).shape
    torch.Size([3, 5, 8, 8])
    >>> DiT(size=8, patch=3)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Patches divide the image, got patches of 3 in an image of 8 pixels.
    """

    def __init__(
        self,
        size: int,
        channels: int = 1,
        patch: int = 1,
        width: int = 64,
        depth: int = 3,
        heads: int = 4,
        positions: Literal["sinusoidal", "none"] = "sinusoidal",
        text_width: int = 0,
    ) -> None:
        super().__init__()
        if patch < 1 or size % patch:
            raise BumplabError(f"Patches divide the image, got patches of {patch} in an image of {size} pixels.")
        if width % 4:
            raise BumplabError(f"The width of a DiT is a multiple of 4, got {width}.")
        if positions not in ("sinusoidal", "none"):
            raise BumplabError(f"Positions are sinusoidal or none, got {positions!r}.")
        self.patch, self.width, self.text_width = patch, width, text_width
        self.into = nn.Linear(channels * patch**2, width)
        codes = grid_positions(size // patch, width)
        self.register_buffer("positions", codes if positions == "sinusoidal" else torch.zeros_like(codes))
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(DiTBlock(width, heads, text_width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.modulation, self.out = nn.Linear(width, 2 * width), nn.Linear(width, channels * patch**2)
        _zero(self.modulation)
        _zero(self.out)

    def forward(self, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor | None = None) -> torch.Tensor:
        """Map noisy images (n, c, N, N), timesteps (n,) and text (n, K, text_width) to (n, c, N, N).

        A network without text takes anything in its place, such as the conditions that a sampler hands over.
        """
        if self.text_width and (text is None or text.ndim != 3 or text.shape[2] != self.text_width):
            shape = None if text is None else tuple(text.shape)
            raise BumplabError(f"This DiT reads text of shape (n, tokens, {self.text_width}), got {shape}.")
        tokens = self.into(cut_patches(x, self.patch)) + self.positions
        encoding = self.time(sinusoidal_encoding(t, self.width).to(x.dtype))
        for block in self.blocks:
            tokens = block(tokens, encoding, text)
        shift, scale = self.modulation(F.silu(encoding))[:, None].chunk(2, 2)
        return join_patches(self.out(self.norm(tokens) * (1 + scale) + shift), self.patch)


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
