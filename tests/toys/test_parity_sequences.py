"""Two clocks of an autoregressive network: exact floors, what its measures count, stacks, and what is refused."""

import math

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.runs.store import load_or_train
from bumplab.toys.parity import ParitySettings, count_samples
from bumplab.toys.parity_sequences import ParitySequenceSettings
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys
from bumplab.worlds.parity import ParityWorld

SMALL = ParitySequenceSettings(
    world={"bits": 6, "group": 2}, num_train=4, width=16, depth=1, heads=2, steps=40, measure_every=20, batch=32
)


def test_counts_are_those_of_a_loop():
    world = ParityWorld(bits=8, group=4)
    training, generator = world.draw_strings(20), torch.Generator().manual_seed(0)
    bits = torch.cat([1 - 2 * torch.randint(2, (60, 8), generator=generator), training[:7].long()])
    known = {tuple(each) for each in training.int().tolist()}
    strings = [tuple(each) for each in bits.tolist()]
    valid = [math.prod(each[:4]) == 1 == math.prod(each[4:]) for each in strings]
    copies = [each in known for each in strings]
    new = [v for v, c in zip(valid, copies, strict=True) if not c]
    expected = [sum(valid) / 67, sum(copies) / 67, sum(copies) / 67 - 20 / 64, sum(new) / len(new)]
    assert list(count_samples(world, bits, training).values()) == pytest.approx(expected)


def test_one_who_says_nothing_pays_for_every_bit():
    weights = {name: torch.zeros_like(value) for name, value in SMALL.init_weights().items()}
    measured = SMALL.measure(weights)
    assert measured["train"]["nats"] == measured["new"]["nats"] == pytest.approx(6 * math.log(2), abs=1e-5)
    assert measured["samples"]["valid"] == pytest.approx(1 / 8, abs=0.05)


def test_it_copies_down_to_the_floor_and_not_below():
    state = train_toy(SMALL.replace(steps=300, learning_rate=1e-2, measure_every=300), "cpu", progress=False)
    (last,) = state.history["measurements"]
    assert SMALL.copy_nats == math.log(4) and SMALL.rule_nats == math.log(8)
    assert SMALL.copy_nats - 1e-5 < last["train"]["nats"] < SMALL.copy_nats + 0.05
    assert last["samples"]["copies"] > 0.95 and last["new"]["nats"] > SMALL.rule_nats


def test_it_learns_the_strings_of_the_denoiser():
    one = ParitySequenceSettings(num_train=100, data_seed=3)
    assert torch.equal(one.training_strings(), ParitySettings(num_train=100, data_seed=3).training_strings())
    (cells,) = one.samples()
    assert len(cells) > one.batch and len(cells.unique(dim=0)) == 100
    assert one.world.is_valid(1 - 2 * cells[..., 0]).all()


def test_a_member_of_a_stack_ends_where_it_ends_alone(tmp_path, monkeypatch):
    members = [SMALL.replace(seed=seed, data_seed=seed) for seed in (0, 1)]
    assert [len(stack) for stack in toy_stacks(members)] == [2]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        assert alone.history["loss"][-1][1] == pytest.approx(state.history["loss"][-1][1], rel=1e-3)
        assert alone.history == train_toy(each, "cpu", progress=False).history
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    run = load_or_train(SMALL, device="cpu", progress=False)
    assert ParitySequenceSettings.from_record(run.settings.to_record()) == SMALL
    assert run.settings.measure(run.parameters())["samples"] == run.scalars["samples"]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"num_train": 300}, "Of 256 valid strings at most 256 can be learned, got num_train 300"),
        ({"world": {"group": 5}}, "Groups of 5 do not divide 16 bits"),
        ({"width": 10, "heads": 4}, "heads of attention divide its width"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        ParitySequenceSettings(**changes)
