"""Thresholds and power laws come out of curves that were made with them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from bumplab.common.curves import fit_log_log, level_crossing
from bumplab.common.errors import BumplabError


@settings(deadline=None)
@given(at=st.floats(0.02, 0.9), steep=st.floats(0.5, 20), level=st.floats(0.2, 0.8))
def test_the_threshold_of_a_fine_curve_is_where_it_crosses(at, steep, level):
    x = np.geomspace(0.001, 50, 4000)
    y = 1 / (1 + np.exp(-steep * np.log(x / at)))
    expected = at * math.exp(math.log(level / (1 - level)) / steep)
    if x[0] < expected < x[-1]:
        assert level_crossing(x, y, level) == pytest.approx(expected, rel=0.01)


def test_between_two_points_the_threshold_is_read_along_the_logarithm():
    assert level_crossing([0.01, 1.0], [0.0, 1.0], 0.5) == pytest.approx(0.1)
    assert level_crossing([1.0, 0.01], [1.0, 0.0], 0.25) == pytest.approx(0.01 * 100**0.25)


def test_one_dip_does_not_move_the_threshold_to_its_far_side():
    x = [1, 2, 4, 8, 16]
    assert level_crossing(x, [0, 0.7, 0.6, 0.9, 1], 0.5) == pytest.approx(
        level_crossing(x, [0, 0.65, 0.65, 0.9, 1], 0.5)
    )


def test_measurements_at_one_x_are_averaged():
    assert level_crossing([1, 1, 100, 100], [0, 0.2, 0.8, 1.0], 0.5) == pytest.approx(10)


def test_a_curve_that_never_gets_there_or_begins_there():
    assert level_crossing([1, 2], [0.1, 0.4], 0.5) == math.inf
    assert level_crossing([1, 2], [0.6, 0.9], 0.5) == 0


@pytest.mark.parametrize(
    "x, y", [([1], [1]), ([1, 2], [1]), ([0, 1], [0, 1]), ([1, 1], [0, 1]), ([1, 2], [0, math.nan])]
)
def test_what_is_no_curve_is_refused(x, y):
    with pytest.raises(BumplabError, match=r"^A curve needs .*\.$"):
        level_crossing(x, y, 0.5)


@settings(deadline=None)
@given(exponent=st.floats(-3, 3), factor=st.floats(0.01, 100))
def test_an_exact_power_law_is_found(exponent, factor):
    x = np.array([16, 20, 24, 32, 40.0])
    law = fit_log_log(x, factor * x**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-6) and law.factor == pytest.approx(factor, rel=1e-5)
    assert law(256) == pytest.approx(factor * 256.0**exponent, rel=1e-4)


def test_the_intervals_of_exponent_and_prediction_hold_the_truth_as_often_as_they_say():
    random, x = np.random.default_rng(0), np.repeat([16, 20, 24, 32, 40.0], 3)
    laws = [fit_log_log(x, 2 * x**1.5 * np.exp(random.normal(0, 0.2, len(x)))) for _ in range(2000)]
    exponents = np.mean([law.low <= 1.5 <= law.high for law in laws])
    ends = np.array([law.predict(256) for law in laws])
    predictions = np.mean((ends[:, 0] <= 2 * 256**1.5) & (2 * 256**1.5 <= ends[:, 1]))
    assert exponents == pytest.approx(0.95, abs=0.02) and predictions == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    "x, y", [([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 0, 2]), ([1, 2, 3], [1, 2])]
)
def test_what_has_no_power_law_is_refused(x, y):
    with pytest.raises(BumplabError, match=r"^A power law needs .*\.$"):
        fit_log_log(x, y)
