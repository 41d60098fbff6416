"""``python benchmarks/gpu.py``: how fast a GPU trains, and whether a member of an ensemble is a run of its own.

It needs less than four minutes on an H100; what would go beyond is named as not measured. ``--device cpu --preset
smoke`` rehearses it where there is no GPU, with short runs and nothing compiled: those numbers mean nothing.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import torch

from bench import machine
from bumplab.chapters.benchmarks import GPU_LIMIT, Timing, timing_table
from bumplab.common.errors import BumplabError, shorten
from bumplab.common.exits import exit_code
from bumplab.common.files import atomic_write
from bumplab.runs import ensembles
from bumplab.runs.ensembles import load_or_train_ensemble
from bumplab.runs.run import Run
from bumplab.runs.store import load_or_train
from bumplab.training import compilation
from bumplab.training.device import device_name, pick_device, pick_precision, warn_of_emulation
from bumplab.training.ensembles import Ensemble
from bumplab.training.loop import run_loop, training_steps
from bumplab.training.settings import Settings, preset
from bumplab.training.state import TrainState, init_state
from contest import peak_gib

#: Seeds start here: no recorded run has them.
FIRST_SEED = 1000
#: Steps after which a member is compared with the run trained alone.
COMPARED_STEPS = 5
#: Most mean difference (root of the mean square) of a weight then, as a share of the mean change of one: rounding.
#: AdamW makes whole steps of gradients that are nothing but rounding, so that single weights may differ by more.
ROUNDING = {"fp32": 0.05, "bf16": 0.2}
#: Times as fast as single runs one after another that an ensemble of 128 has to be.
LEAST_GAIN = 60


@dataclass
class Bench:
    """What is measured, and what one part leaves for the next."""

    device: torch.device
    small: Settings
    large: Settings
    members: int
    timed_seconds: float  # of each timing of steps
    rehearsal: bool
    names: tuple[str, str] = ("quick", "paper")
    found: dict[str, float] = field(default_factory=dict)

    def target(self, value: float) -> float | None:
        """Return a target, which only a GPU with the whole networks has."""
        return None if self.rehearsal else value


class TimeUp(BaseException):
    """The time of a part is over; no exception, so that nothing on the way takes it for a failure of its own."""


def single(bench: Bench) -> Iterator[Timing]:
    """Train the small network once, as every user does; a run of one step before it wakes the device up."""
    name, precision = bench.names[0], pick_precision(bench.device)
    brief = bench.small.replace(training={"steps": 1, "snapshots": (), "evaluate_every": 0})
    with tempfile.TemporaryDirectory() as store:
        load_or_train(brief, True, Path(store), str(bench.device), precision, False)
        begun = time.perf_counter()
        run = load_or_train(bench.small, True, Path(store), str(bench.device), precision, False)
        whole = time.perf_counter() - begun
    bench.found["single"] = run.provenance["seconds"]
    yield Timing(f"{name}, one run", precision, run.provenance["seconds"], "s", bench.target(2))
    yield Timing(f"{name}, one run with its measurements and its file", precision, whole, "s")
    yield Timing(f"{name}, joint accuracy", precision, run.scalars["seen"]["joint"], "", bench.target(0.99), True)


def half(bench: Bench) -> Iterator[Timing]:
    """Train the small network in fp16, whose loss is scaled, also where the device has bf16."""
    with tempfile.TemporaryDirectory() as store:
        run = load_or_train(bench.small, True, Path(store), str(bench.device), "fp16", False)
    yield Timing(f"{bench.names[0]}, one run", "fp16", run.provenance["seconds"], "s")
    accuracy = run.scalars["seen"]["joint"]
    yield Timing(f"{bench.names[0]}, joint accuracy", "fp16", accuracy, "", bench.target(0.99), True)


def ensemble(bench: Bench) -> Iterator[Timing]:
    """Train many small networks as one."""
    name = f"{bench.members} runs of {bench.names[0]} as one"
    settings = [bench.small.replace(seed=FIRST_SEED + k) for k in range(bench.members)]
    begin_peak(bench.device)
    seconds = 0.0  # of training; the shares that the runs record are rounded

    def timed(states: Sequence[TrainState], *rest: Any) -> None:
        nonlocal seconds
        run_loop(states, *rest)
        seconds += sum(state.seconds for state in states)

    with tempfile.TemporaryDirectory() as store, patch.object(ensembles, "run_loop", timed):
        begun = time.perf_counter()
        found = load_or_train_ensemble(settings, Path(store), str(bench.device), progress=False)
        whole = time.perf_counter() - begun
    runs = [run for run in found.values() if isinstance(run, Run)]
    if len(runs) < bench.members:
        raise BumplabError(f"{len(runs)} of {bench.members} were trained: {next(iter(found.values()), 'none began')}")
    precision = runs[0].provenance["precision"]
    yield Timing(name, precision, seconds, "s", bench.target(15))
    if "single" in bench.found:
        gain = bench.members * bench.found["single"] / seconds
        what = f"{name}: times as fast as one after another"
        yield Timing(what, precision, gain, "", bench.target(LEAST_GAIN), True)
    yield Timing(f"{name}, with measurements and files", precision, whole, "s")
    yield Timing(f"{name}: peak memory", precision, peak(bench.device), "GiB")


def graph(bench: Bench) -> Iterator[Timing]:
    """Time steps of the small network one operation after another, and as one graph where the device has that."""
    name, precision = bench.names[0], pick_precision(bench.device)
    seconds = []
    for switch in ("0", "1"):
        with patch.dict(os.environ, BUMPLAB_GRAPH=switch):
            seconds.append(time_steps(bench, bench.small, precision, False)[0])
    plain, recorded = seconds
    yield Timing(f"{name}, a step without a graph", precision, 1000 * plain, "ms")
    yield Timing(f"{name}, a step as a graph", precision, 1000 * recorded, "ms")
    yield Timing(f"{name}, without a graph against with one", precision, plain / recorded, "times as long")


def large(bench: Bench) -> Iterator[Timing]:
    """Time steps of the large network as they are."""
    name, precision = bench.names[1], pick_precision(bench.device)
    step, memory, _ = time_steps(bench, bench.large, precision, False)
    yield Timing(f"{name}, a step", precision, 1000 * step, "ms", bench.target(10))
    yield Timing(f"{name}: peak memory", precision, memory, "GiB")


def compiled(bench: Bench) -> Iterator[Timing]:
    """Compile steps of the large network, and time them."""
    name, precision = bench.names[1], pick_precision(bench.device)
    with patch.object(compilation, "BACKEND", "eager") if bench.rehearsal else nullcontext():
        step, memory, state = time_steps(bench, bench.large, precision, True)
    if state.execution != "compiled":
        raise BumplabError("There is no compiler that works here, see above")
    yield Timing(f"{name} compiled, a step", precision, 1000 * step, "ms", bench.target(6))
    yield Timing(f"{name} compiled: before the first step", precision, bench.found["prepared"], "s")
    yield Timing(f"{name} compiled: peak memory", precision, memory, "GiB")


def members(precision: str) -> Callable[[Bench], Iterator[Timing]]:
    """Return what compares the weights of a member with those of the run trained alone."""

    def compare(bench: Bench) -> Iterator[Timing]:
        if not bench.rehearsal and (slow := warn_of_emulation(bench.device, precision)):
            raise BumplabError(slow)
        both = [bench.small.replace(seed=FIRST_SEED + k) for k in range(2)]
        together = Ensemble([init_state(each, str(bench.device), precision) for each in both])
        alone, begin = (init_state(both[1], str(bench.device), precision) for _ in range(2))
        for _, _, _ in zip(range(COMPARED_STEPS), together.steps(False), training_steps(alone, False), strict=False):
            pass
        moved, apart = changes(begin, alone), changes(together.states[1], alone)
        what, unit = f"a member against the run alone, {COMPARED_STEPS} steps", "of the mean change"
        share = apart.square().mean().sqrt() / moved.square().mean().sqrt()
        yield Timing(f"{what}: mean difference of a weight", precision, share.item(), unit, ROUNDING[precision])
        yield Timing(f"{what}: largest difference of a weight", precision, apart.max().item(), "")

    return compare


def changes(one: TrainState, other: TrainState) -> torch.Tensor:
    """Return how far each weight of one lies from that of the other."""
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return torch.cat([(a - b).detach().abs().flatten() for a, b in pairs])


#: Name, seconds that it may take on an H100, and what is measured; what matters most comes first, the compiler last.
PARTS: tuple[tuple[str, float, Callable[[Bench], Iterator[Timing]]], ...] = (
    ("single", 15, single),
    ("ensemble", 40, ensemble),
    ("large", 15, large),
    ("members fp32", 10, members("fp32")),
    ("members bf16", 10, members("bf16")),
    ("graph", 15, graph),
    ("fp16", 10, half),
    ("compiled", 110, compiled),
)


def time_steps(bench: Bench, settings: Settings, precision: str, compile: bool) -> tuple[float, float, TrainState]:
    """Return the seconds of a step, the peak memory in GiB, and the state; without measurements of accuracy."""
    begin_peak(bench.device)
    state = init_state(settings.replace(training={"steps": 10**8, "snapshots": ()}), str(bench.device), precision)
    begun = time.perf_counter()
    steps = training_steps(state, compile)
    bench.found["prepared"] = time.perf_counter() - begun
    next(steps)
    float(state.loss_sum)  # waits for the device
    begun, first = time.perf_counter(), state.step
    while time.perf_counter() < begun + bench.timed_seconds:
        for _, _ in zip(range(5), steps, strict=False):
            pass
        float(state.loss_sum)
    return (time.perf_counter() - begun) / (state.step - first), peak(bench.device), state


def begin_peak(device: torch.device) -> None:
    """Forget the peak of what was measured before."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: torch.device) -> float:
    """Return the most memory that was held, in GiB: on a GPU since :func:`begin_peak`, else by this process ever."""
    return torch.cuda.max_memory_reserved(device) / 2**30 if device.type == "cuda" else peak_gib()


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise :class:`TimeUp` after some seconds."""

    def stop(number: int, frame: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def measure(bench: Bench, limit: float) -> Iterator[Timing]:
    """Measure one part after another; what fails, or would end after `limit` seconds, says why it is not measured."""
    begun = time.perf_counter()
    for name, expected, part in PARTS:
        left = limit - (time.perf_counter() - begun)
        rows: list[Timing] = []
        try:
            if left < (0 if bench.rehearsal else expected):
                raise TimeUp
            with at_most(left):
                rows.extend(part(bench))
            yield from rows
        except TimeUp:
            yield Timing(name, "", None, "", reason=f"It would go beyond {limit:.0f} seconds")
        except KeyboardInterrupt:
            raise
        except Exception as error:  # whatever it is, the other parts are measured
            kind = "" if isinstance(error, (BumplabError, RuntimeError)) else f"{type(error).__name__}: "
            reason = shorten(" ".join(f"{kind}{error}".split()), 160).rstrip(".")
            yield Timing(name, "", None, "", reason=reason)


@click.command()
@click.option("--device", default="cuda", show_default=True, help="What is measured; cpu needs --preset smoke.")
@click.option("--preset", "name", help="Rehearse with this preset in the place of quick and paper: without targets.")
@click.option("--limit", default=GPU_LIMIT, show_default=True, help="Seconds that all of it may take.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the results to this file, too, as JSON.")
def main(device: str, name: str | None, limit: float, out: Path | None) -> None:
    """Measure how fast a GPU trains, print a table, and exit with code 1 where a target is missed."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BumplabError(
            "There is no CUDA device here, and so nothing to measure; --device cpu --preset smoke rehearses the script."
        )
    place = pick_device(device)
    if place.type != "cuda" and not name:
        raise BumplabError("Targets are those of a GPU: name a preset to rehearse with, such as --preset smoke.")
    small, large = (preset(name or whole, seed=FIRST_SEED) for whole in ("quick", "paper"))
    names = (name, name) if name else ("quick", "paper")
    if name:
        short = {"steps": 20, "snapshots": (), "evaluate_every": 10}
        small, large = (each.replace(training=short) for each in (small, large))
    bench = Bench(place, small, large, *((3, 0.1) if name else (128, 2.0)), rehearsal=bool(name), names=names)
    where = machine() | {"device": device_name(place), "precision": pick_precision(place)}
    begun, rows = time.perf_counter(), []
    for row in measure(bench, limit):
        rows.append(row)
        click.echo(f"{row.what}: {row.measured}", err=True)  # the table comes at the end
        if out:  # whatever happens later
            seconds = round(time.perf_counter() - begun, 1)
            content = {"machine": where, "rehearsal": bench.rehearsal, "seconds": seconds}
            atomic_write(out, json.dumps({**content, "rows": [row.to_record() for row in rows]}, indent=1) + "\n")
    click.echo(f"{where['device']}, torch {where['torch']}, precision {where['precision']}, {where['date']}")
    if bench.rehearsal:
        click.echo("A rehearsal: these numbers say nothing about a GPU.")
    click.echo(timing_table([row.to_record() for row in rows]).to_string(index=False))
    for row in rows:
        if row.reason:
            click.echo(f"{row.what} is not measured. {row.reason}.")
    click.echo(f"{time.perf_counter() - begun:.0f} seconds")
    sys.exit(1 if any(row.met is False for row in rows) else 0)


if __name__ == "__main__":
    sys.exit(exit_code(main))
