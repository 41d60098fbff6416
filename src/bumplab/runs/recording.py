"""Recorded runs of the book: train what the chapters ask for, pack it, and put packs together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from bumplab.common.errors import BumplabError, quote
from bumplab.common.parsing import flatten
from bumplab.common.run_settings import RunSettings
from bumplab.runs.deadlines import Deadline
from bumplab.runs.executor import Outcome
from bumplab.runs.families import family_of
from bumplab.runs.file_store import FileStore
from bumplab.runs.lacking import train_lacking
from bumplab.runs.pack import Pack, read_pack
from bumplab.runs.pack_files import find_index
from bumplab.runs.pack_store import PackStore
from bumplab.runs.packing import hold_pack, write_pack
from bumplab.runs.records import VERDICTS, Record
from bumplab.runs.run import Run
from bumplab.runs.store import recorded_folder


def work_folder() -> Path:
    """Return the folder in which runs are trained before they are packed: ``_build/runs`` beside the book."""
    return recorded_folder().parent.parent / "_build" / "runs"


def record_studies(
    studies: Mapping[str, Mapping[RunSettings, str]],
    retrain: bool = False,
    jobs: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    deadline: Deadline | None = None,
    compile: bool | None = None,
) -> dict[str, Outcome]:
    """Train the runs that studies ask for and that no study holds, and pack them.

    Parameters
    ----------
    studies : mapping
        Name of a study to its runs, settings to what is kept of the weights: what
        :func:`bumplab.chapters.studies.all_studies` reads from the chapters.
    retrain : bool
        Train again what is there; the new runs take the places of the old ones.
    jobs, device, precision
        See :func:`bumplab.runs.sweep.sweep_settings`.
    deadline : Deadline, optional
        When training has to have ended.
    compile : bool, optional
        See :func:`bumplab.training.loop.train`.

    Returns
    -------
    dict
        Id to outcome, see :func:`bumplab.runs.lacking.train_lacking`. Runs that failed do not keep the others from
        being packed.

    Raises
    ------
    BumplabError
        If a pack or a recorded run is damaged.
    Interrupted
        On Ctrl-C; the same call goes on, and packs what is finished by then.
    """
    outcomes = train_lacking(studies, work_folder(), retrain, jobs, device, precision, deadline, compile)
    for name, study in studies.items():
        trained = [settings.id for settings in study if outcomes[settings.id]["status"] == "trained"]
        fresh = [run for id in trained if (run := FileStore(work_folder()).get(id))]
        if fresh:
            pack_runs(fresh, name, replace=retrain)
    return outcomes


def pack_runs(runs: Iterable[Run], study: str, replace: bool = False) -> Pack:
    """Add runs to a study of the recorded ones, which is made where it is not there; compare all of it on the way.

    Parameters
    ----------
    runs : iterable of Run
        Each is read whole.
    study : str
        Name of the study and its folder.
    replace : bool
        Let a run take the place of one with the same id but other numbers.

    Raises
    ------
    BumplabError
        If a run contradicts the one that is there, or one in another study; everything stays as it was then.
    """
    if not study or Path(study).name != study or study.startswith("."):
        raise BumplabError(
            f"A study is named like the folder that it lies in, such as 02-training; got {quote(study)}."
        )
    store = PackStore(recorded_folder())
    records = [complete_record(run) for run in runs]
    fresh, folder = {record.id for record in records}, store.folder / study
    with hold_pack(folder):
        old = read_pack(folder) if find_index(folder) else None
        if old:
            old.refuse_problems()
        kept = [old.record(id) for id in old.lines if not (replace and id in fresh)] if old else []
        for pack in store.packs():
            if pack.folder != folder and (both := sorted(fresh & pack.lines.keys())):
                raise BumplabError(f"Run {both[0]} is in study {pack.folder.name} already; nothing was written.")
        return write_pack(folder, study, [*records, *kept])


def complete_record(run: Run) -> Record:
    """Return a run as a record whose verdicts say which rows of the data set they are about, int32."""
    record, family = run.record(), family_of(run.settings)
    parts = {name.rpartition("/")[0] for name in record.arrays if name.startswith(VERDICTS)}
    rows = family.rows(run.settings) if family.rows else {}
    columns = {f"{VERDICTS}/{part}/row": values.astype(np.int32) for part, values in rows.items()}
    return dataclasses.replace(
        record, arrays=record.arrays | {n: a for n, a in columns.items() if n.rpartition("/")[0] in parts}
    )


def compare_indices(then: Sequence[dict], now: Sequence[dict]) -> list[str]:
    """Return one line for each run that came, went, or has other numbers, given lines of indices.

    See :func:`bumplab.runs.fingerprints.describe_record`.
    """
    before, after = ({line["id"]: line for line in lines} for lines in (then, now))
    changes = [f"- {id}" for id in sorted(before.keys() - after.keys())]
    changes += [f"+ {id}" for id in sorted(after.keys() - before.keys())]
    for id in sorted(before.keys() & after.keys()):
        was, now_is = (flatten(lines[id]["scalars"]) for lines in (before, after))
        moved = [
            f"{name} {was[name]} -> {value}" for name, value in now_is.items() if was.get(name) not in (value, None)
        ]
        others = [
            kind
            for kind in ("settings", "trainer", "provenance", "curves", "arrays", "weights")
            if before[id][kind] != after[id][kind]
        ]
        if moved or others or was != now_is:
            changes.append(f"! {id}  " + ", ".join([*moved, *others] or ["scalars"]))
    return changes
