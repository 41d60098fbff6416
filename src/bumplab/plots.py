"""One visual language for the whole book: colours with fixed meanings, image grids and maps.

Colours are those of Okabe and Ito, which people with the common kinds of colour blindness can tell apart.
Backgrounds are opaque white, so that figures stay readable on a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bumplab.claims import VERDICTS, Claim
from bumplab.evaluate import CATEGORIES, Evaluation
from bumplab.unet import UNet
from bumplab.worlds import World

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#BBBBBB"

#: What each category of a generated image looks like, everywhere in the book.
CATEGORY_COLOURS = dict(zip(CATEGORIES, (GREY, ORANGE, SKY, BLUE), strict=True))
VERDICT_COLOURS = dict(zip(VERDICTS, (BLUE, ORANGE, VERMILION, GREY), strict=True))


def style() -> None:
    """Switch Matplotlib to the book's style for the rest of the session."""
    plt.style.use(Path(__file__).with_name("book.mplstyle"))


def images(
    pictures: torch.Tensor,
    titles: Sequence[str] | None = None,
    columns: int = 8,
    circles: torch.Tensor | None = None,
    scale: float = 1.15,
    limits: tuple[float, float] = (-1, 1),
) -> Figure:
    """Draw a grid of images.

    Parameters
    ----------
    pictures : torch.Tensor, (n, 1, N, N)
    titles : sequence of str, optional
        One for each image.
    columns : int
    circles : torch.Tensor, (n, 2), optional
        Positions (x, y) in pixels of the window to circle on each image; NaN for none.
    scale : float
        Inches per image.
    limits : (float, float)
        Values shown as black and white.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    extra = 0.22 if titles is not None else 0.0
    figure, axes = plt.subplots(rows, columns, figsize=(scale * columns, (scale + extra) * rows), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for k, (axis, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        axis.imshow(picture[0].cpu(), vmin=limits[0], vmax=limits[1])
        if titles is not None:
            axis.set_title(titles[k], fontsize=8.5, fontweight="normal")
        if circles is not None:
            axis.plot(*circles[k].tolist(), "o", color=VERMILION, markersize=14, markeredgewidth=1.3, fillstyle="none")
    return figure


def lattice(world: World, axis: Axes | None = None, size: float | None = None) -> Axes:
    """Map label space: conditions shown in training in blue, held out or dropped in orange, the window as a frame."""
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


def accuracy_map(drawn: Sequence[Evaluation], world: World, axis: Axes | None = None, which: str = "joint") -> Axes:
    """Map label space by how often a condition's image is right, dark never and bright always.

    Orange lines divide what training showed from what was held out.

    Parameters
    ----------
    drawn : sequence of Evaluation
        One for each run (seed), on any conditions of the world's lattice; the map shows their mean. Grey: no image.
    world : World
        Its lattice is the map; `fraction` draws no lines.
    axis : matplotlib.axes.Axes, optional
    which : {"joint", "x", "y"}
        What has to be right.
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
    seen = world.but(fraction=1.0).seen_mask().reshape(shape).numpy()
    y, x = np.nonzero(seen[:, 1:] != seen[:, :-1])
    axis.vlines((x + 0.5) * d_x, (y - 0.5) * d_y, (y + 0.5) * d_y, color=ORANGE, lw=1.4)
    y, x = np.nonzero(seen[1:] != seen[:-1])
    axis.hlines((y + 0.5) * d_y, (x - 0.5) * d_x, (x + 0.5) * d_x, color=ORANGE, lw=1.4)
    axis.set(xlabel=r"$\mu_x$ (pixels)", ylabel=r"$\mu_y$ (pixels)")
    axis.grid(False)
    return axis


def web(labels: np.ndarray, offsets: np.ndarray, axis: Axes | None = None) -> Axes:
    """Draw the filled sites of an open lattice and the links between them, the largest cluster in blue.

    Parameters
    ----------
    labels : array (rows, columns), int
        Clusters, see :func:`bumplab.clusters.label`.
    offsets : array (z, 2), int
        Steps (x, y) to the neighbours of a site.
    """
    axis = plt.subplots(figsize=(3.6, 3.6))[1] if axis is None else axis
    (rows, columns), (y, x) = labels.shape, np.nonzero(labels)
    ends = [np.empty((0, 4), int)]
    for dx, dy in offsets[offsets @ [1, 2 * columns] > 0]:  # each link once
        near = (0 <= x + dx) & (x + dx < columns) & (0 <= y + dy) & (y + dy < rows)
        near[near] = labels[y[near] + dy, x[near] + dx] > 0
        ends.append(np.stack([x, y, x + dx, y + dy], axis=1)[near])
    axis.add_collection(LineCollection(np.concatenate(ends).reshape(-1, 2, 2), colors=GREY, linewidths=0.7, zorder=1))
    axis.scatter(x, y, s=12, c=np.where(labels[y, x] == 1, BLUE, ORANGE), linewidths=0, zorder=2)
    axis.set(aspect="equal", xlim=(-1, columns), ylim=(rows, -1), xlabel=r"$\mu_x / d$", ylabel=r"$\mu_y / d$")
    axis.grid(False)
    return axis


def condition_colours(mu: np.ndarray, world: World) -> np.ndarray:
    """Return a colour for each condition, from a map of label space with two directions.

    Left to right runs from blue to orange, or, where the world wraps round, once round the hues; top to bottom runs
    from light to dark, and on a periodic world back through grey. Blue to orange and light to dark stay apart with
    the common kinds of colour blindness. Two circles cannot: such eyes see colours in a plane, which holds no torus.

    Parameters
    ----------
    mu : array-like, (n, 2)
        Conditions (mu_x, mu_y) in pixels.
    world : World
        Its extent is the width of the map.

    Returns
    -------
    numpy.ndarray, (n, 3)
        Red, green and blue, 0 to 1.
    """
    x, y = (np.asarray(mu, dtype=float) / world.extent).T[..., None]
    if world.periodic:
        hue, turn = 2 * np.pi * (x - np.arange(3) / 3), 2 * np.pi * y
        rgb = 0.55 + 0.25 * np.cos(turn) + (0.22 + 0.12 * np.sin(turn)) * np.cos(hue)
        return np.clip(rgb, 0, 1)
    left, right = (np.array([to_rgb(c) for c in ends]) for ends in (("#8ec9ff", "#003a7d"), ("#ffd27a", "#8a3c00")))
    return (1 - x) * ((1 - y) * left[0] + y * left[1]) + x * ((1 - y) * right[0] + y * right[1])


def categories(steps: Sequence[float], shares: Sequence[dict[str, float]], axis: Axes | None = None) -> Axes:
    """Draw the shares of the four categories of outputs as stacked areas over training steps."""
    axis = plt.subplots(figsize=(6.4, 2.8))[1] if axis is None else axis
    values = [[share[name] for share in shares] for name in CATEGORIES]
    axis.stackplot(steps, values, labels=CATEGORIES, colors=[CATEGORY_COLOURS[name] for name in CATEGORIES])
    axis.set(xlabel="optimiser steps", ylabel="share of images", ylim=(0, 1))
    axis.margins(x=0)
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True)
    axis.grid(False)
    return axis


def unet(model: UNet, size: int, axis: Axes | None = None) -> Axes:
    """Draw a UNet from its own layers: height is resolution, width is channels, arcs are skip connections.

    Parameters
    ----------
    model : UNet
    size : int
        N, the side of its images in pixels.
    """
    axis = plt.subplots(figsize=(7.2, 3.0))[1] if axis is None else axis
    zeros = torch.zeros(1, 1, size, size), torch.zeros(1), torch.zeros(1, 2)
    shapes = {name: out.shape[1:] for name, out in model.capture(*zeros, model.layers).items()}
    x, ends = 0.0, {}
    for number, (name, (channels, height, _)) in enumerate(shapes.items()):
        wide, tall = 0.35 + channels / max(s[0] for s in shapes.values()), 0.6 + np.log2(height)
        kind = name.rstrip("0123456789")
        colour = {"attention": PURPLE, "down": BLUE, "up": GREEN}.get(kind, GREY)
        axis.add_patch(plt.Rectangle((x, -tall / 2), wide, tall, facecolor=colour, edgecolor="white"))
        axis.text(x + wide / 2, tall / 2 + 0.12, str(number), ha="center", fontsize=8.5)
        axis.text(x + wide / 2, -tall / 2 - 0.15, f"{channels}\n{height}²", ha="center", va="top", fontsize=7)
        if kind in ("down", "up"):  # the condition enters here
            axis.plot(x + wide / 2, 0, marker="o", color=ORANGE, markeredgecolor="white", markersize=8)
        ends[name] = (x, x + wide, tall / 2)
        x += wide + 0.18
    for source, target in (("stem", "up3"), ("attention1", "up2"), ("attention2", "up1")):
        (_, a, top), (b, _, other) = ends[source], ends[target]
        arc = np.linspace(0, np.pi, 40)
        height = max(top, other) + 0.5
        lift = 0.45 + 0.03 * (b - a)
        axis.plot((a + b) / 2 - np.cos(arc) * (b - a) / 2, height + lift * np.sin(arc), color=BLACK, lw=1)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in (BLUE, PURPLE, GREEN, GREY)]
    handles.append(plt.Line2D([], [], marker="o", color=ORANGE, linestyle="none", markersize=7))
    labels = ["down", "attention", "up", "stem, middle, head", "condition enters"]
    axis.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3, fontsize=8.5)
    axis.set(xlim=(-0.3, x), aspect="auto")
    axis.set_axis_off()
    return axis


def verdicts(rows: Sequence[tuple[str, Claim]]) -> None:
    """Draw for each chapter how many of its claims have which verdict."""
    names = sorted({chapter for chapter, _ in rows})
    _, axis = plt.subplots(figsize=(6.4, 0.36 * len(names) + 0.9))
    left = [0] * len(names)
    for verdict, colour in VERDICT_COLOURS.items():
        counts = [sum(where == name and claim.verdict == verdict for where, claim in rows) for name in names]
        axis.barh(names, counts, left=left, color=colour, label=verdict)
        left = [before + count for before, count in zip(left, counts, strict=True)]
    axis.invert_yaxis()
    axis.set_xlabel("claims")
    axis.grid(axis="y", visible=False)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()


def claims(rows: Sequence[tuple[str, Claim]], title: str) -> None:
    """Draw measured intervals beside claimed ranges, one row and scale for each claim; the range alone without data."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(6.4, 0.62 * len(rows) + 0.3), squeeze=False)
    axes[0, 0].set_title(title, loc="left")
    for axis, (_, claim) in zip(axes[:, 0], rows, strict=True):
        ends = [v for v in (claim.low, claim.high, claim.at_least, claim.at_most) if v is not None]
        pad = 0.25 * (max(ends) - min(ends)) or 0.5 * abs(ends[0]) or 1.0
        low, high = min(ends) - pad, max(ends) + pad
        band = (low if claim.at_least is None else claim.at_least, high if claim.at_most is None else claim.at_most)
        axis.axvspan(*band, color=SKY, alpha=0.35, lw=0)
        if claim.seeds:
            axis.plot([claim.low, claim.high], [0, 0], color=VERDICT_COLOURS[claim.verdict])
            axis.plot(claim.value, 0, "o", color=VERDICT_COLOURS[claim.verdict])
        axis.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
        axis.set_ylabel(claim.name, rotation=0, ha="right", va="center", fontsize=8.5)
        axis.tick_params(labelsize=7.5)
        axis.grid(False)
        axis.spines["left"].set_visible(False)
    plt.show()
