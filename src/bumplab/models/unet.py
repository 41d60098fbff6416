"""The conditional UNet (Fig. 7 of the paper), with every layer named, numbered and open to inspection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import nn
from torch.nn import functional as F

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError, quote
from bumplab.models.layers import Attention, DoubleConv, Down, Up, sinusoidal_encoding

#: Most values of a feature map of one batch, 4 GiB in float32; training keeps some twenty of them.
MAX_FEATURE_VALUES = 2**30
#: Channels of a layer.
Width = Annotated[int, Field(ge=4, le=1024)]


class UNetSettings(FrozenConfig):
    """The size of a UNet and the encoding of its condition.

    Attributes
    ----------
    kind : {"unet"}
        Tells networks of this family from others, see :func:`bumplab.common.config.tagged_union`.
    widths : (int, int, int, int)
        Channels of the stem and of the three down-sampling blocks, 4 to 1,024 each; the up-sampling blocks have half of
        the third and second, and the first.
    bottleneck_channels : int
        Channels of the bottleneck, 4 to 1,024.
    depth : int
        Double convolutions in each block, 1 to 4 (the teaching UNet has 2, the first of them residual).
    patch : int
        Side of the space-to-depth stem, 1 to 8: 1 works on pixels, 4 turns each 4 x 4 patch into one position of 16
        channels and back at the end. It must divide the size.
    heads : int
        Attention heads, 1 to 16; must divide the channels of every attention layer.
    encoding : int
        Length of each of the three sinusoidal encodings (t, mu_x, mu_y), 4 to 1,024; even.
    mu_frequency : float
        Highest angular frequency of the encodings of mu_x and mu_y, 0.0001 to 1,000 radians per pixel (standard: 1).
    base : float
        Frequencies fall geometrically from the highest one to about highest / base, above 1 and up to 10^9 (standard:
        10,000).

    Examples
    --------
    >>> UNetSettings(widths=(10, 10, 10, 10))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: UNet: 4 heads do not divide the widths (10, 10, 10, 10); use 1, 2 or 4 heads.
    """

    kind: Literal["unet"] = "unet"
    widths: tuple[Width, Width, Width, Width] = (64, 128, 256, 256)
    bottleneck_channels: Width = Field(default=512, alias="middle")
    depth: Annotated[int, Field(ge=1, le=4)] = 2
    patch: Annotated[int, Field(ge=1, le=8)] = 1
    heads: Annotated[int, Field(ge=1, le=16)] = 4
    encoding: Annotated[int, Field(ge=4, le=1024, multiple_of=2)] = 64
    mu_frequency: Annotated[float, Field(ge=1e-4, le=1e3)] = 1.0
    base: Annotated[float, Field(gt=1, le=1e9)] = 10_000.0

    @model_validator(mode="after")
    def _divisible(self) -> UNetSettings:
        _, b, c, d = self.widths
        if any(channels % self.heads for channels in (b, c, d, *self.up_widths)):
            raise BumplabError(f"UNet: {self.heads} heads do not divide the widths {self.widths}; use 1, 2 or 4 heads.")
        return self

    @property
    def up_widths(self) -> tuple[int, int, int]:
        """Channels of the three up-sampling blocks, half of widths 2 and 1, and width 0.

        Examples
        --------
        >>> UNetSettings(widths=(64, 128, 256, 256)).up_widths
        (128, 64, 64)
        """
        a, b, c, _ = self.widths
        return max(c // 2, 4), max(b // 2, 4), a

    def check_size(self, size: int, batch: int = 1) -> None:
        """Raise :class:`BumplabError` unless images of `size` pixels can be cut into patches, and fit into memory.

        For that, batch * (size / patch)^2 * the widest of `widths` is at most 2^30.

        Examples
        --------
        >>> UNetSettings(patch=4).check_size(30)
        Traceback (most recent call last):
        bumplab.common.errors.BumplabError: A UNet with patch 4 needs a size divisible by 4, got 30.
        """
        if size % self.patch:
            raise BumplabError(f"A UNet with patch {self.patch} needs a size divisible by {self.patch}, got {size}.")
        values = batch * (size // self.patch) ** 2 * max(self.widths)
        if values > MAX_FEATURE_VALUES:
            raise BumplabError(
                f"A batch of {batch:,} images of {size} pixels is too large: batch * (size / patch)^2 * the widest of "
                f"widths may be {MAX_FEATURE_VALUES:,} and is {values:,}."
            )


class UNet(nn.Module):
    """Three down- and three up-sampling blocks, attention after each, skip connections between them.

    The condition is the concatenation of the sinusoidal encodings of t, mu_x and mu_y; every block receives it.
    :attr:`layer_names` lists the layers in order of execution; a layer's number is its place in that list.

    Examples
    --------
    >>> model = UNet(UNetSettings(widths=(8, 8, 16, 16), bottleneck_channels=16, depth=1, heads=2))
    >>> model.layer_names[4], model.size()
    ('attention2', 41029)
    """

    #: Names in order of execution: layer 0 is ``stem``, layer 4 is ``attention2``, the last is ``head``.
    layer_names = (
        "stem", "down1", "attention1", "down2", "attention2", "down3", "attention3", "middle",
        "up1", "attention4", "up2", "attention5", "up3", "attention6", "head",
    )  # fmt: skip

    def __init__(self, settings: UNetSettings) -> None:
        super().__init__()
        self.settings = settings
        a, b, c, d = settings.widths
        condition, depth, heads = 3 * settings.encoding, settings.depth, settings.heads
        half = settings.up_widths
        self.stem = DoubleConv(settings.patch**2, a)
        self.down1, self.attention1 = Down(a, b, depth, condition), Attention(b, heads)
        self.down2, self.attention2 = Down(b, c, depth, condition), Attention(c, heads)
        self.down3, self.attention3 = Down(c, d, depth, condition), Attention(d, heads)
        self.middle = nn.Sequential(
            DoubleConv(d, settings.bottleneck_channels), DoubleConv(settings.bottleneck_channels, d)
        )
        self.up1, self.attention4 = Up(d + c, half[0], depth, condition), Attention(half[0], heads)
        self.up2, self.attention5 = Up(half[0] + b, half[1], depth, condition), Attention(half[1], heads)
        self.up3, self.attention6 = Up(half[1] + a, half[2], depth, condition), Attention(half[2], heads)
        self.head = nn.Conv2d(half[2], settings.patch**2, 1)

    def init_constant_output(self, value: float) -> None:
        """Make the untrained network answer `value` everywhere: the head's weights become 0, its bias `value`.

        Examples
        --------
        >>> model = UNet(UNetSettings(widths=(8, 8, 16, 16), bottleneck_channels=16, depth=1, heads=2))
        >>> model.init_constant_output(-1.0)  # black
        >>> model(torch.randn(1, 1, 16, 16), torch.zeros(1), torch.zeros(1, 2)).unique().tolist()
        [-1.0]
        """
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, value)  # pyright: ignore[reportArgumentType]  # it has one

    def encode(self, t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        """Return the condition's encoding (n, 3 * encoding) of timesteps `t` (n,) and conditions `mu` (n, 2).

        Examples
        --------
        >>> model = UNet(UNetSettings(widths=(4, 4, 4, 4), bottleneck_channels=4, encoding=4))
        >>> model.encode(torch.zeros(1), torch.zeros(1, 2)).tolist()  # sines and cosines of t, of mu_x, of mu_y
        [[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]]
        """
        s = self.settings
        parts = [sinusoidal_encoding(t, s.encoding, 1.0, s.base)]
        parts += [sinusoidal_encoding(mu[:, axis], s.encoding, s.mu_frequency, s.base) for axis in (0, 1)]
        return torch.cat(parts, dim=1)

    def forward(self, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        """Predict from noisy images.

        Parameters
        ----------
        x : torch.Tensor, (n, 1, N, N)
            Noisy images.
        t : torch.Tensor, (n,)
            Timesteps, whole or real, in [0, T-1].
        mu : torch.Tensor, (n, 2)
            Conditions (mu_x, mu_y) in pixels of label space.

        Returns
        -------
        torch.Tensor, (n, 1, N, N)
            eps, v or x0, as the diffusion settings say, in the precision of the network's weights.

        Examples
        --------
        >>> model = UNet(UNetSettings(widths=(8, 8, 16, 16), bottleneck_channels=16, depth=1, heads=2))
        >>> model(torch.zeros(3, 1, 16, 16), torch.zeros(3), torch.zeros(3, 2)).shape
        torch.Size([3, 1, 16, 16])
        """
        dtype = self.head.weight.dtype  # the precision in which to compute
        encoding = self.encode(t, mu).to(dtype)
        x1 = self.stem(F.pixel_unshuffle(x.to(dtype), self.settings.patch))
        x2 = self.attention1(self.down1(x1, encoding))
        x3 = self.attention2(self.down2(x2, encoding))
        x = self.attention3(self.down3(x3, encoding))
        x = self.middle(x)
        x = self.attention4(self.up1(x, x3, encoding))
        x = self.attention5(self.up2(x, x2, encoding))
        x = self.attention6(self.up3(x, x1, encoding))
        return F.pixel_shuffle(self.head(x), self.settings.patch)

    def run_with_cache(
        self, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor, layers: Iterable[int | str]
    ) -> dict[str, torch.Tensor]:
        """Run the network and return the outputs of `layers`, by name; no hook is left behind.

        Parameters
        ----------
        x, t, mu
            As in :meth:`forward`.
        layers : iterable of int or str
            Numbers or names from :attr:`layer_names`.

        Returns
        -------
        dict of str to torch.Tensor, (n, c, H, W)
            In order of execution.

        Raises
        ------
        BumplabError
            If a layer does not exist.

        Examples
        --------
        >>> model = UNet(UNetSettings(widths=(8, 8, 16, 16), bottleneck_channels=16, depth=1, heads=2))
        >>> cache = model.run_with_cache(torch.zeros(3, 1, 16, 16), torch.zeros(3), torch.zeros(3, 2), [4, "middle"])
        >>> {name: tuple(output.shape) for name, output in cache.items()}
        {'attention2': (3, 16, 4, 4), 'middle': (3, 16, 2, 2)}
        """
        cache: dict[str, torch.Tensor] = {}
        hooks = []
        try:
            for name in map(self.layer_name, layers):
                keep = lambda _module, _inputs, output, name=name: cache.update({name: output})  # noqa: E731
                hooks.append(getattr(self, name).register_forward_hook(keep))
            self(x, t, mu)
        finally:
            for hook in hooks:
                hook.remove()
        return cache

    @classmethod
    def layer_name(cls, layer: int | str) -> str:
        """Return the name of a layer given by number or name.

        Parameters
        ----------
        layer : int or str
            0 to 14, or a name from :attr:`layer_names`.

        Raises
        ------
        BumplabError
            If there is no such layer.

        Examples
        --------
        >>> UNet.layer_name(4)
        'attention2'
        """
        if isinstance(layer, int) and not isinstance(layer, bool) and 0 <= layer < len(cls.layer_names):
            return cls.layer_names[layer]
        if isinstance(layer, str) and layer in cls.layer_names:
            return layer
        names = ", ".join(cls.layer_names)
        raise BumplabError(f"There is no layer {quote(layer)}: use 0 to {len(cls.layer_names) - 1} or one of {names}.")

    def size(self) -> int:
        """Return the number of parameters.

        Examples
        --------
        >>> with torch.device("meta"):  # shapes alone, no memory
        ...     UNet(UNetSettings()).size()
        17631489
        """
        return sum(p.numel() for p in self.parameters())
