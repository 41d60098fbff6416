"""Persistent homology against shapes whose diagrams and Betti numbers are known."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from bumplab.analysis.ideal_codes import clifford, conjunctive, one_hot, population, torus3d
from bumplab.analysis.topology import Persistence, betti_numbers, farthest_points, persistence
from bumplab.common.errors import BumplabError

path = Path(__file__).resolve().parents[2] / "benchmarks" / "topology.py"
spec = importlib.util.spec_from_file_location("benchmark_topology", path)
benchmark = importlib.util.module_from_spec(spec)
spec.loader.exec_module(benchmark)

DRAWS = [(name, seed) for name in benchmark.SHAPES for seed in range(5)]  # the benchmark counts 100 of each


def ring(n, radius=1.0):
    angle = 2 * np.pi * np.arange(n) / n
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


# ---------------------------------------------------------------- diagrams


def test_a_regular_polygon_has_the_bar_that_its_chords_give():
    # Rips complexes of n = 30 points on a circle: the loop is born at the side and dies when triangles reach round
    # the centre, at the chord over 10 sides, which is sqrt(3).
    result = persistence(ring(30), components=None, threshold=2.1)
    ((birth, death),) = result.diagrams[1]
    assert birth == pytest.approx(2 * np.sin(np.pi / 30), rel=1e-5) and death == pytest.approx(np.sqrt(3), rel=1e-5)


def test_a_square_and_an_octahedron_fill_at_their_diagonals():
    square = persistence(ring(4), components=None, threshold=3)
    np.testing.assert_allclose(square.diagrams[1], [[np.sqrt(2), 2]], rtol=1e-5)
    octahedron = persistence(np.concatenate([np.eye(3), -np.eye(3)]), components=None, threshold=3)
    np.testing.assert_allclose(octahedron.diagrams[2], [[np.sqrt(2), 2]], rtol=1e-5)


def test_components_are_joined_along_the_minimum_spanning_tree():
    line = np.array([[0.0], [1.0], [3.0], [7.0], [15.0]])
    result = persistence(line, components=None, threshold=20, dimensions=0)
    np.testing.assert_allclose(sorted(result.diagrams[0][:, 1]), [1, 2, 4, 8, np.inf])
    assert [result.betti(s)[0] for s in (0.5, 1.5, 3, 6, 9)] == [5, 4, 3, 2, 1]


def test_bars_that_outlive_the_threshold_are_infinite():
    result = persistence(ring(30), components=None, threshold=1.0)
    assert result.threshold == 1 and np.isinf(result.diagrams[1][0, 1])


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_betti_numbers_have_no_units(scale):
    points = benchmark.draw("circle", 0, 0.5)[:300]
    small, large = persistence(points), persistence(scale * points)
    assert large.scale == pytest.approx(scale * small.scale) and large.betti() == small.betti() == (1, 1, 0)


# ---------------------------------------------------------------- landmarks


def test_landmarks_cover_and_spread():
    points = np.random.default_rng(0).normal(size=(200, 3))
    chosen, cover = farthest_points(points, 30)
    distances = np.linalg.norm(points[:, None] - points[chosen][None], axis=2)
    assert len(set(chosen)) == 30 and cover == pytest.approx(distances.min(axis=1).max())
    between = np.linalg.norm(points[chosen][:, None] - points[chosen][None], axis=2)
    assert between[np.triu_indices(30, 1)].min() >= cover  # no two landmarks are closer than what is left uncovered
    assert farthest_points(points, 200)[1] == 0


def test_the_settings_of_a_diagram_travel_with_it():
    result = persistence(benchmark.draw("circle", 0, 0.1), components=3, landmarks=50, coefficients=5, dimensions=1)
    assert isinstance(result, Persistence) and len(result.diagrams) == 2 and len(result.landmarks) == 50
    assert (result.components, result.coefficients) == (3, 5)
    assert result.scale == pytest.approx(2 * np.hypot(result.cover_radius, result.sampling_gap)) and result.betti() == (
        1,
        1,
    )


def test_the_gap_of_a_lattice_is_half_the_diagonal_of_its_largest_cell():
    x, y = np.meshgrid([0.0, 1, 2, 3, 7], np.arange(5.0), indexing="ij")
    result = persistence(np.stack([x, y], axis=2), components=None, dimensions=1)
    assert result.sampling_gap == pytest.approx(np.hypot(4, 1) / 2) and result.cover_radius == 0
    assert result.scale == pytest.approx(np.hypot(4, 1))


# ---------------------------------------------------------------- Betti numbers


@pytest.mark.parametrize("name, seed", DRAWS)
def test_known_shapes_have_their_betti_numbers(name, seed):
    assert benchmark.betti(name, seed, noise=0.5) == benchmark.SHAPES[name][2]


@pytest.mark.parametrize("noise", [0.5, 1.5])
@pytest.mark.parametrize("name", [name for name in benchmark.SHAPES if name != "Gaussian blob"])  # it takes seconds
def test_the_count_without_diagrams_is_that_of_the_diagrams(name, noise):
    points, prime = benchmark.draw(name, 7, noise), benchmark.SHAPES[name][1]
    diagrams = persistence(points, landmarks=150, coefficients=prime)
    assert betti_numbers(points, landmarks=150, coefficients=prime) == diagrams.betti()


@pytest.mark.parametrize("code", [torus3d(32, 32), clifford(32, 32), population(24, 24, 0.5)])
def test_lattices_of_ideal_codes_are_tori(code):
    assert persistence(code).betti() == betti_numbers(code) == (1, 2, 1)


@pytest.mark.parametrize("code", [one_hot(16, 16), conjunctive(16, 16)])
def test_codes_without_neighbourhoods_have_no_holes(code):
    assert persistence(code).betti() == betti_numbers(code) == (1, 0, 0)


def test_a_sheet_has_no_holes():
    x, y = np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 2, 20), indexing="ij")
    assert persistence(np.stack([x, y, x * y], axis=2)).betti() == (1, 0, 0)


def test_betti_curves_go_from_points_to_one_piece():
    result = persistence(ring(30), components=None, threshold=2.1)
    assert [result.betti(s) for s in (0.1, 1.0, 1.9)] == [(30, 0, 0), (1, 1, 0), (1, 0, 0)]


def test_noise_as_large_as_the_shape_hides_its_holes():
    assert benchmark.betti("circle", 0, noise=16) != (1, 1, 0)


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dimensions": 3}, "0, 1 or 2"),
        ({"landmarks": 3}, "at least 4 landmarks"),
        ({"coefficients": 4}, "prime below 100"),
        ({"coefficients": 1}, "prime below 100"),
        ({"threshold": 0}, "above 0"),
        ({"components": 0}, "at least 1"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(BumplabError, match=message):
        persistence(ring(30), **options)
    if "threshold" not in options:
        with pytest.raises(BumplabError, match=message):
            betti_numbers(ring(30), **options)


def test_too_few_points_and_landmarks_are_refused():
    with pytest.raises(BumplabError, match="4 points or more"):
        persistence(ring(3))
    with pytest.raises(BumplabError, match="1 to 5 landmarks"):
        farthest_points(ring(5), 6)


def test_a_scale_beyond_the_filtration_is_refused():
    with pytest.raises(BumplabError, match="needs a threshold of"):
        persistence(ring(30), components=None, threshold=0.5).betti(0.6)
