"""Training at one moment, and the state before the first step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

import bumplab
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet
from bumplab.training.device import device_name, pick_device, pick_precision
from bumplab.training.settings import Settings, Training
from bumplab.worlds.bumps import subsample_evenly


class Interrupted(BumplabError, KeyboardInterrupt):
    """Training was stopped by Ctrl-C (or a notebook's stop button); a checkpoint was written.

    Examples
    --------
    >>> issubclass(Interrupted, KeyboardInterrupt), issubclass(Interrupted, BumplabError)
    (True, True)
    """


@dataclass
class TrainState:
    """Training at one moment: what a checkpoint holds.

    Attributes
    ----------
    settings : Settings
    device : torch.device
    precision : {"fp32", "bf16", "fp16"}
    execution : {"eager", "compiled"}
        See :mod:`~bumplab.training.compilation`.
    model, ema_model : UNet
        The network that trains, and the one with averaged weights, which is kept.
    optimizer : torch.optim.AdamW
    generator : torch.Generator
        Of batches, timesteps and noise; on the device.
    scaler : torch.amp.GradScaler
        Of the loss in fp16.
    conditions : torch.Tensor, (n, 2)
        What training shows, on the device.
    step : int
        Optimiser steps so far.
    seconds : float
        Training time so far, measurements excluded; shared by all that train together.
    ensemble_size : int
        How many train together.
    error : str or None
        Why training ended early.
    loss_sum : torch.Tensor, ()
        Sum of the losses since the last entry of the history.
    history : dict
        ``loss``, a list of [step, mean loss since the last entry], and ``accuracy``, a list of dictionaries, see
        :func:`~bumplab.training.outcomes.measure`.
    snapshots : dict
        Name of each snapshot written so far -> SHA-256 of the file.
    sessions : list of dict
        Under what circumstances training began and, where it went on under others, since which step, see
        :func:`begin_session`.
    checkpoint : int or None
        Step of the newest checkpoint that is known to be good.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> state.step, state.conditions.shape, state.history
    (0, torch.Size([1024, 2]), {'loss': [], 'accuracy': []})
    """

    settings: Settings
    device: torch.device
    precision: str
    model: UNet
    ema_model: UNet
    optimizer: torch.optim.AdamW
    generator: torch.Generator
    scaler: torch.amp.GradScaler
    conditions: torch.Tensor
    step: int = 0
    seconds: float = 0.0
    ensemble_size: int = 1
    execution: str = "eager"
    error: str | None = None
    loss_sum: torch.Tensor = field(default_factory=lambda: torch.zeros(()))
    history: dict[str, list] = field(default_factory=lambda: {"loss": [], "accuracy": []})
    snapshots: dict[str, str] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    checkpoint: int | None = None


def init_state(settings: Settings, device: str = "auto", precision: str = "auto") -> TrainState:
    """Return the state before the first step; weights depend on the seed alone, not on the device.

    Parameters
    ----------
    settings : Settings
    device, precision : str
        See :func:`~bumplab.training.device.pick_device` and :func:`~bumplab.training.device.pick_precision`.

    Raises
    ------
    BumplabError
        If the device is absent, or the precision impossible on it.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> one, other = (init_state(preset("smoke"), "cpu") for _ in range(2))
    >>> torch.equal(one.model.stem.conv1.weight, other.model.stem.conv1.weight)
    True
    """
    place = pick_device(device)
    precision = pick_precision(place, precision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model, average = UNet(settings.model), UNet(settings.model)
    model.init_constant_output(mean_target(settings))
    average.load_state_dict(model.state_dict())
    model, average = model.to(place), average.to(place).eval().requires_grad_(False)
    optimizer = init_optimizer(model.parameters(), settings.training)
    state = TrainState(
        settings, place, precision, model, average, optimizer,
        torch.Generator(place).manual_seed(settings.seed),
        torch.amp.GradScaler(place.type, enabled=precision == "fp16"),
        settings.world.seen().to(place),
        loss_sum=torch.zeros((), device=place),
    )  # fmt: skip
    begin_session(state)
    return state


def init_optimizer(parameters: Iterable[torch.Tensor], training: Training) -> torch.optim.AdamW:
    """Return AdamW with its moments, zero before the first step: they keep their place in memory from there on.

    Parameters
    ----------
    parameters : iterable of torch.Tensor
        All on one device.
    training : Training

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> weight = torch.ones(3, requires_grad=True)
    >>> init_optimizer([weight], preset("smoke").training).state[weight]["exp_avg"]
    tensor([0., 0., 0.])
    """
    parameters = list(parameters)
    place = parameters[0].device
    fused = place.type != "mps"
    optimizer = torch.optim.AdamW(parameters, weight_decay=training.weight_decay, fused=fused)
    for each in parameters:
        optimizer.state[each] = {
            "step": torch.zeros((), dtype=torch.float32, device=place if fused else "cpu"),
            "exp_avg": torch.zeros_like(each, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(each, requires_grad=False),
        }
    return optimizer


def begin_session(state: TrainState) -> str | None:
    """Note in `state.sessions` that training begins or goes on, here and now.

    A session under the circumstances of the one before is part of it: an interruption alone leaves no trace.

    Parameters
    ----------
    state : TrainState

    Returns
    -------
    str or None
        What is other than before the interruption, as a sentence.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> sorted(state.sessions[0])
    ['bumplab', 'device', 'execution', 'members', 'precision', 'step', 'threads', 'torch']
    >>> state.step, state.precision = 20, "bf16"
    >>> begin_session(state)
    'Training goes on after step 20 with precision bf16 instead of fp32; the record of the run will say so.'
    >>> [session["step"] for session in state.sessions]  # training done when each of them began
    [0, 20]
    """
    now = {
        "device": device_name(state.device), "precision": state.precision, "execution": state.execution,
        "threads": torch.get_num_threads(), "members": state.ensemble_size, "torch": str(torch.__version__),
        "bumplab": bumplab.__version__,
    }  # fmt: skip
    before = [session for session in state.sessions if session["step"] < state.step]
    then = before[-1] if before else {}
    changes = [f"{name} {value} instead of {then[name]}" for name, value in now.items() if then and then[name] != value]
    state.sessions = before if then and not changes else [*before, {"step": state.step, **now}]
    if not changes:
        return None
    return f"Training goes on after step {state.step} with {', '.join(changes)}; the record of the run will say so."


def mean_target(settings: Settings) -> float:
    """Return the mean, over pixels, training images and timesteps, of what the network is to predict.

    The network starts at this constant. For x0 it is nearly -1, black; without that start the output bias has to
    travel there by hundreds of small steps before anything else can be learned.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> round(mean_target(preset("smoke")), 2), mean_target(preset("smoke", diffusion={"prediction_type": "eps"}))
    (-0.99, 0.0)
    """
    images = settings.world.render(subsample_evenly(settings.world.seen(), 1024))
    t = torch.linspace(0, settings.diffusion.timesteps - 1, len(images))
    return float(settings.diffusion.target(images, torch.zeros_like(images), t).mean())
