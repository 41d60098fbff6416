"""A lattice that the reader fills with a slider until it percolates, its clusters in colours.

The order in which sites are filled and the curve beside the lattice are computed here; the browser follows the
clusters itself. The output needs no network. A still picture stands in for it on paper and without JavaScript.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from bumplab import clusters, plots
from bumplab.base import BumplabError

#: Largest number of sites: every move of the slider finds their clusters anew.
LIMIT = 10_000
#: Colours of clusters that are not the largest, by their oldest site.
SMALL = ("#b8d8c0", "#e3d3a4", "#cdb9dd", "#f0c8b0", "#a9d5dd", "#d8d8b0", "#e5bfd0", "#bcc9e8")


@dataclass(frozen=True, eq=False)
class Filling:
    """What :func:`filling` returns; a notebook shows it as an interactive figure.

    Attributes
    ----------
    order : array (n,), int
        Sites in the order in which they are filled.
    shape : (int, int)
        Columns and rows.
    neighbourhoods : dict of str to array (z, 2)
        What the reader can choose from.
    growths : dict of str to Growth
        The clusters of each, see :class:`bumplab.clusters.Growth`.
    start : float
        Share of filled sites at first.
    title : str
    """

    order: np.ndarray
    shape: tuple[int, int]
    neighbourhoods: dict[str, np.ndarray]
    growths: dict[str, clusters.Growth]
    start: float
    title: str

    def __str__(self) -> str:
        columns, rows = self.shape
        reached = (f"{name} from {min(g.first) / len(self.order):.2f}" for name, g in self.growths.items())
        return f"Interactive figure, {self.title}: {columns} x {rows} sites; edge to edge with {', '.join(reached)}"

    __repr__ = __str__

    def colours(self, name: str, filled: int) -> np.ndarray:
        """Return the picture (rows, columns, 3), uint8, with so many sites filled."""
        columns, rows = self.shape
        mask = np.zeros(columns * rows, bool)
        mask[self.order[:filled]] = True
        found = clusters.label(mask.reshape(rows, columns), self.neighbourhoods[name], periodic=False).ravel()
        oldest = np.full(found.max() + 1, -1)
        for place in range(filled - 1, -1, -1):
            oldest[found[self.order[place]]] = place
        palette = np.array([to_rgb(c) for c in SMALL])[oldest % len(SMALL)]
        palette[0] = 1
        if filled:
            crossed = filled >= min(self.growths[name].first)
            palette[1] = to_rgb(plots.VERMILION if crossed else plots.BLUE)
        return np.rint(255 * palette[found]).astype(np.uint8).reshape(rows, columns, 3)

    def still(self) -> Figure:
        """Draw the lattice below, near and above the share at which the first neighbourhood reaches across."""
        name = next(iter(self.neighbourhoods))
        first, sites = int(min(self.growths[name].first)), len(self.order)
        figure = Figure(figsize=(6.4, 2.5), facecolor="white", layout="constrained")
        figure.suptitle(f"{self.title} ({name})", fontsize=10, fontweight="bold")
        for axis, filled in zip(figure.subplots(1, 3), (first // 2, first - 1, (first + sites) // 2), strict=True):
            axis.imshow(self.colours(name, filled), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"{filled / sites:.2f} filled", fontsize=8.5)
        return figure

    def data(self) -> dict:
        """Return all that the browser draws, as JSON."""
        sites = len(self.order)
        at = np.unique(np.linspace(1, sites, 200).round().astype(int))
        kinds = []
        for name, offsets in self.neighbourhoods.items():
            curve = np.stack([at / sites, self.growths[name].share()[at]], axis=1)
            kinds.append({"name": name, "offsets": offsets.tolist(), "curve": curve.round(4).tolist()})
        return {
            "shape": self.shape,
            "order": base64.b64encode(self.order.astype("<u2").tobytes()).decode(),
            "kinds": kinds,
            "small": SMALL,
            "large": [plots.BLUE, plots.VERMILION],
        }

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        buffer = io.BytesIO()
        self.still().savefig(buffer, format="png", dpi=100)
        picture = Image.open(buffer).convert("RGB")
        return {"text/plain": str(self), "text/html": self._html(_encoded(picture, "webp")),
                "image/png": _encoded(picture, "png")}  # fmt: skip

    def _html(self, still: str) -> str:
        # Escaped, so that no text in it can end the script element.
        data = json.dumps(self.data(), separators=(",", ":")).replace("<", "\\u003c")
        name = "filling-" + hashlib.sha256(data.encode()).hexdigest()[:8]
        style, code = (Path(__file__).with_suffix(end).read_text(encoding="utf-8").strip() for end in (".css", ".js"))
        columns, rows = self.shape
        choices = "".join(f"<option>{html.escape(kind)}</option>" for kind in self.neighbourhoods)
        return f"""<div class="filling" id="{name}"><style>{style}</style>
<img class="still" alt="{html.escape(str(self))}" src="data:image/webp;base64,{still}">
<div class="live" hidden><div class="title">{html.escape(self.title)}</div>
<div class="views"><canvas width="{columns}" height="{rows}" role="img" aria-label="the lattice"></canvas>
<svg viewBox="-42 -8 258 236" role="img" aria-label="share of the largest cluster against the share filled"></svg></div>
<div class="controls"><button class="play" type="button">fill</button>
<input class="moment" type="range" min="0" max="{columns * rows}" value="{round(self.start * columns * rows)}"
aria-label="sites filled"><label>linked: <select>{choices}</select></label></div>
<div class="caption" aria-live="polite"></div></div>
<script class="data" type="application/json">{data}</script>
<script>({code})("{name}");</script>
</div>"""


def filling(
    shape: tuple[int, int],
    neighbourhoods: Mapping[str, np.ndarray],
    *,
    title: str,
    seed: int = 0,
    start: float = 0.4,
) -> Filling:
    """Show an open lattice that a slider fills in random order, with a curve of its largest cluster.

    Parameters
    ----------
    shape : (int, int)
        Columns and rows, at most 10,000 sites.
    neighbourhoods : mapping of str to array (z, 2)
        Steps to the neighbours by a name for the reader, who chooses among them; see
        :func:`bumplab.percolation.neighbours`.
    title : str
    seed : int
        Of the order.
    start : float
        Share of filled sites at first, 0 to 1.

    Raises
    ------
    BumplabError
        If the lattice is too large, there is no neighbourhood, or the share lies outside of 0 to 1.
    """
    sites = shape[0] * shape[1]
    if not 1 <= sites <= LIMIT:
        raise BumplabError(f"The lattice has {sites:,} sites; show 1 to {LIMIT:,}.")
    if not neighbourhoods or not 0 <= start <= 1:
        raise BumplabError(f"Give one neighbourhood or more, and a start from 0 to 1; got {start:g}.")
    order = np.random.default_rng(seed).permutation(sites)
    growths = {name: clusters.grow(order, shape, steps, periodic=False) for name, steps in neighbourhoods.items()}
    return Filling(order, tuple(shape), dict(neighbourhoods), growths, start, title)


def _encoded(picture: Image.Image, form: str) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, form, optimize=True, quality=80, method=6)
    return base64.b64encode(buffer.getvalue()).decode()
