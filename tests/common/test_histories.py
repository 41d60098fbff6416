"""Curves out of histories, and crossings against numpy's interpolation."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import brentq

from bumplab.common.errors import BumplabError
from bumplab.common.histories import curve, measurements, step_at_level

HISTORY = {
    "loss": [[2, 0.5], [4, 0.25]],
    "accuracy": [
        {"step": 10, "seen": {"joint": 0.25, "right": 0.5}, "unseen": {"joint": 0.125}},
        {"step": 20, "seen": {"joint": 0.75, "right": 1.0}, "unseen": {"joint": 0.5}},
    ],
}


@pytest.mark.parametrize(
    "name, steps, values",
    [
        ("loss", [2, 4], [0.5, 0.25]), ("seen.joint", [10, 20], [0.25, 0.75]),
        ("unseen.joint", [10, 20], [0.125, 0.5]), ("seen.right", [10, 20], [0.5, 1.0]),
    ],
)  # fmt: skip
def test_a_curve_is_read_by_its_name(name, steps, values):
    found = curve(HISTORY, name)
    assert found[0].tolist() == steps and found[1].tolist() == values
    assert found[0].dtype.kind == "i" and found[1].dtype == np.float64


@pytest.mark.parametrize("name", ["unseen.x", "accuracy", "seen", "step", "step.joint", ""])
def test_an_unknown_curve_is_answered_with_those_there_are(name):
    with pytest.raises(BumplabError, match="use loss, seen.joint, seen.right, unseen.joint"):
        curve(HISTORY, name)


def test_a_run_that_was_never_measured_has_no_curve():
    with pytest.raises(BumplabError, match="no curve 'seen.joint': use none"):
        curve({"loss": [], "accuracy": []}, "seen.joint")
    with pytest.raises(BumplabError, match="no curve 'loss'"):
        curve({"loss": [], "accuracy": []}, "loss")


def test_measurements_are_the_entries_of_one_part():
    steps, values = measurements(HISTORY, "unseen")
    assert steps.tolist() == [10, 20] and values == [{"joint": 0.125}, {"joint": 0.5}]
    for part in ("step", "hidden"):
        with pytest.raises(BumplabError, match=f"no measurements of '{part}': use loss, seen.joint"):
            measurements(HISTORY, part)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.05, 0.95))
def test_the_crossing_is_the_first_root_of_the_line_through_the_measurements(values, level):
    steps = 25 * np.arange(1, len(values) + 1)
    at = step_at_level(steps, values, level)
    x, y = [0, *steps], [0.0, *values]
    above = [k for k, value in enumerate(y) if value >= level]
    if not above:
        assert at == steps[-1]
    else:
        root = brentq(lambda s: np.interp(s, x, y) - level, x[above[0] - 1], x[above[0]])
        assert at == pytest.approx(root, abs=1e-6)


def test_the_crossing_refuses_what_is_no_curve():
    for steps, values in (([], []), ([1, 2], [0.5]), ([2, 1], [0.1, 0.9]), ([0, 5], [0.1, 0.9])):
        with pytest.raises(BumplabError, match="ascending steps above 0"):
            step_at_level(steps, values)
    with pytest.raises(BumplabError, match="a level above 0, got 0"):
        step_at_level([1], [1.0], 0)
