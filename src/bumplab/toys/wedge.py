"""A bump seen in one half of its disc, and asked for in the other, which modules may fill.

The half-disc experiment of Qian, Liang and Fiete (arXiv:2512.13707): z = exp(-(x^2 + y^2) / 2 s^2), learned where
x y > 0, tested where x y < 0. As a function of x and y, z is one pixel of the book's world of bumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field

from bumplab.models.penalties import l2_penalty, weighted_activity_penalty
from bumplab.models.perceptrons import block_masks, init_perceptron, perceptron, solo
from bumplab.toys.settings import StackLoss, ToySettings, Weights

#: Points in the square; about 39 % of them lie in each half of the disc.
_POINTS = 5000


class WedgeSettings(ToySettings):
    """A network for a bump over the unit disc, of which it sees two opposite quarters.

    Attributes
    ----------
    network : {"full", "bottleneck", "modular", "additive", "oracle"}
        Full is 2-128-128-128-1. The others have an inner layer of two linear units, 2-128-2-128-1: bottleneck is dense,
        in modular each of these hears one input alone. Additive is modular without what comes after: their sum. Oracle
        lets 64 units hear that sum alone, which is the form of the target: g(f1(x) + f2(y)).
    sigma : float
        Width s of the bump.
    l2, weighted_activity : float
        Weights of penalties, see :mod:`bumplab.models.penalties`, the second with alpha = 2.

    Examples
    --------
    >>> WedgeSettings(network="oracle").widths
    [2, 128, 1, 64, 1]
    """

    family: ClassVar[str] = "wedge"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "l2", "weighted_activity"})
    stop_measure: ClassVar[str] = "seen.mse"

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 64
    order: Literal["cycle", "random"] = "random"
    network: Literal["full", "bottleneck", "modular", "additive", "oracle"] = "full"
    sigma: Annotated[float, Field(gt=0, le=10)] = 0.5
    l2: Annotated[float, Field(ge=0, le=100)] = 0.0
    weighted_activity: Annotated[float, Field(ge=0, le=100)] = 0.0

    @property
    def widths(self) -> list[int]:
        """Inputs, hidden units of each layer, output."""
        return {
            "full": [2, 128, 128, 128, 1], "bottleneck": [2, 128, 2, 128, 1], "modular": [2, 128, 2, 128, 1],
            "additive": [2, 128, 1], "oracle": [2, 128, 1, 64, 1],
        }[self.network]  # fmt: skip

    @property
    def linear(self) -> tuple[int, ...]:
        """Hidden layers without an activation."""
        return () if self.network in ("full", "additive") else (1,)

    def masks(self) -> list[torch.Tensor] | None:
        """Return the connections that there are; None for all."""
        if self.network == "modular":
            return block_masks(self.widths, 2, layers=(0, 1))
        return block_masks(self.widths, 2, layers=(0,)) if self.network in ("additive", "oracle") else None

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        return init_perceptron(self.widths, torch.Generator().manual_seed(self.seed), self.masks())

    def samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return points where x y > 0, (n, 2), and the bump there, (n, 1)."""
        return self.half(seen=True)

    def half(self, seen: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the points of one half of the disc, (n, 2), and the bump there, (n, 1).

        Examples
        --------
        >>> [len(WedgeSettings().half(seen)[0]) for seen in (True, False)]
        [1893, 1962]
        """
        points = _disc()
        points = points[(points.prod(1) > 0) == seen]
        return points, self.target(points)

    def target(self, points: torch.Tensor) -> torch.Tensor:
        """Return the bump at points (..., 2), (..., 1)."""
        return torch.exp(-points.square().sum(-1, keepdim=True) / (2 * self.sigma**2))

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack: mean squared error and penalties."""
        first = members[0]
        masks = [mask.to(device) for mask in first.masks() or ()]
        l2, price = (
            torch.tensor([getattr(each, name) for each in members], device=device)
            for name in ("l2", "weighted_activity")
        )
        paid = any(each.weighted_activity for each in members)

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            x, z = batch
            if masks:
                weights = {**weights, **{f"w{k + 1}": weights[f"w{k + 1}"] * mask for k, mask in enumerate(masks)}}
            output, activities = perceptron(weights, x, linear=first.linear)
            total = (output - z).square().mean((1, 2)) + l2 * l2_penalty(weights)
            return total + price * weighted_activity_penalty(activities, weights) if paid else total

        return loss

    def stack_key(self) -> str:
        """Return what members of a stack share; also, whether they pay for activity."""
        return f"{super().stack_key()} {self.weighted_activity > 0}"

    def predict(self, weights: Weights, points: torch.Tensor) -> torch.Tensor:
        """Return what one network says at points (n, 2), (n, 1)."""
        return perceptron(solo(weights), points[None], linear=self.linear)[0][0]

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return the errors where it was trained and where it was not; blank is that of saying 0 there."""
        measured = {}
        with torch.no_grad():
            for part, seen in (("seen", True), ("unseen", False)):
                points, z = self.half(seen)
                error = (self.predict(weights, points) - z).square().mean()
                measured[part] = {"mse": float(error), "blank": float(z.square().mean())}
        return measured


@lru_cache
def _disc() -> torch.Tensor:
    """Return the points of the unit disc, (n, 2)."""
    points = np.random.default_rng(219).uniform(-1, 1, (_POINTS, 2))
    return torch.from_numpy(points[np.square(points).sum(1) < 1]).float()
