"""Pages load what they use: icons, MathJax; and what is measured of them is so."""

import base64
import io
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from book._tools import light_pages, measure_pages

FONTAWESOME = next(Path(pydata_sphinx_theme.__file__).parent.rglob("vendor/fontawesome/*/css/all.min.css")).parents[1]
FILES = "../_static/vendor/fontawesome/6"
PAGE = f"""<html><head><script src="{FILES}/js/all.min.js?digest=1"></script>
<link rel="preload" as="font" type="font/woff2" crossorigin href="{FILES}/webfonts/fa-solid-900.woff2" />
<link href="{FILES}/css/all.min.css" rel="stylesheet" /></head>
<body><article><i class="fa-solid fa-list"></i></article></body></html>"""


def test_a_style_sheet_keeps_the_icons_of_the_pages_with_their_font_inside():
    style = (FONTAWESOME / "css/all.min.css").read_text(encoding="utf-8")
    small = light_pages.shrink_style(style, {"fa-solid", "fa-list"}, FONTAWESOME / "webfonts")
    assert ".fa-list:before" in small and ".fa-rocket:before" not in small and ".fa-solid" in small
    assert len(small) < 25_000 < len(style) and re.findall(r"url\((?!\"data:)", small) == []
    (data,) = re.findall(r"base64,([\w+/=]+)", small)
    font = TTFont(io.BytesIO(base64.b64decode(data)))
    (content,) = re.findall(r'\.fa-list:before[^{]*\{content:"\\(\w+)"', small)
    assert set(font.getBestCmap()) == {int(content, 16)}


def test_a_site_loses_the_icons_that_it_does_not_use(tmp_path):
    shutil.copytree(FONTAWESOME, tmp_path / "_static/vendor/fontawesome/6")
    (tmp_path / "book").mkdir()
    (tmp_path / "book/a.html").write_text(PAGE)
    light_pages.shrink_icons(SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path), None)
    page = (tmp_path / "book/a.html").read_text()
    assert "all.min.js" not in page and "preload" not in page and "all.min.css" in page
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 40_000


@pytest.mark.parametrize("body, kept", [('<span class="math notranslate">', True), ("<p>Words.</p>", False)])
def test_mathjax_goes_where_no_formula_is(body, kept):
    scripts = ["a.js", "mathjax/tex-svg-full.js", SimpleNamespace(filename="_static/mathjax/tex-svg-full.js")]
    context = {"body": body, "script_files": scripts}
    light_pages.drop_mathjax(None, "a", "page.html", context, None)
    assert context["script_files"] == (scripts if kept else ["a.js"])


LONG = "<p style='height: 2000px'></p>"
WIDE = "<div style='width: 500px'>wide</div>"
CODE = "<div class='cell_input' style='height: 1000px'></div>"
PICTURE = "<img width=100 height=100 {} src='data:image/svg+xml,<svg xmlns=%22http://www.w3.org/2000/svg%22/>'>"


@pytest.mark.parametrize(
    "body, changes",
    [
        ("<p>Words.</p>", {}),
        (f"{WIDE}", {"wide": 2}),
        (f"<div style='overflow: auto'>{WIDE}</div>", {}),
        (f"{LONG}{PICTURE.format('')}", {"figure": 2000, "unlabelled": 1}),
        (f"{LONG}{PICTURE.format('alt=Dots')}", {"figure": 2000}),
        (f"{CODE}<p style='height: 1000px'></p>", {"code": 0.5}),
        (f"<details>{CODE}</details>", {}),
        ("<script>console.error('No.')</script>", {"errors": ("No.",)}),
        ("<script>nothing()</script>", {"errors": ("ReferenceError: nothing is not defined",)}),
    ],
)
def test_a_page_is_measured(tmp_path, body, changes):
    (tmp_path / "book").mkdir()
    path = tmp_path / "book/a.html"
    path.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><style>* {{margin: 0}}</style>"
                    f"<article>{body}</article>")  # fmt: skip
    with measure_pages.Listener("--allow-file-access-from-files") as tab:
        row = measure_pages.measure(tab, tmp_path, path)
    expected = {"page": "a", "code": 0, "figure": None, "wide": 0, "unlabelled": 0, "errors": ()} | changes
    assert {name: getattr(row, name) for name in expected} == expected
    assert bool(row.problems()) == bool({"wide", "unlabelled", "errors"} & set(changes))


def test_a_page_weighs_what_a_server_sends(tmp_path):
    (tmp_path / "a.css").write_text("a" * 100_000)
    (tmp_path / "a.png").write_bytes(b"a" * 1000)
    assert measure_pages.transfer_size(tmp_path / "a.css") < 500
    assert measure_pages.transfer_size(tmp_path / "a.png") == 1000
    requests = [(tmp_path / "a.png").as_uri() + "?v=1", "https://example.org/a.png", (tmp_path / "b.png").as_uri()]
    assert measure_pages.loaded_files(requests) == {tmp_path / "a.png"}


def _png(levels, mode="RGBA"):
    file = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).convert(mode).save(file, "PNG")
    return file.getvalue()


def test_a_picture_gets_256_colours_only_where_nobody_sees_it():
    rng = np.random.default_rng(0)
    plain = 85 * rng.integers(0, 4, (64, 64, 3))  # 64 colours
    few = light_pages.shrink_picture(full := _png(plain))
    assert len(few) < len(full) and Image.open(io.BytesIO(few)).mode == "P"
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(few)).convert("RGB")), plain)
    assert light_pages.shrink_picture(few) == few
    noise = _png(rng.integers(0, 256, (64, 64, 3)))
    assert light_pages.shrink_picture(noise) == noise


def test_the_pictures_of_a_site_are_shrunk(tmp_path):
    (tmp_path / "_images").mkdir()
    full = _png(np.zeros((200, 200, 3)))
    (tmp_path / "_images/a.png").write_bytes(full)
    for kind, error in (("latex", None), ("html", ValueError()), ("html", None)):
        assert (tmp_path / "_images/a.png").read_bytes() == full
        light_pages.shrink_pictures(SimpleNamespace(builder=SimpleNamespace(format=kind), outdir=tmp_path), error)
    assert len((tmp_path / "_images/a.png").read_bytes()) < len(full)
