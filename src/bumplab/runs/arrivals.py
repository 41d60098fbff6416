"""Filing a bundle (:mod:`bumplab.runs.bundles`) that came from another computer, checked like a stranger's.

Finished runs go to the user's store, checkpoints into the folder in which the store trains their run. What is there
already is never changed into something else: equal is skipped, other numbers are refused, a checkpoint gives way to a
later one only. Filing the same bundle twice changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from filelock import Timeout

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import atomic_write, disk_errors, write_file
from bumplab.runs.bundles import Bundle, read_bundles
from bumplab.runs.checkpoint_checks import check_checkpoint
from bumplab.runs.file_store import FileStore
from bumplab.runs.fingerprints import differences
from bumplab.runs.pack_store import PackStore
from bumplab.runs.records import StoreError
from bumplab.runs.run import Run
from bumplab.runs.run_file import SUFFIX, read_run
from bumplab.runs.store import recorded_folder
from bumplab.training.checkpoint_files import read_header
from bumplab.training.checkpoints import find_checkpoints

_ELSEWHERE = "set BUMPLAB_STORE to another folder"


@dataclass(frozen=True)
class Arrival:
    """What became of something in a bundle.

    Attributes
    ----------
    status : {"taken", "skipped", "refused"}
    sentence : str
    id : str
        Of a finished run that is in the store now, and not recorded; else empty.

    Examples
    --------
    >>> Arrival("refused", "Part 2 of 3 of bundle 01234567 is missing.").id
    ''
    """

    status: Literal["taken", "skipped", "refused"]
    sentence: str
    id: str = ""


def import_bundles(folder: Path, store: FileStore) -> Iterator[Arrival]:
    """File the bundles in a folder into a store, and say of each run what became of it.

    Raises
    ------
    BumplabError
        If the folder cannot be read or holds no part of any bundle.

    Examples
    --------
    >>> from bumplab.runs.bundles import write_bundle
    >>> name = "0123456789ab.safetensors"
    >>> with TemporaryDirectory() as folder:
    ...     parts = write_bundle(Path(folder), {name: b"no run"})
    ...     [arrival.status for arrival in import_bundles(Path(folder), FileStore(Path(folder)))]
    ['refused']
    """
    for bundle, problems in read_bundles(folder):
        for problem in problems:
            yield Arrival("refused", problem)
        lost = sorted({name[:12] for name in bundle.lost})
        for id in lost:
            yield Arrival("refused", f"Run {id} did not arrive whole; fetch the parts again.")
        for id in dict.fromkeys(name[:12] for name in bundle.files):
            if id not in lost:
                yield _import(id, bundle, store)


def _import(id: str, bundle: Bundle, store: FileStore) -> Arrival:
    files = {name[13:]: content for name, content in bundle.files.items() if name[:12] == id}
    finished = files.pop(SUFFIX[1:], None)
    try:
        with TemporaryDirectory() as place:
            if finished is None:
                return _import_checkpoint(id, files, Path(place), store)
            if files:
                raise StoreError(f"Run {id} arrives both finished and unfinished; nothing of it was taken.")
            return _import_run(id, finished, Path(place), store)
    except Timeout:
        return Arrival("refused", f"Run {id} is being trained here; import again when that is done.")
    except BumplabError as error:
        return Arrival("refused", str(error))


def _import_run(id: str, content: bytes, place: Path, store: FileStore) -> Arrival:
    path = place / f"{id}{SUFFIX}"
    with disk_errors(path):
        write_file(path, content)
    try:
        run = read_run(path)
        run.check()
        record = run.record()
    except StoreError as error:
        raise StoreError(str(error).replace(str(path), path.name)) from None
    with store.hold(id, timeout=0):
        for there in (PackStore(recorded_folder()), store):
            if (known := _get_whole(there, id)) is None:
                continue
            if different := differences(dict(known.source.line), dict(run.source.line)):
                raise StoreError(
                    f"Run {id} is in {known.path} already with other numbers: they differ in {', '.join(different)}; "
                    "nothing of it was taken."
                )
            if known.kept >= run.kept:
                sentence = f"Run {id} is in {known.path} already, with the same numbers."
                return Arrival("skipped", sentence, id if there is store else "")
        return Arrival("taken", f"Run {id} is in {store.save(record).path}.", id)


def _get_whole(place: PackStore | FileStore, id: str) -> Run | None:
    """Return a run that is there and not damaged: what is damaged gives way to what arrives."""
    try:
        run = place.get(id)
        if run:
            run.check()
        return run
    except StoreError:
        return None


def _import_checkpoint(id: str, files: Mapping[str, bytes], place: Path, store: FileStore) -> Arrival:
    with disk_errors(place):
        for name, content in files.items():
            write_file(place / name, content)
        checkpoints = find_checkpoints(place)
    if len(checkpoints) != 1:
        raise StoreError(f"Run {id} arrives with {len(checkpoints)} checkpoints; it goes on from one.")
    ((step, path),) = checkpoints.items()
    header, snapshots = check_checkpoint(path, id)
    if header.step != step or files.keys() != {path.name, *snapshots}:
        raise StoreError(f"Run {id} arrives with other files than its checkpoint names; nothing of it was taken.")
    what = f"the checkpoint of run {id} after step {step}"
    with store.hold(id, timeout=0):
        if any(_get_whole(there, id) for there in (PackStore(recorded_folder()), store)):
            return Arrival("skipped", f"Run {id} is finished here; {what} was not needed.")
        newest = _newest_step(store, id)
        if newest >= step:
            return Arrival("skipped", f"Training of run {id} is at step {newest} here; {what} was not needed.")
        folder = store.make_work_folder(id)
        with disk_errors(folder, other=_ELSEWHERE):
            for name in [*snapshots, path.name]:  # the checkpoint last: what it names is there then
                _write_other(folder / name, files[name])
    device = header.sessions[-1].device.partition(" ")[0]
    return Arrival("taken", f"{what[0].upper()}{what[1:]} is in {quote(folder)}; it goes on on {device}.")


def _newest_step(store: FileStore, id: str) -> int:
    """Return the step of the newest checkpoint of a run that can be read, -1 where there is none."""
    try:
        checkpoints = find_checkpoints(store.work_folder(id))
    except OSError:
        return -1
    for step, path in checkpoints.items():
        try:
            if read_header(path).id == id:
                return step
        except BumplabError:
            continue
    return -1


def _write_other(path: Path, content: bytes) -> None:
    """Write a file unless it is there with that content."""
    if path.is_file() and hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest():
        return
    atomic_write(path, content)
