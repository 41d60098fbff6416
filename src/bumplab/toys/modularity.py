"""Independent functions learned side by side by one network, which may sort itself into one module for each.

The main toy of Qian, Liang and Fiete (arXiv:2512.13707): output i is a sine of input i alone, and nothing asks for
modules. Penalties and noise are those of :mod:`bumplab.models.penalties`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator

from bumplab.analysis.modularity import input_jacobian, mixing_share, network_modularity
from bumplab.common.errors import BumplabError
from bumplab.models.penalties import (
    activity_noise,
    activity_penalty,
    l1_penalty,
    l2_penalty,
    weighted_activity_penalty,
)
from bumplab.models.perceptrons import block_masks, init_perceptron, perceptron, solo
from bumplab.toys.settings import StackLoss, ToySettings, Weights

#: Amplitude, frequency and phase of four sines, drawn uniformly from .7 to 1, .4 to 1.8 and 0 to 2 pi.
SINES = np.array([[0.785, 1.313, 4.383], [0.701, 1.479, 3.112], [0.859, 1.237, 5.958], [0.724, 0.857, 3.598]])
#: Samples on which errors are measured: independent draws, whatever the network learned from.
TEST_SAMPLES = 1000
_RANGE = 2.0
_Weight = Annotated[float, Field(ge=0, le=100)]


class ModularitySettings(ToySettings):
    """A network for several independent functions, and what it pays for weights and activity.

    Attributes
    ----------
    streams : int
        Functions, 2 to 4.
    width : int
        Units in each of three hidden layers, a multiple of `streams` where the wiring is in blocks.
    wiring : {"dense", "blocks"}
        Blocks are `streams` networks side by side: the modular reference.
    inputs : {"independent", "grid", "correlated", "rotated"}
        Training inputs: uniform on [-2, 2]; all combinations of values evenly spaced there; the same number in all
        inputs; or independent, but handed over as sums and differences of two, so that no input is a stream.
    targets : {"sines", "ridges"}
        A sine of each input, or sums of 12 sines of random directions: a control without streams.
    num_samples : int
        Of training. A grid takes the largest that has no more.
    l1, l2, activity, weighted_activity : float
        Weights of the penalties, 0 or more.
    alpha : float
        Power of activity in the last two.
    noise : float
        c, in training alone: activity a becomes a + c xi abs(a) ** (n / 2).
    noise_exponent : {0, 1, 2}
        n: constant, as of Poisson spikes, multiplicative.

    Examples
    --------
    >>> ModularitySettings(l1=-1)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: ModularitySettings: l1: input should be greater than or equal to 0 (got -1).
    """

    family: ClassVar[str] = "modularity"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "l1", "l2", "activity", "weighted_activity", "noise"})

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    streams: Annotated[int, Field(ge=2, le=4)] = 4
    width: Annotated[int, Field(ge=2, le=1024)] = 32
    wiring: Literal["dense", "blocks"] = "dense"
    inputs: Literal["independent", "grid", "correlated", "rotated"] = "independent"
    targets: Literal["sines", "ridges"] = "sines"
    num_samples: Annotated[int, Field(ge=2, le=1_000_000)] = 1000
    l1: _Weight = 0.0
    l2: _Weight = 1e-4
    activity: _Weight = 0.0
    weighted_activity: _Weight = 0.0
    alpha: Annotated[float, Field(gt=0, le=8)] = 2.0
    noise: _Weight = 0.0
    noise_exponent: Literal[0, 1, 2] = 1

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        if self.wiring == "blocks" and self.width % self.streams:
            raise BumplabError(f"Blocks divide the width among {self.streams} streams, got width {self.width}.")
        if self.inputs == "rotated" and self.streams % 2:
            raise BumplabError(f"Rotated inputs are sums and differences of pairs, got {self.streams} streams.")
        if self.inputs == "grid" and self.num_samples < 2**self.streams:
            raise BumplabError(
                f"A grid of {self.streams} inputs has at least {2**self.streams} samples, got {self.num_samples}."
            )
        return self

    @property
    def widths(self) -> list[int]:
        """Inputs, hidden units of three layers, outputs."""
        return [self.streams, *[self.width] * 3, self.streams]

    def masks(self) -> list[torch.Tensor] | None:
        """Return the connections that there are; None for all."""
        return block_masks(self.widths, self.streams) if self.wiring == "blocks" else None

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        return init_perceptron(self.widths, torch.Generator().manual_seed(self.seed), self.masks())

    def samples(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return inputs and targets of training, (n, streams) each."""
        x = torch.from_numpy(_training_inputs(self.inputs, self.streams, self.num_samples)).float()
        return x @ self.rotation(), self.target(x)

    def rotation(self) -> torch.Tensor:
        """Return how streams become inputs, (streams, streams): sums and differences of pairs, or as they are.

        Examples
        --------
        >>> (ModularitySettings(streams=2, inputs="rotated").rotation() * 2**0.5).round().int().tolist()
        [[1, 1], [1, -1]]
        """
        if self.inputs != "rotated":
            return torch.eye(self.streams)
        pair = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
        return torch.block_diag(*[pair] * (self.streams // 2))

    def target(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network is to say of streams (..., streams)."""
        a, w, p = torch.from_numpy(SINES[: self.streams].T).float()
        if self.targets == "sines":
            return a * torch.sin(w * x + p)
        directions, phases, mixture = _ridges(self.streams)
        return torch.sin(x @ directions + phases) @ mixture

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack: mean squared error and penalties. What no member pays costs no time."""
        first = members[0]
        masks = first.masks()
        if masks is not None:
            masks = [mask.to(device) for mask in masks]
        price = {
            name: torch.tensor([getattr(each, name) for each in members], device=device)
            for name in ("l1", "l2", "activity", "weighted_activity", "noise")
            if any(getattr(each, name) for each in members)
        }

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            x, y = batch
            if masks is not None:
                weights = {**weights, **{f"w{k + 1}": weights[f"w{k + 1}"] * mask for k, mask in enumerate(masks)}}
            noise = activity_noise(price["noise"], first.noise_exponent, generators) if "noise" in price else None
            output, activities = perceptron(weights, x, noise=noise)
            total = (output - y).square().mean((1, 2))
            if "l1" in price:
                total = total + price["l1"] * l1_penalty(weights)
            if "l2" in price:
                total = total + price["l2"] * l2_penalty(weights)
            if "activity" in price:
                total = total + price["activity"] * activity_penalty(activities, first.alpha)
            if "weighted_activity" in price:
                penalty = weighted_activity_penalty(activities, weights, first.alpha)
                total = total + price["weighted_activity"] * penalty
            return total

        return loss

    def stack_key(self) -> str:
        """Return what members of a stack share; also, which penalties any of them pays."""
        paid = [name for name in ("l1", "activity", "weighted_activity", "noise") if getattr(self, name)]
        return f"{super().stack_key()} {paid}"

    def predict(self, weights: Weights, streams: torch.Tensor) -> torch.Tensor:
        """Return what one network says of streams (n, streams), without noise."""
        return perceptron(solo(weights), (streams @ self.rotation())[None])[0][0]

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return errors without noise, purity and eigenvalues of the weights, and mixing in the Jacobian."""
        x = torch.from_numpy(_test_inputs(self.streams)).float()
        seen, y = self.samples()
        with torch.no_grad():
            test = (self.predict(weights, x) - self.target(x)).square().mean()
            train = (perceptron(solo(weights), seen[None])[0][0] - y).square().mean()
        jacobian = input_jacobian(lambda inputs: self.predict(weights, inputs), x[:200])
        layers = [weights[f"w{k}"].double().numpy() for k in range(1, 5)]
        measured = network_modularity(layers)
        return {
            "test": {"mse": float(test), "train": float(train)},
            "jacobian": {"mixing": mixing_share(jacobian)},
            **measured,
        }


@lru_cache
def _training_inputs(kind: str, streams: int, n: int) -> np.ndarray:
    """Return the streams of the training samples, (n, streams), the same for every seed."""
    rng = np.random.default_rng([145, streams, n])
    if kind == "grid":
        side = int(n ** (1 / streams) + 1e-9)
        ticks = np.linspace(-_RANGE, _RANGE, side)
        return np.stack(np.meshgrid(*[ticks] * streams, indexing="ij"), -1).reshape(-1, streams)
    if kind == "correlated":
        return np.repeat(rng.uniform(-_RANGE, _RANGE, (n, 1)), streams, 1)
    return rng.uniform(-_RANGE, _RANGE, (n, streams))


@lru_cache
def _test_inputs(streams: int) -> np.ndarray:
    return np.random.default_rng([146, streams]).uniform(-_RANGE, _RANGE, (TEST_SAMPLES, streams))


@lru_cache
def _ridges(streams: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return directions (streams, 12), phases (12,) and mixture (12, streams) of the control without streams."""
    rng = np.random.default_rng([147, streams])
    directions = rng.normal(size=(streams, 12))
    directions *= rng.uniform(0.4, 1.8, 12) / np.linalg.norm(directions, axis=0)
    phases, mixture = rng.uniform(0, 2 * np.pi, 12), rng.normal(size=(12, streams)) * np.sqrt(0.6 / 12)
    return torch.from_numpy(directions).float(), torch.from_numpy(phases).float(), torch.from_numpy(mixture).float()
