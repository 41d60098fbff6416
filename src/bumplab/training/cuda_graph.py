"""A training step as a CUDA graph: recorded once, then replayed whole.

To start the hundreds of small operations of a step one by one takes a GPU's host longer than the GPU needs to do them.
A graph starts all of them at once. It reads and writes the memory that it was recorded with: whatever a step uses keeps
its place (:class:`~bumplab.training.step.Learner`), and nothing in a step may wait for the device.

This is the only module that training needs CUDA for. What is here but :class:`CudaGraphs` runs on every device, with a
stand-in for it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from bumplab.common.errors import BumplabError, shorten
from bumplab.training.recordable import Recordable
from bumplab.training.step import Learner, restore_after, take_step

#: Steps before the recording, in which libraries choose their kernels and reserve their memory.
WARM_UP_STEPS = 3


class Graphs(Protocol):
    """What recording takes of a device.

    Examples
    --------
    >>> sorted(name for name in vars(Graphs) if name[0] != "_")
    ['record', 'warm_up']
    """

    def warm_up(self, step: Callable[[], None]) -> None:
        """Take a step several times, apart from what else the device does."""

    def record(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """Take a step without effect, and return what repeats it; each time with new numbers of the generators."""
        ...


def make_executor(learner: Recordable, step: Callable[[Any], None] = take_step) -> Callable[[], None]:
    """Return what takes a step of a learner: on CUDA a graph of it, elsewhere the step itself.

    Parameters
    ----------
    learner : Recordable
        Of networks of this book, a :class:`~bumplab.training.step.Learner`; toys have their own.
    step : callable
        Takes the learner and changes it in place.

    Raises
    ------
    BumplabError
        If the step cannot be recorded. With ``BUMPLAB_GRAPH=0`` in the environment it is not tried.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> make_executor(Learner.of(state))()
    >>> bool(state.loss_sum > 0)
    True
    """
    if not _is_recorded(learner):
        return functools.partial(step, learner)
    try:
        return record_step(learner, CudaGraphs(learner.device), step)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:  # half recorded, generators are of no use: training has to begin anew
        reason = shorten(" ".join(str(error).split()), 200).rstrip(".")
        raise BumplabError(
            f"The training step cannot be recorded as a CUDA graph here ({reason}); set BUMPLAB_GRAPH=0 to train "
            "without one, slower."
        ) from None


def rehearse(learner: Learner) -> None:
    """Take a step, or a few, just as they come before the recording. The learner is as before, also after an error.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> rehearse(Learner.of(state))
    >>> float(state.loss_sum)
    0.0
    """
    step = functools.partial(take_step, learner)
    with restore_after(learner):
        if _is_recorded(learner):
            CudaGraphs(learner.device).warm_up(step)
        else:
            step()


def _is_recorded(learner: Recordable) -> bool:
    return learner.device.type == "cuda" and os.environ.get("BUMPLAB_GRAPH") != "0"


def record_step(learner: Recordable, graphs: Graphs, step: Callable[[Any], None] = take_step) -> Callable[[], None]:
    """Record a step of a learner and return what replays it. The learner is as before.

    Parameters
    ----------
    learner : Recordable
        From here on its tensors and generators are to be set in place, as loading a checkpoint does.
    graphs : Graphs
    step : callable
        See :func:`make_executor`.

    Examples
    --------
    >>> class Rehearsal:  # in the place of a device: what it records is the step itself
    ...     def warm_up(self, step):
    ...         step()
    ...     def record(self, step, generators):
    ...         return step
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> replay = record_step(Learner.of(state), Rehearsal())
    >>> float(state.loss_sum)
    0.0
    >>> replay()
    >>> bool(state.loss_sum > 0)
    True
    """
    take = functools.partial(step, learner)
    tables = learner.cached_tensors()  # the cache may forget them, but the graph goes on reading them
    with restore_after(learner):
        graphs.warm_up(take)
    for group in learner.optimizer.param_groups:
        group["capturable"] = True
    replay = graphs.record(take, learner.generators)

    def run(_keep: object = (learner, tables)) -> None:
        replay()

    return run


class CudaGraphs:
    """Graphs of one CUDA device. What is recorded repeats bit for bit.

    Parameters
    ----------
    device : torch.device

    Examples
    --------
    >>> CudaGraphs(torch.device("cuda", 0)).device  # CUDA is asked for nothing yet
    device(type='cuda', index=0)
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def warm_up(self, step: Callable[[], None]) -> None:
        """Take :data:`WARM_UP_STEPS` steps on a stream of their own."""
        with torch.cuda.device(self.device), _repeatable_kernels():
            here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(here)
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP_STEPS):
                    step()
            here.wait_stream(aside)

    def record(self, step: Callable[[], None], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        """Record a step; what is returned replays it on the current stream."""
        with torch.cuda.device(self.device), _repeatable_kernels():
            graph = torch.cuda.CUDAGraph()
            for generator in generators:
                graph.register_generator_state(generator)
            # Other threads (a notebook's, a progress bar's) may go on meanwhile.
            with torch.cuda.graph(graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
                step()
        return graph.replay


@contextmanager
def _repeatable_kernels() -> Iterator[None]:
    """Choose kernels that add up in a fixed order, for convolutions and attention; the rest of a step has no others.

    PyTorch asks this switch whenever it chooses a kernel. A graph keeps its kernels: training goes on without it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # pyright: ignore[reportAttributeAccessIssue]
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Memory would be filled in every step otherwise.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]  # pyright: ignore[reportAttributeAccessIssue]
