"""Folders that a user names, in a call or in the environment: whole, checked, and never a surprise."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from platformdirs import user_cache_path

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import disk_errors


def resolve_folder(path: Path, other: str = "name another place") -> Path:
    """Return a folder's whole path, with ``~`` replaced by the home folder; it need not be there, nothing is made.

    Parameters
    ----------
    path : Path
        Counted from the working folder unless it is whole.
    other : str
        What else the user can do.

    Raises
    ------
    BumplabError
        If something else lies there, or if no folder can: the name is too long, a file is on its way, a home folder
        is not known.

    Examples
    --------
    >>> resolve_folder(Path("/dev/null"), "set BUMPLAB_STORE")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Cannot use /dev/null: it is not a folder; set BUMPLAB_STORE.
    """
    try:
        whole = path.expanduser().absolute()
    except (RuntimeError, KeyError):
        raise BumplabError(f"Cannot use {quote(path)}: there is no such user's home folder; {other}.") from None
    with disk_errors(whole, "use", other):
        try:
            if not stat.S_ISDIR(whole.stat().st_mode):
                raise BumplabError(f"Cannot use {quote(whole)}: it is not a folder; {other}.")
        except FileNotFoundError:
            if whole.is_symlink():
                raise BumplabError(f"Cannot use {quote(whole)}: it is a link to nothing; {other}.") from None
    return whole


def user_folder(variable: str, *names: str) -> Path:
    """Return the folder that an environment variable names, or else one in the user's cache.

    It is whole and checked, see :func:`resolve_folder`; nothing is made.

    Parameters
    ----------
    variable : str
        Where it is empty or blank, it counts as not set.
    *names : str
        Of the folder in the cache, and of folders within it.

    Raises
    ------
    BumplabError
        Also if no home folder is known.

    Examples
    --------
    >>> os.environ["SOME_STORE"] = "/dev/null"
    >>> user_folder("SOME_STORE", "bumplab", "runs")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Cannot use /dev/null: it is not a folder; set SOME_STORE to another folder.
    """
    if (chosen := os.environ.get(variable, "")).strip():
        return resolve_folder(Path(chosen), f"set {variable} to another folder")
    try:
        cache = user_cache_path(names[0], appauthor=False)
    except (RuntimeError, KeyError):  # releases of platformdirs differ: others return "~/.cache"
        cache = Path()
    if not cache.is_absolute():
        raise BumplabError(f"No home folder is known here: set {variable} to a folder.")
    return resolve_folder(cache.joinpath(*names[1:]), f"set {variable} to another folder")
