"""Abstract rules, learned panel after panel by a transformer, with heads that can and that cannot say a whole panel.

The smallest version of the autoregressive models of GenRAVEN (arXiv:2411.07873). What is drawn is counted: has it a
rule, is it new; last panels are filled in for rules that training showed and for others; and the loss has an exact
floor, that of :mod:`bumplab.worlds.rule_laws`.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.func import functional_call
from torch.nn import functional as F

from bumplab.models.transformer import CellTransformer, Head
from bumplab.toys.settings import ToySettings, Weights
from bumplab.worlds.rules import (
    ATTRIBUTES,
    PANELS,
    ROWS,
    RULES,
    VALUES,
    completes_rule,
    draw_panels,
    remaining_rules,
    rules_of,
)

#: How many samples each measurement draws, and how many of each rule it completes.
_SAMPLES, _COMPLETIONS = 256, 32


class RuleSettings(ToySettings):
    """An autoregressive transformer, and the rules that it learns from.

    Attributes
    ----------
    head : {"separate", "joint", "sequence"}
        See :mod:`bumplab.models.transformer`.
    num_train : int
        Training samples of each rule.
    held_out : tuple of str
        Rules of which there are none.
    distractors : {"none", "held-out"}
        What attributes that a sample's rule is not about may obey in a row: no rule at all, so that training says of
        held-out rules that they never hold; or the held-out ones by chance, so that it says nothing.
    data_seed : int
        Of the samples.
    width, depth, heads : int

    Examples
    --------
    >>> settings = RuleSettings(head="separate", num_train=10, width=16, held_out=["size sum"])
    >>> sorted(settings.measure(settings.init_weights()))
    ['completion', 'samples', 'test', 'train']
    >>> RuleSettings(held_out=["size product"])
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A rule is an attribute (shape, size, colour) and a relation (constant, +1, -1, \
sum), such as 'size sum', got 'size product'.
    """

    family: ClassVar[str] = "rules"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "data_seed"})
    stop_measure: ClassVar[str] = "train.nats"

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 128
    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 3000
    order: Literal["cycle", "random"] = "random"
    head: Head = "joint"
    num_train: Annotated[int, Field(ge=1, le=100_000)] = 1000
    held_out: tuple[str, ...] = ()
    distractors: Literal["none", "held-out"] = "none"
    data_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    width: Annotated[int, Field(ge=1, le=1024)] = 64
    depth: Annotated[int, Field(ge=1, le=8)] = 2
    heads: Annotated[int, Field(ge=1, le=64)] = 4

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        remaining_rules(self.held_out)
        self.network()
        return self

    def network(self) -> CellTransformer:
        """Return such a network; its own weights are nobody's."""
        return _network(self.width, self.depth, self.heads, self.head)

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        model = _new_network(self.seed, self.width, self.depth, self.heads, self.head)
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    def training_panels(self) -> np.ndarray:
        """Return what it learns from, (n, 3 rows, 3 panels, 3 attributes), rule after rule.

        Examples
        --------
        >>> RuleSettings(num_train=10, held_out=["size sum"]).training_panels().shape
        (110, 3, 3, 3)
        """
        return self._panels(self.num_train, self.data_seed)

    def samples(self) -> tuple[torch.Tensor]:
        """Return the training samples as cells, (n, 9, 3)."""
        return (torch.from_numpy(self.training_panels()).flatten(1, 2),)

    def loss(self, weights: Weights, *batch: torch.Tensor) -> torch.Tensor:
        """Return how many nats one network needs for a sample, on average."""
        model = self.network()
        return -model.score(functional_call(model, dict(weights), batch), *batch).sum(1).mean()

    def draw(
        self, weights: Weights, n: int, seed: int, given: np.ndarray | None = None, temperature: float = 1.0
    ) -> np.ndarray:
        """Return what one network draws, (n, 3 rows, 3 panels, 3 attributes), of all or after given panels (n, k, 3).

        Examples
        --------
        >>> settings = RuleSettings(width=16)
        >>> settings.draw(settings.init_weights(), 2, seed=0).shape
        (2, 3, 3, 3)
        """
        model = self.network()
        model.load_state_dict(dict(weights))
        prefix = None if given is None else torch.from_numpy(given)
        cells = model.draw(n, torch.Generator().manual_seed(seed), prefix, temperature)
        return cells.unflatten(1, (ROWS, PANELS)).numpy()

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what it draws, how well it completes, and its loss.

        Of ``samples``: :func:`count_panels`. Of ``completion``, the likeliest last panel: the shares that obey the rule
        of the first two rows, for each rule (``size_sum``) and on average for those that were ``trained`` and
        ``held_out``. Of ``train`` and ``test``: nats a sample.
        """
        seed = zlib.crc32(weights["start"].numpy().tobytes()) + self.seed
        panels, training = self.draw(weights, _SAMPLES, seed), self.training_panels()
        trained = remaining_rules(self.held_out)
        right = {rule: self._completes(weights, rule) for rule in RULES}
        test = torch.from_numpy(self._panels(_COMPLETIONS, self.data_seed + 1)).flatten(1, 2)
        completion = {rule.replace(" ", "_"): share for rule, share in right.items()}
        completion |= {"trained": float(np.mean([right[rule] for rule in trained]))}
        if self.held_out:
            completion["held_out"] = float(np.mean([right[rule] for rule in set(self.held_out)]))
        every = max(1, len(training) // len(test))
        with torch.no_grad():
            losses = {"train": self.loss(weights, self.samples()[0][::every]), "test": self.loss(weights, test)}
        return {
            "samples": count_panels(panels, training),
            "completion": completion,
            **{part: {"nats": float(value)} for part, value in losses.items()},
        }

    def _panels(self, n: int, seed: int) -> np.ndarray:
        free = self.held_out if self.distractors == "held-out" else ()
        return _panels(remaining_rules(self.held_out), n, seed, free)

    def _completes(self, weights: Weights, rule: str) -> float:
        panels = draw_panels(rule, _COMPLETIONS, self.data_seed + 2)
        given = panels.reshape(len(panels), ROWS * PANELS, len(ATTRIBUTES))[:, :-1]
        return float(completes_rule(self.draw(weights, len(panels), 0, given, temperature=0), rule).mean())


def count_panels(panels: np.ndarray, training: np.ndarray) -> dict[str, float]:
    """Return what samples (n, 3, 3, 3) are, after training on others (N, 3, 3, 3), int64.

    Returns
    -------
    dict of str to float
        The shares with a ``"rule"`` in all rows (C3), with one in ``"two"`` or more (C2), of ``"copies"``, and of those
        that are ``"new"`` and have a rule; the share of their ``"rows"`` that are rows of a training sample, and the
        mean ``"distance"`` to the nearest of these, in values that differ (of 27).

    Examples
    --------
    >>> training = draw_panels("size sum", 4)
    >>> count_panels(training[:2], training)
    {'rule': 1.0, 'two': 1.0, 'copies': 1.0, 'new': 0.0, 'rows': 1.0, 'distance': 0.0}
    """
    distance = nearest_distance(panels, training)
    copies, ruled = distance == 0, rules_of(panels).any(1)
    known = np.unique(_row_numbers(training))
    return {
        "rule": float(ruled.mean()),
        "two": float(rules_of(panels, 2).any(1).mean()),
        "copies": float(copies.mean()),
        "new": float((ruled & ~copies).mean()),
        "rows": float(np.isin(_row_numbers(panels), known).mean()),
        "distance": float(distance.mean()),
    }


def nearest_distance(panels: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Return in how many of 27 values samples (n, 3, 3, 3) differ from the nearest of others (N, 3, 3, 3), (n,).

    Examples
    --------
    >>> training = draw_panels("size sum", 4)
    >>> changed = training[:1].copy()
    >>> changed[0, 0, 0] = (changed[0, 0, 0] + 1) % 5
    >>> nearest_distance(changed, training)
    array([3.])
    """
    values, most = torch.from_numpy(np.ascontiguousarray(panels)).flatten(1), torch.zeros(len(panels))
    ours = F.one_hot(values, VALUES).flatten(1).float()
    for part in torch.from_numpy(training).flatten(1).split(20_000):
        most = torch.maximum(most, (ours @ F.one_hot(part, VALUES).flatten(1).float().T).amax(1))
    return values.shape[1] - most.double().numpy()


def _row_numbers(panels: np.ndarray) -> np.ndarray:
    """Return a number for each row of samples (n, 3, 3, 3), the same for the same row, (n, 3)."""
    digits = panels.reshape(len(panels), ROWS, -1)
    return digits @ VALUES ** np.arange(digits.shape[2])


@lru_cache(maxsize=32)
def _network(width: int, depth: int, heads: int, head: Head) -> CellTransformer:
    return _new_network(0, width, depth, heads, head)


def _new_network(seed: int, width: int, depth: int, heads: int, head: Head) -> CellTransformer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CellTransformer([VALUES] * len(ATTRIBUTES), ROWS * PANELS, width, depth, heads, head)


@lru_cache(maxsize=32)
def _panels(rules: tuple[str, ...], n: int, seed: int, free: tuple[str, ...]) -> np.ndarray:
    return np.concatenate([draw_panels(rule, n, seed, free) for rule in rules])
