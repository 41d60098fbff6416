"""How to cite the book: CITATION.cff for GitHub, .zenodo.json for an archive, and the line in the files of data."""

import json
import re

import yaml

import bumplab
from book._tools.fill_pages import BOOK
from bumplab.chapters.scoreboard import CITATION

ROOT = BOOK.parent
CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
BIBLIOGRAPHY = (BOOK / "references.bib").read_text(encoding="utf-8")


def test_both_say_the_same():
    for name in ("title", "version", "license", "keywords"):
        assert CFF[name] == ZENODO[name]
    assert CFF["version"] == bumplab.__version__
    assert [author["name"] for author in CFF["authors"]] == [creator["name"] for creator in ZENODO["creators"]]
    plain = re.sub(r"<[^>]+>", "", ZENODO["description"]).replace("&ldquo;", '"').replace("&rdquo;", '"')
    assert plain == " ".join(CFF["abstract"].split())
    assert CFF["license"] == "MIT" and (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


def test_the_line_in_the_data_is_of_the_same_title_and_authors():
    author, title = CITATION.split(": ")
    assert author == CFF["authors"][0]["name"] and title.startswith(CFF["title"].replace(": ", ", "))


def test_fields_are_those_of_the_formats():
    """Of the Citation File Format 1.2.0 and of Zenodo's deposits, as far as these files use them."""
    assert CFF["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(CFF)
    assert CFF["type"] == ZENODO["upload_type"] == "software"
    for reference in CFF["references"]:
        assert {"type", "title", "authors"} <= set(reference)
    for entry in ZENODO["related_identifiers"]:
        assert entry["relation"] == "references" and entry["scheme"] == "arxiv"
        assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", entry["identifier"])


def test_what_is_referred_to_is_in_the_bibliography():
    identifiers = [entry["identifier"] for entry in ZENODO["related_identifiers"]]
    identifiers += [entry["value"] for reference in CFF["references"] for entry in reference["identifiers"]]
    assert all(identifier in BIBLIOGRAPHY for identifier in identifiers)


def test_related_work_is_of_others_and_each_bears_on_a_chapter():
    text = (BOOK / "related.md").read_text(encoding="utf-8")
    others = text.split("## The works that this book reproduces")[0]
    works = set(re.findall(r"\{cite:t\}`(\w+)`", others))
    assert len(works) >= 10 and not any(work.startswith("liang") for work in works)
    assert all(f"{{{work}," in BIBLIOGRAPHY for work in works)
    for section in others.split("\n## ")[1:]:
        assert re.search(r"\{doc\}`\d\d-", section)
