"""Whether a checkpoint that is to be carried, or has come, is whole: by its own digests, without network or device."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import is_file
from bumplab.runs.families import family_of
from bumplab.runs.records import StoreError
from bumplab.training.checkpoint_files import DAMAGED, Header, read_content, read_header


def check_checkpoint(path: Path, id: str) -> tuple[Header, list[str]]:
    """Return what a checkpoint says of itself, and the names of its snapshots, after checking all of them.

    No device is needed for it: that it fits the network is checked where training goes on.

    Raises
    ------
    StoreError
        If it is not of that run and of today's trainer, or it or a snapshot beside it is damaged.

    Examples
    --------
    >>> check_checkpoint(Path("/dev/null"), "0123456789ab")
    Traceback (most recent call last):
    bumplab.runs.records.StoreError: null is no regular file.
    """
    try:
        header = read_header(path)
        _check_settings(header, id)
        progress, _ = read_content(path, header, load(path.read_bytes()))
        for name, digest in progress["snapshots"].items():
            snapshot = path.with_name(str(name))
            if snapshot.name != name or not is_file(snapshot):
                raise BumplabError(f"goes with {quote(name)}, which is missing")
            if hashlib.sha256(snapshot.read_bytes()).hexdigest() != digest:
                raise BumplabError(f"goes with {quote(name)}, which is damaged or foreign")
    except BumplabError as error:
        raise StoreError(f"{path.name} {str(error).rstrip('.')}.") from None
    except SafetensorError:
        raise StoreError(f"{path.name} {DAMAGED}.") from None
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read ({error.strerror}).") from None
    return header, sorted(progress["snapshots"])


def _check_settings(header: Header, id: str) -> None:
    try:
        settings: Any = family_of(header.settings).settings.from_record(header.settings)
    except BumplabError:
        raise BumplabError(DAMAGED) from None
    if header.trainer != settings.trainer_version:
        raise BumplabError(f"is of version {header.trainer} of the trainer, this is {settings.trainer_version}")
    if not header.id == settings.id == id:
        raise BumplabError(f"is the checkpoint of run {settings.id}, not of {id}")
