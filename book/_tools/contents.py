"""Which notebooks are chapters: those that ``_toc.yml`` names, and no other file that lies beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml


def _pages(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (node[key] for key in ("root", "file") if key in node)
        node = list(node.values())
    for child in node if isinstance(node, list) else ():
        yield from _pages(child)


def find_chapters(root: Path) -> list[Path]:
    """Return the notebooks that ``_toc.yml`` names, in reading order."""
    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [path for page in _pages(contents) if (path := root / f"{page}.ipynb").is_file()]


def find_strays(root: Path) -> list[Path]:
    """Return the notebooks beside the chapters that ``_toc.yml`` does not name, such as copies made by hand."""
    return sorted(set((root / "book").glob("*.ipynb")) - set(find_chapters(root)))
