"""Words of the glossary, explained where a chapter first uses them."""

import re

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx

from book._tools import glossary
from book._tools.glossary import NOTATION, address_of, find_first, read_glossary

NOTES = """# Notation

**gap, wide gap**
: What $x$ *leaves* out.

**F, score**
: At most 1 {cite:p}`someone`.

**preset: quick, paper**
: Networks.

**reach**
: How far.
"""
CHAPTER = """# The gap

First [a gap](https://a.org/gap) and `gap`, gaps, then a Wide gap, a gap and a score.

Again a score, the paper, and what they reach. F.
"""


def test_every_entry_is_explained_in_plain_words():
    words = read_glossary()
    assert {"copier", "hyper-factorization", "DDIM", "Student", "layer 4"} <= set(words)
    for address, text in words.values():
        assert re.fullmatch(r"word-[a-z0-9-]+", address) and len(text) > 15
        assert not re.search(r"[{}`$*]", text)
    headings = re.findall(r"^\*\*(.+?)\*\*$", NOTATION.read_text(encoding="utf-8"), re.MULTILINE)
    addresses = [address_of(heading) for heading in headings]
    assert len(addresses) == len(set(addresses)) and {address for address, _ in words.values()} <= set(addresses)


@pytest.mark.parametrize(
    "text, word", [("A wide gap.", "wide gap"), ("gaps, gap-like, stop-gap", None), ("GAP", "GAP"), ("none", None)]
)
def test_the_first_whole_and_longest_word_is_found(text, word):
    match = find_first(text, {"gap": 1, "wide gap": 2})
    assert (match and match[0]) == word and find_first(text, {}) is None


def test_a_word_is_explained_once_and_not_in_links_code_or_headings(tmp_path, monkeypatch):
    book = tmp_path / "book"
    book.mkdir()
    (book / "notation.md").write_text(NOTES)
    (book / "01-small.md").write_text(CHAPTER)
    (book / "other.md").write_text("# Other\n\nA gap.\n")
    (tmp_path / "index.md").write_text("# Root\n\n```{toctree}\nbook/notation\nbook/01-small\nbook/other\n```\n")
    (tmp_path / "conf.py").write_text("extensions = ['myst_nb']\nmyst_enable_extensions = ['deflist']\n")
    words = read_glossary(book / "notation.md")
    assert set(words) == {"gap", "wide gap", "score"} and words["gap"] == ("word-gap", "What x leaves out.")
    monkeypatch.setattr(glossary, "read_glossary", lambda: words)
    app = Sphinx(tmp_path, tmp_path, tmp_path / "out", tmp_path / "trees", "html", status=None, warning=None)
    glossary.setup(app)
    app.build()
    files = (tmp_path / "out" / "book").glob("*.html")
    pages = {path.stem: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in files}
    links = pages["01-small"].find_all("a", class_="glossary")
    assert [(link.text, link["href"]) for link in links] == [
        ("Wide gap", "notation.html#word-gap"),
        ("score", "notation.html#word-f"),
    ]
    assert links[0]["title"] == "What x leaves out." and links[1]["title"] == "At most 1 ."
    assert [entry.find("span")["id"] for entry in pages["notation"].find_all("dt")[:2]] == ["word-gap", "word-f"]
    assert not any(pages[name].find_all("a", class_="glossary") for name in ("other", "notation"))
    assert "then a Wide gap, a gap and a score." in pages["01-small"].text
