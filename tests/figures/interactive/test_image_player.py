"""Films of images: what they hold, their fallbacks, and a real browser that plays them without a network."""

import base64
import io
import re

import chromium
import numpy as np
import pytest
import torch
from PIL import Image

from bumplab.common.errors import BumplabError
from bumplab.figures.interactive import image_player

CAPTIONS = ("t = 9", "t = 5", "t = 0")


def film(captions=CAPTIONS, images=3, **options):
    """Return a film whose images are all black at first, then grey, then white."""
    frames = torch.linspace(-1, 1, len(captions))[:, None, None, None, None].expand(-1, images, 1, 4, 4)
    return image_player.play_images(frames, captions, **{"columns": 2, "seconds": 0.05} | options)


# ---------------------------------------------------------------- what a film holds


def test_the_browser_gets_all_moments_below_each_other():
    data = film().data()
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["sheet"]))))
    assert sheet.shape == (3 * 2 * 6, 2 * 6) and data["captions"] == CAPTIONS
    for value, moment in zip((0, 128, 255), sheet.reshape(3, 2, 6, 2, 6), strict=True):
        assert (moment[[0, 0, 1], 1:-1, [0, 1, 0], 1:-1] == value).all()  # three images; the fourth place is empty
        assert (moment[1, 1:-1, 1, 1:-1] == 128).all() and (moment[:, [0, -1]] == 128).all()


def test_a_film_has_a_still_and_is_the_same_each_time():
    bundle = film()._repr_mimebundle_()
    assert bundle == film()._repr_mimebundle_() and "http" not in bundle["text/html"]
    assert bundle["text/plain"] == "Interactive figure, a film of 3 moments, from t = 9 to t = 0"
    inside = re.search(r'class="still"[^>]*base64,([^"]+)"', bundle["text/html"])[1]
    still, beside = (Image.open(io.BytesIO(base64.b64decode(text))) for text in (inside, bundle["image/png"]))
    assert (still.format, beside.format) == ("WEBP", "PNG") and still.size == beside.size
    assert {0, 128, 255} <= set(np.unique(np.asarray(beside.convert("L"))).tolist())


def test_text_cannot_leave_its_place():
    page = film(["a", "b", '</script><b>"&'])._repr_mimebundle_()["text/html"]
    assert page.count("</script>") == 2 and "<b>" not in page


@pytest.mark.parametrize(
    "shape, options, sentence",
    [
        ((3, 2, 4, 4), {}, r"comes as \(f, n, 1, N, N\).*got shape \(3, 2, 4, 4\)"),
        ((2, 2, 1, 4, 4), {}, "each of the 2 moments; got 3"),
        ((3, 2, 1, 4, 4), {"columns": 0}, "one column or more; got 0"),
    ],
)
def test_a_mistake_gives_one_sentence(shape, options, sentence):
    with pytest.raises(BumplabError, match=sentence) as error:
        image_player.play_images(torch.zeros(shape), CAPTIONS, **{"columns": 2} | options)
    assert str(error.value).endswith(".")


# ---------------------------------------------------------------- in a browser

browser = pytest.mark.skipif(not chromium.find(), reason="needs Chromium or Chrome (or CHROMIUM=path)")
STATE = """[document.querySelector(".view").style.backgroundPositionY, document.querySelector(".caption").textContent,
document.querySelector(".view").ariaLabel, document.querySelector(".moment").getAttribute("aria-valuetext"),
document.querySelector(".play").textContent]"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.html"
    head = '<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">'
    path.write_text(head + film()._repr_mimebundle_()["text/html"], encoding="utf-8")
    with chromium.Page() as page:
        page.path = path
        yield page


@browser
def test_the_slider_and_the_button_move_the_film(page):
    page.requests.clear()
    page.open(page.path)
    assert page.evaluate(STATE) == ["100%", "t = 0", "t = 0", "t = 0", "play"]
    page.evaluate("""(() => {
        const slider = document.querySelector(".moment");
        slider.value = 1;
        slider.dispatchEvent(new Event("input"));
    })()""")
    assert page.evaluate(STATE) == ["50%", "t = 5", "t = 5", "t = 5", "play"]
    page.evaluate("document.querySelector('.play').click()")
    page.until("document.querySelector('.caption').textContent === 't = 0'")
    assert page.evaluate(STATE) == ["100%", "t = 0", "t = 0", "t = 0", "play"]
    page.evaluate("document.querySelector('.play').click()")  # from the end it begins again
    assert page.evaluate("document.querySelector('.play').textContent") == "pause"
    page.until("document.querySelector('.play').textContent === 'play'")
    assert all(url.startswith(("file:", "data:")) for url in page.requests)


@browser
def test_paper_and_pages_without_javascript_show_the_still(page):
    displays = "['.still', '.live'].map((name) => getComputedStyle(document.querySelector(name)).display)"
    page.open(page.path, 390, 844)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(displays) == ["none", "block"]
    page("Emulation.setEmulatedMedia", media="print")
    assert page.evaluate(displays) == ["block", "none"]
    page("Emulation.setEmulatedMedia", media="")
    page.open(page.path, script=False)
    assert page.evaluate(displays) == ["block", "none"]
