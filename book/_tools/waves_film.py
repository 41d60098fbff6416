"""Draw the film of chapter 13: a linear denoiser, a perceptron and a UNet learn, all from the same noise.

Usage: ``python -m book._tools.waves_film``. The first is exact theory; the networks train anew, in a minute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from bumplab import diffusion, toys

TARGET = Path(__file__).resolve().parents[1] / "_static" / "waves.webp"
#: Pixels of the film for one of the images', gap between images, height of a line of words, images in a row.
SCALE, GAP, LINE, COLUMNS = 4, 6, 22, 6
FRAMES = 12
_INK = (90, 90, 90)


def draw_row(images: torch.Tensor, words: str) -> Image.Image:
    """Return images (n, 1, N, N), black at -1 and white at 1, in a row under a line of words."""
    size = images.shape[-1] * SCALE
    row = Image.new("RGB", (len(images) * (size + GAP) - GAP, size + LINE), "white")
    ImageDraw.Draw(row).text((0, 1), words, fill=_INK, font=ImageFont.load_default(14))
    levels = ((images[:, 0] + 1) / 2).clamp(0, 1).sqrt().mul(255).byte()
    for k, image in enumerate(levels):
        picture = Image.fromarray(image.numpy()).resize((size, size), Image.Resampling.NEAREST)
        row.paste(picture.convert("RGB"), (k * (size + GAP), LINE))
    return row


def network_rows(name: str, settings: toys.DenoisingSettings, first: int, noise: torch.Tensor) -> list[Image.Image]:
    """Return what a network draws at moments evenly spaced on a logarithmic scale from step `first` to the last."""
    steps = np.geomspace(first, settings.steps, FRAMES).round().astype(int).tolist()
    state = toys.train_toy(settings.replace(snapshots=tuple(steps[:-1]), measurements=1), "cpu", progress=False)
    weights = state.snapshots | {settings.steps: state.weights}
    return [draw_row(settings.generate(weights[step], noise), f"{name}, step {step}") for step in steps]


def linear_rows(settings: toys.DenoisingSettings, noise: torch.Tensor) -> list[Image.Image]:
    """Return what exact linear denoisers draw through their training."""
    mean, law = torch.full((1, *noise.shape[2:]), settings.mean), diffusion.VariancePreserving()
    rows = []
    for time in np.geomspace(0.5, 20_000, FRAMES):
        theory = diffusion.LinearDenoiser(mean, settings.spectrum, law, float(time))
        network = diffusion.as_network(theory, settings.diffusion)
        grid = settings.generator_timesteps()
        x = noise
        for t, s in zip(grid[:-1], grid[1:], strict=True):
            here, there = (torch.full((len(x),), each) for each in (t, s))
            x, _ = settings.diffusion.step(network(x, here, here), x, here, there, 0.0, clip=False)
        rows.append(draw_row(x, f"linear theory, time {time:.3g}"))
    return rows


def main() -> None:
    """Draw film and still."""
    mlp = toys.DenoisingSettings(steps=2000, batch=128)
    unet = mlp.replace(network={"kind": "unet", "patch": 2}, batch=64, learning_rate=2e-3, steps=400)
    noise = torch.randn(COLUMNS, 1, 16, 16, generator=torch.Generator().manual_seed(5))
    columns = [linear_rows(mlp, noise), network_rows("MLP", mlp, 150, noise), network_rows("UNet", unet, 8, noise)]
    frames = []
    for rows in zip(*columns, strict=True):
        frame = Image.new("RGB", (rows[0].width, sum(row.height + GAP for row in rows)), "white")
        for k, row in enumerate(rows):
            frame.paste(row, (0, k * (row.height + GAP)))
        frames.append(frame)
    times = [900] + [500] * (FRAMES - 2) + [3000]
    options = {"save_all": True, "duration": times, "loop": 1, "lossless": True, "quality": 100, "method": 6}
    frames[0].save(TARGET, append_images=frames[1:], **options)
    frames[FRAMES // 2].save(TARGET.with_suffix(".png"), optimize=True)
    print(f"{TARGET.name}: {len(frames)} frames, {frames[0].size}, {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
