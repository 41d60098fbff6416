"""Means over seeds, against scipy's own intervals."""

import numpy as np
import pytest
from scipy import stats

from bumplab.common.errors import BumplabError
from bumplab.common.statistics import format_mean_ci, format_mean_range, print_table, t_interval, variance_shares


@pytest.mark.parametrize("n", [2, 3, 5, 40])
def test_the_interval_is_that_of_scipy(n):
    values = np.random.default_rng(n).normal(3, 2, n)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((values.mean(), expected.low, expected.high))


def test_an_interval_ends_where_its_quantity_does_and_one_value_has_none():
    assert t_interval([0.9, 1.0], 0, 1)[2] == 1
    assert t_interval([0.0, 0.1], 0, 1)[1] == 0
    assert t_interval([0.3]) == (0.3, 0.3, 0.3)


def test_words():
    assert format_mean_ci([0.25]) == "0.25"
    assert format_mean_ci([0.9, 1.0]) == "0.95 [0.31, 1.00]"
    assert format_mean_ci([1.0, 2.0], np.inf) == "1.50 [0.00, 7.85]"
    assert format_mean_range([0.5, 0.7]) == "0.60 (0.50 to 0.70)"
    assert format_mean_range([12, 15, np.nan], 0) == "14 (12 to 15)"
    assert format_mean_range([0.5, np.inf]) == "0.50"
    assert format_mean_range([np.nan]) == format_mean_range([]) == "-"


def test_rows_stand_in_columns(capsys):
    print_table([("", "a"), ("long name", 1.5)], 6)
    assert capsys.readouterr().out == "              a\nlong name   1.5\n"


def test_shares_of_variance_are_those_of_nested_least_squares():
    a, b, n = 3, 4, 5
    values = np.random.default_rng(0).normal(size=(a, b, n)) + np.arange(a)[:, None, None] + np.arange(b)[:, None] ** 2
    first, second = np.eye(a), np.eye(b)
    designs = {  # each model's columns, one row for each value; the shares are what each adds to the fit
        "first": np.kron(np.kron(first, np.ones((b, 1))), np.ones((n, 1))),
        "second": np.kron(np.kron(np.ones((a, 1)), second), np.ones((n, 1))),
        "cells": np.kron(np.kron(first, second), np.ones((n, 1))),
    }
    y = values.ravel() - values.mean()
    explained = {}
    for name, design in designs.items():
        fit = design @ np.linalg.lstsq(design, y, rcond=None)[0]
        explained[name] = ((fit - fit.mean()) ** 2).sum() / (y**2).sum()
    shares = variance_shares(values)
    assert shares["first"] == pytest.approx(explained["first"])
    assert shares["second"] == pytest.approx(explained["second"])
    assert shares["both"] == pytest.approx(explained["cells"] - explained["first"] - explained["second"])
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "values",
    [
        np.ones((2, 2, 2)),
        np.zeros((2, 2, 2)),
        np.full((3, 3, 5), 0.1),  # their mean is not 0.1: it is rounded
        np.full((3, 3, 5), 1 / 3),
        np.full((3, 7, 5), -1e9 / 3),
        np.ones((2, 2)),
        np.full((2, 2, 1), np.nan),
        np.ones((0, 1, 1)),
    ],
    ids=lambda values: f"{values.shape}, {values.min(initial=np.inf):.2g}",
)
def test_a_table_without_variance_is_refused(values):
    with pytest.raises(BumplabError, match="variance"):
        variance_shares(values)


def test_a_small_variance_beside_a_large_mean_is_split():
    values = 1.0 + 1e-9 * np.arange(8).reshape(2, 2, 2)
    assert sum(variance_shares(values).values()) == pytest.approx(1)
    assert variance_shares(values)["first"] == pytest.approx(variance_shares(np.arange(8.0).reshape(2, 2, 2))["first"])
