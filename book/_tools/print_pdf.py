"""Print the built pages as one PDF, by a browser: ``make pdf``, or ``python -m book._tools.print_pdf [PAGE ...]``.

The pages of ``_toc.yml`` become one document, in their order, and Chromium prints it: with page numbers, links, an
outline and a table of contents, without TeX. Code and solutions that the site folds are left out; tables that are
folded there stand open. Interactive figures show their still state. The pages of single packages in
the reference are left to the site.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader, PdfWriter

from book._tools.site_frame import describe_build
from tests.chromium import Page

ROOT = Path(__file__).resolve().parents[2]
STYLE = Path(__file__).with_name("print.css")
PATIENCE = 600  # seconds, for all formulas and all pages
NOTE = """Code and solutions that the site folds are left out here, and figures that move or answer there are still.
Each chapter is a notebook that runs; the site shows how."""
#: What a page has for the screen alone.
_SCREEN = ".headerlink, .controls, .copybtn, .toctree-wrapper, script, .hero-line, source, .views .view + .view"


def read_order(root: Path = ROOT) -> list[str]:
    """Return the names of the pages in the book's folder, in reading order, without pages below others."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]
    return [Path(file).name for file in files]


def number_of(name: str) -> str:
    """Return the number of a chapter, as figures have it, or nothing.

    Examples
    --------
    >>> number_of("03-manifold"), number_of("notation")
    ('3', '')
    """
    match = re.match(r"(\d\d)-", name)
    return str(int(match[1])) if match else ""


def words(heading: Tag) -> str:
    """Return a heading without marks of formulas.

    Examples
    --------
    >>> words(BeautifulSoup(r"<h2>Arms <span>\\(x\\)</span> apart</h2>", "html.parser").h2)
    'Arms x apart'
    """
    return " ".join(re.sub(r"\\[()]", "", heading.get_text()).split())


class Sheet:
    """One page of the site, ready for paper.

    Parameters
    ----------
    path : Path
        The built page.
    names : list of str
        The pages that go into the document; links to others become words.
    """

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        self.name, self.path, self.names = path.stem, path, set(names)
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        article = soup.find("article")
        if not isinstance(article, Tag):
            raise ValueError(f"{path} is no page of the book.")
        self.article = article
        self.head = [str(tag) for tag in soup.select('head link[rel="stylesheet"]') if self._absolute(tag, "href")]
        self._drop()
        self._move_addresses()
        title = article.find("h1")
        self.title = f"{number_of(self.name)} {words(title) if title else self.name}".strip()
        if title and number_of(self.name):
            title.insert(0, f"{number_of(self.name)} ")

    def _drop(self) -> None:
        for tag in self.article.select(_SCREEN):
            tag.decompose()
        for fold in self.article.find_all("details"):
            if fold.decomposed:
                continue
            if "hide" in fold.get("class", ()) or fold.summary.get_text().startswith("Solution"):
                cell = fold.parent
                fold.decompose()
                if not cell.get_text(strip=True) and not cell.find("img"):
                    cell.decompose()
            else:
                fold["open"], fold["class"] = "", "fold"

    def _absolute(self, tag: Tag, attribute: str) -> bool:
        """Make an address of a file hold from any folder; say whether there is one."""
        address = tag.get(attribute, "")
        if not address or urlsplit(address).scheme:
            return bool(address)
        tag[attribute] = (self.path.parent / urlsplit(address).path).resolve().as_uri()
        return True

    def _move_addresses(self) -> None:
        """Put the page's name before its addresses, so that those of all pages differ; let links follow."""
        for tag in self.article.find_all(id=True):
            tag["id"] = f"{self.name}--{tag['id']}"
        for tag in self.article.find_all("img"):
            self._absolute(tag, "src")
            del tag["loading"]
        for tag in self.article.find_all("a", href=True):
            target = self.target(tag["href"])
            if target is None:
                tag.unwrap()
            else:
                tag["href"] = target

    def target(self, address: str) -> str | None:
        """Return where a link leads on paper; None for what only the site has."""
        parts = urlsplit(address)
        if parts.scheme:
            return address
        name = Path(parts.path).stem if parts.path else self.name
        inside = Path(parts.path).suffix in ("", ".html") and Path(parts.path).parent == Path() and name in self.names
        if not inside:
            return None
        return f"#{name}--{parts.fragment}" if parts.fragment else f"#{name}"

    def sections(self) -> list[tuple[str, str]]:
        """Return address and title of the sections."""
        heads = [(head.find_parent("section"), head) for head in self.article.find_all("h2")]
        return [(box["id"], words(head)) for box, head in heads if box is not None and box.get("id")]

    def html(self) -> str:
        """Return the chapter."""
        return (
            f'<div class="chapter" id="{self.name}" style="page: p-{self.name}"><div class="bd-content">'
            f"{self.article.decode_contents()}</div></div>"
        )

    def rule(self) -> str:
        """Return the style of its pages: the title stands above each but the first."""
        box = f"@top-right {{ content: {json.dumps(self.title)}; font: 8.5pt sans-serif; color: #555; }}"
        return f"@page p-{self.name} {{ {box} }} @page p-{self.name}:first {{ @top-right {{ content: none; }} }}"


def contents_html(sheets: list[Sheet], pages: dict[str, int]) -> str:
    """Return the table of contents, with the page numbers that are known."""
    lines = []
    for sheet in sheets:
        entries = [("first", sheet.name, sheet.title)]
        entries += [("second", address, title) for address, title in sheet.sections()]
        for kind, address, title in entries:
            number = pages.get(address, "")
            lines.append(f'<a class="{kind}" href="#{address}" data-page="{number}">{escape(title)}</a>')
    return f'<div class="contents"><p class="h1">Contents</p>{"".join(lines)}</div>'


def front_html(config: dict[str, Any], root: Path) -> str:
    """Return the title page."""
    subtitle = "How diffusion models learn to factorize and compose, by running it"
    return (
        f'<div class="front"><h1>{escape(config["title"])}</h1><p class="h2">{subtitle}</p>'
        f'<p class="author">{escape(config["author"])}</p><p>{escape(NOTE)}</p>'
        f"<p>{escape(config['html'].get('extra_footer', ''))} {escape(describe_build(root))}</p></div>"
    )


def document(sheets: list[Sheet], config: dict[str, Any], pages: dict[str, int], site: Path, root: Path) -> str:
    """Return the whole book as one page."""
    styles = "".join(dict.fromkeys(link for sheet in sheets for link in sheet.head))
    rules = STYLE.read_text(encoding="utf-8") + " ".join(sheet.rule() for sheet in sheets)
    formulas = site / "_static" / config["sphinx"]["config"]["mathjax_path"]
    options = {"options": {"ignoreHtmlClass": "tex2jax_ignore", "processHtmlClass": "math", "enableMenu": False}}
    return (
        f'<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">'
        f"<title>{escape(config['title'])}</title>{styles}<style>{rules}</style>"
        f"<script>window.MathJax = {json.dumps(options)}</script>"
        f'<script defer src="{formulas.resolve().as_uri()}"></script></head><body>'
        f"{front_html(config, root)}{contents_html(sheets, pages)}{''.join(sheet.html() for sheet in sheets)}"
        "</body></html>"
    )


def print_page(html: str) -> bytes:
    """Return a PDF of a page, as Chromium prints it."""
    with tempfile.TemporaryDirectory() as folder, Page("--allow-file-access-from-files") as tab:
        tab.patience = PATIENCE
        path = Path(folder) / "book.html"
        path.write_text(html, encoding="utf-8")
        tab.open(path, 800, 1100)
        tab.until("!window.MathJax || window.MathJax.startup?.promise?.then(() => true)")
        options = {"preferCSSPageSize": True, "printBackground": True, "generateTaggedPDF": True}
        return base64.b64decode(tab("Page.printToPDF", **options)["data"])


def find_pages(pdf: PdfReader) -> dict[str, int]:
    """Return the page number of every address in a PDF."""
    places = {}
    for address, destination in pdf.named_destinations.items():
        number = pdf.get_destination_page_number(destination)
        if number is not None:
            places[address.lstrip("/")] = number + 1
    return places


def add_outline(writer: PdfWriter, sheets: list[Sheet], pages: dict[str, int]) -> None:
    """Give a PDF an outline of chapters and sections."""
    for sheet in sheets:
        chapter = writer.add_outline_item(
            title=sheet.title, page_number=pages[sheet.name] - 1, bold=True, is_open=False
        )
        for address, title in sheet.sections():
            writer.add_outline_item(title=title, page_number=pages[address] - 1, parent=chapter)


def print_book(site: Path, target: Path, names: list[str], root: Path = ROOT) -> PdfReader:
    """Print pages of a built site into one file.

    Parameters
    ----------
    site : Path
        The folder of the built site.
    target : Path
        The file to write.
    names : list of str
        The pages, in order.

    Returns
    -------
    PdfReader
        What was written.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    sheets = [Sheet(site / "book" / f"{name}.html", names) for name in names]
    pages: dict[str, int] = {}
    for _ in range(2):  # the second time with the page numbers of the first
        printed = PdfReader(io.BytesIO(print_page(document(sheets, config, pages, site, root))))
        pages = find_pages(printed)
    writer = PdfWriter(clone_from=printed)
    add_outline(writer, sheets, pages)
    writer.add_metadata({"/Title": config["title"], "/Author": config["author"], "/Producer": "Chromium, pypdf"})
    writer.page_mode = "/UseOutlines"
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.write(target)
    return PdfReader(target)


def main(arguments: list[str]) -> int:
    """Print the book, or the pages named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the built site")
    parser.add_argument("--to", type=Path, default=ROOT / "_build" / "bumplab.pdf", help="the file to write")
    parser.add_argument("pages", nargs="*", help="names of pages, as 03-manifold; all of them unless given")
    options = parser.parse_args(arguments)
    pdf = print_book(options.site, options.to, options.pages or read_order())
    print(f"{options.to}: {len(pdf.pages)} pages, {options.to.stat().st_size / 1e6:.1f} MB.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
