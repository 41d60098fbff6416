"""Which notebooks are pages of the book: those that ``_toc.yml`` names, and no other file that lies beside them."""

from __future__ import annotations

from pathlib import Path

from bumplab.chapters.catalogue import listed_notebooks, stray_notebooks


def find_chapters(root: Path) -> list[Path]:
    """Return the notebooks that ``_toc.yml`` names, in reading order."""
    return listed_notebooks(root / "_toc.yml")


def find_strays(root: Path) -> list[Path]:
    """Return the notebooks beside the chapters that ``_toc.yml`` does not name, such as copies made by hand."""
    return stray_notebooks(root / "book")
