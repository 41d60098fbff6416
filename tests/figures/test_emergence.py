"""Maps of progress and dots of emergence show what they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from bumplab.common.errors import BumplabError
from bumplab.diffusion.linear_emergence import Emergence
from bumplab.figures.emergence import emergence_points, front_map, progress


def test_progress_is_linear_in_logarithms():
    curves = np.geomspace([1e-4, 1e2], [1e-1, 1e-2], 5)
    np.testing.assert_allclose(progress(curves, curves[0], curves[-1]), np.linspace([0, 0], [1, 1], 5), atol=1e-12)


def test_a_map_has_the_strongest_mode_on_top_and_its_cells_around_their_values():
    axis, share = Figure().subplots(), np.arange(6.0).reshape(3, 2) / 6
    mesh = front_map(axis, [1, 10, 100], [1.0, 0.01], share, {"law": ([2.0, 50.0], {})})
    np.testing.assert_allclose(mesh.get_array(), share.T[::-1])
    corners = mesh.get_coordinates()
    np.testing.assert_allclose(corners[:, 0, 1], [0.001, 0.1, 10], rtol=1e-9)
    np.testing.assert_allclose(corners[0, :, 0], 10.0 ** np.array([-0.5, 0.5, 1.5, 2.5]), rtol=1e-9)
    assert axis.lines[-1].get_xdata().tolist() == [50.0, 2.0] and axis.lines[-1].get_label() == "law"
    with pytest.raises(BumplabError, match="3 times and 2 modes"):
        front_map(axis, [1, 10, 100], [1.0, 0.01], share.T)


def test_a_map_tells_what_is_too_strong_from_what_has_only_arrived():
    mesh = front_map(Figure().subplots(), [1, 10], [0.01, 1.0], np.array([[0.0, 1.2], [1.0, 3.0]]))
    too_strong = mesh.to_rgba(mesh.get_array()) == mesh.cmap.get_over()
    assert too_strong.all(-1).tolist() == [[False, False], [False, True]]


def test_the_line_through_the_dots_is_their_law():
    axis = Figure().subplots()
    variances, first = np.array([1.0, 0.1, 0.01, 1e-9]), np.array([1e-6, 1e-6, 1e-6, 1e-9])
    times = np.array([1.0, 10.0, 100.0, np.inf])
    emergence_points(axis, variances, Emergence(times, first, np.array([1.0, 0.1, 0.01, 1e-9])))
    dots, line = axis.lines
    assert len(dots.get_xdata()) == 3
    np.testing.assert_allclose(line.get_ydata() * line.get_xdata(), 1, rtol=1e-9)
    emergence_points(axis, np.ones(4), Emergence(np.ones(4), first, np.ones(4)))
    assert len(axis.lines) == 3
