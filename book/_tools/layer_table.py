"""Record the holes of every layer, and how well places are read out of it: ``python -m book._tools.layer_table``.

Chapter 10 reads ``book/results/layers/layers.json`` and measures itself only what is not in it. What is there already
is kept, so this can be stopped and goes on; delete the file to measure all networks again. It takes about a quarter of
a minute of one idle core for each network.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bumplab import analysis, runs, training
from bumplab.chapters.catalogue import chapter_path
from bumplab.chapters.studies import study_of
from bumplab.common.files import atomic_write
from bumplab.models.unet import UNet

TABLE = Path(__file__).resolve().parents[1] / "results" / "layers" / "layers.json"
LAYERS = UNet.layer_names[1:-1]  # the stem hears no condition


def networks() -> Iterator[tuple[str, training.Settings, UNet]]:
    """Yield the networks of chapter 10, each trained and with its initial weights: key, settings, network."""
    study = study_of(chapter_path("10"))
    for settings in study:
        yield settings.id, settings, runs.load_or_train(settings).model()
    for settings in study:
        if settings.world.periodic and settings.seed == 0:
            yield f"{settings.id}, untrained", settings, training.init_state(settings, "cpu").ema_model


def measure(settings: training.Settings, model: UNet, layers: tuple[str, ...] = LAYERS) -> dict[str, dict[str, Any]]:
    """Return the measures of layers, read at t = 0 as in the chapter, with four digits."""
    look: dict[str, Any] = {"steps": 3} if settings.diffusion.prediction_type == "x0" else {"images": "true"}
    codes = analysis.lattice_activations(model, settings.world, settings.diffusion, layers, t=0.0, **look)
    table = {}
    for name, code in codes.items():
        found = asdict(analysis.holes_and_places(code, settings.world))
        table[name] = found | {key: round(found[key], 4) for key in ("pairs", "values")}
    return table


def read() -> dict[str, Any]:
    """Return what is recorded: where it was measured, and for each network its layers."""
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {"networks": {}}


def main() -> None:
    """Measure what is missing."""
    content = read()
    content["machine"] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    for key, settings, model in networks():
        if key not in content["networks"]:
            content["networks"][key] = measure(settings, model)
            rows = (f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in content["networks"].items())
            body = ",\n".join(rows)
            text = f'{{\n "machine": {json.dumps(content["machine"])},\n "networks": {{\n{body}\n }}\n}}\n'
            atomic_write(TABLE, text)
            print(key, flush=True)


if __name__ == "__main__":
    main()
