"""Decoders: networks that hear x and y of a bump, kept apart in their input, and draw the image.

Three architectures whose later layers may mix what came in apart: a perceptron, a convolutional network, and a
transformer over patches (arXiv:2501.18797). Weights are plain tensors by name, so that stacks of networks train as one.
Images are brightness (n, N, N), rows along y.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch.nn import functional as F

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError
from bumplab.models.perceptrons import init_perceptron, perceptron, solo
from bumplab.worlds.bumps import BumpWorld

Encoding = Literal["bump", "one-hot", "scalar"]
Depth = Annotated[int, Field(ge=1, le=12)]
Units = Annotated[int, Field(ge=1, le=1024)]


def encode_conditions(world: BumpWorld, mu: torch.Tensor, encoding: Encoding) -> torch.Tensor:
    """Return what a decoder hears of conditions: a code of x and a code of y, one after the other.

    Parameters
    ----------
    world : BumpWorld
    mu : torch.Tensor, (n, 2)
    encoding : {"bump", "one-hot", "scalar"}
        ``"bump"``: the profile of the bump along each axis, 2 N numbers, so that neighbours sound alike. ``"one-hot"``:
        one unit for each value of the lattice. ``"scalar"``: mu_x and mu_y themselves, scaled to [-1, 1].

    Returns
    -------
    torch.Tensor, (n, 2 N), (n, values of x + values of y) or (n, 2), float32

    Raises
    ------
    BumplabError
        For another encoding, or a one-hot code of a value that the lattice has not.

    Examples
    --------
    >>> world, mu = BumpWorld(size=4), torch.tensor([[1.0, 3.0]])
    >>> encode_conditions(world, mu, "one-hot")[0].tolist()
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    >>> [round(number, 2) for number in encode_conditions(world, mu, "scalar")[0].tolist()]
    [-0.33, 1.0]
    """
    if encoding == "bump":
        return torch.cat([world.profile(mu[:, axis].float(), axis) for axis in (0, 1)], dim=1)
    if encoding == "scalar":
        last = torch.stack([world.axis(axis)[-1] for axis in (0, 1)]).clamp(min=1)
        return 2 * mu.float() / last - 1
    if encoding == "one-hot":
        index = condition_indices(world, mu)
        return torch.cat([F.one_hot(index[:, axis], len(world.axis(axis))) for axis in (0, 1)], dim=1).float()
    raise BumplabError(f"A decoder hears bump, one-hot or scalar codes, there is no encoding {encoding!r}.")


def condition_indices(world: BumpWorld, mu: torch.Tensor) -> torch.Tensor:
    """Return where the values of conditions stand on the axes of the lattice, (n, 2) int64.

    Raises
    ------
    BumplabError
        If the lattice has not such a value.

    Examples
    --------
    >>> condition_indices(BumpWorld(size=8, spacing=2), torch.tensor([[0.0, 6.0]])).tolist()
    [[0, 3]]
    """
    index = torch.stack([(mu[:, axis] / world.spacing[axis]).round().long() for axis in (0, 1)], dim=1)
    for axis in (0, 1):
        values = world.axis(axis)
        right = (index[:, axis] >= 0) & (index[:, axis] < len(values))
        if not right.all() or not torch.allclose(values[index[:, axis]], mu[:, axis].float(), atol=1e-4):
            raise BumplabError("Networks with a part for each value draw conditions of the lattice alone.")
    return index


class DecoderSettings(FrozenConfig):
    """Architecture and size of a decoder.

    Attributes
    ----------
    kind : {"mlp", "cnn", "transformer"}
        ``"mlp"``: `depth` hidden layers of ReLUs. ``"cnn"``: from one place to N / 4, N / 2 and N pixels by transposed
        convolutions, then `depth` - 3 of 3 x 3 and one to a single channel, with ReLUs between them. ``"transformer"``:
        every patch is a token with an embedding of its place, to which the code of the condition is added;
        `depth` layers of attention and a perceptron, each after a layer norm.
    encoding : {"bump", "one-hot", "scalar"}
        See :func:`encode_conditions`.
    width : int
        Hidden units, channels, or numbers of a token, 1 to 1,024; a transformer's is a multiple of 8.
    depth : int
        Hidden layers, 1 to 12; a convolutional network has 3 or more.
    patch : int
        Side of the patches of a transformer, 1 to 8, which divides the size of the window.

    Examples
    --------
    >>> decoder = DecoderSettings(kind="mlp", width=32, depth=2)
    >>> world = BumpWorld(size=8)
    >>> weights = decoder.init_weights(world, torch.Generator().manual_seed(0))
    >>> decoder.draw(weights, decoder.inputs(world, world.lattice()[:3]), 8).shape
    torch.Size([3, 8, 8])
    """

    kind: Literal["mlp", "cnn", "transformer"]
    encoding: Encoding = "bump"
    width: Units = 256
    depth: Depth = 4
    patch: Annotated[int, Field(ge=1, le=8)] = 4

    @model_validator(mode="after")
    def _possible(self) -> DecoderSettings:
        if self.kind == "cnn" and self.depth < 3:
            raise BumplabError(f"A convolutional decoder needs 3 hidden layers or more, got depth {self.depth}.")
        if self.kind == "transformer" and self.width % 8:
            raise BumplabError(f"The width of a transformer is a multiple of 8, got {self.width}.")
        return self

    def check_world(self, world: BumpWorld) -> None:
        """Raise :class:`BumplabError` unless images of the world can be drawn.

        Examples
        --------
        >>> DecoderSettings(kind="cnn").check_world(BumpWorld(size=30))
        Traceback (most recent call last):
        bumplab.common.errors.BumplabError: A cnn draws windows whose size is divisible by 4, got 30.
        """
        unit = {"mlp": 1, "cnn": 4, "transformer": self.patch}[self.kind]
        if world.size % unit:
            raise BumplabError(f"A {self.kind} draws windows whose size is divisible by {unit}, got {world.size}.")

    def inputs(self, world: BumpWorld, mu: torch.Tensor) -> torch.Tensor:
        """Return what the network hears of conditions (n, 2): see :func:`encode_conditions`."""
        return encode_conditions(world, mu, self.encoding)

    def init_weights(self, world: BumpWorld, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """Return starting weights, uniform within 1 / sqrt(inputs of a unit)."""
        self.check_world(world)
        inputs = self.inputs(world, world.lattice()[:1]).shape[1]
        if self.kind == "mlp":
            return init_perceptron([inputs, *[self.width] * self.depth, world.size**2], generator)
        if self.kind == "cnn":
            return _init_cnn(inputs, self.width, self.depth, world.size // 4, generator)
        return _init_transformer(inputs, self.width, self.depth, world.size // self.patch, self.patch, generator)

    def draw(self, weights: Mapping[str, torch.Tensor], inputs: torch.Tensor, size: int) -> torch.Tensor:
        """Return the images of inputs (n, length): brightness (n, N, N), where N is the size of the world."""
        if self.kind == "mlp":
            pixels, _ = perceptron(solo(weights), inputs.unsqueeze(0), "relu")
            return pixels.squeeze(0).unflatten(1, (size, size))
        return (_draw_cnn if self.kind == "cnn" else _draw_transformer)(weights, inputs, self.depth)


def _uniform(shape: tuple[int, ...], fan: int, generator: torch.Generator) -> torch.Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) / fan**0.5


def _init_cnn(inputs: int, width: int, depth: int, start: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return ``w1`` (inputs, width, start, start) and kernels ``w2``, ... (width, channels, side, side)."""
    weights = {"w1": _uniform((inputs, width, start, start), inputs, generator), "b1": torch.zeros(width)}
    for layer in range(2, depth + 2):
        channels = width if layer <= depth else 1
        side = 4 if layer <= 3 else 3
        fan = width * side**2 // (4 if side == 4 else 1)  # with a stride of 2 a pixel hears a quarter of the kernel
        weights[f"w{layer}"] = _uniform((width, channels, side, side), fan, generator)
        weights[f"b{layer}"] = torch.zeros(channels)
    return weights


def _draw_cnn(weights: Mapping[str, torch.Tensor], inputs: torch.Tensor, depth: int) -> torch.Tensor:
    image = torch.einsum("ni,ichw->nchw", inputs, weights["w1"]) + weights["b1"][:, None, None]
    for layer in range(2, depth + 2):
        stride = 2 if layer <= 3 else 1
        image = F.conv_transpose2d(F.relu(image), weights[f"w{layer}"], weights[f"b{layer}"], stride, padding=1)
    return image.squeeze(1)


def _init_transformer(
    inputs: int, width: int, depth: int, side: int, patch: int, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    """Return the weights of a transformer over side x side patches; ``q``, ``k``, ``v`` come in one matrix."""
    weights = {"code": _uniform((inputs, width), inputs, generator), "places": _uniform((side**2, width), 1, generator)}
    for layer in range(1, depth + 1):
        weights[f"qkv{layer}"] = _uniform((width, 3 * width), width, generator)
        weights[f"join{layer}"] = _uniform((width, width), width, generator)
        weights[f"up{layer}"] = _uniform((width, 4 * width), width, generator)
        weights[f"up_bias{layer}"] = torch.zeros(4 * width)
        weights[f"down{layer}"] = _uniform((4 * width, width), 4 * width, generator)
    weights["head"] = _uniform((width, patch, patch), width, generator)
    return weights


def _draw_transformer(weights: Mapping[str, torch.Tensor], inputs: torch.Tensor, depth: int) -> torch.Tensor:
    width, side = weights["code"].shape[1], round(len(weights["places"]) ** 0.5)
    tokens = weights["places"] + (inputs @ weights["code"]).unsqueeze(1)  # (n, tokens, width)
    for layer in range(1, depth + 1):
        heads = (_norm(tokens) @ weights[f"qkv{layer}"]).unflatten(2, (3, 4, width // 4)).movedim(1, 3)
        q, k, v = heads.unbind(1)  # (n, 4, tokens, width / 4)
        mixed = ((q @ k.transpose(2, 3)) / (width // 4) ** 0.5).softmax(3) @ v
        tokens = tokens + mixed.transpose(1, 2).flatten(2) @ weights[f"join{layer}"]
        hidden = F.relu(_norm(tokens) @ weights[f"up{layer}"] + weights[f"up_bias{layer}"])
        tokens = tokens + hidden @ weights[f"down{layer}"]
    patches = torch.einsum("ntd,dij->ntij", _norm(tokens), weights["head"]).unflatten(1, (side, side))
    return patches.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _norm(tokens: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(tokens, tokens.shape[-1:])
