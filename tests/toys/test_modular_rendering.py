"""Perceptrons that draw bumps and pay for weighted activity: losses, measures, stacks, and what is refused."""

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.models.penalties import weighted_activity_penalty
from bumplab.models.perceptrons import perceptron, solo
from bumplab.toys.modular_rendering import ModularRenderingSettings
from bumplab.toys.rendering import DONUT, RenderingSettings
from bumplab.toys.trainer import train_toy

SMALL = ModularRenderingSettings(
    world=DONUT.replace(size=12, held_out="box(2.5, 8.5, 2.5, 8.5)"), network={"kind": "mlp", "width": 16, "depth": 2}
)


def test_each_member_of_a_stack_pays_its_own_price():
    members = [SMALL.replace(weighted_activity=price, seed=seed) for seed, price in enumerate((0.1, 0.5))]
    weights = [each.init_weights() for each in members]
    inputs, images = SMALL.samples()
    batch = tuple(part[:5].expand(2, *part[:5].shape) for part in (inputs, images))
    stacked = {name: torch.stack([each[name] for each in weights]) for name in weights[0]}
    loss = ModularRenderingSettings.stack_loss(members, torch.device("cpu"))(stacked, batch, [torch.Generator()] * 2)
    for each, own, total in zip(members, weights, loss, strict=True):
        error = (each.draw(own, each.world.seen()[:5]) - images[:5]).square().mean()
        _, activities = perceptron(solo(own), inputs[None, :5], "relu")
        penalty = weighted_activity_penalty(activities, solo(own))[0]
        torch.testing.assert_close(total, error + each.weighted_activity * penalty)


def test_without_the_penalty_it_is_the_perceptron_of_rendering():
    short = {"steps": 20, "measure_every": 20, "world": SMALL.world, "network": SMALL.network}
    one, other = (
        train_toy(kind(**short), "cpu", progress=False) for kind in (ModularRenderingSettings, RenderingSettings)
    )
    for name, value in one.weights.items():
        torch.testing.assert_close(value, other.weights[name])
    shared = one.history["measurements"][-1]
    assert shared["unseen"]["blanks"] == pytest.approx(other.history["measurements"][-1]["unseen"]["blanks"], rel=1e-3)


def test_ids_of_rendering_stay_what_they_were():
    assert RenderingSettings().id == "245af4e72b91"
    assert ModularRenderingSettings().id != RenderingSettings().id


def test_a_network_wired_by_axis_measures_as_two_modules():
    """Half of the units hear x, the other half y, all the way up to the pixels."""
    weights = SMALL.init_weights()
    side = torch.arange(16) < 8
    weights["w1"] = weights["w1"] * ((SMALL.axes() == 0)[:, None] == side)
    weights["w2"] = weights["w2"] * (side[:, None] == side)
    measured = SMALL.measure(weights)
    assert measured["purity"]["w1"] == measured["purity"]["w2"] == 1
    assert max(measured["lambda2"][name] for name in ("w1", "w2")) < 1e-4
    np.testing.assert_allclose(list(measured["activity"].values()), 1, atol=1e-5)


def test_the_penalty_is_of_perceptrons_alone():
    with pytest.raises(BumplabError, match="Weighted activity is a penalty of perceptrons, got a cnn"):
        SMALL.replace(network={"kind": "cnn", "depth": 3})
    with pytest.raises(BumplabError, match="greater than or equal to 0"):
        SMALL.replace(weighted_activity=-1)
