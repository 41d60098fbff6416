"""A chapter run once for every cell of a grid."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bumplab
from bumplab.chapters.catalogue import declared_parameters, read_cells, validate
from bumplab.chapters.execution import rerun
from bumplab.common.files import check_writable, disk_errors, read_text
from bumplab.common.locks import hold_lock
from bumplab.runs.estimate import format_estimate
from bumplab.runs.executor import WORKER_TIMEOUT, Outcome, dask_client, num_workers, run_tasks
from bumplab.runs.grids import grid_cells
from bumplab.runs.tables import lists_as_json, make_table

if TYPE_CHECKING:
    import pandas


def sweep_chapter(
    path: Path,
    axes: Mapping[str, Sequence],
    out: Path,
    fixed: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    progress: bool = True,
    wait: float = WORKER_TIMEOUT,
) -> pandas.DataFrame:
    """Run a chapter once for every cell of a grid; executed notebooks that are there already stay as they are.

    Parameters
    ----------
    path : Path
        The chapter, see :func:`bumplab.chapters.catalogue.chapter_path`.
    axes, fixed : mapping
        Parameter to values, and parameter to value. All are checked before anything starts.
    out : Path
        Folder for the executed notebooks, named by their parameters and the chapter's code. While one is at work,
        and after it failed, its name ends in ``.part.ipynb``. The table goes there, too, see
        :func:`~bumplab.runs.sweep.sweep_settings`.
    jobs, dask, progress, wait
        See :func:`~bumplab.runs.sweep.sweep_settings`.

    Returns
    -------
    pandas.DataFrame
        One row for each notebook: its file name, every parameter, ``seconds``, ``status`` (known, finished or
        failed) and ``error``.

    Raises
    ------
    BumplabError
        If a parameter is refused or the cluster is not there; nothing has been started then.
    Interrupted
        On Ctrl-C; the same call goes on.

    Examples
    --------
    >>> from bumplab.chapters import chapter_path
    >>> sweep_chapter(chapter_path("01"), {"sigmas": [1.0]}, Path("sweep"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    bumplab.chapters.validation.ParameterError: There is no parameter 'sigmas': did you mean 'sigma'? ...
    """
    out, notebooks = Path(out).absolute(), _notebooks(path, axes, fixed)
    with dask_client(dask, wait, progress) as client:
        jobs = num_workers(jobs, client=client)
        check_writable(out)
        finished = _finished(notebooks, out)
        if progress:
            print(_chapter_forecast(notebooks, finished, jobs))
        cells = {name: (name, values) for name, values in notebooks.items()}
        work = partial(_execute, path=Path(path).absolute(), out=out)
        outcomes = run_tasks(work, cells, finished, jobs, client, progress, "notebook")
    defaults = {name: default for name, (_, default) in declared_parameters(path).items()}
    rows = [{"notebook": name, **lists_as_json(defaults | notebooks[name]), **outcomes[name]} for name in notebooks]
    return make_table(rows, ("seconds", "status", "error"), out)


def forecast_chapter(
    path: Path,
    axes: Mapping[str, Sequence],
    out: Path,
    fixed: Mapping[str, Any] | None = None,
    jobs: int | None = None,
) -> str:
    """Return in words how many of the notebooks are there already, and how long the others will take.

    Parameters
    ----------
    path, axes, out, fixed, jobs
        As for :func:`sweep_chapter`; nothing is started or written.

    Raises
    ------
    BumplabError
        If a parameter is refused.

    Examples
    --------
    >>> from bumplab.chapters import chapter_path
    >>> forecast_chapter(chapter_path("01"), {}, Path("sweep"), jobs=1).startswith("1 notebook")
    True
    """
    notebooks = _notebooks(path, axes, fixed)
    return _chapter_forecast(notebooks, _finished(notebooks, Path(out)), num_workers(jobs))


def _notebooks(path: Path, axes: Mapping[str, Sequence], fixed: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the parameters of every cell, checked, by the file name of its executed notebook."""
    notebooks = {}
    for values in grid_cells(axes, fixed or {}):
        values = validate(path, values)
        words = re.sub(r"[^\w=.+-]+", "-", "_".join(f"{name}={value}" for name, value in values.items()))
        words = words.encode(errors="replace")[:100].decode(errors="ignore")  # names of files end at 255 bytes
        notebooks[f"{path.stem}_{words}_{_key(path, values)}.ipynb"] = values
    return notebooks


def _key(path: Path, values: Mapping[str, Any]) -> str:
    """Return 8 hexadecimal digits for a chapter's code with these parameters."""
    code = ["".join(cell["source"]) for cell in read_cells(path) if cell.get("cell_type") == "code"]
    content = json.dumps([bumplab.__version__, code, values], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _finished(notebooks: Iterable[str], out: Path) -> dict[str, Outcome]:
    """Return the outcome of every notebook that is there and whole, by its name."""
    outcomes = {}
    for name in notebooks:
        try:
            content = json.loads(read_text(out / name))
            outcomes[name] = {"seconds": content["metadata"]["papermill"]["duration"], "status": "known"}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
    return outcomes


def _execute(cell: tuple[str, dict[str, Any]], path: Path, out: Path) -> Outcome:
    """Run the chapter once, for one cell of the grid, and return its outcome."""
    name, values = cell
    with hold_lock(out / f".{name}.lock", f"Notebook {name} is being executed"):
        if outcomes := _finished([name], out):  # another process was faster
            return outcomes[name]
        part = out / f"{Path(name).stem}.part.ipynb"
        rerun(path, values, part, progress=False)
        with disk_errors(out / name):
            os.replace(part, out / name)  # papermill writes after every cell: only a whole notebook gets the name
    return _finished([name], out)[name] | {"status": "finished"}


def _chapter_forecast(notebooks: Mapping[str, Any], finished: Mapping[str, Outcome], jobs: int) -> str:
    """Return the forecast in words; the mean time of the notebooks that are there stands for the others."""
    mean = sum(outcome["seconds"] for outcome in finished.values()) / len(finished) if finished else math.nan
    todo = len(notebooks) - len(finished)
    return format_estimate(len(notebooks), len(finished), jobs, mean * todo / max(1, min(jobs, todo)), "notebook")
