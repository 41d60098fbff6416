"""Point clouds: their data, their fallbacks, and a real browser that turns them without a network."""

import base64
import configparser
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import chromium
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from PIL import Image

from bumplab.common.errors import BumplabError
from bumplab.figures.interactive import point_cloud, scatter
from bumplab.figures.maps import condition_colours
from bumplab.worlds.bumps import BumpWorld

ROOT = Path(__file__).resolve().parents[3]
TORUS = BumpWorld(size=16, periodic=True)


def clouds(world=TORUS, moments=3):
    """Return conditions, and noise that becomes a torus."""
    mu = world.lattice().numpy()
    a, b = (2 * np.pi * mu / world.size).T
    torus = np.stack([(2 + np.cos(b)) * np.cos(a), (2 + np.cos(b)) * np.sin(a), np.sin(b)], axis=1)
    noise = np.random.default_rng(0).normal(size=torus.shape)
    return [t * torus + (1 - t) * noise for t in np.linspace(0, 1, moments)], mu


def figure(moments=3, world=TORUS, **options):
    frames, mu = clouds(world, moments)
    options = {"title": "A torus forms", "captions": [f"step {k}" for k in range(moments)]} | options
    return scatter.scatter3d(frames, mu, world, **options)


def array(text, kind):
    return np.frombuffer(base64.b64decode(text), dtype=kind)


# ---------------------------------------------------------------- what a figure holds


def test_the_browser_gets_the_points_to_four_digits():
    cloud = figure()
    data = json.loads(json.dumps(cloud.data()))
    steps = array(data["steps"], "<i2").reshape(3, 3, 256).transpose(0, 2, 1)
    points = np.array(data["middle"]) + steps * data["unit"]
    assert np.abs(points - np.array(clouds()[0])).max() <= 0.5001 * data["unit"] < 2e-4 * np.ptp(points)
    assert np.abs(steps).max() * data["unit"] <= data["half"]


def test_a_row_with_nan_hides_its_point():
    frames, mu = clouds()
    frames[1][7, 2] = np.nan
    cloud = scatter.scatter3d(frames, mu, TORUS, "abc", title="t")
    steps = array(cloud.data()["steps"], "<i2").reshape(3, 3, 256)
    assert (steps[1, :, 7] == -32768).all() and (steps == -32768).sum() == 3


@pytest.mark.parametrize("world, edges", [(BumpWorld(size=8, periodic=True), 2 * 64), (BumpWorld(size=8), 2 * 8 * 7)])
def test_the_mesh_joins_all_neighbours_and_nothing_else(world, edges):
    mu = world.lattice().numpy()[::-1]
    path = scatter.scatter3d(np.random.default_rng(0).normal(size=(64, 3)), mu, world, title="t").path
    pairs = [(i, j) for i, j in zip(path, path[1:], strict=False) if i >= 0 and j >= 0]
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == edges
    apart = np.abs(mu[[i for i, _ in pairs]] - mu[[j for _, j in pairs]])
    apart = np.minimum(apart, 8 - apart) if world.periodic else apart
    assert (apart.sum(axis=1) == 1).all()


def test_the_mesh_has_gaps_where_conditions_are_missing():
    world = BumpWorld(size=8, held_out="band_x(2.5, 3.5)")
    mu = world.seen().numpy()
    path = scatter.scatter3d(np.eye(3)[np.arange(len(mu)) % 3], mu, world, title="t").path
    assert sum(i >= 0 and j >= 0 for i, j in zip(path, path[1:], strict=False)) == 8 * (2 + 3) + 7 * 7


@pytest.mark.parametrize("world", [TORUS, BumpWorld(size=16)], ids=["periodic", "open"])
def test_colours_vary_smoothly_and_tell_conditions_apart(world):
    mu = world.lattice().numpy()
    colours = condition_colours(mu, world)
    assert colours.shape == (256, 3) and colours.min() >= 0 and colours.max() <= 1
    apart = np.abs(mu[:, None] - mu)
    apart = np.linalg.norm(np.minimum(apart, 16 - apart) if world.periodic else apart, axis=-1)
    contrast = np.linalg.norm(colours[:, None] - colours, axis=-1)
    assert contrast[apart == 1].max() < 0.2 < 5 * contrast[apart >= 6].min()


def test_the_output_is_the_same_each_time_and_marked_by_its_content():
    first, second, other = (figure(moments=m)._repr_mimebundle_()["text/html"] for m in (3, 3, 2))
    names = [re.search(r'data-content="(\w+)"', page)[1] for page in (first, second, other)]
    assert first == second and names[0] == names[1] != names[2]


def test_nbval_compares_the_text_of_a_figure_alone():
    sanitize = configparser.RawConfigParser()
    sanitize.read(ROOT / "tests" / "nbval.cfg", encoding="utf-8")
    rule = sanitize["interactive-figures"]
    bundle = figure()._repr_mimebundle_()
    assert re.sub(rule["regex"], rule["replace"], bundle["text/html"]) == "FIGURE"
    assert bundle["text/plain"] == "Interactive figure, A torus forms: 3 moments of 256 points"


def test_twelve_moments_of_a_thousand_points_stay_small():
    bundle = figure(moments=12, world=BumpWorld(size=32, periodic=True))._repr_mimebundle_()
    assert sum(len(part) for part in bundle.values()) < 300_000


def test_the_still_is_in_the_page_and_beside_it_for_paper():
    before = plt.get_fignums()
    bundle = figure()._repr_mimebundle_()
    inside = re.search(r'class="still"[^>]*base64,([^"]+)"', bundle["text/html"])[1]
    still, beside = (Image.open(io.BytesIO(base64.b64decode(text))) for text in (inside, bundle["image/png"]))
    assert (still.format, beside.format) == ("WEBP", "PNG") and still.size == beside.size
    assert len(np.unique(np.asarray(still).reshape(-1, 3), axis=0)) > 256  # colours, not an empty frame
    assert plt.get_fignums() == before


def test_text_cannot_leave_its_place():
    page = figure(title="</script><b>x & y</b>")._repr_mimebundle_()["text/html"]
    assert page.count("</script>") == 2 and "<b>" not in page


def test_the_public_copy_of_plotly_js_is_the_one_in_the_package():
    copy = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    assert point_cloud.PLOTLY_JS_INTEGRITY == "sha256-" + base64.b64encode(hashlib.sha256(copy).digest()).decode()
    version = re.search(rb"plotly\.js v([\d.]+)", copy)[1].decode()
    assert f"@{version}/" in point_cloud.PLOTLY_JS


CLOUDS, MU = clouds()


@pytest.mark.parametrize(
    "frames, mu, options, sentence",
    [
        (CLOUDS[0][:, :2], MU, {}, r"come as \(n, 3\).*got shape \(1, 256, 2\)"),
        ([CLOUDS[0], CLOUDS[1][:9]], MU, {"captions": "ab"}, "same points"),
        (CLOUDS[0], MU[:9], {}, r"each of the 256 points; got shape \(9, 2\)"),
        (CLOUDS, MU, {}, "each of the 3 moments; got 0"),
        (CLOUDS[0] * np.inf, MU, {}, "finite"),
        (CLOUDS[0] * np.nan, MU, {}, "not every point"),
        (CLOUDS[0], MU + 0.3, {}, "set mesh=False"),
        (CLOUDS[0], MU, {"stills": [1]}, r"moments 0 to 0; got \[1\]"),
        (CLOUDS[0], MU, {"colours": 255 * np.ones((256, 3))}, "from 0 to 1"),
        (CLOUDS * 100, MU, {"captions": ["x"] * 300}, "at most 50,000"),
    ],
)  # fmt: skip
def test_a_mistake_gives_one_sentence(frames, mu, options, sentence):
    with pytest.raises(BumplabError, match=sentence) as error:
        scatter.scatter3d(frames, mu, TORUS, title="t", **options)
    assert str(error.value).endswith(".")


# ---------------------------------------------------------------- in a browser, without a network

browser = pytest.mark.skipif(not chromium.find(), reason="needs Chromium or Chrome (or CHROMIUM=path)")
TURNS = "document.querySelector('.point-cloud.alive .plot canvas') !== null"
EYE = "(({x, y, z}) => [x, y, z])(document.querySelector('.plot').layout.scene.camera.eye)"
SHOWN = "['.still', '.live'].map((s) => getComputedStyle(document.querySelector('.point-cloud ' + s)).display)"
POINTS = "Array.from(document.querySelector('.plot').data[1].x)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return a page of a book with one figure, built as the book is, and the same output on a page of its own."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("_config.yml", "book/references.bib", "book/pages.yml"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in ("_static", "_tools"):
        shutil.copytree(ROOT / "book" / name, folder / "book" / name)
    bundle = figure()._repr_mimebundle_()
    output = nbformat.v4.new_output("execute_result", bundle, execution_count=1)
    cell = nbformat.v4.new_code_cell("figure", outputs=[output], execution_count=1)
    cells = [nbformat.v4.new_markdown_cell("# Figure"), cell, nbformat.v4.new_markdown_cell("Text.\n\n" * 60)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "book" / "figure.ipynb")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/figure\n")
    config = (folder / "_config.yml").read_text()
    (folder / "_config.yml").write_text(config.replace("execute_notebooks: cache", 'execute_notebooks: "off"'))
    build = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-n", "-W", "--keep-going"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    alone = folder / "alone.html"
    alone.write_text(f"<!doctype html><meta charset=utf-8>{bundle['text/html']}")
    return folder / "_build/html/book/figure.html", alone


@pytest.fixture(scope="module")
def page():
    with chromium.Page() as page:
        yield page


@browser
def test_a_drag_turns_the_figure_and_the_slider_moves_it_through_training(pages, page):
    page.requests.clear()
    page.open(pages[0])
    page.until(TURNS)
    assert page.evaluate(SHOWN) == ["none", "block"]
    before, last = page.evaluate(EYE), page.evaluate(POINTS)
    page.drag(page.middle(".plot"), (150, 400))  # also when the mouse is let go below the figure
    after = page.evaluate(EYE)
    assert np.linalg.norm(np.subtract(after, before)) > 0.2
    page.evaluate("document.querySelector('.moment').focus()")
    for kind in ("rawKeyDown", "keyUp"):
        page("Input.dispatchKeyEvent", type=kind, key="Home", code="Home", windowsVirtualKeyCode=36)
    page.until("document.querySelector('.caption').textContent === 'step 0'")
    page.until(f"{POINTS}[0] !== {last[0]}")
    assert np.allclose(page.evaluate(POINTS), CLOUDS[0][:, 0], atol=1e-3)
    assert np.linalg.norm(np.subtract(page.evaluate(EYE), after)) < 0.2  # the view stays
    page.evaluate("document.querySelector('.play').click()")
    page.until("document.querySelector('.caption').textContent === 'step 2'")
    page.until(f"{POINTS}[0] === {last[0]}")
    urls = [url for url in page.requests if not url.startswith("data:")]
    assert all(url.startswith("file:") for url in urls)
    assert sum(url.endswith("_static/plotly.min.js") for url in urls) == 1


@browser
def test_a_finger_turns_the_figure_on_a_phone_and_nothing_is_wider_than_it(pages, page):
    page("Emulation.setTouchEmulationEnabled", enabled=True)
    page.open(pages[0], 390, 844)
    page.until(TURNS)
    before = page.evaluate(EYE)
    page.swipe(page.middle(".plot"), (80, 20))
    assert np.linalg.norm(np.subtract(page.evaluate(EYE), before)) > 0.2
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page("Emulation.setTouchEmulationEnabled", enabled=False)


@browser
def test_the_wheel_scrolls_the_page(pages, page):
    page.open(pages[0])
    page.until(TURNS)
    x, y = page.middle(".plot")
    before = page.evaluate(EYE), page.evaluate("scrollY")
    page("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=200)
    page.until(f"scrollY > {before[1]}")
    assert page.evaluate(EYE) == before[0]


@browser
def test_paper_shows_the_still(pages, page):
    page.open(pages[0])
    page.until(TURNS)
    page("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate(SHOWN) == ["block", "none"]
    assert page.evaluate("document.querySelector('.still').naturalWidth") > 600
    page("Emulation.setEmulatedMedia", media="")


@browser
def test_in_the_dark_a_figure_keeps_a_light_card(pages, page):
    page.open(pages[0], dark=True)
    page.until(TURNS)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    style = "getComputedStyle(document.querySelector('.point-cloud'))"
    assert page.evaluate(f"[{style}.backgroundColor, {style}.color]") == ["rgb(255, 255, 255)", "rgb(34, 34, 34)"]


@browser
def test_without_javascript_the_still_stays(pages, page):
    page.open(pages[0], script=False)
    assert page.evaluate(SHOWN) == ["block", "none"]


@browser
def test_in_a_notebook_the_still_stays_until_plotly_js_comes(pages, page):
    page.requests.clear()
    page.open(pages[1])
    page.until("window.bumplabPlotly?.then(() => true)")
    assert point_cloud.PLOTLY_JS in page.requests
    assert page.evaluate(SHOWN) == ["block", "none"]


@browser
def test_without_webgl_the_still_stays(pages):
    with chromium.Page("--disable-3d-apis") as page:
        page.open(pages[0])
        time.sleep(1)  # longer than a figure needs to ask
        assert page.evaluate(SHOWN) == ["block", "none"]
        assert not [url for url in page.requests if "plotly" in url]
