"""What a layer says: representations over conditions, and networks with a layer's output changed.

A representation is a layer's output for one condition, at one timestep, for one input image. The input is part of
the question. Near the end of generation (t near 0) it already shows the bump, so that even an untrained network
has the bump's place in it when it is fed true images; at the start (t = T-1) it is noise, and all that a layer
knows comes from the condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet
from bumplab.worlds.bumps import BumpWorld

#: The noise in the images that a network looks at, see :func:`record_activations`.
Noise = Literal["shared", "independent", "averaged", "zero"]


@torch.no_grad()
def record_activations(
    model: UNet,
    world: BumpWorld,
    diffusion: Diffusion,
    mu: torch.Tensor,
    layers: Iterable[int | str] = (4,),
    t: float = 0.0,
    images: Literal["generated", "true"] = "generated",
    noise: Noise = "shared",
    draws: int = 8,
    steps: int = 10,
    seed: int = 0,
    batch: int = 1024,
) -> dict[str, torch.Tensor]:
    """Return the outputs of layers for conditions, all layers in one pass.

    Parameters
    ----------
    model : UNet
    world, diffusion
        Of the model's run.
    mu : torch.Tensor, (n, 2)
        Conditions.
    layers : iterable of int or str
        Numbers or names, see :attr:`bumplab.models.unet.UNet.layer_names`. The paper's layer 4 is 4 in our numbering.
    t : float
        Timestep from 0 (the last of generation, the paper's choice) to T-1 (the first).
    images : {"generated", "true"}
        What the network looks at: what it has generated itself by the time it comes to `t`, or the world's image
        with noise added as in training.
    noise : {"shared", "independent", "averaged", "zero"}
        The noise in it: one draw for all conditions; one for each; the mean of the representations over several
        draws, each for all conditions; none. Generated images start from this noise.
    draws : int
        Draws of ``"averaged"``.
    steps : int
        DDIM steps from T-1 down to `t`, for generated images.
    seed : int
        Seed of the noise.
    batch : int
        Conditions at a time.

    Returns
    -------
    dict of str to torch.Tensor, (n, D)
        Name of the layer to its outputs, float32 on the CPU; D = channels x height x width.

    Raises
    ------
    BumplabError
        For an unknown layer, an impossible timestep, or an unknown kind of noise or images.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> smoke = preset("smoke")
    >>> mu = torch.tensor([[4.0, 9.0], [4.0, 20.0]])
    >>> activations = record_activations(UNet(smoke.model), smoke.world, smoke.diffusion, mu, [4, "middle"], steps=1)
    >>> {name: tuple(outputs.shape) for name, outputs in activations.items()}
    {'attention2': (2, 64), 'middle': (2, 16)}
    """
    layers = [model.layer_name(layer) for layer in layers]
    if not 0 <= t <= diffusion.timesteps - 1:
        raise BumplabError(f"Timesteps run from 0 to {diffusion.timesteps - 1}, got {quote(t)}.")
    if noise not in ("shared", "independent", "averaged", "zero"):
        raise BumplabError(f"There is no noise {quote(noise)}: use shared, independent, averaged or zero.")
    if images not in ("generated", "true"):
        raise BumplabError(f"There are no images {quote(images)}: use generated or true.")
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    shape = (1, world.size, world.size)
    total: dict[str, torch.Tensor] = {}
    repeats = draws if noise == "averaged" else 1
    for _ in range(repeats):
        eps = torch.randn(len(mu) if noise == "independent" else 1, *shape, generator=generator) * (noise != "zero")
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
        for rows, own in zip(mu.split(batch), eps.expand(len(mu), *shape).split(batch), strict=True):
            rows, own = rows.to(device), own.to(device)
            when = torch.full((len(rows),), float(t), device=device)
            if images == "true":
                x = diffusion.add_noise(world.render(rows), own, when)
            else:
                x = _generate_until(model, diffusion, rows, own, t, steps)
            for name, output in model.run_with_cache(x, when, rows, layers).items():
                parts[name].append(output.flatten(1).float().cpu())
        for name, part in parts.items():
            total[name] = total.get(name, 0) + torch.cat(part) / repeats
    return total


def _generate_until(
    model: UNet, diffusion: Diffusion, mu: torch.Tensor, noise: torch.Tensor, t: float, steps: int
) -> torch.Tensor:
    """Return the noisy images x_t that DDIM reaches from noise in some steps."""
    x = noise
    grid = torch.linspace(diffusion.timesteps - 1, t, steps + 1, dtype=torch.float64).float().to(mu.device)
    for now, then in zip(grid[:-1], grid[1:], strict=True):
        if now > then:
            now, then = now.expand(len(mu)), then.expand(len(mu))
            x, _ = diffusion.step(model(x, now, mu), x, now, then, eta=0.0)
    return x


def to_grid(representation: torch.Tensor, world: BumpWorld) -> torch.Tensor:
    """Turn the representations (n, D) of a lattice into (n_x, n_y, D): first x, then y.

    Parameters
    ----------
    representation : torch.Tensor, (n, D)
        One for each condition of :meth:`bumplab.worlds.bumps.BumpWorld.lattice`, in its order.
    world : BumpWorld

    Returns
    -------
    torch.Tensor, (n_x, n_y, D)

    Raises
    ------
    BumplabError
        If they are not one for each condition of the lattice.

    Examples
    --------
    >>> world = BumpWorld(size=4, spacing=(1.0, 2.0))
    >>> to_grid(world.lattice(), world).shape, to_grid(world.lattice(), world)[3, 1].tolist()
    (torch.Size([4, 2, 2]), [3.0, 2.0])
    """
    columns, rows = len(world.axis(0)), len(world.axis(1))
    if len(representation) != rows * columns:
        raise BumplabError(
            f"Needs one representation for each of the lattice's {rows * columns} conditions, "
            f"got {len(representation)}."
        )
    return representation.unflatten(0, (rows, columns)).transpose(0, 1)


def lattice_activations(
    model: UNet, world: BumpWorld, diffusion: Diffusion, layers: Iterable[int | str] = (4,), **options: Any
) -> dict[str, np.ndarray]:
    """Return what layers put out for every condition of a world's lattice, in the shape of the lattice.

    Parameters
    ----------
    model, world, diffusion, layers
        As for :func:`record_activations`.
    **options
        Its other options, such as ``t=999.0`` or ``noise="independent"``.

    Returns
    -------
    dict of str to numpy.ndarray, (n_x, n_y, D), float32
        Name of the layer to its outputs, x first.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> settings = preset("smoke", world={"spacing": (4, 2)})
    >>> model = UNet(settings.model)
    >>> outputs = lattice_activations(model, settings.world, settings.diffusion, [4], steps=1)
    >>> {name: output.shape for name, output in outputs.items()}
    {'attention2': (8, 16, 64)}
    """
    outputs = record_activations(model, world, diffusion, world.lattice(), layers, **options)
    return {name: to_grid(output, world).numpy() for name, output in outputs.items()}
