"""Locks between processes that say who is waited for.

The kernel holds the lock and lets go of it when its holder dies, whatever kills it. Who holds it is written beside it::

    NAME           the lock itself, see :mod:`filelock`: an empty file that stays
    NAME.holder    process, host and time, as long as the lock is held; believed only while it is
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import inspect
import json
import os
import platform
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tqdm import tqdm

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import disk_errors, is_file, make_folder, write_file

#: Seconds until it is said that something is waited for, and between two looks at its holder.
_PATIENCE = 0.5

#: What file systems answer that have no locks, such as some mounts of a cloud's folders.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

#: Where there are no locks, newer releases of filelock take to files that outlive a killed holder: not here.
_OPTIONS: dict[str, Any] = (
    {"fallback_to_soft": False} if "fallback_to_soft" in inspect.signature(FileLock.__init__).parameters else {}
)


@contextlib.contextmanager
def hold_lock(path: Path, what: str, timeout: float | None = None, other: str = "name another place") -> Iterator[None]:
    """Hold a lock within a ``with`` block; whoever else wants it waits, and is told on standard error for whom.

    Parameters
    ----------
    path : Path
        Of the lock's file, which stays; folders that are missing on the way to it are made.
    what : str
        What the holder does, as a sentence without its end: "Run 0123456789ab is being trained".
    timeout : float, optional
        Most seconds to wait; without end unless given.
    other : str
        What else the user can do where the lock's file cannot be written.

    Raises
    ------
    filelock.Timeout
        If it is still held after `timeout` seconds.
    BumplabError
        If there can be no lock at that path: the folder cannot be written to, or something else lies there.
    KeyboardInterrupt
        On Ctrl-C while waiting.

    Notes
    -----
    On a file system without locks a line says so, and the block goes on without one.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, hold_lock(Path(folder) / "run.lock", "A run is being trained"):
    ...     print(sorted(os.listdir(folder)))
    ['run.lock', 'run.lock.holder']
    """
    with disk_errors(path, "lock", other):
        make_folder(path.parent)
        _refuse_other_kinds(path)
        lock = FileLock(path, **_OPTIONS)
    holder = holder_path(path)
    locked = _acquire(lock, path, holder, what, timeout, other)
    try:
        if locked:
            _sign(holder)
        yield
    finally:
        if locked:
            with contextlib.suppress(OSError):
                holder.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                lock.release()


def holder_path(path: Path) -> Path:
    """Return where it says who holds a lock; a holder that was killed leaves it there for the next one to remove.

    Examples
    --------
    >>> holder_path(Path("run.lock")).name
    'run.lock.holder'
    """
    return path.with_name(f"{path.name}.holder")


def _refuse_other_kinds(path: Path) -> None:
    """Raise unless the path is free or a regular file: a link would lock another file, a folder or pipe none."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "pipe or device"
        raise BumplabError(f"Cannot lock {quote(path)}: a {kind} lies there; move it away.")


def _acquire(lock: FileLock, path: Path, holder: Path, what: str, timeout: float | None, other: str) -> bool:
    """Wait for the lock and return True; or False where the file system has none."""
    end = time.monotonic() + timeout if timeout is not None else float("inf")
    told = set()
    while True:
        try:
            lock.acquire(timeout=max(0.0, min(_PATIENCE, end - time.monotonic())))
            return True
        except Timeout:  # before OSError, which it is too
            if time.monotonic() >= end:
                raise
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                with disk_errors(path, "lock", other):
                    raise
            _tell(f"There are no locks in {quote(path.parent)}: do not start the same work there twice at a time.")
            return False
        found = _read_holder(holder)
        stopped = found is not None and found.is_stopped()
        if not told or (stopped and True not in told):
            told.add(stopped)
            by = "another process" if found is None else found.describe()
            _tell(f"{what} by {by}; waiting for it (Ctrl-C stops waiting).")


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):
        tqdm.write(line, file=sys.stderr)


@dataclass(frozen=True)
class _Holder:
    """Who holds a lock; a process number alone may have gone to another process since."""

    process: int
    host: str
    since: float
    birth: str | None

    def is_here(self) -> bool:
        return self.host == platform.node()

    def is_stopped(self) -> bool:
        return self.is_here() and (_process_status(self.process) or "")[:1] in ("T", "t")

    def describe(self) -> str:
        began = datetime.datetime.fromtimestamp(self.since)
        when = f"{began:%H:%M}" if began.date() == datetime.date.today() else f"{began:%Y-%m-%d %H:%M}"
        stopped = f", which is stopped (SIGSTOP; kill -CONT {self.process} lets it go on)" if self.is_stopped() else ""
        return f"process {self.process} on {self.host} since {when}{stopped}"


def _process_status(process: int) -> str | None:
    """Return a process's state and birth, "S 4711"; None where there is no such process, or the system does not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
        return f"{fields[0]} {fields[19]}"
    except (OSError, IndexError):
        return None


def _birth(process: int) -> str | None:
    status = _process_status(process)
    return status and status[2:]


def _sign(holder: Path) -> None:
    """Write who holds the lock, in the place of what a killed holder has left."""
    here = {"process": os.getpid(), "host": platform.node(), "since": time.time(), "birth": _birth(os.getpid())}
    with contextlib.suppress(OSError):
        holder.unlink(missing_ok=True)
        write_file(holder, json.dumps(here))


def _read_holder(path: Path) -> _Holder | None:
    """Return who holds a lock, or None unless that is sure."""
    try:
        if not is_file(path):
            return None
        with open(path, "rb") as file:
            content = json.loads(file.read(1000))
        match content:
            case {"process": int(process), "host": str(host), "since": float(since), "birth": str() | None as birth}:
                found = _Holder(process, host, since, birth)
                found.describe()
            case _:
                return None
    except (OSError, ValueError, OverflowError, RecursionError):
        return None
    if not host.isprintable() or (found.is_here() and birth != _birth(process)):
        return None
    return found
