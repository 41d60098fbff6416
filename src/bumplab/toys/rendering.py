"""Rendering: a network hears x and y and learns to draw the image; some pairs of x and y it never sees.

The decoders are of :mod:`bumplab.models.decoder`, the forced renderer and the coordinate network of
:mod:`bumplab.models.renderer`. All of them learn brightness by its squared error (arXiv:2501.18797).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Discriminator, Field, Tag, model_validator
from torch.func import vmap

from bumplab.analysis.accuracy import score_images
from bumplab.analysis.superposition import blank_error, exact_images, pairs_of, span_basis
from bumplab.common.errors import BumplabError
from bumplab.models.decoder import DecoderSettings
from bumplab.models.renderer import CoordinateSettings, RendererSettings, pixel_variance, rank_entropy
from bumplab.toys.settings import StackLoss, ToySettings, Weights
from bumplab.training.step import over_stack
from bumplab.worlds.bumps import BumpWorld

#: Every x and every y occurs, the pairs in a central square of 17 x 17 values do not.
DONUT = BumpWorld(size=28, held_out="box(5.5, 22.5, 5.5, 22.5)")
#: Pixels of each image that a coordinate network is asked for in a step.
PIXELS_PER_STEP = 98
_Weight = Annotated[float, Field(ge=0, le=100)]
_CHUNK = 196


def _network_tag(value: Any) -> str:
    """Return which class of settings a network is of, all kinds of decoder being of one."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return kind if kind in ("renderer", "coordinates") else "decoder"


class RenderingSettings(ToySettings):
    """A network that draws the images of a world from x and y.

    Attributes
    ----------
    world : BumpWorld
        With a hold-out. Of a world of bumps and single stripes, errors are those of bumps. Networks that differ in
        ``world.subsample_seed`` train in one stack.
    network : DecoderSettings, RendererSettings or CoordinateSettings
    entropy, variance : float
        Weights of the two penalties of a renderer with low-rank maps, 0 or more: see
        :func:`~bumplab.models.renderer.rank_entropy` and :func:`~bumplab.models.renderer.pixel_variance`.

    Examples
    --------
    >>> settings = RenderingSettings(network={"kind": "mlp", "width": 16, "depth": 2})
    >>> settings.draw(settings.init_weights(), settings.world.unseen()[:2]).shape
    torch.Size([2, 28, 28])
    >>> RenderingSettings(entropy=-1)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: RenderingSettings: entropy: input should be greater than or equal to 0 (got -1).
    """

    family: ClassVar[str] = "rendering"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "entropy", "variance"})
    stop_measure: ClassVar[str] = "seen.blanks"

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 32
    order: Literal["cycle", "random"] = "random"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 2e-3
    lr_schedule: Literal["constant", "cosine"] = "cosine"
    world: BumpWorld = DONUT
    network: Annotated[
        Annotated[DecoderSettings, Tag("decoder")]
        | Annotated[RendererSettings, Tag("renderer")]
        | Annotated[CoordinateSettings, Tag("coordinates")],
        Discriminator(_network_tag),
    ] = DecoderSettings(kind="mlp", width=128)
    entropy: _Weight = 0.0
    variance: _Weight = 0.0

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        blank_error(self.world)
        penalised = self.entropy or self.variance
        if penalised and not (isinstance(self.network, RendererSettings) and self.network.maps == "low-rank"):
            raise BumplabError("Entropy and variance are penalties of a renderer with low-rank maps; set both to 0.")
        return self

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        return self.network.init_weights(self.world, torch.Generator().manual_seed(self.seed))

    def samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs of the network and brightness (n, N, N) of what training shows."""
        return _samples(self.world, self.network)  # pyright: ignore[reportArgumentType]  # frozen, so hashable

    def loss(self, weights: Weights, *batch: torch.Tensor) -> torch.Tensor:
        """Return the squared error of one network on a batch, without penalties."""
        inputs, images = batch
        return (self.network.draw(weights, inputs, self.world.size) - images).square().mean()

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack: squared error, on some pixels of a coordinate network, and penalties."""
        first = members[0]
        network, size = first.network, first.world.size
        if isinstance(network, CoordinateSettings):
            return _coordinate_loss(network, size)
        mapped = over_stack(first.loss)
        paid = {name: [getattr(each, name) for each in members] for name in ("entropy", "variance")}
        prices = {name: torch.tensor(values, device=device) for name, values in paid.items() if any(values)}
        penalties = {"entropy": vmap(rank_entropy), "variance": vmap(pixel_variance)}

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            total = mapped(weights, *batch)
            for name, price in prices.items():
                total = total + price * penalties[name](weights)
            return total

        return loss

    def stack_key(self) -> str:
        """Return what members of a stack share; also, which penalties any of them pays."""
        alike = self.replace(world=self.world.replace(subsample_seed=0))
        paid = [name for name in ("entropy", "variance") if getattr(self, name)]
        return f"{ToySettings.stack_key(alike)} {paid}"

    def draw(self, weights: Weights, mu: torch.Tensor) -> torch.Tensor:
        """Return what one network draws for conditions (n, 2): brightness (n, N, N)."""
        parts = self.network.inputs(self.world, mu).split(_CHUNK)
        with torch.no_grad():
            return torch.cat([self.network.draw(weights, part, self.world.size) for part in parts])

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return errors in blanks, how many unseen bumps are in their places, and what superposition leaves.

        ``unseen.beyond`` is the share of the energy of what is drawn for unseen pairs that no superposition of training
        images holds.
        """
        world, blank = self.world, blank_error(self.world)
        conditions = {"seen": pairs_of(world, world.seen()), "unseen": pairs_of(world, world.unseen())}
        drawn = {name: self.draw(weights, mu) for name, mu in conditions.items()}
        errors = {}
        for name, mu in conditions.items():
            truth = world.brightness(world.render(mu))
            errors[name] = float((drawn[name] - truth).square().mean()) / blank
        scored = score_images((2 * drawn["unseen"] / world.peak - 1)[:, None], conditions["unseen"], world)
        images = drawn["unseen"].flatten(1).double().numpy()
        basis = _training_span(world)  # pyright: ignore[reportArgumentType]
        energy = (images**2).sum()
        held = ((images @ basis.T) ** 2).sum() / energy if energy else 1.0
        return {
            "seen": {"blanks": errors["seen"]},
            "unseen": {
                "blanks": errors["unseen"], "accuracy": scored.accuracy().value, "beyond": max(0.0, float(1 - held))
            },
        }  # fmt: skip


def _coordinate_loss(network: CoordinateSettings, size: int) -> StackLoss:
    """Return the squared errors on pixels that each network draws for itself, the same ones for all of its batch."""

    def pixel_error(weights: Weights, inputs: torch.Tensor, images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        target = images[:, pixels[:, 1], pixels[:, 0]]
        return (network.draw_pixels(weights, inputs, pixels) - target).square().mean()

    mapped = over_stack(pixel_error)

    def loss(weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]) -> torch.Tensor:
        draws = [torch.randint(size, (PIXELS_PER_STEP, 2), generator=g, device=g.device) for g in generators]
        return mapped(weights, *batch, torch.stack(draws))

    return loss


@lru_cache(maxsize=8)
def _samples(
    world: BumpWorld, network: DecoderSettings | RendererSettings | CoordinateSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    mu = world.seen()
    return network.inputs(world, mu), world.brightness(world.render(mu))


@lru_cache(maxsize=8)
def _training_span(world: BumpWorld) -> np.ndarray:
    return span_basis(exact_images(world, world.seen()))
