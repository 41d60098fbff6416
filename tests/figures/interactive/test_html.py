"""What interactive figures share: files out of an archive, and a card of its own for each, also for equal figures."""

import json
import re
from importlib.resources import files
from pathlib import Path

import chromium
import numpy as np
import pytest
import torch

from bumplab.figures.interactive import html, image_player, lattice_filling, scatter
from bumplab.percolation.links import shells
from bumplab.worlds.bumps import BumpWorld

ROOT = Path(__file__).resolve().parents[3]
CARD = r'<div class="bumplab-figure ([a-z-]+)"'
WORLD = BumpWorld(size=8)
MU = WORLD.lattice().numpy()
CLOUD = np.column_stack([MU, MU.prod(axis=1)])
FIGURES = {
    "image-player": image_player.play_images(torch.zeros(3, 2, 1, 4, 4), "abc", columns=2, seconds=0.05),
    "lattice-filling": lattice_filling.play_filling((8, 8), {"4": shells(1)}, title="t"),
    "point-cloud": scatter.scatter3d([CLOUD, CLOUD, -CLOUD], MU, WORLD, "abc", title="t", seconds=0.05),
}
PAGES = {name: figure._repr_mimebundle_()["text/html"] for name, figure in FIGURES.items()}


def test_there_is_one_slider_one_timer_and_one_card():
    scripts = {path.name: path.read_text() for path in (files("bumplab.figures.interactive") / "assets").iterdir()}
    for word in ("setInterval", "aria-valuetext", "querySelector(`.bumplab-figure"):
        assert len([name for name, text in scripts.items() if word in text]) == 1, word


@pytest.mark.parametrize("name", PAGES)
def test_no_element_has_an_id(name):
    assert not re.search(r"<[^>]* id=", PAGES[name])


def test_the_chapters_hold_the_scripts_and_styles_of_today():
    outputs = [
        "".join(output.get("data", {}).get("text/html", ()))
        for path in sorted((ROOT / "book").glob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", ())
    ]
    kinds = [(match[1].replace("-", "_"), page) for page in outputs if (match := re.search(CARD, page))]
    assert {kind for kind, _ in kinds} == {name.replace("-", "_") for name in PAGES}
    for kind, page in kinds:
        for name in ("card.css", "card.js", "player.js", f"{kind}.css", f"{kind}.js"):
            assert html.read_asset(name) in page, f"{kind} without today's {name}: make outputs"


# ---------------------------------------------------------------- in a browser

browser = pytest.mark.skipif(not chromium.find(), reason="needs Chromium or Chrome (or CHROMIUM=path)")
EVERY = "[...document.querySelectorAll('.bumplab-figure')].map((card) => {})"
MOMENTS = EVERY.format("+card.querySelector('.moment').value")
#: How hosts run the scripts of an output, each with a page between two equal figures.
HOSTS = {
    "page": "",
    # A fresh copy of every script in its place, as JupyterLab does.
    "in place": "for (const old of [...box.querySelectorAll('script:not(.data)')]) {"
    "const copy = document.createElement('script'); copy.textContent = old.textContent; old.replaceWith(copy); }",
    # A copy in the head of the page, as the classic notebook does.
    "head": "for (const old of [...box.querySelectorAll('script:not(.data)')]) {"
    "const copy = document.createElement('script'); copy.textContent = old.textContent; document.head.append(copy); }",
    # No script element at all: document.currentScript is null.
    "evaluation": "for (const old of box.querySelectorAll('script:not(.data)')) (0, eval)(old.textContent);",
}


@pytest.fixture(scope="module")
def page():
    with chromium.Page() as page:
        yield page


def write_twice(path, output, host):
    """Write a page that holds an output twice, its scripts run the way a host runs them."""
    plotly = (files("plotly") / "package_data" / "plotly.min.js").as_uri()
    body = output + "<p>Text.</p>" + output
    if HOSTS[host]:
        source = json.dumps(body).replace("</", "<\\/")
        body = f"<div class=box></div><script>const box = document.querySelector('.box'); box.innerHTML = {source};"
        body += f"setTimeout(() => {{ {HOSTS[host]} }});</script>"
    path.write_text(f"<!doctype html><meta charset=utf-8><script src='{plotly}'></script>{body}", encoding="utf-8")


@browser
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", PAGES)
def test_the_same_figure_twice_on_a_page_plays_twice(page, tmp_path, name, host):
    path = tmp_path / "twice.html"
    write_twice(path, PAGES[name], host)
    page.open(path, height=1800)
    page.until("document.querySelectorAll('.bumplab-figure.alive').length === 2")
    start, last = page.evaluate(MOMENTS), page.evaluate("+document.querySelector('.moment').max")
    page.evaluate("document.querySelectorAll('.play')[1].click()")
    page.until(f"{MOMENTS}[1] === {last} && document.querySelectorAll('.play')[1].textContent !== 'pause'")
    assert page.evaluate(MOMENTS) == [start[0], last]  # the other one has stayed
    page.evaluate("(() => { const first = document.querySelector('.moment'); first.value = 1;"
                  "first.dispatchEvent(new Event('input')); })()")  # fmt: skip
    page.evaluate("document.querySelector('.play').click()")
    page.until(f"{MOMENTS}[0] === {last}")
    captions = page.evaluate(EVERY.format("card.querySelector('.caption').textContent"))
    assert captions[0] == captions[1] != ""
