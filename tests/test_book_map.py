"""The map of the book has every chapter once, its boxes are apart, and on a phone it is read without scrolling."""

import re
from itertools import combinations

import pytest
from bs4 import BeautifulSoup

from book._tools.book_map import CHAPTERS, HEIGHT, draw_map
from book._tools.fill_pages import BOOK
from bumplab.chapters.catalogue import chapter_paths

PAGE = BeautifulSoup(draw_map(), "html.parser")


def _boxes(drawing):
    sides = ("x", "y", "width", "height")
    return {box.parent["href"]: [float(box[side]) for side in sides] for box in drawing.find_all("rect")}


@pytest.mark.parametrize("kind", ["desk", "phone"])
def test_a_drawing_has_every_chapter_once_and_apart_from_the_others(kind):
    drawing = PAGE.find("svg", class_=kind)
    boxes = _boxes(drawing)
    assert sorted(boxes) == sorted(f"{path.stem}.html" for path in chapter_paths())
    _, _, right, bottom = map(float, re.search(r'viewbox="([^"]+)"', str(drawing), re.IGNORECASE)[1].split())
    assert all(x >= 0 and y >= 0 and x + w <= right and y + h <= bottom for x, y, w, h in boxes.values())
    for (x, y, w, h), (u, v, _, _) in combinations(boxes.values(), 2):
        assert abs(x - u) >= w or abs(y - v) >= h
    for link in drawing.find_all("a"):
        assert link.text.split()[0] == str(int(link["href"][:2]))
    assert len(drawing.find_all("path")) == sum(bool(place.needs) for place in CHAPTERS.values())


def test_it_fits_a_phone_and_what_is_needed_comes_first():
    drawing = PAGE.find("svg", class_="phone")
    boxes = _boxes(drawing)
    assert max(x + w for x, _, w, _ in boxes.values()) <= 360
    for name, place in CHAPTERS.items():
        if place.needs:
            needed = CHAPTERS[place.needs]
            assert needed.desk[0] < place.desk[0] and needed.phone[1] < place.phone[1], name
    assert {h for _, _, _, h in boxes.values()} == {HEIGHT}


def test_the_first_page_shows_it():
    assert draw_map() in (BOOK / "intro.md").read_text(encoding="utf-8"), "run book._tools.fill_pages"
