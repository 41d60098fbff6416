"""Denoisers of samples with rules: codes, what is counted, stacks, and what is refused."""

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.bit_posteriors import bit_evidence, memorised_mean
from bumplab.runs.pack import read_pack
from bumplab.runs.store import load_or_train, recorded_folder
from bumplab.toys.rule_denoisers import RuleDenoiserSettings
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys
from bumplab.worlds.rules import RULES, rules_of

SMALL = RuleDenoiserSettings(num_train=4, width=24, depth=2, steps=40, measure_every=20, batch=16)
ATTENTIVE = SMALL.replace(body="transformer", depth=1)


@pytest.mark.parametrize("code, numbers", [("ordinal", 27), ("one-hot", 135)])
def test_a_code_gives_back_its_values_through_some_noise(code, numbers):
    settings, panels = SMALL.replace(code=code), np.random.default_rng(0).integers(0, 5, (50, 3, 3, 3))
    x = settings.encode(panels)
    assert x.shape == (50, numbers) and x.min() == -1 and x.max() == 1
    noise = 0.24 * (2 * torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) - 1)
    assert (settings.decode(x + noise) == panels).all()
    assert (settings.decode(3 * x + 9) >= 0).all() and (settings.decode(3 * x + 9) <= 4).all()


def test_one_who_copies_measures_as_such(monkeypatch):
    strings = SMALL.samples()[0]

    def predict(self, weights, x, t):
        images, flat = x.reshape(-1, 1, 1, x.shape[-1]), t.flatten()
        x0 = memorised_mean(bit_evidence(self.diffusion, images, flat), strings).float().view_as(images)
        signal, noise = self.diffusion.signal_and_noise_scale(flat)
        return self.diffusion.target(x0, (images - signal * x0) / noise, flat).view_as(x)

    monkeypatch.setattr(RuleDenoiserSettings, "predict", predict)
    measured = SMALL.measure(SMALL.init_weights())
    assert measured["samples"] == {"rule": 1, "two": 1, "copies": 1, "new": 0, "rows": 1, "distance": 0}
    assert measured["train"]["error"] < 1e-3 < 0.1 < measured["test"]["error"]


def test_held_out_rules_are_not_shown():
    settings = SMALL.replace(held_out=("size sum", "shape -1"), num_train=20)
    shown = rules_of(settings.decode(settings.samples()[0])).any(0)
    assert {rule for rule, seen in zip(RULES, shown, strict=True) if not seen} == {"size sum", "shape -1"}


@pytest.mark.parametrize("small", [SMALL, ATTENTIVE], ids=["perceptron", "transformer"])
@pytest.mark.parametrize("code", ["ordinal", "one-hot"])
def test_a_member_of_a_stack_ends_where_it_ends_alone(code, small):
    members = [small.replace(seed=seed, data_seed=seed, code=code) for seed in (0, 1)]
    assert [len(stack) for stack in toy_stacks(members)] == [2]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        for name, value in alone.weights.items():
            torch.testing.assert_close(state.weights[name], value, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("small", [SMALL, ATTENTIVE], ids=["perceptron", "transformer"])
def test_it_learns(small):
    settings = small.replace(steps=300, measure_every=100, learning_rate=3e-3)
    losses = [loss for _, loss in train_toy(settings, "cpu", progress=False).history["loss"]]
    assert losses[2] < losses[1] < losses[0]


@pytest.mark.parametrize("small", [SMALL, ATTENTIVE], ids=["perceptron", "transformer"])
def test_the_store_keeps_it(tmp_path, monkeypatch, small):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    run = load_or_train(small, device="cpu", progress=False)
    assert RuleDenoiserSettings.from_record(run.settings.to_record()) == small
    assert run.settings.measure(run.parameters()) == run.scalars


def test_runs_recorded_before_there_were_transformers_keep_their_names():
    lines = read_pack(recorded_folder() / "16-abstract-rules").lines
    settings_of = {id: line["settings"] for id, line in lines.items()}
    of_denoisers = {id: each for id, each in settings_of.items() if each["family"] == "rule-denoisers"}
    older = {id: each for id, each in of_denoisers.items() if "body" not in each}
    assert 0 < len(older) < len(of_denoisers)
    for id, settings in older.items():
        whole = RuleDenoiserSettings.from_record(settings)
        assert (whole.id, whole.body) == (id, "perceptron")


@pytest.mark.parametrize("code", ["ordinal", "one-hot"])
def test_a_transformer_takes_the_numbers_of_a_panel_for_a_token(code):
    settings = ATTENTIVE.replace(code=code)
    weights = {name: torch.randn(value.shape) for name, value in settings.init_weights().items()}
    weights |= {name: 0 * value for name, value in weights.items() if "modulation" in name}  # no panel hears another
    x = settings.encode(np.zeros((2, 3, 3, 3), dtype=np.int64))
    x[1, settings.numbers // 9 * 4] += 1  # in the panel in the middle
    said = settings.predict({name: value[None] for name, value in weights.items()}, x[None], torch.zeros(1, 2))[0]
    differs = (said[0] != said[1]).unflatten(0, (9, -1)).any(1)
    assert differs.tolist() == [k == 4 for k in range(9)]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"code": "binary"}, "got 'binary'"),
        ({"held_out": ("size xor",)}, "such as 'size sum', got 'size xor'"),
        ({"held_out": RULES}, "leave at least one"),
        ({"body": "transformer", "width": 30}, "multiple of 4, got 30"),
        ({"body": "transformer", "width": 32, "heads": 5}, "5"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        RuleDenoiserSettings(**changes)
