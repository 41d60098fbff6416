"""Which notebooks are chapters: a copy made by hand is none, and stops nothing."""

import json
import shutil

import pytest

from bumplab.chapters.catalogue import chapter_names, chapter_path, chapter_paths, read_cells, stray_notebooks
from bumplab.chapters.claims import Claim, check_claim
from bumplab.chapters.scoreboard import collect_claims
from bumplab.common.errors import BumplabError
from bumplab.common.files import book_folder
from patching import replace_everywhere

COPIES = (
    "03-manifold copy.ipynb",
    "03-manifold (1).ipynb",
    "03-manifold-out.ipynb",
    "03-manifold-0123456789ab.part.ipynb",
    "03-manifold-Copy1.ipynb",
    "Untitled.ipynb",
)
CONTENTS = """\
format: jb-book
root: book/intro
parts:
  - chapters: [{file: book/03-manifold}, {file: book/01-worlds, sections: [{file: book/04-last}]}, {file: book/notes}]
"""


def write_chapter(path, name):
    claim: Claim = check_claim(name, "It holds.", [1, 2], kind="own", source="this book", network="quick", at_least=0)
    output = {"output_type": "display_data", "metadata": {}, "data": claim._repr_mimebundle_()}
    cell = {"cell_type": "code", "metadata": {}, "source": [], "outputs": [output], "execution_count": 1}
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Return the folder of an installed book of two chapters, with copies of one beside them."""
    folder = tmp_path / "book"
    folder.mkdir()
    write_chapter(folder / "03-manifold.ipynb", "a.three")
    write_chapter(folder / "01-worlds.ipynb", "a.one")
    for copy in COPIES[:-1]:
        shutil.copy(folder / "03-manifold.ipynb", folder / copy)
    (folder / COPIES[-1]).write_text("{")
    replace_everywhere(monkeypatch, "bumplab.common.files.book_folder", lambda: folder)
    return folder


def test_copies_in_an_installed_book_are_no_chapters(book):
    assert chapter_names() == ["01-worlds", "03-manifold"]
    assert chapter_path("03") == book / "03-manifold.ipynb"
    assert [name for name, _ in collect_claims(book).rows] == ["01-worlds", "03-manifold"]
    assert stray_notebooks() == []


def test_in_a_checkout_the_contents_name_the_chapters_and_their_order(book):
    (book.parent / "_toc.yml").write_text(CONTENTS)
    write_chapter(book / "02-not-listed.ipynb", "a.one")
    write_chapter(book / "notes.ipynb", "a.one")
    assert chapter_names() == ["03-manifold", "01-worlds"]
    assert [name for name, _ in collect_claims(book).rows] == ["03-manifold", "01-worlds"]
    assert stray_notebooks() == sorted(book / name for name in (*COPIES, "02-not-listed.ipynb"))
    with pytest.raises(BumplabError, match=r"^There is no chapter '02': use one of 03-manifold, 01-worlds\.$"):
        chapter_path("02")


def test_a_copy_can_be_named_by_its_path(book):
    assert chapter_path(str(book / COPIES[0])) == book / COPIES[0]


def test_a_broken_chapter_is_named(book):
    (book / "01-worlds.ipynb").write_text('{"cells": [')
    with pytest.raises(BumplabError, match=r"01-worlds\.ipynb is not a notebook\.$"):
        collect_claims(book)


def test_broken_contents_are_named(book):
    (book.parent / "_toc.yml").write_text("[")
    with pytest.raises(BumplabError, match=r"_toc\.yml is not a table of contents; take it [^\n]*\.$"):
        chapter_names()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": [3]}', '{"cells": [{"source": "a"}]}', "\xff"])
def test_what_is_no_notebook_is_refused(text, tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BumplabError, match=r"a\.ipynb is not a notebook\.$"):
        read_cells(path)


def test_the_chapters_of_this_book_are_in_its_folder_and_numbered_once():
    numbers = [path.stem[:2] for path in chapter_paths()]
    later = numbers.index("10")  # added between two that were there, whose file names stay
    assert numbers[later - 1 : later + 2] == ["04", "10", "05"]
    assert numbers[-1] == "09"  # the scoreboard, which gathers what stands before it
    in_order = numbers[:later] + numbers[later + 1 : -1]
    assert in_order == sorted(set(in_order)) and {path.parent for path in chapter_paths()} == {book_folder()}
