"""The training loop: device and precision, averaged weights, checkpoints that resume bit for bit.

The loop itself is :func:`steps`; everything else keeps its state safe. A checkpoint is one safetensors file
holding weights, averaged weights, optimiser and random state, with the history as JSON in its header: loading
it executes no code.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from tqdm import tqdm

from bumplab.base import BumplabError, atomic_write
from bumplab.evaluate import Evaluation, evaluate
from bumplab.settings import Settings
from bumplab.unet import UNet
from bumplab.worlds import spread

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_SECONDS = 20.0
#: What autocast computes in; None for no autocast.
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Interrupted(BumplabError, KeyboardInterrupt):
    """Training was stopped by Ctrl-C (or a notebook's stop button); a checkpoint was written."""


def pick_device(name: str = "auto") -> torch.device:
    """Return a device: the one named, or CUDA, then MPS, then CPU.

    Raises
    ------
    BumplabError
        If the device named is unknown or absent.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    kind = name.split(":")[0]
    if not present.get(kind):
        there = ", ".join(kind for kind, there in present.items() if there)
        raise BumplabError(f"There is no device {name!r} here: use auto or {there}.")
    try:
        return torch.device(name)
    except RuntimeError:
        raise BumplabError(f"There is no device {name!r}: write {kind}, or {kind}:0 for the first one.") from None


def pick_precision(device: torch.device, name: str = "auto") -> str:
    """Return ``"bf16"``, ``"fp16"`` or ``"fp32"``: the one named, or what the device does natively.

    CUDA devices of compute capability 8.0 and later take bf16, earlier ones (a T4 is 7.5) fp16 with a scaled
    loss, everything else fp32.
    """
    if name == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if name not in DTYPES or (name == "fp16" and device.type != "cuda"):
        raise BumplabError(
            f"Precision {name!r} is not possible on {device.type}: use auto, fp32 or bf16 (fp16 on CUDA)."
        )
    return name


def learning_rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step (0 is the first): linear warm-up, then constant or cosine to 0."""
    training = settings.training
    warm = min(1.0, (step + 1) / max(training.warmup, 1))
    if training.decay == "constant":
        return training.learning_rate * warm
    return training.learning_rate * warm * (1 + math.cos(math.pi * step / training.steps)) / 2


def ema(settings: Settings, step: int) -> float:
    """Return the decay of the averaged weights after a step (0 is the first)."""
    return min(settings.training.ema, (1 + step) / (10 + step))


@dataclass
class State:
    """Training at one moment: what a checkpoint holds.

    `history` has ``loss`` (a list of [step, mean loss since the last entry]) and ``accuracy`` (a list of
    dictionaries, see :func:`measure`); `seconds` is training time so far, measurements excluded, and shared by all
    that train together (`members`); `error` says why training ended early.
    """

    settings: Settings
    device: torch.device
    precision: str
    model: UNet
    average: UNet
    optimizer: torch.optim.AdamW
    generator: torch.Generator
    scaler: torch.amp.GradScaler
    conditions: torch.Tensor
    step: int = 0
    seconds: float = 0.0
    members: int = 1
    error: str | None = None
    loss_sum: torch.Tensor = None
    history: dict[str, list] = field(default_factory=lambda: {"loss": [], "accuracy": []})


def start(settings: Settings, device: str = "auto", precision: str = "auto") -> State:
    """Return the state before the first step; weights depend on the seed alone, not on the device."""
    place = pick_device(device)
    precision = pick_precision(place, precision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model, average = UNet(settings.model), UNet(settings.model)
    model.start_at(mean_target(settings))
    average.load_state_dict(model.state_dict())
    model, average = model.to(place), average.to(place).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), weight_decay=settings.training.weight_decay, fused=place.type != "mps"
    )
    return State(
        settings, place, precision, model, average, optimizer,
        torch.Generator(place).manual_seed(settings.seed),
        torch.amp.GradScaler(place.type, enabled=precision == "fp16"),
        settings.world.seen().to(place),
        loss_sum=torch.zeros((), device=place),
    )  # fmt: skip


def mean_target(settings: Settings) -> float:
    """Return the mean, over pixels, training images and timesteps, of what the network is asked to predict.

    The network starts at this constant. For x0 it is nearly -1, black; without that start the output bias has to
    travel there by hundreds of small steps before anything else can be learned.
    """
    images = settings.world.render(spread(settings.world.seen(), 1024))
    t = torch.linspace(0, settings.diffusion.timesteps - 1, len(images))
    return float(settings.diffusion.target(images, torch.zeros_like(images), t).mean())


def draw(state: State) -> torch.Tensor:
    """Draw the conditions (batch, 2) of one step, with replacement."""
    n, batch = len(state.conditions), state.settings.training.batch
    return state.conditions[torch.randint(n, (batch,), generator=state.generator, device=state.device)]


def steps(state: State) -> Iterator[State]:
    """Train, yielding the state after every optimiser step until the last: the whole method in one loop."""
    settings, training = state.settings, state.settings.training
    live, average = list(state.model.parameters()), list(state.average.parameters())
    dtype = DTYPES[state.precision]
    while state.step < training.steps:
        mu = draw(state)
        images = settings.world.render(mu)
        with torch.autocast(state.device.type, dtype, enabled=dtype is not None):
            loss = settings.diffusion.loss(state.model, images, mu, state.generator)
        state.optimizer.zero_grad()
        state.scaler.scale(loss).backward()
        for group in state.optimizer.param_groups:
            group["lr"] = learning_rate(settings, state.step)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        decay = ema(settings, state.step)
        with torch.no_grad():
            torch._foreach_lerp_(average, live, 1 - decay)
            state.loss_sum += loss.detach()
        state.step += 1
        yield state


def train(
    settings: Settings,
    folder: Path,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> State:
    """Train to the end, or go on from the checkpoint in `folder`.

    Parameters
    ----------
    settings : Settings
    folder : Path
        Where the checkpoint and the snapshots ``snapshot-STEP.safetensors`` go.
    device, precision : str
        See :func:`pick_device` and :func:`pick_precision`. They are not part of a run's name.
    progress : bool
        Show a bar with loss, images per second and time left.
    checkpoint_seconds : float
        Time between checkpoints.

    Returns
    -------
    State
        With ``state.average`` holding the weights to keep.

    Raises
    ------
    Interrupted
        On Ctrl-C, after a checkpoint was written.
    BumplabError
        If the checkpoint cannot be read or belongs to other settings, or the loss is no longer finite.
    """
    state = begin(settings, folder, device, precision)
    drive([state], [folder], steps(state), lambda states: [measure(states[0])], progress, checkpoint_seconds)
    if state.error:
        raise BumplabError(state.error)
    return state


def begin(settings: Settings, folder: Path, device: str = "auto", precision: str = "auto") -> State:
    """Return the state to go on from: that of the checkpoint in `folder`, or the first one."""
    state = start(settings, device, precision)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / CHECKPOINT).exists():
        resume(state, folder / CHECKPOINT)
    if state.step == 0 and 0 in settings.training.snapshots:
        save_snapshot(state, folder)
    return state


def drive(
    states: Sequence[State],
    folders: Sequence[Path],
    loop: Iterator[Any],
    measured: Callable[[Sequence[State]], list[dict[str, Any]]],
    progress: bool = True,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> None:
    """Run a training loop to its end, with all that goes on around it: log, measurements, snapshots, checkpoints.

    Parameters
    ----------
    states : sequence of State
        What trains: one, or those of an ensemble, all at the same step. A state whose loss is no longer finite gets
        an `error`; the others go on.
    folders : sequence of Path
        Where their checkpoints and snapshots go.
    loop : iterator
        Advances all of them by one optimiser step at a time.
    measured : callable
        Takes states and returns what :func:`measure` does for each.
    progress, checkpoint_seconds
        See :func:`train`.

    Raises
    ------
    Interrupted
        On Ctrl-C, after checkpoints were written.
    """
    first, training = states[0], states[0].settings.training
    log_every = max(1, training.steps // 200)
    saved, begun = time.monotonic(), time.monotonic() - first.seconds * len(states)
    hidden = {} if progress else {"disable": True}  # TQDM_DISABLE in the environment hides it, too
    bar = tqdm(total=training.steps, initial=first.step, unit="step", mininterval=0.5, dynamic_ncols=True, **hidden)
    well = list(zip(states, folders, strict=True))
    with _catch_interrupt() as interrupted, _deterministic(first.device), bar:
        for _ in loop:
            step = first.step
            bar.update()
            if step % log_every == 0 or step == training.steps:
                losses = [_log(state) for state, _ in well]
                well = [(state, folder) for state, folder in well if not state.error]
                if not well:
                    break
                pace = step * training.batch * len(states) / (time.monotonic() - begun)
                bar.set_postfix_str(f"loss {sum(losses) / len(losses):.4f}, {pace:.0f} images/s", refresh=False)
            if step in training.snapshots and step < training.steps:  # the last ones are the run's weights
                for state, folder in well:
                    save_snapshot(state, folder)
            if training.evaluate_every and (step % training.evaluate_every == 0 or step == training.steps):
                paused = time.monotonic()
                for (state, _), entry in zip(well, measured([state for state, _ in well]), strict=True):
                    state.history["accuracy"].append(entry)
                begun += time.monotonic() - paused
            if interrupted() or time.monotonic() - saved > checkpoint_seconds:
                for state, folder in well:
                    state.seconds = (time.monotonic() - begun) / len(states)
                    save_checkpoint(state, folder / CHECKPOINT)
                saved = time.monotonic()
            if interrupted():
                raise Interrupted(f"Stopped after step {step} of {training.steps}; the same call goes on from there.")
    for state in states:
        state.seconds = (time.monotonic() - begun) / len(states)


def _log(state: State) -> float:
    since = state.step - (state.history["loss"][-1][0] if state.history["loss"] else 0)
    loss = float(f"{float(state.loss_sum) / since:.6g}")  # more digits would be noise, and room in every history
    state.history["loss"].append([state.step, loss])
    state.loss_sum.zero_()
    if not math.isfinite(loss):
        state.error = f"The loss is not finite at step {state.step}: lower training.learning_rate."
    return loss


def measure(state: State) -> dict[str, Any]:
    """Measure accuracy with the averaged weights, on conditions seen in training and on the others.

    Returns
    -------
    dict with ``step``, ``seen`` and, where the world has any, ``unseen``; the last two as in :func:`score`.
    """
    parts = state.settings.world.parts(state.settings.training.evaluate_on)
    scores = {name: score(state.average, state.settings, mu.to(state.device)) for name, mu in parts.items()}
    return {"step": state.step, **scores}


def score(model: UNet, settings: Settings, mu: torch.Tensor) -> dict[str, float]:
    """Return accuracy (``joint``, ``x``, ``y``), the share of each category, and ``n``, on conditions `mu` (n, 2)."""
    return summary(drawn(model, settings, mu))


def drawn(model: UNet, settings: Settings, mu: torch.Tensor) -> Evaluation:
    """Draw one image for each condition `mu` (n, 2), as every measurement of accuracy does, and judge it."""
    return evaluate(model, settings.world, settings.diffusion, mu, settings.training.sampler_steps)


def summary(result: Evaluation) -> dict[str, float]:
    """Return what :func:`score` says of images that were judged, shares to six digits."""
    accuracy = {which: result.accuracy(which).value for which in ("joint", "x", "y")}
    return {name: round(share, 6) for name, share in (accuracy | result.shares()).items()} | {"n": len(result.mu)}


# ---------------------------------------------------------------- files


def snapshot_name(step: int) -> str:
    """Return the file name of the weights after `step`."""
    return f"snapshot-{step:08d}.safetensors"


def save_weights(model: UNet, path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a network's weights atomically."""
    tensors = {name: value.detach().to("cpu", dtype).contiguous() for name, value in model.state_dict().items()}
    atomic_write(path, save(tensors))


def save_snapshot(state: State, folder: Path) -> None:
    """Write the averaged weights of this step, in half precision: snapshots are many, and to be looked at only."""
    save_weights(state.average, folder / snapshot_name(state.step), torch.float16)


def save_checkpoint(state: State, path: Path) -> None:
    """Write everything needed to go on, atomically."""
    tensors = {"generator": state.generator.get_state()}
    for name, module in (("model", state.model), ("average", state.average)):
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items()}
    tensors["loss_sum"] = state.loss_sum
    header = {
        "id": state.settings.id, "step": state.step, "seconds": state.seconds, "history": state.history,
        "precision": state.precision, "scaler": state.scaler.state_dict(),
    }  # fmt: skip
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    atomic_write(path, save(tensors, metadata={"state": json.dumps(header)}))


def resume(state: State, path: Path) -> None:
    """Set `state` to the checkpoint at `path`.

    Raises
    ------
    BumplabError
        If the file is damaged, or of other settings.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        if header["id"] != state.settings.id:
            raise BumplabError(
                f"{path} is the checkpoint of run {header['id']}, not of {state.settings.id}; delete it."
            )
        for name, module in (("model", state.model), ("average", state.average)):
            module.load_state_dict(_below(tensors, name))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in _below(tensors, "optimizer").items():
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


def _below(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


# ---------------------------------------------------------------- surroundings


@contextmanager
def _catch_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag that the loop asks for between steps; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    flag = threading.Event()

    def handle(number: int, frame: Any) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield flag.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Ask CUDA for repeatable kernels; the CPU's are."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
