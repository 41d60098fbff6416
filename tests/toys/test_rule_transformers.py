"""The toy of abstract rules: exact floors of its loss, what its measures count, stacks, and what is refused."""

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.runs.store import load_or_train
from bumplab.toys.rules import RuleSettings, count_panels, nearest_distance
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys
from bumplab.worlds.rule_laws import draw_by_law, panel_log_likelihood
from bumplab.worlds.rules import RULES, draw_panels, num_samples, rules_of

SMALL = RuleSettings(num_train=8, width=16, depth=1, heads=2, steps=20, measure_every=10, batch=16)


@pytest.mark.parametrize("head", ["separate", "joint", "sequence"])
def test_a_head_that_says_nothing_pays_for_every_value(head):
    settings = SMALL.replace(head=head)
    weights = {name: torch.zeros_like(value) for name, value in settings.init_weights().items()}
    measured = settings.measure(weights)
    assert measured["train"]["nats"] == measured["test"]["nats"] == pytest.approx(27 * np.log(5), abs=1e-3)
    assert measured["samples"]["rule"] < 0.05 and measured["samples"]["copies"] == 0


def test_its_measures_of_samples_are_those_of_the_exact_law(monkeypatch):
    settings = SMALL.replace(held_out=("size sum", "colour +1"))
    law = draw_by_law(256, seed=1)
    training = settings.training_panels()
    assert len(training) == 80 and not rules_of(training)[:, [RULES.index("size sum"), RULES.index("colour +1")]].any()

    def draw(self, weights, n, seed, given=None, temperature=1.0):
        if given is None:
            return np.concatenate([law[: n // 2], training[np.arange(n - n // 2) % len(training)]])
        panels = np.concatenate([given, given[:, -1:]], 1).reshape(n, 3, 3, 3)  # says the last panel once more
        return panels

    monkeypatch.setattr(RuleSettings, "draw", draw)
    measured = settings.measure(settings.init_weights())
    assert measured["samples"]["rule"] > 0.99 and measured["samples"]["copies"] == 0.5
    assert measured["samples"]["new"] == pytest.approx(0.5, abs=0.01)
    again = measured["completion"]  # right of constants, and of a sum with 0 before it
    assert 0.3 < again["trained"] < 0.5 and again["held_out"] < 0.4


def test_no_head_learns_more_than_the_exact_law_knows():
    floor = np.mean([np.log(12 * float(num_samples(rule))) for rule in RULES])
    exact = -panel_log_likelihood(RuleSettings(num_train=20).training_panels()).sum(1).mean()
    assert exact == pytest.approx(floor, abs=0.05)
    settings = RuleSettings(num_train=2000, width=32, depth=1, heads=2, steps=150, learning_rate=3e-3)
    for head in ("separate", "joint"):
        (last,) = train_toy(settings.replace(head=head), "cpu", progress=False).history["measurements"]
        assert floor < last["test"]["nats"] < 27 * np.log(5)


@pytest.mark.parametrize("head", ["separate", "joint", "sequence"])
def test_a_member_of_a_stack_ends_where_it_ends_alone(head):
    members = [SMALL.replace(seed=seed, data_seed=seed, head=head) for seed in (0, 1)]
    assert [len(stack) for stack in toy_stacks(members)] == [2]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        (cells,) = each.samples()
        one, two = (each.loss(weights, cells) for weights in (alone.weights, state.weights))  # not all weights count
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-4)
        assert alone.history["loss"][-1][1] < alone.history["loss"][0][1]


def test_weights_are_of_their_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other, again = (SMALL.replace(seed=seed).init_weights() for seed in (0, 1, 0))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["start"], other["start"])


def test_the_store_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    run = load_or_train(SMALL.replace(held_out=("size sum",)), device="cpu", progress=False)
    assert run.scalars["completion"].keys() == {"trained", "held_out", *[rule.replace(" ", "_") for rule in RULES]}
    assert RuleSettings.from_record(run.settings.to_record()) == run.settings
    again = run.settings.measure(run.parameters())
    assert again["samples"] == run.scalars["samples"]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"head": "pair"}, "got 'pair'"),
        ({"held_out": ("size xor",)}, "such as 'size sum', got 'size xor'"),
        ({"held_out": RULES}, "leave at least one"),
        ({"width": 10, "heads": 4}, "heads of attention divide its width"),
        ({"num_train": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        RuleSettings(**changes)


def test_copies_rows_and_distances_are_those_of_a_loop():
    rng = np.random.default_rng(5)
    training = np.concatenate([draw_panels(rule, 10, seed=6) for rule in RULES])
    panels = rng.permutation(training)[:30].copy()
    panels[10:20, 0, 0, 0] = (panels[10:20, 0, 0, 0] + 1) % 5  # one value, and so one row, is another
    panels[20:] = rng.integers(0, 5, (10, 3, 3, 3))
    expected = [min(int((each != other).sum()) for other in training) for each in panels]
    assert nearest_distance(panels, training).tolist() == expected and expected[:20] == [0] * 10 + [1] * 10
    counted, rows = count_panels(panels, training), {row.tobytes() for each in training for row in each}
    assert counted["copies"] == pytest.approx(1 / 3) and counted["distance"] == pytest.approx(np.mean(expected))
    assert counted["rows"] == pytest.approx(np.mean([row.tobytes() in rows for each in panels for row in each]))


def test_distractors_obey_held_out_rules_by_chance_only_where_they_may():
    settings = SMALL.replace(held_out=("size sum", "colour +1"), num_train=300)
    columns = [RULES.index(rule) for rule in settings.held_out]
    assert not rules_of(settings.training_panels(), rows=1)[:, columns].any()
    free = settings.replace(distractors="held-out")
    holds = rules_of(free.training_panels().reshape(-1, 1, 3, 3), rows=1)[:, columns].mean(0)
    assert holds == pytest.approx([13 / 114 * 7 / 10, 3 / 104 * 7 / 10], abs=0.02)  # of 10 rules, 3 are about each
    assert free.id != settings.id
