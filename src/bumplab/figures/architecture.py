"""A drawing of the UNet made from its own layers."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from bumplab.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE
from bumplab.models.unet import UNet


def draw_unet(model: UNet, size: int, axis: Axes | None = None) -> Axes:
    """Draw a UNet from its own layers: height is resolution, width is channels, arcs are skip connections.

    Parameters
    ----------
    model : UNet
    size : int
        N, the side of its images in pixels.
    axis : matplotlib.axes.Axes, optional
        A new one unless given.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from bumplab.models import UNetSettings
    >>> axis = draw_unet(UNet(UNetSettings(widths=(8, 8, 8, 8), bottleneck_channels=8)), 32, Figure().subplots())
    >>> len(axis.patches), axis.get_legend().get_texts()[0].get_text()  # 15 layers
    (15, 'down')
    """
    axis = plt.subplots(figsize=(7.2, 3.0))[1] if axis is None else axis
    zeros = torch.zeros(1, 1, size, size), torch.zeros(1), torch.zeros(1, 2)
    shapes = {name: out.shape[1:] for name, out in model.run_with_cache(*zeros, model.layer_names).items()}
    x, ends = 0.0, {}
    for number, (name, (channels, height, _)) in enumerate(shapes.items()):
        wide, tall = 0.35 + channels / max(s[0] for s in shapes.values()), 0.6 + np.log2(height)
        kind = name.rstrip("0123456789")
        colour = {"attention": PURPLE, "down": BLUE, "up": GREEN}.get(kind, GREY)
        axis.add_patch(Rectangle((x, -tall / 2), wide, tall, facecolor=colour, edgecolor="white"))
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
    handles: list[Patch | Line2D] = [Rectangle((0, 0), 1, 1, color=colour) for colour in (BLUE, PURPLE, GREEN, GREY)]
    handles.append(Line2D([], [], marker="o", color=ORANGE, linestyle="none", markersize=7))
    labels = ["down", "attention", "up", "stem, middle, head", "condition enters"]
    axis.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3, fontsize=8.5)
    axis.set(xlim=(-0.3, x), aspect="auto")
    axis.set_axis_off()
    return axis
