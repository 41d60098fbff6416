"""``bumplab sweep``: every combination of some values, by training or by running a chapter."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bumplab.cli.options import (
    PRESET_NAMES,
    device_option,
    jobs_option,
    precision_option,
    set_option,
    store_option,
)
from bumplab.common.errors import BumplabError
from bumplab.common.parsing import parse_assignments
from bumplab.runs.grids import MAX_CELLS, grid_settings, parse_grid


@click.command()
@click.argument("chapter", required=False)
@click.option("--preset", "name", help=f"One of {PRESET_NAMES}; quick unless given.")
@set_option
@click.option("--grid", "axes", multiple=True, metavar="NAME=VALUES", help="0.5,1,2 or 0:5 or 0.1:1:10.")
@jobs_option
@click.option("--dask", metavar="ADDRESS", help="Work on a Dask cluster: address or file of its scheduler.")
@click.option("--wait", type=float, default=60, show_default=True, help="Seconds until a Dask worker has to be there.")
@click.option("--out", type=click.Path(path_type=Path), default="sweep", show_default=True, help="Folder for results.")
@store_option
@device_option
@precision_option
@click.option("--yes", is_flag=True, help=f"Allow more than {MAX_CELLS:,} cells.")
@click.option("--dry-run", is_flag=True, help="Check everything and show the forecast; start nothing.")
def sweep(
    chapter: str | None, name: str | None, assignments: tuple[str, ...], axes: tuple[str, ...], jobs: int | None,
    dask: str | None, wait: float, out: Path, store: Path | None, device: str, precision: str, yes: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Train every combination of the grids' values, or run CHAPTER with it; what is finished is never done again.

    A value of a grid is a list between commas, whole numbers START:STOP without the stop, or START:STOP:COUNT evenly
    spaced numbers with both ends. Results: table.parquet, table.csv and the executed notebooks in the folder OUT.
    """
    if chapter:
        from bumplab.chapters.catalogue import chapter_path
        from bumplab.chapters.sweeps import forecast_chapter, sweep_chapter

        if name or store or (device, precision) != ("auto", "auto"):
            raise BumplabError("A chapter has parameters of its own: use --set and --grid.")
        path, changes, grid = chapter_path(chapter), parse_assignments(assignments), parse_grid(axes, str, yes)
        if dry_run:
            click.echo(forecast_chapter(path, grid, out, changes, jobs))
            return
        table = sweep_chapter(path, grid, out, changes, jobs, dask, wait=wait)
    else:
        from bumplab.runs.sweep import forecast_runs, sweep_settings

        settings = grid_settings(name or "quick", parse_assignments(assignments), parse_grid(axes, yes=yes))
        if dry_run:
            click.echo(forecast_runs(settings, jobs, store, device, precision))
            return
        table = sweep_settings(settings, jobs, dask, store, device, precision, out=out, wait=wait)
    failed = table["status"].tolist().count("failed")
    click.echo(f"{len(table) - failed} finished, {failed} failed: {out / 'table.parquet'}, {out / 'table.csv'}")
    sys.exit(1 if failed else 0)
