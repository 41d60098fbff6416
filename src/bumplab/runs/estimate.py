"""What a sweep will cost, said before it starts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence

import torch

from bumplab.training.ensembles import Ensemble
from bumplab.training.loop import training_steps
from bumplab.training.outcomes import MAX_EVALUATIONS
from bumplab.training.settings import Settings
from bumplab.training.state import init_state

_SPANS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def format_estimate(cells: int, known: int, jobs: int, seconds: float, unit: str) -> str:
    """Say how many cells there are and how long they take.

    Parameters
    ----------
    cells, known : int
        All cells, and those that are finished.
    jobs : int
        Cells at a time.
    seconds : float
        Time that the others take; nan if nobody knows.
    unit : str
        What a cell is called.
    """
    todo, units = cells - known, f"{cells} {unit}{'s' if cells != 1 else ''}"
    if not todo:
        return f"{units}, all of them known." if cells != 1 else f"{units}, known."
    size, name = next((span for span in _SPANS if seconds >= 2 * span[0]), _SPANS[-1])
    span = "time unknown" if math.isnan(seconds) else f"about {math.ceil(seconds / size)} {name}"
    return f"{units}, {known} of them known; {todo} to go, {jobs} at a time: {span}."


def estimate_seconds(
    todo: Iterable[Settings], done: Mapping[Settings, float], threads: int, device: str, precision: str
) -> float:
    """Estimate the time that runs take one after another.

    Parameters
    ----------
    todo : iterable of Settings
    done : mapping
        Runs that were made under these circumstances, and their seconds. A network, image size and batch size
        that is not among them is timed for half a second.
    threads, device, precision
        How the runs will be trained.
    """
    pace = {_shape(settings): spent / _images(settings, False) for settings, spent in done.items()}
    total = 0.0
    timed = 0
    for settings in todo:
        shape = _shape(settings)
        if shape not in pace:
            timed += 1
            # With many shapes, the later ones are taken to be as fast as those before on average.
            pace[shape] = sum(pace.values()) / len(pace) if timed > 5 else _time([settings], threads, device, precision)
        total += pace[shape] * _images(settings)
    return total


def estimate_ensembles(groups: Iterable[Sequence[Settings]], device: str, precision: str) -> float:
    """Estimate the time that ensembles take one after another: each kind of them is timed for half a second."""
    pace: dict[tuple, float] = {}
    total = 0.0
    for group in groups:
        shape = _shape(group[0]), len(group)
        if shape not in pace:
            pace[shape] = _time(group, torch.get_num_threads(), device, precision)
        total += pace[shape] * sum(map(_images, group))
    return total


def _shape(settings: Settings) -> tuple:
    return settings.model, settings.training.batch, settings.world.size


def _images(settings: Settings, measuring: bool = True) -> float:
    """Return how many images go through the network; one that it learns from counts three times."""
    training = settings.training
    images = 3 * training.steps * training.batch
    if measuring:
        times = training.steps // training.evaluate_every if training.evaluate_every else 0
        during, after = count_evaluation_images(settings)
        images += times * during + after
    return images


def count_evaluation_images(settings: Settings) -> tuple[int, int]:
    """Return how many images go through the network in a measurement during training, and in the one after it.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> count_evaluation_images(preset("smoke"))  # in 2 steps of the sampler, 16 conditions and 1,024
    (32, 2048)
    >>> count_evaluation_images(preset("smoke", diffusion={"kind": "regression"}))  # which makes one call
    (16, 1024)
    """
    training, world = settings.training, settings.world
    calls = len(settings.diffusion.sampling_timesteps(training.sampler_steps)) - 1  # for each image
    lattice, parts = len(world.axis(0)) * len(world.axis(1)), 1 + (world.held_out is not None or world.fraction < 1)
    during, after = (calls * min(lattice, parts * n) for n in (training.evaluate_on, MAX_EVALUATIONS))
    return during, after


def _time(group: Sequence[Settings], threads: int, device: str, precision: str) -> float:
    """Train one, or several as one, for half a second; return seconds per image, nan where memory does not suffice."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        endless = {"steps": 10**8, "snapshots": ()}
        states = [init_state(settings.replace(training=endless), device, precision) for settings in group]
        loop = Ensemble(states).steps(False) if len(states) > 1 else training_steps(states[0], compile=False)
        next(loop)
        float(states[0].loss_sum)  # waits for a GPU
        begun, before = time.monotonic(), states[0].step
        while time.monotonic() < begun + 0.5:
            next(loop)
        float(states[0].loss_sum)
        images = 3 * (states[0].step - before) * group[0].training.batch * len(group)
        return (time.monotonic() - begun) / images
    except (RuntimeError, MemoryError):
        return math.nan
    finally:
        torch.set_num_threads(threads_before)
