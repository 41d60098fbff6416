"""A Sphinx extension: explain a word of the glossary where a chapter first uses it, under the pointer and by a link.

The glossary is the definition lists of ``book/notation.md``; a heading such as ``**gap, lesion, hole**`` explains each
of its words. Left alone are single letters, the names of presets, and words that chapters use in other senses, too.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

NOTATION = Path(__file__).resolve().parents[1] / "notation.md"
_ENTRY = re.compile(r"^\*\*(.+?)\*\*\n: (.+?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
_EVERYDAY = frozenset("blank chance opening reach seen".split())
#: What a reader of a title cannot see: roles and marks of Markdown.
_MARKS = re.compile(r"\{cite:p\}`\w+`|\{doc\}`([\w-]+)`|[*$`\\]")
_PAGE = re.compile(r"book/\d\d-[\w-]+")
#: No word is explained inside of these.
_APART = nodes.title | nodes.reference | nodes.literal | nodes.literal_block | nodes.caption | nodes.raw | nodes.math


@cache
def read_glossary(path: Path = NOTATION) -> dict[str, tuple[str, str]]:
    """Return the words of the glossary, each with the address of its entry and the explanation in plain text."""
    words = {}
    for heading, text in _ENTRY.findall(path.read_text(encoding="utf-8")):
        plain = " ".join(_MARKS.sub(r"\1", text).split())
        if ":" not in heading:
            for word in (re.sub(r"\s*\(.*\)", "", part) for part in re.split(r"[,;] ", heading)):
                if len(word) > 1 and word not in _EVERYDAY:
                    words[word.removesuffix("'s interval")] = (address_of(heading), plain)
    return words


def address_of(heading: str) -> str:
    """Return the address of an entry on its page.

    Examples
    --------
    >>> address_of("gap, lesion, hole")
    'word-gap'
    """
    return "word-" + re.sub(r"\W+", "-", heading.split(",")[0].lower()).strip("-")


def find_first(text: str, words: dict[str, Any]) -> re.Match | None:
    """Return where a text first uses one of the words, whole; the longest of those that begin there."""
    choices = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.search(rf"(?<![\w-])({choices})(?![\w-])", text, re.IGNORECASE) if words else None


class ExplainWords(SphinxPostTransform):
    """Explain each word at its first use in the text of a chapter, and give the entries of the glossary addresses."""

    default_priority = 320
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        if self.env.docname == "book/notation":
            for term in self.document.findall(nodes.term):
                mark = f'<span id="{address_of(term.astext())}"></span>'  # the ids of a term are not written
                term.insert(0, nodes.raw("", mark, format="html"))
        if not _PAGE.fullmatch(self.env.docname):
            return
        left = {word.lower(): entry for word, entry in read_glossary().items()}
        for paragraph in list(self.document.findall(nodes.paragraph)):
            if "figure-caption" in paragraph["classes"]:
                continue
            for text in list(paragraph.findall(nodes.Text)):
                self.explain(text, left)

    @staticmethod
    def explain(text: nodes.Text, left: dict[str, tuple[str, str]]) -> None:
        """Put links into a piece of text, and take their entries from what is left to explain."""
        node: nodes.Node | None = text.parent
        while node is not None:
            if isinstance(node, _APART):
                return
            node = node.parent
        parts: list[nodes.Node] = []
        rest = text.astext()
        while match := find_first(rest, left):
            address, explanation = left[match[0].lower()]
            for word in [word for word, entry in left.items() if entry[0] == address]:
                del left[word]
            target = f'href="notation.html#{address}" title="{escape(explanation)}"'
            link = f'<a class="glossary" {target}>{escape(match[0])}</a>'
            parts += [nodes.Text(rest[: match.start()]), nodes.raw("", link, format="html")]
            rest = rest[match.end() :]
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(rest)])


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_post_transform(ExplainWords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
