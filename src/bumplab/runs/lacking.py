"""What studies ask for and nobody has recorded: train it, most wanted first, alone or together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from filelock import Timeout

from bumplab.common.run_settings import RunSettings
from bumplab.runs.deadlines import Deadline
from bumplab.runs.ensembles import load_or_train_ensemble, plan_ensembles
from bumplab.runs.executor import Outcome, failure, num_workers, report_interrupts, run_tasks
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.run import Run
from bumplab.runs.store import load_or_train, recorded_folder
from bumplab.runs.toy_family import load_or_train_toys
from bumplab.toys.settings import ToySettings
from bumplab.training.checkpoints import find_checkpoints
from bumplab.training.compilation import COMPILE_SECONDS
from bumplab.training.device import pick_device, pick_precision
from bumplab.training.settings import Settings
from bumplab.training.state import Interrupted
from bumplab.training.stopping import stop_when

#: Time to write the checkpoints of a stack of toys.
TOY_SAVING_SECONDS = 5.0


def train_lacking(
    studies: Mapping[str, Mapping[RunSettings, str]],
    store: Path,
    retrain: bool = False,
    jobs: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    deadline: Deadline | None = None,
    compile: bool | None = None,
) -> dict[str, Outcome]:
    """Train, in a store, the runs that studies ask for and that are not recorded; those that have begun go first.

    On a GPU, small runs of one kind train together when the first of them has its turn, see
    :func:`bumplab.runs.ensembles.plan_ensembles`; with `retrain`, each trains alone.

    Parameters
    ----------
    store : Path
        Its runs are taken as they are where they keep what the study asks for.
    studies, retrain, jobs, device, precision, deadline, compile
        See :func:`bumplab.runs.recording.record_studies`.

    Returns
    -------
    dict
        Id to outcome. Its status is "known" (recorded), "trained" (here, now or before), "stopped" (with a
        checkpoint), "waiting" (not begun, or another process is at it) or "failed".

    Raises
    ------
    BumplabError
        If a pack or a recorded run is damaged, or the device or its precision is not there; nothing was trained then.
    Interrupted
        On Ctrl-C.
    """
    pick_precision(pick_device(device), precision)  # a mistake here counts even if nothing lacks
    recorded = PackStore(recorded_folder())
    for error in recorded.problems():
        raise error
    recorded_ids = set(recorded.ids())
    cells = {settings.id: (settings, kept) for study in studies.values() for settings, kept in study.items()}
    known: dict[str, Outcome] = {}
    for id in cells.keys() & recorded_ids if not retrain else ():
        run = recorded.get(id)
        if run:
            run.check()
        known[id] = {"status": "known"}
    toys = {id: (each, kept) for id, (each, kept) in cells.items() if isinstance(each, ToySettings) and id not in known}
    if toys:
        with report_interrupts():
            known |= _train_toys(toys, store, retrain, device, deadline)
    begun = [id for id in cells if has_begun(FileStore(store), id)]
    order = dict.fromkeys([*begun, *cells])
    bumps = {id: (each, kept) for id in order for each, kept in [cells[id]] if isinstance(each, Settings)}
    workers = num_workers(jobs, device)
    work = partial(
        _train, store=store, retrain=retrain, device=device, precision=precision, progress=workers == 1,
        deadline=deadline, compile=compile,
    )  # fmt: skip
    outcomes = dict(known)
    with report_interrupts():
        for group in [] if retrain else _plan(bumps, outcomes, store, workers, device):
            names = list(bumps)
            ahead = {id: bumps[id] for id in names[: names.index(group[0].id)] if id not in outcomes}
            outcomes = run_tasks(work, ahead, outcomes, workers, unit="run") if ahead else outcomes
            outcomes |= _train_together(group, bumps, store, device, precision, deadline, compile)
        return run_tasks(work, bumps, outcomes, workers, unit="run")


def _train_toys(
    cells: Mapping[str, tuple[ToySettings, str]], store: Path, retrain: bool, device: str, deadline: Deadline | None
) -> dict[str, Outcome]:
    """Train toys in stacks; each is minutes at most, and stops with a checkpoint where a deadline comes."""
    todo = {id: each for id, (each, kept) in cells.items() if retrain or not _get(store, each, kept)}
    keep = {id: kept for id, (_, kept) in cells.items()}
    outcomes: dict[str, Outcome] = {id: {"status": "trained"} for id in cells.keys() - todo.keys()}
    late = stop_when(lambda _: not deadline.leaves(TOY_SAVING_SECONDS)) if deadline else nullcontext()
    try:
        with late:
            results = load_or_train_toys(todo.values(), store, True, device, keep=keep)
    except Interrupted:
        if not deadline or deadline.leaves(TOY_SAVING_SECONDS):
            raise
        here = FileStore(store)
        statuses = {
            id: "trained" if here.get_whole(id) else "stopped" if has_begun(here, id) else "waiting" for id in todo
        }
        return outcomes | {id: {"status": status} for id, status in statuses.items()}
    failed = {id: {"status": "failed", "error": str(run)} for id, run in results.items() if not isinstance(run, Run)}
    return outcomes | {id: {"status": "trained"} for id in todo} | failed


def _plan(
    cells: Mapping[str, tuple[Settings, str]], outcomes: Mapping[str, Outcome], store: Path, workers: int, device: str
) -> list[list[Settings]]:
    """Return the ensembles of what lacks, in the order of their first members.

    What lacks is looked up only where there are ensembles: finished runs are read whole.
    """
    lacking = (each for id, (each, kept) in cells.items() if id not in outcomes and not _get(store, each, kept))
    order = list(cells)
    return sorted(plan_ensembles(lacking, workers, device), key=lambda group: order.index(group[0].id))


def _get(store: Path, settings: RunSettings, kept: str) -> Run | None:
    """Return a whole run that keeps enough, or None."""
    run = FileStore(store).get_whole(settings.id)
    return run if run and keeps_enough(run, kept) else None


def _train_together(
    group: Sequence[Settings], cells: Mapping[str, tuple[Settings, str]], store: Path, device: str, precision: str,
    deadline: Deadline | None, compile: bool | None,
) -> dict[str, Outcome]:  # fmt: skip
    """Train an ensemble; what it has left alone, or had no time to begin, is missing from the outcomes.

    An error ends the members that are not stored by then, and no other run.
    """
    if deadline and not deadline.allows(group[0], len(group)):
        return {}
    keep = {each.id: cells[each.id][1] for each in group}
    train = partial(
        load_or_train_ensemble, group, store, device, precision, compile=compile, keep=keep,
        known=lambda each: _get(store, each, keep[each.id]),
    )  # fmt: skip
    try:
        with stop_when(deadline) if deadline else nullcontext():
            found = train()
    except Interrupted:
        if not deadline or not deadline.stopped:
            raise
        trained = _trained(group, keep, store)
        stopped = {id for id in keep.keys() - trained if has_begun(FileStore(store), id)}
        return {id: {"status": "trained" if id in trained else "stopped"} for id in keep if id in trained | stopped}
    except Exception as error:
        trained = _trained(group, keep, store)
        return {id: {"status": "trained"} if id in trained else failure(error) for id in keep}
    members = [run.provenance["members"] for run in found.values() if isinstance(run, Run)]
    if deadline and members:
        deadline.note_end(group[0], max(members))
    return {
        id: {"status": "trained"} if isinstance(run, Run) else {"status": "failed", "error": str(run)}
        for id, run in found.items()
    }


def _trained(group: Sequence[Settings], keep: Mapping[str, str], store: Path) -> set[str]:
    return {each.id for each in group if _get(store, each, keep[each.id])}


def has_begun(store: FileStore, id: str) -> bool:
    """Return whether a run has a checkpoint in a store.

    Examples
    --------
    >>> has_begun(FileStore(Path("/nowhere")), "0123456789ab")
    False
    """
    try:
        return bool(find_checkpoints(store.work_folder(id)))
    except OSError:
        return False


def _train(
    cell: tuple[Settings, str], store: Path, retrain: bool, device: str, precision: str, progress: bool,
    deadline: Deadline | None, compile: bool | None,
) -> Outcome:  # fmt: skip
    settings, kept = cell
    if not retrain and _get(store, settings, kept):
        return {"status": "trained"}
    if deadline is None:
        load_or_train(settings, True, store, device, precision, progress, kept, compile)
        return {"status": "trained"}
    try:  # whoever else trains this run may be at it for longer than there is time
        with FileStore(store).hold(settings.id, timeout=0):
            pass
    except Timeout:
        return {"status": "waiting"}
    if not deadline.allows(settings):
        return {"status": "waiting"}
    if compile is None and not has_begun(FileStore(store), settings.id) and not deadline.leaves(4 * COMPILE_SECONDS):
        compile = False  # a run that goes on stays what it was
    try:
        with stop_when(deadline):
            load_or_train(settings, True, store, device, precision, progress, kept, compile)
    except Interrupted:
        if deadline.stopped:
            return {"status": "stopped"}
        raise
    deadline.note_end(settings)
    return {"status": "trained"}


def keeps_enough(run: Run, kept: str) -> bool:
    """Return whether a run keeps of its weights what a study asks for, see :func:`bumplab.runs.store.load_or_train`."""
    has = run.provenance.get("keep")
    return kept in (has, "none") or has == "all" or (has == "half" and kept != "all")
