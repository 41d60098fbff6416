"""Hundreds of runs: train what is not known, report failures, return a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bumplab.analysis.accuracy import concatenate
from bumplab.common.errors import BumplabError
from bumplab.common.files import check_writable
from bumplab.common.parsing import flatten
from bumplab.common.run_settings import RunSettings
from bumplab.runs.ensembles import load_or_train_ensemble, plan_ensembles
from bumplab.runs.estimate import estimate_ensembles, estimate_seconds, format_estimate
from bumplab.runs.executor import (
    WORKER_TIMEOUT,
    Outcome,
    dask_client,
    failure,
    num_workers,
    report_interrupts,
    run_tasks,
)
from bumplab.runs.file_store import FileStore
from bumplab.runs.records import StoreError
from bumplab.runs.run import Run
from bumplab.runs.store import cache_folder, find, load_or_train
from bumplab.runs.tables import lists_as_json, make_table
from bumplab.runs.toy_family import load_or_train_toys
from bumplab.toys.settings import ToySettings
from bumplab.training.device import device_name, pick_device, pick_precision
from bumplab.training.settings import Settings
from bumplab.worlds.regions import Region, parse_region

if TYPE_CHECKING:
    import pandas

#: Names of regions of label space.
Regions = Mapping[str, Region]


def sweep_settings(
    settings: Iterable[Settings],
    jobs: int | None = None,
    dask: str | None = None,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    out: Path | None = None,
    regions: Mapping[str, Region | str] | None = None,
    wait: float = WORKER_TIMEOUT,
) -> pandas.DataFrame:
    """Return a table of runs, training those that are not known.

    Parameters
    ----------
    settings : iterable of Settings
        Equal ones are one run.
    jobs : int, optional
        How many runs train at the same time, each in a process of its own with one thread; 1 trains them here,
        with all threads. Unless given, one for every core, or 1 on a GPU. There, with 1, small runs of one
        :func:`bumplab.training.ensembles.batching_key` train as one, as many as fit into memory, see
        :func:`bumplab.runs.ensembles.plan_ensembles`.
    dask : str, optional
        The address of a Dask scheduler (``tcp://host:port``) or its scheduler file. The cluster's workers then do
        the work, as many runs at a time as they have threads. They need bumplab and should share the `store`.
    store, device, precision
        See :func:`bumplab.runs.store.load_or_train`.
    progress : bool
        Print the forecast and every error, and show one bar over the whole.
    out : Path, optional
        Folder into which the table is written as ``table.parquet`` and ``table.csv``.
    regions : mapping, optional
        Names and regions of label space, see :func:`~bumplab.worlds.regions.parse_region`: columns ``name.joint``,
        ``name.x``,
        ``name.y`` then say how accurate each run is on the conditions of its lattice that lie there, and ``name.n``
        how many those are.
    wait : float
        Seconds to wait for the first worker of the Dask cluster; others may come at any time.

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
    parts: dict[str, Any] = {name: parse_region(where) for name, where in (regions or {}).items()}
    store, out = Path(store or cache_folder()).absolute(), out and Path(out)
    with dask_client(dask, wait, progress) as client:
        here = ("auto", "auto") if client else (device, precision)  # workers may have what this computer lacks
        pick_precision(pick_device(here[0]), here[1])
        jobs = num_workers(jobs, device, client)
        check_writable(out)
        known = _known(wanted, store, parts)
        groups = [] if client else plan_ensembles(_missing(wanted, known), jobs, device)
        if progress:
            print(_forecast(wanted, known, jobs, groups, *here))
        with report_interrupts():
            for group in groups:
                known |= _train_together(group, store, device, precision, progress, parts)
        work = partial(_train, store=store, device=device, precision=precision, regions=parts)
        outcomes = run_tasks(work, wanted, known, jobs, client, progress, "run")
    rows = [{"id": name, **_columns(wanted[name]), **outcomes[name]} for name in wanted]
    return make_table(rows, ("device", "precision", "threads", "seconds", "status", "error"), out)


def load_or_train_all(
    settings: Iterable[RunSettings], retrain: bool = False, device: str = "auto"
) -> dict[RunSettings, Run]:
    """Return the runs behind a chapter, training those that are not known, after a forecast of how long that takes.

    Parameters
    ----------
    settings : iterable of RunSettings
        Of bumps and of toys, which train in stacks, see :mod:`bumplab.runs.toy_family`. Equal ones are one run.
    retrain : bool
        Train all of them afresh into the user's cache, and return these instead of the recorded ones.
    device : str
        See :func:`sweep_settings`.

    Raises
    ------
    BumplabError
        If the device is not there, or a run failed; the others are kept.
    Interrupted
        On Ctrl-C; without `retrain`, the same call goes on.
    """
    wanted, store = {each.id: each for each in settings}, cache_folder()
    toys = {name: each for name, each in wanted.items() if isinstance(each, ToySettings)}
    runs = _load_or_train_toys(toys.values(), store, retrain, device) if toys else {}
    bumps = {name: each for name, each in wanted.items() if isinstance(each, Settings)}
    return runs | (_load_or_train_bumps(bumps, store, retrain, device) if bumps else {})


def _load_or_train_toys(
    settings: Iterable[ToySettings], store: Path, retrain: bool, device: str
) -> dict[RunSettings, Run]:
    results = load_or_train_toys(settings, store, retrain, device)
    failed = [str(run) for run in results.values() if isinstance(run, BumplabError)]
    if failed:
        raise BumplabError(f"{len(failed)} of {len(results)} runs failed; the first one: {failed[0]}")
    return {each: run for each in settings if isinstance(run := results[each.id], Run)}


def _load_or_train_bumps(
    wanted: Mapping[str, Settings], store: Path, retrain: bool, device: str
) -> dict[RunSettings, Run]:
    if retrain:
        jobs = num_workers(None, device)
        print(_forecast(wanted, {}, jobs, [], device, "auto"))
        work = partial(_record, store=store, device=device, precision="auto")
        outcomes = run_tasks(work, {name: (each, "all") for name, each in wanted.items()}, {}, jobs, unit="run")
        failed = {name: outcome["error"] for name, outcome in outcomes.items() if outcome["status"] == "failed"}
    else:
        table = sweep_settings(wanted.values(), device=device)
        failed = dict(table.loc[table["status"] == "failed", ["id", "error"]].to_numpy())
    if failed:
        raise BumplabError(f"{len(failed)} of {len(wanted)} runs failed; the first one: {next(iter(failed.values()))}")
    runs = {each: FileStore(store).get(name) if retrain else find(each) for name, each in wanted.items()}
    return {each: run for each, run in runs.items() if run}


def _record(cell: tuple[Settings, str], store: Path, device: str, precision: str) -> Outcome:
    settings, weights = cell
    return _outcome(load_or_train(settings, True, store, device, precision, False, weights), "trained", {})


def forecast_runs(
    settings: Iterable[Settings],
    jobs: int | None = None,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> str:
    """Return in words how many of the runs are known, and about how long the others will take on this computer."""
    wanted = {each.id: each for each in settings}
    known = _known(wanted, Path(store or cache_folder()).absolute(), {})
    jobs = num_workers(jobs, device)
    groups = plan_ensembles(_missing(wanted, known), jobs, device)
    return _forecast(wanted, known, jobs, groups, device, precision)


def _missing(wanted: Mapping[str, Settings], known: Mapping[str, Outcome]) -> list[Settings]:
    return [settings for name, settings in wanted.items() if name not in known]


def _train(settings: Settings, store: Path, device: str, precision: str, regions: Regions) -> Outcome:
    if found := find(settings, store):
        return _outcome(found, "known", regions)
    return _outcome(load_or_train(settings, False, store, device, precision, False), "trained", regions)


def _train_together(
    group: Sequence[Settings], store: Path, device: str, precision: str, progress: bool, regions: Regions
) -> dict[str, Outcome]:
    """Train an ensemble; runs that it left alone are missing from the outcomes. An error ends all of its members."""
    if progress:
        print(f"{len(group)} runs as one:")
    try:
        found = load_or_train_ensemble(group, store, device, precision, progress)
    except KeyboardInterrupt:  # Interrupted is a BumplabError, too
        raise
    except Exception as error:
        return {each.id: failure(error) for each in group}
    return {
        name: _outcome(run, "trained", regions) if isinstance(run, Run) else {"status": "failed", "error": str(run)}
        for name, run in found.items()
    }


def _known(wanted: Mapping[str, Settings], store: Path, regions: Regions) -> dict[str, Outcome]:
    known = {}
    for name, settings in wanted.items():
        try:
            if found := find(settings, store):
                known[name] = _outcome(found, "known", regions)
        except StoreError as error:
            known[name] = {"status": "failed", "error": str(error)}
    return known


def _outcome(found: Any, status: str, regions: Regions) -> Outcome:
    provenance = {name: found.provenance[name] for name in ("device", "precision", "threads", "seconds")}
    columns = flatten(found.accuracy)
    whole: Any = concatenate(found.evaluations.values()) if regions else None
    for name, where in regions.items():
        part = whole.in_region(where)
        columns |= {f"{name}.{which}": part.accuracy(which).value for which in ("joint", "x", "y")}
        columns[f"{name}.n"] = len(part.mu)
    return {**columns, **provenance, "status": status}


def _columns(settings: Settings) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in flatten(settings.model_dump(mode="json")).items():
        if name in ("world.sigma", "world.spacing"):
            columns[name] = value[0] if value[0] == value[1] else math.nan
            columns |= {f"{name}.x": value[0], f"{name}.y": value[1]}
        else:
            columns |= lists_as_json({name: value})
    return columns


def _forecast(
    wanted: Mapping[str, Settings],
    known: Mapping[str, Outcome],
    jobs: int,
    groups: Sequence[Sequence[Settings]],
    device: str,
    precision: str,
) -> str:
    grouped = {settings.id for group in groups for settings in group}
    todo = [settings for name, settings in wanted.items() if name not in known and name not in grouped]
    threads = 1 if jobs > 1 else torch.get_num_threads()
    place = pick_device(device)
    here = {"device": device_name(place), "precision": pick_precision(place, precision), "threads": threads}
    done = {wanted[name]: outcome["seconds"] for name, outcome in known.items() if here.items() <= outcome.items()}
    alone = estimate_seconds(todo, done, threads, device, precision) / max(1, min(jobs, len(todo)))
    most = max([jobs, *map(len, groups)])
    return format_estimate(len(wanted), len(known), most, alone + estimate_ensembles(groups, device, precision), "run")
