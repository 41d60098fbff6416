"""From conditions and coordinates to a point cloud: what is checked, coloured and joined before it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bumplab.common.errors import BumplabError
from bumplab.figures.interactive.point_cloud import PointCloud
from bumplab.figures.maps import condition_colours
from bumplab.worlds.bumps import BumpWorld

#: Most points in all moments together: an output of about 500 kB.
MAX_POINTS = 50_000


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
    return PointCloud(frames, captions, mu, _uint8(colours), path, key, title, axes, view, stills, seconds)


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
