"""Representations are what the layers put out, for the input that was asked for."""

import pytest
import torch

from bumplab.analysis.activations import lattice_activations, record_activations, to_grid
from bumplab.analysis.patching import patch_activations
from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet
from bumplab.training.settings import preset

SETTINGS = preset("smoke", world={"size": 8, "spacing": (1, 2)}, model={"patch": 1})
WORLD, DIFFUSION = SETTINGS.world, SETTINGS.diffusion
MU = WORLD.lattice()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return UNet(SETTINGS.model).eval().requires_grad_(False)


def represent(model, **options):
    return record_activations(model, WORLD, DIFFUSION, MU, **options)


def eps(n=1):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("noise", ["shared", "independent", "zero"])
@pytest.mark.parametrize("t", [0, 37.5, 999])
def test_true_images_are_noised_as_in_training(model, noise, t):
    drawn = {
        "shared": eps().expand(len(MU), -1, -1, -1),
        "independent": eps(len(MU)),
        "zero": torch.zeros(len(MU), 1, 8, 8),
    }
    when = torch.full((len(MU),), float(t))
    x = DIFFUSION.add_noise(WORLD.render(MU), drawn[noise], when)
    expected = model.run_with_cache(x, when, MU, [4, "head"])
    found = represent(model, layers=[4, "head"], t=t, images="true", noise=noise, batch=5)
    assert list(found) == ["attention2", "head"]
    for name, output in expected.items():
        torch.testing.assert_close(found[name], output.flatten(1), rtol=1e-4, atol=1e-5)


def test_averaged_noise_is_the_mean_over_draws(model):
    generator = torch.Generator().manual_seed(0)
    when = torch.full((len(MU),), 500.0)
    outputs = []
    for _ in range(3):
        x = DIFFUSION.add_noise(WORLD.render(MU), torch.randn(1, 1, 8, 8, generator=generator), when)
        outputs.append(model.run_with_cache(x, when, MU, [4])["attention2"].flatten(1))
    found = represent(model, t=500, images="true", noise="averaged", draws=3)["attention2"]
    torch.testing.assert_close(found, torch.stack(outputs).mean(0), rtol=1e-4, atol=1e-5)


def test_generated_images_are_those_of_the_sampler(model):
    *_, before, _ = DIFFUSION.sample_trajectory(model, MU, 8, steps=4, noise=eps().expand(len(MU), -1, -1, -1))
    t = DIFFUSION.sampling_timesteps(4)[3]  # the timestep of the last call, after three steps
    when = torch.full((len(MU),), float(t))
    expected = model.run_with_cache(before[0], when, MU, [4])["attention2"].flatten(1)
    found = represent(model, t=float(t), steps=3)["attention2"]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_generation_begins_with_the_noise(model):
    first = represent(model, t=999)["attention2"]
    torch.testing.assert_close(first, represent(model, t=999, steps=1)["attention2"])
    when, x = torch.full((len(MU),), 999.0), eps().expand(len(MU), -1, -1, -1)
    torch.testing.assert_close(
        first, model.run_with_cache(x, when, MU, [4])["attention2"].flatten(1), rtol=1e-4, atol=1e-5
    )


def test_a_lattice_has_x_first():
    grid = to_grid(MU, WORLD)
    assert grid.shape == (8, 4, 2)
    assert torch.equal(grid[:, 0, 0], WORLD.axis(0)) and torch.equal(grid[0, :, 1], WORLD.axis(1))
    with pytest.raises(
        BumplabError, match=r"^Needs one representation for each of the lattice's 32 conditions, got 5\.$"
    ):
        to_grid(MU[:5], WORLD)


def test_a_changed_layer_changes_what_follows_and_only_within(model):
    x, when = eps(len(MU)), torch.full((len(MU),), 3.0)
    before = model(x, when, MU)
    with patch_activations(model, {4: lambda output: output.roll(1, 0), "head": lambda output: 2 * output}):
        inside = model(x, when, MU)
    with patch_activations(model, {"head": lambda output: 2 * output}):
        torch.testing.assert_close(model(x, when, MU), 2 * before)
    assert (inside - 2 * before).abs().max() > 1e-3
    assert torch.equal(model(x, when, MU), before)


def test_hooks_go_when_the_network_fails(model):
    with pytest.raises(RuntimeError), patch_activations(model, {4: lambda output: output[:, :1]}):
        model(eps(len(MU)), torch.zeros(len(MU)), MU)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layers": [99]}, "There is no layer 99: use 0 to 14 or one of stem"),
        ({"t": 1000}, "Timesteps run from 0 to 999, got 1000."),
        ({"t": -1}, "Timesteps run from 0 to 999, got -1."),
        ({"noise": "much"}, "There is no noise 'much': use shared, independent, averaged or zero."),
        ({"images": "own"}, "There are no images 'own': use generated or true."),
    ],
)
def test_impossible_questions_are_refused(model, options, message):
    with pytest.raises(BumplabError) as error:
        represent(model, **options)
    assert str(error.value).startswith(message)


def test_diffusion_is_that_of_the_run(model):
    with pytest.raises(BumplabError, match="0 to 9,? got 50|0 to 9, got 50"):
        record_activations(model, WORLD, Diffusion(timesteps=10), MU, t=50)


def test_the_lattice_has_what_each_of_its_conditions_has_alone(model):
    grids = lattice_activations(model, WORLD, DIFFUSION, [2, "head"], t=500.0, steps=2)
    assert list(grids) == ["attention1", "head"]
    for column, row in ((0, 0), (3, 1), (7, 3)):
        mu = torch.tensor([[WORLD.axis(0)[column], WORLD.axis(1)[row]]])
        alone = record_activations(model, WORLD, DIFFUSION, mu, [2, "head"], t=500.0, steps=2)
        for name, grid in grids.items():
            assert grid.shape[:2] == (8, 4)
            torch.testing.assert_close(torch.from_numpy(grid[column, row]), alone[name][0])
