"""What all toys have in common: small networks whose loss, data and measures a few lines define.

A kind of toy derives its settings from :class:`ToySettings` and says what its weights, samples, loss and measures are;
how they train, alone or in a stack, is in :mod:`bumplab.toys.trainer`, how runs are kept in
:mod:`bumplab.runs.toy_family`.
"""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator

from bumplab.common.errors import BumplabError
from bumplab.common.run_settings import RunSettings
from bumplab.training.step import over_stack

#: Parameters by name; of a stack each (M, ...).
Weights = Mapping[str, torch.Tensor]
#: Weights (M, ...), a batch of samples, each (M, n, ...), and a generator for each network, to the losses (M,).
StackLoss = Callable[[Weights, tuple[torch.Tensor, ...], Sequence[torch.Generator]], torch.Tensor]


class ToySettings(RunSettings):
    """All that decides what the run of a toy becomes.

    Attributes
    ----------
    stackable : frozenset of str
        Settings in which members of a stack may differ. The others decide shapes.
    stop_measure : str
        The number that `stop_below` is about, ``part.name`` of what :meth:`measure` returns.
    seed : int
        Of weights, batches and noise; not of the task.
    steps : int
        Most steps of Adam.
    batch : int
        Samples in a step; 0 for all of them.
    order : {"cycle", "random"}
        Batches one after the other, always the same ones, or drawn with replacement.
    learning_rate : float
    lr_schedule : {"constant", "cosine"}
        The last one falls to 0 at `steps`.
    measure_every : int
        Steps between entries of the history.
    stop_below : float
        Training ends where `stop_measure`, at one of these entries, is at most this; 0 for never.
    snapshots : tuple of int
        Steps after which weights are kept, 0 for the start.

    Examples
    --------
    >>> class Line(ToySettings):
    ...     family: ClassVar[str] = "lines"
    ...     trainer_version: ClassVar[int] = 1
    ...     def init_weights(self):
    ...         return {"slope": torch.zeros(())}
    ...     def samples(self):
    ...         return torch.ones(3), torch.full((3,), 2.0)
    ...     def loss(self, weights, x, y):
    ...         return (weights["slope"] * x - y).square().mean()
    ...     def measure(self, weights):
    ...         return {"test": {"mse": float((weights["slope"] - 2) ** 2)}}
    >>> Line(steps=100).stack_key() == Line(steps=100, seed=1).stack_key()
    True
    >>> Line(steps=100).measure({"slope": torch.ones(())})
    {'test': {'mse': 1.0}}
    """

    stackable: ClassVar[frozenset[str]] = frozenset({"seed"})
    stop_measure: ClassVar[str] = "test.mse"

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    order: Literal["cycle", "random"] = "cycle"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    lr_schedule: Literal["constant", "cosine"] = "constant"
    measure_every: Annotated[int, Field(ge=1)] = 500
    stop_below: Annotated[float, Field(ge=0)] = 0.0
    snapshots: tuple[Annotated[int, Field(ge=0)], ...] = ()

    @model_validator(mode="after")
    def _check_snapshots(self) -> Self:
        if list(self.snapshots) != sorted(set(self.snapshots)) or max(self.snapshots, default=0) > self.steps:
            raise BumplabError(f"Give snapshots as ascending steps of at most {self.steps}, got {self.snapshots}.")
        return self

    @abstractmethod
    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step, by the seed, on the CPU."""

    @abstractmethod
    def samples(self) -> tuple[torch.Tensor, ...]:
        """Return what it learns from, on the CPU: tensors of as many rows, (n, ...) each."""

    @abstractmethod
    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return numbers of one network, part to name to number; weights are on the CPU."""

    def loss(self, weights: Weights, *batch: torch.Tensor) -> torch.Tensor:
        """Return the loss () of one network on a batch; not needed where :meth:`stack_loss` is another."""
        raise NotImplementedError

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack: :meth:`loss` of its first member, mapped over all of them.

        A kind whose members differ in more than the seed, whose loss draws noise, or that is to be fast writes its own.
        """
        mapped = over_stack(members[0].loss)
        return lambda weights, batch, generators: mapped(weights, *batch)

    def stack_key(self) -> str:
        """Return what members of a stack share, as text."""
        content: dict[str, Any] = self.model_dump(mode="json", exclude=set(self.stackable))
        return json.dumps([type(self).__name__, content], sort_keys=True)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step (0 is the first).

        Examples
        --------
        >>> from bumplab.toys import ModularitySettings
        >>> [ModularitySettings(steps=100, lr_schedule="cosine").rate(step) for step in (0, 50)]
        [0.001, 0.0005]
        """
        if self.lr_schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * step / self.steps)) / 2

    def next_measurement(self, step: int) -> int:
        """Return the first step after `step` at which the history has an entry; the last of training always has one.

        Examples
        --------
        >>> from bumplab.toys import ModularitySettings
        >>> [ModularitySettings(measure_every=10).next_measurement(step) for step in (0, 9, 10)]
        [10, 10, 20]
        """
        return step - step % self.measure_every + self.measure_every

    def is_done(self, measured: Mapping[str, Mapping[str, float]]) -> bool:
        """Return whether training ends early at an entry of the history."""
        part, _, name = self.stop_measure.partition(".")
        return self.stop_below > 0 and measured[part][name] <= self.stop_below
