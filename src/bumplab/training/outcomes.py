"""What a network can do: accuracy during training and after it, its loss, and the embedding of a layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from bumplab.analysis.accuracy import Evaluation, evaluate
from bumplab.analysis.activations import record_activations
from bumplab.analysis.geometry import pca
from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.process import Denoiser
from bumplab.models.unet import UNet
from bumplab.training.settings import Settings
from bumplab.training.state import TrainState
from bumplab.worlds.bumps import BumpWorld

#: Timesteps at which a run keeps the embedding of layer 4, see :func:`layer_embedding`.
MOMENTS = ("first", "last")
EMBEDDED_LAYER = "attention2"  # layer 4
#: The final accuracy is measured on at most this many conditions, evenly spread.
MAX_EVALUATIONS = 4096


def evaluate_model(model: UNet, settings: Settings, conditions: torch.Tensor) -> Evaluation:
    """Generate one image for each condition with the sampler of the settings, and judge it.

    Every measurement of accuracy is this one: during training, after it, and when a record is verified.

    Parameters
    ----------
    model : UNet
    settings : Settings
        Of the model's run: its world, its diffusion, and the sampler.
    conditions : torch.Tensor, (n, 2)
        In pixels, on the model's device.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> settings = preset("smoke")
    >>> evaluate_model(UNet(settings.model), settings, settings.world.lattice()[:4]).accuracy().n
    4
    """
    training = settings.training
    sampler = {"steps": training.sampler_steps, "eta": training.sampler_eta}
    return evaluate(model, settings.world, settings.diffusion, conditions, **sampler)


def measure(state: TrainState) -> dict[str, Any]:
    """Measure accuracy with the averaged weights, on conditions seen in training and on the others.

    Returns
    -------
    dict
        ``step``, ``seen`` and, where the world has any, ``unseen``; the last two as
        :meth:`~bumplab.analysis.accuracy.Evaluation.to_record` writes them.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> from bumplab.training.state import init_state
    >>> sorted(measure(init_state(preset("smoke", world={"held_out": "cross(13, 19)"}), "cpu")))
    ['seen', 'step', 'unseen']
    """
    splits = state.settings.world.condition_splits(state.settings.training.evaluate_on)
    evaluations = {
        name: evaluate_model(state.ema_model, state.settings, mu.to(state.device)) for name, mu in splits.items()
    }
    return {"step": state.step} | {name: evaluation.to_record() for name, evaluation in evaluations.items()}


def evaluate_final(model: UNet, settings: Settings, device: torch.device | str = "cpu") -> dict[str, Evaluation]:
    """Evaluate a trained network for ``seen`` and ``unseen`` conditions, at most 4,096 of each.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> settings = preset("smoke", world={"size": 16, "held_out": "band_x(3, 5)"})
    >>> {name: len(part.mu) for name, part in evaluate_final(UNet(settings.model), settings).items()}
    {'seen': 240, 'unseen': 16}
    """
    splits = settings.world.condition_splits(MAX_EVALUATIONS)
    return {name: evaluate_model(model, settings, mu.to(device)) for name, mu in splits.items()}


@torch.no_grad()
def expected_loss(
    model: Denoiser, settings: Settings, conditions: torch.Tensor, timesteps: int = 20, seed: int = 0, batch: int = 1024
) -> float:
    """Return the loss of training in expectation over conditions, timesteps and noise, the same at every call.

    On conditions that training shows it is the training loss, on others the validation loss. Noise levels are
    stratified: each condition is noised at timesteps evenly spread from a start of its own. So the mean is unbiased,
    and scatters less than that of as many independent draws.

    Parameters
    ----------
    model : callable (x, t, mu) -> output
    settings : Settings
        Of the model's run: its world and its diffusion, which say what the loss is.
    conditions : torch.Tensor, (n, 2)
        In pixels, on the model's device; one or more.
    timesteps : int
        For each condition, from 1 to those of the diffusion, where all of them are taken. The control without
        diffusion has a single one.
    seed : int
        Of the starts and the noise.
    batch : int
        Images at a time.

    Raises
    ------
    BumplabError
        If there are no conditions, or such a number of timesteps is impossible.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> blank = lambda x, t, mu: torch.zeros_like(x)
    >>> noise = preset("smoke", diffusion={"prediction_type": "eps"})
    >>> round(expected_loss(blank, noise, noise.world.lattice()), 2)  # the variance of the noise
    1.0
    """
    world, diffusion = settings.world, settings.diffusion
    if not len(conditions):
        raise BumplabError("A loss is the mean over conditions: give one or more.")
    if not 1 <= timesteps <= diffusion.timesteps:
        raise BumplabError(f"A loss takes 1 to {diffusion.timesteps:,} timesteps, got {quote(timesteps)}.")
    strata = 1 if diffusion.kind == "regression" else timesteps
    generator, total = torch.Generator().manual_seed(seed), 0.0
    starts = torch.rand(len(conditions), generator=generator, dtype=torch.float64)
    for k in range(strata):
        for mu, start in zip(conditions.split(batch), starts.split(batch), strict=True):
            x0 = world.render(mu)
            t = ((k + start) * (diffusion.timesteps / strata)).long().clamp(max=diffusion.timesteps - 1)
            eps = torch.randn(x0.shape, generator=generator)
            if diffusion.kind == "regression":  # it knows timestep 0 alone, and no noise
                t, eps = torch.zeros_like(t), torch.zeros_like(eps)
            total += len(mu) * diffusion.loss(model, x0, mu, t.to(mu.device), eps.to(mu.device)).item()
    return total / (strata * len(conditions))


def layer_embedding(model: UNet, settings: Settings, moment: str) -> np.ndarray:
    """Return the first eight principal components of layer 4, over the conditions whose centre is in the window.

    Of an axis with more than 64 values it takes every second one, or every third, and so on: at most 64.

    Parameters
    ----------
    model : UNet
    settings : Settings
    moment : {"first", "last"}
        The first timestep of generation, where the input is noise, the same for all conditions, or the last one, t = 0,
        where it is the image that the network has generated by then, by DDIM whatever the settings measure with.

    Returns
    -------
    array (n_x, n_y, 8), float32

    Raises
    ------
    BumplabError
        For another moment.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> settings = preset("smoke", world={"size": 16})
    >>> layer_embedding(UNet(settings.model), settings, "first").shape
    (16, 16, 8)
    """
    if moment not in MOMENTS:
        raise BumplabError(f"There is no moment {quote(moment)}: use {' or '.join(MOMENTS)}.")
    world, diffusion, steps = settings.world, settings.diffusion, settings.training.sampler_steps
    t = 0 if moment == "last" else diffusion.timesteps - 1
    x, y = (_window_axis(world, which) for which in (0, 1))
    conditions = torch.cartesian_prod(x, y)
    cache = record_activations(model, world, diffusion, conditions, layers=[EMBEDDED_LAYER], t=t, steps=steps)
    grid = cache[EMBEDDED_LAYER].unflatten(0, (len(x), len(y)))  # (n_x, n_y, D)
    return pca(grid.numpy(), components=8).astype(np.float32)


def embedding_shape(settings: Settings) -> tuple[int, int, int]:
    """Return the shape of :func:`layer_embedding`, (n_x, n_y, 8).

    Raises
    ------
    BumplabError
        If no condition of the lattice has its centre in the window.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> embedding_shape(preset("smoke", world={"size": 16}))
    (16, 16, 8)
    """
    n_x, n_y = (len(_window_axis(settings.world, which)) for which in (0, 1))
    return n_x, n_y, 8


def _window_axis(world: BumpWorld, which: int, most: int = 64) -> torch.Tensor:
    """Return at most `most` evenly spaced lattice coordinates in the window, along x (0) or y (1)."""
    values = world.axis(which)
    values = values[world.in_window(values)]
    if not len(values):
        raise BumplabError("No condition of this world has its centre in the window, and so there is no embedding.")
    return values[:: math.ceil(len(values) / most)]
