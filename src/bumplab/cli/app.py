"""The command line: ``python -m bumplab --help``."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
import torch

import bumplab
from bumplab.chapters.catalogue import chapter_path, declared_parameters
from bumplab.chapters.execution import ChapterFailed, rerun as rerun_chapter
from bumplab.chapters.sweeps import forecast_chapter, sweep_chapter
from bumplab.cli.runs import runs_group, summarize
from bumplab.common.errors import BumplabError
from bumplab.common.parsing import parse_assignment
from bumplab.runs.grids import MAX_CELLS, grid_settings, parse_grid
from bumplab.runs.store import cache_folder, load_or_train, recorded_folder
from bumplab.runs.sweep import forecast_runs, sweep_settings
from bumplab.training.device import device_name, pick_device, pick_precision
from bumplab.training.settings import PRESETS, preset
from bumplab.training.state import Interrupted

_LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "umap-learn", "ripser", "matplotlib", "pydantic", "papermill")

device_option = click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")
jobs_option = click.option(
    "--jobs", type=int, help="Runs or chapters at a time, one thread each [one for every core; 1 on a GPU]."
)
precision_option = click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(bumplab.__version__, prog_name="bumplab")
def main() -> None:
    """Train, look up and verify runs of the book, and re-run its chapters with other parameters."""


@main.command()
@click.option("--preset", "name", default="quick", show_default=True, help=f"One of {', '.join(PRESETS)}.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A setting, e.g. world.sigma=0.8.")
@click.option("--retrain", is_flag=True, help="Train afresh even if the run is known.")
@click.option("--store", type=click.Path(path_type=Path), help="Folder for the run instead of the user's cache.")
@device_option
@precision_option
@click.option("--dry-run", is_flag=True, help="Show the settings and the run's id; train nothing.")
def train(
    name: str, assignments: tuple[str, ...], retrain: bool, store: Path, device: str, precision: str, dry_run: bool
) -> None:
    """Train one run, or show it if it is known; after an interruption the same command goes on."""
    changes: dict[str, Any] = {}
    for text in assignments:
        parse_assignment(changes, text)
    settings = preset(name, **changes)
    pick_precision(pick_device(device), precision)  # a mistake here counts even if the run is known
    if dry_run:
        click.echo(f"{settings.id}\n{json.dumps(settings.model_dump(mode='json'), indent=1)}")
        return
    run = load_or_train(settings, retrain=retrain, store=store, device=device, precision=precision)
    click.echo(summarize(run))
    click.echo(f"{run.folder}")


main.add_command(runs_group)


@main.command()
@click.argument("chapter")
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter of the chapter.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Executed notebook [CHAPTER-out.ipynb].")
@click.option("--list", "show", is_flag=True, help="Show the chapter's parameters and their defaults; run nothing.")
def rerun(chapter: str, pairs: tuple[tuple[str, str], ...], out: Path | None, show: bool) -> None:
    """Re-run CHAPTER (01-worlds, or just 01) with other parameters; they are checked before anything runs."""
    path = chapter_path(chapter)
    if show:
        for name, (kind, default) in declared_parameters(path).items():
            click.echo(f"{name}: {kind.__name__} = {default!r}")
        return
    out = out or Path(f"{path.stem}-out.ipynb")
    rerun_chapter(path, dict(pairs), out)
    click.echo(f"{out}")


@main.command()
@click.argument("chapter", required=False)
@click.option("--preset", "name", help=f"One of {', '.join(PRESETS)}; quick unless given.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A setting, e.g. world.sigma=0.8.")
@click.option("--grid", "axes", multiple=True, metavar="NAME=VALUES", help="0.5,1,2 or 0:5 or 0.1:1:10.")
@jobs_option
@click.option("--dask", metavar="ADDRESS", help="Work on a Dask cluster: tcp://host:port, or its scheduler file.")
@click.option("--out", type=click.Path(path_type=Path), default="sweep", show_default=True, help="Folder for results.")
@click.option("--store", type=click.Path(path_type=Path), help="Folder for new runs instead of the user's cache.")
@device_option
@precision_option
@click.option("--yes", is_flag=True, help=f"Allow more than {MAX_CELLS:,} cells.")
@click.option("--dry-run", is_flag=True, help="Check everything and show the forecast; start nothing.")
def sweep(
    chapter: str | None, name: str | None, assignments: tuple[str, ...], axes: tuple[str, ...], jobs: int | None,
    dask: str | None, out: Path, store: Path | None, device: str, precision: str, yes: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Train every combination of the grids' values, or run CHAPTER with it; what is finished is never done again.

    A value of a grid is a list between commas, whole numbers START:STOP without the stop, or START:STOP:COUNT evenly
    spaced numbers with both ends. Results: table.parquet, table.csv and the executed notebooks in the folder OUT.
    """
    changes: dict[str, Any] = {}
    for text in assignments:
        parse_assignment(changes, text)
    if chapter:
        if name or store or (device, precision) != ("auto", "auto"):
            raise BumplabError("A chapter has parameters of its own: use --set and --grid.")
        path = chapter_path(chapter)
        grid = parse_grid(axes, str, yes)
        if dry_run:
            click.echo(forecast_chapter(path, grid, out, changes, jobs))
            return
        table = sweep_chapter(path, grid, out, changes, jobs, dask)
    else:
        settings = grid_settings(name or "quick", changes, parse_grid(axes, yes=yes))
        if dry_run:
            click.echo(forecast_runs(settings, jobs, store, device, precision))
            return
        table = sweep_settings(settings, jobs, dask, store, device, precision, out=out)
    failed = int((table["status"] == "failed").sum())
    click.echo(f"{len(table) - failed} finished, {failed} failed: {out / 'table.parquet'}, {out / 'table.csv'}")
    sys.exit(1 if failed else 0)


@main.command()
@device_option
@precision_option
def doctor(device: str, precision: str) -> None:
    """Say what is installed, which device and precision will be used, and where runs are stored."""
    place = pick_device(device)
    click.echo(
        f"bumplab {bumplab.__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    for library in _LIBRARIES:
        try:
            click.echo(f"  {library} {version(library)}")
        except PackageNotFoundError:
            click.echo(f"  {library} is missing: pip install {library}")
    threads = f"{torch.get_num_threads()} threads on {os.cpu_count()} cores"
    click.echo(f"device: {device_name(place)}, precision {pick_precision(place, precision)}, {threads}")
    if place.type == "cpu":
        click.echo("hint: no GPU in use. Preset quick needs none; preset paper does.")
        click.echo("      On Colab: Runtime, Change runtime type, T4 GPU.")
    for words, folder in (("recorded runs", recorded_folder()), ("new runs", cache_folder())):
        click.echo(f"{words}: {len(list(folder.glob('*/run.json')))} in {folder}")


def run() -> None:
    """Run the command line; a mistake of the user's is one sentence and exit code 2, an interruption 130."""
    try:
        main(standalone_mode=False)
    except (KeyboardInterrupt, click.Abort) as error:
        if isinstance(error.__cause__, Interrupted):  # click wraps every KeyboardInterrupt in an Abort
            click.echo(f"{error.__cause__}", err=True)
        sys.exit(130)
    except ChapterFailed as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except BumplabError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
