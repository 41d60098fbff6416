"""One trainer for all toys: stacks of equal shape, early stop, checkpoints, one progress bar.

A member of a stack ends at what it would have ended at alone, but for rounding: its weights, batches and noise come
from its own seed. Those that are finished leave the stack, and the others go on in a smaller one. On one core five
seeds of the toy of modules take 1.4 times as long as one; with noise, drawn for each by itself, 1.75 times.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from bumplab.toys.settings import ToySettings
from bumplab.toys.states import ToyStack, ToyState, init_toy, take_toy_step
from bumplab.training.cuda_graph import make_executor
from bumplab.training.device import pick_device
from bumplab.training.state import Interrupted
from bumplab.training.stopping import catch_interrupt, is_stop_due

#: Time between checkpoints.
TOY_CHECKPOINT_SECONDS = 20.0
#: Most members of a stack on a CPU, where more gain nothing, and on a GPU.
MAX_STACK = {"cpu": 16}
_MAX_STACK = 1024


def toy_stacks(settings: Sequence[ToySettings], device: str = "cpu") -> list[list[ToySettings]]:
    """Sort settings into stacks: those of one :meth:`~bumplab.toys.settings.ToySettings.stack_key`, in their order.

    Parameters
    ----------
    settings : sequence of ToySettings
    device : str
        See :func:`~bumplab.training.device.pick_device`.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> members = [ModularitySettings(seed=seed, width=width) for seed in range(5) for width in (16, 32)]
    >>> [len(stack) for stack in toy_stacks(members)]
    [5, 5]
    """
    alike: dict[str, list[ToySettings]] = {}
    for each in settings:
        alike.setdefault(each.stack_key(), []).append(each)
    most = MAX_STACK.get(pick_device(device).type, _MAX_STACK)
    return [group[k : k + most] for group in alike.values() for k in range(0, len(group), most)]


def train_toys(
    states: Sequence[ToyState],
    device: str = "auto",
    progress: bool = True,
    save: Callable[[ToyState], None] | None = None,
    checkpoint_seconds: float = TOY_CHECKPOINT_SECONDS,
) -> Iterator[ToyState]:
    """Train toys of one stack to their ends, yielding each when it is finished, or cannot go on.

    Parameters
    ----------
    states : sequence of ToyState
        See :func:`~bumplab.toys.states.init_toy`. Those at different steps train one after the other. They are
        changed in place.
    device : str
        See :func:`~bumplab.training.device.pick_device`.
    progress : bool
        Show a bar with the mean loss.
    save : callable, optional
        Writes a checkpoint of a state.
    checkpoint_seconds : float
        Time between checkpoints.

    Raises
    ------
    Interrupted
        On Ctrl-C, or where :func:`~bumplab.training.stopping.stop_when` says so, after checkpoints were written.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> members = [init_toy(ModularitySettings(seed=seed, steps=20, measure_every=10)) for seed in (0, 1)]
    >>> [state.step for state in train_toys(members, "cpu", progress=False)]
    [20, 20]
    >>> sorted(members[0].history["measurements"][0])
    ['jacobian', 'lambda2', 'lambda3', 'lambda4', 'purity', 'step', 'test']
    """
    place = pick_device(device)
    by_step: dict[int, list[ToyState]] = {}
    for state in states:
        by_step.setdefault(state.step, []).append(state)
    for group in by_step.values():
        yield from _train_stack(group, place, progress, save, checkpoint_seconds)


def train_toy(settings: ToySettings, device: str = "auto", progress: bool = True) -> ToyState:
    """Train one toy, storing nothing: to try one out. See :func:`train_toys`, and the store for the rest.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> train_toy(ModularitySettings(steps=3), "cpu", progress=False).finished
    True
    """
    return next(train_toys([init_toy(settings)], device, progress))


def _train_stack(
    states: list[ToyState], device: torch.device, progress: bool, save: Callable[[ToyState], None] | None, pause: float
) -> Iterator[ToyState]:
    settings, step = states[0].settings, states[0].step
    saved = time.monotonic()
    hidden: dict[str, Any] = {} if progress else {"disable": True}  # TQDM_DISABLE in the environment hides it, too
    unit = "step" if len(states) == 1 else f"step of {len(states)}"
    bar = tqdm(total=settings.steps, initial=step, unit=unit, mininterval=0.5, dynamic_ncols=True, **hidden)
    with catch_interrupt() as interrupted, bar:
        while states:
            stack = ToyStack(states, device)
            execute, ended, stopping = make_executor(stack, take_toy_step), [], False
            while not ended and not stopping:
                begun, target = time.monotonic(), _next_stop(settings, step)
                while step < target and not stopping:
                    if settings.lr_schedule != "constant":
                        stack.learning_rate.fill_(settings.rate(step))
                    execute()
                    step += 1
                    stopping = interrupted() or is_stop_due(states[0])
                bar.update(step - bar.n)
                stack.unstack(step)
                for state in states:
                    state.seconds += (time.monotonic() - begun) / len(states)
                if step == target:
                    ended = [state for state in states if _note(state)]
                    stack.loss_sum.copy_(torch.tensor([state.loss_sum for state in states]))
                    bar.set_postfix_str(f"loss {_mean_loss(states):.3g}", refresh=False)
                if save and (stopping or time.monotonic() - saved > pause):
                    for state in states:
                        if state not in ended:
                            save(state)
                    saved = time.monotonic()
            yield from ended
            states = [state for state in states if state not in ended]
            if states and stopping:
                raise Interrupted(f"Stopped after step {step} of {settings.steps}; the same call goes on from there.")


def _next_stop(settings: ToySettings, step: int) -> int:
    """Return the next step at which the training pauses: to measure, to keep weights, or at its end."""
    return min([settings.next_measurement(step), settings.steps, *(at for at in settings.snapshots if at > step)])


def _note(state: ToyState) -> bool:
    """Note loss, measurements and weights where they are due; return whether the toy is finished or cannot go on."""
    settings, step = state.settings, state.step
    if step in settings.snapshots and step < settings.steps:
        state.snapshots[step] = {name: value.clone() for name, value in state.weights.items()}
    if settings.next_measurement(step - 1) != step < settings.steps:
        return False
    losses = state.history["loss"]
    loss = float(f"{state.loss_sum / (step - (losses[-1][0] if losses else 0)):.6g}")
    state.loss_sum = 0.0
    if not math.isfinite(loss):
        state.error = f"The loss is not finite at step {step}: lower learning_rate."
        return True
    losses.append([step, loss])
    measured = settings.measure(state.weights)
    state.history["measurements"].append({"step": step, **measured})
    state.finished = step == settings.steps or settings.is_done(measured)
    return state.finished


def _mean_loss(states: Sequence[ToyState]) -> float:
    losses = [state.history["loss"][-1][1] for state in states if state.history["loss"]]
    return sum(losses) / len(losses) if losses else math.nan
