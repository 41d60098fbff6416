"""Networks that must draw each factor by itself: the forced renderer, and a network of the coordinates of a pixel.

A renderer has an image for every value of x and one for every value of y, its *maps*, and reads a picture off both.
What keeps a map useful where its partner was never seen is that the stripe in it goes on, see :func:`continue_stripes`
(arXiv:2501.18797). Weights are plain tensors by name; images are brightness (n, N, N), rows along y.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch.nn import functional as F

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError
from bumplab.models.decoder import Units, condition_indices
from bumplab.models.layers import sinusoidal_encoding
from bumplab.worlds.bumps import BumpWorld

#: Slope of the units below 0; the released code learns it, and starts there.
LEAK = 0.25
_HIGHEST, _BASE = 1.5, 30.0  # of the encoding of a place: from 1.5 to .05 radians per pixel
_CHUNK = 32  # images drawn at a time


class RendererSettings(FrozenConfig):
    """A renderer: a map for each value of x and of y, and what makes a picture of two of them.

    Attributes
    ----------
    kind : {"renderer"}
    maps : {"low-rank", "tied"}
        ``"low-rank"``: sum_k lambda_k l_k r_k^T of `rank` terms, with l and r of length 1. ``"tied"``: one profile
        along the factor's own axis, the same at every place of the other axis: a stripe by construction.
    readout : {"conv", "product", "sum"}
        ``"conv"``: four convolutions with leaky ReLUs between them. ``"product"`` and ``"sum"`` of both maps, pixel by
        pixel, without weights.
    rank : int
        1 to 64.
    kernel : {1, 3}
        Side of the convolutions; 1 reads the picture off pixel by pixel.
    channels : int
        Of their hidden layers, 1 to 64; the released code has 2 of side 3.

    Examples
    --------
    >>> renderer, world = RendererSettings(kind="renderer", maps="tied"), BumpWorld(size=8)
    >>> weights = renderer.init_weights(world, torch.Generator().manual_seed(0))
    >>> renderer.draw(weights, renderer.inputs(world, world.lattice()[:3]), 8).shape
    torch.Size([3, 8, 8])
    """

    kind: Literal["renderer"]
    maps: Literal["low-rank", "tied"] = "low-rank"
    readout: Literal["conv", "product", "sum"] = "conv"
    rank: Annotated[int, Field(ge=1, le=64)] = 32
    kernel: Literal[1, 3] = 3
    channels: Annotated[int, Field(ge=1, le=64)] = 2

    def inputs(self, world: BumpWorld, mu: torch.Tensor) -> torch.Tensor:
        """Return the indices of x and y of conditions, (n, 2) int64."""
        return condition_indices(world, mu)

    def init_weights(self, world: BumpWorld, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Return starting weights; those of a map come for x first, then for y."""
        values, size = {len(world.axis(axis)) for axis in (0, 1)}, world.size
        if len(values) > 1:
            raise BumplabError("A renderer has as many maps for x as for y: give both axes the same spacing.")
        (count,) = values
        if self.maps == "tied":
            weights = {"profile": torch.randn(2, count, size, generator=generator) / size**0.5}
        else:
            sides = {name: torch.randn(2, count, self.rank, size, generator=generator) for name in ("left", "right")}
            weights = {name: side / size**0.5 for name, side in sides.items()}
            weights["strength"] = torch.rand(2, count, self.rank, generator=generator)
        if self.readout == "conv":
            for layer in range(1, 5):
                channels = 2 if layer == 1 else self.channels
                shape = (1 if layer == 4 else self.channels, channels, self.kernel, self.kernel)
                weights[f"w{layer}"] = (2 * torch.rand(shape, generator=generator) - 1) / math.prod(shape[1:]) ** 0.5
                weights[f"b{layer}"] = torch.zeros(shape[0])
        return weights

    def render_maps(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the maps, (2, values, N, N): of x, then of y."""
        if self.maps == "tied":
            profile, size = weights["profile"], weights["profile"].shape[-1]
            columns = profile[0].unsqueeze(1).expand(-1, size, -1)
            return torch.stack([columns, profile[1].unsqueeze(2).expand(-1, -1, size)])
        left, right = F.normalize(weights["left"], dim=-1), F.normalize(weights["right"], dim=-1)
        return (left * weights["strength"].unsqueeze(-1)).transpose(-1, -2) @ right

    def combine(self, weights: Mapping[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the images (n, N, N) that are read off maps of x and of y, (n, N, N) each."""
        if self.readout != "conv":
            return x * y if self.readout == "product" else x + y
        image = torch.stack([x, y], dim=1)
        for layer in range(1, 5):
            image = image if layer == 1 else F.leaky_relu(image, LEAK)
            image = _convolve(image, weights[f"w{layer}"], weights[f"b{layer}"])
        return image.squeeze(1)

    def draw(self, weights: Mapping[str, torch.Tensor], inputs: torch.Tensor, size: int) -> torch.Tensor:
        """Return the images of indices (n, 2): brightness (n, N, N), where N is the size of the world."""
        maps = self.render_maps(weights)
        return self.combine(weights, maps[0][inputs[:, 0]], maps[1][inputs[:, 1]])


def _convolve(image: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Convolve (n, c, N, N) with kernels of side 1 or 3 as a product of matrices, faster for so few channels."""
    patches = image.flatten(2) if kernel.shape[-1] == 1 else F.unfold(image, 3, padding=1)  # (n, c or 9 c, N N)
    return (kernel.flatten(1) @ patches + bias.unsqueeze(1)).unflatten(2, image.shape[2:])


def rank_entropy(weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the entropy of the shares lambda^2 of the terms of a map, in nats, summed over all maps of a renderer.

    Parameters
    ----------
    weights : mapping
        Of a renderer with low-rank maps.

    Returns
    -------
    torch.Tensor, ()
        0 where every map has one term.

    Examples
    --------
    >>> round(float(rank_entropy({"strength": torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])})), 3)  # ln 2 + 0
    0.693
    """
    squares = weights["strength"].square()
    shares = squares / squares.sum(-1, keepdim=True).clamp(min=1e-12)
    return -torch.special.xlogy(shares, shares.clamp(min=1e-12)).sum()


def pixel_variance(weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the variance over pixels of every l and r of a renderer, summed: it is 0 where all of them are flat.

    As in the released code it is of l and r before they are brought to length 1, so that it can also be lowered by
    making them short, which changes no map.

    Examples
    --------
    >>> sides = torch.tensor([[[[0.0, 2.0]]]])
    >>> float(pixel_variance({"left": sides, "right": torch.ones_like(sides)}))
    1.0
    """
    return torch.stack([weights[side].var(-1, correction=0).sum() for side in ("left", "right")]).sum()


def continue_stripes(maps: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return maps of x in which every row is the mean of some rows, and maps of y alike along columns.

    Parameters
    ----------
    maps : torch.Tensor, (2, values, N, N)
        See :meth:`RendererSettings.render_maps`.
    rows : torch.Tensor, (N,), bool
        Rows of a map of x, and columns of one of y, that are trusted: those at which training showed the other factor.

    Returns
    -------
    torch.Tensor, (2, values, N, N)

    Raises
    ------
    BumplabError
        If no row is trusted.

    Examples
    --------
    >>> maps = torch.tensor([[1.0, 2.0], [0.0, 0.0]]).expand(2, 1, 2, 2)
    >>> continue_stripes(maps, torch.tensor([True, False]))[0, 0].tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    if not rows.any():
        raise BumplabError("A stripe goes on from rows that training has shown; give at least one.")
    x = maps[0][:, rows].mean(1, keepdim=True).expand_as(maps[0])
    return torch.stack([x, maps[1][:, :, rows].mean(2, keepdim=True).expand_as(maps[1])])


def cut_rank(maps: torch.Tensor, rank: int = 1) -> torch.Tensor:
    """Return the best approximation of every map with so many terms, by singular values.

    Examples
    --------
    >>> cut_rank(torch.diag(torch.tensor([3.0, 1.0]))).tolist()
    [[3.0, 0.0], [0.0, 0.0]]
    """
    u, s, v = torch.linalg.svd(maps, full_matrices=False)
    return (u[..., :rank] * s[..., None, :rank]) @ v[..., :rank, :]


class CoordinateSettings(FrozenConfig):
    """A coordinate network: asked for one pixel at a time, it has the same weights for all of them.

    Attributes
    ----------
    kind : {"coordinates"}
    width : int
        Units of a layer, a multiple of 4.
    depth : int
        Hidden layers, 1 to 8. Into the first go an embedding of x, one of y, and a fixed sinusoidal encoding of the
        place of the pixel, all added; every layer begins with leaky ReLUs.

    Examples
    --------
    >>> network, world = CoordinateSettings(kind="coordinates"), BumpWorld(size=8)
    >>> weights = network.init_weights(world, torch.Generator().manual_seed(0))
    >>> network.draw(weights, network.inputs(world, world.lattice()[:3]), 8).shape
    torch.Size([3, 8, 8])
    """

    kind: Literal["coordinates"]
    width: Annotated[Units, Field(multiple_of=4)] = 64
    depth: Annotated[int, Field(ge=1, le=8)] = 2

    def inputs(self, world: BumpWorld, mu: torch.Tensor) -> torch.Tensor:
        """Return the indices of x and y of conditions, (n, 2) int64."""
        return condition_indices(world, mu)

    def init_weights(self, world: BumpWorld, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Return starting weights, uniform within 1 / sqrt(width)."""

        def uniform(*shape: int) -> torch.Tensor:
            return (2 * torch.rand(shape, generator=generator) - 1) / self.width**0.5

        counts = [len(world.axis(axis)) for axis in (0, 1)]
        weights = {"x": uniform(counts[0], self.width), "y": uniform(counts[1], self.width)}
        for layer in range(1, self.depth + 1):
            weights[f"w{layer}"] = uniform(self.width, self.width if layer < self.depth else 1)
            weights[f"b{layer}"] = torch.zeros(self.width if layer < self.depth else 1)
        return weights

    def draw_pixels(
        self, weights: Mapping[str, torch.Tensor], inputs: torch.Tensor, pixels: torch.Tensor
    ) -> torch.Tensor:
        """Return the brightness of some pixels (m, 2), column first, for indices (n, 2): (n, m)."""
        encodings = [sinusoidal_encoding(pixels[:, axis], self.width // 2, _HIGHEST, _BASE) for axis in (0, 1)]
        places = torch.cat(encodings, dim=1)
        conditions = weights["x"][inputs[:, 0]] + weights["y"][inputs[:, 1]]
        hidden = conditions.unsqueeze(1) + places
        for layer in range(1, self.depth + 1):
            hidden = F.leaky_relu(hidden, LEAK) @ weights[f"w{layer}"] + weights[f"b{layer}"]
        return hidden.squeeze(2)

    def draw(self, weights: Mapping[str, torch.Tensor], inputs: torch.Tensor, size: int) -> torch.Tensor:
        """Return the images of indices (n, 2): brightness (n, N, N), where N is the size of the world."""
        axis = torch.arange(size, device=inputs.device)
        pixels = torch.cartesian_prod(axis, axis).flip(1)  # a row after the other
        parts = [self.draw_pixels(weights, part, pixels) for part in inputs.split(_CHUNK)]
        return torch.cat(parts).unflatten(1, (size, size))
