"""What panels of the book share: seeds as dots with their mean, levels of baselines, readable logarithms, legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bumplab.analysis.accuracy import Evaluation
from bumplab.common.errors import BumplabError, quote
from bumplab.common.statistics import t_interval
from bumplab.figures.style import BLACK, GREEN, ORANGE, PURPLE

#: What each baseline looks like, everywhere in the book.
LEVEL_STYLES = {
    "chance": {"color": GREEN, "linestyle": "--"},
    "blank": {"color": BLACK, "linestyle": ":"},
    "nearest": {"color": ORANGE, "linestyle": "-"},
    "composer": {"color": PURPLE, "linestyle": "-."},
}


def seeds(
    axis: Axes,
    x: Sequence[float] | float,
    values: Sequence[Sequence[float]] | Sequence[float],
    *,
    interval: tuple[float, float] | None = None,
    **style: Any,
) -> tuple[Line2D, Line2D]:
    """Draw a dot for each seed and a line through the means.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    x : float or sequence of float, (k,)
    values : sequence of k sequences of float, or a single one where x is a number
        At each x one value for each seed; there may be more seeds at one x than at another. Where one of them is
        NaN, the line has a gap.
    interval : (float, float), optional
        Also draw the 95 % Student interval of each mean, which ends at these two, such as 0 and 1 for a share.
    **style
        Of the line, as for :meth:`matplotlib.axes.Axes.plot`; its colour is also that of the dots.

    Returns
    -------
    (matplotlib.lines.Line2D, matplotlib.lines.Line2D)
        The dots and the line; the line alone carries the label.

    Raises
    ------
    BumplabError
        If there are not as many groups of values as x.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> dots, mean = seeds(Figure().subplots(), [1, 2], [[0.0, 1.0], [0.5]], label="bumps")
    >>> dots.get_ydata().tolist(), mean.get_ydata().tolist()
    ([0.0, 1.0, 0.5], [0.5, 0.5])
    """
    groups = [np.asarray(group, dtype=float) for group in ([values] if np.ndim(x) == 0 else values)]
    places = np.atleast_1d(x)
    if len(groups) != len(places) or not all(len(group) for group in groups):
        raise BumplabError(f"Give the values of one seed or more at each of {len(places)} x, got {len(groups)} groups.")
    (mean,) = axis.plot(places, [np.mean(group) for group in groups], **style)
    colour = mean.get_color()
    if len(places) == 1 and mean.get_marker() in ("None", "", " ", None):
        mean.set_marker("_")  # a line through one point does not show
        mean.set_markersize(14)
    spots = np.repeat(places, [len(group) for group in groups]), np.concatenate(groups)
    (dots,) = axis.plot(*spots, "o", color=colour, markersize=4, alpha=0.5)
    if interval is not None:
        ends = np.array([t_interval(group, *interval)[1:] for group in groups])
        axis.vlines(places, *ends.T, color=colour, linewidth=1.5)
    return dots, mean


def levels(
    axis: Axes,
    baselines: Mapping[str, Evaluation | float | Sequence[Evaluation | float]],
    x: Sequence[float] | None = None,
    which: Literal["joint", "x", "y"] = "joint",
    label: bool = True,
    **style: Any,
) -> list[Line2D]:
    """Draw what baselines score, each with its own line from :data:`LEVEL_STYLES`.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    baselines : mapping
        Name to its evaluation, or to its accuracy; with `x`, also to one for each x. See
        :func:`bumplab.analysis.baselines.baseline_evaluations`.
    x : sequence of float, optional
        Where the levels are drawn: the two ends of a short line, or the places of a curve. Unless given, they go all
        the way across.
    which : {"joint", "x", "y"}
        Whose accuracy is read from an evaluation.
    label : bool
        Name the lines in the legend.
    **style
        Changes to every line, as for :meth:`matplotlib.axes.Axes.plot`.

    Returns
    -------
    list of matplotlib.lines.Line2D, in the order of `baselines`

    Raises
    ------
    BumplabError
        For a name without a line of its own.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> [line.get_label() for line in levels(Figure().subplots(), {"chance": 0.01, "blank": 0.0})]
    ['chance', 'blank']
    """
    lines = []
    for name, level in baselines.items():
        if name not in LEVEL_STYLES:
            raise BumplabError(f"There is no baseline {quote(name)}: use {', '.join(LEVEL_STYLES)}.")
        look = {"linewidth": 1.4, "label": name if label else None, **LEVEL_STYLES[name], **style}
        several = level if isinstance(level, Sequence | np.ndarray) else [level]
        y = np.array([one.accuracy(which).value if isinstance(one, Evaluation) else one for one in several], float)
        lines += [axis.axhline(y.item(), **look)] if x is None else axis.plot(x, np.broadcast_to(y, len(x)), **look)
    return lines


def plain_log(
    axis: Axes,
    which: Literal["x", "y"] = "x",
    ticks: Sequence[float] | None = None,
    form: str = "{:,g}",
    **text: Any,
) -> Axes:
    """Make an axis logarithmic and write its numbers plainly: 0.1, 20, 3,000.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
        An axis with nothing above 0 on it stays linear.
    which : {"x", "y"}
    ticks : sequence of float, optional
        Where the numbers stand; unless given, at 1, 2 and 5 times powers of ten.
    form : str
        How a number is written; ``"{:.0%}"`` writes shares in percent.
    **text
        Of the labels, such as ``fontsize=8``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    BumplabError
        For another axis.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = plain_log(Figure().subplots(), ticks=[0.03, 0.3, 1])
    >>> axis.get_xscale(), [label.get_text() for label in axis.get_xticklabels()]
    ('log', ['0.03', '0.3', '1'])
    """
    if which not in ("x", "y"):
        raise BumplabError(f"There is no axis {quote(which)}: use x or y.")
    line = axis.xaxis if which == "x" else axis.yaxis
    top = axis.dataLim.x1 if which == "x" else axis.dataLim.y1  # -inf where nothing is drawn
    if ticks is None and not top > 0:
        return axis
    axis.set(**{f"{which}scale": "log"})
    if ticks is None:
        line.set_major_locator(LogLocator(subs=(1, 2, 5)))
        line.set_major_formatter(FuncFormatter(lambda value, _: form.format(value)))
        line.set_tick_params(**{f"label{key}": value for key, value in text.items()})
    else:
        line.set_ticks(ticks, [form.format(value) for value in ticks], **text)
    line.set_minor_locator(NullLocator())
    line.set_minor_formatter(NullFormatter())
    return axis


def legend_right(axis: Axes, *handles_and_labels: Any, **style: Any) -> Legend:
    """Put the legend beside an axis, at its upper right end, where it hides nothing.

    Parameters and what is returned are those of :meth:`matplotlib.axes.Axes.legend`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = Figure().subplots()
    >>> _ = axis.plot([0, 1], label="bumps")
    >>> [text.get_text() for text in legend_right(axis).get_texts()]
    ['bumps']
    """
    style = {"loc": "upper left", "bbox_to_anchor": (1, 1), "fontsize": 8.5, **style}
    return axis.legend(*handles_and_labels, **style)
