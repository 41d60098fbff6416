"""Numbers along the depth of a network, and a claim read in every way that was open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from bumplab.common.errors import BumplabError
from bumplab.figures.style import BLACK, BLUE, GREY, SKY

#: How often the layers of the UNet have halved the resolution of the stem, by the number in their names.
_HALVINGS = {"down": (1, 2, 3), "up": (2, 1, 0)}
_SHORT = {"attention": "a", "middle": "mid"}


def halvings(layer: str) -> int:
    """Return how often the resolution of the stem has been halved where a layer of the UNet ends.

    Parameters
    ----------
    layer : str
        See :attr:`bumplab.models.unet.UNet.layer_names`.

    Examples
    --------
    >>> [halvings(name) for name in ("stem", "down3", "attention3", "middle", "up1", "attention6")]
    [0, 3, 3, 3, 2, 0]
    """
    kind, number = layer.rstrip("0123456789"), layer[-1]
    if kind == "middle":
        return 3
    if kind not in ("down", "up", "attention"):
        return 0
    steps = int(number) - 1
    if kind == "attention":
        return (*_HALVINGS["down"], *_HALVINGS["up"])[steps]
    return _HALVINGS[kind][steps]


def depth_axis(axis: Axes, layers: Sequence[str], readings: Mapping[str, str] | None = None) -> Axes:
    """Make the x axis of a panel the depth of a network: one place a layer, darker where the resolution is lower.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    layers : sequence of str
        In order of execution; the first stands at 0.
    readings : mapping, optional
        Layers that a text calls by another name, to that name: a dashed line each, with the name above the panel.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BumplabError
        If a reading is none of the layers.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = depth_axis(Figure().subplots(), ["down1", "attention1", "middle"])
    >>> [label.get_text() for label in axis.get_xticklabels()]
    ['down1', 'a1', 'mid']
    """
    readings = readings or {}
    if strangers := set(readings) - set(layers):
        raise BumplabError(f"{sorted(strangers)[0]} is none of the layers {', '.join(layers)}.")
    for place, name in enumerate(layers):
        axis.axvspan(place - 0.5, place + 0.5, color=GREY, alpha=0.13 * halvings(name), lw=0, zorder=0)
    for name, words in readings.items():
        place = list(layers).index(name)
        axis.axvline(place, color=BLACK, ls=(0, (2, 2)), lw=1, zorder=1)
        axis.annotate(
            words, (place, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", va="bottom", fontsize=8,
        )  # fmt: skip
    texts = [_SHORT.get(name, name.replace("attention", _SHORT["attention"])) for name in layers]
    axis.set_xticks(range(len(layers)), texts, rotation=90, fontsize=8.5)
    axis.set_xlim(-0.5, len(layers) - 0.5)
    axis.grid(axis="x", visible=False)
    return axis


def specification_curve(
    axis: Axes,
    values: Mapping[str, Sequence[float]],
    bounds: tuple[float, float],
    colours: Mapping[str, str],
) -> Axes:
    """Draw every value that open choices give to one claim, sorted, beside the range that is asked for.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    values : mapping
        Group, such as a network, to its values, one for each other choice.
    bounds : (float, float)
        The range asked for; infinite where there is no bound on that side.
    colours : mapping
        Of the groups.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BumplabError
        If there is no value at all, or one that is no number.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> values = {"quick": [0.2, 0.9], "laptop": [0.5]}
    >>> axis = specification_curve(Figure().subplots(), values, (0.4, np.inf), {"quick": "C0", "laptop": "C1"})
    >>> [dots.get_offsets().data.tolist() for dots in axis.collections]  # sorted: the second is laptop's
    [[[0.0, 0.2], [2.0, 0.9]], [[1.0, 0.5]]]
    """
    numbers = np.concatenate([np.asarray(group, dtype=float) for group in values.values()] or [np.empty(0)])
    owners = np.repeat(list(values), [len(group) for group in values.values()])
    if not numbers.size or not np.isfinite(numbers).all():
        raise BumplabError("A specification curve needs values, all of them finite.")
    order = np.argsort(numbers, kind="stable")
    for group in values:
        places = np.flatnonzero(owners[order] == group)
        axis.scatter(places, numbers[order][places], s=9, color=colours[group], label=group, zorder=3)
    low, high = axis.get_ylim()
    axis.axhspan(max(bounds[0], low), min(bounds[1], high), color=SKY, alpha=0.35, lw=0, zorder=0)
    axis.set_ylim(low, high)
    inside = float(((numbers >= bounds[0]) & (numbers <= bounds[1])).mean())
    axis.text(0.01, 0.97, f"{inside:.0%} in range", transform=axis.transAxes, va="top", fontsize=8.5, color=BLUE)
    axis.set_xticks([])
    axis.grid(axis="x", visible=False)
    return axis
