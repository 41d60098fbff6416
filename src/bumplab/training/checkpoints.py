"""Checkpoints that resume bit for bit, snapshots, and weights as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bumplab.common.errors import BumplabError
from bumplab.common.files import atomic_write
from bumplab.models.unet import UNet
from bumplab.training.settings import Settings
from bumplab.training.state import TrainState, init_state

CHECKPOINT = "checkpoint.safetensors"


def init_or_resume(settings: Settings, folder: Path, device: str = "auto", precision: str = "auto") -> TrainState:
    """Return the state to go on from: that of the checkpoint in `folder`, or the first one."""
    state = init_state(settings, device, precision)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CHECKPOINT).exists():
        resume(state, folder / CHECKPOINT)
    if state.step == 0 and 0 in settings.training.snapshots:
        save_snapshot(state, folder)
    return state


def snapshot_name(step: int) -> str:
    """Return the file name of the weights after `step`."""
    return f"snapshot-{step:08d}.safetensors"


def save_weights(model: UNet, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a network's weights atomically."""
    tensors = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    atomic_write(path, save(tensors))


def save_snapshot(state: TrainState, folder: Path) -> None:
    """Write the averaged weights of this step, in half precision: snapshots are many, and to be looked at only."""
    save_weights(state.ema_model, folder / snapshot_name(state.step), torch.float16)


def save_checkpoint(state: TrainState, path: Path) -> None:
    """Write everything needed to go on, atomically."""
    tensors = {"generator": state.generator.get_state()}
    for name, module in (("model", state.model), ("average", state.ema_model)):
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items()}
    tensors["loss_sum"] = state.loss_sum
    header = {
        "id": state.settings.id, "step": state.step, "seconds": state.seconds, "history": state.history,
        "precision": state.precision, "scaler": state.scaler.state_dict(),
        "device": state.device.type, "threads": torch.get_num_threads(),
    }  # fmt: skip
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    atomic_write(path, save(tensors, metadata={"state": json.dumps(header)}))


def resume(state: TrainState, path: Path) -> None:
    """Set `state` to the checkpoint at `path`.

    Raises
    ------
    BumplabError
        If the file is damaged, of other settings, or of a device or a number of threads with which training would
        end at other weights.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        if header["id"] != state.settings.id:
            raise BumplabError(
                f"{path} is the checkpoint of run {header['id']}, not of {state.settings.id}; delete it."
            )
        _check_place(state, path, header)
        for name, module in (("model", state.model), ("average", state.ema_model)):
            module.load_state_dict(_with_prefix(tensors, name))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _with_prefix(tensors, "optimizer").items():
            index, _, name = key.partition("/")
            moments.setdefault(int(index), {})[name] = value
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        state.generator.set_state(tensors["generator"])
        if header["precision"] == state.precision:
            state.scaler.load_state_dict(header["scaler"])
        state.loss_sum.copy_(tensors["loss_sum"])
        state.step, state.seconds, state.history = header["step"], header["seconds"], header["history"]
    except (SafetensorError, KeyError, TypeError, RuntimeError, OSError, json.JSONDecodeError):
        raise BumplabError(f"{path} is damaged or foreign; delete it to train from the start.") from None


def _check_place(state: TrainState, path: Path, header: dict[str, Any]) -> None:
    """Refuse to go on elsewhere: a run trained half here and half there is neither's. Old files do not say where."""
    here, there = state.device.type, header.get("device", state.device.type)
    if there != here:
        raise BumplabError(
            f"{path} is of device {there}, not {here}: go on there, or delete it to train from the start."
        )
    here, there = torch.get_num_threads(), header.get("threads", torch.get_num_threads())
    if state.device.type == "cpu" and there != here:
        raise BumplabError(
            f"{path} is of {there} threads, not {here}: go on with OMP_NUM_THREADS={there}, "
            "or delete it to train from the start."
        )


def _with_prefix(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
