"""Checkpoints from which training goes on bit for bit, two generations of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import disk_errors
from bumplab.training.checkpoint_files import DAMAGED, read_content, read_header, write_checkpoint
from bumplab.training.resumption import RefusalError, check_rules
from bumplab.training.settings import Settings
from bumplab.training.snapshots import ELSEWHERE, read_snapshot, save_snapshot, snapshot_name
from bumplab.training.state import TrainState, init_state

_NAME = re.compile(r"checkpoint-(\d{8,9})\.safetensors")
#: The only one that earlier versions wrote.
_EARLIER = "checkpoint.safetensors"
#: What a process that was killed while it wrote leaves behind.
_LEFTOVER = re.compile(r"\.(checkpoint|snapshot)-\d{8,9}\.safetensors\.\d+")


def checkpoint_name(step: int) -> str:
    """Return the file name of the checkpoint after `step`.

    Examples
    --------
    >>> checkpoint_name(400)
    'checkpoint-00000400.safetensors'
    """
    return f"checkpoint-{step:08d}.safetensors"


def find_checkpoints(folder: Path) -> dict[int, Path]:
    """Return the checkpoints in a folder by their steps, the newest first; one of an earlier version counts as -1.

    Examples
    --------
    >>> find_checkpoints(Path("/tmp"))
    {}
    """
    found = {}
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match and path.name == checkpoint_name(int(match[1])):
            found[int(match[1])] = path
        elif path.name == _EARLIER:
            found[-1] = path
    return dict(sorted(found.items(), reverse=True))


def init_or_resume(settings: Settings, folder: Path, device: str = "auto", precision: str = "auto") -> TrainState:
    """Return the state to go on from: that of the newest good checkpoint in `folder`, or the first one.

    Parameters
    ----------
    settings : Settings
    folder : Path
        The run's own; it is made where it is missing.
    device, precision : str
        See :func:`~bumplab.training.state.init_state`.

    Raises
    ------
    BumplabError
        See :func:`resume`; also if the folder cannot be used.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.training import preset
    >>> with TemporaryDirectory() as folder:
    ...     init_or_resume(preset("smoke"), Path(folder), "cpu").step
    0
    """
    state = init_state(settings, device, precision)
    with disk_errors(folder, other=ELSEWHERE):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                path.unlink()
    resume(state, folder)
    if state.step == 0 and 0 in settings.training.snapshots:
        save_snapshot(state, folder)
    return state


def save_checkpoint(state: TrainState, folder: Path) -> None:
    """Write everything that is needed to go on, atomically, and remove all other checkpoints but the last good one.

    Raises
    ------
    BumplabError
        If the disk refuses it; the checkpoints before are then still there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.training import init_state, preset, training_steps
    >>> state = init_state(preset("smoke"), "cpu")
    >>> with TemporaryDirectory() as folder:
    ...     for _ in zip(range(3), training_steps(state)):
    ...         save_checkpoint(state, Path(folder))
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['checkpoint-00000002.safetensors', 'checkpoint-00000003.safetensors']
    """
    settings, path = state.settings, folder / checkpoint_name(state.step)
    header = {
        "family": settings.family, "trainer": settings.trainer_version, "id": settings.id,
        "settings": settings.to_record(), "step": state.step, "seconds": state.seconds,
        "scaler": state.scaler.state_dict(), "sessions": state.sessions,
    }  # fmt: skip
    progress = {"history": state.history, "snapshots": state.snapshots}
    with disk_errors(path, other=ELSEWHERE):
        write_checkpoint(path, header, progress, _tensors(state))
        for step, other in find_checkpoints(folder).items():
            if step not in (-1, state.step, state.checkpoint) and (other.is_symlink() or not other.is_dir()):
                other.unlink()
    state.checkpoint = state.step


def resume(state: TrainState, folder: Path) -> None:
    """Set a state before its first step to that of the newest good checkpoint in a folder, if there is any.

    A checkpoint that is damaged, or without its snapshots, is named, and the one before is used.

    Parameters
    ----------
    state : TrainState
    folder : Path

    Raises
    ------
    BumplabError
        If none of the checkpoints is good, or the newest is of other settings, another trainer, or another kind of
        device: training would end at other weights than those that the run's name stands for.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.training import preset
    >>> with TemporaryDirectory() as folder:
    ...     (Path(folder) / checkpoint_name(3)).touch()
    ...     try:
    ...         resume(init_state(preset("smoke"), "cpu"), Path(folder))
    ...     except BumplabError as error:
    ...         print(str(error).rpartition("/")[2])
    checkpoint-00000003.safetensors is damaged or foreign; delete it to train from the start.
    """
    with disk_errors(folder, "read", ELSEWHERE):
        checkpoints = list(find_checkpoints(folder).values())
    problems = []
    for path in checkpoints:
        try:
            _read(state, path)
        except RefusalError as refusal:
            raise BumplabError(f"{quote(path)} {refusal}") from None
        except BumplabError as error:
            problems.append(f"{quote(path)} {error}")
            continue
        for problem in problems:
            tqdm.write(f"{problem}; training goes on from the checkpoint before it, {path.name}.", file=sys.stderr)
        return
    if problems:
        them = "it" if len(problems) == 1 else "them"
        raise BumplabError(f"{', and '.join(problems)}; delete {them} to train from the start.")


def _read(state: TrainState, path: Path) -> None:
    """Set `state` to the checkpoint at `path`, or leave it as it is and raise an error that lacks its subject."""
    if path.name == _EARLIER:
        raise BumplabError("is of an earlier version of bumplab, from which this one cannot go on")
    header = read_header(path)
    try:
        check_rules(state, header)
    except RecursionError:
        raise BumplabError(DAMAGED) from None
    scaled = header.sessions[-1].precision == state.precision
    if path.name != checkpoint_name(header.step) or header.step > state.settings.training.steps:
        raise BumplabError(DAMAGED)
    progress, tensors = read_content(path, header, _tensors(state))
    _check_snapshots(state, path.parent, header.step, progress["snapshots"])
    try:
        state.generator.set_state(tensors["generator"])
    except RuntimeError:
        raise BumplabError(DAMAGED) from None
    for name, module in (("model", state.model), ("average", state.ema_model)):
        module.load_state_dict(_with_prefix(tensors, name))
    for name, moment in _moments(state).items():
        moment.copy_(tensors[name])
    if scaled:
        state.scaler.load_state_dict(header.scaler)
    state.loss_sum.copy_(tensors["loss_sum"])
    state.step, state.seconds, state.checkpoint = header.step, header.seconds, header.step
    state.history, state.snapshots = progress["history"], progress["snapshots"]
    state.sessions = [session.model_dump() for session in header.sessions]


def _tensors(state: TrainState) -> dict[str, torch.Tensor]:
    """Return all tensors of a state by name."""
    tensors = {"generator": state.generator.get_state(), "loss_sum": state.loss_sum}
    for name, module in (("model", state.model), ("average", state.ema_model)):
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    return tensors | _moments(state)


def _moments(state: TrainState) -> dict[str, torch.Tensor]:
    """Return the moments of the optimiser and its numbers of steps by name."""
    moments = [state.optimizer.state[parameter] for parameter in state.model.parameters()]
    return {f"optimizer/{index}/{key}": value for index, part in enumerate(moments) for key, value in part.items()}


def _with_prefix(tensors: Mapping[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _check_snapshots(state: TrainState, folder: Path, step: int, digests: Mapping[str, Any]) -> None:
    """Raise an error unless there are, up to a step, exactly the snapshots that there should be, as they were."""
    training = state.settings.training
    if digests.keys() != {snapshot_name(at) for at in training.snapshots if at <= step and at < training.steps}:
        raise BumplabError(DAMAGED)
    for name, digest in digests.items():
        try:
            read_snapshot(state, folder / name, digest)
        except BumplabError as error:
            raise BumplabError(f"goes with {name}, which {error}") from None
