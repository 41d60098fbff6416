"""The control without diffusion, against the definition: blank input, timestep 0, squared error of the image."""

import pytest
import torch

from bumplab.analysis.activations import record_activations
from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.regression import Regression
from bumplab.models.unet import UNet
from bumplab.training import init_state, preset, training_steps
from bumplab.training.settings import Settings

REGRESSION = Regression(kind="regression")
SMOKE = preset("smoke", diffusion={"kind": "regression"}, training={"snapshots": ()})


class Recorder:
    """A network that remembers what it is shown, and draws grey."""

    def __init__(self):
        self.calls = []

    def __call__(self, x, t, mu):
        self.calls.append((x.abs().max().item(), t.max().item()))
        return torch.full_like(x, 0.3)


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_one_step_draws_from_nothing_however_many_are_allowed(steps, eta):
    network = Recorder()
    noise = torch.randn(2, 1, 8, 8)
    images = REGRESSION.sample(network, torch.zeros(2, 2), 8, steps=steps, eta=eta, noise=noise)
    assert network.calls == [(0.0, 0.0)]
    assert images == pytest.approx(torch.full((2, 1, 8, 8), 0.3))


def test_training_is_plain_regression():
    """Three steps with the settings' own loop, and three written out here, end at the same weights."""
    state = init_state(SMOKE, "cpu")
    reference = UNet(SMOKE.model)
    reference.load_state_dict(state.model.state_dict())
    optimizer = torch.optim.AdamW(reference.parameters(), weight_decay=SMOKE.training.weight_decay)
    conditions, generator = state.conditions, torch.Generator()
    generator.set_state(state.generator.get_state())
    steps = training_steps(state)
    for step in range(3):
        for group in optimizer.param_groups:
            group["lr"] = SMOKE.training.learning_rate * min(1, (step + 1) / SMOKE.training.warmup_steps)
        mu = conditions[torch.randint(len(conditions), (SMOKE.training.batch,), generator=generator)]
        blank = torch.zeros(len(mu), 1, 32, 32)
        loss = (reference(blank, torch.zeros(len(mu)), mu) - SMOKE.world.render(mu)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        next(steps)
    for mine, theirs in zip(state.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_every_reading_looks_at_nothing():
    model = UNet(SMOKE.model).eval()
    mu = torch.tensor([[4.0, 9.0], [20.0, 1.0]])
    blank = model.run_with_cache(torch.zeros(2, 1, 32, 32), torch.zeros(2), mu, ["up1"])["up1"].flatten(1)
    for images in ("generated", "true"):
        read = record_activations(model, SMOKE.world, SMOKE.diffusion, mu, ["up1"], images=images, steps=3)["up1"]
        torch.testing.assert_close(read, blank)


def test_an_evaluation_does_not_depend_on_noise():
    def model(x, t, mu):
        return x / 2

    mu = SMOKE.world.lattice()[:9]
    ordinary = preset("smoke").diffusion
    for diffusion, same in ((SMOKE.diffusion, True), (ordinary, False)):
        first, second = (
            diffusion.sample(model, mu, 32, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)
        )
        assert torch.equal(first, second) is same


def test_it_has_a_name_of_its_own_and_old_names_stay():
    assert preset("smoke").id != preset("smoke", diffusion={"kind": "regression"}).id
    assert preset("smoke", diffusion={"kind": "diffusion"}).id == preset("smoke").id
    assert Settings.from_record(SMOKE.to_record()) == SMOKE
    assert isinstance(SMOKE.replace(seed=3).diffusion, Regression)
    assert type(SMOKE.replace(diffusion={"kind": "diffusion"}).diffusion) is Diffusion


def test_it_predicts_nothing_but_images():
    with pytest.raises(BumplabError, match="prediction_type"):
        preset("smoke", diffusion={"kind": "regression", "prediction_type": "eps"})
    with pytest.raises(BumplabError, match="kind"):
        preset("smoke", diffusion={"kind": "guess"})
