"""Decoders that pay for mixing, to see whether a perceptron that keeps x and y apart draws what it never saw.

The perceptron of :mod:`bumplab.toys.rendering` with the penalty of :mod:`bumplab.toys.modularity`, and how far its
layers are sorted into a module for x and one for y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator

from bumplab.analysis.modularity import activity_purity, network_modularity, pool_rows
from bumplab.common.errors import BumplabError
from bumplab.models.decoder import DecoderSettings
from bumplab.models.penalties import weighted_activity_penalty
from bumplab.models.perceptrons import perceptron, solo
from bumplab.toys.rendering import RenderingSettings
from bumplab.toys.settings import StackLoss, Weights


class ModularRenderingSettings(RenderingSettings):
    """A perceptron that draws the images of a world from x and y, and pays for weighted activity.

    Attributes
    ----------
    weighted_activity : float
        Weight of the penalty, 0 or more, with alpha = 2: see
        :func:`~bumplab.models.penalties.weighted_activity_penalty`.

    Examples
    --------
    >>> settings = ModularRenderingSettings(network={"kind": "mlp", "width": 16, "depth": 2})
    >>> sorted(settings.measure(settings.init_weights()))
    ['activity', 'lambda2', 'purity', 'seen', 'unseen']
    >>> ModularRenderingSettings(network={"kind": "cnn"})
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Weighted activity is a penalty of perceptrons, got a cnn.
    """

    family: ClassVar[str] = "modular-rendering"
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "weighted_activity"})

    weighted_activity: Annotated[float, Field(ge=0, le=100)] = 0.0

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if self.network.kind != "mlp":
            raise BumplabError(f"Weighted activity is a penalty of perceptrons, got a {self.network.kind}.")
        return self

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack: squared error and the penalty. What no member pays costs no time."""
        price = torch.tensor([each.weighted_activity for each in members], device=device)
        paid = any(each.weighted_activity for each in members)

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            inputs, images = batch
            pixels, activities = perceptron(weights, inputs, "relu")
            total = (pixels - images.flatten(2)).square().mean((1, 2))
            return total + price * weighted_activity_penalty(activities, weights) if paid else total

        return loss

    def stack_key(self) -> str:
        """Return what members of a stack share; also, whether they pay for activity."""
        return f"{super().stack_key()} {self.weighted_activity > 0}"

    def axes(self) -> torch.Tensor:
        """Return what each input is about, (inputs,): 0 for x, 1 for y.

        Examples
        --------
        >>> small = ModularRenderingSettings(network={"kind": "mlp", "encoding": "scalar"})
        >>> small.axes().tolist()
        [0, 1]
        """
        half = self.network.inputs(self.world, self.world.lattice()[:1]).shape[1] // 2
        return torch.arange(2).repeat_interleave(half)

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return the errors of drawing, and how far x and y are apart.

        Eigenvalues and purity of the weights of each layer, the inputs pooled into x and y; purity of hidden activity.
        """
        world = self.world
        assert isinstance(self.network, DecoderSettings)
        layers = [weights[f"w{k}"].double().numpy() for k in range(1, self.network.depth + 2)]
        layers[0] = pool_rows(layers[0], self.axes().numpy(), 2)
        with torch.no_grad():
            inputs = self.network.inputs(world, world.lattice())
            _, hidden = perceptron(solo(weights), inputs[None], "relu")
        lattice = (len(world.axis(1)), len(world.axis(0)), -1)
        activity = {f"h{k + 1}": activity_purity(a[0].double().reshape(lattice).numpy()) for k, a in enumerate(hidden)}
        return {**super().measure(weights), **network_modularity(layers), "activity": activity}
