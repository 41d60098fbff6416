"""The plane of three functions: against coordinates in many dimensions, and what spans none."""

import numpy as np
import pytest

from bumplab.analysis.oracle_plane import place_in_plane, plane_corners
from bumplab.common.errors import BumplabError


def squared(a, b):
    return ((a[:, None] - b[None]) ** 2).sum(2)


def test_feet_and_heights_are_those_of_a_projection():
    rng = np.random.default_rng(0)
    three, others = rng.normal(size=(3, 20)), rng.normal(size=(7, 20))
    feet, heights = place_in_plane(squared(others, three), squared(three, three))
    basis, _ = np.linalg.qr((three[1:] - three[0]).T)
    flat = (others - three[0]) @ basis
    lengths = ((others - three[0]) ** 2).sum(1) - (flat**2).sum(1)
    np.testing.assert_allclose(heights, lengths)
    corners = (three - three[0]) @ basis
    np.testing.assert_allclose(squared(feet, plane_corners(squared(three, three))), squared(flat, corners), atol=1e-9)


def test_a_corner_is_where_it_is():
    three = np.random.default_rng(1).normal(size=(3, 5))
    between = squared(three, three)
    feet, heights = place_in_plane(between, between)
    np.testing.assert_allclose(feet, plane_corners(between), atol=1e-9)
    np.testing.assert_allclose(heights, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("between", "sentence"),
    [
        (np.zeros((3, 3)), "above 0 off the diagonal"),
        (np.ones((2, 2)), "3 x 3"),
        ([[0, 1, 4], [1, 0, 1], [4, 1, 0]], "in one line"),
    ],
)
def test_what_spans_no_plane_is_refused(between, sentence):
    with pytest.raises(BumplabError, match=sentence):
        plane_corners(between)
