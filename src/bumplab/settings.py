"""One run = one frozen, validated set of settings, named by its content.

Settings come from a preset (``smoke``, ``quick``, ``paper``) and changes to it. Two runs with equal settings
are the same run, whichever preset they came from.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from bumplab.base import BumplabError, Frozen
from bumplab.diffusion import Diffusion
from bumplab.unet import UNetSettings
from bumplab.worlds import World

#: Raised whenever the same settings would train to other weights; part of every run's name.
TRAINER_VERSION = 1

Steps = Annotated[int, Field(ge=0, le=100_000_000)]


class Training(Frozen):
    """How the network is trained.

    Attributes
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Images per step, drawn with replacement from the training conditions.
    learning_rate, weight_decay : float
        Of AdamW.
    warmup : int
        Steps over which the learning rate rises linearly from 0.
    decay : {"constant", "cosine"}
        What the learning rate does after the warm-up; ``"cosine"`` ends at 0.
    ema : float
        Decay of the exponential moving average of the weights, the weights that are kept. Early on it is
        (1 + step) / (10 + step), if that is smaller.
    snapshots : tuple of int
        Steps after which a copy of the averaged weights is kept; 0 is before training.
    evaluate_every : int
        Steps between two measurements of accuracy during training; 0 for none.
    evaluate_on : int
        Conditions of each such measurement, evenly spread over the lattice.
    sampler_steps : int
        DDIM steps of every measurement of accuracy, during training and at its end.
    """

    steps: Annotated[int, Field(ge=1, le=100_000_000)]
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    warmup: Steps = 50
    decay: Literal["constant", "cosine"] = "cosine"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995
    snapshots: tuple[Steps, ...] = ()
    evaluate_every: Steps = 0
    evaluate_on: Annotated[int, Field(ge=1)] = 256
    sampler_steps: Annotated[int, Field(ge=1, le=1000)] = 10

    @model_validator(mode="after")
    def _possible(self) -> Training:
        if any(step > self.steps for step in self.snapshots):
            raise BumplabError(
                f"Training: a snapshot at step {max(self.snapshots)} lies after the last step {self.steps}."
            )
        return self

    def for_steps(self, steps: int, evaluations: int = 6, evaluate_on: int = 256, **changes: Any) -> Training:
        """Return a copy that trains for so many steps and measures accuracy some times on the way.

        Parameters
        ----------
        steps : int
        evaluations : int
            One every steps // `evaluations`, at least one step apart; the last step is always measured.
        evaluate_on : int
            Conditions of each.
        **changes
            Other settings, such as ``snapshots=()`` where those of a preset lie beyond the last step.

        Raises
        ------
        BumplabError
            For fewer than one evaluation, or an impossible value.

        Examples
        --------
        >>> training = Training(steps=400).for_steps(600)
        >>> training.steps, training.evaluate_every, training.evaluate_on
        (600, 100, 256)
        """
        if evaluations < 1:
            raise BumplabError(f"Training: measure accuracy once or more on the way, got {evaluations} evaluations.")
        every = max(1, steps // evaluations)
        return self.but(steps=steps, evaluate_every=every, evaluate_on=evaluate_on, **changes)


class Settings(Frozen):
    """Everything that decides what a run becomes.

    Attributes
    ----------
    world : World
    model : UNetSettings
    diffusion : Diffusion
    training : Training
    seed : int
        Seed of the initial weights, the batches and the noise (not of the world's random subset).
    """

    world: World = World()
    model: UNetSettings = UNetSettings()
    diffusion: Diffusion = Diffusion()
    training: Training
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        self.model.check_size(self.world.size)
        return self

    @property
    def id(self) -> str:
        """Name of the run: 12 hexadecimal digits of the SHA-256 of its settings and the trainer's version.

        Settings at their defaults do not enter, so that a new setting leaves old names as they are; a changed
        default is caught when a run is loaded, since the files hold every value.
        """
        content = {"trainer": TRAINER_VERSION, **self.model_dump(mode="json", exclude_defaults=True)}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "model": {"widths": (8, 8, 16, 16), "middle": 16, "depth": 1, "patch": 4, "encoding": 16},
        "diffusion": {"predicts": "x0"},
        "training": {
            "steps": 60, "batch": 16, "snapshots": (0, 30),
            "evaluate_every": 30, "evaluate_on": 16, "sampler_steps": 2,
        },
    },
    "quick": {
        "model": {"widths": (16, 32, 48, 64), "middle": 64, "depth": 1, "patch": 4, "heads": 1},
        "diffusion": {"predicts": "x0"},
        "training": {
            "steps": 400, "decay": "constant", "ema": 0.99,
            "evaluate_every": 25, "evaluate_on": 128, "sampler_steps": 5,
        },
    },
    "paper": {
        "training": {
            "steps": 60_000, "learning_rate": 3e-4, "weight_decay": 0.01, "warmup": 500, "ema": 0.999,
            "evaluate_every": 2_000, "evaluate_on": 1024, "sampler_steps": 50,
        },
    },
}  # fmt: skip

PRESETS = tuple(_PRESETS)


def preset(name: str, /, **changes: Any) -> Settings:
    """Return the settings of a preset with changes.

    Parameters
    ----------
    name : {"smoke", "quick", "paper"}
        ``smoke`` trains for a second and learns nothing; it is for tests. ``quick`` reaches at least 0.99
        accuracy on two idle CPU cores within half a minute. ``paper`` is our reading of the published setting, for a
        GPU: the paper leaves schedule, optimiser and widths open, and no run of ours has tested it yet.
    **changes
        Settings to change; a nested group takes a dictionary: ``preset("quick", world={"sigma": 2}, seed=1)``.

    Raises
    ------
    BumplabError
        For an unknown preset or setting, or an impossible value.
    """
    if name not in _PRESETS:
        raise BumplabError(f"There is no preset {name!r}: use one of {', '.join(PRESETS)}.")
    return Settings(**_PRESETS[name]).but(**changes)


def assign(changes: dict[str, Any], text: str) -> None:
    """Add one ``name=value`` of the command line to nested `changes`: ``world.sigma=0.8``, ``seed=3``.

    Values are read as YAML, so that ``true`` is a bool, ``[1, 2]`` a pair, ``1e-3`` a number and
    ``cross(13, 19)`` text.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BumplabError(f"Cannot read {text!r}: write name=value, for example world.sigma=0.8.")
    put(changes, name.strip(), literal(value))


def put(changes: dict[str, Any], name: str, value: Any) -> None:
    """Set the dotted `name` in nested `changes`: ``put(changes, "world.sigma", 0.8)``."""
    *groups, last = name.split(".")
    for group in groups:
        changes = changes.setdefault(group, {})
        if not isinstance(changes, dict):
            raise BumplabError(f"Cannot set {name!r}: {group!r} was already given as a value.")
    changes[last] = value


def literal(text: str) -> Any:
    """Read a value typed on the command line: a number, true or false, null, a list in brackets, else text."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
        return text
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            return text
    return value if isinstance(value, (bool, int, float, list, type(None))) else text
