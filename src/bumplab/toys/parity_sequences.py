"""The two clocks of a network that says one bit after the other: a transformer learns strings of even parity.

The autoregressive models of Wang, Finn and Liu (arXiv:2605.10019) in small. Its loss has exact floors: the logarithm of
the number of valid strings for one who knows the rule, and that of the number of training strings for one who copies.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch.func import functional_call

from bumplab.common.errors import BumplabError
from bumplab.models.transformer import CellTransformer
from bumplab.toys.parity import SAMPLES, count_samples
from bumplab.toys.settings import ToySettings, Weights
from bumplab.worlds.parity import ParityWorld, find_copies

#: Strings on which the loss is measured.
_TEST_STRINGS = 1024


class ParitySequenceSettings(ToySettings):
    """An autoregressive transformer over bits, and the strings that it learns from.

    Attributes
    ----------
    world : ParityWorld
        The rule, or none.
    num_train : int
        N, training strings, 1 to the number of valid ones.
    data_seed : int
        Which of them; they are those of :class:`~bumplab.toys.parity.ParitySettings`.
    width, depth, heads : int
        Of the transformer.

    Examples
    --------
    >>> settings = ParitySequenceSettings(num_train=64, width=16)
    >>> sorted(settings.measure(settings.init_weights()))
    ['new', 'samples', 'train']
    >>> round(settings.rule_nats, 3), round(settings.copy_nats, 3)  # nats a string: log 256 and log 64
    (5.545, 4.159)
    """

    family: ClassVar[str] = "parity-sequences"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "data_seed"})
    stop_measure: ClassVar[str] = "train.nats"

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 4000
    order: Literal["cycle", "random"] = "random"
    world: ParityWorld = ParityWorld()
    num_train: Annotated[int, Field(ge=1, le=2**16)] = 128
    data_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    width: Annotated[int, Field(ge=1, le=1024)] = 64
    depth: Annotated[int, Field(ge=1, le=8)] = 2
    heads: Annotated[int, Field(ge=1, le=64)] = 4

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        if self.num_train > self.world.num_valid:
            valid = f"{self.world.num_valid:,}"
            raise BumplabError(
                f"Of {valid} valid strings at most {valid} can be learned, got num_train {self.num_train}."
            )
        self.network()
        return self

    @property
    def rule_nats(self) -> float:
        """The loss of one who knows the rule and nothing else, in nats a string."""
        return math.log(self.world.num_valid)

    @property
    def copy_nats(self) -> float:
        """The loss on training strings of one who copies, in nats a string."""
        return math.log(self.num_train)

    def network(self) -> CellTransformer:
        """Return such a network; its own weights are nobody's."""
        return _network(self.world.bits, self.width, self.depth, self.heads)

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        model = _new_network(self.seed, self.world.bits, self.width, self.depth, self.heads)
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    def training_strings(self) -> torch.Tensor:
        """Return the strings that it learns from, (N, D)."""
        return self.world.draw_strings(self.num_train, self.data_seed)

    def samples(self) -> tuple[torch.Tensor]:
        """Return the training strings as cells (n, D, 1), 1 for -1, each as many times: steps have as many rows."""
        return (_cells(self.training_strings()).repeat(max(self.batch, 1) // self.num_train + 1, 1, 1),)

    def loss(self, weights: Weights, *batch: torch.Tensor) -> torch.Tensor:
        """Return how many nats one network needs for a string, on average."""
        model = self.network()
        return -model.score(functional_call(model, dict(weights), batch), *batch).sum(1).mean()

    def draw(self, weights: Weights, n: int, seed: int) -> torch.Tensor:
        """Return samples of one network, (n, D), of -1 and +1.

        Examples
        --------
        >>> settings = ParitySequenceSettings(width=16)
        >>> settings.draw(settings.init_weights(), 3, seed=0).shape
        torch.Size([3, 16])
        """
        model = self.network()
        model.load_state_dict(dict(weights))
        return 1 - 2 * model.draw(n, torch.Generator().manual_seed(seed))[:, :, 0]

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what its samples are (:func:`~bumplab.toys.parity.count_samples`), and its loss.

        The latter in ``nats`` a string, on training strings (``train``) and on other valid ones (``new``), if there are
        any.
        """
        seed = zlib.crc32(weights["start"].numpy().tobytes()) + self.seed
        training = self.training_strings()
        others = self.world.draw_strings(
            min(self.world.num_valid, 2 * self.num_train + _TEST_STRINGS), self.data_seed + 1
        )
        others = others[~find_copies(others, training)]
        measured = {"samples": count_samples(self.world, self.draw(weights, SAMPLES, seed), training)}
        for part, strings in (("train", training), ("new", others)):
            if len(strings):
                with torch.no_grad():
                    measured[part] = {"nats": float(self.loss(weights, _cells(strings[:_TEST_STRINGS])))}
        return measured


def _cells(strings: torch.Tensor) -> torch.Tensor:
    return (strings < 0).long()[..., None]


def _new_network(seed: int, bits: int, width: int, depth: int, heads: int) -> CellTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CellTransformer([2], bits, width, depth, heads, "joint")


@lru_cache(maxsize=32)
def _network(bits: int, width: int, depth: int, heads: int) -> CellTransformer:
    return _new_network(0, bits, width, depth, heads)
