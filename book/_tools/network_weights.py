"""Write the networks that live in pages: their weights in half precision, each as a script, and stills.

Usage: ``python -m book._tools.network_weights``. The network of the landing page is the recorded run in the open world
that chapter 3 keeps whole, of preset ``quick``; those of chapter 5 are its first runs of three training sets.
``book/_static/network.js`` runs them. A script, unlike other data, can also be loaded by a page that is opened from a
disk.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bumplab import runs
from bumplab.chapters.catalogue import chapter_path
from bumplab.chapters.studies import study_of
from bumplab.runs.run import Run

STATIC = Path(__file__).resolve().parents[1] / "_static"
WEIGHTS, STILL = STATIC / "network-weights.js", STATIC / "network-still.png"
#: The place of the bump in the still; pixels of the still for one of the model's, and its gap.
PLACE, SCALE, GAP = (21.0, 10.0), 4, 8
#: What training showed the networks of chapter 5, in the order of its study; their files end in these words.
SETS = ("pairs", "stripes", "both")
#: The pair of the still of chapter 5, in pixels: a vertical stripe where no pair of the training had one.
PAIR = (16.0, 8.0)


def recorded_run() -> Run:
    """Return the run whose network lives in the page."""
    study = study_of(chapter_path("03"))
    return runs.load_or_train(next(each for each, kept in study.items() if kept == "all" and not each.world.periodic))


def runs_of_sets() -> dict[str, Run]:
    """Return by the name of a training set of chapter 5 the run whose network lives in its page."""
    kept = [settings for settings, what in study_of(chapter_path("05")).items() if what == "half"]
    return {name: runs.load_or_train(settings) for name, settings in zip(SETS, kept, strict=False)}


def path_for(path: Path, name: str) -> Path:
    """Return the path of a file of the landing page's network for that of a training set."""
    return path.with_stem(f"{path.stem}-{name}")


def hidden_pixels(run: Run) -> str:
    """Return for each pixel of the window, row after row, 1 where training did not show a pair and 0 where it did."""
    world = run.settings.world
    y, x = torch.meshgrid(*[torch.arange(world.size) + world.margin] * 2, indexing="ij")
    hidden = world.held_out.contains(torch.stack([x, y], -1).view(-1, 2), world.extent)
    return "".join("01"[int(each)] for each in hidden)


def in_javascript(run: Run) -> str:
    """Return a script that holds the run's weights, and what drawing with them takes.

    Convolutions are stored as (height, width, in, out) and linear layers as (in, out), so that the weights that one
    input has for all outputs lie beside each other.
    """
    settings = run.settings
    moments = settings.diffusion.sampling_timesteps(settings.training.sampler_steps).float()
    tensors = {
        name: tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T if tensor.ndim == 2 else tensor
        for name, tensor in run.model().state_dict().items()
    }
    data = np.concatenate([tensor.flatten().numpy().astype("<f2") for tensor in tensors.values()])
    header = {
        "size": settings.world.size,
        "patch": settings.model.patch,
        "encoding": {"length": settings.model.encoding, "base": settings.model.base},
        "mu_frequency": settings.model.mu_frequency,
        "timesteps": moments.tolist(),
        "log_alpha_bar": settings.diffusion.log_alpha_bar(moments).flatten().tolist(),
        "shapes": {name: list(tensor.shape) for name, tensor in tensors.items()},
        "data": base64.b64encode(data.tobytes()).decode(),
    }
    if settings.world.margin:
        header |= {"margin": settings.world.margin, "hidden": hidden_pixels(run)}
    return f"window.bumplabWeights = {json.dumps(header, separators=(',', ':'))};\n"


def draw_still(run: Run, place: tuple[float, float] = PLACE) -> Image.Image:
    """Return the steps of a drawing from left to right: above, the noisy image; below, what the network makes of it."""
    settings = run.settings
    size, steps = settings.world.size, settings.training.sampler_steps
    x = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(3))
    columns = []
    mu = torch.tensor([place]) + settings.world.margin
    for after, x0 in settings.diffusion.sample_trajectory(run.model(), mu, size, steps, noise=x):
        columns.append((x, x0))
        x = after
    cell = size * SCALE
    still = Image.new("RGB", (steps * (cell + GAP) - GAP, 2 * cell + GAP), "white")
    for k, (noisy, clean) in enumerate(columns):
        for row, grey in enumerate([noisy[0, 0] / 4 + 0.5, settings.world.brightness(clean)[0].clamp(0, 1).sqrt()]):
            picture = Image.fromarray(grey.clamp(0, 1).mul(255).byte().numpy()).convert("RGB")
            enlarged = picture.resize((cell, cell), Image.Resampling.NEAREST)
            still.paste(enlarged, (k * (cell + GAP), row * (cell + GAP)))
    return still


def main() -> None:
    """Write all files."""
    run, sets = recorded_run(), runs_of_sets()
    scripts = {WEIGHTS: in_javascript(run)}
    scripts |= {path_for(WEIGHTS, name): in_javascript(each) for name, each in sets.items()}
    for path, script in scripts.items():
        path.write_text(script, encoding="utf-8", newline="\n")
    draw_still(run).save(STILL, optimize=True)
    draw_still(sets["pairs"], PAIR).save(path_for(STILL, "pairs"), optimize=True)
    for path in (*scripts, STILL, path_for(STILL, "pairs")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
