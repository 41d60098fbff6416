"""What pages show beyond their notebooks: answers with numbers from claims, folded code, named figures."""

import re
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from book._tools import chapter_pages, site_frame
from book._tools.chapter_pages import answer_html, caption_sentence, png_size, read_pages
from book._tools.check_pages import MOST_OPEN, find_problems
from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.chapters.claims import check_claim
from bumplab.chapters.scoreboard import Scoreboard, collect_claims
from bumplab.common.errors import BumplabError

BOARD = collect_claims(chapter_pages.BOOK)
every_page = pytest.mark.parametrize("name", read_pages())


def test_every_chapter_has_its_page():
    chapters = {path.stem for path in chapter_paths() if re.match(r"\d\d-", path.stem)}
    assert set(read_pages()) == chapters


@every_page
def test_what_a_page_names_is_in_its_notebook(name):
    page, cells = read_pages()[name], {cell["id"]: cell for cell in read_cells(chapter_pages.BOOK / f"{name}.ipynb")}
    assert set(page) <= {"answer", "figure", "open"}
    assert len(page["open"]) <= MOST_OPEN and all(cells[id]["cell_type"] == "code" for id in page["open"])
    if page.get("figure"):
        assert any("image/png" in output.get("data", {}) for output in cells[page["figure"]]["outputs"])


@every_page
def test_answers_are_short_and_have_numbers(name):
    sentences = read_pages()[name].get("answer", [])
    assert len(sentences) <= 4 and all(len(sentence.split()) <= 60 for sentence in sentences)
    html = answer_html(sentences, BOARD)
    assert "{" not in html
    if sentences:
        assert "claim-" in html


def test_a_number_is_that_of_the_headline_or_of_a_network():
    values = {"quick": [0.1, 0.2, 0.3], "laptop": [0.9, 0.9, 0.9]}
    claim = check_claim("a.b", "It works.", values, kind="own", source="ours", at_least=0.8)
    board = Scoreboard([("01", claim)])
    assert ">0.9 [0.9, 0.9]<" in answer_html(["Right: {a.b}."], board)
    html = answer_html(["Right: {a.b on quick}, less than {a.b}."], board)
    assert ">0.2 [-0.05, 0.45]<" in html and "quick (3 seeds) and laptop (3 seeds)" in html
    with pytest.raises(BumplabError, match="no claim 'c.d'"):
        answer_html(["{c.d}"], board)
    unmeasured = check_claim("a.b", "It works.", {"quick": []}, kind="own", source="ours", at_least=0.8)
    assert "not measured" in answer_html(["{a.b}"], replace(board, rows=[("01", unmeasured)]))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("Dots are seeds. Lines are means.", "Dots are seeds."),
        ("Within 0.5 pixels (Fig. 6a) of it. More.", "Within 0.5 pixels (Fig. 6a) of it."),
        ("one line\nand the next", "one line and the next"),
        ("word " * 60, "word " * 39 + "word ..."),
    ],
)
def test_the_first_sentence_of_a_caption(text, sentence):
    assert caption_sentence(text) == sentence


def test_the_size_of_a_picture(tmp_path):
    figure = plt.figure(figsize=(3, 2), dpi=50)
    figure.savefig(tmp_path / "a.png", dpi=50, bbox_inches=None)
    plt.close(figure)
    assert png_size(tmp_path / "a.png") == (150, 100)
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    assert png_size(tmp_path / "b.png") is None


WHOLE = '<img src="a.png" alt="Fig. 1.1. Dots." style="width: 10px; height: 8px">'
CODE = '<div class="cell_input"><div class="highlight">a</div></div>'


@pytest.mark.parametrize(
    "body, problem",
    [
        (f"{WHOLE}<h2>A</h2>", None),
        (f"<h2>A</h2>{WHOLE}", "no figure stands before the first section"),
        (f"{WHOLE.replace('Fig. 1.1. Dots.', 'ab' * 12)}<h2>A</h2>", "a.png has no text for those who cannot see it"),
        (f"{WHOLE.replace('height', 'color')}<h2>A</h2>", "a.png has no size"),
        (f'{WHOLE}<h2 id="a">A</h2><p id="a">', "the address #a stands 2 times"),
        (f'{WHOLE}<h2>A</h2><a href="https://github.com/OWNER/x">', "https://github.com/OWNER/x leads to a stand-in"),
        (f"{WHOLE}<h2>A</h2>{CODE * 9}", "9 cells of code are open, at most 8"),
        (f"{WHOLE}<h2>A</h2><details>{CODE * 9}</details>", None),
    ],
)
def test_what_is_wrong_with_a_page_is_named(body, problem):
    assert find_problems(f"<article>{body}</article>") == ([problem] if problem else [])


def test_a_script_that_is_there_twice_is_loaded_once():
    class Script:
        def __init__(self, filename, **attributes):
            self.filename, self.attributes = filename, attributes

    scripts = [Script(None, body="const a = 1"), Script("b.js"), Script("", body="const a = 1"), Script("", body="2")]
    context = {"script_files": scripts}
    site_frame.drop_twins(None, "page", "page.html", context, None)
    assert context["script_files"] == [scripts[0], scripts[1], scripts[3]]


def test_the_footer_names_commit_and_date(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert site_frame.built_from(tmp_path) == "Built on 1970-01-02."
    if (chapter_pages.BOOK.parent / ".git").exists():
        words = site_frame.built_from(chapter_pages.BOOK.parent)
        assert re.fullmatch(r"Built from commit [0-9a-f]{7,} on 1970-01-02\.", words)
