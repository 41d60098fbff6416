"""The command line's ``runs``: list, show, export, import, verify, pack, record and compare runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bumplab.cli.options import PRESET_NAMES, compile_option, device_option, jobs_option, precision_option
from bumplab.common.errors import BumplabError, printable, quote, shorten
from bumplab.common.files import atomic_write, disk_errors
from bumplab.common.leftovers import remove_leftovers

if TYPE_CHECKING:
    from bumplab.runs.file_store import FileStore
    from bumplab.runs.pack_store import PackStore
    from bumplab.runs.run import Run

folder_argument = click.argument("folder", type=click.Path(path_type=Path))


@click.group("runs")
def runs_group() -> None:
    """List, show, verify and record runs."""


@runs_group.command("list")
def list_runs() -> None:
    """List every run, recorded ones first; damaged runs and packs are named and skipped."""
    from bumplab.runs.records import StoreError
    from bumplab.runs.store import usable_stores

    places, unusable = usable_stores()
    damaged = len(unusable)
    for store, label in zip(places, ("recorded", "cache"), strict=False):
        for error in store.problems():
            click.echo(f"Error: {error}", err=True)
            damaged += 1
        for id in store.ids():
            try:
                if run := store.get(id):
                    click.echo(f"{label:8}  {printable(run.describe())}")
            except StoreError as error:
                click.echo(f"Error: {error}", err=True)
                damaged += 1
    for error in unusable:
        click.echo(f"Error: {error}", err=True)
    sys.exit(1 if damaged else 0)


@runs_group.command("show")
@click.argument("run_id")
def show_run(run_id: str) -> None:
    """Print a run's settings, accuracy and provenance as JSON; RUN_ID may be shortened."""
    run = _get(run_id)
    content = {
        "id": run.id, "settings": run.settings.model_dump(mode="json"), "accuracy": run.scalars,
        "provenance": run.provenance, "kept": sorted(run.kept), "path": str(run.path),
    }  # fmt: skip
    click.echo(json.dumps(content, indent=1))


@runs_group.command("export")
@click.argument("run_id")
@folder_argument
def export_run(run_id: str, folder: Path) -> None:
    """Write a run as a file of its own, FOLDER/ID.safetensors. RUN_ID may be shortened."""
    from bumplab.runs.file_store import FileStore
    from bumplab.runs.run_file import SUFFIX, run_bytes

    run = _get(run_id)
    path = FileStore(folder).path(run.id)
    with disk_errors(path, other="name another folder"):
        if os.path.lexists(path):
            raise BumplabError(f"{path} is there already; nothing was written.")
        remove_leftovers(folder, re.compile(rf"[0-9a-f]{{12}}{re.escape(SUFFIX)}"))
        atomic_write(path, run_bytes(run.record()))
    click.echo(f"{path}")


@runs_group.command("import")
@click.argument("path", type=click.Path(path_type=Path))
def import_runs(path: Path) -> None:
    """Check the run in the file PATH, as export wrote it, and add it to your store of runs.

    Where PATH is a folder, it holds what 'runs record --pack' wrote: finished runs go to your store, checkpoints to
    where it trains. What is there already stays; what is damaged or missing is named, and exit code 1 says so.
    """
    from bumplab.runs.file_store import FileStore
    from bumplab.runs.run_file import read_run
    from bumplab.runs.store import cache_folder

    store = FileStore(cache_folder())
    if path.is_dir():
        sys.exit(_import_folder(path, store))
    run = read_run(path)
    run.check()
    with store.hold(run.id):
        known = store.get_whole(run.id)
        if not known:
            click.echo(f"{store.save(run.record()).path}")
    if known:
        store.settle(run.id)
        raise BumplabError(f"Run {run.id} is in {store.folder} already; nothing was written.")


def _import_folder(folder: Path, store: FileStore) -> int:
    """File what campaigns have left in a folder, and return the exit code."""
    from bumplab.chapters.studies import all_studies
    from bumplab.runs.arrivals import import_bundles

    refused, in_store = 0, set()
    for arrival in import_bundles(folder, store):
        is_refused = arrival.status == "refused"
        refused += is_refused
        click.echo(f"Error: {arrival.sentence}" if is_refused else arrival.sentence, err=is_refused)
        in_store.add(arrival.id)
    for study, runs in all_studies().items() if any(in_store) else ():
        if ids := [settings.id for settings in runs if settings.id in in_store]:
            click.echo(f"To record them with the book: bumplab runs pack {' '.join(ids)} --study {study}")
    return 1 if refused else 0


@runs_group.command("pack")
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--study", required=True, help="Study that they join, such as 02-training; made where it is not there.")
def pack_runs(run_ids: tuple[str, ...], study: str) -> None:
    """Pack runs of your store into a study of the recorded ones (book/runs/STUDY); ids may be shortened."""
    from bumplab.runs.recording import pack_runs

    pack = pack_runs(map(_get, run_ids), study)
    click.echo(f"{len(pack.lines)} runs in {pack.folder}")


@runs_group.command("diff")
@click.argument("revision")
def diff_runs(revision: str) -> None:
    """Print which recorded runs came (+), went (-) or changed (!) since REVISION of git, and which accuracies moved."""
    from bumplab.runs.pack_files import INDEX
    from bumplab.runs.pack_index import parse_index
    from bumplab.runs.pack_store import PackStore
    from bumplab.runs.recording import compare_indices
    from bumplab.runs.store import recorded_folder

    if len(revision) > 200 or not revision.isprintable():
        raise BumplabError(f"There is no revision {quote(revision)}: give a commit, branch or tag of git.")
    folder = recorded_folder()
    names = _git(folder, "ls-tree", "-r", "-z", "--name-only", "--end-of-options", revision, "--", ".").split("\0")
    then = []
    for name in names:
        if Path(name).name == INDEX:
            text = _git(folder, "show", "--end-of-options", f"{revision}:./{name}")
            index = parse_index(f"{revision}:{name}", text.split("\n"))
            for problem in index.problems:
                raise problem
            then += index.lines.values()
    for error in PackStore(folder).problems():
        raise error
    now = [line for pack in PackStore(folder).packs() for line in pack.lines.values()]
    for change in compare_indices(then, now):
        click.echo(change)


@runs_group.command("verify")
@click.argument("run_ids", nargs=-1)
def verify_runs(run_ids: tuple[str, ...]) -> None:
    """Check all that runs kept (every run by default) and compute their accuracies again from it."""
    from bumplab.runs.store import usable_stores, verify

    verdicts: dict[str, list[str]] = {"proved": [], "refuted": [], "not provable": []}
    places, unusable = usable_stores()
    every = [(store, id) for store in places for id in store.ids()]
    for store, id in [_locate(run_id) for run_id in run_ids] or every:
        proof = verify(store, id)
        verdicts[proof.verdict].append(id)
        click.echo(f"{proof.verdict:12}  {id}  {proof.reason}")
    problems = [] if run_ids else [error for store in places for error in store.problems()] + unusable
    for error in problems:
        click.echo(f"Error: {error}", err=True)
    for verdict, ids in verdicts.items():
        names = f": {', '.join(ids)}" if ids and verdict != "proved" else ""
        click.echo(f"{len(ids)} {verdict}{names}")
    sys.exit(1 if verdicts["refuted"] or problems else 0)


@runs_group.command("record")
@click.option("--study", "names", multiple=True, help="Only this study, such as 02-training; may be given repeatedly.")
@click.option(
    "--preset",
    "network",
    help=f"Only runs of this preset's network ({PRESET_NAMES}), with whatever world and length of training a study "
    "gives them. With --pack, chapters are asked what they need where their parameter preset has this value.",
)
@click.option("--minutes", type=float, help="End in time: stop with checkpoints, from which the next call goes on.")
@click.option(
    "--pack",
    "out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Train in your store, and leave at most 8 files of 16 MiB for 'runs import', instead of recording.",
)
@click.option(
    "--keep",
    help="With --pack, keep at most this of the weights, whatever a study asks: none, half (fp16, at the end) or all.",
)
@click.option("--retrain", is_flag=True, help="Train again what is already recorded.")
@jobs_option
@device_option
@precision_option
@compile_option
def record_runs(
    names: tuple[str, ...],
    network: str | None,
    minutes: float | None,
    out: Path | None,
    keep: str | None,
    retrain: bool,
    jobs: int | None,
    device: str,
    precision: str,
    compile: bool | None,
) -> None:
    """Train every run that a chapter's study asks for, and pack it into book/runs; what is recorded is kept.

    Runs that have a checkpoint go first, then the others in the order of the study. After Ctrl-C, the same command
    goes on.
    """
    begun = time.time()
    from bumplab.chapters.studies import limit_weights, select_studies
    from bumplab.runs.campaigns import check_empty, describe_campaign, describe_too_large, plan_deadline, run_campaign
    from bumplab.runs.recording import record_studies
    from bumplab.runs.store import recorded_folder

    if retrain and (minutes is not None or out):
        raise BumplabError("With --retrain, the next call would begin anew: use it without --minutes and --pack.")
    if keep is not None and not out:
        raise BumplabError("What the book records keeps what its studies ask for: use --keep with --pack.")
    studies = select_studies(names, network, everywhere=out is not None)
    if keep is not None:
        studies = limit_weights(studies, keep)
    if out:
        check_empty(out)
        for line in describe_too_large(studies):
            click.echo(line, err=True)
    deadline = None if minutes is None else plan_deadline(studies, minutes, out, begun)
    if out:
        campaign = run_campaign(studies, out, deadline, jobs, device, precision, compile)
        outcomes, lines = campaign.outcomes, describe_campaign(campaign, out)
    else:
        outcomes = record_studies(studies, retrain, jobs, device, precision, deadline, compile)
        recorded = sum(outcome["status"] in ("known", "trained") for outcome in outcomes.values())
        lines = [f"{recorded} runs recorded in {recorded_folder()}."]
        if waiting := sum(outcome["status"] in ("stopped", "waiting") for outcome in outcomes.values()):
            lines.append(f"{waiting} runs are left for the next call.")
    click.echo("\n".join(lines))
    sys.exit(1 if any(outcome["status"] == "failed" for outcome in outcomes.values()) else 0)


def _git(folder: Path, *words: str) -> str:
    """Return what git prints when it is called in a folder."""
    try:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, errors="replace", check=True).stdout
    except (FileNotFoundError, NotADirectoryError):
        raise BumplabError(f"There is no git here, or no folder {folder}: runs diff needs a clone.") from None
    except ValueError:
        raise BumplabError("git cannot read that revision: its name has characters that no revision has.") from None
    except subprocess.CalledProcessError as error:
        reason = next(iter(error.stderr.strip().splitlines()), "it does not say why")
        raise BumplabError(f"git cannot read that revision: {shorten(reason, 200)}.") from None


def _locate(run_id: str) -> tuple[PackStore | FileStore, str]:
    """Return the store and whole id of the one run whose id starts like this; recorded ones go first."""
    from bumplab.runs.store import usable_stores

    found, unusable = usable_stores()
    places = {id: store for store in reversed(found) for id in store.ids() if id.startswith(run_id)}
    if len(places) != 1:
        problem = next(iter([error for store in found for error in store.problems()] + unusable), None)
        if problem and not places:
            raise problem
        raise BumplabError(
            f"{'More than one run' if places else 'No run'} has an id starting with {quote(run_id)}; see 'runs list'."
        )
    ((id, store),) = places.items()
    return store, id


def _get(run_id: str) -> Run:
    store, id = _locate(run_id)
    if run := store.get(id):
        return run
    raise BumplabError(f"Run {id} has gone from {store.folder} meanwhile.")
