"""Ensembles that the store keeps as single runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from filelock import Timeout

from bumplab.common.errors import BumplabError
from bumplab.runs.bump_family import make_record
from bumplab.runs.deadlines import count_parameters
from bumplab.runs.file_store import FileStore
from bumplab.runs.records import StoreError
from bumplab.runs.run import Run
from bumplab.runs.store import find
from bumplab.training.checkpoints import init_or_resume
from bumplab.training.device import pick_device, pick_precision
from bumplab.training.ensembles import ENSEMBLE_CHECKPOINT_SECONDS, Ensemble, groups, is_worthwhile
from bumplab.training.loop import run_loop
from bumplab.training.outcomes import MAX_EVALUATIONS
from bumplab.training.settings import Settings
from bumplab.training.state import TrainState

#: Of a network that trains together with others. Presets quick and laptop have 0.4 and 0.7 million, paper 17.6.
MAX_PARAMETERS = 2_000_000


def load_or_train_ensemble(
    settings: Sequence[Settings],
    store: Path,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    compile: bool | None = None,
    keep: Mapping[str, str] | None = None,
    known: Callable[[Settings], Run | None] | None = None,
) -> dict[str, Run | BumplabError]:
    """Train the runs of one :func:`~bumplab.training.ensembles.batching_key` together and store them.

    Parameters
    ----------
    settings : sequence of Settings
    store, device, progress, compile
        See :func:`bumplab.runs.store.load_or_train`.
    precision : str
        Likewise; ``"auto"`` is fp32 where it would be fp16 otherwise, and with ``"fp16"`` nothing is trained here.
    keep : mapping of str to str, optional
        Id to what the run keeps of its weights; all of them unless given.
    known : callable, optional
        Returns the run of some settings if it need not be trained; :func:`bumplab.runs.store.find` unless given.

    Returns
    -------
    dict
        Id to run, or to the error that ended it. Absent are those that another process trains at the moment, and
        those that would train alone, because of memory or because no other's checkpoint is at the same step.

    Raises
    ------
    Interrupted
        On Ctrl-C; the same call goes on, and so does :func:`bumplab.runs.store.load_or_train` for a single one.
    """
    if pick_precision(pick_device(device), precision) == "fp16":
        if precision == "fp16":  # one member's overflow would halve the loss scale of all
            return {}
        precision = "fp32"
    known = known or partial(find, store=store)
    found: dict[str, Run | BumplabError] = {}
    with ExitStack() as locks:
        todo = []
        for each in settings:
            try:
                place = FileStore(store)
                locks.enter_context(place.hold(each.id, timeout=0))
                if run := place.adopt(each.id) or known(each):  # another process was faster
                    found[each.id] = run
                else:
                    todo.append(each)
            except Timeout:
                continue
            except StoreError as error:
                found[each.id] = error
        train = partial(
            _train_at_once, store=store, device=device, precision=precision, progress=progress, compile=compile,
            keep=keep or {},
        )  # fmt: skip
        return found | _train_all(todo, store, train)


def plan_ensembles(settings: Iterable[Settings], jobs: int, device: str) -> list[list[Settings]]:
    """Return the ensembles that runs make up: those of small networks, where one process trains them on a GPU.

    A network of more than :data:`MAX_PARAMETERS` keeps a GPU busy alone, and a finished run is worth more than
    several that have begun.

    Parameters
    ----------
    settings : iterable of Settings
        It is not begun where there can be no ensembles.
    jobs : int
        Processes that train.
    device : str
        See :func:`~bumplab.training.device.pick_device`.

    Examples
    --------
    >>> from bumplab.training import preset
    >>> plan_ensembles([preset("smoke", seed=seed) for seed in range(3)], jobs=1, device="cpu")
    []
    """
    if jobs > 1 or not is_worthwhile(pick_device(device)):
        return []
    return groups(each for each in settings if count_parameters(each) <= MAX_PARAMETERS)


def _train_all(
    settings: Sequence[Settings], store: Path, train: Callable[..., dict[str, Run | BumplabError]]
) -> dict[str, Run | BumplabError]:
    """Train all of them together; where that takes more memory than there is, in two halves."""
    if len(settings) < 2:
        return {}
    folders = [FileStore(store).make_work_folder(each.id) for each in settings]
    try:
        return train(settings, folders)
    except torch.OutOfMemoryError:
        pass  # outside of this handler nothing holds on to the tensors of the failed attempt
    torch.cuda.empty_cache()
    half = len(settings) // 2
    return _train_all(settings[:half], store, train) | _train_all(settings[half:], store, train)


def _train_at_once(
    settings: Sequence[Settings], folders: Sequence[Path], store: Path, device: str, precision: str, progress: bool,
    compile: bool | None, keep: Mapping[str, str],
) -> dict[str, Run | BumplabError]:  # fmt: skip
    found: dict[str, Run | BumplabError] = {}
    begun: dict[int, list[tuple[TrainState, Path]]] = {}
    for each, folder in zip(settings, folders, strict=True):
        try:
            state = init_or_resume(each, folder, device, precision)
        except BumplabError as error:  # the others go on
            found[each.id] = error
            continue
        begun.setdefault(state.step, []).append((state, folder))
    for pairs in begun.values():  # those whose checkpoints are at the same step
        if len(pairs) < 2:
            continue
        states, places = zip(*pairs, strict=True)
        ensemble = Ensemble(states)
        run_loop(states, places, ensemble.steps(compile), ensemble.measure, progress, ENSEMBLE_CHECKPOINT_SECONDS)
        found |= {state.settings.id: BumplabError(state.error) for state in states if state.error}
        well = [(state, folder) for state, folder in zip(states, places, strict=True) if not state.error]
        results = ensemble.evaluate([state for state, _ in well], MAX_EVALUATIONS)
        for (state, folder), evaluations in zip(well, results, strict=True):
            try:
                record = make_record(state, evaluations, folder, keep.get(state.settings.id, "all"))
                found[state.settings.id] = FileStore(store).save(record)
            except BumplabError as error:
                found[state.settings.id] = error
    return found
