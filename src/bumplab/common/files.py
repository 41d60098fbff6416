"""Files that are at any moment the old one or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bumplab.common.errors import BumplabError, quote

#: What to do about an error of the operating system, see :func:`disk_errors`; ``{other}`` is another place to use.
_REMEDIES = {
    errno.ENOSPC: "make room there, or {other}",
    errno.EDQUOT: "make room there, or {other}",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or {other}",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EACCES: "ask its owner for permission, or {other}",
    errno.EPERM: "ask its owner for permission, or {other}",
    errno.EIO: "the disk may be failing: {other}",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EEXIST: "move away what lies there, or {other}",
}

#: What file systems answer that bring no folder to the disk, such as some of those in a network.
_NO_FOLDERS = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}

#: What Python says of a name that no file can have, before it asks the operating system.
_NO_NAME = ("embedded null", "null character")


def refusal(error: OSError, path: Path | None, action: str = "write to", other: str = "name another place") -> str:
    """Return what the operating system refused as one sentence; see :func:`disk_errors`.

    Examples
    --------
    >>> refusal(OSError(errno.ENOSPC, "No space left on device"), Path("/data/run"))
    'Cannot write to /data/run: No space left on device; make room there, or name another place.'
    """
    remedy = _REMEDIES.get(error.errno or 0, "{other}").format(other=other)
    reason = error.strerror or str(error) or type(error).__name__
    if path is None:
        return f"The operating system refuses something: {reason}; {remedy}."
    return f"Cannot {action} {quote(path)}: {reason}; {remedy}."


@contextlib.contextmanager
def disk_errors(
    path: Path, action: str = "write to", other: str = "name another place", kind: type[BumplabError] = BumplabError
) -> Iterator[None]:
    """Turn what the operating system refuses within a ``with`` block into one sentence: what, where, why, a way out.

    Parameters
    ----------
    path : Path
        What is being read or written.
    action : str
        As in "Cannot write to".
    other : str
        What else the user can do.
    kind : type
        Of the error that is raised.

    Examples
    --------
    >>> with disk_errors(Path("/dev/null/runs")):
    ...     Path("/dev/null/runs").mkdir()
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Cannot write to /dev/null/runs: Not a directory; name another place.
    """
    try:
        yield
    except OSError as error:
        raise kind(refusal(error, path, action, other)) from None
    except UnicodeEncodeError:
        raise kind(f"Cannot {action} {quote(path)}: no text that can be encoded; use other characters.") from None
    except ValueError as error:
        if isinstance(error, BumplabError) or not any(words in str(error) for words in _NO_NAME):
            raise
        raise kind(f"Cannot {action} {quote(path)}: no name of a file may hold the character NUL.") from None


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file so that it is at any moment either the old one or the new one, also through a power cut.

    Parameters
    ----------
    path : Path
        Folders that are missing on the way to it are made.
    content : bytes or str
        Text is written as UTF-8.

    Raises
    ------
    OSError
        If the folder cannot be written to, or is full; the old file is then still there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     atomic_write(Path(folder) / "new" / "note.txt", "whole")
    ...     print((Path(folder) / "new" / "note.txt").read_text())
    whole
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write_file(part, content)
        os.replace(part, path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file through to the disk, in the place of whatever lies there; a link there is not followed.

    Raises
    ------
    OSError
        If the disk refuses it; then nothing lies there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_file(Path(folder) / "note.txt", "whole")
    ...     print((Path(folder) / "note.txt").read_text())
    whole
    """
    path.unlink(missing_ok=True)
    file = open(path, "xb")  # noqa: SIM115
    try:
        with file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)  # half a file helps nobody, and takes room on a disk that is full
        raise


def make_folder(path: Path) -> None:
    """Make a folder, and those that are missing on the way to it, so that they survive a power cut.

    Raises
    ------
    OSError
        If the disk refuses it.

    Examples
    --------
    >>> make_folder(Path("/"))
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk, so that a rename survives a power cut.

    Where a file system does that for no folder, this does nothing with one.

    Examples
    --------
    >>> sync(Path("/"))
    """
    folder = path.is_dir()
    if os.name == "nt" and folder:
        return  # Windows opens no folders
    number = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        if not folder or error.errno not in _NO_FOLDERS:
            raise
    finally:
        os.close(number)


def read_text(path: Path) -> str:
    """Return the text of a regular file, also of one that a link names; pipes and devices are refused.

    Raises
    ------
    OSError
        If it cannot be read.
    UnicodeDecodeError
        If it is not UTF-8.

    Examples
    --------
    >>> read_text(Path("/dev/zero"))
    Traceback (most recent call last):
    OSError: [Errno 22] not a regular file: '/dev/zero'
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_text(encoding="utf-8")


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file and no link to one: reading it cannot hang, and it lies where it says.

    Examples
    --------
    >>> is_file(Path("/dev/null")), is_file(Path("/nowhere"))
    (False, False)
    """
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def remove(path: Path) -> None:
    """Remove a file, a link (not what it points to), or a folder with all that is in it, if it is there.

    Raises
    ------
    OSError
        If it cannot be removed.

    Examples
    --------
    >>> remove(Path("/nowhere"))
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check_writable(out: Path | None) -> None:
    """Raise an error unless files can be written into a folder, and something into them; None is no folder.

    Parameters
    ----------
    out : Path or None
        It is made where it is missing.

    Raises
    ------
    BumplabError
        With the system's reason.

    Examples
    --------
    >>> check_writable(Path("/dev/null/runs"))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Cannot write to /dev/null/runs: Not a directory; name another place.
    """
    if out:
        with disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=out) as file:  # without a name where that is possible
                file.write(b"A full disk has no room for this.")


def book_folder() -> Path:
    """Return the folder of the book: inside an installed package, or beside ``src`` in a checkout.

    Examples
    --------
    >>> book_folder().name
    'book'
    """
    package = Path(__file__).resolve().parents[1]
    return package / "book" if (package / "book").is_dir() else package.parents[1] / "book"
