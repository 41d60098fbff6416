"""Training that ends in time: when to stop, so that what comes after the last step still fits.

What comes after it is forecast from what this process has measured so far: the steps and measurements of the run at
hand, the final evaluation of runs of its kind.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import torch

from bumplab.common.run_settings import RunSettings
from bumplab.models.unet import UNet, UNetSettings
from bumplab.runs.estimate import count_evaluation_images
from bumplab.toys.settings import ToySettings
from bumplab.training.settings import Settings
from bumplab.training.state import TrainState

#: Times the forecast that is left for what was measured before, since no two are alike.
_SLACK = 1.25
#: Kind of run to the seconds that its final evaluation took in this process.
_evaluations: dict[tuple, float] = {}


@dataclass
class Deadline:
    """When training has to have ended; a condition for :func:`~bumplab.training.stopping.stop_when`.

    Attributes
    ----------
    end : float
        Time of the clock at which the checkpoint has to be on the disk.
    bytes_per_second : float
        At which files are written.
    clock : callable
        The same for all processes of a computer.
    stopped : bool
        Whether it has stopped the run at hand.

    Examples
    --------
    >>> from bumplab.training import preset
    >>> Deadline(end=100.0, clock=lambda: 99.9).allows(preset("paper"))  # its checkpoint alone has 280 MB
    False
    """

    end: float
    bytes_per_second: float = 1e8
    clock: Callable[[], float] = time.time
    stopped: bool = field(default=False, init=False)
    _settings: Settings | None = field(default=None, init=False, repr=False)
    _last: float | None = field(default=None, init=False, repr=False)
    _step: float = field(default=0.0, init=False, repr=False)
    _measurement: float = field(default=0.0, init=False, repr=False)

    def allows(self, settings: Settings, members: int = 1) -> bool:
        """Begin the time of a run, and return whether its first checkpoint would be there in time.

        Where `members` train together, the run stands for them, and each has a checkpoint.
        """
        self.stopped, self._settings = False, settings
        self._last, self._step, self._measurement = None, 0.0, 0.0
        return self.leaves(members * self._saving(settings))

    def leaves(self, seconds: float) -> bool:
        """Return whether there is more time than this."""
        return self.clock() + seconds < self.end

    def __call__(self, state: TrainState) -> bool:
        """Return whether training has to stop after this step: another one would end too late, or what follows it."""
        now, settings, training = self.clock(), state.settings, state.settings.training
        every, members = training.evaluate_every, state.ensemble_size
        if self._settings != settings:  # an ensemble that trains in parts begins the next one
            self.allows(settings, members)
        if self._last is not None:
            spent = now - self._last
            if every and (state.step % every == 0 or state.step == training.steps):
                self._measurement = max(self._measurement, spent)
            else:
                self._step = max(spent, 0.9 * self._step)  # a slow step counts for a while
        self._last = now
        if state.step == training.steps:
            following = self._evaluation(settings, members)
        else:
            next_step = state.step + 1
            measured = every and (next_step % every == 0 or next_step == training.steps)
            following = self._step + (self._measurement if measured else 0.0)
        self.stopped = now + _SLACK * following + members * self._saving(settings) >= self.end
        return self.stopped

    def note_end(self, settings: Settings, members: int = 1) -> None:
        """Note that a run that was trained to its end is stored now: what its final evaluation takes is measured."""
        if self._last is not None:
            _evaluations[_kind(settings, members)] = self.clock() - self._last

    def _evaluation(self, settings: Settings, members: int) -> float:
        if (seconds := _evaluations.get(_kind(settings, members))) is not None:
            return seconds
        during, after = count_evaluation_images(settings)
        by_steps = self._step * after / (3 * settings.training.batch)  # a step passes forward once and backward twice
        return max(by_steps, self._measurement * after / during)

    def _saving(self, settings: Settings) -> float:
        return _SLACK * checkpoint_bytes(settings) / self.bytes_per_second


def checkpoint_bytes(settings: RunSettings) -> int:
    """Return about how many bytes a checkpoint has: weights, their average and two moments in fp32.

    Examples
    --------
    >>> from bumplab.training import preset
    >>> checkpoint_bytes(preset("paper")) // 10**6
    282
    """
    return 16 * count_parameters(settings)


def run_bytes_forecast(settings: RunSettings, kept: str) -> int:
    """Return about how many bytes the file of a finished run has that keeps so much of its weights.

    Examples
    --------
    >>> from bumplab.training import preset
    >>> [run_bytes_forecast(preset("paper"), kept) // 10**6 for kept in ("all", "half", "none")]
    [70, 35, 0]
    """
    early = 0
    if isinstance(settings, Settings | ToySettings):
        training = settings.training if isinstance(settings, Settings) else settings
        early = sum(step < training.steps for step in training.snapshots)
    return 50_000 + count_parameters(settings) * {"all": 4 + 2 * early, "half": 2}.get(kept, 0)


def count_parameters(settings: RunSettings) -> int:
    """Return how many parameters the network of a run has.

    Examples
    --------
    >>> from bumplab.training import preset
    >>> round(count_parameters(preset("paper")) / 1e6, 1)
    17.6
    """
    if isinstance(settings, ToySettings):
        return sum(value.numel() for value in settings.init_weights().values())
    return _count_parameters(settings.model) if isinstance(settings, Settings) else 0


@cache
def _count_parameters(model: UNetSettings) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in UNet(model).parameters())


def _kind(settings: Settings, members: int) -> tuple:
    """Return what decides how long the final evaluation takes of runs that train together."""
    return settings.model, settings.world.size, count_evaluation_images(settings), members
