"""The lattice that fills: its data, its fallbacks, and a real browser that follows the clusters without a network."""

import base64
import io
import json

import chromium
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from bumplab.common.errors import BumplabError
from bumplab.figures.interactive import lattice_filling
from bumplab.percolation.clusters import fill_lattice, label_clusters
from bumplab.percolation.links import shells

KINDS = {"4 neighbours": shells(1), "8 neighbours": shells(2)}


def figure(shape=(48, 48), **options):
    return lattice_filling.play_filling(shape, KINDS, **{"title": "Fill the lattice"} | options)


# ---------------------------------------------------------------- what a figure holds


def test_the_browser_gets_the_order_and_the_curve():
    lattice = figure((20, 12))
    data = json.loads(json.dumps(lattice.data()))
    order = np.frombuffer(base64.b64decode(data["order"]), "<u2")
    assert sorted(order.tolist()) == list(range(240)) and (order == lattice.order).all()
    for kind, steps in zip(data["kinds"], KINDS.values(), strict=True):
        share = fill_lattice(order, (20, 12), steps, periodic=False).share()
        for p, value in kind["curve"]:
            assert value == pytest.approx(share[round(p * 240)], abs=1e-4)


def test_the_picture_colours_whole_clusters():
    lattice = figure((20, 12))
    picture = lattice.picture("4 neighbours", 130)
    mask = np.zeros(240, bool)
    mask[lattice.order[:130]] = True
    labels = label_clusters(mask.reshape(12, 20), KINDS["4 neighbours"], periodic=False)
    assert ((picture == 255).all(axis=2) == (labels == 0)).all()
    for number in range(1, labels.max() + 1):
        assert len({tuple(colour) for colour in picture[labels == number].tolist()}) == 1


def test_the_output_is_small_stays_the_same_and_has_a_still():
    bundle, again = figure()._repr_mimebundle_(), figure()._repr_mimebundle_()
    assert bundle == again and len(bundle["text/html"]) < 100_000 and "http" not in bundle["text/html"]
    assert "48 x 48 sites" in bundle["text/plain"]
    assert Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).width > 500
    assert plt.get_fignums() == []


def test_text_cannot_leave_its_place():
    page = figure(title="</script><b>&")._repr_mimebundle_()["text/html"]
    assert page.count("</script>") == 2 and "<b>" not in page


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shape": (200, 200)}, "40,000 sites"),
        ({"start": 1.5}, "start from 0 to 1"),
        ({"neighbourhoods": {}}, "one neighbourhood or more"),
    ],
)
def test_a_mistake_gives_one_sentence(options, message):
    options = {"shape": (8, 8), "neighbourhoods": KINDS, "title": "a"} | options
    with pytest.raises(BumplabError, match=message):
        lattice_filling.play_filling(**options)


# ---------------------------------------------------------------- in a browser

browser = pytest.mark.skipif(chromium.find() is None, reason="needs Chromium")
PIXELS = "[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 20, 12).data]"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("filling") / "figure.html"
    html = figure((20, 12))._repr_mimebundle_()["text/html"]
    head = '<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">'
    path.write_text(head + html, encoding="utf-8")
    with chromium.Page() as page:
        page.path = path
        yield page


@browser
def test_the_browser_finds_the_clusters_of_the_package(page):
    lattice = figure((20, 12))
    page.requests.clear()
    page.open(page.path)
    assert page.evaluate("getComputedStyle(document.querySelector('.still')).display") == "none"
    for choice, name in enumerate(KINDS):
        for count in (0, 1, 60, 100, 130, 144, 170, 240):
            page.evaluate(f"""(() => {{
                const [slider, choice] = ["input", "select"].map((name) => document.querySelector(name));
                choice.selectedIndex = {choice}; slider.value = {count};
                slider.dispatchEvent(new Event("input"));
            }})()""")
            pixels = np.array(page.evaluate(PIXELS)).reshape(12, 20, 4)
            assert (pixels[..., :3] == lattice.picture(name, count)).all(), (name, count)
            caption = page.evaluate("document.querySelector('.caption').textContent")
            growth = lattice.growths[name]
            assert f"clusters: {growth.clusters[count]}" in caption
            assert ("edge to edge" in caption) == (count >= min(growth.spanning_counts))
    assert all(url.startswith(("file:", "data:")) for url in page.requests)


@browser
def test_the_button_fills_the_lattice(page):
    page.open(page.path)
    page.evaluate("document.querySelector('.play').click()")
    page.until("document.querySelector('.moment').value === '240'")
    assert page.evaluate("document.querySelector('.play').textContent") == "fill"


@browser
def test_on_a_phone_nothing_is_wider_than_it_and_paper_shows_the_still(page):
    page.open(page.path, 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page("Emulation.setEmulatedMedia", media="print")
    style = "getComputedStyle(document.querySelector('{}')).display"
    assert [page.evaluate(style.format(part)) for part in (".still", ".live")] == ["block", "none"]
    page("Emulation.setEmulatedMedia", media="")


@browser
def test_without_javascript_the_still_stays(page):
    page.open(page.path, script=False)
    style = "getComputedStyle(document.querySelector('{}')).display"
    assert [page.evaluate(style.format(part)) for part in (".still", ".live")] == ["block", "none"]
