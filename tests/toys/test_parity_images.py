"""Parity of bumps: measures where the answer is exact, stacks, the store, and what is refused."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.bit_posteriors import memorised_mean, parity_mean
from bumplab.runs.store import load_or_train
from bumplab.toys.parity_images import ParityImageSettings
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import train_toys

SMALL = ParityImageSettings(
    world={"bits": 4, "group": 2}, num_train=2, steps=6, measure_every=3, batch=8,
    model={"widths": (8, 8, 8, 8), "bottleneck_channels": 8, "depth": 1, "patch": 4, "heads": 1, "encoding": 8},
)  # fmt: skip


def answer_with(monkeypatch, mean):
    """Let every network say what a posterior mean of bits says, as an image."""

    def bind(self, weights):
        def network(x, t, mu):
            signal, noise = self.diffusion.signal_and_noise_scale(t)
            x0 = self.images.draw(mean(self.images.evidence(x / signal, (noise / signal).flatten())).float())
            return self.diffusion.target(x0, (x - signal * x0) / noise, t)

        return network

    monkeypatch.setattr(ParityImageSettings, "_bind", bind)


def test_one_who_knows_the_rule_measures_as_such(monkeypatch):
    settings = ParityImageSettings(world={"group": 4}, num_train=256)
    answer_with(monkeypatch, lambda evidence: parity_mean(evidence, 4))
    measured = settings.measure(settings.init_weights())
    assert measured["samples"]["valid"] == measured["samples"]["decided"] == measured["samples"]["rule"] == 1
    assert abs(measured["samples"]["excess"]) < 0.04  # 256 of 4,096 are copies anyway
    for part in ("train", "new"):
        assert measured[part]["rule"] < 1e-6 < 0.02 < min(measured[part]["copy"], measured[part]["independent"])


def test_one_who_copies_measures_as_such(monkeypatch):
    settings = ParityImageSettings(world={"group": 4}, num_train=64)
    answer_with(monkeypatch, lambda evidence: memorised_mean(evidence, settings.training_strings()))
    measured = settings.measure(settings.init_weights())
    assert measured["samples"]["copies"] == 1 and measured["samples"]["rule"] == 0
    assert measured["train"]["copy"] < 1e-6 < 0.05 < measured["train"]["rule"]
    assert measured["new"]["error"] > 2 * measured["train"]["error"]


def test_a_member_of_a_stack_ends_where_it_ends_alone():
    pair = [SMALL.replace(seed=seed, data_seed=seed) for seed in (0, 1)]
    together = list(train_toys([init_toy(each) for each in pair], "cpu", progress=False))
    for each, member in zip(pair, together, strict=True):
        (alone,) = train_toys([init_toy(each)], "cpu", progress=False)
        said = [each.measure(state.weights)["train"] for state in (member, alone)]
        assert said[0] == pytest.approx(said[1], rel=1e-3)  # not weights: a key's bias is moved by rounding alone


def test_its_run_comes_back_from_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    run = load_or_train(SMALL, device="cpu", progress=False)
    again = load_or_train(SMALL)
    assert again.scalars == run.scalars and set(run.scalars) == {"samples", "train", "new"}
    assert run.curve("samples.rule")[0].tolist() == [3, 6]


def test_it_learns_the_strings_of_the_other_clocks_as_images():
    settings = ParityImageSettings(num_train=10, data_seed=4)
    strings = settings.world.draw_strings(10, 4)
    torch.testing.assert_close(settings.images.read(settings.training_images()), strings)
    (rows,) = settings.samples()
    assert len(rows) > settings.batch and len(rows.unique(dim=0)) == 10


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"num_train": 300}, "Of 256 valid images at most 256 can be learned, got num_train 300."),
        ({"world": {"bits": 8}}, "Bits of an image fill a square of cells, such as 4, 9 or 16; got 8."),
        ({"model": {"patch": 3}}, "A UNet with patch 3 needs a size divisible by 3, got 16."),
    ],
)
def test_what_cannot_be_learned_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(BumplabError) as refusal:
        ParityImageSettings(**changes)
    assert str(refusal.value) == sentence
