"""Files that are at any moment the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from bumplab.common.errors import BumplabError, quote


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
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_writable(out: Path | None) -> None:
    """Raise an error unless files can be written into a folder; None is no folder.

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
    bumplab.common.errors.BumplabError: Cannot write to the folder '/dev/null/runs': Not a directory.
    """
    try:
        if out:
            atomic_write(out / ".writable", "")
            (out / ".writable").unlink()
    except OSError as error:
        raise BumplabError(f"Cannot write to the folder {quote(str(out))}: {error.strerror}.") from None


def book_folder() -> Path:
    """Return the folder of the book: inside an installed package, or beside ``src`` in a checkout.

    Examples
    --------
    >>> book_folder().name
    'book'
    """
    package = Path(__file__).resolve().parents[1]
    return package / "book" if (package / "book").is_dir() else package.parents[1] / "book"
