"""Compiled steps: a compiler writes fewer and larger operations for a network, once, before the first step.

That takes a minute or two and about halves a step of a large network on a GPU. What is compiled is the loss of a
:class:`~bumplab.training.step.Learner` with its gradient; drawing the batch and the optimiser stay as they are. A
compiler may add up in another order: the last digits of compiled and eager training differ, on every device.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tqdm import tqdm

from bumplab.common.errors import BumplabError, shorten
from bumplab.training.cuda_graph import make_executor, rehearse
from bumplab.training.state import TrainState, begin_session
from bumplab.training.step import Learner, restore_after, take_step

#: Seconds that the compiler takes for preset ``paper`` on an H100's host.
COMPILE_SECONDS = 90.0
#: Times as many steps in the same time afterwards, with that preset on that GPU.
SPEEDUP = 2.0
#: Of :func:`torch.compile`. ``"eager"`` would trace the network and compile nothing.
BACKEND = "inductor"
_TIMED_STEPS = 5


def make_step(learner: Learner, states: Sequence[TrainState], compile: bool | None = None) -> Callable[[], None]:
    """Return what takes a step of a learner, compiled or not; the states say which, and count the seconds of it.

    Parameters
    ----------
    learner : Learner
    states : sequence of TrainState
        What it trains.
    compile : bool, optional
        Unless given, :func:`choose_compilation` decides.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> make_step(Learner.of(state), [state])()
    >>> state.execution, bool(state.loss_sum > 0)
    ('eager', True)
    """
    if states[0].step >= learner.settings.training.steps:  # nothing is left to take: the states stay what they were
        for state in states:
            state.execution = state.sessions[-1]["execution"]
        return functools.partial(take_step, learner)
    begun, executor = time.monotonic(), functools.cache(functools.partial(make_executor, learner))
    if compile is None:
        compile = choose_compilation(states[0], learner, executor)
    if compile:
        executor.cache_clear()  # a graph holds memory
        compile = compile_loss(learner)
    step = executor()
    for state in states:
        state.execution = "compiled" if compile else "eager"
        state.seconds += (time.monotonic() - begun) / len(states)
        if state.step == 0:
            begin_session(state)
    return step


def is_worth_compiling(steps: int, step_seconds: float) -> bool:
    """Return whether compiling saves more time than it takes.

    Parameters
    ----------
    steps : int
        That are still to be taken, 0 or more.
    step_seconds : float
        That one takes as it is.

    Examples
    --------
    >>> is_worth_compiling(12_000, step_seconds=0.1), is_worth_compiling(400, step_seconds=0.1)
    (True, False)
    """
    return steps * step_seconds * (1 - 1 / SPEEDUP) > COMPILE_SECONDS


def choose_compilation(state: TrainState, learner: Learner, executor: Callable[[], Callable[[], None]]) -> bool:
    """Return whether to compile where nobody has said so: on CUDA, for a single network, where it pays.

    Training that goes on stays what it was, an ensemble's too, so that it ends at the same weights.

    Parameters
    ----------
    state : TrainState
        What is to be trained.
    learner : Learner
        That of the state.
    executor : callable
        Returns what takes a step of it; called only where a few steps have to be timed. The learner is as before.

    Examples
    --------
    >>> from bumplab.training import init_state, make_executor, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> learner = Learner.of(state)
    >>> choose_compilation(state, learner, lambda: make_executor(learner))
    False
    """
    if state.step:
        return state.sessions[-1]["execution"] == "compiled"
    if state.ensemble_size > 1 or learner.device.type != "cuda":
        return False
    return is_worth_compiling(state.settings.training.steps, time_step(learner, executor()))


def time_step(learner: Learner, step: Callable[[], None]) -> float:
    """Return the seconds that a step takes; the learner is as before.

    Examples
    --------
    >>> from bumplab.training import init_state, make_executor, preset
    >>> learner = Learner.of(init_state(preset("smoke"), "cpu"))
    >>> 0 < time_step(learner, make_executor(learner)) < 10
    True
    """
    with restore_after(learner):
        step()
        float(learner.loss_sum.sum())  # waits for the device
        begun = time.perf_counter()
        for _ in range(_TIMED_STEPS):
            step()
        float(learner.loss_sum.sum())
        return (time.perf_counter() - begun) / _TIMED_STEPS


def compile_loss(learner: Learner, backend: str | Callable[..., Any] | None = None) -> bool:
    """Compile the loss of a learner and its gradient; where that fails, say why in a sentence, and leave it as it is.

    Parameters
    ----------
    learner : Learner
        Its tensors are as before.
    backend : str or callable, optional
        See :func:`torch.compile`; :data:`BACKEND` unless given.

    Returns
    -------
    bool
        Whether it is compiled now.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> learner = Learner.of(init_state(preset("smoke"), "cpu"))
    >>> compile_loss(learner, backend="eager")
    True
    """
    eager = learner.loss
    try:
        torch.compiler.reset()  # it would give up after some networks in one process otherwise
        learner.loss = torch.compile(eager, backend=backend or BACKEND, dynamic=False)
        rehearse(learner)
    except (torch.OutOfMemoryError, BumplabError):
        learner.loss = eager
        raise
    except Exception as error:  # whatever a compiler, or the lack of one, leads to
        learner.loss = eager
        reason = shorten(" ".join(str(error).split()), 160).rstrip(".") or type(error).__name__
        tqdm.write(f"The training step cannot be compiled here ({reason}); it goes on as it is.", file=sys.stderr)
        return False
    return True
