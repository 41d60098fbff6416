"""A Sphinx extension: fold on a chapter's page what a reader may want to look up, but need not scroll past.

=======================  ==============================================================================================
what                     what stays in sight
=======================  ==============================================================================================
a claim's measurements   its headline; how many others there are, and their verdicts
printed lists            those of up to eight lines
sections named Further   their first paragraph
the code of claims       one fold for all of a chapter, before the first claim
=======================  ==============================================================================================

All of it is a ``<details>``: browsers open it where a link or a search leads into it, and the PDF shows it open.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.transforms.post_transforms import SphinxPostTransform

from book._tools.first_screens import read_board
from bumplab.chapters.claims import Claim

MOST_ROWS, MOST_LINES = 3, 8
_CHAPTER = re.compile(r"book/(0[1-8]|[1-9]\d)-[\w-]+")
_FURTHER = re.compile(r"\bFurther\b")
_CLAIMS = "Claims"


@cache
def read_claims() -> dict[str, Claim]:
    """Return the claims of all chapters by their names."""
    return {claim.name: claim for _, claim in read_board().rows}


def fold_rows(html: str, claim: Claim) -> str:
    """Return the page of a claim with its headline in sight and its other measurements folded, if they are many.

    Parameters
    ----------
    html : str
        What a claim shows in a notebook.
    claim : Claim
        The same claim.
    """
    if len(claim.measurements) <= MOST_ROWS:
        return html
    page = BeautifulSoup(html, "html.parser")
    rows = page.select("tbody > tr")
    headline = rows.pop(claim.measurements.index(claim.headline))
    verdicts = Counter(one.verdict for one in claim.measurements if one is not claim.headline)
    words = ", ".join(f"{count} {_verb(verdict, count)}" for verdict, count in verdicts.most_common())
    what = "networks and layers" if len({one.layer for one in claim.measurements}) > 1 else "networks"
    fold = BeautifulSoup(
        f"<details><summary>{len(rows)} more {what}: {words}</summary><table><tbody></tbody></table></details>",
        "html.parser",
    )
    for row in rows:
        fold.tbody.append(row.extract())
    headline.find_parent("table").insert_after(fold)
    return str(page)


def _verb(verdict: str, count: int) -> str:
    return verdict.removesuffix("s") if count > 1 else verdict


class FoldPages(SphinxPostTransform):
    """Fold what the table above names."""

    default_priority = 330  # when captions stand where they belong
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        if not _CHAPTER.fullmatch(self.env.docname):
            return
        for node in list(self.document.findall(nodes.raw)):
            name = re.match(r'<div class="claim .*?<code>([\w.-]+)</code>', node.astext())
            if name and name[1] in read_claims():
                node.children[:] = [nodes.Text(fold_rows(node.astext(), read_claims()[name[1]]))]
        for node in list(self.document.findall(nodes.literal_block)):
            count = len(node.astext().splitlines())
            if "output" in node.get("classes", ()) and count > MOST_LINES:
                wrap(node.parent, node.parent.index(node), node.parent.index(node) + 1, f"{count} lines of numbers")
        for section in list(self.document.findall(nodes.section)):
            if section[0].astext() == _CLAIMS:
                join_code(section)
            if _FURTHER.search(section[0].astext()) and isinstance(section.parent.parent, nodes.document):
                words = next((k for k, node in enumerate(section) if isinstance(node, nodes.paragraph)), 0)
                wrap(section, words + 1, len(section), "Show this section")


def join_code(section: nodes.section) -> None:
    """Put all folded code of a section into its first fold."""
    folds = list(section.findall(HideCodeCellNode))
    for fold in folds[1:]:
        folds[0] += fold.children
        cell = fold.parent
        cell.remove(fold)
        if not cell.children:
            cell.parent.remove(cell)
    if len(folds) > 1:
        folds[0]["prompt_show"], folds[0]["prompt_hide"] = "Show the code of all claims", "Hide the code of all claims"


def wrap(parent: nodes.Element, begin: int, end: int, title: str) -> None:
    """Put some children of a node into a fold."""
    opening = nodes.raw("", f'<details class="fold"><summary>{title}</summary>', format="html")
    closing = nodes.raw("", "</details>", format="html")
    for place, node in ((end, closing), (begin, opening)):
        parent.insert(place, node)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_post_transform(FoldPages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
