"""Point clouds that the reader turns with the mouse and follows through training with a slider.

A figure needs nothing but plotly.js: on a page of the book the site's own copy, in a notebook the one on a public
server. The still shows the same points, in the same colours and seen from the same side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from bumplab.figures.interactive import html

#: plotly.js as a notebook loads it; the site has the copy inside the Python package plotly, which is the same file.
PLOTLY_JS = "https://cdn.jsdelivr.net/npm/plotly.js-dist-min@4.1.1/plotly.min.js"
#: Checksum of that file, without which a browser does not run it.
PLOTLY_JS_INTEGRITY = "sha256-O24V1F27f8pb0glCkelh3cVHLNiHAJ5gCaVtq2aNch8="

_STEPS = 5_000  # coordinates are whole numbers of steps, so many from the middle of the box to its side
_HIDDEN = -32_768


@dataclass(frozen=True, eq=False)
class PointCloud:
    """What :func:`~bumplab.figures.interactive.scatter.scatter3d` returns; a notebook shows it as a living figure.

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
        As given to :func:`~bumplab.figures.interactive.scatter.scatter3d`.

    Examples
    --------
    >>> from bumplab import figures, worlds
    >>> cloud = figures.scatter3d(np.eye(3), 2 * np.eye(3, 2), worlds.BumpWorld(), title="A triangle")
    >>> cloud.frames.shape, cloud.path.shape  # one moment; the mesh runs over all columns and rows of the lattice
    ((1, 3, 3), (2112,))
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
        """Return the middle (3,) and half the side of the cube that holds every moment.

        Examples
        --------
        >>> from bumplab import figures, worlds
        >>> cloud = figures.scatter3d(np.eye(3), 2 * np.eye(3, 2), worlds.BumpWorld(), title="A triangle")
        >>> middle, half = cloud.box()
        >>> middle.tolist(), half  # a little wider than the points
        ([0.5, 0.5, 0.5], 0.52)
        """
        low, high = np.nanmin(self.frames, axis=(0, 1)), np.nanmax(self.frames, axis=(0, 1))
        return (low + high) / 2, 0.52 * float((high - low).max()) or 1.0

    def marker(self) -> float:
        """Return the diameter of a point in pixels.

        Examples
        --------
        >>> from bumplab import figures, worlds
        >>> cloud = figures.scatter3d(np.eye(3), 2 * np.eye(3, 2), worlds.BumpWorld(), title="A triangle")
        >>> cloud.marker()  # 2 where there are thousands
        6.0
        """
        return float(np.clip(110 / np.sqrt(self.frames.shape[1]), 2, 6))

    def still(self) -> Figure:
        """Draw the chosen moments side by side, with the key to the colours.

        Examples
        --------
        >>> from bumplab import figures, worlds
        >>> cloud = figures.scatter3d(np.eye(3), 2 * np.eye(3, 2), worlds.BumpWorld(), title="A triangle")
        >>> len(cloud.still().axes)  # one moment and the key to the colours
        2
        """
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

    def _draw(self, axis: Any, k: int, middle: np.ndarray, half: float, size: float) -> None:
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

    def data(self) -> dict[str, Any]:
        """Return all that the browser draws, as JSON with arrays in base64.

        Examples
        --------
        >>> from bumplab import figures, worlds
        >>> cloud = figures.scatter3d(np.eye(3), 2 * np.eye(3, 2), worlds.BumpWorld(), title="A triangle")
        >>> data = cloud.data()
        >>> data["n"], data["middle"], data["mu"][0]
        (3, [0.5, 0.5, 0.5], ['2', '0'])
        """
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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
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
