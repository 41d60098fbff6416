"""Panels with rules against counts over all triples, and what is refused."""

import itertools

import numpy as np
import pytest

from bumplab.common.errors import BumplabError
from bumplab.worlds import rules
from bumplab.worlds.rules import RULE_RELATIONS, RULES

HOLDS = {
    "constant": lambda a, b, c: a == b and b == c,
    "+1": lambda a, b, c: b == a + 1 and c == a + 2,
    "-1": lambda a, b, c: b == a - 1 and c == a - 2,
    "sum": lambda a, b, c: c == a + b,
}


def relation_of(triple):
    return next((k for k, name in enumerate(RULE_RELATIONS) if HOLDS[name](*triple)), 4)


def test_every_triple_has_one_relation_or_none():
    listed = {name: {tuple(each) for each in triples.tolist()} for name, triples in rules.relation_triples().items()}
    assert {name: len(each) for name, each in listed.items()} == {
        "constant": 5,
        "+1": 3,
        "-1": 3,
        "sum": 13,
        "none": 101,
    }
    assert set.union(*listed.values()) == set(itertools.product(range(5), repeat=3))
    for triple in itertools.product(range(5), repeat=3):
        assert triple in listed[(*RULE_RELATIONS, "none")[relation_of(triple)]]


@pytest.mark.parametrize("rule", RULES)
def test_a_sample_obeys_its_rule_in_every_row_and_no_other(rule):
    panels = rules.draw_panels(rule, 200, seed=1)
    assert panels.min() == 0 and panels.max() == 4
    expected = np.zeros(12, bool)
    expected[RULES.index(rule)] = True
    assert (rules.rules_of(panels, rows=1) == expected).all() and (rules.rules_of(panels) == expected).all()
    assert rules.completes_rule(panels, rule).all()
    assert np.array_equal(panels, rules.draw_panels(rule, 200, seed=1))
    assert not np.array_equal(panels, rules.draw_panels(rule, 200, seed=2))


def test_relations_of_rows_are_those_of_a_loop():
    panels = np.random.default_rng(0).integers(-1, 6, (300, 3, 3, 3))
    relations = rules.row_relations(panels)
    for sample, found in zip(panels, relations, strict=True):
        for row, attribute in itertools.product(range(3), range(3)):
            triple = sample[row, :, attribute]
            expected = relation_of(triple) if triple.min() >= 0 and triple.max() < 5 else 4
            assert found[row, attribute] == expected


def test_all_triples_of_a_relation_are_drawn_as_often():
    panels = rules.draw_panels("shape sum", 6000)
    _, counts = np.unique(panels[..., 0].reshape(-1, 3), axis=0, return_counts=True)
    assert len(counts) == 13
    assert ((counts - 18_000 / 13) ** 2 / (18_000 / 13)).sum() < 35  # chi-square, 12 degrees: 0.9995


def test_the_number_of_samples_is_that_of_a_list():
    triples = rules.relation_triples()
    for rule, relation in (("size constant", "constant"), ("colour sum", "sum")):
        row = len(list(itertools.product(triples[relation], triples["none"], triples["none"])))
        assert rules.num_samples(rule) == row**3


def test_chance_is_that_of_noise():
    noise = np.random.default_rng(3).integers(0, 5, (400_000, 3, 3, 3))
    share = rules.rules_of(noise).any(1).mean()
    assert share == pytest.approx(rules.chance_of_rule(), abs=4 * np.sqrt(0.0036 / 400_000))


def test_a_permutation_of_rows_changes_nothing_and_of_panels_almost_everything():
    panels = rules.draw_panels("size +1", 50)
    assert rules.rules_of(panels[:, [2, 0, 1]])[:, RULES.index("size +1")].all()
    assert not rules.rules_of(panels[:, :, [1, 0, 2]])[:, RULES.index("size +1")].any()
    assert rules.rules_of(panels[:, :, ::-1])[:, RULES.index("size -1")].all()


def test_what_is_held_out_is_left_out():
    left = rules.remaining_rules(["shape sum", "size -1"])
    assert len(left) == 10 and not {"shape sum", "size -1"} & set(left)


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: rules.draw_panels("weight sum", 3), "such as 'size sum', got 'weight sum'"),
        (lambda: rules.num_samples("sum"), "A rule is an attribute"),
        (lambda: rules.remaining_rules(["size xor"]), "got 'size xor'"),
        (lambda: rules.remaining_rules(RULES), "leave at least one"),
        (lambda: rules.draw_panels("size sum", 0), "Draw 1 to 1,000,000 samples of a rule, got 0"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()
