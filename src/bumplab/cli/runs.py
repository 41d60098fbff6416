"""``bumplab runs``: what is stored."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bumplab.cli.options import device_option, jobs_option, precision_option
from bumplab.common.errors import BumplabError, quote

if TYPE_CHECKING:
    from bumplab.runs.run import Run


@click.group("runs")
def runs_group() -> None:
    """List, show, verify and record runs."""


@runs_group.command("list")
def list_runs() -> None:
    """List every run, recorded ones first; damaged ones are named and skipped."""
    from bumplab.runs.run import StoreError
    from bumplab.runs.store import iter_runs, load, recorded_folder

    damaged = 0
    for folder in iter_runs():
        try:
            run = load(folder)
        except StoreError as error:
            click.echo(f"Error: {error}", err=True)
            damaged += 1
            continue
        place = "recorded" if folder.parent == recorded_folder() else "cache"
        click.echo(f"{place:8}  {format_run(run)}")
    sys.exit(1 if damaged else 0)


@runs_group.command("show")
@click.argument("run_id")
def show_run(run_id: str) -> None:
    """Print a run's settings, accuracy and provenance as JSON; RUN_ID may be shortened."""
    from bumplab.runs.store import load

    run = load(_folder(run_id))
    content = {
        "id": run.id, "settings": run.settings.model_dump(mode="json"), "accuracy": run.accuracy,
        "provenance": run.provenance, "snapshots": run.snapshots, "folder": str(run.folder),
    }  # fmt: skip
    click.echo(json.dumps(content, indent=1))


@runs_group.command("verify")
@click.argument("run_ids", nargs=-1)
def verify_runs(run_ids: tuple[str, ...]) -> None:
    """Check every file of the runs (all by default) and compute their accuracies again from what they kept."""
    from bumplab.runs.store import iter_runs, verify

    ids: dict[str, list[str]] = {"proved": [], "refuted": [], "not provable": []}
    for folder in [_folder(run_id) for run_id in run_ids] or list(iter_runs()):
        proof = verify(folder)
        ids[proof.verdict].append(proof.id)
        click.echo(f"{proof.verdict:12}  {proof.id}  {proof.reason}")
    for verdict, names in ids.items():
        listed = f": {', '.join(names)}" if names and verdict != "proved" else ""
        click.echo(f"{len(names)} {verdict}{listed}")
    sys.exit(1 if ids["refuted"] else 0)


@runs_group.command("record")
@click.option("--retrain", is_flag=True, help="Train again what is already recorded.")
@jobs_option
@device_option
@precision_option
def record_runs(retrain: bool, jobs: int | None, device: str, precision: str) -> None:
    """Train every run that the book's plan names (book/runs/plan.json) into book/runs; finished ones are kept."""
    from bumplab.runs.store import recorded_folder
    from bumplab.runs.sweep import record_plan

    outcomes = record_plan(retrain, jobs, device, precision)
    failed = sum(outcome["status"] == "failed" for outcome in outcomes.values())
    click.echo(f"{len(outcomes) - failed} runs recorded in {recorded_folder()}.")
    sys.exit(1 if failed else 0)


def format_run(run: Run) -> str:
    """Return one line about a run: id, world, what it predicts, seed, accuracies, seconds and device."""
    world, accuracy = run.settings.world, run.accuracy
    splits = ", ".join(f"{split} {rates['joint']:.3f}" for split, rates in accuracy.items())
    return (
        f"{run.id}  {world.kind} {world.size}, predicts {run.settings.diffusion.prediction_type}, "
        f"seed {run.settings.seed}: "
        f"accuracy {splits}; {run.provenance['seconds']:.1f} s on {run.provenance['device']}"
    )


def _folder(run_id: str) -> Path:
    from bumplab.runs.store import iter_runs

    by_id = {folder.name: folder for folder in reversed(list(iter_runs())) if folder.name.startswith(run_id)}
    if len(by_id) != 1:
        raise BumplabError(
            f"{'More than one run' if by_id else 'No run'} has an id starting with {quote(run_id)}; see 'runs list'."
        )
    return next(iter(by_id.values()))
