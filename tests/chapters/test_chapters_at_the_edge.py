"""Whatever is given for a parameter of a chapter is checked, or refused in one sentence, before anything runs."""

import edges
import pytest
from hypothesis import given, settings, strategies as st

from bumplab.chapters.catalogue import chapter_names, chapter_path, declared_parameters, validate
from bumplab.common.errors import BumplabError

PARAMETERS = [(name, each) for name in chapter_names() for each in [*declared_parameters(chapter_path(name)), "nope"]]


@given(st.sampled_from(PARAMETERS), st.one_of(edges.TEXTS, edges.VALUES))
@settings(deadline=10_000, max_examples=60)
def test_any_value_of_any_parameter_is_taken_or_refused_in_one_sentence(parameter, value):
    chapter, name = parameter
    with edges.one_sentence():
        assert list(validate(chapter_path(chapter), {name: value})) == [name]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("held_out", [-0.5, 27.5], "nothing is left to train on with held_out"),
        ("held_out", [5.2, 5.4], "a whole number strictly between"),
        ("entropy", -1, "must be at least 0, got -1"),
        ("variance", -0.1, "must be at least 0, got -0.1"),
        ("encoding", "ramp", "one of bump, one-hot, scalar, got 'ramp'"),
        ("sigma", 9, "from 0.25 to 7, got 9"),
    ],
)
def test_rendering_refuses_what_leaves_no_question(name, value, sentence):
    with pytest.raises(BumplabError, match=sentence) as caught:
        validate(chapter_path("11-rendering"), {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("seeds", 0, "from 1 to 20, got 0"),
        ("sigma", 0.1, "from 0.6 to 2, got 0.1"),
        ("threshold", "half", "one of geometric, harmonic, arithmetic, got 'half'"),
        ("steps", 10, "from 200 to"),
        ("live_steps", 0, "from 20 to"),
        ("live_rate", -1, "from 1e-05 to 0.1, got -1"),
    ],
)
def test_what_is_learned_first_refuses_what_leaves_no_question(name, value, sentence):
    with pytest.raises(BumplabError, match=sentence) as caught:
        validate(chapter_path("13-learned-first"), {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("seeds", 0, "from 1 to 20, got 0"),
        ("sigma", 20, "from 0.7 to 2, got 20"),
        ("starts", 10**9, "from 64 to 4,096"),
        ("fractions", [0.5], "2 different numbers or more"),
        ("fractions", [0.5, 1.5], "from 0.02 to 0.98"),
        ("bumps", [1, 2.5], "whole numbers"),
    ],
)
def test_mean_and_covariance_refuses_what_leaves_no_question(name, value, sentence):
    with pytest.raises(BumplabError, match=sentence) as caught:
        validate(chapter_path("14-mean-and-covariance"), {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("live_group", 4, "Groups of 4 do not divide 18 bits: choose 2, 3, 6, 9, 18, or 0 for no rule."),
        ("live_train", 5000, "Of 4,096 valid strings at most 4,096 can be learned, got num_train 5000."),
        ("seeds", 0, "from 3 to 50, got 0"),
        ("rule_level", 1.0, "above 0 and below 1, got 1"),
        ("lasting", 0, "from 1 to 10, got 0"),
    ],
)
def test_two_clocks_refuse_what_leaves_no_question(name, value, sentence):
    with pytest.raises(BumplabError) as caught:
        validate(chapter_path("15-two-clocks"), {name: value})
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("held_out", ["size product"], "such as 'size sum', got 'size product'"),
        ("held_out", ["weight sum"], "such as 'size sum', got 'weight sum'"),
        ("held_out", [], "a list of 1 to 10 different values"),
        ("rules", ["shape +1", "shape +1"], "a list of 2 to 11 different values"),
        ("rules", ["shape +7", "size -1"], "such as 'size sum', got 'shape \\+7'"),
        ("num_train", [10, 100_001], "whole numbers or more from 1 to 100,000, got"),
        ("num_train", [100], "a list of 2 different"),
        ("num_train", [100, 10], "ascending"),
        ("seeds", 0, "from 1 to 20, got 0"),
        ("live_steps", 0, "from 10 to 10,000, got 0"),
    ],
)
def test_abstract_rules_refuses_what_leaves_no_question(name, value, sentence):
    with pytest.raises(BumplabError, match=sentence) as caught:
        validate(chapter_path("16-abstract-rules"), {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("prompt", "red disc beside blue ring", "A relation is one of left, right, above, .* got 'beside'"),
        ("prompt", "red square left of blue ring", "A shape is one of disc, ring, cross, got 'square'"),
        ("prompt", "red disc left of red ring", "differ in colour and in shape"),
        ("cells", 1, "from 2 to 8, got 1"),
        ("seeds", 0, "from 2 to 20, got 0"),
        ("live_steps", 0, "from 100 to 100,?000, got 0"),
    ],
)
def test_relations_refuses_what_leaves_no_question(name, value, sentence):
    with pytest.raises(BumplabError, match=sentence) as caught:
        validate(chapter_path("17-relations"), {name: value})
    assert "\n" not in str(caught.value)
