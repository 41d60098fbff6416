"""The law of the next panel against lists of all rows and counts of all samples; and the ceiling of separate heads."""

import numpy as np
import pytest

from bumplab.common.errors import BumplabError
from bumplab.worlds.rule_laws import (
    complete_by_law,
    draw_by_law,
    memory_survival,
    next_panel_law,
    panel_log_likelihood,
    rule_posterior,
    say_separately,
)
from bumplab.worlds.rules import RULES, completes_rule, draw_panels, num_samples, relation_triples, rules_of

EXACT = 1e-14


@pytest.fixture(scope="module")
def panels():
    return np.concatenate([draw_panels(rule, 5, seed=3) for rule in RULES])


def all_rows():
    """Return all rows that some rule allows, (rows, 3 panels, 3 attributes), and the chance of each as a first row."""
    triples, rows, chances = relation_triples(), [], []
    for rule in RULES:
        attribute, relation = rule.split()
        sets = [triples[relation if name == attribute else "none"] for name in ("shape", "size", "colour")]
        grid = np.stack(np.meshgrid(*[np.arange(len(each)) for each in sets], indexing="ij"), -1).reshape(-1, 3)
        rows.append(np.stack([each[grid[:, a]] for a, each in enumerate(sets)], -1))
        chances.append(np.full(len(grid), 1 / len(grid) / len(RULES)))
    return np.concatenate(rows), np.concatenate(chances)


@pytest.mark.parametrize("given", [0, 1, 2])
def test_the_next_panel_of_a_first_row_is_that_of_a_list_of_all_rows(panels, given):
    rows, chances = all_rows()
    assert chances.sum() == pytest.approx(1)
    for sample in panels[::12]:
        left = (rows[:, :given] == sample[0, :given]).all((1, 2))
        expected = np.zeros((5, 5, 5))
        np.add.at(expected, tuple(rows[left, given].T), chances[left])
        law = next_panel_law(sample[None], given, smoothing=EXACT)[0]
        np.testing.assert_allclose(law, expected / expected.sum(), atol=1e-9)


def test_the_chance_of_a_sample_is_one_in_all_samples(panels):
    total = panel_log_likelihood(panels, smoothing=EXACT).sum(1)
    expected = [-np.log(len(RULES)) - np.log(float(num_samples(rule))) for rule in RULES for _ in range(5)]
    np.testing.assert_allclose(total, expected, atol=1e-6)
    few = ("size sum", "colour +1")
    total = panel_log_likelihood(draw_panels("size sum", 4), rules=few, smoothing=EXACT).sum(1)
    np.testing.assert_allclose(total, -np.log(2 * float(num_samples("size sum"))), atol=1e-6)


def test_one_row_tells_the_rule(panels):
    before, after = rule_posterior(panels, 0), rule_posterior(panels, 3, smoothing=EXACT)
    np.testing.assert_allclose(before, 1 / 12)
    assert (after.argmax(1) == np.repeat(np.arange(12), 5)).all() and after.max(1).min() > 1 - 1e-9


def test_the_last_panel_of_a_rule_is_certain_in_its_attribute():
    for rule in ("size sum", "colour -1", "shape constant"):
        panels = draw_panels(rule, 20)
        attribute = ("shape", "size", "colour").index(rule.split()[0])
        law = next_panel_law(panels, 8, smoothing=EXACT)
        marginal = law.sum(tuple(a + 1 for a in range(3) if a != attribute))
        assert (marginal.argmax(1) == panels[:, 2, 2, attribute]).all() and marginal.max(1).min() > 1 - 1e-9


@pytest.mark.parametrize("given", [0, 4, 8])
def test_said_separately_a_law_keeps_what_each_attribute_does(panels, given):
    law = next_panel_law(panels, given)
    apart = say_separately(law)
    np.testing.assert_allclose(apart.sum((1, 2, 3)), 1)
    for axes in ((1, 2), (1, 3), (2, 3)):
        np.testing.assert_allclose(apart.sum(axes), law.sum(axes))


def test_the_ceiling_of_a_separate_head():
    joint, separate = (rules_of(draw_by_law(3000, saying, seed=1)).any(1).mean() for saying in ("joint", "separate"))
    assert joint > 0.995 and separate == pytest.approx(0.733, abs=0.03)  # the page: 0.77 of 300 draws, that is +-0.05
    panels = draw_by_law(1000, seed=2)
    gap = (panel_log_likelihood(panels) - panel_log_likelihood(panels, "separate")).sum(1).mean()
    assert gap == pytest.approx(0.64, abs=0.1)  # nats a sample, never made up by training


def test_what_is_drawn_jointly_is_as_likely_as_data():
    rules = rules_of(draw_by_law(3000, seed=5))
    counts = rules[rules.sum(1) == 1].sum(0)
    assert ((counts - 250) ** 2 / 250).sum() < 32  # chi-square, 11 degrees: 0.999


def test_what_cannot_be_is_refused():
    with pytest.raises(BumplabError, match="joint or separate, got 'loud'"):
        draw_by_law(3, "loud")
    with pytest.raises(BumplabError, match="got 'size xor'"):
        draw_by_law(3, rules=["size xor"])


def test_what_is_free_is_neither_asked_for_nor_avoided():
    free, rules = ("size sum", "colour +1"), tuple(rule for rule in RULES if rule not in ("size sum", "colour +1"))
    panels = np.concatenate([draw_panels(rule, 300, seed=4, free=free) for rule in rules])
    ruled = rules_of(panels, rows=1)
    expected = {"size sum": 13 / 114, "colour +1": 3 / 104}  # of a row, where the rule is about another attribute
    for rule, share in expected.items():
        others = panels[ruled[:, [RULES.index(each) for each in rules if rule.split()[0] not in each]].any(1)]
        holds = rules_of(others.reshape(-1, 1, 3, 3), rows=1)[:, RULES.index(rule)]
        assert holds.mean() == pytest.approx(share, abs=4 * np.sqrt(share / len(holds)))
    total = panel_log_likelihood(draw_panels("shape +1", 4), rules=("shape +1",), smoothing=EXACT, free=free).sum(1)
    np.testing.assert_allclose(total, -3 * np.log(3 * 114 * 104), atol=1e-6)


def test_a_last_panel_is_completed_as_far_as_rules_are_known_and_ties_by_lot():
    known = tuple(rule for rule in RULES if rule != "size sum")
    panels = draw_panels("size sum", 600, seed=8)
    full = complete_by_law(panels)
    none = complete_by_law(panels[:, [2, 0, 1]], known, given=2)[:, [1, 2, 0]]  # from the last row alone
    assert completes_rule(full, "size sum").all() and not completes_rule(none, "size sum").any()
    assert np.array_equal(full.reshape(600, 9, 3)[:, :8], panels.reshape(600, 9, 3)[:, :8])
    silent = completes_rule(complete_by_law(panels, known, free=("size sum",)), "size sum")
    other = {tuple(each) for name in ("constant", "+1", "-1") for each in relation_triples()[name].tolist()}
    may_end = [sum((a, b, c) not in other for c in range(5)) for a, b in panels[:, 2, :2, 1].tolist()]
    assert silent.mean() == pytest.approx(np.mean(1 / np.array(may_end)), abs=0.07)  # 4 standard errors


def test_a_memory_said_separately_is_left_as_often_as_a_brute_draw_leaves_it():
    training = np.concatenate([draw_panels(rule, 8, seed=1) for rule in ("shape +1", "size -1", "colour +1")])
    cells, rng, n = training.reshape(len(training), 9, 3), np.random.default_rng(0), 4000
    inside = np.zeros(9)
    for _ in range(n):
        members = cells
        for k in range(9):
            said = [rng.choice(members[:, k, a]) for a in range(3)]  # each attribute by itself
            members = members[(members[:, k] == said).all(1)]
            if not len(members):
                break
            inside[k] += 1
    survival = memory_survival(training)
    np.testing.assert_allclose(inside / n, survival, atol=4 * np.sqrt(0.25 / n))
    assert (np.diff(survival) <= 1e-12).all()
    assert 0 < survival[-1] < 1


def test_one_sample_is_remembered_for_sure():
    np.testing.assert_allclose(memory_survival(draw_panels("size sum", 1)), 1)
