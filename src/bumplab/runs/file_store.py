"""A store of runs as files, which can be written: the user's cache.

Everything that goes by a run's id lies side by side::

    ID.safetensors   the finished run, see :mod:`bumplab.runs.run_file`
    ID.part/         what training has left so far: checkpoints, snapshots and, at its very end, the finished run
    ID.lock          held by whoever trains it

A run is there from the moment of one rename, and whole: the file was written, brought to the disk and read back in the
folder ``ID.part`` before. What a kill leaves in that folder, the next training adopts, goes on from, or clears away.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from bumplab.common.errors import BumplabError
from bumplab.common.files import disk_errors, is_file, make_folder, remove, sync, write_file
from bumplab.common.locks import hold_lock, holder_path
from bumplab.runs.records import Record, StoreError
from bumplab.runs.run import Run
from bumplab.runs.run_file import SUFFIX, read_run, run_bytes

_NAME = re.compile(rf"([0-9a-f]{{12}}){re.escape(SUFFIX)}")
_CHECKPOINTS = "checkpoint*"
_ELSEWHERE = "set BUMPLAB_STORE to another folder"


@dataclass(frozen=True)
class FileStore:
    """Runs as files of their own.

    Examples
    --------
    >>> FileStore(Path("/nowhere")).ids()
    []
    """

    folder: Path

    def ids(self) -> list[str]:
        """Return the ids of all finished runs, sorted; a folder that is not there, or cannot be read, has none."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return sorted(match[1] for match in map(_NAME.fullmatch, names) if match)

    def problems(self) -> list[StoreError]:
        """Return what keeps runs from being listed: that the folder is there and cannot be read."""
        try:
            with disk_errors(self.folder, "read the store", _ELSEWHERE, StoreError):
                os.listdir(self.folder)
        except StoreError as error:
            return [error] if os.path.lexists(self.folder) else []
        return []

    def get(self, id: str) -> Run | None:
        """Return a run, or None; see :func:`bumplab.runs.run_file.read_run`."""
        path = self.path(id)
        with disk_errors(path, "read", _ELSEWHERE, StoreError):  # a store that cannot be read may hold it
            try:
                path.lstat()
            except FileNotFoundError:
                return None
        return read_run(path)

    def get_whole(self, id: str) -> Run | None:
        """Return a run of which all was checked; None where there is none, or a damaged one: it may give way.

        Examples
        --------
        >>> FileStore(Path("/nowhere")).get_whole("0123456789ab")
        """
        try:
            run = self.get(id)
            if run:
                run.check()
            return run
        except StoreError:
            return None

    def path(self, id: str) -> Path:
        """Return the path of a finished run."""
        return self.folder / f"{id}{SUFFIX}"

    def work_folder(self, id: str) -> Path:
        """Return the folder of a run that is still training."""
        return self.folder / f"{id}.part"

    def make_work_folder(self, id: str) -> Path:
        """Return :meth:`work_folder`, which is made where it is not there; a link in its place goes.

        Raises
        ------
        StoreError
            If the disk refuses, or a folder lies where the finished run is to be.
        """
        if self.path(id).is_dir() and not self.path(id).is_symlink():
            raise StoreError(f"{self.path(id)} is a folder, where run {id} is to be; move it away.")
        with self._writing(id):
            return self.work_folder(id)

    @contextmanager
    def hold(self, id: str, timeout: float | None = None) -> Iterator[None]:
        """Hold the lock of a run within a ``with`` block; the store is made where it is not there.

        Raises
        ------
        filelock.Timeout
            If somebody else holds it for longer than `timeout` seconds; without one, this waits and says for whom.
        """
        with hold_lock(self._lock(id), f"Run {id} is being trained", timeout, _ELSEWHERE):
            yield

    def save(self, record: Record) -> Run:
        """Store a run, in the place of an old one, and drop what its training has left; it is held (:meth:`hold`).

        At any moment the old run is there, or the new one, or the checkpoint from which training goes on.

        Raises
        ------
        StoreError
            If the disk refuses; what there was is left as it was.
        """
        with self._writing(record.id):
            write_file(self._finished(record.id), run_bytes(record))
        return self._commit(record.id)

    def adopt(self, id: str) -> Run | None:
        """Store the finished run that a training has left in its folder, if there is a whole one; the run is held.

        Raises
        ------
        StoreError
            If the disk refuses, also to read it: whether it is a whole one is not known then.
        """
        finished = self._finished(id)
        if not os.path.lexists(finished):
            return None
        if is_file(finished):
            with disk_errors(finished, "read", _ELSEWHERE, StoreError):
                open(finished, "rb").close()
        try:
            read_run(finished).check()
        except StoreError:
            with self._writing(id):
                remove(finished)
            return None
        return self._commit(id)

    def _commit(self, id: str) -> Run:
        work, finished = self.work_folder(id), self._finished(id)
        read_run(finished).check()
        with self._writing(id):
            sync(work)
            # From here on the finished run stands for its training. Checkpoints go first: a folder without any, and
            # without a finished run, is one that training has no more use for.
            for path in sorted(work.glob(_CHECKPOINTS)):
                remove(path)
            os.replace(finished, self.path(id))
            sync(self.folder)
            remove(work)
        return read_run(self.path(id))

    def settle(self, id: str) -> None:
        """Finish what a save that was cut off had begun, and drop what is left of it, unless somebody is at it.

        Where the disk refuses that, all stays as it is. A checkpoint stays in any case.
        """
        work, lock = self.work_folder(id), self._lock(id)
        if not os.path.lexists(work) and not os.path.lexists(holder_path(lock)):
            return
        if not os.path.lexists(self._finished(id)) and not os.path.lexists(self.path(id)):
            return
        with suppress(Timeout, BumplabError, OSError), self.hold(id, timeout=0):
            if not self.adopt(id) and (work.is_symlink() or not any(work.glob(_CHECKPOINTS))):
                remove(work)

    def _lock(self, id: str) -> Path:
        return self.folder / f"{id}.lock"

    def _finished(self, id: str) -> Path:
        return self.work_folder(id) / f"{id}{SUFFIX}"

    @contextmanager
    def _writing(self, id: str) -> Iterator[None]:
        """Make the folder of a training, and say in one sentence what the disk refuses to do in it."""
        work = self.work_folder(id)
        with disk_errors(work, "write to", _ELSEWHERE, StoreError):
            if work.is_symlink() or (work.exists() and not work.is_dir()):
                remove(work)
            make_folder(work)
            yield
