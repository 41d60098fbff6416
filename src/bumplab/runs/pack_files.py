"""The files of a pack, and what tells that it was replaced while it was in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from bumplab.common.files import disk_errors, is_file
from bumplab.runs.records import DTYPES, PackError, ReplacedError, StoreError

INDEX, CURVES, PARTS, ARRAYS, WEIGHTS = (
    "runs.jsonl", "curves.parquet", "verdicts.parquet", "embeddings.safetensors", "weights",
)  # fmt: skip
#: Bytes of the head of a safetensors file; that of 1,000 snapshots of our largest network has half of it.
MAX_HEAD = 2**25
#: What to do about a pack that cannot be read.
REMEDY = "take it from the repository again"
#: How often it is looked for what others replace at the same moment.
_LOOKS = 20


def find_index(folder: Path) -> Path | None:
    """Return the index of the pack that a folder holds, or held when the writing of its next one was cut off.

    Examples
    --------
    >>> find_index(Path("/nowhere"))
    """
    for _ in range(3):  # the one may come between looking for it and looking for the other
        for place in (folder, old_folder(folder)):
            if is_file(place / INDEX):
                return place / INDEX
    return None


def stamp_of(path: Path | int) -> tuple:
    """Return what changes when a file, given by its path or number, is replaced; empty where it is gone.

    Examples
    --------
    >>> stamp_of(Path("/nowhere"))
    ()
    """
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def old_folder(folder: Path) -> Path:
    """Return where an interrupted write leaves the pack that it was about to replace.

    Examples
    --------
    >>> old_folder(Path("runs/02-training")).as_posix()
    'runs/.02-training.old'
    """
    return folder.with_name(f".{folder.name}.old")


def unless_replaced(read: Callable) -> Callable:
    """Make a method of a pack say so where what it reads is not as recorded because the pack was replaced meanwhile."""

    @wraps(read)
    def wrapped(self, *args, **options):
        try:
            return read(self, *args, **options)
        except PackError:
            self.refuse_replaced()
            raise

    return wrapped


def check_head(path: Path, remedy: str, kind: type[StoreError]) -> None:
    """Raise, of this kind, unless a file can be opened and begins like one of safetensors with a head of bearable size.

    What safetensors says of a file that cannot be opened names no cause, and a head of 80 MB keeps it busy for seconds.

    Examples
    --------
    >>> check_head(Path("/nowhere"), REMEDY, PackError)
    Traceback (most recent call last):
    bumplab.runs.records.PackError: Cannot read /nowhere: No such file or directory; take it from the repository again.
    """
    with disk_errors(path, "read", remedy, kind), open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        whole = os.fstat(file.fileno()).st_size
    if MAX_HEAD < size <= whole:  # one longer than its file costs nothing to refuse
        raise kind(f"{path} is damaged: its head has {size:,} bytes, more than {MAX_HEAD:,}; {remedy}.")


def look_again(read: Callable) -> Callable:
    """Make a function begin anew where what it reads was replaced meanwhile; an error after so many times.

    Examples
    --------
    >>> looks = iter([ReplacedError("The pack was replaced."), None])
    >>> @look_again
    ... def look():
    ...     if error := next(looks):
    ...         raise error
    ...     return "the new one"
    >>> look()
    'the new one'
    """

    @wraps(read)
    def wrapped(*args):
        for _ in range(_LOOKS):
            try:
                return read(*args)
            except ReplacedError as error:
                reason = error
        raise StoreError(f"{str(reason).partition(';')[0]}, and so {_LOOKS} times; try again.")

    return wrapped


def read_tensors(path: Path, names: list[str] | None, prefix: str = "") -> dict[str, np.ndarray]:
    """Return tensors of these names, or all whose name begins with `prefix`."""
    if names == []:
        return {}
    if not is_file(path):
        raise PackError(f"{path} is {'no regular file' if path.exists() else 'missing'}; {REMEDY}.")
    check_head(path, REMEDY, PackError)
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(prefix)] if names is None else names  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in names}
        if {array.dtype.name for array in tensors.values()} - DTYPES:
            raise TypeError
        return tensors
    except FileNotFoundError:
        raise PackError(f"{path} is missing; {REMEDY}.") from None
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError):
        raise PackError(f"{path} is damaged; {REMEDY}.") from None
