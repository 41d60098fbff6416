"""Onsets and censored medians against counting by hand, and intervals against simulation."""

import math

import numpy as np
import pytest

from bumplab.analysis.clocks import CensoredTime, censored_median, lasting_onset, survival_curve
from bumplab.common.errors import BumplabError


def by_hand(steps, values, level, lasting):
    for k in range(len(values) - lasting + 1):
        if all(value > level for value in values[k : k + lasting]):
            return CensoredTime(float(steps[k]))
    return CensoredTime(float(steps[-1]), False)


@pytest.mark.parametrize("lasting", [1, 2, 5, 20])
def test_an_onset_is_the_first_of_several_in_a_row(lasting):
    rng, steps = np.random.default_rng(0), np.arange(1, 41) * 100
    found = set()
    for _ in range(50):
        values = rng.uniform(size=40) + np.linspace(0, 0.6, 40)
        onset = lasting_onset(steps, values, 0.6, lasting)
        assert onset == by_hand(steps, values, 0.6, lasting)
        found.add(onset.reached)
    assert True in found or lasting == 20
    assert lasting_onset([1, 2], [0.9, 0.9], 0.9, 1) == CensoredTime(2.0, False)  # above, not at


def test_the_survival_curve_is_the_product_over_those_at_risk():
    reached, late = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    times = [CensoredTime(t) for t in reached] + [CensoredTime(t, False) for t in late]
    at, share, band = survival_curve(times)  # the 21 patients under 6-MP of Freireich et al. (1963), in every textbook
    expected = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {int(t): round(s, 3) for t, s in zip(at, share, strict=True) if t in expected} == expected
    assert (band[0] <= share).all() and (share <= band[1]).all()
    assert censored_median(times).median == CensoredTime(23.0)


def test_medians_without_censoring_are_medians():
    times = [CensoredTime(value) for value in (5, 1, 9, 3, 7)]
    result = censored_median(times)
    assert result.median == CensoredTime(5.0) and (result.reached, result.n) == (5, 5)
    assert result.low <= 5 <= result.high


def test_half_that_never_reached_it_make_the_median_later_than_the_end():
    few = [CensoredTime(10), CensoredTime(20), *[CensoredTime(99, False)] * 3]
    result = censored_median(few)
    assert result.median == CensoredTime(99.0, False) and result.high == math.inf and str(result.median) == "> 99"
    assert censored_median([CensoredTime(99, False)] * 5).low == math.inf
    assert censored_median([*few[:2], CensoredTime(30), *few[:2]]).median == CensoredTime(20.0)


def test_the_interval_holds_the_median_as_often_as_it_says():
    rng, hits = np.random.default_rng(2), 0
    for _ in range(400):
        draws, ends = rng.exponential(1, 20), rng.uniform(0.5, 4, 20)
        times = [CensoredTime(min(d, e), bool(d <= e)) for d, e in zip(draws, ends, strict=True)]
        result = censored_median(times)
        hits += result.low <= math.log(2) <= result.high
    assert 0.91 < hits / 400 < 0.99


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: lasting_onset([1, 2], [0.5], 0.9), "as many steps as values"),
        (lambda: lasting_onset([], [], 0.9), "as many steps as values"),
        (lambda: censored_median([]), "one time or more"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()
