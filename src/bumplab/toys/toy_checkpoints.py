"""Checkpoints of toys: one file for each, from which it goes on bit for bit, alone or in a stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bumplab.common.digests import digest_arrays, digest_text, seal, unseal
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import atomic_write, disk_errors, is_file
from bumplab.toys.settings import ToySettings
from bumplab.toys.states import ToyState, init_toy
from bumplab.training.checkpoints import checkpoint_name, find_checkpoints
from bumplab.training.snapshots import ELSEWHERE

_PARTS = ("weights", "exp_avg", "exp_avg_sq")
_FIELDS = ("step", "loss_sum", "seconds", "members", "device")


def save_toy(state: ToyState, folder: Path) -> None:
    """Write a checkpoint atomically, and remove those before it.

    Raises
    ------
    BumplabError
        If the disk refuses it; the one before is then still there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.toys import ModularitySettings
    >>> with TemporaryDirectory() as folder:
    ...     save_toy(init_toy(ModularitySettings()), Path(folder))
    ...     load_or_init_toy(ModularitySettings(), Path(folder)).step
    0
    """
    tensors = {f"{part}/{name}": value for part in _PARTS for name, value in getattr(state, part).items()}
    tensors |= {f"{step}/{name}": value for step, kept in state.snapshots.items() for name, value in kept.items()}
    tensors["generator"] = state.generator
    history = json.dumps(state.history, separators=(",", ":"))
    header = {
        "toy": state.settings.id, **{name: getattr(state, name) for name in _FIELDS},
        "history": digest_text(history), "tensors": _digest(tensors),
    }  # fmt: skip
    path = folder / checkpoint_name(state.step)
    with disk_errors(path, other=ELSEWHERE):
        folder.mkdir(parents=True, exist_ok=True)
        whole = {name: value.contiguous() for name, value in tensors.items()}
        atomic_write(path, save(whole, metadata={"checkpoint": seal(header), "history": history}))
        for other in find_checkpoints(folder).values():
            if other != path:
                other.unlink()


def load_or_init_toy(settings: ToySettings, folder: Path, device: str = "cpu") -> ToyState:
    """Return the toy of the checkpoint in a folder, or one before its first step.

    Parameters
    ----------
    settings : ToySettings
    folder : Path
        Where :func:`save_toy` wrote it; it need not be there.
    device : str
        Kind of the device on which it is to go on.

    Raises
    ------
    BumplabError
        If the checkpoint is damaged, of other settings, or of another kind of device.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> load_or_init_toy(ModularitySettings(), Path("/nowhere")).step
    0
    """
    state = init_toy(settings)
    with disk_errors(folder, "read", ELSEWHERE):
        paths = list(find_checkpoints(folder).values()) if folder.is_dir() else []
    if not paths:
        return state
    try:
        _read(state, paths[0], device)
    except BumplabError as error:
        raise BumplabError(f"{quote(paths[0])} {error}; delete it to train from the start.") from None
    return state


def _read(state: ToyState, path: Path, device: str) -> None:
    if not is_file(path):
        raise BumplabError("is no regular file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            header: dict[str, Any] = unseal(metadata.get("checkpoint", ""))
            text = metadata.get("history", "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        history = json.loads(text)
    except (SafetensorError, OSError, ValueError, RecursionError):
        raise BumplabError("is damaged or foreign") from None
    if header.get("toy") != state.settings.id:
        raise BumplabError("is of other settings")
    if header.get("device") != device:
        raise BumplabError(f"was written on {quote(header.get('device'))}, and goes on there alone")
    if header.get("history") != digest_text(text) or header.get("tensors") != _digest(tensors):
        raise BumplabError("is damaged or was edited by hand")
    for part in _PARTS:
        own = {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith(f"{part}/")}
        if {name: value.shape for name, value in own.items()} != {
            name: value.shape for name, value in getattr(state, part).items()
        }:
            raise BumplabError("has other weights than its network")
        setattr(state, part, own)
    for name, value in tensors.items():
        step, _, parameter = name.partition("/")
        if step.isdigit():
            state.snapshots.setdefault(int(step), {})[parameter] = value
    for name in _FIELDS:
        setattr(state, name, header[name])
    state.generator, state.history = tensors["generator"], history


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    return digest_arrays({name: value.numpy() for name, value in tensors.items()})
