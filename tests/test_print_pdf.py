"""A page of the built site on paper: what is printed, where links lead, which page is which."""

import io
import json
import re

import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image

from book._tools import print_pdf

CODE = "<div class='cell_input'><div class='highlight'><pre>{}</pre></div></div>"
FOLDED = f"<div class='cell'><details class='hide'><summary>Show the code</summary>{CODE.format('folded')}</details>"
FILLING = "<p>Words, and more words, to fill a page.</p>" * 60


def picture():
    file = io.BytesIO()
    Image.new("RGB", (300, 100), "red").save(file, "PNG")
    return file.getvalue()


def page(title, body):
    return f"""<html><head><link rel="stylesheet" href="../_static/a.css"></head><body><nav>Not this.</nav><article>
    <section id="top"><h1>{title}<a class="headerlink" href="#top">#</a></h1>{body}</section></article></body></html>"""


FIRST = f"""<p>Look at <a href="#fig-1-1">Fig. 1.1</a>, <a href="02-two.html#end">the end</a>,
<a href="02-two.html">two</a>,
<a href="reference/a.html#x">the site's own page</a>, <a href="https://example.org/">elsewhere</a>,
<a href="../_downloads/a.csv">a table</a>.</p><span class="math">\\(x^2\\)</span>{FOLDED}</div>{CODE.format("open")}
<div class="cell"><img src="../_images/a.png" alt="Red." loading="lazy"></div>
<p class="figure-caption" id="fig-1-1">Fig. 1.1 It is red.</p>
<details><summary>Solution</summary><p>Forty-two.</p></details>
<details><summary>All claims, 3</summary><p>They hold.</p></details>
<section id="more"><h2>More <span>\\(y\\)</span></h2>{FILLING}</section>"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Return the folder of a small book that is built."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("html/book", "html/_static/mathjax", "html/_images"):
        (root / folder).mkdir(parents=True)
    (root / "html/_images/a.png").write_bytes(picture())
    (root / "html/_static/a.css").write_text("p { color: black; }")
    stand_in = "MathJax.startup = {promise: Promise.resolve()}"
    (root / "html/_static/mathjax/none.js").write_text(stand_in)
    config = {
        "title": "Small", "author": "Its authors", "html": {"extra_footer": "A note."},
        "sphinx": {"config": {"mathjax_path": "mathjax/none.js"}},
    }  # fmt: skip
    (root / "_config.yml").write_text(json.dumps(config))
    (root / "html/book/01-one.html").write_text(page("One", FIRST))
    (root / "html/book/02-two.html").write_text(page("Two", f'{FILLING}<p id="end">The end.</p>'))
    return root


@pytest.fixture(scope="module")
def pdf(book):
    return print_pdf.print_book(book / "html", book / "out" / "small.pdf", ["01-one", "02-two"], book)


def text(pdf, *numbers):
    pages = [pdf.pages[number - 1] for number in numbers] or pdf.pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_title_contents_and_chapters_come_in_order_with_page_numbers(pdf):
    assert "Small" in text(pdf, 1) and "Its authors" in text(pdf, 1) and "A note." in text(pdf, 1)
    places = print_pdf.find_pages(pdf)
    assert places["01-one"] == 3 and places["02-two"] > places["01-one--more"] >= 3
    contents = re.sub(r"\s", "", pdf.pages[1].extract_text())
    assert contents == f"Contents1One3Morey{places['01-one--more']}2Two{places['02-two']}"
    assert re.search(r"\b3\b", text(pdf, 3)) and "1 One" in text(pdf, 4)


def test_the_outline_leads_to_chapters_and_sections(pdf):
    places = print_pdf.find_pages(pdf)
    one, sections, two = pdf.outline
    titles = {item.title: pdf.get_destination_page_number(item) + 1 for item in (one, *sections, two)}
    assert titles == {"1 One": 3, "More y": places["01-one--more"], "2 Two": places["02-two"]}


def test_folded_code_and_solutions_are_left_out_and_other_folds_stand_open(pdf):
    printed = text(pdf)
    assert "open" in printed and "They hold." in printed and "Fig. 1.1 It is red." in printed
    for word in ("folded", "Show the code", "Forty-two", "Not this", "#"):
        assert word not in printed


def test_links_lead_inside_the_file_where_they_can(pdf):
    inside, outside = set(), set()
    for note in (note.get_object() for note in pdf.pages[2]["/Annots"]):
        inside |= {note["/Dest"].lstrip("/")} if "/Dest" in note else set()
        outside |= {note["/A"]["/URI"]} if "/A" in note else set()
    assert inside == {"01-one--fig-1-1", "02-two--end", "02-two"} and outside == {"https://example.org/"}
    assert inside <= set(print_pdf.find_pages(pdf))
    assert "the site's own page" in text(pdf, 3)


def test_pictures_are_in_it(pdf):
    (image,) = pdf.pages[2].images
    assert image.image.size == (300, 100)


def test_a_page_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.html").write_text("<p>No article.</p>")
    with pytest.raises(ValueError, match="no page of the book"):
        print_pdf.Sheet(tmp_path / "a.html", [])


def test_the_book_is_printed_in_the_order_of_its_contents():
    order = print_pdf.read_order()
    assert order[:2] == ["intro", "01-worlds"] and order.index("10-choices") == order.index("05-composition") - 1
    files = re.findall(r"(?:root|file): book/([\w-]+)$", (print_pdf.ROOT / "_toc.yml").read_text(), re.MULTILINE)
    assert order == files


def test_two_pages_have_no_address_in_common(book):
    sheets = [print_pdf.Sheet(book / "html/book" / f"{name}.html", ["01-one"]) for name in ("01-one", "02-two")]
    config = yaml.safe_load((book / "_config.yml").read_text())
    soup = BeautifulSoup(print_pdf.document(sheets, config, {}, book / "html", book), "html.parser")
    addresses = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(addresses) == len(set(addresses)) > 4
    links = [tag["href"] for tag in soup.find(id="01-one").find_all("a")]
    assert links == ["#01-one--fig-1-1", "https://example.org/"]  # what is not printed has no link
