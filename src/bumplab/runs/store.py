"""Runs and where they live: load a run by its settings, or train it.

A run is a folder named by its id::

    run.json                   settings, provenance, final accuracy, and the SHA-256 of every other file
    weights.safetensors        averaged weights
    history.json               loss and accuracy through training
    verdicts.safetensors       what was drawn for every condition of the final measurement: error, count, category
    code.safetensors           what layer 4 says of every condition, for runs that keep this instead of weights
    snapshot-STEP.safetensors  averaged weights after STEP steps in half precision, where the settings ask for them;
                               those after the last step are weights.safetensors

The plan of recorded runs says which of them keep their weights or a code.

Recorded runs come with the book (``book/runs``); new ones go to a cache of the user's. Nothing is loaded that
does not match its checksum and its settings, and loading executes no code.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from platformdirs import user_cache_path
from safetensors.torch import save as save_tensors

import bumplab
from bumplab.analysis.accuracy import CATEGORIES, Evaluation
from bumplab.common.errors import BumplabError
from bumplab.common.files import atomic_write
from bumplab.runs.bump_family import recompute
from bumplab.runs.run import EMBEDDING_FILE, VERDICTS_FILE, WEIGHTS_FILE, Run, StoreError
from bumplab.runs.verification import Proof, prove
from bumplab.training.checkpoints import CHECKPOINT, save_weights, snapshot_name
from bumplab.training.device import device_name
from bumplab.training.loop import train
from bumplab.training.outcomes import MOMENTS, evaluate_final, layer_embedding
from bumplab.training.settings import Settings
from bumplab.training.state import TrainState

#: What a run may keep of its weights.
WEIGHT_POLICIES = ("all", "half", *MOMENTS, "none")


def recorded_folder() -> Path:
    """Return the folder of the runs that come with the book."""
    return bumplab.book_folder() / "runs"


def cache_folder() -> Path:
    """Return the folder for new runs: ``BUMPLAB_STORE`` where set, else the user's cache."""
    chosen = os.environ.get("BUMPLAB_STORE")
    return Path(chosen).expanduser() if chosen else user_cache_path("bumplab", appauthor=False) / "runs"


def load(folder: Path) -> Run:
    """Load the run in `folder`, checking everything but the weights (those are checked when used).

    Raises
    ------
    StoreError
        If ``run.json`` is missing, damaged, or not of the settings that the folder's name stands for.
    """
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text())
        settings = Settings.from_record(content["settings"])
        run = Run(folder, settings, content["accuracy"], content["provenance"], dict(content["files"]))
        trainer = content["trainer"]
    except FileNotFoundError:
        raise StoreError(f"{path} is missing.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(f"{path} is damaged or not a run of bumplab; train the run again with retrain=True.") from None
    if trainer != Settings.trainer_version:
        raise StoreError(
            f"{path} was made by version {trainer} of the trainer, this is {Settings.trainer_version}; retrain it."
        )
    if settings.id != folder.name:
        raise StoreError(f"{path} holds the settings of run {settings.id}, not {folder.name}; retrain it.")
    return run


def find(settings: Settings, store: Path | None = None) -> Run | None:
    """Return the run of these settings from the recorded runs, the cache or `store`, or None.

    Every file is checked. A damaged run is passed over for a whole one elsewhere, and raises where there is none; one
    with more files goes before one with fewer: weights or snapshots may not have been kept.
    """
    refused = fullest = None
    for place in (recorded_folder(), cache_folder(), store or cache_folder()):
        if (place / settings.id).is_dir():
            try:
                run = load(place / settings.id)
                run.check_files()
                if run.settings != settings:
                    raise StoreError(f"{run.folder / 'run.json'} holds other settings under the same id; retrain it.")
                if not fullest or len(run.files) > len(fullest.files):
                    fullest = run
            except StoreError as error:
                refused = refused or error
    if refused and not fullest:
        raise refused
    return fullest


def iter_runs() -> Iterator[Path]:
    """Yield the folder of every run, recorded ones first."""
    for store in (recorded_folder(), cache_folder()):
        yield from sorted(path.parent for path in store.glob("*/run.json"))


def load_or_train(
    settings: Settings,
    retrain: bool = False,
    store: Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    weights: str = "all",
) -> Run:
    """Return the run of these settings, training it where it is not known.

    Parameters
    ----------
    settings : Settings
    retrain : bool
        Train afresh even if the run is known; the new one then stands in for the old one in `store`. Recorded runs
        go before those of the cache when a run is looked up.
        A checkpoint of an interrupted training is continued all the same.
    store : Path, optional
        Where a trained run goes; the user's cache unless given.
    device, precision, progress
        See :func:`bumplab.training.loop.train`.
    weights : {"all", "half", "first", "last", "none"}
        What a trained run keeps beside settings, history, accuracy and what was drawn: all its weights; those at its
        end, in half precision; no weights but its :meth:`~bumplab.runs.run.Run.code` at the first or last moment;
        nothing.

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
    if weights not in WEIGHT_POLICIES:
        raise BumplabError(f"A run cannot keep {weights!r} of its weights: use {', '.join(WEIGHT_POLICIES)}.")
    store = cache_folder() if store is None else Path(store)
    if not retrain and (run := find(settings, store)):
        return run
    with FileLock(lock(settings, store)):
        if not retrain and (run := find(settings, store)):  # another process was faster
            return run
        state = train(settings, work_folder(settings, store), device, precision, progress)
        return save(state, store, evaluate_final(state.ema_model, settings, state.device), weights)


def lock(settings: Settings, store: Path) -> Path:
    """Return the path of the lock that whoever trains a run holds; the store is made where it is not there."""
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BumplabError(f"Cannot write to the store {store}: {error.strerror}; set BUMPLAB_STORE.") from None
    return store / f"{settings.id}.lock"


def work_folder(settings: Settings, store: Path) -> Path:
    """Return the folder of a run that is still training."""
    return store / f"{settings.id}.part"


def save(state: TrainState, store: Path, drawn: dict[str, Evaluation], weights: str = "all") -> Run:
    """Turn the folder of a finished training into a run, in the place of an old one; return it.

    Parameters
    ----------
    state : State
        At its last step; its :func:`lock` is held.
    store : Path
    drawn : dict
        See :func:`~bumplab.training.outcomes.evaluate_final`.
    weights : {"all", "half", "first", "last", "none"}
        See :func:`load_or_train`.
    """
    settings, work = state.settings, work_folder(state.settings, store)
    atomic_write(work / "history.json", json.dumps(state.history, separators=(",", ":")))
    tensors = {}
    for part, result in drawn.items():
        verdict = len(CATEGORIES) * result.detections.count + result.axis_category  # a count is 0, 1 or 2
        tensors[f"{part}/error"] = result.error.to("cpu", torch.float16)
        tensors[f"{part}/code"] = verdict.to("cpu", torch.int8)
    atomic_write(work / VERDICTS_FILE, save_tensors(tensors))
    names = ["history.json", VERDICTS_FILE]
    if weights in ("all", "half"):
        save_weights(state.ema_model, work / WEIGHTS_FILE, torch.float16 if weights == "half" else torch.float32)
        names += [WEIGHTS_FILE]
    if weights in MOMENTS:
        kept = torch.from_numpy(layer_embedding(state.ema_model, settings, weights)).half().contiguous()
        atomic_write(work / EMBEDDING_FILE, save_tensors({weights: kept}))
        names += [EMBEDDING_FILE]
    if weights == "all":
        names += [snapshot_name(step) for step in settings.training.snapshots if step < settings.training.steps]
    content = {
        "settings": settings.to_record(),
        "trainer": Settings.trainer_version,
        "accuracy": {part: result.to_record() for part, result in drawn.items()},
        "provenance": {
            "bumplab": bumplab.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "device": device_name(state.device),
            "precision": state.precision,
            "threads": torch.get_num_threads(),
            "members": state.ensemble_size,
            "seconds": round(state.seconds, 2),
            "date": datetime.now(UTC).date().isoformat(),
        },
        "files": {name: hashlib.sha256((work / name).read_bytes()).hexdigest() for name in names},
    }
    atomic_write(work / "run.json", json.dumps(content, indent=1) + "\n")
    for path in work.iterdir():  # what a kill in the middle of a write left, and snapshots without their run
        if path.name not in (*names, "run.json", CHECKPOINT):
            path.unlink()
    (work / CHECKPOINT).unlink(missing_ok=True)  # last: until here an interruption costs nothing
    final, old = store / settings.id, store / f"{settings.id}.old"
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    os.replace(work, final)
    shutil.rmtree(old, ignore_errors=True)
    return load(final)


def verify(folder: Path) -> Proof:
    """Compute a run's accuracy again from what it kept, and say whether the recorded one is true.

    Returns
    -------
    Proof
        "proved", "refuted" or "not provable"; see :func:`bumplab.runs.bump_family.recompute` for what is compared to
        what tolerance.
    """
    try:
        run = load(folder)
        run.check_files()
    except StoreError as error:
        return Proof(folder.name, "refuted", str(error).removesuffix("."))
    return prove(run.id, run.accuracy, recompute(run))
