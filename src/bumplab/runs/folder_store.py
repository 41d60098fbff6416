"""A store of runs as folders of their own, which can be written: the user's cache.

Everything that goes by a run's id lies side by side::

    ID/         the finished run, see :mod:`bumplab.runs.folders`
    ID.part/    what training has left so far: checkpoint and snapshots
    ID.lock     held by whoever trains it
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from bumplab.common.errors import BumplabError
from bumplab.runs.families import make_run
from bumplab.runs.folders import ARRAY_FILES, HISTORY_FILE, write_files
from bumplab.runs.packing import staged_folder
from bumplab.runs.records import EMBEDDINGS, VERDICTS, Record, StoreError
from bumplab.runs.run import EMBEDDING_ARRAYS, FINAL_WEIGHTS, HISTORY, VERDICT_ARRAYS, Run

_ID = re.compile(r"[0-9a-f]{12}")
_KEPT = {HISTORY_FILE: HISTORY, ARRAY_FILES[VERDICTS]: VERDICT_ARRAYS, ARRAY_FILES[EMBEDDINGS]: EMBEDDING_ARRAYS}


@dataclass(frozen=True)
class FolderFiles:
    """The files of one run, each checked against its SHA-256 whenever it is read."""

    folder: Path
    files: dict[str, str]

    @cached_property
    def kept(self) -> frozenset[str]:
        """What is there, see :class:`bumplab.runs.run.Source`."""
        return frozenset(_KEPT.get(name, Path(name).stem) for name in self.files)

    def curves(self) -> dict[str, list]:
        """Return the curves by their names."""
        return json.loads(self._read(HISTORY_FILE))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their full names."""
        found = {}
        for kind, name in ARRAY_FILES.items():
            if name in self.files:
                found.update({f"{kind}/{tensor}": array for tensor, array in self._tensors(name).items()})
        return found

    def weights(self, stem: str) -> dict[str, np.ndarray]:
        """Return the weights of a snapshot: parameter to array."""
        if stem not in self.kept:
            what = "its weights" if stem == FINAL_WEIGHTS else stem
            raise StoreError(f"Run {self.folder.name} was recorded without {what}; retrain=True trains it again.")
        return self._tensors(f"{stem}.safetensors")

    def check(self) -> None:
        """Raise :class:`StoreError` unless every file is there and as recorded."""
        for name in self.files:
            self._read(name)

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            raise StoreError(f"{path} is missing; train the run again with retrain=True.") from None
        if hashlib.sha256(content).hexdigest() != self.files.get(name):
            raise StoreError(f"{path} is not the file that was recorded; train the run again with retrain=True.")
        return content

    def _tensors(self, name: str) -> dict[str, np.ndarray]:
        content = self._read(name)
        try:
            return load_tensors(content)
        except (SafetensorError, ValueError, TypeError, AttributeError):
            raise StoreError(f"{self.folder / name} holds no arrays; train the run again with retrain=True.") from None


def load(folder: Path) -> Run:
    """Load the run in `folder`; its other files are checked when they are read.

    Raises
    ------
    StoreError
        If ``run.json`` is missing, damaged, or not of the settings that the folder's name stands for.
    """
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text())
        files = FolderFiles(folder, dict(content["files"]))
        run = make_run(content["settings"], content["trainer"], content["accuracy"], content["provenance"], files)
    except FileNotFoundError:
        raise StoreError(f"{path} is missing.") from None
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BumplabError):
        raise StoreError(f"{path} is damaged or not a run of bumplab; train the run again with retrain=True.") from None
    if run.id != folder.name:
        raise StoreError(f"{path} holds the settings of run {run.id}, not {folder.name}; retrain it.")
    return run


@dataclass(frozen=True)
class FolderStore:
    """Runs as folders of their own."""

    folder: Path

    def ids(self) -> list[str]:
        """Return the ids of all finished runs, sorted."""
        return sorted(path.parent.name for path in self.folder.glob("*/run.json") if _ID.fullmatch(path.parent.name))

    def get(self, id: str) -> Run | None:
        """Return a run, or None; see :func:`load`."""
        return load(self.folder / id) if (self.folder / id).is_dir() else None

    def problems(self) -> list[StoreError]:
        """Return what keeps runs from being listed: nothing."""
        return []

    def lock(self, id: str) -> Path:
        """Return the path of the lock that whoever trains a run holds; the store is made where it is not there."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BumplabError(
                f"Cannot write to the store {self.folder}: {error.strerror}; set BUMPLAB_STORE."
            ) from None
        return self.folder / f"{id}.lock"

    def work_folder(self, id: str) -> Path:
        """Return the folder of a run that is still training."""
        return self.folder / f"{id}.part"

    def save(self, record: Record) -> Run:
        """Store a run, in the place of an old one, and drop what its training has left; its :meth:`lock` is held.

        At any moment the old run is there, or the new one, or the checkpoint from which training goes on.
        """
        work = self.work_folder(record.id)
        with staged_folder(self.folder / record.id, work / "finished") as part:
            write_files(record, part)
        shutil.rmtree(work, ignore_errors=True)
        return load(self.folder / record.id)
