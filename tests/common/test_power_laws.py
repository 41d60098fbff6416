"""Laws through incomplete measurements, against numpy's polynomial fit on logarithms."""

import numpy as np
import pytest

from bumplab.common.power_laws import fit_power_law, fit_power_law_by_seed

NAN, INF = np.nan, np.inf


def test_the_law_is_the_line_through_the_logarithms_of_what_is_known():
    rng = np.random.default_rng(0)
    values = {x: list(3 * x**1.5 * np.exp(0.1 * rng.normal(size=4))) for x in (16, 24, 32, 40)}
    values[24][1], values[40][0], values[16][3] = NAN, INF, 0.0
    known = [(x, y) for x, several in values.items() for y in several if np.isfinite(y) and y > 0]
    slope, intercept = np.polyfit(*np.log(known).T, 1)
    law = fit_power_law(values)
    assert law.n == len(known) == 13
    assert (law.exponent, law.factor) == pytest.approx((slope, np.exp(intercept)))


@pytest.mark.parametrize(
    "values",
    [{}, {1: [], 2: []}, {1: [1.0], 2: [2.0]}, {1: [1.0, 2.0, 3.0]}, {1: [1.0, 2.0, 3.0], 2: [NAN, INF, 0.0]}],
)
def test_with_too_little_there_is_no_law(values):
    assert fit_power_law(values) is None


def test_each_seed_has_its_own_law_or_none():
    values = {1: [1.0, 1.0, 5.0, 1.0], 2: np.array([2.0, 4.0, NAN, 0.5]), 4: [4.0, 16.0, INF, 0.25], 8: [8.0, 64.0]}
    laws = fit_power_law_by_seed(values)
    assert [law.exponent for law in laws] == pytest.approx([1, 2, -1])  # the third seed has one number
    assert [law.n for law in laws] == [4, 4, 3]
    assert fit_power_law_by_seed({}) == []
