"""Draw the film on the landing page: a network of preset ``quick`` learns to put a bump where it is asked for.

Usage: ``python -m book._tools.film``. It draws with the recorded run's weights from each moment of its training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from bumplab import runs
from bumplab.chapters.catalogue import chapter_path
from bumplab.chapters.studies import study_of

TARGET = Path(__file__).resolve().parents[1] / "_static" / "learning.webp"
#: Pixels of the film for one of the model's, gap between pictures, and height of the line of words.
SCALE, GAP, LINE = 4, 8, 26
#: Where bumps are asked for, from the top.
ROWS = (9.0, 21.0, 13.0, 25.0, 6.0, 17.0)
COLUMNS = len(ROWS)
_INK, _MARK = (90, 90, 90), (213, 94, 0)


def draw_frame(images: torch.Tensor, mu: torch.Tensor, words: str) -> Image.Image:
    """Return a row of images (n, N, N), 0 to 1, each with a ring where the bump was asked for."""
    size = images.shape[-1] * SCALE
    frame = Image.new("RGB", (COLUMNS * (size + GAP) - GAP, size + LINE), "white")
    draw = ImageDraw.Draw(frame)
    draw.text((0, 2), words, fill=_INK, font=ImageFont.load_default(16))
    for k, (image, place) in enumerate(zip(images.sqrt().clamp(0, 1).mul(255).byte(), mu, strict=True)):
        left = k * (size + GAP)
        picture = Image.fromarray(image.numpy()).resize((size, size), Image.Resampling.NEAREST)
        frame.paste(picture.convert("RGB"), (left, LINE))
        x, y = (place + 0.5).mul(SCALE).tolist()
        draw.ellipse((left + x - 14, LINE + y - 14, left + x + 14, LINE + y + 14), outline=_MARK, width=2)
    return frame


def main() -> None:
    """Draw the film from the run in the open world that chapter 3 keeps whole."""
    study = study_of(chapter_path("03"))
    settings = next(each for each, kept in study.items() if kept == "all" and not each.world.periodic)
    run = runs.load_or_train(settings)
    world = settings.world
    mu = torch.stack([torch.linspace(5, world.size - 6, COLUMNS), torch.tensor(ROWS)], dim=1)
    frames = []
    for step in dict.fromkeys((*run.snapshots, settings.training.steps)):
        generator = torch.Generator().manual_seed(3)
        sampler = {"steps": settings.training.sampler_steps, "generator": generator}
        images = settings.diffusion.sample(run.model(step), mu, world.size, **sampler)
        frames.append(draw_frame(world.brightness(images).clamp(0, 1), mu, f"{step} steps of training"))
    times = np.array([700] + [350] * (len(frames) - 2) + [3000])
    options = {"save_all": True, "duration": times.tolist(), "loop": 1, "lossless": True, "quality": 100, "method": 6}
    frames[0].save(TARGET, append_images=frames[1:], **options)
    frames[-1].save(TARGET.with_name("learned.png"), optimize=True)
    print(f"{TARGET.name}: {len(frames)} frames, {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
