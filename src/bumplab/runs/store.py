"""Runs by their settings: look one up, or train it.

Recorded runs come with the book, in packs (``book/runs/<study>``, :mod:`bumplab.runs.pack`); new ones go to a cache of
the user's, a file each (:mod:`bumplab.runs.run_file`). Nothing is loaded that does not match its checksum and its
settings, and loading executes no code. What a run is, its family says (:mod:`bumplab.runs.families`).
"""

from __future__ import annotations

from pathlib import Path

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import book_folder
from bumplab.common.places import resolve_folder, user_folder
from bumplab.common.run_settings import RunSettings
from bumplab.runs.families import family_of
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_files import look_again, stamp_of
from bumplab.runs.pack_store import PackStore
from bumplab.runs.records import StoreError
from bumplab.runs.run import Run
from bumplab.runs.verification import Proof, prove


def recorded_folder() -> Path:
    """Return the folder of the studies whose runs come with the book."""
    return book_folder() / "runs"


def cache_folder() -> Path:
    """Return the folder for new runs: ``BUMPLAB_STORE`` where set, else the user's cache.

    Raises
    ------
    BumplabError
        If neither can be the path of a folder.
    """
    return user_folder("BUMPLAB_STORE", "bumplab", "runs")


def stores(store: Path | None = None) -> tuple[PackStore | FileStore, ...]:
    """Return where a run is looked up, in this order: recorded runs, the cache, and `store` if that is another."""
    places = dict.fromkeys([cache_folder(), Path(store or cache_folder())])
    return PackStore(recorded_folder()), *map(FileStore, places)


def usable_stores() -> tuple[tuple[PackStore | FileStore, ...], list[BumplabError]]:
    """Return the recorded runs, and the cache if there can be one, else why not: to look around, not to train.

    Examples
    --------
    >>> places, problems = usable_stores()
    >>> len(places) + len(problems)
    2
    """
    try:
        return stores(), []
    except BumplabError as error:
        return (PackStore(recorded_folder()),), [error]


def find(settings: RunSettings, store: Path | None = None) -> Run | None:
    """Return the run of these settings from the recorded runs, the cache or `store`, or None.

    All of it is checked. A damaged run is passed over for a whole one elsewhere, and raises where there is none; one
    that keeps more goes before one that keeps less: weights or snapshots may not have been kept.
    """
    refused = fullest = None
    for place in stores(store):
        try:
            run = _get_whole(place, settings.id)
            if run is None:
                continue
            if run.settings != settings:
                raise StoreError(f"{run.path} holds other settings under the id {settings.id}; retrain it.")
            if not fullest or len(run.kept) > len(fullest.kept):
                fullest = run
        except StoreError as error:
            refused = refused or error
    if refused and not fullest:
        raise refused
    return fullest


@look_again
def _get_whole(place: PackStore | FileStore, id: str) -> Run | None:
    """Return a run that was checked as a whole, or None; if it is replaced meanwhile, the new one."""
    run = place.get(id)
    if run:
        run.check()
    return run


def load_or_train(
    settings: RunSettings,
    retrain: bool = False,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    weights: str | None = None,
    compile: bool | None = None,
) -> Run:
    """Return the run of these settings, training it where it is not known.

    Parameters
    ----------
    settings : RunSettings
        Those of any family, such as :class:`bumplab.training.settings.Settings`.
    retrain : bool
        Train afresh even if the run is known; the new one then stands in for the old one in `store`. Recorded runs
        go before those of the cache when a run is looked up.
        A checkpoint of an interrupted training is continued all the same.
    store : Path, optional
        Where a trained run goes; the user's cache unless given.
    device, precision, progress, compile
        See :func:`bumplab.training.loop.train`.
    weights : str, optional
        What a trained run keeps beside settings, history, accuracy and what was drawn. Of bumps: ``"all"`` its weights
        (unless told otherwise); ``"half"``, those at its end, in half precision; ``"first"`` or ``"last"``, no weights
        but its :meth:`~bumplab.runs.bump_family.BumpRun.embedding` at that moment; ``"none"``.

    Notes
    -----
    Two processes that ask for the same run train it once, afresh or not: the second waits for the first.

    Raises
    ------
    BumplabError
        If `weights` is none of these; nothing is trained then.
    StoreError
        If the run is there but damaged, and `retrain` is not set.
    Interrupted
        On Ctrl-C; the next call goes on from the checkpoint.
    """
    family = family_of(settings)
    keep = family.keep[0] if weights is None else weights
    if keep not in family.keep:
        raise BumplabError(f"A run cannot keep {quote(keep)} of its weights: use {', '.join(family.keep)}.")
    target = FileStore(cache_folder() if store is None else resolve_folder(store))
    if not retrain:
        target.settle(settings.id)
        if run := find(settings, target.folder):
            return run
    before = stamp_of(target.path(settings.id))
    with target.hold(settings.id):
        if run := target.adopt(settings.id):  # a training that was cut off had come to its end
            return run
        if not retrain and (run := find(settings, target.folder)):  # another process was faster
            return run
        if retrain and stamp_of(target.path(settings.id)) != before:  # trained afresh while this process waited
            run = _get_whole(target, settings.id)
            if run and run.provenance.get("keep") == keep:
                return run
        folder = target.make_work_folder(settings.id)
        return target.save(family.train(settings, folder, device, precision, progress, keep, compile))


def verify(store: PackStore | FileStore, id: str) -> Proof:
    """Compute a run's scalars again from what it kept, and say whether the recorded ones are true.

    Its family says what is compared to what tolerance: bumps in :func:`bumplab.runs.bump_family.recompute`.

    Returns
    -------
    Proof
        "proved", "refuted" or "not provable".
    """
    try:
        run = _get_whole(store, id)
        if run is None:
            raise StoreError(f"There is no run {id} in {store.folder}.")
        return prove(id, run.scalars, family_of(run.settings).recompute(run))
    except StoreError as error:
        return Proof(id, "refuted", str(error).removesuffix("."))
