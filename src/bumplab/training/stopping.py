"""Stopping training from outside, as Ctrl-C does: between two steps, after a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_condition: ContextVar[Callable[[Any], bool] | None] = ContextVar("condition", default=None)


@contextmanager
def stop_when(condition: Callable[[Any], bool]) -> Iterator[None]:
    """Let a condition stop whatever trains within a ``with`` block.

    Parameters
    ----------
    condition : callable
        Takes the state; of a stack of toys, its first member's. Is asked after every optimiser step, the last one
        included, and after what was measured there. Where it returns True, a checkpoint is written and training raises
        :class:`~bumplab.training.state.Interrupted`; the same call goes on from there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> from bumplab.training import Interrupted, preset, train
    >>> with TemporaryDirectory() as folder, stop_when(lambda state: state.step == 3):
    ...     try:
    ...         train(preset("smoke"), Path(folder), "cpu", progress=False)
    ...     except Interrupted as error:
    ...         print(error)
    Stopped after step 3 of 60; the same call goes on from there.
    """
    token = _condition.set(condition)
    try:
        yield
    finally:
        _condition.reset(token)


def is_stop_due(state: Any) -> bool:
    """Return whether the condition of the innermost :func:`stop_when` holds; False outside of one.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> with stop_when(lambda state: state.step == 0):
    ...     is_stop_due(state)
    True
    >>> is_stop_due(state)
    False
    """
    condition = _condition.get()
    return condition is not None and condition(state)


@contextmanager
def catch_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag that the loop asks for between steps; a second one stops at once.

    Examples
    --------
    >>> with catch_interrupt() as interrupted:
    ...     interrupted()
    False
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    flag = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, before)
