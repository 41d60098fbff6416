"""Clusters against scipy, averages against enumeration, thresholds against exact and published ones."""

import itertools
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings, strategies as st
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from bumplab.common.errors import BumplabError
from bumplab.figures.maps import link_map
from bumplab.percolation._union_find import allocate, fill_sites
from bumplab.percolation.clusters import fill_lattice, first_wraps, first_wraps_of_discs, label_clusters
from bumplab.percolation.curves import binomial_weights, percolation_curves
from bumplab.percolation.links import link_radius, neighbour_offsets, offsets_within, overlap, rendered_overlap, shells
from bumplab.percolation.scaling import collapse, collapse_error, extrapolate
from bumplab.percolation.thresholds import (
    CRITICAL_DEGREE,
    CRITICAL_WRAPPING,
    Estimate,
    WrappingSample,
    crossing,
    estimate_threshold,
    sample_disc_wrapping,
    sample_wrapping,
    thresholds_by_reach,
)
from bumplab.worlds.bumps import BumpWorld

SQUARES = (1, 2, 4, 5, 8, 9, 10, 13)  # squared distances of the first eight shells
#: Site thresholds: nearest neighbours (Jacobsen 2015), its complement, and three to eight shells (Xun et al. 2021).
PUBLISHED = (0.59274605, 0.40725395, 0.2891226, 0.1967293, 0.1647124, 0.1432551, 0.1153481, 0.0957661)


def components(sites, shape, square, periodic):
    """Return the cluster of each of these sites, linked up to a squared distance: an oracle made of scipy alone."""
    points = np.stack([sites % shape[0], sites // shape[0]], axis=1).astype(float)
    if not len(points):
        return np.empty(0, int)
    tree = cKDTree(points, boxsize=shape if periodic else None)
    pairs = tree.query_pairs(np.sqrt(square + 0.5), output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(points), len(points)))
    return connected_components(graph, directed=False)[1]


def goes_round(sites, shape, square):
    """Return whether a cluster goes round along x: a site is then connected to another image of itself in a cover."""
    columns, rows = shape
    for sheets in (2, 3):
        copies = [sites + sites // columns * (sheets - 1) * columns + k * columns for k in range(sheets)]
        cluster = components(np.concatenate(copies), (sheets * columns, rows), square, True).reshape(sheets, -1)
        if any((cluster[k] == cluster[0]).any() for k in range(1, sheets)):
            return True
    return False


# ---------------------------------------------------------------- clusters


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("count", range(1, 9))
def test_clusters_are_those_of_scipy_for_every_number_of_sites(count, periodic):
    rng = np.random.default_rng(count)
    for shape in ((9, 9), (12, 7), (23, 31)):
        order = rng.permutation(shape[0] * shape[1])
        found = fill_lattice(order, shape, shells(count), periodic)
        for n in {0, 1, *rng.integers(len(order), size=8), len(order)}:
            sizes = np.bincount(components(order[:n], shape, SQUARES[count - 1], periodic))
            assert found.clusters[n] == len(sizes) and found.squares[n] == (sizes**2).sum()
            assert found.largest[n] == max(sizes, default=0)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_clusters_are_those_of_scipy_in_any_rectangle(data):
    shape = data.draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    count, periodic = data.draw(st.integers(1, 8)), data.draw(st.booleans())
    steps = shells(count)
    if periodic and (2 * np.abs(steps) >= shape).any():
        periodic = False
    order = np.array(data.draw(st.permutations(range(shape[0] * shape[1]))))
    order = order[: data.draw(st.integers(0, len(order)))]
    sizes = np.bincount(components(order, shape, SQUARES[count - 1], periodic))
    found = fill_lattice(order, shape, steps, periodic)
    assert (found.largest[-1], found.clusters[-1]) == (max(sizes, default=0), len(sizes))
    filled = np.isin(np.arange(shape[0] * shape[1]), order).reshape(shape[::-1])
    labelled = np.bincount(label_clusters(filled, steps, periodic).ravel())[1:]
    assert labelled.tolist() == sorted(sizes, reverse=True)


@pytest.mark.parametrize("count", [1, 2])
def test_labels_are_those_of_ndimage(count):
    filled = np.random.default_rng(3).random((40, 50)) < 0.45
    ours = label_clusters(filled, shells(count), periodic=False)
    theirs, number = ndimage.label(filled, np.ones((3, 3)) if count == 2 else None)
    assert len(set(zip(ours.ravel(), theirs.ravel(), strict=True))) == number + 1 == ours.max() + 1
    sizes = np.bincount(ours.ravel())[1:]
    assert (np.diff(sizes) <= 0).all() and (ours > 0).tolist() == filled.tolist()


@pytest.mark.parametrize("count", [1, 5])
def test_a_web_draws_every_link_once(count):
    filled, steps = np.random.default_rng(0).random((12, 20)) < 0.5, shells(count)
    axis = link_map(label_clusters(filled, steps, periodic=False), steps)
    points = np.stack(np.nonzero(filled), axis=1)
    expected = {tuple(sorted(map(tuple, points[[a, b], ::-1].tolist())))
                for a, b in cKDTree(points).query_pairs(np.sqrt(SQUARES[count - 1] + 0.5))}  # fmt: skip
    drawn = [tuple(sorted(map(tuple, segment.tolist()))) for segment in axis.collections[0].get_segments()]
    assert len(drawn) == len(set(drawn)) and set(drawn) == expected
    assert not link_map(filled.astype(int), np.empty((0, 2), int)).collections[0].get_segments()
    plt.close("all")


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("shape", [(9, 9), (13, 10), (10, 17)])
def test_a_cluster_goes_round_when_a_site_meets_its_own_image(count, shape):
    rng, steps, square = np.random.default_rng(count), shells(count), SQUARES[count - 1]
    turned = np.arange(shape[0] * shape[1]).reshape(shape[1], shape[0]).T.ravel().argsort()  # x and y exchanged
    for _ in range(12):
        order = rng.permutation(shape[0] * shape[1])
        first = fill_lattice(order, shape, steps).spanning_counts
        for sites, sides, n in ((order, shape, first[0]), (turned[order], shape[::-1], first[1])):
            assert not goes_round(sites[: n - 1], sides, square) and goes_round(sites[:n], sides, square)


def test_a_diagonal_stripe_goes_round_both_ways_and_a_row_one_way():
    diagonal = np.arange(12) * 13
    assert fill_lattice(diagonal, (12, 12), shells(2)).spanning_counts.tolist() == [12, 12]
    assert fill_lattice(np.arange(12) + 24, (12, 12), shells(1)).spanning_counts.tolist() == [12, 13]
    assert fill_lattice(np.arange(12) * 12 + 3, (12, 12), shells(1)).spanning_counts.tolist() == [13, 12]


@pytest.mark.parametrize("count, near", [(1, 0), (3, 0), (6, 1)])  # the longest steps are 1, 2 and 3
def test_an_open_lattice_is_crossed_when_one_cluster_comes_to_opposite_edges(count, near):
    rng, steps = np.random.default_rng(0), shells(count)
    for _ in range(10):
        order = rng.permutation(88)
        first = fill_lattice(order, (11, 8), steps, periodic=False).spanning_counts
        for n, axis, last in zip(first, (1, 0), (10, 7), strict=True):
            for filled, expected in ((n - 1, False), (n, True)):
                mask = np.isin(np.arange(88), order[:filled]).reshape(8, 11)
                found = label_clusters(mask, steps, periodic=False)
                ends = (found.take(range(k, k + near + 1), axis).ravel().tolist() for k in (0, last - near))
                assert bool(set.intersection(*map(set, ends)) - {0}) == expected


def test_a_race_stops_when_clusters_have_gone_round():
    steps, order = shells(2), np.arange(400)
    for _ in range(20):
        first = fill_sites(order, 20, 20, steps, True, True, *allocate(400, True))[3]
        assert (
            sorted(order) == list(range(400)) and (fill_lattice(order, (20, 20), steps).spanning_counts == first).all()
        )


def test_races_are_shuffled_evenly_and_do_not_depend_on_threads():
    steps, rng = shells(1), np.random.default_rng(0)
    found = first_wraps((12, 12), steps, 3000, seed=1)
    expected = np.array([fill_lattice(rng.permutation(144), (12, 12), steps).spanning_counts for _ in range(3000)])
    assert scipy.stats.ks_2samp(found.ravel(), expected.ravel()).pvalue > 1e-3
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert (first_wraps((12, 12), steps, 3000, seed=1) == found).all()
        assert (first_wraps((12, 12), steps, 600, seed=2) != found[:600]).any()
    finally:
        torch.set_num_threads(threads)


def test_discs_wrap_when_a_graph_of_all_points_says_so():
    side, rng = 8, np.random.default_rng(5)
    (found,) = first_wraps_of_discs(side, 1, seed=5)
    points = side * rng.random((4 * side**2, 2))
    for axis, n in enumerate(found):
        for taken, expected in ((n - 1, False), (n, True)):
            sheet = points[:taken] + np.array([0, side])[:, None, None] * np.eye(2)[axis]
            boxsize = np.where(np.arange(2) == axis, 2 * side, side)
            pairs = cKDTree(sheet.reshape(-1, 2), boxsize=boxsize).query_pairs(1, output_type="ndarray")
            graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(2 * taken, 2 * taken))
            cluster = connected_components(graph, directed=False)[1].reshape(2, taken)
            assert (cluster[0] == cluster[1]).any() == expected


# ---------------------------------------------------------------- links


def test_the_overlap_is_the_integral_of_two_gaussians():
    x, y = np.mgrid[-12:14:0.05, -12:12:0.05]
    for sigma, r in ((1.0, 1.5), (2.0, 1.0)):
        one, other = (np.exp(-((x - at) ** 2 + y**2) / (2 * sigma**2)) for at in (0, r))
        product = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())
        assert overlap(r, sigma) == pytest.approx(product, rel=1e-6)


@given(st.floats(0.05, 20), st.floats(1e-6, 0.999))
@settings(deadline=None)
def test_bumps_at_the_link_radius_overlap_by_theta(sigma, theta):
    assert overlap(link_radius(sigma, theta), sigma) == pytest.approx(theta, rel=1e-9)


def test_rendered_bumps_overlap_as_the_formula_says_unless_narrow_or_cut():
    world, middle = BumpWorld(), torch.tensor([[16.0, 16.0]])
    other = middle + torch.tensor([[1.0, 0], [1.3, -0.4], [0, 3]])
    r = np.linalg.norm(other - middle, axis=1)
    rendered = rendered_overlap(world, middle.expand(3, 2), other)
    np.testing.assert_allclose(rendered, overlap(r, 1.0), rtol=1e-3)
    narrow = rendered_overlap(world.replace(sigma=0.25), middle, other[:1])[0]
    assert narrow == pytest.approx(2 * np.exp(-8), rel=0.01)  # each has one bright pixel, that of the other a trace
    cut = rendered_overlap(world, torch.tensor([[0.0, 16.0]]), torch.tensor([[2.0, 16.0]]))[0]
    j = np.arange(32)  # the factor along y is the same for both and drops out
    one, other = np.exp(-(j**2) / 2), np.exp(-((j - 2) ** 2) / 2)
    assert cut == pytest.approx(one @ other / np.sqrt(one @ one * (other @ other)), rel=1e-5)
    assert cut > overlap(2.0, 1.0) + 0.04


def test_shells_have_the_neighbours_of_the_square_lattice():
    assert [len(shells(k)) for k in range(1, 9)] == [4, 8, 12, 20, 24, 28, 36, 44]
    for k in range(1, 9):
        assert max((shells(k) ** 2).sum(axis=1)) == SQUARES[k - 1]


@given(st.floats(0.3, 4), st.floats(0.3, 4), st.floats(0, 6))
@settings(deadline=None, max_examples=50)
def test_neighbours_are_all_sites_nearer_than_the_radius(dx, dy, radius):
    found = {tuple(step) for step in offsets_within(radius, (dx, dy)).tolist()}
    grid = itertools.product(range(-21, 22), repeat=2)
    away = {step: np.hypot(step[0] * dx, step[1] * dy) for step in grid if step != (0, 0)}
    surely, perhaps = ({s for s, r in away.items() if r < radius + e} for e in (-1e-6, 1e-6))
    assert surely <= found <= perhaps


@pytest.mark.parametrize("sigma, spacing", [(1, 1), ((0.5, 1.5), 1), (0.7, (0.5, 1)), (0.2, 1)])
@pytest.mark.parametrize("theta", [0.005, 0.3])
def test_links_of_a_world_are_overlaps_above_theta(sigma, spacing, theta):
    world = BumpWorld(sigma=sigma, spacing=spacing)
    found = {tuple(step) for step in neighbour_offsets(world, theta).tolist()}
    for step in itertools.product(range(-16, 17), repeat=2):
        away = np.multiply(step, world.spacing) / world.sigma
        expected = step != (0, 0) and overlap(np.hypot(*away), 1.0) > theta
        assert (step in found) == expected, step


@pytest.mark.parametrize(
    "sigma, spacing", [(0.2, 1), (0.35, 1), (0.5, 1), ((0.4, 1), 1), (1, 1), (1, 2), (0.6, (1, 2))]
)
@pytest.mark.parametrize("theta", [0.005, 0.2])
def test_links_of_pixels_are_overlaps_of_rendered_images(sigma, spacing, theta):
    world = BumpWorld(sigma=sigma, spacing=spacing, size=64)
    mu, middle = world.lattice(), torch.tensor([[32.0, 32.0]])
    seen = rendered_overlap(world, mu, middle)
    steps = np.rint((mu - middle).numpy() / world.spacing).astype(int)
    expected = {tuple(step) for step in steps[seen > theta].tolist()} - {(0, 0)}
    assert {tuple(step) for step in neighbour_offsets(world, theta, pixels=True).tolist()} == expected


# ---------------------------------------------------------------- averages


def test_canonical_averages_are_those_over_all_fillings():
    p, sites, steps = np.array([0.0, 0.2, 0.55, 1.0]), 6, shells(1)
    orders = itertools.permutations(range(sites))
    micro = np.mean([fill_lattice(np.array(order), (3, 2), steps, False).share() for order in orders], axis=0)
    exact = np.zeros(len(p))
    for filled in itertools.product((False, True), repeat=sites):
        n, image = sum(filled), np.array(filled).reshape(2, 3)
        sizes = np.bincount(ndimage.label(image)[0].ravel())[1:]
        exact += p**n * (1 - p) ** (sites - n) * (max(sizes) / n if n else 0)
    np.testing.assert_allclose(binomial_weights(sites, p) @ micro, exact, atol=1e-12)


def test_a_ring_has_the_clusters_that_independent_sites_have():
    p, length, steps = np.array([0.1, 0.5, 0.9, 0.99]), 400, np.array([[1, 0], [-1, 0]])
    found = percolation_curves((length, 1), steps, p, realisations=200)
    low, high = found.interval("clusters")
    exact = p * (1 - p) + p**length / length  # one cluster begins after each gap; the full ring is one
    assert (np.abs(found.mean("clusters") - exact) < 2 * (high - low)).all()
    low, high = found.interval("crossing")
    assert np.abs(found.mean("crossing") - p**length).max() < 1e-6 and (low <= high).all()


def test_curves_of_a_lattice_are_those_of_independent_fillings():
    side, p, rng = 24, 0.55, np.random.default_rng(1)
    found = percolation_curves(side, shells(1), [p], realisations=300, periodic=False)
    expected = {"share": [], "susceptibility": [], "crossing": []}
    for _ in range(600):
        image = rng.random((side, side)) < p
        labels = ndimage.label(image)[0]
        sizes = np.sort(np.bincount(labels.ravel())[1:])
        expected["share"].append(sizes[-1] / image.sum())
        expected["susceptibility"].append((sizes[:-1] ** 2).sum() / side**2)
        expected["crossing"].append(bool(set(labels[:, 0]) & set(labels[:, -1]) - {0}))
    for name, values in expected.items():
        low, high = found.interval(name)
        error = np.hypot((high[0] - low[0]) / 4, np.std(values) / np.sqrt(len(values)))
        assert abs(found.mean(name)[0] - np.mean(values)) < 4 * error, name


# ---------------------------------------------------------------- thresholds


@pytest.mark.parametrize("count", range(1, 9))
def test_thresholds_of_shells_are_the_published_ones(count):
    found = estimate_threshold(sample_wrapping(64 if count < 3 else 96, shells(count), 1500, seed=count))
    published = PUBLISHED[count - 1]
    assert found.error < 1.5e-3 * published**0.5 and abs(found.value - published) < 3.5 * found.error


def test_discs_percolate_at_the_published_degree():
    found = estimate_threshold(sample_disc_wrapping(32, 3000, seed=1))
    assert found.error < 0.005 * CRITICAL_DEGREE / 3
    assert abs(found.value - CRITICAL_DEGREE) < 3.5 * found.error


def test_the_triangular_lattice_percolates_at_one_half():
    # Exact. As a sheared square lattice its wrapping probability is not that of a square torus: sides have to cross.
    steps = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]])
    small, large = (sample_wrapping(side, steps, count, seed=side) for side, count in ((16, 20000), (64, 4000)))
    found, _ = crossing(small, large)
    assert found.error < 2e-3 and abs(found.value - 0.5) < 3.5 * found.error
    line, _ = extrapolate([small, sample_wrapping(32, steps, 8000, seed=1), large])
    assert line.error < 2e-3 and abs(line.value - 0.5) < 3.5 * line.error


def test_sides_cross_at_the_wrapping_probability_of_theory():
    steps = shells(1)
    small, large = (sample_wrapping(side, steps, count, seed=side) for side, count in ((16, 20000), (64, 4000)))
    found, probability = crossing(small, large)
    assert abs(found.value - PUBLISHED[0]) < 3.5 * found.error
    at = large.probability(PUBLISHED[0])
    assert abs(at.value - CRITICAL_WRAPPING) < 3.5 * at.error < 0.03
    assert abs(probability - CRITICAL_WRAPPING) < 0.05


def test_errors_of_thresholds_are_their_spread():
    steps = shells(2)
    found = [estimate_threshold(sample_wrapping(16, steps, 400, seed=seed)) for seed in range(40)]
    spread, error = np.std([f.value for f in found], ddof=1), np.mean([f.error for f in found])
    assert 0.7 < spread / error < 1.4  # 40 draws: 11 % each


def test_a_line_through_exact_means_meets_the_threshold():
    def at(side, rng):  # shares spread evenly round 0.3 + side^(-3/4)
        share = 0.3 + side ** (-0.75) + 0.001 * rng.normal(size=(1000, 2))
        return WrappingSample(np.rint(share * side**2).astype(int), side)

    rng = np.random.default_rng(0)
    found, chi2 = extrapolate([at(side, rng) for side in (512, 1024, 2048)])
    assert abs(found.value - 0.3) < 3.5 * found.error < 1e-3 and chi2 < 7


@pytest.fixture(scope="module")
def three_sides():
    p = np.linspace(0.5, 0.7, 81)
    return [percolation_curves(side, shells(1), p, 150, seed=side) for side in (32, 64, 128)]


@pytest.mark.parametrize("name, wrong", [("share", 0.35), ("susceptibility", -1.2)])
def test_curves_of_all_sides_collapse_with_the_exponents_of_theory(three_sides, name, wrong):
    right = collapse_error([collapse(each, name, PUBLISHED[0]) for each in three_sides])
    raw = [collapse(each, name, PUBLISHED[0], power=wrong) for each in three_sides]
    moved = [collapse(each, name, PUBLISHED[0] + 0.02) for each in three_sides]
    assert right < 0.04 and collapse_error(raw) > 2 * right and collapse_error(moved) > 1.5 * right


def test_wrapping_probabilities_collapse_without_a_power():
    p, steps = np.linspace(0.42, 0.76, 60), shells(1)
    found = [sample_wrapping(side, steps, 3000, seed=side) for side in (16, 32, 64)]
    lines = [(each.side, np.array([each.probability(v).value for v in p])) for each in found]
    scaled = {
        nu: [((p - PUBLISHED[0]) * side ** (1 / nu), values) for side, values in lines] for nu in (1.0, 4 / 3, 2.0)
    }
    misfit = {nu: collapse_error(each, 0.6) for nu, each in scaled.items()}
    assert misfit[4 / 3] < 0.02 and min(misfit[1.0], misfit[2.0]) > 2 * misfit[4 / 3]


def test_thresholds_fall_with_the_reach_towards_discs():
    found = thresholds_by_reach(3.0, side=48, realisations=150)
    assert [round(reach**2) for reach in found] == [1, 2, 4, 5, 8, 9]
    values = np.array([each.value for each in found.values()])
    errors = np.array([each.error for each in found.values()])
    assert (np.abs(values - PUBLISHED[:6]) < 3.5 * errors).all() and (np.diff(values) < 0).all()


# ---------------------------------------------------------------- mistakes


def test_a_number_with_its_error_is_readable():
    assert str(Estimate(0.592746, 0.000031)) == "0.59275 ± 0.00003"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fill_lattice([0, 0], (3, 3), shells(1), False), "at most once"),
        (lambda: fill_lattice([9], (3, 3), shells(1), False), "from 0 to 8"),
        (lambda: fill_lattice([0], (3, 3), [[1, 0]], False), "with it its opposite"),
        (lambda: fill_lattice([0], (3, 3), [[0, 0]], False), "but not"),
        (lambda: fill_lattice([0], (4, 4), shells(3)), "shorter than half a side"),
        (lambda: fill_lattice([0], (0, 4), shells(1), False), "columns and rows"),
        (lambda: first_wraps((9, 9), shells(1), 0), "1 to 1,000,000 realisations"),
        (lambda: first_wraps_of_discs(7, 1), "8 to 1,000"),
        (lambda: link_radius(1.0, 1.0), "theta between 0 and 1"),
        (lambda: link_radius(0.0, 0.1), "sigma above 0"),
        (lambda: neighbour_offsets(BumpWorld(spacing=0.5), 0.1, pixels=True), "whole number"),
        (lambda: offsets_within(-1), "not negative"),
        (lambda: shells(0), "1 to 1,000 shells"),
        (lambda: percolation_curves(8, shells(1), [0.5], 1), "at least 2 realisations"),
        (lambda: percolation_curves(8, shells(1), [1.5]), "from 0 to 1"),
        (lambda: extrapolate([sample_wrapping(8, shells(1), 5)]), "two or more different"),
        (lambda: crossing(*[sample_wrapping(8, shells(1), 5)] * 2), "do not cross"),
        (lambda: collapse_error([(np.array([0, 1]), np.ones(2))]), "reach from -1 to 1"),
    ],
)
def test_mistakes_give_one_sentence(call, message):
    with pytest.raises(BumplabError, match=message):
        call()


def test_the_command_line_does_not_wait_for_the_compiler():
    code = "import bumplab.__main__, sys; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
