"""What claims look like in a browser: the answers on the first screen, and nothing wider than a phone."""

from pathlib import Path

import chromium
import pytest

import bumplab
from bumplab.chapters.answers import answer_findings
from bumplab.chapters.scoreboard import collect_claims

BOOK = Path(bumplab.__file__).resolve().parents[2] / "book"
#: Room above the answers on the scoreboard's page, in pixels: the bar of the site, title, link and question.
ABOVE = 262
browser = pytest.mark.skipif(not chromium.find(), reason="needs Chromium or Chrome (or CHROMIUM=path)")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a file with the answers, every card and the whole table, in the style of the book."""
    board = collect_claims(BOOK)
    parts = [answer_findings(board), *(claim for _, claim in board.rows), board]
    outputs = "".join(
        f'<div class="cell_output" style="padding: 0 1rem">{part._repr_mimebundle_()["text/html"]}</div>'
        for part in parts
    )
    css = (BOOK / "_static" / "bumplab.css").read_text(encoding="utf-8")
    reset = "* {box-sizing: border-box} body {margin: 0; font-family: DejaVu Sans, sans-serif}"
    path = tmp_path_factory.mktemp("page") / "claims.html"
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<!DOCTYPE html><meta charset="utf-8">{view}<style>{reset} {css}</style>'
    path.write_text(f'{head}<body class="bd-content">{outputs}</body>', encoding="utf-8")
    return path


@browser
@pytest.mark.parametrize("width, height", [(1400, 1000), (390, 844)])
def test_answers_fit_on_the_first_screen_and_nothing_is_wider_than_it(page, width, height):
    with chromium.Page() as tab:
        tab.open(page, width, height)
        assert tab.evaluate("document.querySelector('.answers').getBoundingClientRect().height") <= height - ABOVE
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        wide = (
            "[...document.querySelectorAll('.cell_output, .claim')].filter(e => e.scrollWidth > e.clientWidth).length"
        )
        assert tab.evaluate("document.querySelectorAll('.claim').length") > 70
        assert tab.evaluate(wide) == 0
