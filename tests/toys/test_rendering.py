"""Rendering as a toy: losses, measures and what is refused."""

import numpy as np
import pytest
import torch

from bumplab.analysis.superposition import exact_images, span_share
from bumplab.common.errors import BumplabError
from bumplab.models.renderer import pixel_variance, rank_entropy
from bumplab.toys.rendering import DONUT, RenderingSettings
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys

SMALL = DONUT.replace(size=12, held_out="box(2.5, 8.5, 2.5, 8.5)")
TIED = {"kind": "renderer", "maps": "tied", "readout": "product"}
LOW_RANK = {"kind": "renderer", "rank": 2, "kernel": 1}


def exact_weights(world):
    profile = world.profile(torch.arange(float(world.size)), 0)
    return {"profile": torch.stack([profile, profile])}


def test_the_exact_renderer_measures_as_perfect():
    measured = RenderingSettings(network=TIED).measure(exact_weights(DONUT))
    assert measured["seen"]["blanks"] < 1e-10 and measured["unseen"]["blanks"] < 1e-10
    assert measured["unseen"]["accuracy"] == 1
    assert measured["unseen"]["beyond"] == pytest.approx(span_share(DONUT), abs=1e-5)


def test_a_blank_costs_one_blank():
    weights = {name: torch.zeros_like(value) for name, value in exact_weights(DONUT).items()}
    measured = RenderingSettings(network=TIED).measure(weights)
    assert measured["unseen"] == {"blanks": pytest.approx(1, abs=1e-5), "accuracy": 0, "beyond": 0}


def test_a_stack_pays_its_own_penalties():
    members = [RenderingSettings(world=SMALL, network=LOW_RANK, entropy=e, variance=v) for e, v in ((0.1, 2), (0.5, 1))]
    weights = [each.replace(seed=k).init_weights() for k, each in enumerate(members)]
    inputs, images = members[0].samples()
    batch = tuple(part[:5].expand(2, *part[:5].shape) for part in (inputs, images))
    stacked = {name: torch.stack([each[name] for each in weights]) for name in weights[0]}
    loss = RenderingSettings.stack_loss(members, torch.device("cpu"))(stacked, batch, [torch.Generator()] * 2)
    for each, own, total in zip(members, weights, loss, strict=True):
        drawn = each.draw(own, SMALL.seen()[:5])
        expected = (drawn - images[:5]).square().mean()
        expected = expected + each.entropy * rank_entropy(own) + each.variance * pixel_variance(own)
        torch.testing.assert_close(total, expected)


def test_stacks_hold_networks_that_pay_the_same_penalties():
    base = RenderingSettings(world=SMALL, network=LOW_RANK)
    keys = {base.replace(**changes).stack_key() for changes in ({}, {"seed": 1}, {"entropy": 1}, {"entropy": 2})}
    assert len(keys) == 2


def test_networks_with_draws_of_their_own_train_in_one_stack_as_they_do_alone():
    thin = SMALL.replace(kind="bump+stripes", margin=3, held_out=None, fraction=0.5)
    base = RenderingSettings(world=thin, network={"kind": "mlp", "width": 8, "depth": 2}, steps=20, measure_every=20)
    members = [base.replace(seed=k, world={"subsample_seed": k}) for k in range(2)]
    assert len(toy_stacks(members)) == 1
    together = train_toys([init_toy(each) for each in members], "cpu", progress=False)
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        torch.testing.assert_close(state.weights["w3"], alone.weights["w3"], atol=1e-5, rtol=1e-4)
    assert not torch.equal(members[0].samples()[0], members[1].samples()[0])


@pytest.mark.parametrize("kind", ["mlp", "coordinates"])
def test_a_network_learns_what_it_is_shown(kind):
    settings = RenderingSettings(
        world=SMALL, network={"kind": kind, "width": 32, "depth": 2}, steps=60, learning_rate=1e-2, measure_every=30
    )
    state = train_toy(settings, "cpu")
    first, last = (settings.measure(weights)["seen"]["blanks"] for weights in (settings.init_weights(), state.weights))
    assert last < first


def test_settings_come_back_from_their_record():
    for network in (TIED, LOW_RANK, {"kind": "cnn", "width": 8}, {"kind": "coordinates"}):
        settings = RenderingSettings(network=network)
        assert RenderingSettings.from_record(settings.to_record()) == settings
    assert RenderingSettings(network={"kind": "cnn"}).id != RenderingSettings(network={"kind": "mlp"}).id


def test_samples_are_what_training_shows():
    inputs, images = RenderingSettings().samples()
    assert inputs.shape == (495, 56)
    np.testing.assert_allclose(images.flatten(1), exact_images(DONUT, DONUT.seen()), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"world": {"size": 28}}, "'nothing' touches no condition"),
        ({"world": {"size": 28, "held_out": "box(-1, 28, -1, 28)"}}, "nothing is left to train on"),
        ({"world": DONUT.replace(sigma=9)}, "at most 7"),
        ({"entropy": -1}, "greater than or equal to 0"),
        ({"variance": -0.1}, "greater than or equal to 0"),
        ({"variance": 0.1}, "renderer with low-rank maps"),
        ({"network": {"kind": "mlp", "encoding": "ramp"}}, "got 'ramp'"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        RenderingSettings(**changes)
