"""The map of the book on its first page: which chapter builds on which, ends for a desk and for a phone."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A chapter: its file, the chapter that it builds on, and its column and row on a desk and on a phone."""

    file: str
    needs: str
    desk: tuple[int, int]
    phone: tuple[int, int]


CHAPTERS = {
    "1 Worlds": Place("01-worlds", "", (0, 1), (1, 0)),
    "2 Training": Place("02-training", "1 Worlds", (1, 1), (1, 1)),
    "3 Manifold": Place("03-manifold", "2 Training", (2, 0), (0, 2)),
    "4 Factorization": Place("04-factorization", "3 Manifold", (3, 0), (0, 3)),
    "10 Choices": Place("10-choices", "4 Factorization", (4, 0), (0, 4)),
    "5 Composition": Place("05-composition", "2 Training", (2, 1), (1, 2)),
    "6 Interpolation": Place("06-interpolation", "5 Composition", (3, 1), (1, 3)),
    "7 Data efficiency": Place("07-data-efficiency", "5 Composition", (3, 2), (2, 3)),
    "8 Percolation": Place("08-percolation", "2 Training", (2, 3), (2, 2)),
    "11 Rendering": Place("11-rendering", "1 Worlds", (1, 3), (2, 1)),
    "12 Modules": Place("12-modules", "", (0, 3), (1, 4)),
    "13 Learned first": Place("13-learned-first", "", (0, 4), (0, 5)),
    "14 Covariance": Place("14-mean-and-covariance", "13 Learned first", (1, 4), (0, 6)),
    "15 Two clocks": Place("15-two-clocks", "", (2, 4), (1, 5)),
    "16 Abstract rules": Place("16-abstract-rules", "15 Two clocks", (3, 4), (1, 6)),
    "17 Relations": Place("17-relations", "", (4, 4), (2, 5)),
    "9 Scoreboard": Place("09-scoreboard", "", (4, 2), (2, 4)),
}
HEIGHT, MARGIN = 34, 4


def draw_map() -> str:
    """Return both drawings; the style sheet shows one of them.

    Examples
    --------
    >>> draw_map().count('<a href="02-training.html">')
    2
    """
    return f'<div class="book-map">{_draw(on_desk=True)}{_draw(on_desk=False)}</div>'


def describe_map() -> str:
    """Return in words what the lines say.

    Examples
    --------
    >>> describe_map()[:46]
    'Which chapter builds on which: 2 on 1; 3 on 2;'
    """
    pairs = [f"{_number(name)} on {_number(place.needs)}" for name, place in CHAPTERS.items() if place.needs]
    return f"Which chapter builds on which: {'; '.join(pairs)}. The scoreboard gathers the claims of all."


def _number(name: str) -> str:
    return name.split()[0]


def _draw(on_desk: bool) -> str:
    """Return one drawing: on a desk lines run to the right, on a phone down."""
    width, gaps = (118, (24, 18)) if on_desk else (110, (6, 26))
    corners = {}
    for name, place in CHAPTERS.items():
        column, row = place.desk if on_desk else place.phone
        corners[name] = MARGIN + column * (width + gaps[0]), MARGIN + row * (HEIGHT + gaps[1])
    ends = [(corners[place.needs], corners[name]) for name, place in CHAPTERS.items() if place.needs]
    lines = [_line(start, end, width, on_desk) for start, end in ends]
    boxes = [
        f'<a href="{CHAPTERS[name].file}.html"><rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="6"/>'
        f'<text x="{x + width / 2:g}" y="{y + 21}">{name}</text></a>'
        for name, (x, y) in corners.items()
    ]
    right = max(x for x, _ in corners.values()) + width + MARGIN
    bottom = max(y for _, y in corners.values()) + HEIGHT + MARGIN
    kind = "desk" if on_desk else "phone"
    opening = f'<svg class="{kind}" viewBox="0 0 {right} {bottom}" role="img" aria-label="{describe_map()}">'
    return "".join([opening, *lines, *boxes, "</svg>"])


def _line(start: tuple[int, int], end: tuple[int, int], width: int, to_the_right: bool) -> str:
    """Return a smooth line from one box to another, given their upper left corners."""
    if to_the_right:
        x, y, u, v = start[0] + width, start[1] + HEIGHT / 2, end[0], end[1] + HEIGHT / 2
        bends = f"{(x + u) / 2:g} {y:g} {(x + u) / 2:g} {v:g}"
    else:
        x, y, u, v = start[0] + width / 2, start[1] + HEIGHT, end[0] + width / 2, end[1]
        bends = f"{x:g} {(y + v) / 2:g} {u:g} {(y + v) / 2:g}"
    return f'<path d="M{x:g} {y:g}C{bends} {u:g} {v:g}"/>'
