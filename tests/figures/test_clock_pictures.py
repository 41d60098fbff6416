"""Pictures of two clocks: what was never reached is an arrow, medians have gaps, paths end at their corners."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from bumplab.analysis.clocks import CensoredTime
from bumplab.common.errors import BumplabError
from bumplab.figures.clocks import (
    COPY_COLOUR,
    RULE_COLOUR,
    noise_map,
    onset_points,
    oracle_triangle,
    sample_shares,
    window_bars,
)

TABLE = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])


def times(*values):
    return [CensoredTime(abs(value), value > 0) for value in values]


def test_a_median_that_was_not_reached_leaves_a_gap():
    axis = Figure().subplots()
    groups = [times(1, 2, 3), times(5, -9, -9), times(-9, -9, -9)]
    dots, arrows = onset_points(axis, [1, 2, 3], groups, "black", "rule")
    assert len(dots.get_offsets()) == 4 and len(arrows.get_offsets()) == 5
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), [2, np.nan, np.nan])


@pytest.mark.parametrize("groups", [[times(1)], [times(1), []]])
def test_every_place_has_a_seed(groups):
    with pytest.raises(BumplabError, match="one seed or more at each of 2"):
        onset_points(Figure().subplots(), [1, 2], groups, "black", "rule")


def test_a_path_that_ends_at_an_oracle_ends_at_its_corner():
    axis = oracle_triangle(Figure().subplots(), TABLE, [np.array([TABLE[2], TABLE[0]])], steps=[1, 50])
    path = axis.lines[3].get_xydata()  # after three corners
    corners = [line.get_xydata()[0] for line in axis.lines[:3]]
    np.testing.assert_allclose(path[[0, -1]], [corners[2], corners[0]], atol=1e-9)
    assert [text.get_text() for text in axis.texts][3:] == ["1", "50"]


def test_three_kinds_have_three_colours():
    kinds = np.array([[0, 1, 2]])
    image = noise_map(Figure().subplots(), kinds).images[0]
    assert len(np.unique(image.cmap(image.norm(kinds)).reshape(3, 4), axis=0)) == 3
    axis = sample_shares(Figure().subplots(), [1, 2], {"invalid": [1, 0], "new": [0, 0.5], "copy": [0, 0.5]})
    assert [area.get_label() for area in axis.collections] == ["copy", "new", "invalid"]


def test_a_bar_has_the_colour_of_the_clock_that_strikes_first():
    axis = window_bars(Figure().subplots(), [0, 1, 2], times(1, 5, -9), times(-9, 2, -9))
    bars = [line.get_color() for line in axis.lines if len(line.get_xdata()) == 2]
    assert bars == [RULE_COLOUR, COPY_COLOUR]  # the third has none
