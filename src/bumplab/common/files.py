"""Files that are at any moment the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

from bumplab.common.errors import BumplabError


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file so that it is at any moment either the old one or the new one, also through a power cut."""
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
    """Raise an error unless files can be written into a folder; None is no folder."""
    try:
        if out:
            atomic_write(out / ".writable", "")
            (out / ".writable").unlink()
    except OSError as error:
        raise BumplabError(f"Cannot write to the folder {str(out)!r}: {error.strerror}.") from None


def book_folder() -> Path:
    """Return the folder of the book: inside an installed package, or beside ``src`` in a checkout.

    >>> book_folder().name
    'book'
    """
    package = Path(__file__).resolve().parents[1]
    return package / "book" if (package / "book").is_dir() else package.parents[1] / "book"
