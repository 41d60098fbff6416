"""The network that lives in the page, in a browser: it draws what torch draws, and a reader can use it."""

import copy
import json
import re

import chromium
import pytest
import torch

from book._tools import network_page, network_weights
from bumplab.analysis.detection import detect
from bumplab.analysis.interventions import first_step_outputs, sample_with_outputs
from bumplab.analysis.patching import patch_activations
from bumplab.models.unet import UNet

STATIC = network_weights.STATIC
COUNT = 64
browser = pytest.mark.skipif(not chromium.find(), reason="needs Chromium or Chrome (or CHROMIUM=path)")


@pytest.fixture(scope="module")
def run():
    return network_weights.recorded_run()


@pytest.fixture(scope="module")
def model(run):
    """Return the network with its weights in half precision, as the page has them."""
    return copy.deepcopy(run.model()).half().float()


@pytest.fixture(scope="module")
def conditions():
    """Return places, other places, and noise to start from."""
    generator = torch.Generator().manual_seed(0)
    places, others = 31 * torch.rand(2, COUNT, 2, generator=generator)
    return places, others, torch.randn(COUNT, 1, 32, 32, generator=generator)


def write_page(folder, body, scripts, style=""):
    path = folder / "page.html"
    links = "".join(f'<script defer src="{(STATIC / name).as_uri()}"></script>' for name in scripts)
    links += f"<style>* {{box-sizing: border-box}} body {{margin: 0}} {style}</style>"
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    path.write_text(f'<!DOCTYPE html><meta charset="utf-8">{view}{links}<body>{body}', encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """Return a page with the network alone."""
    with chromium.Page() as tab:
        path = write_page(tmp_path_factory.mktemp("page"), "", ["network.js", "network-weights.js"])
        tab.open(path)
        tab.evaluate("window.network = bumplabNetwork(bumplabWeights), 0")
        yield tab


def draw(tab, places, noise, swap="null", moments="undefined"):
    """Return what the page draws (n, 1, 32, 32); `swap` and `moments` are JavaScript, k is the number of the image."""
    data = json.dumps({"places": places.tolist(), "noise": noise.flatten(1).tolist()})
    images = tab.evaluate(f"""(() => {{
        const {{ places, noise }} = {data};
        return places.map((place, k) =>
            Array.from(network.draw(place, Float32Array.from(noise[k]), {swap}, {moments}).image));
    }})()""")
    return torch.tensor(images).view(-1, 1, 32, 32)


def check_file(path, run):
    assert path.read_text(encoding="utf-8") == network_weights.in_javascript(run), (
        "run python -m book._tools.network_weights"
    )
    assert path.stat().st_size < 4 / 3 * 900_000


def test_files_are_those_of_the_recorded_run(run):
    check_file(network_weights.WEIGHTS, run)


@pytest.fixture(scope="module")
def sets():
    return network_weights.runs_of_sets()


@pytest.mark.parametrize("name, pairs, single", [("pairs", 729, 0), ("stripes", 0, 512), ("both", 729, 512)])
def test_files_of_chapter_5_are_those_of_its_training_sets(sets, name, pairs, single):
    run = sets[name]
    check_file(network_weights.path_for(network_weights.WEIGHTS, name), run)
    seen = run.settings.world.in_window(run.settings.world.seen()).all(1)
    assert (int(seen.sum()), int((~seen).sum())) == (pairs, single)
    hidden = network_weights.hidden_pixels(run)
    assert len(hidden) == 32 * 32 and hidden.count("0") == pairs
    assert all(hidden[32 * y + x] == "1" for x, y in [(14, 3), (18, 30), (3, 16), (16, 16)])  # the band, 14 to 18


@browser
def test_page_draws_what_torch_draws(tab, run, model, conditions):
    places, _, noise = conditions
    world, diffusion = run.settings.world, run.settings.diffusion
    here = diffusion.sample(model, places, 32, run.settings.training.sampler_steps, noise=noise)
    there = draw(tab, places, noise)
    assert (here - there).abs().max() < 1e-3
    ours, theirs = detect(here, world), detect(there, world)
    assert torch.equal(ours.count, theirs.count)
    torch.testing.assert_close(theirs.centre, ours.centre, atol=0.01, rtol=0, equal_nan=True)


@browser
@pytest.mark.parametrize("name", network_weights.SETS)
def test_page_draws_stripes_as_torch_does(tmp_path, sets, conditions, name):
    places, _, noise = (each[:8] for each in conditions)
    settings, model = sets[name].settings, copy.deepcopy(sets[name].model()).half().float()
    labels = places + settings.world.margin
    here = settings.diffusion.sample(model, labels, 32, settings.training.sampler_steps, noise=noise)
    weights = network_weights.path_for(network_weights.WEIGHTS, name).name
    with chromium.Page() as tab:
        tab.open(write_page(tmp_path, "", ["network.js", weights]))
        tab.evaluate("window.network = bumplabNetwork(bumplabWeights), 0")
        there = draw(tab, places, noise)
    assert (here - there).abs().max() < 1e-3


@browser
@pytest.mark.parametrize("t", [999.0, 199.0])
def test_layers_put_out_what_they_do_in_torch(tab, model, conditions, t):
    places, _, noise = conditions
    ours = model.run_with_cache(noise[:1], torch.tensor([t]), places[:1], UNet.layer_names)
    theirs = tab.evaluate(f"""(() => {{
        const {{ outputs }} = network.run(Float32Array.from({noise[0].flatten().tolist()}), {t}, {places[0].tolist()});
        return Object.entries(outputs).map(([name, {{ values }}]) => [name, Array.from(values)]);
    }})()""")
    assert [name for name, _ in theirs] == list(UNet.layer_names)
    for name, values in theirs:
        output = ours[name][0].permute(1, 2, 0).flatten()  # the page holds the channels of a place beside each other
        assert (torch.tensor(values) - output).norm() < 1e-3 * output.norm(), name


@browser
@pytest.mark.parametrize("layers", [["down2"], ["up2"], list(UNet.layer_names[:9])])
def test_swap_is_the_experiment_of_chapter_4(tab, run, model, conditions, layers):
    places, others, noise = (each[:8] for each in conditions)
    swap = f"{{ place: {others.tolist()}[k], layers: {json.dumps(layers)} }}"
    outputs = first_step_outputs(model, run.settings.diffusion, others, noise, layers)
    here = sample_with_outputs(model, run.settings.diffusion, places, noise, outputs)
    assert (here - draw(tab, places, noise, swap, "[0, 5]")).abs().max() < 1e-3

    def denoise(x, t, mu):  # the same at each of five steps
        elsewhere = model.run_with_cache(x, t, others, layers)
        with patch_activations(model, {name: lambda _, name=name: elsewhere[name] for name in layers}):
            return model(x, t, mu)

    here = run.settings.diffusion.sample(denoise, places, 32, 5, noise=noise)
    assert (here - draw(tab, places, noise, swap)).abs().max() < 1e-3


@pytest.fixture
def element(tmp_path):
    """Return a page where the network can live twice, as the book has it."""
    still = f'<a href="#away"><img src="{network_weights.STILL.as_uri()}" alt="A still"></a>'
    first, second = (f'<div class="network-in-page" data-mode="{mode}">{still}</div>' for mode in ("draw", "swap"))
    style = (STATIC / "network-page.css").read_text(encoding="utf-8")
    return write_page(tmp_path, first + second, ["network-page.js"], style)


def weigh(tab):
    """Return how often a page asked for the weights."""
    return sum(network_weights.WEIGHTS.stem in address for address in tab.requests)


def start(tab, number=0):
    """Start a network of the page, and return the selector of its element."""
    element = f".network-in-page:nth-of-type({number + 1})"
    tab.evaluate(f"document.querySelector('{element} .start').click(), 0")
    tab.until(f"document.querySelector('{element} .result')?.textContent")
    return element


def places(tab, element):
    """Return the numbers in the sentence that says what was asked for and what was drawn."""
    frame = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    sentence = tab.evaluate(f"{frame}.then(() => document.querySelector('{element} .result').textContent)")
    return [float(number) for number in re.findall(r"[\d.]+\d", sentence)], sentence


@browser
@pytest.mark.parametrize("width", [390, 1280])
def test_reader_drags_a_place_and_the_bump_follows(element, width):
    with chromium.Page() as tab:
        tab.open(element, width)
        assert not weigh(tab) and tab.evaluate("document.querySelector('.start').checkVisibility()")
        one = start(tab)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert not tab.evaluate("document.querySelector('.still').checkVisibility()")
        move = tab.swipe if width < 500 else tab.drag
        centre = tab.middle(f"{one} .ask")
        move(centre, (40, 20))
        pixels = 32 / tab.evaluate(f"document.querySelector('{one} .ask').clientWidth")
        (x, y, *drawn), _ = places(tab, one)
        assert [x, y] == pytest.approx([15.5 + 40 * pixels, 15.5 + 20 * pixels], abs=0.6)
        assert drawn == pytest.approx([x, y], abs=1)
        for key in ("ArrowLeft", "ArrowLeft", "ArrowUp"):
            tab("Input.dispatchKeyEvent", type="keyDown", key=key)
        assert places(tab, one)[0][:2] == pytest.approx([x - 2, y - 1], abs=0.01)


@browser
def test_two_on_a_page_load_the_network_once_and_swap_codes(element):
    with chromium.Page() as tab:
        tab.open(element, dark=True)
        start(tab)
        two = start(tab, 1)
        assert weigh(tab) == 1
        verdicts = {}
        for layer in UNet.layer_names:
            tab.evaluate(f"document.querySelector('{two} [aria-label={layer}]').click(), 0")
            verdicts[layer] = places(tab, two)[1].rsplit(". ", 1)[1]
        tab.until(f"document.querySelectorAll('{two} [data-at]').length === {len(UNet.layer_names)}")
        colours = tab.evaluate(f"[...document.querySelectorAll('{two} [data-at]')].map((e) => e.dataset.at)")
        words = {"It stays.": "asked", "It follows.": "other"}
        assert [words.get(verdict, "elsewhere") for verdict in verdicts.values()] == colours
        assert verdicts["middle"] == "It stays." and verdicts["up2"] == verdicts["head"] == "It follows."
        tab.evaluate(f"document.querySelector('{two} .swap').click(), 0")
        assert "code from" not in places(tab, two)[1]


@browser
@pytest.mark.parametrize("width", [390, 1280])
def test_reader_asks_networks_of_chapter_5_for_a_pair_that_training_hid(tmp_path, sets, width):
    still = network_weights.path_for(network_weights.STILL, "pairs").as_uri()
    div = f'<div class="network-in-page" data-mode="ask" data-networks="pairs stripes both"><img src="{still}"></div>'
    style = (STATIC / "network-page.css").read_text(encoding="utf-8")
    with chromium.Page() as tab:
        tab.open(write_page(tmp_path, div, ["network-page.js"], style), width)
        assert not weigh(tab)
        one = start(tab)
        assert weigh(tab) == 1 and tab.evaluate("document.documentElement.scrollWidth") <= width
        assert not tab.evaluate("document.querySelector('details').checkVisibility()")
        x, y, *drawn = places(tab, one)[0]
        assert [x, y] == [16, 8] and drawn[-1] == pytest.approx(8, abs=1)  # the known value, at least
        assert "training hid" in places(tab, one)[1]
        tab.evaluate(f"document.querySelector('{one} [value=both]').click(), 0")
        tab.until(f"/Vertical stripe: at/.test(document.querySelector('{one} .result').textContent)")
        assert places(tab, one)[0] == pytest.approx([16, 8, 16, 8], abs=1) and weigh(tab) == 2
        pixel = tab.evaluate(
            f"Array.from(document.querySelector('{one} .hidden').getContext('2d').getImageData(16, 3, 1, 1).data)"
        )
        other = tab.evaluate(
            f"Array.from(document.querySelector('{one} .hidden').getContext('2d').getImageData(3, 3, 1, 1).data)"
        )
        assert pixel != other  # the band is drawn on the map


@browser
def test_slider_shows_each_step(element):
    with chromium.Page() as tab:
        tab.open(element)
        one = start(tab)
        column = f"[...document.querySelectorAll('{one} .strip canvas')].findIndex(e => e.matches('.chosen'))"
        assert tab.evaluate(column) == 4
        tab.evaluate(f"document.querySelector('{one} .step').focus(), 0")
        for _ in range(2):
            tab("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft", windowsVirtualKeyCode=37)
        places(tab, one)
        assert tab.evaluate(column) == 2
        assert tab.evaluate(f"document.querySelector('{one} .step').getAttribute('aria-valuetext')") == (
            "step 3 of 5, t = 599"
        )
        same = "(a, b) => document.querySelector(a).toDataURL() === document.querySelector(b).toDataURL()"
        assert tab.evaluate(f"({same})('{one} .drawn', '{one} .strip canvas:nth-of-type(8)')")


@browser
def test_still_stands_without_javascript(element):
    with chromium.Page() as tab:
        tab.open(element, script=False)
        assert tab.evaluate("[...document.images].filter((e) => e.checkVisibility() && e.naturalWidth).length") == 2


class App:
    """What adds files to a page, in place of Sphinx."""

    def __init__(self):
        self.files = []

    def add_js_file(self, name, **options):
        self.files.append(name)

    add_css_file = add_js_file


@pytest.mark.parametrize(
    "body, files",
    [
        ('<div class="network-in-page">', ["network-page.js", "network-page.css"]),
        ('<div class="network-in-page" data-mode="draw">', ["network-page.js", "network-page.css"]),
        ("<p>network-in-page</p>", []),
    ],
)
def test_only_pages_with_the_network_get_its_files(body, files):
    app = App()
    network_page.add_files(app, "book/intro", "page.html", {"body": body}, None)
    assert app.files == files and all((STATIC / name).is_file() for name in files)
