"""Pictures of when something sets in: seeds that never came there, curves of two clocks, oracles, maps of noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Polygon

from bumplab.analysis.clocks import CensoredTime, censored_median
from bumplab.analysis.oracle_plane import place_in_plane, plane_corners
from bumplab.common.errors import BumplabError
from bumplab.figures.style import BLACK, BLUE, GREEN, GREY, VERMILION

#: The two clocks, everywhere in the chapter.
RULE_COLOUR, COPY_COLOUR = BLUE, VERMILION
#: What a sample is: invalid, new or a copy.
SAMPLE_COLOURS = {"invalid": GREY, "new": RULE_COLOUR, "copy": COPY_COLOUR}
#: Three exact denoisers, in the order of their plane.
_ORACLES = {"rule": RULE_COLOUR, "copy": COPY_COLOUR, "independent": GREEN}


def onset_points(
    axis: Axes, x: Sequence[float], times: Sequence[Sequence[CensoredTime]], colour: str, label: str, shift: float = 0.0
) -> list[PathCollection]:
    """Draw a time for each seed, an arrow up where it was not reached, and a line through the medians.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
        Its axes should be logarithmic before or after.
    x : sequence of float, (k,), above 0
    times : sequence of k sequences of times
        One :class:`~bumplab.analysis.clocks.CensoredTime` for each seed.
    colour, label : str
    shift : float
        Moves everything to the right by so many percent of x, so that two series stand side by side.

    Returns
    -------
    list of matplotlib.collections.PathCollection
        Dots of what was reached, and arrows of what was not; one of them may be empty. Where the median was not
        reached, the line has a gap.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> seeds = [CensoredTime(300), CensoredTime(500), CensoredTime(900, False)]
    >>> dots, arrows = onset_points(Figure().subplots(), [64], [seeds], "black", "rule")
    >>> len(dots.get_offsets()), arrows.get_offsets().tolist()
    (2, [[64.0, 900.0]])
    """
    if len(x) != len(times) or not all(times):
        raise BumplabError(f"Give the times of one seed or more at each of {len(x)} x, got {len(times)} groups.")
    places = np.asarray(x, dtype=float) * (1 + shift / 100)
    medians = [censored_median(group).median for group in times]
    axis.plot(places, [each.value if each.reached else np.nan for each in medians], color=colour, lw=1.5, label=label)
    drawn = []
    for reached, marker, size in ((True, "o", 22), (False, "^", 34)):
        spots = []
        for place, group in zip(places, times, strict=True):
            here = [each.value for each in group if each.reached == reached]
            spread = place * (1 + 0.012 * (np.arange(len(here)) - (len(here) - 1) / 2))
            spots += list(zip(spread if not reached else [place] * len(here), here, strict=True))
        looks = (
            {"color": colour, "alpha": 0.65, "linewidths": 0}
            if reached
            else {"facecolors": "none", "edgecolors": colour}
        )
        drawn.append(axis.scatter(*np.reshape(spots, (-1, 2)).T, s=size, marker=marker, zorder=3, **looks))
    return drawn


def clock_curves(
    axis: Axes, steps: np.ndarray, valid: Sequence[np.ndarray], excess: Sequence[np.ndarray], legend: bool = False
) -> Axes:
    """Draw through training how many new samples are valid, and how many copies there are beyond chance, for each seed.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    steps : array, (k,)
    valid, excess : sequence of arrays, (k,)
        One for each seed.
    legend : bool

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = clock_curves(Figure().subplots(), np.array([1, 10]), [np.array([0, 1])], [np.array([0, 0.2])])
    >>> [line.get_color() for line in axis.lines[:2]] == [RULE_COLOUR, COPY_COLOUR]
    True
    """
    for k, (rule, copy) in enumerate(zip(valid, excess, strict=True)):
        names = ("valid, of new ones", "copies beyond chance") if not k else (None, None)
        axis.plot(steps, rule, color=RULE_COLOUR, lw=1.1, alpha=0.8, label=names[0])
        axis.plot(steps, copy, color=COPY_COLOUR, lw=1.1, alpha=0.8, label=names[1])
    for level, colour in ((0.9, RULE_COLOUR), (0.1, COPY_COLOUR)):
        axis.axhline(level, color=colour, lw=0.8, ls=":")
    lowest = min(float(np.min(copy)) for copy in excess)
    axis.set(xscale="log", ylim=(min(lowest, 0) - 0.03, 1.03), xlim=(steps[0], steps[-1]))
    if legend:
        axis.legend(loc="upper left", fontsize=8)
    return axis


def oracle_triangle(axis: Axes, between: np.ndarray, paths: Sequence[np.ndarray], steps: Sequence[float] = ()) -> Axes:
    """Draw paths of networks through training in the plane of three oracles: rule, copy, independent.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    between : array, (3, 3)
        Squared distances between the oracles, in this order.
    paths : sequence of arrays, (k, 3)
        Squared distances of a network to the oracles at k steps; one path for each seed.
    steps : sequence of float, (k,)
        Written beside the first, the middle and the last point of the mean path, if given.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
    >>> axis = oracle_triangle(Figure().subplots(), table, [np.array([[1, 1, 0.1], [0.1, 1, 1]])])
    >>> [text.get_text() for text in axis.texts]
    ['rule', 'copy', 'independent']
    """
    corners = plane_corners(between)
    axis.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=GREY, lw=1))
    sizes = np.ptp(corners, axis=0)
    middle = corners.mean(0)
    for (name, colour), corner in zip(_ORACLES.items(), corners, strict=True):
        away = np.sign(corner - middle)
        axis.plot(*corner, "s", color=colour, ms=7)
        at = corner + away * [0, 0.06 * sizes[1]]
        axis.text(at[0], at[1], name, color=colour, ha="center", va="bottom" if away[1] > 0 else "top", fontsize=9)
    feet = [place_in_plane(path, between)[0] for path in paths]
    for each in feet:
        axis.plot(*each.T, color=GREY, lw=0.7)
    mean = np.mean(feet, axis=0)
    axis.plot(*mean.T, color=BLACK, lw=1.6)
    axis.plot(*mean[-1], "o", color=BLACK, ms=5)
    if len(steps):
        last = len(mean) - 1
        beside = {0: ((5, 4), "left"), last // 2: ((-7, -2), "right"), last: ((8, -9), "left")}
        for place, (shift, aside) in beside.items():
            looks = {"fontsize": 8, "ha": aside, "textcoords": "offset points"}
            axis.annotate(f"{steps[place]:,.0f}", mean[place], xytext=shift, **looks)
            axis.plot(*mean[place], ".", color=BLACK, ms=5)
    axis.set(aspect="equal", xticks=[], yticks=[])
    axis.margins(0.12, 0.22)
    axis.grid(False)
    for side in axis.spines.values():
        side.set_visible(False)
    return axis


def noise_map(axis: Axes, kinds: np.ndarray, title: str = "") -> Axes:
    """Colour a plane of initial noise by what becomes of it: invalid, new, or a copy.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    kinds : array, (rows, columns), int
        0 invalid, 1 new, 2 a copy, for the noise at each place.
    title : str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = noise_map(Figure().subplots(), np.array([[0, 1], [2, 1]]))
    >>> axis.images[0].get_array().shape
    (2, 2)
    """
    colours = ListedColormap([to_rgb(colour) for colour in SAMPLE_COLOURS.values()])
    axis.imshow(kinds, cmap=colours, vmin=-0.5, vmax=2.5, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.set_title(title, fontsize=9)
    axis.grid(False)
    return axis


def sample_shares(axis: Axes, steps: Sequence[float], shares: Mapping[str, Sequence[float]]) -> Axes:
    """Draw as stacked areas which share of samples is a copy, new, or invalid.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    steps : sequence of float, (k,)
    shares : mapping of str to sequence of float, (k,)
        Of "invalid", "new" and "copy"; they sum to 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = sample_shares(Figure().subplots(), [1, 2], {"invalid": [1, 0], "new": [0, 0.5], "copy": [0, 0.5]})
    >>> len(axis.collections)
    3
    """
    names = ("copy", "new", "invalid")
    axis.stackplot(
        steps, [shares[name] for name in names], colors=[SAMPLE_COLOURS[name] for name in names], labels=names
    )
    axis.set(ylim=(0, 1), xlim=(steps[0], steps[-1]))
    axis.grid(False)
    return axis


def bit_rows(axis: Axes, strings: np.ndarray, group: int, wrong: np.ndarray | None = None) -> Axes:
    """Draw strings of bits as rows of black (-1) and white squares, lines between their groups.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    strings : array, (n, D)
        Of -1 and +1.
    group : int
        G; 0 for no lines.
    wrong : array, (n,), bool, optional
        Rows to mark, because they break the rule.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = bit_rows(Figure().subplots(), np.ones((2, 4)), 2, np.array([False, True]))
    >>> len(axis.texts)
    1
    """
    rows, bits = strings.shape
    axis.imshow(strings, cmap="gray", vmin=-1.4, vmax=1.2, interpolation="nearest")
    axis.hlines(np.arange(rows + 1) - 0.5, -0.5, bits - 0.5, color=GREY, lw=0.6)
    axis.vlines(np.arange(bits + 1) - 0.5, -0.5, rows - 0.5, color=GREY, lw=0.6)
    if group:
        axis.vlines(np.arange(0, bits + 1, group) - 0.5, -0.5, rows - 0.5, color=VERMILION, lw=1.6)
    for row in np.flatnonzero(wrong) if wrong is not None else ():
        axis.text(bits, float(row), "no", color=VERMILION, va="center", fontsize=8)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    return axis


def window_bars(axis: Axes, rows: Sequence[float], rule: Sequence[CensoredTime], copy: Sequence[CensoredTime]) -> Axes:
    """Draw for each seed a bar from one clock to the other, in the colour of the one that strikes first.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    rows : sequence of float, (n,)
        Where the bars stand.
    rule, copy : sequence of times, (n,)
        Each a :class:`~bumplab.analysis.clocks.CensoredTime`. A triangle to the right stands for what was not reached;
        two of them without a bar where neither was.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = window_bars(Figure().subplots(), [0], [CensoredTime(300)], [CensoredTime(900, False)])
    >>> [line.get_xdata().tolist() for line in axis.lines]
    [[300.0, 900.0], [300.0], [900.0]]
    """
    for row, first, second in zip(rows, rule, copy, strict=True):
        if first.reached or second.reached:
            colour = RULE_COLOUR if first.precedes(second) else COPY_COLOUR
            axis.plot(np.array([first.value, second.value], float), [row, row], color=colour, lw=4, alpha=0.35)
        for time, colour in ((first, RULE_COLOUR), (second, COPY_COLOUR)):
            marker, filling = ("o", "full") if time.reached else (">", "none")
            axis.plot(np.array([time.value], float), [row], marker=marker, color=colour, fillstyle=filling, ms=5)
    axis.set(xscale="log")
    return axis
