"""The command line's ``runs``: list, show, verify and record runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bumplab.common.errors import BumplabError

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
        click.echo(f"{place:8}  {summarize(run)}")
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

    found: dict[str, list[str]] = {"proved": [], "refuted": [], "not provable": []}
    for folder in [_folder(run_id) for run_id in run_ids] or list(iter_runs()):
        proof = verify(folder)
        found[proof.verdict].append(proof.id)
        click.echo(f"{proof.verdict:12}  {proof.id}  {proof.reason}")
    for verdict, ids in found.items():
        names = f": {', '.join(ids)}" if ids and verdict != "proved" else ""
        click.echo(f"{len(ids)} {verdict}{names}")
    sys.exit(1 if found["refuted"] else 0)


@runs_group.command("record")
@click.option("--retrain", is_flag=True, help="Train again what is already recorded.")
@click.option("--jobs", type=int, help="Runs at a time, one thread each [one for every core; 1 on a GPU].")
@click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")
@click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
def record_runs(retrain: bool, jobs: int | None, device: str, precision: str) -> None:
    """Train every run that the book's plan names (book/runs/plan.json) into book/runs; finished ones are kept."""
    from bumplab.runs.store import recorded_folder
    from bumplab.runs.sweep import record_plan

    outcomes = record_plan(retrain, jobs, device, precision)
    failed = sum(outcome["status"] == "failed" for outcome in outcomes.values())
    click.echo(f"{len(outcomes) - failed} runs recorded in {recorded_folder()}.")
    sys.exit(1 if failed else 0)


def summarize(run: Run) -> str:
    """Return one line about a run."""
    world, accuracy = run.settings.world, run.accuracy
    parts = ", ".join(f"{part} {shares['joint']:.3f}" for part, shares in accuracy.items())
    return (
        f"{run.id}  {world.kind} {world.size}, predicts {run.settings.diffusion.prediction_type}, "
        f"seed {run.settings.seed}: "
        f"accuracy {parts}; {run.provenance['seconds']:.1f} s on {run.provenance['device']}"
    )


def _folder(run_id: str) -> Path:
    from bumplab.runs.store import iter_runs

    found = list(
        {folder.name: folder for folder in reversed(list(iter_runs())) if folder.name.startswith(run_id)}.values()
    )
    if len(found) != 1:
        raise BumplabError(
            f"{'No run' if not found else 'More than one run'} has an id starting with {run_id!r}; see 'runs list'."
        )
    return found[0]
