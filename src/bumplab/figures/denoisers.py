"""Denoisers side by side: curves over the noise level, one look for each kind, and maps of which bump comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from bumplab.figures.maps import condition_colours
from bumplab.figures.panels import plain_log, seeds
from bumplab.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from bumplab.worlds.bumps import BumpWorld

#: What each denoiser looks like in the chapter on mean and covariance.
DENOISER_STYLES: dict[str, dict[str, Any]] = {
    "exact": {"color": BLACK, "linestyle": "-"},
    "network": {"color": GREEN, "linestyle": "-"},
    "Gaussian": {"color": BLUE, "linestyle": "-"},
    "one variance": {"color": ORANGE, "linestyle": "--"},
    "mean alone": {"color": GREY, "linestyle": ":"},
    "rotated covariance": {"color": SKY, "linestyle": "-."},
    "memory of half": {"color": VERMILION, "linestyle": "-."},
    "mixture of half": {"color": PURPLE, "linestyle": "--"},
}


def noise_axis(axis: Axes, levels: Sequence[float], label: str = "noise, sigma") -> Axes:
    """Make the noise level an axis on which sampling runs from left, much noise, to right.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    levels : sequence of float
        Where numbers stand.
    label : str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = noise_axis(Figure().subplots(), [0.1, 1, 10])
    >>> bool(axis.get_xlim()[0] > axis.get_xlim()[1])
    True
    """
    plain_log(axis, "x", ticks=levels)
    low, high = min(levels), max(levels)
    axis.set(xlim=(high * 1.15, low / 1.15), xlabel=label)
    return axis


def denoiser_curves(
    axis: Axes,
    levels: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    networks: Mapping[str, Sequence[Sequence[float]]] | None = None,
) -> Axes:
    """Draw what was measured of denoisers over noise levels, theories as lines and networks as dots, one for each seed.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    levels : sequence of float, (k,)
    curves : mapping of str to sequence of float, (k,)
        Name, of :data:`DENOISER_STYLES`, to values.
    networks : mapping of str to k sequences of float, optional
        The same of networks: dots, joined faintly.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = denoiser_curves(Figure().subplots(), [1, 10], {"Gaussian": [0.1, 1]}, {"Gaussian": [[0, 0.2], [1, 1]]})
    >>> len(axis.lines)
    3
    """
    for name, values in curves.items():
        axis.plot(levels, values, label=name, lw=1.8, **DENOISER_STYLES[name])
    for name, groups in (networks or {}).items():
        label = None if name in curves else name
        style: dict[str, Any] = {**DENOISER_STYLES[name], "linestyle": "-", "lw": 0.8, "label": label}
        seeds(axis, levels, groups, **style)
    return noise_axis(axis, levels)


def place_map(axis: Axes, places: torch.Tensor, world: BumpWorld, title: str) -> Axes:
    """Draw a plane of noises, each point in the colour of the place where its bump comes out.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    places : torch.Tensor, (rows, columns, 2)
        Places (x, y) in pixels.
    world : BumpWorld
    title : str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> place_map(Figure().subplots(), torch.zeros(2, 3, 2), BumpWorld(periodic=True), "exact").get_title()
    'exact'
    """
    rows, columns = places.shape[:2]
    colours = condition_colours(places.reshape(-1, 2).numpy(), world).reshape(rows, columns, -1)
    axis.imshow(np.clip(colours, 0, 1), interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=9.5)
    axis.grid(False)
    return axis
