"""A Sphinx extension: make pages of chapters that say their answer first.

What a page shows beyond its notebook stands in ``book/pages.yml``, by chapter:

``answer``
    Sentences for the top of the page; ``{claim}`` stands for the number of a claim, taken from the outputs of the
    chapters, as the scoreboard takes it, ``{claim on quick}`` for that on a network.
``figure``
    The cell whose figure stands below them.
``open``
    The cells whose code a reader should see; all other code is folded, together with that of the next figure.

Figures get a number, an address (``#fig-5-3``), their size, and a text for readers who cannot see them, the first
sentence of their caption: the first paragraph after the figure that begins in italics.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.transforms.post_transforms import SphinxPostTransform

from bumplab.chapters.answers import answer_findings
from bumplab.chapters.catalogue import read_cells
from bumplab.chapters.claim_pages import chip
from bumplab.chapters.measurements import join_words
from bumplab.chapters.scoreboard import Scoreboard, collect_claims

BOOK = Path(__file__).resolve().parents[1]
_CLAIM = re.compile(r"\{([\w.-]+)(?: on ([\w-]+))?\}")
#: A chapter's own page, and its number.
_CHAPTER = re.compile(r"book/((\d\d)-[\w-]+)")
#: The end of a sentence: not the point of an abbreviation.
_SENTENCE = re.compile(r"(?<=[^.\s][^.\s][.!?])\s(?=[A-Z])")


def read_pages() -> dict[str, dict[str, Any]]:
    """Return what ``pages.yml`` says of each chapter."""
    return yaml.safe_load((BOOK / "pages.yml").read_text(encoding="utf-8"))


def answer_html(sentences: list[str], board: Scoreboard) -> str:
    """Return sentences with the numbers and verdicts of the claims that they name, and what those were measured on.

    Raises
    ------
    BumplabError
        If a claim is not in the outputs of the chapters.
    """
    measured: dict[str, None] = {}

    def number(match: re.Match) -> str:
        claim = board[match[1]]
        one = (claim.on(match[2]) if match[2] else None) or claim.headline
        if one.network:
            measured[f"{one.label} ({one.seeds} seed{'s' * (one.seeds != 1)})"] = None
        value = "not measured" if one.value is None else f"{one.value:g} {one.ends()}".strip()
        return f'<a href="#claims">{value}</a> {chip(one.verdict, one.verdict)}'

    body = "".join(f"<li>{_CLAIM.sub(number, escape(sentence, quote=False))}</li>" for sentence in sentences)
    note = f"<p>Means over seeds and 95 % intervals on {join_words(list(measured))}.</p>" if measured else ""
    return f'<div class="first-screen"><ul>{body}</ul>{note}</div>'


def caption_sentence(text: str, most: int = 200) -> str:
    """Return the first sentence of a caption, cut at a word where it is long.

    Examples
    --------
    >>> caption_sentence("Accuracy at 0.5 pixels, e.g. in x. Dots are seeds.")
    'Accuracy at 0.5 pixels, e.g. in x.'
    """
    sentence = _SENTENCE.split(" ".join(text.split()), maxsplit=1)[0]
    return sentence if len(sentence) <= most else sentence[:most].rsplit(" ", 1)[0] + " ..."


def png_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of a PNG in pixels; None for another file."""
    with path.open("rb") as file:
        head = file.read(24)
    return struct.unpack(">II", head[16:]) if head.startswith(b"\x89PNG") and len(head) == 24 else None


class _ChapterTransform(SphinxPostTransform):
    """A transform of the pages that ``pages.yml`` knows."""

    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        match = _CHAPTER.fullmatch(self.env.docname)
        page = read_pages().get(match[1]) if match else None
        if page:
            self.name, self.number = match[1], int(match[2])
            ids = [cell["id"] for cell in read_cells(BOOK / f"{self.name}.ipynb")]
            cells = {ids[node["cell_index"]]: node for node in self.code_cells()}
            self.change(page, cells)

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        """Change the page."""
        raise NotImplementedError

    def code_cells(self) -> list[nodes.container]:
        """Return the cells of code, in their order."""
        return [node for node in self.document.findall(nodes.container) if node.get("nb_element") == "cell_code"]


class FoldCode(_ChapterTransform):
    """Fold all code but that of the open cells; what precedes the first section under one title."""

    default_priority = 198  # before myst_nb wraps what is to be hidden

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        for id, cell in cells.items():
            if cell.get("hide_mode") == "all":
                cell["prompt_show"], cell["prompt_hide"] = "Solution", "Hide the solution"
            elif _source(cell) and id not in page.get("open", ()):
                cell["hide_mode"] = "input"
                cell["prompt_show"], cell["prompt_hide"] = "Show the code", "Hide the code"
        for cell in list(cells.values()):
            self.join(cell)
        self.fold_beginning()

    @staticmethod
    def join(cell: nodes.container) -> None:
        """Move the code of a folded cell without an output into the next one, if that follows at once."""
        following = cell.next_node(descend=False, siblings=True)
        alone = len(cell.children) == 1 and cell.get("hide_mode") == "input"
        if alone and _is_folded(following) and following.parent is cell.parent:
            joint = nodes.container(nb_element="cell_code_source")
            joint += [*cell.children, *following.children[:1]]
            following[0] = joint
            cell.parent.remove(cell)

    def fold_beginning(self) -> None:
        """Put everything from the first cell to the first section under one title."""
        top = next(iter(self.document.findall(nodes.section)))
        begin = next((k for k, node in enumerate(top) if node.get("nb_element") == "cell_code"), None)
        if begin is None:
            return
        end = next((k for k, node in enumerate(top) if isinstance(node, nodes.section)), len(top))
        fold = HideCodeCellNode(
            prompt_show="Run this chapter: set-up and parameters", prompt_hide="Hide set-up and parameters"
        )
        fold["classes"] += ["above-input", "run-chapter"]
        fold += top.children[begin:end]
        for cell in fold.findall(nodes.container):
            if cell.get("hide_mode") == "input":
                cell["hide_mode"] = None
        box = nodes.container("", fold, classes=["cell", "tag_hide-input"])
        top.children[begin:end] = [box]
        box.parent = top


class NumberFigures(_ChapterTransform):
    """Give figures a number, an address, a size, and a text for readers who cannot see them."""

    default_priority = 300  # when images have been chosen

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        count, waiting = 0, []
        for node in list(self.document.findall(lambda node: isinstance(node, nodes.image | nodes.paragraph))):
            if isinstance(node, nodes.image):
                if _in_output(node):
                    waiting.append(node)
                    self.measure(node)
            elif waiting and _is_caption(node) and not _in_output(node):
                count, images, waiting = count + 1, waiting, []
                self.name_figure(count, images, node)
                self.move_up(images[-1], node)
        for image in self.document.findall(nodes.image):
            if _in_output(image) and not image.get("alt", "").startswith("Fig. "):
                image["alt"] = f"A figure of the section: {_section_title(image)}"

    def measure(self, image: nodes.image) -> None:
        """Say how large an image is, so that a page does not move while it loads."""
        path = Path(self.env.srcdir) / image["uri"].lstrip("/")
        size = png_size(path) if path.is_file() else None
        if size:
            image["width"], image["height"] = (f"{pixels}px" for pixels in size)

    @staticmethod
    def move_up(image: nodes.image, caption: nodes.paragraph) -> None:
        """Move a caption to its figure, where no more than code and its outputs stand between them."""
        cell = next(node for node in _parents(image) if isinstance(node, nodes.container) and "cell" in node["classes"])
        if cell.parent is caption.parent:
            here, there = (cell.parent.index(node) for node in (cell, caption))
            if all("cell" in node.get("classes", ()) for node in cell.parent[here + 1 : there]):
                cell.parent.remove(caption)
                cell.parent.insert(here + 1, caption)

    def name_figure(self, count: int, images: list[nodes.image], caption: nodes.paragraph) -> None:
        """Number the images before a caption: the caption's figure, and parts of it."""
        label = f"Fig. {self.number}.{count}"
        for image in images:
            image["alt"] = f"{label}. {caption_sentence(caption.astext())}"
        caption["ids"].append(f"fig-{self.number}-{count}")
        caption["classes"].append("figure-caption")
        link = nodes.reference("", label, refuri=f"#fig-{self.number}-{count}", classes=["figure-number"])
        caption.insert(0, [link, nodes.Text(" ")])


class ShowFirst(_ChapterTransform):
    """Put answer and best figure below the question."""

    default_priority = 310  # when figures have numbers

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        top = next(iter(self.document.findall(nodes.section)))
        question = [k for k, node in enumerate(top) if isinstance(node, nodes.paragraph) and not _is_badge(node)][0]
        first: list[nodes.Node] = []
        if page.get("answer"):
            first.append(nodes.raw("", answer_html(page["answer"], collect_claims(BOOK)), format="html"))
        image = next(iter(cells[page["figure"]].findall(nodes.image)), None) if page.get("figure") else None
        if image is not None:
            copy = image.deepcopy()
            copy["classes"] = [*copy.get("classes", []), "hero"]
            first.append(copy)
        top.children[question + 1 : question + 1] = first
        for node in first:
            node.parent = top
        for badge in [node for node in top.children if _is_badge(node) and "/OWNER/" in node.rawsource + str(node)]:
            top.remove(badge)  # there is no public address yet


class ShowFindings(SphinxPostTransform):
    """Put the answers of the scoreboard where a page has an empty ``<div class="findings">``."""

    default_priority = 310
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.raw)):
            if 'class="findings"' in node.astext():
                html = answer_findings(collect_claims(BOOK))._repr_mimebundle_()["text/html"]
                node.replace_self(nodes.raw("", html, format="html"))


def _source(cell: nodes.container) -> bool:
    return bool(cell.children) and cell[0].get("nb_element") == "cell_code_source"


def _is_folded(node: nodes.Node | None) -> bool:
    return isinstance(node, nodes.container) and node.get("hide_mode") == "input" and _source(node)


def _parents(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _in_output(node: nodes.Node) -> bool:
    return any(
        parent.get("nb_element") == "cell_code_output"
        for parent in _parents(node)
        if isinstance(parent, nodes.container)
    )


def _section_title(node: nodes.Node) -> str:
    return next((parent[0].astext() for parent in _parents(node) if isinstance(parent, nodes.section)), "")


def _is_caption(node: nodes.paragraph) -> bool:
    return bool(node.children) and isinstance(node[0], nodes.emphasis) and len(node.astext()) > 20


def _is_badge(node: nodes.Node) -> bool:
    return isinstance(node, nodes.paragraph) and node.astext() == "Open in Colab"


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    for transform in (FoldCode, NumberFigures, ShowFirst, ShowFindings):
        app.add_post_transform(transform)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
