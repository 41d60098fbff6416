"""Preset ``quick``, measured: training, sampling in few steps, and runs per hour of a sweep."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from bumplab.analysis.accuracy import score_images
from bumplab.common.errors import BumplabError
from bumplab.runs.run import Run
from bumplab.runs.store import load_or_train
from bumplab.runs.sweep import sweep_settings
from bumplab.training.settings import preset
from contest import peak_gib

#: Numbers of DDIM steps at which the trained model is judged.
SAMPLER_STEPS = (1, 2, 3, 5, 10, 20, 50)
#: Seeds of a sweep start here: no recorded run has them.
FIRST_SEED = 1000


def quick(seed: int) -> dict[str, Any]:
    """Train preset quick to its end, the way every user does; return what it took and how well it samples."""
    with tempfile.TemporaryDirectory() as store:
        run = load_or_train(preset("quick", seed=seed), retrain=True, store=Path(store))
        peak = peak_gib()
        training, seconds = run.settings.training, run.provenance["seconds"]
        curve = [
            {"seconds": seconds * entry["step"] / training.steps, "step": entry["step"],
             "loss": loss_at(run, entry["step"]), "accuracy": entry["seen"]["joint"],
             "shares": {name: entry["seen"][name] for name in ("none", "several", "misplaced", "right")}}
            for entry in run.history["accuracy"]
        ]  # fmt: skip
        return {
            "library": f"bumplab {run.provenance['bumplab']}",
            "words": "preset quick",
            "parameters": run.model().size(),
            "seed": seed,
            "sampler_steps": training.sampler_steps,
            "measured_on": training.evaluate_on,
            "seconds": seconds,
            "images_per_second": training.steps * training.batch / seconds,
            "peak_gib": peak,
            "accuracy": run.accuracy["seen"]["joint"],
            "curve": curve,
            "sampling": [sampling(run, steps) for steps in SAMPLER_STEPS],
        }


def loss_at(run: Run, step: int) -> float:
    """Return the last mean loss logged at or before `step`."""
    return [loss for at, loss in run.history["loss"] if at <= step][-1]


def sampling(run: Run, steps: int) -> dict[str, float]:
    """Return joint accuracy over the whole lattice, and seconds, with this number of DDIM steps."""
    world, diffusion, model = run.settings.world, run.settings.diffusion, run.model()
    mu = world.lattice()
    diffusion.sample(model, mu, world.size, 1)  # the first call of a network is slow
    generator = torch.Generator().manual_seed(0)
    begun = time.perf_counter()
    images = diffusion.sample(model, mu, world.size, steps, generator=generator)
    seconds = time.perf_counter() - begun
    accuracy = score_images(images, mu, world).accuracy().value
    return {"steps": steps, "accuracy": accuracy, "seconds": seconds, "images": len(images)}


def sweep(jobs: int, count: int) -> dict[str, Any]:
    """Train `count` runs of preset quick on the CPU, `jobs` at a time, into an empty store: how many an hour makes."""
    wanted = [preset("quick", seed=FIRST_SEED + k) for k in range(count)]
    with tempfile.TemporaryDirectory() as store:
        begun = time.perf_counter()
        table = sweep_settings(wanted, jobs=jobs, store=Path(store), device="cpu")
        seconds = time.perf_counter() - begun
    if not (table["status"] == "trained").all():
        raise BumplabError(f"A sweep did not train every run: {table['status'].value_counts().to_dict()}.")
    return {"device": "cpu", "jobs": jobs, "threads": int(table["threads"].iloc[0]), "runs": count,
            "seconds": seconds, "runs_per_hour": 3600 * count / seconds}  # fmt: skip
