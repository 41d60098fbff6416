"""The same work on many cells, in processes of this computer or on a Dask cluster, under one progress bar.

joblib and Dask do the scheduling. A cell that fails, even one that takes its process down, has an outcome like the
others and does not stop them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from tqdm import tqdm

import bumplab
from bumplab.common.errors import BumplabError, quote, shorten
from bumplab.common.files import disk_errors
from bumplab.training.device import pick_device
from bumplab.training.settings import Settings
from bumplab.training.state import Interrupted

if TYPE_CHECKING:
    from distributed import Client

#: What became of a cell: "status", "error" if it failed, and whatever the work returns.
Outcome = dict[str, Any]
Work = Callable[[Any], Outcome]

#: Most processes at a time.
MAX_JOBS = 1000
#: Seconds to wait for a Dask scheduler.
CONNECT_TIMEOUT = 5
#: Seconds to wait for the first worker of a cluster, unless told otherwise, and at most (a week, in a queue).
WORKER_TIMEOUT, MAX_WAIT = 60.0, 604_800
#: Seconds after which a process without work ends, also when the sweep that started it was killed.
IDLE_TIMEOUT = 20
#: Of a scheduler: a host's name has at most 253 characters.
_ADDRESS = re.compile(r"[a-z+]{1,10}://[\w.:/\[\]%-]{1,270}")
_DIED = "Its process died, perhaps for want of memory."


@contextmanager
def dask_client(dask: str | None, wait: float = WORKER_TIMEOUT, progress: bool = True) -> Iterator[Client | None]:
    """Connect to a Dask cluster, given as ``tcp://host:port`` or a scheduler file; None stands for this computer.

    Parameters
    ----------
    dask : str, optional
    wait : float
        Seconds, 0 to 604,800, to wait for the first worker. Others may come at any time, and get work when they do.
    progress : bool
        Print that it waits.

    Raises
    ------
    BumplabError
        If Dask is not installed, or no scheduler answers, or its workers are absent or lack this bumplab.
    """
    if not 0 <= wait <= MAX_WAIT:
        raise BumplabError(f"To wait for workers takes 0 to {MAX_WAIT:,} seconds, got {quote(wait)}.")
    if dask is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise BumplabError("Dask is not installed: pip install dask distributed.") from None
    if "://" in dask and not _ADDRESS.fullmatch(dask):
        raise BumplabError(f"{quote(dask)} is no address of a Dask scheduler: one looks like tcp://host:8786.")
    with disk_errors(Path(dask), "read", "name another scheduler file"):
        there = "://" in dask or Path(dask).is_file()
    if not there:
        raise BumplabError(f"There is no Dask scheduler file {quote(dask)}; an address looks like tcp://host:8786.")
    place: dict[str, Any] = {"address": dask} if "://" in dask else {"scheduler_file": dask}
    try:
        client = Client(**place, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except Exception:  # OSError, ValueError, or whatever a file of something else leads to
        raise BumplabError(f"No Dask scheduler answers at {quote(dask)}: start one, or mend the address.") from None
    with client:
        try:
            _wait_for_workers(client, dask, wait, progress)
            there = set(client.run(_version).values())  # pyright: ignore[reportAttributeAccessIssue]
        except TimeoutError:
            came = f", and none came within {wait:g} s" if wait else ""
            mend = "start some, or wait longer (--wait)"
            raise BumplabError(f"The Dask scheduler at {quote(dask)} has no workers{came}: {mend}.") from None
        except Exception as error:  # their ModuleNotFoundError arrives as a plain Exception
            reason = shorten(" ".join(str(error).split()), 160)
            raise BumplabError(f"The workers of {quote(dask)} cannot use bumplab: {reason}.") from None
        if there != {_version()}:
            raise BumplabError(f"The workers of {quote(dask)} have another version of bumplab: {_version()} is needed.")
        yield client


def _wait_for_workers(client: Client, dask: str, wait: float, progress: bool) -> None:
    """Return when a cluster has a worker, or raise TimeoutError after so many seconds."""
    if client.scheduler_info(n_workers=-1)["workers"]:
        return
    if not wait:
        raise TimeoutError
    if progress:
        print(f"The Dask scheduler at {quote(dask)} has no workers yet; waiting up to {wait:g} s.", flush=True)
    client.wait_for_workers(1, timeout=wait)


def _version() -> str:
    return f"{bumplab.__version__} with trainer {Settings.trainer_version}"


def num_workers(jobs: int | None, device: str = "auto", client: Client | None = None) -> int:
    """Return how many cells are worked on at a time: the workers' threads, or `jobs`, or what the device can take."""
    if client:
        return sum(client.nthreads().values())  # pyright: ignore[reportAttributeAccessIssue]
    if jobs is None:
        return cpu_count() if pick_device(device).type == "cpu" else 1
    if not 1 <= jobs <= MAX_JOBS:
        raise BumplabError(f"There are 1 to {MAX_JOBS:,} jobs at a time, got {quote(jobs)}.")
    return jobs


def run_tasks(
    work: Work,
    cells: Mapping[str, Any],
    known: Mapping[str, Outcome],
    jobs: int,
    client: Client | None = None,
    progress: bool = True,
    unit: str = "run",
) -> dict[str, Outcome]:
    """Do the work on every cell whose outcome is not known; return all outcomes by the cells' names.

    Parameters
    ----------
    work : callable
        Takes a cell and returns its outcome. It travels to other processes by pickle.
    cells, known : mapping
        Name to cell, and name to outcome; of more than these cells, too.
    jobs : int
        Cells at a time: processes with one thread each; 1 works here, with all threads.
    client : distributed.Client, optional
        Work on this cluster instead.
    progress : bool
        Show one bar over the whole, and errors as they come.
    unit : str
        What a cell is called.

    Raises
    ------
    Interrupted
        On Ctrl-C.
    """
    outcomes = dict(known)
    todo = {name: cell for name, cell in cells.items() if name not in known}
    fresh = _on_cluster(work, todo, client) if client else _on_processes(work, todo, jobs)
    hidden: dict[str, Any] = {} if progress else {"disable": True}  # TQDM_DISABLE in the environment hides it, too
    bar = tqdm(total=len(cells), initial=len(cells) - len(todo), unit=unit, dynamic_ncols=True, smoothing=0, **hidden)
    with bar:
        try:
            for name, outcome in fresh:
                outcomes[name] = outcome
                if progress and "error" in outcome:
                    bar.write(f"{unit} {name} failed: {outcome['error']}")
                bar.update()
        except KeyboardInterrupt:
            done = len(cells.keys() & outcomes.keys())
            raise Interrupted(
                f"Stopped after {done} of {len(cells)} {unit}s; the same call goes on from there."
            ) from None
    return outcomes


@contextmanager
def report_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise :class:`~bumplab.training.state.Interrupted` also where nothing catches it between two steps.

    Examples
    --------
    >>> try:
    ...     with report_interrupts():
    ...         raise KeyboardInterrupt
    ... except Interrupted as error:
    ...     print(error)
    Stopped; the same call goes on from there.
    """
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted("Stopped; the same call goes on from there.") from None


def failure(error: Exception) -> Outcome:
    """Return the outcome of a cell that an error has ended.

    Examples
    --------
    >>> failure(ValueError("no such bump"))
    {'status': 'failed', 'error': 'ValueError: no such bump'}
    """
    if isinstance(error, BumplabError):
        return _failed(str(error))
    if isinstance(error, MemoryError):
        return _failed("There is not enough memory here; use smaller settings or fewer jobs.")
    return _failed(f"{type(error).__name__}: {error}")


def _attempt(work: Work, cell: Any, threads: int | None, version: str | None = None) -> Outcome:
    """Do one cell; an error becomes its outcome, and so does another version of bumplab than the one needed."""
    if version not in (None, _version()):
        return _failed(f"The worker has {_version()} of bumplab: {version} is needed.")
    if threads:
        torch.set_num_threads(threads)
    try:
        return work(cell)
    except KeyboardInterrupt:  # Interrupted is a BumplabError, too
        raise
    except Exception as error:
        return failure(error)


def _failed(error: str) -> Outcome:
    return {"status": "failed", "error": error}


def _on_processes(work: Work, todo: dict[str, Any], jobs: int) -> Iterator[tuple[str, Outcome]]:
    """Yield name and outcome as cells finish.

    joblib gives up all cells when one of them takes its process down. The few that were under way then are done
    one at a time, which tells who it was; the others go on as before.
    """
    left, suspects = dict(todo), 0
    while left:
        names = list(left)[: suspects or None]
        with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1, idle_worker_timeout=IDLE_TIMEOUT):
            ahead: Any = 1 if suspects else "2 * n_jobs"
            pool: Any = Parallel(return_as="generator_unordered", batch_size=cast(Any, 1), pre_dispatch=ahead)
        attempt = delayed(partial(_named, work, threads=1 if jobs > 1 else None))
        try:
            for name, outcome in pool(attempt(name, todo[name]) for name in names):
                del left[name]
                yield name, outcome
            suspects = 0
        except BrokenProcessPool:
            if suspects:
                culprit = next(iter(left))
                del left[culprit]
                yield culprit, _failed(_DIED)
            suspects = 0 if suspects else 2 * jobs


def _named(work: Work, name: str, cell: Any, threads: int | None) -> tuple[str, Outcome]:
    return name, _attempt(work, cell, threads)


def _on_cluster(work: Work, todo: Mapping[str, Any], client: Client) -> Iterator[tuple[str, Outcome]]:
    """Yield name and outcome as cells finish.

    Not by joblib's bridge to Dask, which waits for ever when a cell takes its workers down (joblib 1.6).
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    attempt = partial(_attempt, work, threads=1, version=_version())  # of workers that come later, too
    names = dict(zip(client.map(attempt, todo.values(), pure=False), todo, strict=True))
    for future, result in as_completed(list(names), loop=client.loop, with_results=True, raise_errors=False):
        name = names.pop(future)  # a cluster does again what is asked for and was on a worker that died
        if future.status == "finished":
            yield name, result
        elif future.status == "error":
            _, error, _ = result
            yield name, _failed(_DIED if isinstance(error, KilledWorker) else f"{type(error).__name__}: {error}")
        else:
            raise BumplabError(f"The Dask scheduler is gone; the same call does the other {len(names) + 1} cells.")
