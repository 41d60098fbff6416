"""When modes are learned: a map of their progress through training, and their times against their variance."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError
from bumplab.diffusion.linear_emergence import Emergence
from bumplab.figures.style import BLACK, PURPLE, VERMILION

#: The progress from which a mode counts as too strong.
BEYOND = 1.25


def progress(curves: ArrayLike, first: ArrayLike, last: ArrayLike) -> np.ndarray:
    """Return how much of its way, in logarithms, each mode has gone: 0 at its first variance, 1 at its last.

    Parameters
    ----------
    curves : array_like, (T, M)
        Generated variances, above 0.
    first, last : array_like, (M,)

    Returns
    -------
    array (T, M)
        Beyond 0 and 1 where a mode goes back, or too far.

    Examples
    --------
    >>> progress([[1e-4], [1e-2], [1.0]], [1e-4], [1.0]).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    curves, start, end = (np.log(np.asarray(each, float)) for each in (curves, first, last))
    return (curves - start) / (end - start)


def front_map(
    axis: Axes,
    times: ArrayLike,
    variances: ArrayLike,
    share: ArrayLike,
    fronts: Mapping[str, tuple[ArrayLike, Mapping]] | None = None,
) -> QuadMesh:
    """Draw the progress of modes through training: time to the right, modes by their variance from below.

    On such axes a law time ~ variance^-alpha is a straight line, of slope -1/alpha.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    times : array_like, (T,)
        Above 0, rising.
    variances : array_like, (M,)
        Of the data, above 0.
    share : array_like, (T, M)
        See :func:`progress`; drawn from 0 to 1, and what is beyond 1.25 in a colour of its own: too strong.
    fronts : mapping, optional
        Label to the times (M,) of a law and a style, as for :meth:`matplotlib.axes.Axes.plot`.

    Returns
    -------
    matplotlib.collections.QuadMesh
        For a colour bar.

    Raises
    ------
    BumplabError
        If the shapes do not go together.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> mesh = front_map(Figure().subplots(), [1, 10, 100], [0.01, 0.1], np.zeros((3, 2)))
    >>> mesh.get_array().shape
    (2, 3)
    """
    times, variances, share = np.asarray(times, float), np.asarray(variances, float), np.asarray(share, float)
    if share.shape != (len(times), len(variances)) or len(times) < 2 or len(variances) < 2:
        raise BumplabError(f"A map of {len(times)} times and {len(variances)} modes needs as many shares.")
    order = np.argsort(variances)
    shown = np.where(share > BEYOND, share, np.minimum(share, 1))
    colours = plt.get_cmap("cividis").with_extremes(over=PURPLE)
    grid = _edges(times), _edges(variances[order])
    mesh = axis.pcolormesh(*grid, shown.T[order], cmap=colours, vmin=0, vmax=1, rasterized=True)
    axis.set(xscale="log", yscale="log", xlim=(times[0], times[-1]))
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(LogLocator(numticks=6))
        each.set_minor_formatter(NullFormatter())
    for label, (at, style) in (fronts or {}).items():
        axis.plot(np.asarray(at)[order], variances[order], color="white", lw=4, alpha=0.7)
        axis.plot(np.asarray(at)[order], variances[order], **{"color": VERMILION, "lw": 2, "label": label, **style})
    axis.grid(False)
    return mesh


def emergence_points(
    axis: Axes, variances: ArrayLike, emergence: Emergence, direction: str = "rising", **style: object
) -> None:
    """Draw a dot for each mode of a branch at its variance and its time, and the power law through them.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    variances : array_like, (M,)
        Of the data, above 0.
    emergence : Emergence
    direction : {"rising", "falling"}
    **style
        Of the dots, as for :meth:`matplotlib.axes.Axes.plot`; the line has the same colour.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axis = Figure().subplots()
    >>> emergence_points(axis, [1.0, 0.1, 0.01], Emergence(np.array([1.0, 10.0, 100.0]), np.full(3, 1e-6), np.ones(3)))
    >>> [len(line.get_xdata()) for line in axis.lines]
    [3, 2]
    """
    variances = np.asarray(variances, float)
    branch = emergence.branch("falling" if direction == "falling" else "rising")
    options = {"color": BLACK, "ms": 4, "alpha": 0.7, **style}
    (dots,) = axis.plot(variances[branch], emergence.times[branch], "o", **options)
    axis.set(xscale="log", yscale="log")
    if branch.sum() < 3 or np.ptp(variances[branch]) == 0:
        return
    slope, constant = np.polyfit(np.log(variances[branch]), np.log(emergence.times[branch]), 1)
    ends = np.array([variances[branch].min(), variances[branch].max()])
    axis.plot(ends, np.exp(constant) * ends**slope, color=dots.get_color(), lw=1.2)


def _edges(values: np.ndarray) -> np.ndarray:
    """Return the edges of cells around values, halfway between them on a logarithmic axis."""
    logs = np.log(values)
    between = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - between[0]], between, [2 * logs[-1] - between[-1]]]))
