"""What a process that was killed while it wrote a file has left beside it."""

from __future__ import annotations

import os
import re
from pathlib import Path


def remove_leftovers(folder: Path, name: re.Pattern[str], suffix: str = "") -> None:
    """Remove what processes of this computer that were killed have left of writing files whose names match.

    Parameters
    ----------
    folder : Path
        It need not be there.
    name : re.Pattern
        Of the files that :func:`~bumplab.common.files.atomic_write` was to write.
    suffix : str
        What follows the number of the process in the name of a leftover.

    Raises
    ------
    OSError
        If the folder cannot be read, or the disk refuses.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for process in (os.getpid(), 2**30):  # this one, and one that cannot be
    ...         (Path(folder) / f".note.txt.{process}").touch()
    ...     remove_leftovers(Path(folder), re.compile("note.txt"))
    ...     len(list(Path(folder).iterdir()))
    1
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        stem, _, process = path.name.removesuffix(suffix).rpartition(".")
        written = path.name.endswith(suffix) and stem[:1] == "." and name.fullmatch(stem[1:])
        if written and process.isascii() and process.isdigit() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Return whether there is a process of this number, or nobody can say."""
    if os.name != "posix":  # elsewhere, signal 0 is one that ends it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
