"""The training loop, with the log, measurements and checkpoints around it."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bumplab.common.errors import BumplabError
from bumplab.diffusion.regression import Regression
from bumplab.diffusion.schedules import warn_of_signal
from bumplab.training.checkpoints import init_or_resume, save_checkpoint
from bumplab.training.compilation import make_step
from bumplab.training.device import warn_of_emulation
from bumplab.training.outcomes import measure
from bumplab.training.settings import Settings
from bumplab.training.snapshots import save_snapshot
from bumplab.training.state import Interrupted, TrainState, begin_session
from bumplab.training.step import Learner
from bumplab.training.stopping import catch_interrupt, is_stop_due

#: Least time between checkpoints.
CHECKPOINT_SECONDS = 20.0
#: Most share of the time that checkpoints may take: after a slow one, the next comes later.
CHECKPOINT_SHARE = 0.02


def learning_rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step (0 is the first): linear warm-up, then constant or cosine to 0.

    Parameters
    ----------
    settings : Settings
    step : int
        0 to ``settings.training.steps`` - 1.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> [round(learning_rate(preset("smoke"), step), 6) for step in (0, 49, 59)]  # up, then down
    [4e-05, 0.000161, 1e-06]
    """
    training = settings.training
    warm = min(1.0, (step + 1) / max(training.warmup_steps, 1))
    if training.lr_schedule == "constant":
        return training.learning_rate * warm
    return training.learning_rate * warm * (1 + math.cos(math.pi * step / training.steps)) / 2


def ema_decay(settings: Settings, step: int) -> float:
    """Return the decay of the averaged weights after a step (0 is the first).

    Parameters
    ----------
    settings : Settings
    step : int

    Returns
    -------
    float
        (1 + step) / (10 + step), at most ``settings.training.ema_decay``.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> [round(ema_decay(preset("smoke"), step), 3) for step in (0, 8, 100_000)]
    [0.1, 0.5, 0.995]
    """
    return min(settings.training.ema_decay, (1 + step) / (10 + step))


def training_steps(state: TrainState, compile: bool | None = None) -> Iterator[TrainState]:
    """Train, yielding the state after every :func:`~bumplab.training.step.take_step` until the last.

    Parameters
    ----------
    state : TrainState
        It is changed in place, and what is yielded.
    compile : bool, optional
        See :func:`train`.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> next(training_steps(init_state(preset("smoke"), "cpu"))).step
    1
    """
    return (state for _ in execute_steps(Learner.of(state), [state], compile))


def execute_steps(
    learner: Learner, states: Sequence[TrainState], compile: bool | None = None
) -> Iterator[Sequence[TrainState]]:
    """Train one state, or several that are one learner, yielding them after every step until the last.

    Parameters
    ----------
    learner : Learner
    states : sequence of TrainState
        All at the same step. They are changed in place.
    compile : bool, optional
        See :func:`train`.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> [each.step for each in next(execute_steps(Learner.of(state), [state]))]
    [1]
    """
    settings, first = learner.settings, states[0]
    step = make_step(learner, states, compile)

    def take_steps() -> Iterator[Sequence[TrainState]]:
        while first.step < settings.training.steps:
            learner.set_rates(learning_rate(settings, first.step), 1 - ema_decay(settings, first.step))
            step()
            for state in states:
                state.step += 1
            yield states

    return take_steps()


def train(
    settings: Settings,
    folder: Path,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    compile: bool | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainState:
    """Train to the end, or go on from the checkpoint in `folder`.

    Parameters
    ----------
    settings : Settings
    folder : Path
        Where the checkpoint and the snapshots ``snapshot-STEP.safetensors`` go.
    device, precision : str
        See :func:`~bumplab.training.device.pick_device` and :func:`~bumplab.training.device.pick_precision`.
    progress : bool
        Show a bar with loss, images per second and time left.
    compile : bool, optional
        Compile the step, see :mod:`~bumplab.training.compilation`, or not. Unless given, a run on CUDA is compiled
        where that pays, and one that goes on stays what it was. Where there is no compiler, a sentence says so. Device,
        precision and this are no part of a run's name, but its record says them.
    checkpoint_seconds : float
        Time between checkpoints; it is longer where they would take more than :data:`CHECKPOINT_SHARE` of it.

    Returns
    -------
    TrainState
        With ``state.ema_model`` holding the weights to keep.

    Raises
    ------
    Interrupted
        On Ctrl-C, after a checkpoint was written.
    BumplabError
        If training cannot go on from the checkpoint, see :func:`~bumplab.training.checkpoints.resume`, the disk
        refuses one, or the loss is no longer finite.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.training.settings import preset
    >>> one_step = preset("smoke", training={"steps": 1, "snapshots": (), "evaluate_every": 0})
    >>> with TemporaryDirectory() as folder:
    ...     train(one_step, Path(folder), "cpu", progress=False).step
    1
    """
    state = init_or_resume(settings, folder, device, precision)
    steps = training_steps(state, compile)
    run_loop([state], [folder], steps, lambda states: [measure(states[0])], progress, checkpoint_seconds)
    if state.error:
        raise BumplabError(state.error)
    return state


def run_loop(
    states: Sequence[TrainState],
    folders: Sequence[Path],
    loop: Iterator[Any],
    measure_all: Callable[[Sequence[TrainState]], list[dict[str, Any]]],
    progress: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> None:
    """Run a training loop to its end, with all that goes on around it: log, measurements, snapshots, checkpoints.

    Parameters
    ----------
    states : sequence of TrainState
        What trains: one, or those of an ensemble, all at the same step. A state whose loss is no longer finite gets
        an `error`; the others go on.
    folders : sequence of Path
        Where their checkpoints and snapshots go.
    loop : iterator
        Advances all of them by one optimiser step at a time.
    measure_all : callable
        Takes states and returns what :func:`~bumplab.training.outcomes.measure` does for each.
    progress, checkpoint_seconds
        See :func:`train`.

    Raises
    ------
    Interrupted
        On Ctrl-C, after checkpoints were written.
    BumplabError
        If the disk refuses a checkpoint or snapshot; the same call goes on from the checkpoints before.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke", training={"steps": 1, "snapshots": (), "evaluate_every": 1}), "cpu")
    >>> run_loop([state], [Path()], training_steps(state), lambda states: [{"step": 1}], progress=False)
    >>> [step for step, loss in state.history["loss"]], state.history["accuracy"]
    ([1], [{'step': 1}])
    """
    first, training, diffusion = states[0], states[0].settings.training, states[0].settings.diffusion
    signal = None if isinstance(diffusion, Regression) else warn_of_signal(diffusion.schedule, diffusion.timesteps)
    warnings = [warn_of_emulation(first.device, first.precision), signal]
    for sentence in filter(None, dict.fromkeys([*warnings, *map(begin_session, states)])):
        tqdm.write(sentence, file=sys.stderr)
    log_every, pause = max(1, training.steps // 200), checkpoint_seconds
    saved, begun = time.monotonic(), time.monotonic() - first.seconds * len(states)
    hidden: dict[str, Any] = {} if progress else {"disable": True}  # TQDM_DISABLE in the environment hides it, too
    bar = tqdm(total=training.steps, initial=first.step, unit="step", mininterval=0.5, dynamic_ncols=True, **hidden)
    well = list(zip(states, folders, strict=True))
    with catch_interrupt() as interrupted, bar:
        for _ in loop:
            step = first.step
            bar.update()
            if step % log_every == 0 or step == training.steps:
                losses = [_log(state) for state, _ in well]
                well = [(state, folder) for state, folder in well if not state.error]
                if not well:
                    break
                pace = step * training.batch * len(states) / (time.monotonic() - begun)
                bar.set_postfix_str(f"loss {sum(losses) / len(losses):.4f}, {pace:.0f} images/s", refresh=False)
            if step in training.snapshots and step < training.steps:  # the last ones are the run's weights
                for state, folder in well:
                    save_snapshot(state, folder)
            if training.evaluate_every and (step % training.evaluate_every == 0 or step == training.steps):
                paused = time.monotonic()
                for (state, _), entry in zip(well, measure_all([state for state, _ in well]), strict=True):
                    state.history["accuracy"].append(entry)
                begun += time.monotonic() - paused
            stopping = is_stop_due(first) or interrupted()
            due = time.monotonic()
            if stopping or due - saved > pause:
                for state, folder in well:
                    state.seconds = (due - begun) / len(states)
                    save_checkpoint(state, folder)
                saved = time.monotonic()
                pause = max(checkpoint_seconds, (saved - due) / CHECKPOINT_SHARE)
            if stopping or interrupted():
                raise Interrupted(f"Stopped after step {step} of {training.steps}; the same call goes on from there.")
    for state in states:
        state.seconds = (time.monotonic() - begun) / len(states)


def _log(state: TrainState) -> float:
    """Add the mean loss since the last entry to the history and return it; note an error where it is not finite."""
    since = state.step - (state.history["loss"][-1][0] if state.history["loss"] else 0)
    loss = float(f"{float(state.loss_sum) / since:.6g}")  # more digits would be noise, and room in every history
    state.history["loss"].append([state.step, loss])
    state.loss_sum.zero_()
    if not math.isfinite(loss):
        state.error = f"The loss is not finite at step {state.step}: lower training.learning_rate."
    return loss
