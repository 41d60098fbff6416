"""One step, however it is executed: against a loop that is written out line by line."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from bumplab.models.unet import UNet
from bumplab.training.ensembles import Ensemble
from bumplab.training.loop import training_steps
from bumplab.training.settings import preset
from bumplab.training.state import init_state, mean_target
from bumplab.training.step import Learner, draw_batch

STEPS = 7
#: Every target, with what else decides a step: schedule, weight decay, edges, sizes that are no powers of two.
VARIANTS = {
    "x0": preset("smoke"),
    "eps": preset("smoke", diffusion={"prediction_type": "eps"}, training={"lr_schedule": "constant"}),
    "v": preset("smoke", diffusion={"prediction_type": "v", "schedule": "cosine"}, training={"weight_decay": 0.01}),
    "odd": preset("smoke", world={"size": 20, "periodic": True, "sigma": (2.0, 0.7)}, model={"patch": 2}, seed=5),
}


def train_by_hand(settings, steps):
    """Return weights, averages, moments, and the losses of the first steps, with nothing of the package's training."""
    training, world, diffusion = settings.training, settings.world, settings.diffusion
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = UNet(settings.model)
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.constant_(model.head.bias, mean_target(settings))
    averages = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=training.weight_decay, fused=True)
    generator, seen, losses = torch.Generator().manual_seed(settings.seed), world.seen(), []
    for step in range(steps):
        mu = seen[torch.randint(len(seen), (training.batch,), generator=generator)]
        x0 = world.render(mu)
        t = torch.randint(diffusion.timesteps, (training.batch,), generator=generator)
        eps = torch.randn(x0.shape, generator=generator)
        signal, noise = diffusion.signal_and_noise_scale(t)
        target = {"x0": x0, "eps": eps, "v": signal * eps - noise * x0}[diffusion.prediction_type]
        loss = F.mse_loss(model(signal * x0 + noise * eps, t, mu), target)
        optimizer.zero_grad()
        loss.backward()
        rate = training.learning_rate * min(1, (step + 1) / training.warmup_steps)
        if training.lr_schedule == "cosine":
            rate = rate * (1 + math.cos(math.pi * step / training.steps)) / 2
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        decay = min(training.ema_decay, (1 + step) / (10 + step))
        for average, parameter in zip(averages, model.parameters(), strict=True):
            average.lerp_(parameter.detach(), 1 - decay)
        losses.append(loss.detach())
    moments = [optimizer.state[parameter][key] for parameter in model.parameters() for key in ("exp_avg", "exp_avg_sq")]
    return list(model.parameters()), averages, moments, losses


@pytest.mark.parametrize("name", VARIANTS)
def test_training_is_the_loop_written_out_line_by_line_bit_for_bit(name):
    settings = VARIANTS[name]
    weights, averages, moments, losses = train_by_hand(settings, STEPS)
    state, sums = init_state(settings, "cpu"), []
    for _, _ in zip(range(STEPS), training_steps(state), strict=False):
        sums.append(state.loss_sum.clone())
    own = [state.optimizer.state[p][key] for p in state.model.parameters() for key in ("exp_avg", "exp_avg_sq")]
    for expected, found in (
        (weights, state.model.parameters()),
        (averages, state.ema_model.parameters()),
        (moments, own),
        (itertools.accumulate(losses), sums),
    ):
        assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_another_learner_of_a_state_leaves_the_first_its_rates():
    plain, watched = (init_state(VARIANTS["x0"], "cpu") for _ in range(2))
    for _, _ in zip(range(3), training_steps(plain), strict=False):
        pass
    for _, _ in zip(range(3), training_steps(watched), strict=False):
        Learner.of(watched).set_rates(0.0, 0.0)
    for one, other in zip(plain.ema_model.parameters(), watched.ema_model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_stack_draws_what_each_would_draw_alone():
    several = [VARIANTS["x0"].replace(seed=seed, world={"sigma": 1 + seed, "fraction": 0.5}) for seed in (0, 1)]
    together = draw_batch(Ensemble([init_state(each, "cpu") for each in several]).learner)
    alone = [draw_batch(Learner.of(init_state(each, "cpu"))) for each in several]
    for stacked, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(stacked, torch.cat(parts))
