"""Many runs, or one chapter many times: a forecast, the work, and a tidy table of what came out.

Finished work is found again by its name, runs in the store and notebooks in their folder, so that a stopped sweep
goes on when it is called again. A cell that fails is a row of the table with its error; the others go on.
"""

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

import torch
from filelock import FileLock

import bumplab
from bumplab import chapters, ensembles, forecast, grids, pool, runs, train
from bumplab.base import BumplabError, atomic_write
from bumplab.evaluate import join
from bumplab.pool import Outcome
from bumplab.settings import Settings
from bumplab.worlds import Region, region

if TYPE_CHECKING:
    import pandas

#: Names of regions of label space.
Regions = Mapping[str, Region]

# ---------------------------------------------------------------- runs


def run(
    settings: Iterable[Settings],
    jobs: int | None = None,
    dask: str | None = None,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    out: Path | None = None,
    regions: Mapping[str, Region | str] | None = None,
) -> pandas.DataFrame:
    """Return a table of runs, training those that are not known.

    Parameters
    ----------
    settings : iterable of Settings
        Equal ones are one run.
    jobs : int, optional
        How many runs train at the same time, each in a process of its own with one thread; 1 trains them here,
        with all threads. Unless given, one for every core, or 1 on a GPU. There, with 1, runs of one
        :func:`bumplab.ensembles.shape` train as one, as many as fit into memory.
    dask : str, optional
        The address of a Dask scheduler (``tcp://host:port``) or its scheduler file. The cluster's workers then do
        the work, as many runs at a time as they have threads. They need bumplab and should share the `store`.
    store, device, precision
        See :func:`bumplab.runs.load_or_train`.
    progress : bool
        Print the forecast and every error, and show one bar over the whole.
    out : Path, optional
        Folder into which the table is written as ``table.parquet`` and ``table.csv``.
    regions : mapping, optional
        Names and regions of label space, see :func:`bumplab.worlds.region`: columns ``name.joint``, ``name.x``,
        ``name.y`` then say how accurate each run is on the conditions of its lattice that lie there, and ``name.n``
        how many those are.

    Returns
    -------
    pandas.DataFrame
        One row for each run, in the order of `settings`: ``id``; every setting by its dotted name; every accuracy
        (``seen.joint``, ``unseen.x``, ...); ``device``, ``precision``, ``threads`` and ``seconds`` of its training;
        ``status`` (known, trained or failed) and ``error``. Pairs of numbers are there as, for example,
        ``world.sigma.x`` and ``world.sigma.y``, and as the number ``world.sigma`` where both are equal; longer
        lists are JSON.

    Raises
    ------
    BumplabError
        If the cluster or the device is not there, or `out` cannot be written; nothing has been started then.
    Interrupted
        On Ctrl-C; the same call goes on.
    """
    wanted = {each.id: each for each in settings}
    regions = {name: region(where) for name, where in (regions or {}).items()}
    store, out = Path(store or runs.cache_folder()).absolute(), out and Path(out)
    with pool.connected(dask) as client:
        here = ("auto", "auto") if client else (device, precision)  # workers may have what this computer lacks
        train.pick_precision(train.pick_device(here[0]), here[1])
        jobs = pool.width(jobs, device, client)
        _make(out)
        known = _known(wanted, store, regions)
        groups = [] if client else _groups(wanted, known, jobs, device)
        if progress:
            print(_forecast(wanted, known, jobs, groups, *here))
        for group in groups:
            known |= _train_together(group, store, device, precision, progress, regions)
        work = partial(_train, store=store, device=device, precision=precision, regions=regions)
        outcomes = pool.spread(work, wanted, known, jobs, client, progress, "run")
    rows = [{"id": name, **_columns(wanted[name]), **outcomes[name]} for name in wanted]
    return _table(rows, ("device", "precision", "threads", "seconds", "status", "error"), out)


def gather(settings: Iterable[Settings], retrain: bool = False, device: str = "auto") -> dict[Settings, runs.Run]:
    """Return the runs behind a chapter, training those that are not known, after a forecast of how long that takes.

    Parameters
    ----------
    settings : iterable of Settings
        Equal ones are one run.
    retrain : bool
        Train all of them afresh into the user's cache, and return these instead of the recorded ones.
    device : str
        See :func:`run`.

    Raises
    ------
    BumplabError
        If the device is not there, or a run failed; the others are kept.
    Interrupted
        On Ctrl-C; without `retrain`, the same call goes on.
    """
    wanted, store = {each.id: each for each in settings}, runs.cache_folder()
    if retrain:
        jobs = pool.width(None, device)
        print(_forecast(wanted, {}, jobs, [], device, "auto"))
        work = partial(_record, store=store, device=device, precision="auto")
        outcomes = pool.spread(work, {name: (each, "all") for name, each in wanted.items()}, {}, jobs, unit="run")
        failed = {name: outcome["error"] for name, outcome in outcomes.items() if outcome["status"] == "failed"}
    else:
        table = run(wanted.values(), device=device)
        failed = dict(table.loc[table["status"] == "failed", ["id", "error"]].to_numpy())
    if failed:
        raise BumplabError(f"{len(failed)} of {len(wanted)} runs failed; the first one: {next(iter(failed.values()))}")
    return {each: runs.load(store / name) if retrain else runs.find(each) for name, each in wanted.items()}


def record(
    retrain: bool = False, jobs: int | None = None, device: str = "auto", precision: str = "auto"
) -> dict[str, Outcome]:
    """Train the runs that the book records and that are not there, each with the weights that the plan keeps.

    Parameters
    ----------
    retrain : bool
        Train again what is there.
    jobs, device, precision
        See :func:`run`.

    Returns
    -------
    dict
        Id to outcome.

    Raises
    ------
    BumplabError
        If the plan cannot be read or a recorded run is damaged.
    """
    store, planned = runs.recorded_folder(), {each.id: (each, weights) for each, weights in runs.planned().items()}
    known = {}
    for name in planned:
        if (store / name).is_dir() and not retrain:
            found = runs.load(store / name)
            found.check_files()
            known[name] = _outcome(found, "known", {})
    work = partial(_record, store=store, device=device, precision=precision)
    return pool.spread(work, planned, known, pool.width(jobs, device), unit="run")


def _record(cell: tuple[Settings, str], store: Path, device: str, precision: str) -> Outcome:
    settings, weights = cell
    return _outcome(runs.load_or_train(settings, True, store, device, precision, False, weights), "trained", {})


def forecast_runs(
    settings: Iterable[Settings],
    jobs: int | None = None,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> str:
    """Return in words how many of the runs are known, and about how long the others will take on this computer."""
    wanted = {each.id: each for each in settings}
    known = _known(wanted, Path(store or runs.cache_folder()).absolute(), {})
    jobs = pool.width(jobs, device)
    return _forecast(wanted, known, jobs, _groups(wanted, known, jobs, device), device, precision)


def _train(settings: Settings, store: Path, device: str, precision: str, regions: Regions) -> Outcome:
    if found := runs.find(settings, store):
        return _outcome(found, "known", regions)
    return _outcome(runs.load_or_train(settings, False, store, device, precision, False), "trained", regions)


def _groups(
    wanted: Mapping[str, Settings], known: Mapping[str, Outcome], jobs: int, device: str
) -> list[list[Settings]]:
    """Return the ensembles that the missing runs make up, where one process trains them on a GPU."""
    if jobs > 1 or not ensembles.pay(train.pick_device(device)):
        return []
    return ensembles.groups(settings for name, settings in wanted.items() if name not in known)


def _train_together(
    group: Sequence[Settings], store: Path, device: str, precision: str, progress: bool, regions: Regions
) -> dict[str, Outcome]:
    """Train an ensemble; runs that it left alone are missing from the outcomes."""
    if progress:
        print(f"{len(group)} runs as one:")
    found = ensembles.load_or_train(group, store, device, precision, progress)
    return {
        name: _outcome(run, "trained", regions)
        if isinstance(run, runs.Run)
        else {"status": "failed", "error": str(run)}
        for name, run in found.items()
    }


def _known(wanted: Mapping[str, Settings], store: Path, regions: Regions) -> dict[str, Outcome]:
    known = {}
    for name, settings in wanted.items():
        try:
            if found := runs.find(settings, store):
                known[name] = _outcome(found, "known", regions)
        except runs.StoreError as error:
            known[name] = {"status": "failed", "error": str(error)}
    return known


def _outcome(found: runs.Run, status: str, regions: Regions) -> Outcome:
    provenance = {name: found.provenance[name] for name in ("device", "precision", "threads", "seconds")}
    columns, extent = grids.flat(found.accuracy), found.settings.world.extent
    whole = join(found.drawn.values()) if regions else None
    for name, where in regions.items():
        part = whole.inside(where, extent)
        columns |= {f"{name}.{which}": part.accuracy(which).value for which in ("joint", "x", "y")}
        columns[f"{name}.n"] = len(part.mu)
    return {**columns, **provenance, "status": status}


def _columns(settings: Settings) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in grids.flat(settings.model_dump(mode="json")).items():
        if name in ("world.sigma", "world.spacing"):
            columns[name] = value[0] if value[0] == value[1] else math.nan
            columns |= {f"{name}.x": value[0], f"{name}.y": value[1]}
        else:
            columns |= _texts({name: value})
    return columns


def _forecast(
    wanted: Mapping[str, Settings],
    known: Mapping[str, Outcome],
    jobs: int,
    groups: Sequence[Sequence[Settings]],
    device: str,
    precision: str,
) -> str:
    grouped = {settings for group in groups for settings in group}
    todo = [settings for name, settings in wanted.items() if name not in known and settings not in grouped]
    threads = 1 if jobs > 1 else torch.get_num_threads()
    place = train.pick_device(device)
    here = {"device": runs.describe(place), "precision": train.pick_precision(place, precision), "threads": threads}
    done = {wanted[name]: outcome["seconds"] for name, outcome in known.items() if here.items() <= outcome.items()}
    alone = forecast.seconds(todo, done, threads, device, precision) / max(1, min(jobs, len(todo)))
    most = max([jobs, *map(len, groups)])
    return forecast.words(len(wanted), len(known), most, alone + forecast.together(groups, device, precision), "run")


# ---------------------------------------------------------------- chapters


def run_chapter(
    path: Path,
    axes: Mapping[str, Sequence],
    out: Path,
    fixed: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    dask: str | None = None,
    progress: bool = True,
) -> pandas.DataFrame:
    """Run a chapter once for every cell of a grid; executed notebooks that are there already stay as they are.

    Parameters
    ----------
    path : Path
        The chapter, see :func:`bumplab.chapters.chapter_path`.
    axes, fixed : mapping
        Parameter to values, and parameter to value. All are checked before anything starts.
    out : Path
        Folder for the executed notebooks, named by their parameters and the chapter's code. While one is at work,
        and after it failed, its name ends in ``.part.ipynb``. The table goes there, too, see :func:`run`.
    jobs, dask, progress
        See :func:`run`.

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
    """
    out, wanted = Path(out).absolute(), _notebooks(path, axes, fixed)
    with pool.connected(dask) as client:
        jobs = pool.width(jobs, client=client)
        _make(out)
        known = _finished(wanted, out)
        if progress:
            print(_chapter_forecast(wanted, known, jobs))
        cells = {name: (name, values) for name, values in wanted.items()}
        work = partial(_execute, path=Path(path).absolute(), out=out)
        outcomes = pool.spread(work, cells, known, jobs, client, progress, "notebook")
    defaults = {name: default for name, (_, default) in chapters.declared(path).items()}
    rows = [{"notebook": name, **_texts(defaults | wanted[name]), **outcomes[name]} for name in wanted]
    return _table(rows, ("seconds", "status", "error"), out)


def forecast_chapter(
    path: Path,
    axes: Mapping[str, Sequence],
    out: Path,
    fixed: Mapping[str, Any] | None = None,
    jobs: int | None = None,
) -> str:
    """Return in words how many of the notebooks are there already, and how long the others will take."""
    wanted = _notebooks(path, axes, fixed)
    return _chapter_forecast(wanted, _finished(wanted, Path(out)), pool.width(jobs))


def _notebooks(path: Path, axes: Mapping[str, Sequence], fixed: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the parameters of every cell, checked, by the file name of its executed notebook."""
    wanted = {}
    for values in grids.cells(axes, fixed or {}):
        values = chapters.check(path, values)
        words = re.sub(r"[^\w=.+-]+", "-", "_".join(f"{name}={value}" for name, value in values.items()))[:100]
        wanted[f"{path.stem}_{words}_{_key(path, values)}.ipynb"] = values
    return wanted


def _key(path: Path, values: Mapping[str, Any]) -> str:
    """Return 8 hexadecimal digits for a chapter's code with these parameters."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    content = json.dumps([bumplab.__version__, code, values], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def _finished(wanted: Iterable[str], out: Path) -> dict[str, Outcome]:
    """Return the outcome of every notebook that is there and whole, by its name."""
    known = {}
    for name in wanted:
        try:
            content = json.loads((out / name).read_text(encoding="utf-8"))
            known[name] = {"seconds": content["metadata"]["papermill"]["duration"], "status": "known"}
        except (OSError, ValueError, KeyError):
            continue
    return known


def _execute(cell: tuple[str, dict[str, Any]], path: Path, out: Path) -> Outcome:
    name, values = cell
    out.mkdir(parents=True, exist_ok=True)
    with FileLock(out / f".{name}.lock"):
        if known := _finished([name], out):  # another process was faster
            return known[name]
        part = out / f"{Path(name).stem}.part.ipynb"
        chapters.rerun(path, values, part, progress=False)
        os.replace(part, out / name)  # papermill writes after every cell: only a whole notebook gets the name
    return _finished([name], out)[name] | {"status": "finished"}


def _chapter_forecast(wanted: Mapping[str, Any], known: Mapping[str, Outcome], jobs: int) -> str:
    mean = sum(outcome["seconds"] for outcome in known.values()) / len(known) if known else math.nan
    todo = len(wanted) - len(known)
    return forecast.words(len(wanted), len(known), jobs, mean * todo / max(1, min(jobs, todo)), "notebook")


# ---------------------------------------------------------------- tables


#: Columns that hold text even where all of it is missing.
_TEXTS = ("world.held_out", "device", "precision", "status", "error")


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}


def _table(rows: list[dict[str, Any]], last: tuple[str, ...], out: Path | None) -> pandas.DataFrame:
    """Return rows as a table with the columns `last` at its end, and write it into the folder `out`."""
    import pandas
    from pandas.api.types import is_numeric_dtype

    table = pandas.DataFrame(rows)
    table = table.reindex(columns=[*(name for name in table if name not in last), *last])
    texts = [name for name in table if name in _TEXTS or not is_numeric_dtype(table[name])]
    table = table.astype(dict.fromkeys(texts, "string"))
    if out:
        atomic_write(out / "table.parquet", table.to_parquet(index=False))
        atomic_write(out / "table.csv", table.to_csv(index=False))
    return table


def _make(out: Path | None) -> None:
    try:
        if out:
            atomic_write(out / ".writable", "")
            (out / ".writable").unlink()
    except OSError as error:
        raise BumplabError(f"Cannot write to the folder {str(out)!r}: {error.strerror}.") from None
