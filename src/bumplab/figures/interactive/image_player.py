"""A film of image grids that the reader plays, or follows with a slider, such as the way from noise to images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from bumplab.common.errors import BumplabError, quote
from bumplab.figures.interactive import html


@dataclass(frozen=True, eq=False)
class ImagePlayer:
    """What :func:`play_images` returns; a notebook shows it as an interactive figure.

    Attributes
    ----------
    sheets : numpy.ndarray, (f, rows, columns), uint8
        The grid of images at each moment, in image pixels with a grey line between them.
    captions : tuple of str
        One for each moment.
    zoom : int
        Screen pixels per image pixel.
    seconds : float
        Time per moment when playing.

    Examples
    --------
    >>> film = play_images(torch.zeros(6, 4, 1, 8, 8), list("543210"), columns=2)
    >>> film.sheets.shape  # two rows and columns of 8 pixels with a line round each
    (6, 20, 20)
    """

    sheets: np.ndarray
    captions: tuple[str, ...]
    zoom: int
    seconds: float

    def __str__(self) -> str:
        first, last = self.captions[0], self.captions[-1]
        return f"Interactive figure, a film of {len(self.sheets)} moments, from {first} to {last}"

    __repr__ = __str__

    def still(self) -> Figure:
        """Draw up to four moments, spread evenly, side by side.

        Examples
        --------
        >>> film = play_images(torch.zeros(6, 4, 1, 8, 8), list("543210"), columns=2)
        >>> [axis.get_title() for axis in film.still().axes]
        ['5', '3', '2', '0']
        """
        moments = np.unique(np.linspace(0, len(self.sheets) - 1, 4).round().astype(int))
        height, width = self.sheets.shape[1:]
        size = 6.4 / len(moments)
        figure = Figure(figsize=(6.4, size * height / width + 0.35), facecolor="white", layout="constrained")
        for axis, k in zip(figure.subplots(1, len(moments), squeeze=False).flat, moments, strict=True):
            axis.imshow(self.sheets[k], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(self.captions[k], fontsize=8.5)
        return figure

    def data(self) -> dict[str, Any]:
        """Return all that the browser draws, as JSON: the moments below each other in one PNG in base64.

        Examples
        --------
        >>> film = play_images(torch.zeros(6, 4, 1, 8, 8), list("543210"), columns=2)
        >>> sorted(film.data())
        ['captions', 'seconds', 'sheet']
        """
        sheet = Image.fromarray(np.concatenate(self.sheets))
        return {"captions": self.captions, "seconds": self.seconds, "sheet": html.picture_text(sheet, "png")}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        height, width = self.sheets.shape[1:]
        last, caption = len(self.sheets) - 1, self.captions[-1]
        view = (
            f'<div class="view" role="img" aria-label="{html.escape(caption)}" '
            f'style="aspect-ratio:{width}/{height}"></div>'
        )
        body = view + html.controls(last, last, label="moment", caption=caption)
        style = f"max-width:{width * self.zoom}px"
        return html.render("image_player", self.data(), self.still(), text=str(self), body=body, style=style)


def play_images(
    frames: torch.Tensor, captions: Sequence[str], columns: int, zoom: int = 4, seconds: float = 0.25
) -> ImagePlayer:
    """Show a film of image grids with a slider and a play button; it needs no network.

    Parameters
    ----------
    frames : torch.Tensor, (f, n, 1, N, N)
        For each moment, n images, -1 black to 1 white, laid out in `columns` columns.
    captions : sequence of str
        One for each moment.
    columns : int
    zoom : int
        Screen pixels per image pixel.
    seconds : float
        Time per moment when playing.

    Raises
    ------
    BumplabError
        If the frames have another shape, or there is not one caption for each.

    Examples
    --------
    >>> play_images(torch.zeros(2, 4, 1, 8, 8), ["t = 9", "t = 0"], columns=2)
    Interactive figure, a film of 2 moments, from t = 9 to t = 0
    """
    if frames.ndim != 5 or frames.shape[2] != 1 or not frames.numel():
        raise BumplabError(f"A film comes as (f, n, 1, N, N), f moments of n images; got shape {tuple(frames.shape)}.")
    if len(captions) != len(frames):
        raise BumplabError(f"Needs one caption for each of the {len(frames)} moments; got {len(captions)}.")
    if columns < 1:
        raise BumplabError(f"A grid has one column or more; got {quote(columns)}.")
    sheets = np.stack([_tile(frame, columns) for frame in frames])
    return ImagePlayer(sheets, tuple(captions), zoom, seconds)


def _tile(pictures: torch.Tensor, columns: int) -> np.ndarray:
    """Lay images (n, 1, N, N) out in a grid with a grey line between them, uint8."""
    grey = ((pictures[:, 0].detach().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    grey = np.pad(grey, ((0, -len(grey) % columns), (1, 1), (1, 1)), constant_values=128)
    return np.concatenate([np.concatenate(list(row), 1) for row in grey.reshape(-1, columns, *grey.shape[1:])])
