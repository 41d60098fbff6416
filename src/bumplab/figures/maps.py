"""Maps of label space."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

from bumplab.analysis.accuracy import CATEGORIES, Evaluation
from bumplab.figures.style import BLACK, BLUE, GREY, ORANGE
from bumplab.worlds.bumps import BumpWorld


def condition_map(world: BumpWorld, axis: Axes | None = None, size: float | None = None) -> Axes:
    """Map label space: conditions shown in training in blue, held out or dropped in orange, the window as a frame.

    Parameters
    ----------
    world : BumpWorld
    axis : matplotlib.axes.Axes, optional
        A new one unless given.
    size : float, optional
        Area of a dot in points^2; unless given, smaller where there are more.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = condition_map(BumpWorld(size=8, held_out="box(2, 5, 2, 5)"), Figure().subplots())
    >>> [len(dots.get_offsets()) for dots in axis.collections]  # of 64, four were held out
    [60, 4]
    """
    axis = plt.subplots(figsize=(3.6, 3.6))[1] if axis is None else axis
    seen, unseen = world.seen(), world.unseen()
    size = size or float(np.clip(1.2e4 / (len(seen) + len(unseen)), 0.5, 18))
    axis.scatter(*seen.T, s=size, color=BLUE, linewidths=0, label="shown in training")
    if len(unseen):
        axis.scatter(*unseen.T, s=0.7 * size, color=ORANGE, linewidths=0, marker="s", label="not shown")
    if world.margin:
        low, high = world.margin - 0.5, world.margin + world.size - 0.5
        axis.plot([low, high, high, low, low], [low, low, high, high, low], color=BLACK, lw=1.2, label="window")
    axis.set(aspect="equal", xlim=(-1, world.extent), ylim=(world.extent, -1))
    axis.set(xlabel=r"$\mu_x$ (pixels)", ylabel=r"$\mu_y$ (pixels)")
    axis.grid(False)
    return axis


def accuracy_map(drawn: Sequence[Evaluation], world: BumpWorld, axis: Axes | None = None, which: str = "joint") -> Axes:
    """Map label space by how often a condition's image is right, dark never and bright always.

    Orange lines divide what training showed from what was held out.

    Parameters
    ----------
    drawn : sequence of Evaluation
        One for each run (seed), on any conditions of the world's lattice; the map shows their mean. Grey: no image.
    world : BumpWorld
        Its lattice is the map; `fraction` draws no lines.
    axis : matplotlib.axes.Axes, optional
    which : {"joint", "x", "y"}
        What has to be right.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from bumplab.analysis import score_images
    >>> world = BumpWorld(size=8)
    >>> clean = score_images(world.render(world.lattice()), world.lattice(), world)
    >>> float(accuracy_map([clean], world, Figure().subplots()).images[0].get_array().mean())  # right everywhere
    1.0
    """
    axis = plt.subplots(figsize=(3.4, 3.4))[1] if axis is None else axis
    step = torch.tensor(world.spacing)
    shape = len(world.axis(1)), len(world.axis(0))
    right, count = np.zeros(shape), np.zeros(shape)
    for each in drawn:
        column, row = (each.mu.cpu() / step).round().long().T.numpy()
        codes = each.category if which == "joint" else each.axis_category[:, "xy".index(which)]
        np.add.at(right, (row, column), (codes == CATEGORIES.index("right")).cpu().numpy())
        np.add.at(count, (row, column), 1)
    share = np.divide(right, count, out=np.full(shape, np.nan), where=count > 0)
    d_x, d_y = world.spacing
    edges = (-d_x / 2, (shape[1] - 0.5) * d_x, (shape[0] - 0.5) * d_y, -d_y / 2)
    axis.set_facecolor(GREY)
    axis.imshow(share, cmap="cividis", vmin=0, vmax=1, extent=edges, interpolation="none")
    seen = world.replace(fraction=1.0).seen_mask().reshape(shape).numpy()
    y, x = np.nonzero(seen[:, 1:] != seen[:, :-1])
    axis.vlines((x + 0.5) * d_x, (y - 0.5) * d_y, (y + 0.5) * d_y, color=ORANGE, lw=1.4)
    y, x = np.nonzero(seen[1:] != seen[:-1])
    axis.hlines((y + 0.5) * d_y, (x - 0.5) * d_x, (x + 0.5) * d_x, color=ORANGE, lw=1.4)
    axis.set(xlabel=r"$\mu_x$ (pixels)", ylabel=r"$\mu_y$ (pixels)")
    axis.grid(False)
    return axis


def link_map(labels: np.ndarray, offsets: np.ndarray, axis: Axes | None = None) -> Axes:
    """Draw the filled sites of an open lattice and the links between them, the largest cluster in blue.

    Parameters
    ----------
    labels : array (rows, columns), int
        Clusters, see :func:`bumplab.percolation.clusters.label_clusters`.
    offsets : array (z, 2), int
        Steps (x, y) to the neighbours of a site.
    axis : matplotlib.axes.Axes, optional
        A new one unless given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> axis = link_map(np.array([[2, 0, 1], [0, 0, 1]]), steps, Figure().subplots())
    >>> [len(part.get_segments()) for part in axis.collections[:1]], len(axis.collections[1].get_offsets())
    ([1], 3)
    """
    axis = plt.subplots(figsize=(3.6, 3.6))[1] if axis is None else axis
    (rows, columns), (y, x) = labels.shape, np.nonzero(labels)
    ends = [np.empty((0, 4), int)]
    for dx, dy in offsets[offsets @ [1, 2 * columns] > 0]:  # each link once
        near = (0 <= x + dx) & (x + dx < columns) & (0 <= y + dy) & (y + dy < rows)
        near[near] = labels[y[near] + dy, x[near] + dx] > 0
        ends.append(np.stack([x, y, x + dx, y + dy], axis=1)[near])
    axis.add_collection(
        LineCollection(list(np.concatenate(ends).reshape(-1, 2, 2)), colors=GREY, linewidths=0.7, zorder=1)
    )
    axis.scatter(x, y, s=12, c=np.where(labels[y, x] == 1, BLUE, ORANGE), linewidths=0, zorder=2)
    axis.set(aspect="equal", xlim=(-1, columns), ylim=(rows, -1), xlabel=r"$\mu_x / d$", ylabel=r"$\mu_y / d$")
    axis.grid(False)
    return axis


def condition_colours(mu: np.ndarray, world: BumpWorld) -> np.ndarray:
    """Return a colour for each condition, from a map of label space with two directions.

    Left to right runs from blue to orange, or, where the world wraps round, once round the hues; top to bottom runs
    from light to dark, and on a periodic world back through grey. Blue to orange and light to dark stay apart with
    the common kinds of colour blindness. Two circles cannot: such eyes see colours in a plane, which holds no torus.

    Parameters
    ----------
    mu : array-like, (n, 2)
        Conditions (mu_x, mu_y) in pixels.
    world : BumpWorld
        Its extent is the width of the map.

    Returns
    -------
    numpy.ndarray, (n, 3)
        Red, green and blue, 0 to 1.

    Examples
    --------
    >>> condition_colours(np.array([[0.0, 0.0], [32.0, 0.0]]), BumpWorld()).round(1).tolist()  # blue, orange
    [[0.6, 0.8, 1.0], [1.0, 0.8, 0.5]]
    """
    x, y = (np.asarray(mu, dtype=float) / world.extent).T[..., None]
    if world.periodic:
        hue, turn = 2 * np.pi * (x - np.arange(3) / 3), 2 * np.pi * y
        rgb = 0.55 + 0.25 * np.cos(turn) + (0.22 + 0.12 * np.sin(turn)) * np.cos(hue)
        return np.clip(rgb, 0, 1)
    left, right = (np.array([to_rgb(c) for c in ends]) for ends in (("#8ec9ff", "#003a7d"), ("#ffd27a", "#8a3c00")))
    return (1 - x) * ((1 - y) * left[0] + y * left[1]) + x * ((1 - y) * right[0] + y * right[1])
