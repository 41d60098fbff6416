"""Point clouds that the reader turns with the mouse and follows through training with a slider.

A figure needs nothing but plotly.js: on a page of the book the site's own copy, in a notebook the one on a public
server. The still shows the same points, in the same colours and seen from the same side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from bumplab.common.errors import BumplabError
from bumplab.figures.interactive import html
from bumplab.figures.maps import condition_colours
from bumplab.worlds.bumps import BumpWorld

#: plotly.js as a notebook loads it; the site has the copy inside the Python package plotly, which is the same file.
PLOTLY_JS = "https://cdn.jsdelivr.net/npm/plotly.js-dist-min@4.1.1/plotly.min.js"
PLOTLY_JS_INTEGRITY = "sha256-O24V1F27f8pb0glCkelh3cVHLNiHAJ5gCaVtq2aNch8="

MAX_POINTS = 50_000  # points in all moments together: an output of about 500 kB
_STEPS = 5_000  # coordinates are whole numbers of steps, so many from the middle of the box to its side
_HIDDEN = -32_768


@dataclass(frozen=True, eq=False)
class PointCloud:
    """What :func:`scatter3d` returns; a notebook shows it as an interactive figure.

    Attributes
    ----------
    frames : numpy.ndarray, (f, n, 3), float64
        Coordinates at each moment; a point that is not there is NaN in all three.
    captions : tuple of str
        One for each moment.
    mu : numpy.ndarray, (n, 2)
        The condition of each point.
    colours : numpy.ndarray, (n, 3) or (f, n, 3), uint8
    path : numpy.ndarray, int32
        Rows of the points that the mesh runs through; -1 lifts the pen.
    key : numpy.ndarray, (32, 32, 3), uint8, or None
        The colours of label space.
    title, axes, view, stills, seconds
        As given to :func:`scatter3d`.
    """

    frames: np.ndarray
    captions: tuple[str, ...]
    mu: np.ndarray
    colours: np.ndarray
    path: np.ndarray
    key: np.ndarray | None
    title: str
    axes: tuple[str, str, str]
    view: tuple[float, float]
    stills: tuple[int, ...]
    seconds: float

    def __str__(self) -> str:
        moments = f"{len(self.frames)} moments of " if len(self.frames) > 1 else ""
        return f"Interactive figure, {self.title}: {moments}{self.frames.shape[1]} points"

    __repr__ = __str__

    def box(self) -> tuple[np.ndarray, float]:
        """Return the middle (3,) and half the side of the cube that holds every moment."""
        low, high = np.nanmin(self.frames, axis=(0, 1)), np.nanmax(self.frames, axis=(0, 1))
        return (low + high) / 2, 0.52 * float((high - low).max()) or 1.0

    def marker(self) -> float:
        """Return the diameter of a point in pixels."""
        return float(np.clip(110 / np.sqrt(self.frames.shape[1]), 2, 6))

    def still(self) -> Figure:
        """Draw the chosen moments side by side, with the key to the colours."""
        middle, half = self.box()
        count, size = len(self.stills), 3.6 if len(self.stills) == 1 else 2.0
        width, height = count * size + 0.9, size + 0.55
        figure = Figure(figsize=(width, height), facecolor="white", layout="none")  # pyright: ignore[reportArgumentType]  # matplotlib 3.8 and later take it
        figure.text(0.1 / width, 1 - 0.2 / height, self.title, fontweight="bold", fontsize=10, va="center")
        for place, k in enumerate(self.stills):
            area = (place * size / width, 0, size / width, size / height)
            axis = figure.add_axes(area, projection="3d", computed_zorder=False)
            self._draw(axis, k, middle, half, size)
            if len(self.frames) > 1:
                figure.text(area[0] + area[2] / 2, size / height, self.captions[k], fontsize=8.5, ha="center")
        if self.key is not None:
            axis = figure.add_axes((1 - 0.75 / width, 0.55 * size / height, 0.6 / width, 0.6 / height))
            axis.imshow(self.key, interpolation="bilinear")
            axis.set(xticks=[], yticks=[])
            axis.set_xlabel(r"$\mu_x \rightarrow$", fontsize=8.5, labelpad=2)
            axis.set_ylabel(r"$\leftarrow \mu_y$", fontsize=8.5, labelpad=2)
        return figure

    def _draw(self, axis, k: int, middle: np.ndarray, half: float, size: float) -> None:
        """Draw moment `k` into a 3D axis `size` inches wide."""
        points = self.frames[k]
        line = np.where(self.path[:, None] < 0, np.nan, points[self.path])
        axis.plot(*line.T, color="#aaaaaa", lw=0.4, zorder=1)
        colours = self.colours[k] if self.colours.ndim == 3 else self.colours
        diameter = 0.85 * self.marker() * size / 3.6
        axis.scatter(*points.T, c=colours / 255, s=diameter**2, linewidths=0, depthshade=False, zorder=2)
        limits = [(m - half, m + half) for m in middle]
        axis.set(xlim=limits[0], ylim=limits[1], zlim=limits[2], xticklabels=[], yticklabels=[], zticklabels=[])
        for name, text in zip("xyz", self.axes, strict=True):
            getattr(axis, f"set_{name}label")(text, fontsize=6 + size / 2, labelpad=-15 + size)
            getattr(axis, f"{name}axis").set_pane_color("white")
            getattr(axis, f"{name}axis").set_tick_params(length=0)
        axis.set_box_aspect((1, 1, 1), zoom=1.05)
        axis.view_init(*self.view)

    def data(self) -> dict:
        """Return all that the browser draws, as JSON with arrays in base64."""
        middle, half = self.box()
        unit = half / _STEPS
        steps = np.where(np.isnan(self.frames), _HIDDEN, np.rint((self.frames - middle) / unit)).astype("<i2")
        elevation, azimuth = np.deg2rad(self.view)
        eye = np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
        return {
            "n": self.frames.shape[1],
            "captions": self.captions,
            "middle": middle.tolist(),
            "half": half,
            "unit": unit,
            "steps": html.base64_text(steps.transpose(0, 2, 1)),
            "colours": html.base64_text(self.colours),
            "path": html.base64_text(self.path.astype("<i4")),
            "mu": [[f"{x:g}", f"{y:g}"] for x, y in self.mu],
            "size": round(0.7 * self.marker(), 1),  # plotly.js draws them larger than it says
            "axes": self.axes,
            "eye": [round(float(v), 4) for v in eye],
            "seconds": self.seconds,
            "plotly": {"src": PLOTLY_JS, "integrity": PLOTLY_JS_INTEGRITY},
        }

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        last, key = len(self.frames) - 1, ""
        if self.key is not None:
            image = f"data:image/png;base64,{html.picture_text(Image.fromarray(self.key), 'png')}"
            key = (
                f'<div class="key" role="img" aria-label="Colours of the conditions: mu_x to the right, mu_y down">'
                f"μ<sub>x</sub> →<span style=\"background-image:url('{image}')\"></span>μ<sub>y</sub> ↓</div>"
            )
        label = f"{html.escape(self.title)}: points in space, turned by dragging"
        plot = f'<div class="plot" role="img" aria-label="{label}"></div>'
        player = html.controls(last, last, label="moment", caption=self.captions[-1])
        body = html.title(self.title) + key + plot + player
        return html.render("point_cloud", self.data(), self.still(), text=str(self), body=body)


def scatter3d(
    frames: ArrayLike | Sequence[ArrayLike],
    mu: ArrayLike,
    world: BumpWorld,
    captions: Sequence[str] | None = None,
    *,
    title: str,
    axes: tuple[str, str, str] = ("PC 1", "PC 2", "PC 3"),
    colours: ArrayLike | None = None,
    mesh: bool = True,
    view: tuple[float, float] = (25.0, 35.0),
    stills: Sequence[int] | None = None,
    seconds: float = 0.6,
) -> PointCloud:
    """Show one point for each condition in space, at one moment or, with a slider, at several.

    All moments share one cube with the same scale along its three axes, so that sizes and angles can be compared.

    Parameters
    ----------
    frames : array-like, (n, 3) or (f, n, 3)
        Coordinates of the points, at one moment or at f of them. A row with NaN hides its point.
    mu : array-like, (n, 2)
        The condition (mu_x, mu_y) of each point in pixels: its colour, its place in the mesh, its text on hover.
    world : BumpWorld
        The world of these conditions: how wide label space is and whether it wraps round.
    captions : sequence of str, optional
        One for each moment; needed when there are several.
    title : str
    axes : (str, str, str)
        Names of the three axes.
    colours : array-like, (n, 3) or (f, n, 3), optional
        Colours of our own, red, green and blue from 0 to 1, also changing from moment to moment; without them
        :func:`bumplab.figures.maps.condition_colours`, with a key.
    mesh : bool
        Join conditions that are neighbours on the lattice of `world`.
    view : (float, float)
        Elevation and azimuth in degrees, as in Matplotlib.
    stills : sequence of int, optional
        Moments that the still picture shows; four spread evenly if not given.
    seconds : float
        Time per moment when playing.

    Raises
    ------
    BumplabError
        If the arrays do not fit each other, nothing is finite, there are more than 50,000 points in all moments
        together, or `mesh` is asked for conditions off the lattice.

    Examples
    --------
    >>> world = BumpWorld(size=8)
    >>> mu = world.lattice().numpy()
    >>> scatter3d(np.column_stack([mu, mu[:, 0] * mu[:, 1]]), mu, world, title="A saddle")
    Interactive figure, A saddle: 64 points
    """
    frames = _check_frames(frames)
    moments, n, _ = frames.shape
    mu = np.asarray(mu, dtype=float)
    if mu.shape != (n, 2):
        raise BumplabError(f"Needs one condition (mu_x, mu_y) for each of the {n} points; got shape {mu.shape}.")
    captions = tuple(captions or ("",) * (moments == 1))
    if len(captions) != moments:
        raise BumplabError(f"Needs one caption for each of the {moments} moments; got {len(captions)}.")
    evenly = np.linspace(0, moments - 1, min(moments, 4)).round().astype(int).tolist()
    stills = tuple(evenly if stills is None else stills)
    if not stills or not all(0 <= k < moments for k in stills):
        raise BumplabError(f"A still shows moments 0 to {moments - 1}; got {list(stills)}.")
    key = None
    if colours is None:
        colours = condition_colours(mu, world)
        side = (np.arange(32) + 0.5) * world.extent / 32
        key = _uint8(condition_colours(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2), world))
        key = key.reshape(32, 32, 3)
    colours = np.asarray(colours, dtype=float)
    if colours.shape not in ((n, 3), (moments, n, 3)) or not ((colours >= 0) & (colours <= 1)).all():
        raise BumplabError(f"Colours come as (n, 3) or (f, n, 3), from 0 to 1; got shape {colours.shape}.")
    x, y, z = axes
    path = _mesh(mu, world) if mesh else np.empty(0, dtype=np.int32)
    return PointCloud(frames, captions, mu, _uint8(colours), path, key, title, (x, y, z), view, stills, seconds)


def _check_frames(frames: Any) -> np.ndarray:
    """Return coordinates as (f, n, 3), hidden points NaN in all three."""
    try:
        frames = np.array([np.asarray(frame, dtype=float) for frame in frames])
    except (TypeError, ValueError):
        raise BumplabError("Every moment needs the same points, as numbers of shape (n, 3).") from None
    frames = frames[None] if frames.ndim == 2 else frames
    if frames.ndim != 3 or frames.shape[2] != 3 or not frames.size:
        raise BumplabError(f"Points in space come as (n, 3), or (f, n, 3) for f moments; got shape {frames.shape}.")
    frames[np.isnan(frames).any(axis=2)] = np.nan
    if np.isinf(frames).any() or np.isnan(frames).all():
        raise BumplabError("Coordinates must be finite; NaN hides a point, but not every point can be hidden.")
    if frames.shape[0] * frames.shape[1] > MAX_POINTS:
        raise BumplabError(
            f"{frames.shape[0]} moments of {frames.shape[1]} points are too many: show at most {MAX_POINTS:,} in all."
        )
    return frames


def _mesh(mu: np.ndarray, world: BumpWorld) -> np.ndarray:
    """Return the rows and columns of the lattice as one line through the points `mu`; -1 where one is missing."""
    cells = np.rint(mu / world.spacing).astype(int)
    if not np.allclose(cells * world.spacing, mu, atol=1e-3 * min(world.spacing)):
        raise BumplabError("A mesh joins neighbours on the lattice, and some conditions are off it: set mesh=False.")
    rows = {tuple(cell): row for row, cell in enumerate(cells.tolist())}
    counts = len(world.axis(0)), len(world.axis(1))
    wrap = int(world.periodic)
    path = []
    for y in range(counts[1]):
        path += [rows.get((x % counts[0], y), -1) for x in range(counts[0] + wrap)] + [-1]
    for x in range(counts[0]):
        path += [rows.get((x, y % counts[1]), -1) for y in range(counts[1] + wrap)] + [-1]
    return np.array(path, dtype=np.int32)


def _uint8(colours: np.ndarray) -> np.ndarray:
    return np.rint(255 * colours).astype(np.uint8)
