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

import copy
import hashlib
import itertools
import json
import math
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

import bumplab
from bumplab.base import BumplabError, atomic_write
from bumplab.evaluate import CATEGORIES, Evaluation, Found
from bumplab.geometry import project
from bumplab.probe import represent
from bumplab.settings import TRAINER_VERSION, Settings, preset, put
from bumplab.train import CHECKPOINT, State, drawn, save_weights, snapshot_name, summary, train
from bumplab.unet import UNet

#: When layer 4 is asked for its code, see :func:`code`.
MOMENTS = ("first", "last")
#: What a run may keep of its weights.
KEPT = ("all", "half", *MOMENTS, "none")
WEIGHTS, VERDICTS, CODE = "weights.safetensors", "verdicts.safetensors", "code.safetensors"
#: The final accuracy is measured on at most this many conditions, evenly spread.
MEASURED = 4096


class StoreError(BumplabError):
    """A file in the store is missing, damaged, foreign or of other settings."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : Path
    settings : Settings
    accuracy : dict
        ``seen`` and, where the world has any, ``unseen``: shares after training, see
        :func:`bumplab.train.score`.
    provenance : dict
        Versions, device, precision, threads, how many runs trained as one, seconds of training for each, and date.
    """

    folder: Path
    settings: Settings
    accuracy: dict[str, dict[str, float]]
    provenance: dict[str, Any]
    files: dict[str, str]

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.settings.id

    @cached_property
    def history(self) -> dict[str, list]:
        """Loss and accuracy through training, see :class:`bumplab.train.State`."""
        return json.loads(self._read("history.json"))

    @property
    def snapshots(self) -> list[int]:
        """Steps for which weights were kept."""
        return [step for step in self.settings.training.snapshots if self._weights(step) in self.files]

    def model(self, step: int | None = None, device: str | torch.device = "cpu") -> UNet:
        """Return the network with its final weights, or with those after `step`, ready for use."""
        if step is not None and step not in self.snapshots:
            raise BumplabError(f"Run {self.id} kept no weights after step {step}; it has {self.snapshots or 'none'}.")
        name = self._weights(step)
        if name not in self.files:
            raise StoreError(f"Run {self.id} was recorded without its weights; retrain=True trains it again.")
        model = UNet(self.settings.model)
        try:
            model.load_state_dict(load_tensors(self._read(name)))
        except (RuntimeError, SafetensorError):
            raise StoreError(f"{self.folder / name} does not fit the network of its settings.") from None
        return model.to(device).eval().requires_grad_(False)

    def _weights(self, step: int | None) -> str:
        return WEIGHTS if step in (None, self.settings.training.steps) else snapshot_name(step)

    @cached_property
    def drawn(self) -> dict[str, Evaluation]:
        """What the trained network drew for the conditions ``seen`` in training and, where there are any, ``unseen``.

        As recorded, centres to a thousandth of their error; runs recorded without it draw again from their weights.
        """
        if VERDICTS not in self.files:
            return final(self.model(), self.settings)
        tensors, world = load_tensors(self._read(VERDICTS)), self.settings.world
        found = {}
        for part, mu in world.parts(MEASURED).items():
            error, verdict = tensors[f"{part}/error"].float(), tensors[f"{part}/code"].long()
            count, axis = verdict // len(CATEGORIES), verdict % len(CATEGORIES)
            centre = mu + error
            if world.periodic:
                centre = centre.remainder(world.size)
            found[part] = Evaluation(mu, Found(count, centre), error, axis, axis.amin(1))
        return found

    def code(self, moment: str) -> np.ndarray:
        """Return what layer 4 says, at a moment, of each condition whose centre is in the window; see :func:`code`.

        As recorded, in half precision; runs recorded without it are asked again.
        """
        if CODE in self.files and moment in (kept := load_tensors(self._read(CODE))):
            return kept[moment].float().numpy()
        return code(self.model(), self.settings, moment)

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            raise StoreError(f"{path} is missing; train the run again with retrain=True.") from None
        if hashlib.sha256(content).hexdigest() != self.files.get(name):
            raise StoreError(f"{path} is not the file that was recorded; train the run again with retrain=True.")
        return content

    def check_files(self) -> None:
        """Raise :class:`StoreError` unless every file of the run is there and as recorded."""
        for name in self.files:
            self._read(name)


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
        settings = Settings(**content["settings"])
        run = Run(folder, settings, content["accuracy"], content["provenance"], dict(content["files"]))
        trainer = content["trainer"]
    except FileNotFoundError:
        raise StoreError(f"{path} is missing.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise StoreError(f"{path} is damaged or not a run of bumplab; train the run again with retrain=True.") from None
    if trainer != TRAINER_VERSION:
        raise StoreError(f"{path} was made by version {trainer} of the trainer, this is {TRAINER_VERSION}; retrain it.")
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


def every() -> Iterator[Path]:
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
        See :func:`bumplab.train.train`.
    weights : {"all", "half", "first", "last", "none"}
        What a trained run keeps beside settings, history, accuracy and what was drawn: all its weights; those at its
        end, in half precision; no weights but its :meth:`Run.code` at the first or at the last moment; nothing.

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
    if weights not in KEPT:
        raise BumplabError(f"A run cannot keep {weights!r} of its weights: use {', '.join(KEPT)}.")
    store = cache_folder() if store is None else Path(store)
    if not retrain and (run := find(settings, store)):
        return run
    with FileLock(lock(settings, store)):
        if not retrain and (run := find(settings, store)):  # another process was faster
            return run
        state = train(settings, work_folder(settings, store), device, precision, progress)
        return keep(state, store, final(state.average, settings, state.device), weights)


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


def keep(state: State, store: Path, drawn: dict[str, Evaluation], weights: str = "all") -> Run:
    """Turn the folder of a finished training into a run, in the place of an old one; return it.

    Parameters
    ----------
    state : State
        At its last step; its :func:`lock` is held.
    store : Path
    drawn : dict
        See :func:`final`.
    weights : {"all", "half", "first", "last", "none"}
        See :func:`load_or_train`.
    """
    settings, work = state.settings, work_folder(state.settings, store)
    atomic_write(work / "history.json", json.dumps(state.history, separators=(",", ":")))
    tensors = {}
    for part, result in drawn.items():
        verdict = len(CATEGORIES) * result.found.count + result.axis_category  # a count is 0, 1 or 2
        tensors[f"{part}/error"] = result.error.to("cpu", torch.float16)
        tensors[f"{part}/code"] = verdict.to("cpu", torch.int8)
    atomic_write(work / VERDICTS, save_tensors(tensors))
    names = ["history.json", VERDICTS]
    if weights in ("all", "half"):
        save_weights(state.average, work / WEIGHTS, torch.float16 if weights == "half" else torch.float32)
        names += [WEIGHTS]
    if weights in MOMENTS:
        kept = torch.from_numpy(code(state.average, settings, weights)).half().contiguous()
        atomic_write(work / CODE, save_tensors({weights: kept}))
        names += [CODE]
    if weights == "all":
        names += [snapshot_name(step) for step in settings.training.snapshots if step < settings.training.steps]
    content = {
        "settings": settings.model_dump(mode="json"),
        "trainer": TRAINER_VERSION,
        "accuracy": {part: summary(result) for part, result in drawn.items()},
        "provenance": {
            "bumplab": bumplab.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "device": describe(state.device),
            "precision": state.precision,
            "threads": torch.get_num_threads(),
            "members": state.members,
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


def final(model: UNet, settings: Settings, device: torch.device | str = "cpu") -> dict[str, Evaluation]:
    """Draw and judge images after training for ``seen`` and ``unseen`` conditions, at most 4,096 of each."""
    return {name: drawn(model, settings, mu.to(device)) for name, mu in settings.world.parts(MEASURED).items()}


def code(model: UNet, settings: Settings, moment: str) -> np.ndarray:
    """Return the first eight principal components of layer 4, over the conditions whose centre is in the window.

    Of a finer lattice than 64 x 64, every second value along an axis, or every third, and so on, so that 64 are enough.

    Parameters
    ----------
    model : UNet
    settings : Settings
    moment : {"first", "last"}
        The first timestep of generation, where the input is noise, the same for all conditions, or the last one, t = 0,
        where it is the image that the network has generated by then.

    Returns
    -------
    array (n_x, n_y, 8), float32

    Raises
    ------
    BumplabError
        For another moment.
    """
    if moment not in MOMENTS:
        raise BumplabError(f"There is no moment {moment!r}: use {' or '.join(MOMENTS)}.")
    world, t = settings.world, 0 if moment == "last" else settings.diffusion.timesteps - 1
    inside = [values[world.within(values)] for values in map(world.axis, (0, 1))]
    x, y = (values[:: math.ceil(len(values) / 64)] for values in inside)
    asked = model, world, settings.diffusion, torch.cartesian_prod(x, y)
    (said,) = represent(*asked, (4,), t=t, steps=settings.training.sampler_steps).values()
    return project(said.numpy().reshape(len(x), len(y), -1), 8).astype(np.float32)


def planned(path: Path | None = None) -> dict[Settings, str]:
    """Return the runs that the book records, from ``book/runs/plan.json``: settings to what of the weights is kept.

    The plan lists presets with changes and a grid; every combination of the grid's values is a run.

    Raises
    ------
    BumplabError
        If the plan cannot be read.
    """
    path = path or recorded_folder() / "plan.json"
    found: dict[Settings, str] = {}
    try:
        for entry in json.loads(path.read_text()):
            grid = entry.get("grid", {})
            for values in itertools.product(*grid.values()):
                changes = copy.deepcopy(entry.get("changes", {}))
                for name, value in zip(grid, values, strict=True):
                    put(changes, name, value)
                found[preset(entry["preset"], **changes)] = entry.get("weights", "all")
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise BumplabError(f"{path} is missing or not a plan of runs.") from None
    return found


def describe(device: torch.device) -> str:
    """Return a device in words, for example ``"cuda (Tesla T4)"`` or ``"cpu (x86_64)"``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()})"


def verify(folder: Path) -> dict[str, dict[str, float]]:
    """Recompute a run's accuracy from its weights, on the CPU, and return it; without weights, only check files.

    Raises
    ------
    StoreError
        If a file is damaged, or an accuracy differs from the recorded one by more than one condition in 200.
    """
    run = load(folder)
    run.check_files()
    if WEIGHTS not in run.files:
        return run.accuracy
    again = {part: summary(result) for part, result in final(run.model(), run.settings).items()}
    for part, recorded in run.accuracy.items():
        for name in ("joint", "x", "y"):
            if abs(again[part][name] - recorded[name]) > 0.005:
                raise StoreError(
                    f"{folder / 'run.json'} records {name} accuracy {recorded[name]:.3f} on {part} conditions, "
                    f"its weights give {again[part][name]:.3f}; retrain it."
                )
    return again
