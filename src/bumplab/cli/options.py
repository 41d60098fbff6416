"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from bumplab.training.presets import PRESETS

PRESET_NAMES = ", ".join(PRESETS)

device_option = click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")
precision_option = click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
compile_option = click.option(
    "--compile/--no-compile",
    default=None,
    help="Compile the training step: some minutes once, then faster [on CUDA, where it pays].",
)
jobs_option = click.option(
    "--jobs", type=int, help="Runs or chapters at a time, one thread each [one for every core; 1 on a GPU]."
)
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A setting, e.g. world.sigma=0.8."
)
store_option = click.option(
    "--store", type=click.Path(path_type=Path), help="Folder for new runs instead of the user's cache."
)
