"""Scenes of two objects: pictures of them, curves of what is right in them, and maps of where a network looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from bumplab.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILION
from bumplab.worlds.prompts import COLOURS, SHAPES

#: Colours of the objects, and signs of their shapes.
_PAINT = dict(zip(COLOURS, (VERMILION, BLUE), strict=True))
_SIGNS: dict[str, dict[str, Any]] = {
    "disc": {"marker": "o"},
    "ring": {"marker": "o", "markerfacecolor": "none", "markeredgewidth": 2.5},
    "cross": {"marker": "X"},
}
#: What each score of a scene looks like, everywhere in the chapter.
SCORE_COLOURS = {"shapes": GREY, "binding": ORANGE, "relation": VERMILION, "loose": GREEN, "all": BLACK}


def draw_scene(axis: Axes, image: torch.Tensor, title: str = "") -> Axes:
    """Draw an image (5, size, size) as a grid of cells with objects; a colour without a shape is a shaded cell.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from bumplab.worlds import RelationWorld, parse_prompt
    >>> image = RelationWorld(size=4).images(parse_prompt("red disc left of blue ring"))[0]
    >>> len(draw_scene(Figure().subplots(), image).lines)
    2
    """
    size = image.shape[-1]
    for row, column in np.ndindex(size, size):
        there = image[:, row, column] > 0
        colours = [name for name, on in zip(COLOURS, there[: len(COLOURS)], strict=True) if on]
        shapes = [name for name, on in zip(SHAPES, there[len(COLOURS) :], strict=True) if on]
        paint = BLACK if len(colours) != 1 else _PAINT[colours[0]]
        for shape in shapes:
            look = {"color": paint, "markersize": 36 / size, **_SIGNS[shape]}
            axis.plot(column, row, **look)
        if colours and not shapes:
            axis.axvspan(column - 0.5, column + 0.5, 1 - (row + 1) / size, 1 - row / size, color=paint, alpha=0.3, lw=0)
    lines = np.arange(size + 1) - 0.5
    axis.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
    axis.hlines(lines, -0.5, size - 0.5, color=GREY, lw=0.6)
    axis.vlines(lines, -0.5, size - 0.5, color=GREY, lw=0.6)
    axis.grid(False)
    axis.set_title(title, fontsize=9)
    return axis


def score_curves(axis: Axes, steps: np.ndarray, scores: Mapping[str, np.ndarray], ends: bool = True) -> Axes:
    """Draw scores through training: a thick line for the mean of the seeds, a thin one for each.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    steps : array, (k,)
    scores : mapping of str to array, (seeds, k)
        Names of :data:`SCORE_COLOURS`.
    ends : bool
        Write the names beside the ends of the curves.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = score_curves(Figure().subplots(), np.array([1, 2]), {"binding": np.array([[0.0, 1.0], [0.0, 0.8]])})
    >>> len(axis.lines)
    3
    """
    heights: dict[str, float] = {}
    for name, values in scores.items():
        colour = SCORE_COLOURS[name]
        axis.plot(steps, np.asarray(values).T, color=colour, lw=0.7, alpha=0.5)
        axis.plot(steps, np.mean(values, axis=0), color=colour, lw=2)
        heights[name] = float(np.mean(values, axis=0)[-1])
    places = _spread(heights, 0.075)
    for name in heights if ends else ():
        axis.annotate(
            name, (1.02, places[name]), xycoords=("axes fraction", "data"), color=SCORE_COLOURS[name],
            fontsize=9, va="center", annotation_clip=False,
        )  # fmt: skip
    axis.set(ylim=(0, 1.03), xlabel="step")
    return axis


def _spread(heights: Mapping[str, float], gap: float) -> dict[str, float]:
    """Return heights moved apart, in their order, so that words beside them do not overlap."""
    places: dict[str, float] = {}
    top = np.inf
    for name, height in sorted(heights.items(), key=lambda item: -item[1]):
        places[name] = top = min(height, top - gap)
    lift = max(0.0, -min(places.values(), default=0.0))
    return {name: place + lift for name, place in places.items()}


def place_maps(axes: Iterable[Axes], maps: Mapping[str, np.ndarray], top: float, cmap: str = "viridis") -> Any:
    """Draw maps over the cells of an image beside each other on one scale from 0 to `top`; return the last drawing.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> place_maps([Figure().subplots()], {"left": np.eye(4)}, top=1.0).get_clim()
    (0.0, 1.0)
    """
    drawing = None
    for axis, (name, values) in zip(axes, maps.items(), strict=True):
        drawing = axis.imshow(values, cmap=cmap, vmin=0, vmax=top)
        axis.set(xticks=[], yticks=[])
        axis.set_title(name, fontsize=9)
        axis.grid(False)
    return drawing
