"""Preset ``quick``, measured: seconds of training, joint accuracy over all conditions, peak memory.

Each seed trains in a process of its own into a temporary store, so that peak memory is that of one run.
Run on an idle machine: ``make bench``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import torch

from bumplab import runs
from bumplab.settings import preset


def one(seed: int) -> None:
    """Train one seed and print what it took, as JSON."""
    with tempfile.TemporaryDirectory() as store:
        run = runs.load_or_train(preset("quick", seed=seed), retrain=True, store=Path(store), progress=False)
        reached = [e["step"] for e in run.history["accuracy"] if e["seen"]["joint"] >= 0.95]
    seconds, steps = run.provenance["seconds"], run.settings.training.steps
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    print(
        json.dumps(
            {
                "seed": seed,
                "seconds": seconds,
                "to_95": seconds * reached[0] / steps if reached else float("nan"),
                "accuracy": run.accuracy["seen"]["joint"],
                "images_per_second": steps * run.settings.training.batch / seconds,
                "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30,
            }
        )
    )


@click.command()
@click.option("--seeds", default=3, show_default=True, help="Number of seeds, from 0.")
@click.option("--one", "single", type=int, hidden=True)
def main(seeds: int, single: int | None) -> None:
    """Measure the quick preset and print a table."""
    if single is not None:
        return one(single)
    print(f"preset quick, {torch.get_num_threads()} threads on {os.cpu_count()} cores, torch {torch.__version__}")
    print("seed  training (s)  to 0.95 (s)  images/s  joint accuracy  peak memory (GiB)")
    good = True
    for seed in range(seeds):
        command = [sys.executable, __file__, "--one", str(seed)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        good &= row["accuracy"] >= 0.99
        print(
            f"{seed:4d}  {row['seconds']:12.1f}  {row['to_95']:11.1f}  {row['images_per_second']:8.0f}"
            f"  {row['accuracy']:14.4f}  {row['peak_gib']:17.2f}"
        )
    print(f"joint accuracy at least 0.99 for every seed: {good}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
