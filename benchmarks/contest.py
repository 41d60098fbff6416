"""Train one contestant until it places the bumps or its time is up, measuring as it goes."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import torch
from tqdm import tqdm

from bumplab.analysis.accuracy import score_images
from bumplab.chapters.benchmarks import TARGET_ACCURACY
from bumplab.worlds.bumps import subsample_evenly
from peers import BATCH, CONTESTANTS, QUICK, SAMPLER_STEPS, WORLD

#: Seconds of training until the first measurement, and least between two.
EVERY = 5.0


def peak_gib() -> float:
    """Return the largest memory that this process has held so far, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def contest(name: str, seed: int, cap: float) -> dict[str, Any]:
    """Train the contestant `name` to the target or for `cap` seconds; return what it took.

    Measurements of accuracy are no part of the seconds. One falls due when training has taken a tenth longer than at
    the last one, and at least as long as the last one itself took: so the time to the target is known to a tenth
    where drawing images is cheap, and drawing never takes longer than training.
    """
    entry = CONTESTANTS[name]
    contestant = entry.make(seed)
    mu = subsample_evenly(WORLD.lattice(), QUICK.training.evaluate_on)
    curve: list[dict[str, Any]] = []
    step, seconds, due, losses = 0, 0.0, EVERY, []
    form = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of training{postfix}"
    with tqdm(total=cap, desc=name, bar_format=form, dynamic_ncols=True) as bar:
        while seconds < cap and not (curve and curve[-1]["accuracy"] >= TARGET_ACCURACY):
            begun = time.perf_counter()
            losses.append(contestant.step())
            took = time.perf_counter() - begun
            step, seconds = step + 1, seconds + took
            bar.update(min(took, cap - bar.n))
            if seconds >= min(due, cap):
                begun = time.perf_counter()
                curve.append(
                    {"seconds": seconds, "step": step, "loss": sum(losses) / len(losses), **score(contestant, mu)}
                )
                due = seconds + max(EVERY, seconds / 10, time.perf_counter() - begun)
                losses.clear()
                bar.set_postfix_str(f"accuracy {curve[-1]['accuracy']:.2f}, {step * BATCH / seconds:.0f} images/s")
    return {
        "library": contestant.library,
        "words": entry.words,
        "parameters": contestant.parameters,
        "seed": seed,
        "cap": cap,
        "sampler_steps": SAMPLER_STEPS,
        "measured_on": len(mu),
        "seconds": seconds,
        "images_per_second": step * BATCH / seconds,
        "peak_gib": peak_gib(),
        "curve": curve,
    }


def score(contestant, mu: torch.Tensor) -> dict[str, Any]:
    """Draw one image for each condition `mu` (n, 2); return joint accuracy and the share of each category."""
    with torch.random.fork_rng(devices=[]):  # the same noise each time, and training goes on as if undisturbed
        torch.manual_seed(0)
        images = contestant.sample(mu)
    result = score_images(images, mu, WORLD)
    return {"accuracy": result.accuracy().value, "shares": result.category_rates()}
