"""Layers of the UNet: encodings, convolutions, attention.

They compute in the precision of their input, which has to be that of their weights. Norms alone may have weights in
a higher precision than the rest of the network.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from bumplab.models.resampling import halve, stretch


def sinusoidal_encoding(value: torch.Tensor, length: int, highest: float = 1.0, base: float = 10_000.0) -> torch.Tensor:
    """Return the sinusoidal encoding (n, length) of `value` (n,): sines, then cosines (Vaswani et al. 2017).

    The angular frequencies are highest * base^(-k / (length / 2)) for k = 0 .. length / 2 - 1.

    Parameters
    ----------
    value : torch.Tensor, (n,)
        Timesteps, or places in pixels.
    length : int
        Even.
    highest : float
        Highest angular frequency, in radians per unit of `value`.
    base : float
        Above 1.

    Returns
    -------
    torch.Tensor, (n, length), float32

    Examples
    --------
    >>> [round(hand, 2) for hand in sinusoidal_encoding(torch.tensor([1.0]), 4)[0].tolist()]  # 1 and 0.01 radians
    [0.84, 0.01, 0.54, 1.0]
    """
    half = length // 2
    frequency = highest * torch.exp(-math.log(base) / half * torch.arange(half, device=value.device))
    angle = value.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class GroupNorm(nn.GroupNorm):
    """Group norm in the precision of its own weights; the output has that of the input.

    Examples
    --------
    >>> GroupNorm(1, 4)(torch.ones(2, 4, 3, 3, dtype=torch.bfloat16)).dtype
    torch.bfloat16
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize (n, c, H, W)."""
        return super().forward(x.to(self.weight.dtype)).to(x.dtype)


class LayerNorm(nn.LayerNorm):
    """Layer norm in the precision of its own weights; the output has that of the input.

    Examples
    --------
    >>> LayerNorm(4)(torch.ones(2, 4, dtype=torch.bfloat16)).dtype
    torch.bfloat16
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize (..., c)."""
        return super().forward(x.to(self.weight.dtype)).to(x.dtype)


class DoubleConv(nn.Module):
    """Two 3 x 3 convolutions, each with group norm; with `residual`, added to the input.

    Parameters
    ----------
    channels_in, channels_out : int
        Equal where `residual`.
    residual : bool

    Examples
    --------
    >>> DoubleConv(1, 8)(torch.zeros(2, 1, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    def __init__(self, channels_in: int, channels_out: int, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm1 = GroupNorm(1, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = GroupNorm(1, channels_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, H, W) to (n, channels_out, H, W)."""
        y = self.norm2(self.conv2(F.gelu(self.norm1(self.conv1(x)))))
        return F.gelu(x + y) if self.residual else y


class Block(nn.Module):
    """Double convolutions, then the condition's encoding added to every position of a channel.

    Parameters
    ----------
    channels_in, channels_out : int
    depth : int
        Double convolutions; all but the last are residual.
    condition : int
        Length of the condition's encoding.

    Examples
    --------
    >>> Block(4, 8, depth=2, condition=6)(torch.zeros(2, 4, 5, 5), torch.zeros(2, 6)).shape
    torch.Size([2, 8, 5, 5])
    """

    def __init__(self, channels_in: int, channels_out: int, depth: int, condition: int) -> None:
        super().__init__()
        residual = [DoubleConv(channels_in, channels_in, residual=True) for _ in range(depth - 1)]
        self.convs = nn.Sequential(*residual, DoubleConv(channels_in, channels_out))
        self.condition = nn.Linear(condition, channels_out)

    def forward(self, x: torch.Tensor, encoding: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, H, W) and the encoding (n, condition) to (n, channels_out, H, W)."""
        return self.convs(x) + self.condition(F.silu(encoding))[:, :, None, None]


class Down(Block):
    """Halve the resolution by max-pooling, odd sizes up, then a :class:`Block`.

    Examples
    --------
    >>> Down(4, 8, depth=1, condition=6)(torch.zeros(2, 4, 5, 5), torch.zeros(2, 6)).shape
    torch.Size([2, 8, 3, 3])
    """

    def forward(self, x: torch.Tensor, encoding: torch.Tensor) -> torch.Tensor:
        """Map (n, channels_in, H, W) to (n, channels_out, ceil(H / 2), ceil(W / 2))."""
        return super().forward(halve(x), encoding)


class Up(Block):
    """Stretch to the skip connection's resolution bilinearly, append it, then a :class:`Block`.

    Examples
    --------
    >>> up = Up(8 + 4, 4, depth=1, condition=6)  # the channels of both inputs
    >>> up(torch.zeros(2, 8, 3, 3), torch.zeros(2, 4, 5, 5), torch.zeros(2, 6)).shape
    torch.Size([2, 4, 5, 5])
    """

    def forward(self, x: torch.Tensor, skip: torch.Tensor, encoding: torch.Tensor) -> torch.Tensor:
        """Map (n, c, H, W) and the skip (n, c', H', W') to (n, channels_out, H', W')."""
        height, width = skip.shape[-2:]
        return super().forward(torch.cat([skip, stretch(x, (height, width))], dim=1), encoding)


class Attention(nn.Module):
    """Self-attention over positions and a two-layer perceptron, each residual.

    Parameters
    ----------
    channels : int
    heads : int
        Must divide the channels.

    Examples
    --------
    >>> Attention(8, heads=2)(torch.zeros(2, 8, 5, 5)).shape
    torch.Size([2, 8, 5, 5])
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(
            LayerNorm(channels), nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, c, H, W) to the same shape."""
        n, c, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # (n, H W, c)
        q, k, v = self.qkv(self.norm(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        tokens = tokens + self.out(mixed)
        tokens = tokens + self.mlp(tokens)
        return tokens.transpose(1, 2).reshape(n, c, height, width)
