"""The network that lives in the page, in a browser: it draws what torch draws, and a reader can use it."""

import copy
import json

import chromium
import pytest
import torch

from book._tools import network_weights
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


def write_page(folder, body, scripts):
    path = folder / "page.html"
    links = "".join(f'<script defer src="{(STATIC / name).as_uri()}"></script>' for name in scripts)
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


def test_files_are_those_of_the_recorded_run(run):
    assert network_weights.WEIGHTS.read_text(encoding="utf-8") == network_weights.in_javascript(run)
    assert network_weights.WEIGHTS.stat().st_size < 4 / 3 * 900_000


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
