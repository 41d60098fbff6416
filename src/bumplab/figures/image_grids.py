"""Grids of images, and the categories of generated images over training."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bumplab.analysis.accuracy import CATEGORIES
from bumplab.figures.style import CATEGORY_COLOURS, VERMILION


def image_grid(
    pictures: torch.Tensor,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    circles: torch.Tensor | None = None,
    scale: float = 1.15,
    limits: tuple[float, float] = (-1, 1),
    row_names: Sequence[str] = (),
) -> Figure:
    """Draw a grid of images.

    Parameters
    ----------
    pictures : torch.Tensor, (n, 1, N, N)
    titles : sequence of str, optional
        One for each image, or one for each column.
    columns : int
        Images side by side, at most.
    circles : torch.Tensor, (n, 2), optional
        Positions (x, y) in pixels of the window to circle on each image; NaN for none.
    scale : float
        Inches per image.
    limits : (float, float)
        Values shown as black and white.
    row_names : sequence of str, optional
        One for each row, to stand left of it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = image_grid(torch.zeros(5, 1, 8, 8), columns=4)
    >>> len(figure.axes)  # two rows
    8
    >>> plt.close(figure)
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    titles = titles or ()
    extra = 0.22 * -(-len(titles) // columns)
    fontsize = 8.5 if len(titles) > columns else 10
    figure, axes = plt.subplots(rows, columns, figsize=(scale * columns, scale * rows + extra), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for k, (axis, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        axis.imshow(picture[0].cpu(), vmin=limits[0], vmax=limits[1])
        if k < len(titles):
            axis.set_title(titles[k], fontsize=fontsize, fontweight="normal")
        if circles is not None:
            axis.plot(*circles[k].tolist(), "o", color=VERMILION, markersize=14, markeredgewidth=1.3, fillstyle="none")
    for axis, name in zip(axes[:, 0], row_names, strict=False):
        axis.text(-0.1, 0.5, name, transform=axis.transAxes, ha="right", va="center", fontsize=10)
    return figure


def category_areas(steps: Sequence[float], shares: Sequence[dict[str, float]], axis: Axes | None = None) -> Axes:
    """Draw the shares of the four categories of outputs as stacked areas over training steps.

    Parameters
    ----------
    steps : sequence of float, (k,)
    shares : sequence of k dictionaries
        Category to share, 0 to 1, as :meth:`bumplab.analysis.accuracy.Evaluation.category_rates` returns it.
    axis : matplotlib.axes.Axes, optional
        A new one unless given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> right = [{"none": 1 - share, "several": 0, "misplaced": 0, "right": share} for share in (0.0, 0.9)]
    >>> axis = category_areas([0, 100], right, Figure().subplots())
    >>> [area.get_label() for area in axis.collections]
    ['none', 'several', 'misplaced', 'right']
    """
    axis = plt.subplots(figsize=(6.4, 2.8))[1] if axis is None else axis
    values = [[share[name] for share in shares] for name in CATEGORIES]
    axis.stackplot(steps, values, labels=CATEGORIES, colors=[CATEGORY_COLOURS[name] for name in CATEGORIES])
    axis.set(xlabel="optimiser steps", ylabel="share of images", ylim=(0, 1))
    axis.margins(x=0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True)
    axis.grid(False)
    return axis
