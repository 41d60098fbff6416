"""Snapshots: the averaged weights after some steps, in half precision, since they are many and to be looked at only.

They end up in the finished run. Their digests are therefore part of the training state, and every reading checks them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load
from safetensors.torch import save

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import atomic_write, disk_errors, is_file
from bumplab.training.state import TrainState

#: What a user can do whose disk refuses what training writes.
ELSEWHERE = "set BUMPLAB_STORE to another folder"


def snapshot_name(step: int) -> str:
    """Return the file name of the weights after `step`.

    Examples
    --------
    >>> snapshot_name(400)
    'snapshot-00000400.safetensors'
    """
    return f"snapshot-{step:08d}.safetensors"


def save_snapshot(state: TrainState, folder: Path) -> None:
    """Write the averaged weights of this step atomically, and note their digest in ``state.snapshots``.

    Raises
    ------
    BumplabError
        If the disk refuses it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> with TemporaryDirectory() as folder:
    ...     save_snapshot(state, Path(folder))
    ...     list(state.snapshots), load_snapshot(state, Path(folder), 0)["head.weight"].dtype
    (['snapshot-00000000.safetensors'], dtype('float16'))
    """
    weights = state.ema_model.state_dict()
    content = save({name: value.to("cpu", torch.float16).contiguous() for name, value in weights.items()})
    path = folder / snapshot_name(state.step)
    with disk_errors(path, other=ELSEWHERE):
        atomic_write(path, content)
    state.snapshots[path.name] = hashlib.sha256(content).hexdigest()


def load_snapshot(state: TrainState, folder: Path, step: int) -> dict[str, np.ndarray]:
    """Read a snapshot that this training has written.

    Parameters
    ----------
    state : TrainState
        At `step` or later.
    folder : Path
        Where training left its snapshots.
    step : int

    Returns
    -------
    dict of str to array, float16

    Raises
    ------
    BumplabError
        If it is missing, or not the file that training wrote.
    """
    path = folder / snapshot_name(step)
    try:
        return load(read_snapshot(state, path, state.snapshots.get(path.name)))
    except BumplabError as error:
        raise BumplabError(f"{quote(path)} {error}; the same call trains again from before step {step}.") from None


def read_snapshot(state: TrainState, path: Path, digest: str | None) -> bytes:
    """Return the content of a snapshot, which has to have that digest.

    Raises
    ------
    BumplabError
        If it is missing or another one. The sentence lacks its subject: "is damaged or foreign".

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> read_snapshot(init_state(preset("smoke"), "cpu"), Path("/dev/zero"), None)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: is missing
    """
    most = 1_000_000 + 2 * sum(value.numel() for value in state.ema_model.state_dict().values())  # a header, and halves
    if not is_file(path):
        raise BumplabError("is missing")
    try:
        with path.open("rb") as file:
            content = file.read(most)
    except OSError as error:
        raise BumplabError(f"cannot be read ({error.strerror})") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise BumplabError("is damaged or foreign")
    return content
