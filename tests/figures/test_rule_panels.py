"""Pictures of panels: what they draw where, and what is refused."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from bumplab.common.errors import BumplabError
from bumplab.figures.rule_panels import completion_matrix, novelty_bars, objects, rule_sample, said_cells
from bumplab.figures.style import GREEN, SKY, VERMILION


@pytest.fixture
def axis():
    return Figure().subplots()


def test_an_object_has_its_place_size_and_colour(axis):
    objects(axis, [2, 5], [1, 0], np.array([[0, 0, 1], [0, 4, 4]]))
    small, large = axis.collections
    assert small.get_offsets().tolist() == [[2, 1]] and large.get_offsets().tolist() == [[5, 0]]
    assert small.get_sizes()[0] < large.get_sizes()[0]
    assert tuple(small.get_facecolor()[0]) == to_rgba(GREEN) and tuple(large.get_facecolor()[0]) == to_rgba(SKY)


def test_shapes_differ(axis):
    objects(axis, range(5), [0] * 5, np.array([[shape, 0, 0] for shape in range(5)]))
    outlines = {each.get_paths()[0].vertices.tobytes() for each in axis.collections}
    assert len(outlines) == 5


def test_a_sample_is_read_row_by_row(axis):
    panels = np.zeros((3, 3, 3), int)
    panels[0, 2, 1] = 4  # above, on the right
    rule_sample(axis, panels)
    largest = max(axis.collections, key=lambda each: each.get_sizes()[0])
    assert largest.get_offsets().tolist() == [[2, 0]] and len(axis.collections) == 9


def test_what_cannot_be_is_crossed_out(axis):
    said_cells(axis, np.zeros((6, 3), int), np.array([True, True, False, True, False, True]), columns=4)
    (crosses,) = axis.lines
    assert crosses.get_xydata().tolist() == [[2, 0], [0, -1]] and crosses.get_color() == VERMILION
    with pytest.raises(BumplabError, match="each of 6 cells whether it is possible, got 1"):
        said_cells(axis, np.zeros((6, 3), int), np.array([True]))


def test_held_out_rules_stand_below_a_line(axis):
    rules = ["size sum", "shape +1", "colour -1"]
    completion_matrix(axis, np.array([[0.1, 0.2], [0.9, 1.0], [0.5, 0.6]]), rules, ["a", "b"], ["size sum"])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["shape +1", "colour -1", "size sum"]
    assert [text.get_text() for text in axis.texts] == ["0.90", "1.00", "0.50", "0.60", "0.10", "0.20"]
    assert list(axis.lines[0].get_ydata()) == [1.5, 1.5]


def test_copies_stand_on_what_is_new(axis):
    novelty_bars(axis, np.array([[0.1, 0.7], [0.2, 0.6]]), np.array([[0.8, 0.1], [0.5, 0.0]]), [10, 1000], ["a", "b"])
    tops = [round(bar.get_y() + bar.get_height(), 3) for bar in axis.patches]
    assert tops == [0.1, 0.7, 0.2, 0.6, 0.9, 0.8, 0.7, 0.6]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["10", "1,000"] * 2
    assert [text.get_text() for text in axis.texts] == ["a", "b"]
