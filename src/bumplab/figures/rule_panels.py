"""Panels with rules as pictures: whole samples, one cell said many times, and who completes which rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError
from bumplab.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION
from bumplab.worlds.rules import PANELS, ROWS

_SHAPES, _COLOURS = ("o", "s", "^", "D", "*"), (BLUE, GREEN, ORANGE, PURPLE, SKY)
_LEAST, _STEP = 12.0, 30.0


def objects(axis: Axes, x: ArrayLike, y: ArrayLike, values: np.ndarray, scale: float = 1.0) -> None:
    """Draw objects by their shape, size and colour.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    x, y : array_like, (n,)
    values : array of int, (n, 3)
        Shape, size and colour, 0 to 4 each: circle, square, triangle, diamond, star.
    scale : float
        Of their areas.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = Figure().subplots()
    >>> objects(axis, [0, 1], [0, 0], np.array([[0, 1, 2], [4, 4, 0]]))
    >>> len(axis.collections)
    2
    """
    places = np.column_stack([x, y]).tolist()
    for place, (shape, size, colour) in zip(places, np.asarray(values).tolist(), strict=True):
        look = {"marker": _SHAPES[shape], "color": _COLOURS[colour], "linewidths": 0}
        axis.scatter(*place, s=scale * (_LEAST + _STEP * size), **look)


def rule_sample(axis: Axes, panels: np.ndarray, title: str = "") -> Axes:
    """Draw a sample, three rows of three panels.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    panels : array of int, (3, 3, 3)
    title : str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from bumplab.worlds.rules import draw_panels
    >>> len(rule_sample(Figure().subplots(), draw_panels("size sum", 1)[0]).collections)
    9
    """
    rows, columns = np.divmod(np.arange(ROWS * PANELS), PANELS)
    objects(axis, columns, -rows, np.asarray(panels).reshape(ROWS * PANELS, -1))
    for edge in range(1, ROWS):
        axis.axhline(0.5 - edge, color=GREY, lw=0.8)
        axis.axvline(edge - 0.5, color=GREY, lw=0.8)
    axis.set(xlim=(-0.5, PANELS - 0.5), ylim=(0.5 - ROWS, 0.5), xticks=[], yticks=[], aspect="equal")
    axis.set_title(title, fontsize=10)
    axis.grid(False)
    return axis


def said_cells(axis: Axes, cells: np.ndarray, possible: np.ndarray, columns: int = 8, title: str = "") -> Axes:
    """Draw one cell as it was said many times, red crosses under what cannot be.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    cells : array of int, (n, 3)
    possible : array of bool, (n,)
    columns : int
        Cells in a row.
    title : str

    Raises
    ------
    BumplabError
        If there is not one of `possible` for each cell.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = said_cells(Figure().subplots(), np.zeros((4, 3), int), np.array([True, False, True, True]))
    >>> len(axis.lines)  # one is crossed out
    1
    """
    if len(possible) != len(cells):
        raise BumplabError(f"Say of each of {len(cells)} cells whether it is possible, got {len(possible)}.")
    y, x = np.divmod(np.arange(len(cells)), columns)
    objects(axis, x, -y, cells, scale=0.6)
    wrong = ~np.asarray(possible)
    axis.plot(x[wrong], -y[wrong], "x", color=VERMILION, ms=14, mew=1.5, zorder=0.5)  # under the objects
    axis.set(xlim=(-0.7, columns - 0.3), ylim=(-y.max() - 0.7, 0.7), xticks=[], yticks=[], aspect="equal")
    axis.set_title(title, fontsize=10)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return axis


def novelty_bars(axis: Axes, new: np.ndarray, copies: np.ndarray, sizes: Sequence[int], who: Sequence[str]) -> Axes:
    """Draw what samples are, a group of bars for each network: new ones with a rule, and on them copies.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    new, copies : array, (who, sizes)
        Shares, 0 to 1.
    sizes : sequence of int
        Training samples, under each bar.
    who : sequence of str
        Above each group.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = novelty_bars(Figure().subplots(), np.array([[0.1, 0.9]]), np.array([[0.8, 0.0]]), [10, 100], ["joint"])
    >>> len(axis.patches)
    4
    """
    width = len(sizes) + 0.6
    spots = np.arange(len(who))[:, None] * width + np.arange(len(sizes))
    axis.bar(spots.ravel(), np.ravel(new), color=BLUE, label="new, with a rule")
    axis.bar(spots.ravel(), np.ravel(copies), bottom=np.ravel(new), color=ORANGE, label="copies")
    axis.set_xticks(spots.ravel(), [f"{n:,}" for n in sizes] * len(who), fontsize=7, rotation=35)
    for spot, name in zip(spots.mean(1), who, strict=True):
        axis.text(spot, 1.04, name, ha="center", fontsize=9)
    axis.set(ylim=(0, 1.13), ylabel="share of what is drawn")
    axis.grid(axis="x", visible=False)
    return axis


def completion_matrix(
    axis: Axes, shares: np.ndarray, rules: Sequence[str], who: Sequence[str], held_out: Sequence[str] = ()
) -> Axes:
    """Draw who completes which rule how often, held-out rules in a frame and last.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    shares : array, (rules, who)
        0 to 1.
    rules, who : sequence of str
        Names of rows and columns.
    held_out : sequence of str
        Of the rules.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = completion_matrix(Figure().subplots(), np.eye(2), ["size sum", "size +1"], ["a", "b"], ["size sum"])
    >>> [label.get_text() for label in axis.get_yticklabels()]
    ['size +1', 'size sum']
    """
    order = sorted(range(len(rules)), key=lambda k: rules[k] in held_out)
    ordered = np.asarray(shares)[order]
    axis.imshow(ordered, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(ordered):
        colour = "white" if share > 0.6 else BLACK
        axis.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=8, color=colour)
    new = len([rule for rule in rules if rule in held_out])
    if new:
        axis.axhline(len(rules) - new - 0.5, color=VERMILION, lw=2)
    axis.set_yticks(range(len(rules)), [rules[k] for k in order], fontsize=9)
    axis.set_xticks(range(len(who)), who, fontsize=9, rotation=35, ha="right")
    axis.grid(False)
    return axis


def exact_bars(
    axis: Axes, who: Sequence[str], values: Sequence[np.ndarray], levels: Sequence[float], colours: Sequence[str]
) -> Axes:
    """Draw a bar for each kind of network, its seeds as dots, and across it what the exact law has.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    who : sequence of str
        Under each bar.
    values : sequence of array, (seeds,)
        Of each kind; the bar is their mean.
    levels : sequence of float
        Of the exact law.
    colours : sequence of str
        Of the bars; what is left over is ignored.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = exact_bars(Figure().subplots(), ["joint"], [np.array([0.8, 0.9])], [1.0], [BLUE])
    >>> round(float(axis.patches[0].get_height()), 2)
    0.85
    """
    spots = np.arange(len(who))
    means = [float(np.mean(each)) for each in values]
    axis.bar(spots, means, color=list(colours)[: len(who)], width=0.62)
    for spot, each in zip(spots, values, strict=True):
        label = "networks" if spot == 0 else None
        axis.plot([spot] * len(each), each, "o", color=BLACK, mfc="white", ms=4, label=label)
    axis.hlines(levels, spots - 0.42, spots + 0.42, color=BLACK, lw=2.5, label="exact")
    axis.set_xticks(spots, who)
    axis.set_ylim(0, 1.08)
    axis.grid(axis="x", visible=False)
    return axis
