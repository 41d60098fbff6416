"""The toy of two clocks: its loss, its measures where the answer is exact, stacks, and what is refused."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.bit_posteriors import bit_evidence, memorised_mean, parity_mean
from bumplab.models.perceptrons import solo
from bumplab.runs.store import load_or_train
from bumplab.toys.parity import SIGMAS, ParitySettings
from bumplab.toys.states import ToyStack, init_toy
from bumplab.toys.toy_checkpoints import load_or_init_toy, save_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys
from bumplab.training.state import Interrupted
from bumplab.training.stopping import stop_when

SMALL = ParitySettings(
    world={"bits": 8, "group": 2}, num_train=6, width=24, depth=2, steps=60, measure_every=20, batch=32
)


def answer_with(monkeypatch, mean):
    """Let every network say what a posterior mean says, as its diffusion asks for it."""

    def predict(self, weights, x, t):
        images, flat = x.reshape(-1, 1, 1, x.shape[-1]), t.flatten()
        x0 = mean(bit_evidence(self.diffusion, images, flat)).float().view_as(images)
        signal, noise = self.diffusion.signal_and_noise_scale(flat)
        return self.diffusion.target(x0, (images - signal * x0) / noise, flat).view_as(x)

    monkeypatch.setattr(ParitySettings, "predict", predict)


@pytest.mark.parametrize("prediction_type", ["v", "x0", "eps"])
def test_one_who_knows_the_rule_measures_as_such(monkeypatch, prediction_type):
    settings = ParitySettings(
        world={"group": 4}, num_train=256, diffusion={"prediction_type": prediction_type, "schedule": "cosine"}
    )
    answer_with(monkeypatch, lambda evidence: parity_mean(evidence, 4))
    measured = settings.measure(settings.init_weights())
    assert measured["samples"]["valid"] == measured["samples"]["decided"] == measured["samples"]["rule"] == 1
    assert abs(measured["samples"]["excess"]) < 0.03  # 256 of 4,096 strings are copies anyway
    for part in ("train", "new"):
        assert measured[part]["rule"] < 1e-6 < 0.02 < min(measured[part]["copy"], measured[part]["independent"])
    assert measured["train"]["error"] == pytest.approx(measured["new"]["error"], abs=0.02)


def test_one_who_copies_measures_as_such(monkeypatch):
    settings = ParitySettings(world={"group": 4}, num_train=64)
    answer_with(monkeypatch, lambda evidence: memorised_mean(evidence, settings.training_strings()))
    measured = settings.measure(settings.init_weights())
    assert measured["samples"]["copies"] == 1 and measured["samples"]["rule"] == 0
    assert measured["samples"]["excess"] == pytest.approx(1 - 64 / 4096)
    assert measured["train"]["copy"] < 1e-6 < 0.05 < measured["train"]["rule"]
    assert measured["new"]["error"] > 2 * measured["train"]["error"]


def test_distances_between_oracles_are_what_one_measures_of_another(monkeypatch):
    settings = ParitySettings(world={"group": 4}, num_train=256)
    answer_with(monkeypatch, lambda evidence: parity_mean(evidence, 4))
    measured = settings.measure(settings.init_weights())
    for part in ("train", "new"):
        rule = settings.oracle_distances(part)[0]
        assert rule == pytest.approx([measured[part][name] for name in ("rule", "copy", "independent")], abs=1e-6)


def test_the_error_on_training_strings_is_that_of_copying_and_the_distance_to_it():
    settings = ParitySettings(world={"group": 4}, num_train=64)
    measured = settings.measure(settings.init_weights())["train"]
    strings, total = settings.training_strings(), 0.0
    for sigma in SIGMAS:  # by Pythagoras: the memorised mean is the best guess that there is
        clean = strings[torch.randint(64, (4000,), generator=torch.Generator().manual_seed(1))]
        y = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
        total += float((memorised_mean(y / sigma**2, strings) - clean).square().mean()) / len(SIGMAS)
    assert measured["error"] == pytest.approx(measured["copy"] + total, rel=0.1)


def test_each_measurement_draws_new_noise_and_the_same_weights_the_same():
    weights = SMALL.init_weights()
    assert SMALL.measure(weights) == SMALL.measure(weights)
    moved = {**weights, "b1": weights["b1"] + 1e-6}
    one, other = SMALL.measure(weights), SMALL.measure(moved)
    assert one["samples"] != other["samples"] and one["train"] == pytest.approx(other["train"], abs=1e-4)


def test_the_loss_of_a_member_is_the_squared_error_of_v_on_noise_of_its_own():
    members = [SMALL.replace(seed=seed, data_seed=seed) for seed in (0, 1)]
    stack = ToyStack([init_toy(each) for each in members], torch.device("cpu"))
    (batch,) = stack.draw_batch()
    again = [torch.Generator().manual_seed(7 + k) for k in (0, 1)]
    losses = stack.loss(stack.weights, (batch,), [torch.Generator().manual_seed(7 + k) for k in (0, 1)])
    for each, x0, generator, loss in zip(members, batch, again, losses, strict=True):
        t = torch.randint(1000, (32,), generator=generator)
        eps = torch.randn(32, 8, generator=generator)
        signal, noise = (part.flatten(1) for part in each.diffusion.signal_and_noise_scale(t))
        said = each.predict(solo(each.init_weights()), (signal * x0 + noise * eps)[None], t[None])[0]
        torch.testing.assert_close(loss, (said - (signal * eps - noise * x0)).square().mean())


def test_a_step_has_as_many_rows_however_few_strings_there_are():
    for n in (1, 6, 16):
        rows = SMALL.replace(num_train=n).samples()[0]
        assert len(rows) % n == 0 and len(rows) > SMALL.batch
        assert len(rows.unique(dim=0)) == n


def test_it_learns_alone_as_in_a_stack_and_again_the_same():
    members = [SMALL.replace(seed=seed, data_seed=seed) for seed in (0, 1, 2)]
    assert [len(stack) for stack in toy_stacks(members)] == [3]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        again = train_toy(each, "cpu", progress=False)
        assert all(torch.equal(alone.weights[name], again.weights[name]) for name in alone.weights)
        for name, value in alone.weights.items():
            torch.testing.assert_close(state.weights[name], value, atol=1e-4, rtol=1e-4)
        losses = [loss for _, loss in alone.history["loss"]]
        assert losses[-1] < losses[0]


def test_it_goes_on_where_it_was_interrupted(tmp_path):
    whole = train_toy(SMALL, "cpu", progress=False)
    calls = iter(range(100))
    with stop_when(lambda state: next(calls) == 33), pytest.raises(Interrupted):
        list(train_toys([init_toy(SMALL)], "cpu", False, lambda state: save_toy(state, tmp_path)))
    (finished,) = train_toys([load_or_init_toy(SMALL, tmp_path)], "cpu", progress=False)
    assert finished.history == whole.history
    assert all(torch.equal(finished.weights[name], whole.weights[name]) for name in whole.weights)


def test_the_store_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    run = load_or_train(SMALL, device="cpu", progress=False)
    steps, valid = run.curve("samples.valid")
    assert steps.tolist() == [20, 40, 60] and valid[-1] == run.scalars["samples"]["valid"]
    assert load_or_train(SMALL).settings == SMALL == ParitySettings.from_record(SMALL.to_record())


@pytest.mark.parametrize(
    "world, n", [({"bits": 4, "group": 2}, 4), ({"bits": 8, "group": 0}, 200), ({"bits": 9, "group": 3}, 9)]
)
def test_worlds_of_other_sizes_are_measured(world, n):
    settings = SMALL.replace(world=world, num_train=n)
    measured = settings.measure(settings.init_weights())
    assert ("new" in measured) == (n < settings.world.num_valid)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"num_train": 300}, "Of 256 valid strings at most 256 can be learned, got num_train 300"),
        ({"world": {"group": 3}}, "Groups of 3 do not divide 16 bits"),
        ({"num_train": 0}, "greater than or equal to 1"),
        ({"diffusion": {"prediction_type": "score"}}, "got 'score'"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        ParitySettings(**changes)
