"""A Sphinx extension: make pages of chapters that say their answer first.

What a page shows beyond its notebook stands in ``book/pages.yml``, by chapter:

``answer``
    Sentences for the top of the page, see :func:`book._tools.first_screens.answer_html`.
``figure``
    The cell whose figure stands below them.
``open``
    The cells whose code a reader should see; all other code is folded, together with that of the next figure, and
    that of a solution with its words.

Figures, still and interactive ones in one count, get a number, an address (``#fig-5-3``), their size, and a text for
readers who cannot see them, the first sentence of their caption: a paragraph after the figure that begins in italics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode, depart_HideCellInput
from sphinx.transforms.post_transforms import SphinxPostTransform

from book._tools.first_screens import BOOK, answer_html, caption_sentence, png_size, read_board, read_pages
from bumplab.chapters.answers import answer_findings
from bumplab.chapters.catalogue import read_cells

#: A page in the book's folder, and the number of a chapter.
_PAGE = re.compile(r"book/((\d\d)?[\w-]+)")
#: The cell before a cell to fill, which computes what is right.
_TRUTH = re.compile(r"answer-[\w-]+-tools")
_SOLUTION = "<summary>Solution</summary>"
#: Where the words of an interactive figure begin.
_STILL = re.compile(r'<img class="still" alt="')
_STYLE = re.compile(r'style="width: (\d+)px; height: (\d+)px;"')


class _PageTransform(SphinxPostTransform):
    """A transform of the pages that ``pages.yml`` knows."""

    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        match = _PAGE.fullmatch(self.env.docname)
        page = read_pages().get(match[1]) if match else None
        if match and page is not None:
            self.number = str(int(match[2])) if match[2] else match[1][0].upper()
            names = [cell["id"] for cell in read_cells(BOOK / f"{match[1]}.ipynb")]
            self.change(page, {names[node["cell_index"]]: node for node in self.code_cells()})

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        """Change the page."""
        raise NotImplementedError

    def code_cells(self) -> list[nodes.container]:
        """Return the cells of code, in their order."""
        return [node for node in self.document.findall(nodes.container) if node.get("nb_element") == "cell_code"]

    @property
    def top(self) -> nodes.section:
        """The section of the page's title."""
        return next(iter(self.document.findall(nodes.section)))


class FoldCode(_PageTransform):
    """Fold all code but that of the open cells; what precedes the first section under one title."""

    default_priority = 198  # before myst_nb wraps what is to be hidden

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        for cell in reversed(cells.values()):
            self.join_solution(cell)
        for name, cell in cells.items():
            if cell.get("hide_mode") == "all":
                cell["prompt_show"], cell["prompt_hide"] = "Solution", "Hide the solution"
            elif _source(cell) and name not in page.get("open", ()) and not cell.get("solution"):
                cell["hide_mode"] = "input"
                words = "Show the check, which gives the answer away" if _TRUTH.fullmatch(name) else "Show the code"
                cell["prompt_show"], cell["prompt_hide"] = words, f"Hide the code ({name})"
        for cell in list(cells.values()):
            self.join(cell)
        self.fold_beginning()

    @staticmethod
    def join_solution(cell: nodes.container) -> None:
        """Move the code of a solution into the fold of its words, if that follows."""
        words = cell.next_node(descend=False, siblings=True)
        if cell.get("hide_mode") == "all" and isinstance(words, nodes.raw) and _SOLUTION in words.astext():
            cell["hide_mode"], cell["solution"] = None, True
            parent = cell.parent
            parent.remove(cell)
            parent.insert(parent.index(words) + 1, cell)

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
        """Put everything from the first cell to the first section under one title, unless that shows something."""
        top = self.top
        begin = next((k for k, node in enumerate(top) if node.get("nb_element") == "cell_code"), None)
        end = next((k for k, node in enumerate(top) if isinstance(node, nodes.section)), len(top))
        if begin is None or any(_output(node) for node in top[begin:end]):
            return
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


class NumberFigures(_PageTransform):
    """Give figures a number, an address, a size, and a text for readers who cannot see them."""

    default_priority = 300  # when images have been chosen

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        self.count, waiting = 0, []
        kinds = nodes.image | nodes.raw | nodes.paragraph
        for node in list(self.document.findall(lambda node: isinstance(node, kinds))):
            if isinstance(node, nodes.image | nodes.raw):
                self.measure(node)
                waiting += [node] if _in_output(node) and _is_picture(node) else []
            elif isinstance(node, nodes.paragraph) and waiting and not _in_output(node):
                # Prose between a figure and the next caption: the caption is another figure's.
                pictures, waiting = waiting, []
                if _is_caption(node) and _section(node) is _section(pictures[-1]):
                    self.name_figure(pictures, node)
        for k, image in enumerate(filter(_in_output, self.document.findall(nodes.image)), start=1):
            if not image.get("alt", "").startswith("Fig. "):
                image["alt"] = f"Picture {k} of this page, in the section: {_section(image)[0].astext()}"

    def measure(self, image: nodes.image | nodes.raw) -> None:
        """Say how large an image is, so that a page does not move while it loads; interactive figures say it."""
        if isinstance(image, nodes.raw):
            return
        image["classes"] = [*image.get("classes", []), "no-scaled-link"]
        path = Path(self.env.srcdir) / image["uri"].lstrip("/")
        size = png_size(path) if path.is_file() else None
        if size:
            image["width"], image["height"] = (f"{pixels}px" for pixels in size)

    def name_figure(self, pictures: list[nodes.Element], caption: nodes.paragraph) -> None:
        """Number the pictures before a caption, the caption's figure and parts of it, and move the caption to them."""
        self.count += 1
        label, address = f"Fig. {self.number}.{self.count}", f"fig-{self.number.lower()}-{self.count}"
        for part, picture in enumerate(pictures, start=1):
            name = f"{label}, picture {part}." if len(pictures) > 1 else f"{label}."
            if isinstance(picture, nodes.raw):  # it has words of its own, which say what moves
                picture.children[:] = [nodes.Text(_STILL.sub(rf"\g<0>{name} ", picture.astext(), count=1))]
            else:
                picture["alt"] = f"{name} {caption_sentence(caption.astext())}"
        caption["ids"].append(address)
        caption["classes"].append("figure-caption")
        link = nodes.reference("", label, refid=address, internal=True, classes=["figure-number"])
        caption.insert(0, [link, nodes.Text(" ")])
        cell = next(node for node in _parents(pictures[-1]) if "cell" in node.get("classes", ()))
        if cell.parent is caption.parent:
            here, there = (cell.parent.index(node) for node in (cell, caption))
            if all("cell" in node.get("classes", ()) for node in cell.parent[here + 1 : there]):
                cell.parent.remove(caption)
                cell.parent.insert(here + 1, caption)


class ShowFirst(_PageTransform):
    """Put answer and best figure below the question."""

    default_priority = 310  # when figures have numbers

    def change(self, page: dict[str, Any], cells: dict[str, nodes.container]) -> None:
        top = self.top
        for badge in [node for node in top.children if _is_badge(node) and "/OWNER/" in str(node)]:
            top.remove(badge)  # there is no public address yet
        words = [k for k, node in enumerate(top) if isinstance(node, nodes.paragraph) and not _is_badge(node)]
        first: list[nodes.Node] = []
        if page.get("answer"):
            first.append(nodes.raw("", answer_html(page["answer"], read_board()), format="html"))
        if page.get("figure"):
            first += self.show_figure(next(iter(cells[page["figure"]].findall(nodes.image))))
        place = words[0] + 1 if words else 1
        top.children[place:place] = first
        for node in first:
            node.parent = top

    @staticmethod
    def show_figure(image: nodes.image) -> list[nodes.Node]:
        """Return a copy of a figure, and a line that leads to it."""
        copy = image.deepcopy()
        copy["ids"], copy["classes"] = [], [*copy.get("classes", []), "hero"]
        label = re.match(r"Fig\. (\w+)\.(\d+)(?:, picture \d+)?\. (.*)", copy.get("alt", ""))
        if not label:
            return [copy]
        address, words = f"fig-{label[1].lower()}-{label[2]}", escape(label[3])
        line = f'<p class="hero-line"><a href="#{address}">Fig. {label[1]}.{label[2]}</a> {words}</p>'
        return [copy, nodes.raw("", line, format="html")]


class ShowFindings(SphinxPostTransform):
    """Put the answers of the scoreboard, in their colours, in the place of the list in ``<div class="findings">``.

    What shows no HTML, such as LaTeX, keeps the list, which :mod:`book._tools.fill_pages` has written.
    """

    default_priority = 310
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(nodes.raw)):
            if 'class="findings"' in node.astext():
                closed = "</div>" in node.astext()
                while not closed:
                    following = node.next_node(descend=False, siblings=True)
                    closed = isinstance(following, nodes.raw) and "</div>" in following.astext()
                    node.parent.remove(following)
                html = answer_findings(read_board())._repr_mimebundle_()["text/html"]
                node.replace_self(nodes.raw("", html, format="html"))


def _source(cell: nodes.Element) -> bool:
    return bool(cell.children) and cell[0].get("nb_element") == "cell_code_source"


def _output(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and any(
        part.get("nb_element") == "cell_code_output" for part in node.findall(nodes.container)
    )


def _is_folded(node: nodes.Node | None) -> bool:
    return isinstance(node, nodes.container) and node.get("hide_mode") == "input" and _source(node)


def _parents(node: nodes.Node) -> Iterator[nodes.Element]:
    while node.parent is not None:
        node = node.parent
        yield node


def _section(node: nodes.Node) -> nodes.Element:
    return next(parent for parent in _parents(node) if isinstance(parent, nodes.section))


def _in_output(node: nodes.Node) -> bool:
    return any(parent.get("nb_element") == "cell_code_output" for parent in _parents(node) if parent.attributes)


def _is_picture(node: nodes.Node) -> bool:
    return isinstance(node, nodes.image) or 'class="bumplab-figure' in node.astext()


def _is_caption(node: nodes.paragraph) -> bool:
    return bool(node.children) and isinstance(node[0], nodes.emphasis) and len(node.astext()) > 20


def _is_badge(node: nodes.Node) -> bool:
    return isinstance(node, nodes.paragraph) and node.astext() == "Open in Colab"


def visit_fold(translator: Any, node: HideCodeCellNode) -> None:
    """Write the beginning of a fold, whose title a screen reader reads; that of myst_nb hides it from one."""
    translator.body.append(
        f'<details class="admonition hide {" ".join(node["classes"])}"><summary>'
        f'<p class="collapsed admonition-title">{escape(node["prompt_show"])}</p>'
        f'<p class="expanded admonition-title">{escape(node["prompt_hide"])}</p></summary>\n'
    )


def give_sizes(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Say sizes of images as attributes: from these, and not from a style, a browser knows their shape at once."""
    if "body" in context:
        context["body"] = _STYLE.sub(r'width="\1" height="\2"', context["body"])


def note_sources(app: Any, doctree: Any) -> None:
    """Read a page again when what it shows beyond its own source has changed."""
    app.env.note_dependency(str(BOOK / "pages.yml"))


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    for transform in (FoldCode, NumberFigures, ShowFirst, ShowFindings):
        app.add_post_transform(transform)
    app.add_node(HideCodeCellNode, override=True, html=(visit_fold, depart_HideCellInput))
    app.connect("doctree-read", note_sources)
    app.connect("html-page-context", give_sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
