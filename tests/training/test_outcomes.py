"""The loss of a network on given conditions, against sums written out and against what training itself draws."""

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet
from bumplab.training import Learner, draw_batch, expected_loss, init_state, preset
from bumplab.training.settings import Settings

TARGETS = ("eps", "v", "x0")


def small(prediction_type="x0", timesteps=12, **world) -> Settings:
    """Return settings with so few timesteps that all of them can be summed over."""
    diffusion = {"prediction_type": prediction_type, "timesteps": timesteps}
    return preset("smoke", world={"size": 8, **world}, diffusion=diffusion)


def answer(x, t, mu):
    """Stand in for a network: an answer that hangs on the timestep and the condition, not on the noise."""
    return (0.1 * t + 0.05 * mu[:, 0])[:, None, None, None].expand_as(x)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_with_all_timesteps_it_is_the_sum_over_conditions_and_timesteps(batch):
    settings = small()
    mu = settings.world.lattice()
    squares = [
        ((0.1 * t + 0.05 * float(one[0]) - settings.world.render(one[None])) ** 2).mean().item()
        for one in mu
        for t in range(12)
    ]
    assert expected_loss(answer, settings, mu, 12, batch=batch) == pytest.approx(np.mean(squares), rel=1e-5)


@pytest.mark.parametrize("timesteps", [1, 5, 12])
def test_each_condition_gets_evenly_spread_timesteps_that_are_equally_likely(timesteps):
    settings, seen = small(), []

    def network(x, t, mu):
        seen.append(t)
        return torch.zeros_like(x)

    expected_loss(network, settings, torch.zeros(6000, 2), timesteps, batch=10_000)
    t = torch.stack(seen)  # (timesteps, n)
    low, high = (torch.arange(timesteps)[:, None] + k for k in (0, 1))
    assert (t >= (low * 12 / timesteps).floor()).all() and (t < (high * 12 / timesteps).ceil()).all()
    counts = torch.bincount(t.flatten(), minlength=12) / t.numel()
    assert counts == pytest.approx(torch.full((12,), 1 / 12), abs=0.02)


@pytest.mark.parametrize("prediction_type", TARGETS)
def test_it_is_the_mean_of_the_losses_that_training_draws(prediction_type):
    settings = small(prediction_type, timesteps=1000, fraction=0.5).replace(training={"batch": 64})
    state = init_state(settings, "cpu")
    state.model.load_state_dict({name: value + 0.02 for name, value in state.model.state_dict().items()})
    learner = Learner.of(state)
    with torch.no_grad():
        losses = np.array([learner.loss(*draw_batch(learner)).item() for _ in range(150)])
    error = losses.std() / np.sqrt(len(losses))
    mine = [expected_loss(state.model, settings, settings.world.seen(), 20, seed) for seed in range(8)]
    assert np.mean(mine) == pytest.approx(losses.mean(), abs=4 * error)
    same_images = losses.std() * np.sqrt(64 / (20 * len(settings.world.seen())))  # of as many independent draws
    assert np.std(mine) < 2 * same_images


def test_without_diffusion_it_is_the_squared_error_of_the_image():
    settings = preset("smoke", diffusion={"kind": "regression"}, world={"size": 8})
    network, mu = UNet(settings.model).eval(), settings.world.lattice()
    with torch.no_grad():
        images = network(torch.zeros(len(mu), 1, 8, 8), torch.zeros(len(mu)), mu)
    squares = (images - settings.world.render(mu)).square().mean().item()
    assert expected_loss(network, settings, mu, 20, batch=9) == pytest.approx(squares, rel=1e-5)


def test_it_is_the_same_at_every_call_and_leaves_the_global_state_alone():
    settings = small()
    network, mu = UNet(settings.model).eval(), settings.world.lattice()
    before = torch.get_rng_state()
    first = expected_loss(network, settings, mu, 3)
    assert first == expected_loss(network, settings, mu, 3) != expected_loss(network, settings, mu, 3, seed=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "count, timesteps, sentence",
    [
        (0, 5, "A loss is the mean over conditions: give one or more."),
        (1, 0, "A loss takes 1 to 12 timesteps, got 0."),
        (1, 13, "A loss takes 1 to 12 timesteps, got 13."),
    ],
)
def test_an_impossible_loss_is_refused_in_one_sentence(count, timesteps, sentence):
    with pytest.raises(BumplabError) as error:
        expected_loss(answer, small(), torch.zeros(count, 2), timesteps)
    assert str(error.value) == sentence
