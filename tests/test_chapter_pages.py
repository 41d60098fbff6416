"""What pages show beyond their notebooks: answers with numbers from claims, folded code, named figures."""

import base64
import io
import json
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.application import Sphinx

from book._tools import chapter_pages, site_frame
from book._tools.check_pages import MOST_OPEN, find_problems
from book._tools.first_screens import BOOK, answer_html, caption_sentence, png_size, read_pages
from bumplab.chapters.answers import Answers
from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.chapters.claims import check_claim
from bumplab.chapters.scoreboard import Scoreboard, collect_claims
from bumplab.common.errors import BumplabError

BOARD = collect_claims(BOOK)
every_page = pytest.mark.parametrize("name", read_pages())


def test_every_chapter_has_its_page():
    assert set(read_pages()) == {path.stem for path in chapter_paths()} | {"benchmarks"}


def test_the_contents_number_the_chapters():
    contents = yaml.safe_load((BOOK.parent / "_toc.yml").read_text(encoding="utf-8"))
    titles = {entry["file"]: entry.get("title") for part in contents["parts"] for entry in part["chapters"]}
    for path in chapter_paths():
        heading = "".join(read_cells(path)[0]["source"]).splitlines()[0].removeprefix("# ")
        assert titles[f"book/{path.stem}"] == f"{int(path.stem[:2])}. {heading}"


@every_page
def test_what_a_page_names_is_in_its_notebook(name):
    page, cells = read_pages()[name], {cell["id"]: cell for cell in read_cells(BOOK / f"{name}.ipynb")}
    assert set(page) <= {"answer", "figure", "open"}
    visible = page.get("open", [])
    assert len(visible) <= MOST_OPEN and all(cells[cell]["cell_type"] == "code" for cell in visible)
    if page.get("figure"):
        assert any("image/png" in output.get("data", {}) for output in cells[page["figure"]]["outputs"])


def _shows_picture(cell):
    kinds = [output.get("data", {}) for output in cell.get("outputs", ())]
    return any("image/png" in data or 'class="bumplab-figure' in "".join(data.get("text/html", "")) for data in kinds)


@every_page
def test_a_caption_begins_with_a_sentence_in_italics(name):
    """The words after a picture, or after pictures that follow each other, say in italics what to see."""
    without, waiting = [], None
    for cell in read_cells(BOOK / f"{name}.ipynb"):
        if cell["cell_type"] == "code":
            waiting = (
                cell["id"] if _shows_picture(cell) and "hide-cell" not in cell["metadata"].get("tags", ()) else waiting
            )
        elif waiting:
            first = "".join(cell["source"]).strip().split("\n\n")[0]
            without += [] if re.match(r"\*[^*](?:[^*]|\n){19,}[.?]\*(\s|$)", first) else [waiting]
            waiting = None
    assert without + [waiting] * bool(waiting) == []


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
    assert ">0.9 [0.9, 0.9]</a>" in answer_html(["Right: {a.b}."], board)
    html = answer_html(["Right: {a.b on quick}, less than {a.b}."], board)
    assert ">0.2 [-0.05, 0.45] on quick</a>" in html and ">0.9 [0.9, 0.9] on laptop</a>" in html
    words = re.sub("<[^>]*>", "", html)
    assert "of quick (3 seeds) and laptop (3 seeds)." in words and "claim fails" in html and "claim holds" in html
    assert 'title="It works. We ask for at least 0.8. laptop."' in html
    assert "(not measured)" in answer_html(["{a.b on paper}"], board)
    for sentence, words in (("{c.d}", "no claim 'c.d'"), ("{a.b on moon}", "no network 'moon'")):
        with pytest.raises(BumplabError, match=words):
            answer_html([sentence], board)
    toys = check_claim("a.b", "It works.", {"toy": [0.9] * 5}, kind="own", source="ours", at_least=0.8)
    fewer = check_claim("a.c", "It works.", {"toy": [0.9] * 3}, kind="own", source="ours", at_least=0.8)
    html = answer_html(["{a.b} {a.c}"], replace(board, rows=[("01", toys), ("01", fewer)]))
    assert "trained for this question (3 and 5 seeds)." in html and "on toy" not in html
    unmeasured = check_claim("a.b", "It works.", {"quick": []}, kind="own", source="ours", at_least=0.8)
    assert "(not measured)" in answer_html(["{a.b}"], replace(board, rows=[("01", unmeasured)]))
    assert "&lt;b&gt;" in answer_html(["<b>"], board)


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


WHOLE = '<img src="a.png" alt="Fig. 1.1. Dots." width="10" height="8">'
CODE = '<div class="cell_input"><div class="highlight">a</div></div>'


@pytest.mark.parametrize(
    "body, problem",
    [
        (f"{WHOLE}<h2>A</h2>", None),
        (f"<h2>A</h2>{WHOLE}", "no figure stands before the first section"),
        (f"{WHOLE.replace('Fig. 1.1. Dots.', 'ab' * 12)}<h2>A</h2>", "a.png has no text for those who cannot see it"),
        (f"{WHOLE.replace('height', 'color')}<h2>A</h2>", "a.png has no size"),
        (f"{WHOLE}{WHOLE}<h2>A</h2>", "2 pictures have one text, Fig. 1.1. Dots."),
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
    assert site_frame.describe_build(tmp_path) == "Built on 1970-01-02."
    root = BOOK.parent
    if (root / ".git").exists():
        words = site_frame.describe_build(root)
        assert re.fullmatch(r"Built from commit [0-9a-f]{7,}(-dirty)? on 1970-01-02\.", words)
        assert site_frame.describe_build(BOOK) == "Built on 1970-01-02."  # a folder inside of another clone
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert re.fullmatch(r"Built on 20\d\d-\d\d-\d\d\.", site_frame.describe_build(tmp_path))


def _cell(name, source, *outputs, tags=()):
    """Return a cell of code that shows pictures, interactive figures and lines of text."""
    metadata, shown = {"tags": list(tags)}, []
    for output in outputs:
        kind = "text/html" if output.startswith("<") else "image/png" if len(output) > 60 else "text/plain"
        data = {kind: output}
        shown.append({"output_type": "display_data", "data": data, "metadata": {}})
    options = {"execution_count": 1, "outputs": shown, "metadata": metadata}
    return {"cell_type": "code", "id": name, "source": source, **options}


def _words(name, source):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


CHECK = "Show the check, which gives the answer away"
MOVING = '<div class="bumplab-figure point-cloud"><img class="still" alt="A cloud of points" src="data:,"></div>'


def _picture(shade):
    file = io.BytesIO()
    Image.new("L", (30, 20), shade).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the article of a small chapter, built with the extension."""
    folder = tmp_path_factory.mktemp("site")
    book = folder / "book"
    book.mkdir()
    cells = [
        _words("title", "# A title\n\nIs it so?\n\nMore words."),
        _cell("setup", "import a"),
        _words("parameters-words", "Change them."),
        _cell("parameters", "b = 1"),
        _words("first", "## First"),
        _cell("helper", "def helper(): pass"),
        _cell("two", "show(helper)", _picture(10), _picture(20)),
        _cell("table", "print(1)", "a table"),
        _words("two-caption", "*Two pictures with $\\sigma$. Left: one.*\n\nProse."),
        _cell("teach", "open = True"),
        _cell("moving", "show()", MOVING),
        _words("moving-caption", "*A torus, to be turned by hand.* It has no picture."),
        _cell("bare", "show()", _picture(30)),
        _words("prose", "Prose without a caption.\n\n*A caption of nothing that stands here.*"),
        _cell("answer", "print(2)", "two", tags=["hide-cell"]),
        _cell("answer-1-tools", "truth = 1"),
        _cell("answer-1", "answer = None", "no answer yet"),
        _words("exercise", "**2.** How many?"),
        _cell("count", "print(3)", "three", tags=["hide-cell"]),
        _cell("again", "print(4)", "four", tags=["hide-cell"]),
        _words("count-words", "<details><summary>Solution</summary>\n\nSo many.\n\n</details>"),
        _words("last", "## Last"),
        _cell("one", "show()", _picture(40)),
        _words("one-caption", "*One picture in the last section.* It says so."),
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    (book / "07-small.ipynb").write_text(json.dumps(notebook))
    (folder / "index.md").write_text("# Root\n\n```{toctree}\nbook/07-small\nfindings\n```\n")
    (folder / "findings.md").write_text('# Found\n\n<div class="findings">\n\n- a list\n\nwords\n\n</div>\n\nAfter.\n')
    (folder / "conf.py").write_text("extensions = ['myst_nb']\nnb_execution_mode = 'off'\n")
    claim = check_claim("a.b", "It works.", {"quick": [1, 1, 1]}, kind="own", source="ours", at_least=0.8)
    texts = {"answer": ["It is {a.b} so."], "figure": "one", "open": ["teach", "answer-1"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapter_pages, "BOOK", book)
        patch.setattr(chapter_pages, "read_pages", lambda: {"07-small": texts})
        patch.setattr(chapter_pages, "read_board", lambda: Scoreboard([("07-small", claim)]))
        app = Sphinx(folder, folder, folder / "out", folder / "trees", "html", status=None, warning=None)
        patch.setattr(chapter_pages, "answer_findings", lambda board: Answers((), f"{len(board.rows)} claim"))
        chapter_pages.setup(app)
        app.build()
        found = (folder / "out" / "findings.html").read_text(encoding="utf-8")
        app = Sphinx(folder, folder, folder / "tex", folder / "trees-tex", "latex", status=None, warning=None)
        chapter_pages.setup(app)
        app.build()
    html = (folder / "out" / "book" / "07-small.html").read_text(encoding="utf-8")
    article = BeautifulSoup(html, "html.parser").find("div", role="main")
    article.findings = found, next((folder / "tex").glob("*.tex")).read_text(encoding="utf-8")
    return article


def test_findings_are_coloured_on_a_page_and_a_list_in_latex(page):
    html, tex = page.findings
    assert '<div class="answers"><p>1 claim</p></div>' in html and "a list" not in html and "After." in html
    assert "a list" in tex and "After." in tex


def test_the_answer_and_the_figure_come_first(page):
    first = page.find(class_="first-screen")
    assert first.find_previous("p").text == "Is it so?" and "1 [1, 1]" in first.text
    hero = page.find("img", class_="hero")
    assert hero["alt"] == "Fig. 7.3. One picture in the last section." and first.find_next("img") is hero
    line = page.find(class_="hero-line")
    assert line.text == "Fig. 7.3 One picture in the last section." and line.a["href"] == "#fig-7-3"
    assert page.find("a", href="#fig-7-3").text == "Fig. 7.3" and len(page.find_all(id="fig-7-3")) == 1


def test_an_interactive_figure_is_in_the_same_count(page):
    moving = page.find(class_="bumplab-figure")
    assert moving.find("img")["alt"] == "Fig. 7.2. A cloud of points"
    caption = page.find(id="fig-7-2")
    assert caption.text.startswith("Fig. 7.2 A torus, to be") and moving.find_next("p") is caption


def test_code_is_folded_but_where_it_teaches(page):
    titles = [(summary.find("p") or summary).text for summary in page.find_all("summary")]
    shown = ["Show the code"]
    assert titles == ["Run this chapter: set-up and parameters", *shown * 4, "Solution", CHECK, "Solution", *shown]
    assert not page.find_all("summary", attrs={"aria-label": True})
    code = [[block.text.strip() for block in fold.find_all(class_="highlight")] for fold in page.find_all("details")]
    assert code[0] == ["import a", "b = 1"] and code[1] == ["def helper(): pass", "show(helper)"]
    visible = [block for block in page.find_all(class_="highlight") if not block.find_parent("details")]
    assert [block.text.strip() for block in visible if block.find_parent(class_="cell_input")] == [
        "open = True",
        "answer = None",
    ]


def test_a_solution_is_one_fold_of_code_and_words(page):
    solution = next(summary for summary in page.find_all("summary") if summary.text == "Solution").parent
    assert solution.text.split() == ["Solution", "print(3)", "three", "print(4)", "four", "So", "many."]
    assert not solution.find("details")
    assert "How many?" in solution.find_previous("p").text


def test_figures_have_numbers_texts_and_sizes(page):
    images = [image for image in page.find_all("img") if not {"hero", "still"} & set(image.get("class", ()))]
    assert [image["alt"] for image in images] == [
        "Fig. 7.1, picture 1. Two pictures with sigma.",
        "Fig. 7.1, picture 2. Two pictures with sigma.",
        "Picture 3 of this page, in the section: First",
        "Fig. 7.3. One picture in the last section.",
    ]
    assert {(image["width"], image["height"]) for image in images} == {("30", "20")}
    caption = page.find(id="fig-7-1")
    assert caption.text.startswith("Fig. 7.1 Two pictures") and caption.find_previous("img") is images[1]
    assert caption.find_next("pre").text.strip() != "a table"  # it stands above the code of the table
    assert find_problems(str(page)) == []
