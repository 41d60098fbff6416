"""Interventions on networks whose answer to them is known."""

import numpy as np
import pytest
import torch

from bumplab.analysis import interventions
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet
from bumplab.training.settings import preset
from bumplab.worlds.bumps import BumpWorld

SMOKE = preset("smoke")
WORLD = BumpWorld(size=32, periodic=True)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return UNet(SMOKE.model).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def noise():
    return torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))


MU = torch.tensor([[3.0, 4.0], [9.0, 20.0], [30.0, 1.0]])
OTHER = torch.tensor([[12.0, 4.0], [1.0, 2.0], [15.0, 29.0]])


def test_the_outputs_are_those_of_the_first_step(model, noise):
    outputs = interventions.first_step_outputs(model, SMOKE.diffusion, MU, noise)
    assert tuple(outputs) == UNet.layer_names
    image = torch.nn.functional.pixel_shuffle(outputs["head"], SMOKE.model.patch)
    _, x0 = next(SMOKE.diffusion.sample_trajectory(model, MU, 32, steps=7, noise=noise))
    torch.testing.assert_close(image.clamp(-1, 1), x0)
    some = interventions.first_step_outputs(model, SMOKE.diffusion, MU, noise, [4, "head"])
    assert list(some) == ["attention2", "head"] and torch.equal(some["head"], outputs["head"])


def test_patched_with_its_own_outputs_a_network_draws_what_it_draws(model, noise):
    outputs = interventions.first_step_outputs(model, SMOKE.diffusion, MU, noise)
    plain = SMOKE.diffusion.sample(model, MU, 32, 1, noise=noise)
    sample = lambda patch: interventions.sample_with_outputs(model, SMOKE.diffusion, MU, noise, patch)  # noqa: E731
    assert torch.equal(sample({}), plain)
    for name in ("stem", "attention2", "middle", "head"):
        assert torch.equal(sample({name: outputs[name]}), plain), name


def test_patched_with_another_conditions_last_layer_it_draws_that_condition(model, noise):
    other = interventions.first_step_outputs(model, SMOKE.diffusion, OTHER, noise)
    goal = SMOKE.diffusion.sample(model, OTHER, 32, 1, noise=noise)
    ours = interventions.sample_with_outputs(model, SMOKE.diffusion, MU, noise, {"head": other["head"]})
    assert torch.equal(ours, goal)
    early = interventions.sample_with_outputs(model, SMOKE.diffusion, MU, noise, {"stem": other["stem"]})
    assert torch.equal(early, SMOKE.diffusion.sample(model, MU, 32, 1, noise=noise))  # the stem hears no condition


def test_outputs_of_other_layers_or_too_few_conditions_are_refused(model, noise):
    with pytest.raises(BumplabError, match="no layer 'tail'"):
        interventions.sample_with_outputs(model, SMOKE.diffusion, MU, noise, {"tail": noise})
    with pytest.raises(BumplabError, match="'head' needs one output for each of 3 conditions, got 2"):
        interventions.sample_with_outputs(model, SMOKE.diffusion, MU, noise, {"head": noise[:2]})


def test_in_an_additive_code_a_displacement_leads_to_the_goal():
    generator = torch.Generator().manual_seed(0)
    f, g = torch.randn(32, 5, 1, 1, generator=generator), torch.randn(32, 5, 1, 1, generator=generator)

    def code(x, y):
        return {"layer": f[x] + g[y]}

    x, y, there = torch.tensor([3, 7]), torch.tensor([5, 9]), torch.tensor([20, 30])
    moved = interventions.add_displacement(code(x, there), code(x, y), code(x + 4, y))
    torch.testing.assert_close(moved["layer"], code(x + 4, there)["layer"])
    back = interventions.add_displacement(code(x + 4, there), code(x, y), code(x + 4, y), factor=-1)
    torch.testing.assert_close(back["layer"], code(x, there)["layer"])


def test_a_random_displacement_is_as_long_as_the_real_one_and_points_elsewhere():
    generator = torch.Generator().manual_seed(0)
    base, target = torch.randn(2, 6, 16, 4, 4, generator=generator)
    moved = interventions.random_displacement(base, target, seed=3)
    long, real = (moved - base).flatten(1), (target - base).flatten(1)
    np.testing.assert_allclose(long.norm(dim=1), real.norm(dim=1), rtol=1e-5)
    assert torch.nn.functional.cosine_similarity(long, real).abs().max() < 0.3  # of 256 dimensions
    assert torch.equal(moved, interventions.random_displacement(base, target, seed=3))
    assert not torch.equal(moved, interventions.random_displacement(base, target, seed=4))


@pytest.fixture(scope="module")
def scene():
    """Images with known contents, and where their bumps were and should go."""
    origin = torch.tensor([[2.0, 8.0]] * 8)
    goal = torch.tensor([[28.0, 8.0]] * 8)  # six pixels to the left, round the edge
    places = [(28.9, 8), (28, 7.1), (1.2, 8.5), (2, 12), (28, 10), (15, 15)]
    images = WORLD.render(torch.tensor(places))
    twice = WORLD.render(torch.tensor([[28.0, 8.0]])).maximum(WORLD.render(torch.tensor([[10.0, 20.0]])))
    return torch.cat([images, twice, torch.full_like(twice, -1.0)]), origin, goal


def test_images_are_counted_at_the_goal_the_origin_elsewhere_or_as_no_single_bump(scene):
    rates = interventions.arrival_rates(scene[0], WORLD, scene[1], scene[2])
    assert rates == {"goal": 2 / 8, "origin": 1 / 8, "elsewhere": 3 / 8, "not one": 2 / 8}


def test_displacements_go_the_short_way_round_and_are_unknown_without_a_single_bump(scene):
    images, origin, _ = scene
    moved = interventions.bump_displacements(images, WORLD, origin)
    expected = [[-5.1, 0], [-6, -0.9], [-0.8, 0.5], [0, 4], [-6, 2], [13, 7], [np.nan] * 2, [np.nan] * 2]
    np.testing.assert_allclose(moved, expected, atol=0.05)
