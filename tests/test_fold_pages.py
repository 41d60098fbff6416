"""Pages fold what is to be looked up, and keep in sight what is to be read."""

import json

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from book._tools import fold_pages
from bumplab.chapters.claims import check_claim

VALUES = {
    ("quick", "attention2"): [0.1, 0.2, 0.1],
    ("quick", "up1"): [0.9, 0.9, 0.9],
    ("laptop", "attention2"): [0.9, 0.9, 0.95],
    ("laptop", "up1"): [0.9, 0.91, 0.9],
}
CLAIM = check_claim("a.b", "It works.", VALUES, kind="own", source="ours", at_least=0.8, limits=(0, 1))
HTML = CLAIM._repr_mimebundle_()["text/html"]


def test_the_headline_stays_and_the_others_are_folded_and_counted():
    page = BeautifulSoup(fold_pages.fold_rows(HTML, CLAIM), "html.parser")
    assert page.details.summary.text == "3 more networks and layers: 2 hold, 1 fails"
    (row,) = [row for row in page.select("tr") if not row.find_parent("details")]
    assert row.th.text == "laptop" and "attention2" in row.text and "0.92" in row.text
    everything = sorted(row.text for row in BeautifulSoup(HTML, "html.parser").select("tr"))
    assert sorted(row.text for row in page.select("tr")) == everything
    assert page.details.find_next_sibling("p").text.startswith("We ask for at least 0.8")


def test_few_measurements_are_not_folded():
    few = check_claim("a.b", "It works.", [0.9, 0.9, 0.9], kind="mathematics", source="ours", at_least=0.8)
    html = few._repr_mimebundle_()["text/html"]
    assert fold_pages.fold_rows(html, few) == html


def _code(id, source="show()", tags=(), **output):
    options = {"execution_count": 1, "metadata": {"tags": list(tags)}, "source": source, "id": id}
    return {"cell_type": "code", "outputs": [output] if output else [], **options}


def _words(name, source):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return a chapter and the scoreboard, with the same cells."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "book").mkdir()
    cells = [
        _words("title", "# A title\n\nA question."),
        _words("first", "## First"),
        _code("short", output_type="stream", name="stdout", text="line\n" * 8),
        _code("long", output_type="stream", name="stdout", text="line\n" * 9),
        _code("claim", output_type="display_data", metadata={}, data={"text/html": HTML}),
        _words("further", "## 2. Further: more\n\nWhat it is.\n\nAll the rest.\n\n### Below\n\nDeep."),
        _words("claims", "## Claims"),
        _code("values", "values = 1", tags=["hide-input"]),
        _code("one", "check(1)", ["hide-input"], output_type="stream", name="stdout", text="one"),
        _code("two", "check(2)", ["hide-input"], output_type="stream", name="stdout", text="two"),
        _words("last", "## Last\n\nEnd."),
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    for name in ("07-small", "09-scoreboard"):
        (folder / "book" / f"{name}.ipynb").write_text(json.dumps(notebook))
    (folder / "index.md").write_text("# Root\n\n```{toctree}\nbook/07-small\nbook/09-scoreboard\n```\n")
    (folder / "conf.py").write_text("extensions = ['myst_nb']\nnb_execution_mode = 'off'\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_pages, "read_claims", lambda: {"a.b": CLAIM})
        app = Sphinx(folder, folder, folder / "out", folder / "trees", "html", status=None, warning=None)
        fold_pages.setup(app)
        app.build()
    texts = [(folder / "out/book" / f"{name}.html").read_text() for name in ("07-small", "09-scoreboard")]
    return [BeautifulSoup(text, "html.parser").find("div", role="main") for text in texts]


def test_long_lists_claims_and_further_sections_are_folded(pages):
    chapter, _ = pages
    folds = {fold.summary.text: fold for fold in chapter.find_all("details")}
    assert list(folds)[:3] == ["9 lines of numbers", "3 more networks and layers: 2 hold, 1 fails", "Show this section"]
    assert folds["9 lines of numbers"].find("pre").text == "line\n" * 9
    further = folds["Show this section"]
    assert further.find_previous("p").text == "What it is." and further.find_previous("h2").text.startswith(
        "2. Further"
    )
    assert "All the rest." in further.text and "Deep." in further.text and "End." not in further.text
    assert "End." in chapter.text


def test_the_code_of_all_claims_is_one_fold(pages):
    (claims,) = [section for section in pages[0].find_all("section") if section.get("id") == "claims"]
    (fold,) = claims.find_all("details")
    assert "Show the code of all claims" in fold.summary.text
    assert [block.text.strip() for block in fold.find_all(class_="highlight")] == ["values = 1", "check(1)", "check(2)"]
    outputs = claims.select(".cell_output")
    assert [output.text.strip() for output in outputs] == ["one", "two"]
    assert all(cell.find() for cell in claims.select(".cell"))


def test_the_scoreboard_folds_for_itself(pages):
    assert len(pages[1].find_all("details")) == 3  # the code of its cells, which is hidden as it says
