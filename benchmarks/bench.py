"""``make bench``: preset quick against two libraries on the same images, and how far it goes on one machine.

Every part runs in a process of its own, one after another, and leaves one JSON file in the folder of results; a part
whose file is there is not measured again. Run on an idle machine. The page ``benchmarks`` of the book shows the
results recorded with it, or those of a folder.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import psutil
import torch

from bumplab.chapters.benchmarks import median_time, read_results, time_to
from bumplab.common.exits import exit_code
from bumplab.common.files import atomic_write

PEERS = ("denoising-diffusion-pytorch", "ema-pytorch", "diffusers")
#: The accuracy over the whole lattice that every seed of preset quick must reach.
LEAST = 0.99


def parts(seeds: int, count: int, cap: float) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is measured, by name and in order: a new part is a function that returns its result."""
    import percolation

    import contest
    import ours
    import peers

    return {
        **{f"ours-{seed}": lambda seed=seed: ours.quick(seed) for seed in range(seeds)},
        **{name: lambda name=name: contest.contest(name, 0, cap) for name in peers.CONTESTANTS},
        **{f"sweep-{jobs}": lambda jobs=jobs: ours.sweep(jobs, count) for jobs in (1, 2)},
        "percolation": percolation.measure,
    }


def machine() -> dict[str, Any]:
    """Return where and when this is measured, and with what."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "libraries": {name: found for name in PEERS if (found := installed(name))},
        "date": datetime.now(UTC).date().isoformat(),
    }


def processor() -> str:
    """Return the model of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def measure(name: str, seeds: int, runs: int, cap: float, out: Path) -> None:
    """Measure one part here and write its file; ``others`` says how many cores other processes kept busy."""
    what = parts(seeds, runs, cap)[name]
    begun, all_before, ours_before = time.perf_counter(), *cpu_seconds()
    found = what()
    all_after, ours_after = cpu_seconds()
    others = (all_after - all_before - ours_after + ours_before) / (time.perf_counter() - begun)
    where = machine() | {"others": round(max(0.0, others), 2)}
    atomic_write(out / f"{name}.json", json.dumps({"machine": where, **found}, indent=1) + "\n")


def cpu_seconds() -> tuple[float, float]:
    """Return the seconds that the processor has worked, for everybody and for this process and its children."""
    everybody, process = psutil.cpu_times(), psutil.Process()
    used = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return everybody.user + everybody.system, sum(times.user + times.system for times in used)


def summary(found: dict[str, dict[str, Any]]) -> str:
    """Return the results of the trainings, of the sweeps and of percolation as text."""
    ours = [time_to(entry["curve"]) for entry in found.values() if "sampling" in entry]
    lines = [f"{'':30s} {'parameters':>10s} {'images/s':>8s} {'GiB':>5s} {'accuracy':>8s} {'s to 0.95':>13s}  of ours"]
    for name, entry in found.items():
        if "curve" in entry:
            needed, last = time_to(entry["curve"]), entry["curve"][-1]["accuracy"]
            lines.append(
                f"{name:30s} {entry['parameters']:10,d} {entry['images_per_second']:8.0f} {entry['peak_gib']:5.2f} "
                f"{last:8.3f} {needed!s:>13s}  {needed.ratio_to(median_time(ours)) if len(ours) % 2 else ''}"
            )
        if "runs_per_hour" in entry:
            lines.append(f"{name}: {entry['threads']} threads a run, {entry['runs_per_hour']:.0f} runs per hour")
        for row in entry.get("race", ()):
            lines.append(f"{name}: {row['times']:.0f} times as fast as {row['rival']}, {row['neighbours']} neighbours")
    return "\n".join(lines)


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("_build/bench"), show_default=True, help="Folder of results."
)
@click.option("--only", multiple=True, metavar="NAME", help="Measure this part alone; may be given several times.")
@click.option("--fresh", is_flag=True, help="Measure again what is there.")
@click.option(
    "--cap", default=300.0, show_default=True, help="Seconds of training for a contestant that does not get there."
)
@click.option("--seeds", default=3, show_default=True, help="Seeds of preset quick, from 0.")
@click.option("--runs", default=24, show_default=True, help="Runs of each sweep.")
@click.option("--threads", default=2, show_default=True, help="Threads of every training.")
@click.option("--here", hidden=True, help="Measure this part in this process.")
def main(out, only, fresh, cap, seeds, runs, threads, here) -> None:
    """Measure what has no result yet, one process after another, and print a table."""
    if here:
        torch.set_num_threads(threads)
        return measure(here, seeds, runs, cap, out)
    wanted = list(parts(seeds, runs, cap))
    if unknown := set(only) - set(wanted):
        raise click.BadParameter(f"there is no {unknown.pop()!r}; there are {', '.join(wanted)}", param_hint="--only")
    for name in only or wanted:
        if fresh or not (out / f"{name}.json").exists():
            options = {"here": name, "out": out, "cap": cap, "seeds": seeds, "runs": runs, "threads": threads}
            command = [sys.executable, __file__, *(f"--{key}={value}" for key, value in options.items())]
            with tempfile.TemporaryDirectory() as store:  # no run of the user's may stand in for one of these
                extra = {"OMP_NUM_THREADS": str(threads), "BUMPLAB_STORE": store, "PYTHONWARNINGS": "ignore"}
                subprocess.run(command, check=True, env=os.environ | extra)
    found = read_results(out)
    print(summary(found))
    low = [name for name, entry in found.items() if entry.get("accuracy", 1) < LEAST]
    if low:
        raise click.ClickException(f"Preset quick stays below {LEAST} over the whole lattice: {', '.join(low)}.")


if __name__ == "__main__":
    sys.exit(exit_code(main))
