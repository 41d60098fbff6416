"""``bumplab train``: one run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bumplab.cli.options import (
    PRESET_NAMES,
    compile_option,
    device_option,
    precision_option,
    set_option,
    store_option,
)
from bumplab.common.parsing import parse_assignments


@click.command()
@click.option("--preset", "name", default="quick", show_default=True, help=f"One of {PRESET_NAMES}.")
@set_option
@click.option("--retrain", is_flag=True, help="Train afresh even if the run is known.")
@store_option
@device_option
@precision_option
@compile_option
@click.option("--dry-run", is_flag=True, help="Show the settings and the run's id; train nothing.")
def train(
    name: str, assignments: tuple[str, ...], retrain: bool, store: Path, device: str, precision: str,
    compile: bool | None, dry_run: bool,
) -> None:  # fmt: skip
    """Train one run, or show it if it is known; after an interruption the same command goes on."""
    from bumplab.runs.store import load_or_train
    from bumplab.training.device import pick_device, pick_precision
    from bumplab.training.settings import preset

    settings = preset(name, **parse_assignments(assignments))
    pick_precision(pick_device(device), precision)  # a mistake here counts even if the run is known
    if dry_run:
        click.echo(f"{settings.id}\n{json.dumps(settings.model_dump(mode='json'), indent=1)}")
        return
    run = load_or_train(settings, retrain=retrain, store=store, device=device, precision=precision, compile=compile)
    click.echo(run.describe())
    click.echo(f"{run.path}")
