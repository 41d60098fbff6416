"""Interventions: draw images while layers put out what we choose, and see where the bump goes.

The first denoising step starts from pure noise, so that everything a layer says there comes from the condition. A layer
that carries the place of the bump can then be patched: with its output for another condition, or with a displacement
of x measured at one y and added at another, as :func:`add_displacement` does. If the bump follows, the layer causes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from bumplab.analysis.accuracy import TOLERANCE
from bumplab.analysis.detection import Detections, detect
from bumplab.analysis.patching import patch_activations
from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet
from bumplab.worlds.bumps import BumpWorld

#: What layers put out, by their names: tensors (n, c, H, W).
Outputs = Mapping[str, torch.Tensor]


@torch.no_grad()
def first_step_outputs(
    model: UNet,
    diffusion: Diffusion,
    mu: torch.Tensor,
    noise: torch.Tensor,
    layers: Iterable[int | str] | None = None,
) -> dict[str, torch.Tensor]:
    """Return what layers put out at the first step of generation, t = T-1, where the image is noise.

    Parameters
    ----------
    model : UNet
    diffusion : Diffusion
    mu : torch.Tensor, (n, 2)
        Conditions, on the model's device.
    noise : torch.Tensor, (n, 1, N, N)
        What generation starts from.
    layers : iterable of int or str, optional
        Numbers or names; all layers unless given.

    Returns
    -------
    dict of str to torch.Tensor, (n, c, H, W)

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> model, diffusion = UNet(preset("smoke").model), preset("smoke").diffusion
    >>> outputs = first_step_outputs(model, diffusion, torch.zeros(2, 2), torch.zeros(2, 1, 32, 32), [4])
    >>> {name: tuple(output.shape) for name, output in outputs.items()}
    {'attention2': (2, 16, 2, 2)}
    """
    t = torch.full((len(mu),), diffusion.timesteps - 1.0, device=mu.device)
    return model.run_with_cache(noise, t, mu, UNet.layer_names if layers is None else layers)


def sample_with_outputs(
    model: UNet, diffusion: Diffusion, mu: torch.Tensor, noise: torch.Tensor, outputs: Outputs, steps: int = 1
) -> torch.Tensor:
    """Draw conditions while some layers put out given values instead of their own.

    Parameters
    ----------
    model, diffusion, mu, noise
        As for :func:`first_step_outputs`.
    outputs : mapping of str to torch.Tensor, (n, c, H, W)
        Layer to what it puts out; empty for an undisturbed drawing. What stands before a patched layer reaches what
        stands behind it through skip connections all the same.
    steps : int
        DDIM steps; each gets the same outputs, which fit the first step only, so that 1 is the clean experiment.

    Returns
    -------
    torch.Tensor, (n, 1, N, N)

    Raises
    ------
    BumplabError
        If a layer does not exist, or an output is not one for each condition.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> model, diffusion = UNet(preset("smoke").model), preset("smoke").diffusion
    >>> mu, noise = torch.zeros(2, 2), torch.zeros(2, 1, 32, 32)
    >>> images = sample_with_outputs(model, diffusion, mu, noise, {"head": torch.full((2, 16, 8, 8), -1.0)})
    >>> images.min().item(), images.max().item()  # the head is the last layer: what it puts out is the image
    (-1.0, -1.0)
    """
    for name, output in outputs.items():
        if len(output) != len(mu):
            raise BumplabError(
                f"Layer {quote(name)} needs one output for each of {len(mu)} conditions, got {len(output)}."
            )

    def constant(output: torch.Tensor):
        return lambda _: output

    with patch_activations(model, {name: constant(output) for name, output in outputs.items()}):
        return diffusion.sample(model, mu, noise.shape[-1], steps, noise=noise)


def add_displacement(base: Outputs, start: Outputs, stop: Outputs, factor: float = 1.0) -> dict[str, torch.Tensor]:
    """Return base + factor (stop - start) for each layer.

    If a layer is a sum of a code of x and one of y, the displacement from (x, y) to (x', y) added to (x, y2) is its
    output for (x', y2): vector arithmetic as with words (Mikolov et al. 2013).

    Parameters
    ----------
    base, start, stop : mapping of str to torch.Tensor, (n, c, H, W)
        Layers are those of `base`.
    factor : float
        1 for the displacement as measured.

    Examples
    --------
    >>> a, b, c = ({"stem": torch.tensor([value])} for value in (1.0, 3.0, 10.0))
    >>> add_displacement(c, a, b, factor=2.0)
    {'stem': tensor([14.])}
    """
    return {name: output + factor * stop[name] - factor * start[name] for name, output in base.items()}


def random_displacement(base: torch.Tensor, target: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Return `base` displaced in a random direction, for each image as far as `target` lies from it: a control.

    Parameters
    ----------
    base, target : torch.Tensor, (n, c, H, W)
    seed : int
        Of the directions, drawn on the CPU.

    Examples
    --------
    >>> base = torch.zeros(1, 2, 1, 1)
    >>> round(random_displacement(base, base + 3).square().sum().item(), 3)  # as for the target: 2 x 3^2
    18.0
    """
    direction = torch.randn(base.shape, generator=torch.Generator().manual_seed(seed)).to(base.device)
    length, unit = (torch.linalg.vector_norm(v, dim=(1, 2, 3), keepdim=True) for v in (target - base, direction))
    return base + direction * length / unit


def arrival_rates(images: torch.Tensor, world: BumpWorld, origin: torch.Tensor, goal: torch.Tensor) -> dict[str, float]:
    """Return where single bumps are: at a goal, still at their origin, or elsewhere.

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
    world : BumpWorld
        Of kind bump.
    origin, goal : torch.Tensor, (n, 2)
        More than two tolerances apart in x or in y, so that no bump is at both.

    Returns
    -------
    dict of str to float
        Shares of the images, their sum 1: ``goal``, ``origin`` (one bump within
        :data:`bumplab.analysis.accuracy.TOLERANCE` on both axes), ``elsewhere`` (one bump at another place) and
        ``not one`` (none, or several).

    Examples
    --------
    >>> world = BumpWorld()
    >>> origin, goal = torch.tensor([[4.0, 9.0], [4.0, 9.0]]), torch.tensor([[12.0, 9.0], [12.0, 9.0]])
    >>> arrival_rates(world.render(torch.tensor([[12.0, 9.0], [4.0, 9.0]])), world, origin, goal)
    {'goal': 0.5, 'origin': 0.5, 'elsewhere': 0.0, 'not one': 0.0}
    """
    detections = detect(images, world)
    single = float(_single(detections).float().mean())
    at_goal, at_origin = (_share_at(detections, world, place) for place in (goal, origin))
    return {"goal": at_goal, "origin": at_origin, "elsewhere": single - at_goal - at_origin, "not one": 1 - single}


def bump_displacements(images: torch.Tensor, world: BumpWorld, origin: torch.Tensor) -> torch.Tensor:
    """Return how far bumps lie from their origins, the short way round on periodic worlds.

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
    world : BumpWorld
        Of kind bump.
    origin : torch.Tensor, (n, 2)

    Returns
    -------
    torch.Tensor, (n, 2)
        In pixels along x and y; NaN where an image does not show exactly one bump.

    Examples
    --------
    >>> world = BumpWorld(periodic=True)
    >>> bump_displacements(world.render(torch.tensor([[1.0, 5.0]])), world, torch.tensor([[30.0, 5.0]])).round()
    tensor([[3., 0.]])
    """
    detections = detect(images, world)
    gone = world.wrap(detections.centre - origin.to(detections.centre.device))
    return torch.where(_single(detections)[:, None], gone, torch.nan)


def _single(detections: Detections) -> torch.Tensor:
    return detections.count[:, 0] == 1


def _share_at(detections: Detections, world: BumpWorld, place: torch.Tensor) -> float:
    offset = world.wrap(detections.centre - place.to(detections.centre.device))
    near = (offset.abs() <= TOLERANCE).all(dim=1)
    return float((near & _single(detections)).float().mean())
