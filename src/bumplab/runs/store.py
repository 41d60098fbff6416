"""Runs by their settings: look one up, or train it.

Recorded runs come with the book, in packs (``book/runs/<study>``, :mod:`bumplab.runs.pack`); new ones go to a cache of
the user's, a folder each (:mod:`bumplab.runs.folders`). Nothing is loaded that does not match its checksum and its
settings, and loading executes no code. What a run is, its family says (:mod:`bumplab.runs.families`).
"""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from bumplab.common.errors import BumplabError
from bumplab.common.files import book_folder
from bumplab.common.run_settings import RunSettings
from bumplab.runs.families import family_of
from bumplab.runs.folder_store import FolderStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.records import StoreError
from bumplab.runs.run import Run
from bumplab.runs.verification import Proof, prove


def recorded_folder() -> Path:
    """Return the folder of the studies whose runs come with the book."""
    return book_folder() / "runs"


def cache_folder() -> Path:
    """Return the folder for new runs: ``BUMPLAB_STORE`` where set, else the user's cache."""
    chosen = os.environ.get("BUMPLAB_STORE")
    return Path(chosen).expanduser() if chosen else user_cache_path("bumplab", appauthor=False) / "runs"


def stores(store: Path | None = None) -> tuple[PackStore | FolderStore, ...]:
    """Return where a run is looked up, in this order: recorded runs, the cache, and `store` if that is another."""
    places = dict.fromkeys([cache_folder(), Path(store or cache_folder())])
    return PackStore(recorded_folder()), *map(FolderStore, places)


def find(settings: RunSettings, store: Path | None = None) -> Run | None:
    """Return the run of these settings from the recorded runs, the cache or `store`, or None.

    All of it is checked. A damaged run is passed over for a whole one elsewhere, and raises where there is none; one
    that keeps more goes before one that keeps less: weights or snapshots may not have been kept.
    """
    refused = fullest = None
    for place in stores(store):
        try:
            run = place.get(settings.id)
            if run is None:
                continue
            run.check()
            if run.settings != settings:
                raise StoreError(f"{run.folder} holds other settings under the id {settings.id}; retrain it.")
            if not fullest or len(run.kept) > len(fullest.kept):
                fullest = run
        except StoreError as error:
            refused = refused or error
    if refused and not fullest:
        raise refused
    return fullest


def load_or_train(
    settings: RunSettings,
    retrain: bool = False,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    weights: str | None = None,
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
    device, precision, progress
        See :func:`bumplab.training.loop.train`.
    weights : str, optional
        What a trained run keeps beside settings, history, accuracy and what was drawn. Of bumps: ``"all"`` its weights
        (unless told otherwise); ``"half"``, those at its end, in half precision; ``"first"`` or ``"last"``, no weights
        but its :meth:`~bumplab.runs.bump_family.BumpRun.embedding` at that moment; ``"none"``.

    Notes
    -----
    Two processes that ask for the same run train it once: the second waits for the first.

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
        raise BumplabError(f"A run cannot keep {keep!r} of its weights: use {', '.join(family.keep)}.")
    target = FolderStore(cache_folder() if store is None else Path(store))
    if not retrain and (run := find(settings, target.folder)):
        return run
    with FileLock(target.lock(settings.id)):
        if not retrain and (run := find(settings, target.folder)):  # another process was faster
            return run
        return target.save(family.train(settings, target.work_folder(settings.id), device, precision, progress, keep))


def verify(store: PackStore | FolderStore, id: str) -> Proof:
    """Compute a run's scalars again from what it kept, and say whether the recorded ones are true.

    Its family says what is compared to what tolerance: bumps in :func:`bumplab.runs.bump_family.recompute`.

    Returns
    -------
    Proof
        "proved", "refuted" or "not provable".
    """
    try:
        run = store.get(id)
        if run is None:
            raise StoreError(f"There is no run {id} in {store.folder}.")
        run.check()
        return prove(id, run.scalars, family_of(run.settings).recompute(run))
    except StoreError as error:
        return Proof(id, "refuted", str(error).removesuffix("."))
