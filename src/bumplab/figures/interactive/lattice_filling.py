"""A lattice that the reader fills with a slider until it percolates, its clusters in colours.

The order in which sites are filled and the curve beside the lattice are computed here; the browser follows the
clusters itself. The output needs no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bumplab.common.errors import BumplabError, quote
from bumplab.figures.interactive import html
from bumplab.figures.style import BLUE, VERMILION
from bumplab.percolation.clusters import Growth, fill_lattice, label_clusters

#: Largest number of sites: every move of the slider finds their clusters anew.
MAX_SITES = 10_000
#: Colours of clusters that are not the largest, by their oldest site.
SMALL = ("#b8d8c0", "#e3d3a4", "#cdb9dd", "#f0c8b0", "#a9d5dd", "#d8d8b0", "#e5bfd0", "#bcc9e8")


@dataclass(frozen=True, eq=False)
class LatticeFilling:
    """What :func:`play_filling` returns; a notebook shows it as an interactive figure.

    Attributes
    ----------
    order : array (n,), int
        Sites in the order in which they are filled.
    shape : (int, int)
        Columns and rows.
    neighbourhoods : dict of str to array (z, 2)
        What the reader can choose from.
    growths : dict of str to Growth
        The clusters of each, see :class:`bumplab.percolation.clusters.Growth`.
    start : float
        Share of sites that are full at first, 0 to 1.
    title : str

    Examples
    --------
    >>> from bumplab.percolation import shells
    >>> figure = play_filling((4, 4), {"4 neighbours": shells(1), "8 neighbours": shells(2)}, title="A square")
    >>> figure.order.shape, {name: min(growth.spanning_counts).item() for name, growth in figure.growths.items()}
    ((16,), {'4 neighbours': 9, '8 neighbours': 8})
    """

    order: np.ndarray
    shape: tuple[int, int]
    neighbourhoods: dict[str, np.ndarray]
    growths: dict[str, Growth]
    start: float
    title: str

    def __str__(self) -> str:
        columns, rows = self.shape
        spans = (f"{name} from {min(g.spanning_counts) / len(self.order):.2f}" for name, g in self.growths.items())
        return f"Interactive figure, {self.title}: {columns} x {rows} sites; edge to edge with {', '.join(spans)}"

    __repr__ = __str__

    def picture(self, name: str, count: int) -> np.ndarray:
        """Return the lattice (rows, columns, 3), uint8, with the first `count` sites of the order full.

        Parameters
        ----------
        name : str
            Of a neighbourhood.
        count : int
            0 to all sites.

        Examples
        --------
        >>> from bumplab.percolation import shells
        >>> figure = play_filling((4, 4), {"4 neighbours": shells(1), "8 neighbours": shells(2)}, title="A square")
        >>> picture = figure.picture("4 neighbours", count=3)
        >>> picture.shape, int((picture < 255).any(axis=2).sum())
        ((4, 4, 3), 3)
        """
        columns, rows = self.shape
        mask = np.zeros(columns * rows, bool)
        mask[self.order[:count]] = True
        labels = label_clusters(mask.reshape(rows, columns), self.neighbourhoods[name], periodic=False).ravel()
        oldest = np.full(labels.max() + 1, -1)
        for place in range(count - 1, -1, -1):
            oldest[labels[self.order[place]]] = place
        palette = np.array([to_rgb(c) for c in SMALL])[oldest % len(SMALL)]
        palette[0] = 1
        if count:
            palette[1] = to_rgb(VERMILION if count >= min(self.growths[name].spanning_counts) else BLUE)
        return np.rint(255 * palette[labels]).astype(np.uint8).reshape(rows, columns, 3)

    def still(self) -> Figure:
        """Draw the lattice below, near and above the share at which the first neighbourhood reaches across.

        Examples
        --------
        >>> from bumplab.percolation import shells
        >>> figure = play_filling((4, 4), {"4 neighbours": shells(1), "8 neighbours": shells(2)}, title="A square")
        >>> [axis.get_title() for axis in figure.still().axes]
        ['0.25 filled', '0.50 filled', '0.75 filled']
        """
        name = next(iter(self.neighbourhoods))
        first, sites = int(min(self.growths[name].spanning_counts)), len(self.order)
        figure = Figure(figsize=(6.4, 2.5), facecolor="white", layout="constrained")
        figure.suptitle(f"{self.title} ({name})", fontsize=10, fontweight="bold")
        for axis, count in zip(figure.subplots(1, 3), (first // 2, first - 1, (first + sites) // 2), strict=True):
            axis.imshow(self.picture(name, count), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.set_title(f"{count / sites:.2f} filled", fontsize=8.5)
        return figure

    def data(self) -> dict[str, Any]:
        """Return all that the browser draws, as JSON with the order in base64.

        Examples
        --------
        >>> from bumplab.percolation import shells
        >>> figure = play_filling((4, 4), {"4 neighbours": shells(1), "8 neighbours": shells(2)}, title="A square")
        >>> [kind["name"] for kind in figure.data()["kinds"]]
        ['4 neighbours', '8 neighbours']
        """
        sites = len(self.order)
        at = np.unique(np.linspace(1, sites, 200).round().astype(int))
        kinds = []
        for name, offsets in self.neighbourhoods.items():
            curve = np.stack([at / sites, self.growths[name].share()[at]], axis=1)
            kinds.append({"name": name, "offsets": offsets.tolist(), "curve": curve.round(4).tolist()})
        return {
            "shape": self.shape,
            "order": html.base64_text(self.order.astype("<u2")),
            "kinds": kinds,
            "small": SMALL,
            "large": [BLUE, VERMILION],
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        columns, rows = self.shape
        sites = columns * rows
        options = "".join(f"<option>{html.escape(name)}</option>" for name in self.neighbourhoods)
        views = f"""<div class="views"><canvas width="{columns}" height="{rows}" role="img" aria-label="the lattice">
</canvas><svg viewBox="-42 -8 258 236" role="img" aria-label="share of the largest cluster against the share filled">
</svg></div>"""
        choice = f"<label>linked: <select>{options}</select></label>"
        start = round(self.start * sites)
        player = html.controls(sites, start, label="sites filled", action="fill", choice=choice, live=True)
        body = html.title(self.title) + views + player
        return html.render("lattice_filling", self.data(), self.still(), text=str(self), body=body)


def play_filling(
    shape: tuple[int, int],
    neighbourhoods: Mapping[str, np.ndarray],
    *,
    title: str,
    seed: int = 0,
    start: float = 0.4,
) -> LatticeFilling:
    """Show an open lattice that a slider fills in random order, with a curve of its largest cluster.

    Parameters
    ----------
    shape : (int, int)
        Columns and rows, at most 10,000 sites.
    neighbourhoods : mapping of str to array (z, 2)
        Steps to the neighbours by a name for the reader, who chooses among them; see
        :func:`bumplab.percolation.links.shells`.
    title : str
    seed : int
        Of the order.
    start : float
        Share of sites that are full at first, 0 to 1.

    Raises
    ------
    BumplabError
        If the lattice is too large, there is no neighbourhood, or the share lies outside of 0 to 1.

    Examples
    --------
    >>> steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    >>> play_filling((4, 4), {"4 neighbours": steps}, title="A square")
    Interactive figure, A square: 4 x 4 sites; edge to edge with 4 neighbours from 0.56
    """
    sites = shape[0] * shape[1]
    if not 1 <= sites <= MAX_SITES:
        raise BumplabError(f"The lattice has {sites:,} sites; show 1 to {MAX_SITES:,}.")
    if not neighbourhoods or not 0 <= start <= 1:
        raise BumplabError(f"Give one neighbourhood or more, and a start from 0 to 1; got {quote(start)}.")
    order = np.random.default_rng(seed).permutation(sites)
    growths = {name: fill_lattice(order, shape, steps, periodic=False) for name, steps in neighbourhoods.items()}
    return LatticeFilling(order, shape, dict(neighbourhoods), growths, start, title)
