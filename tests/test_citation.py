"""How to cite the book: CITATION.cff for GitHub, .zenodo.json for an archive, and the line in the files of data."""

import json
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

import bumplab
from book._tools.fill_pages import BOOK
from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.chapters.scoreboard import CITATION

ROOT = BOOK.parent
CFF = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
BIBLIOGRAPHY = (BOOK / "references.bib").read_text(encoding="utf-8")

#: Of the published schema of Zenodo's metadata (zenodraft/metadata-schema-zenodo), the part that this book uses.
TEXT = {"type": "string", "minLength": 1}
RELATED = {
    "identifier": {"type": "string", "pattern": r"^arXiv:\d{4}\.\d{5}$"},
    "relation": {"enum": ["cites", "references", "isDerivedFrom", "isSupplementTo", "isDocumentedBy"]},
    "resource_type": {"enum": ["publication-article", "publication-conferencepaper", "publication-preprint"]},
    "scheme": {"enum": ["arxiv"]},
}
ZENODO_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title", "upload_type", "description", "creators", "access_right", "license"],
    "properties": {
        "title": TEXT,
        "upload_type": {"const": "software"},
        "version": TEXT,
        "license": {"enum": ["MIT"]},  # by its identifier of SPDX
        "access_right": {"enum": ["open", "embargoed", "restricted", "closed"]},
        "language": {"type": "string", "pattern": "^[a-z]{2,3}$"},
        "description": TEXT,
        "creators": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": TEXT,
                    "affiliation": TEXT,
                    "orcid": {"type": "string", "pattern": r"^(\d{4}-){3}\d{3}[\dX]$"},
                },
            },
        },
        "keywords": {"type": "array", "uniqueItems": True, "items": TEXT},
        "related_identifiers": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["identifier", "relation"],
                "properties": RELATED,
            },
        },
    },
}


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
    Draft202012Validator.check_schema(ZENODO_SCHEMA)
    assert [error.message for error in Draft202012Validator(ZENODO_SCHEMA).iter_errors(ZENODO)] == []


@pytest.mark.parametrize(
    "change, words",
    [
        ({"licence": "MIT"}, "'licence' was unexpected"),
        ({"upload_type": "book"}, "'software' was expected"),
        ({"language": "English"}, "'English' does not match"),
        ({"creators": [{"name": "A", "orcid": "0000-0002-1825-009"}]}, "does not match"),
        ({"related_identifiers": [{"identifier": "arXiv:2408.13256"}]}, "'relation' is a required property"),
    ],
)
def test_a_field_that_zenodo_would_refuse_is_seen(change, words):
    (error,) = Draft202012Validator(ZENODO_SCHEMA).iter_errors(ZENODO | change)
    assert words in error.message


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


@pytest.mark.parametrize("path", chapter_paths(), ids=lambda path: path.stem)
def test_every_chapter_leads_to_the_related_work(path):
    words = "".join("".join(cell["source"]) for cell in read_cells(path) if cell["cell_type"] == "markdown")
    assert "elated work](related.md)" in words
