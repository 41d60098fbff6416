"""Onsets read from synthetic tables with known answers, and laws that have to recover what made them."""

import numpy as np
import pandas
import pytest
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from bumplab.common.errors import BumplabError
from bumplab.percolation.laws import Law, distance_law, distance_to_training, fit_law, number_law, percolation_law
from bumplab.percolation.links import link_radius
from bumplab.percolation.onset import (
    component_share,
    largest_cluster,
    lattice_accuracy,
    mantel_haenszel_difference,
    onsets,
)
from bumplab.worlds.bumps import BumpWorld

WORLD = BumpWorld()
SIGMAS = np.array([0.35, 0.5, 0.7, 1.0, 1.4, 2.0])
FRACTIONS = np.geomspace(0.02, 1, 9)
THETAS = np.geomspace(1e-3, 0.9, 24)
COUNTS = np.geomspace(10, 1024, 60)
DISTANCES = np.geomspace(0.2, 6, 60)


@pytest.fixture(scope="module")
def three():
    return {
        law.name: law
        for law in (
            percolation_law(WORLD, SIGMAS, THETAS, draws=10),
            number_law(WORLD, SIGMAS, COUNTS),
            distance_law(WORLD, SIGMAS, DISTANCES, draws=5),
        )
    }


def table(points, seeds=3, width=0.15, noise=0.0, rng=None):
    """Return a table of runs whose accuracy is logistic in ln(fraction), 1/2 at points[seed][sigma]."""
    rng, rows = rng or np.random.default_rng(0), []
    for seed in range(seeds):
        for sigma, at in zip(SIGMAS, points[seed], strict=True):
            for fraction in FRACTIONS:
                accuracy = 1 / (1 + np.exp(-np.log(fraction / at) / width))
                accuracy = np.clip(accuracy + noise * rng.normal(), 0, 1)
                # what is seen is drawn better; over the lattice it comes to `accuracy`
                seen = min(1.0, accuracy * 1.2)
                unseen = np.nan if fraction == 1 else (accuracy - fraction * seen) / (1 - fraction)
                rows.append((sigma, fraction, seed, accuracy if fraction == 1 else seen, unseen))
    return pandas.DataFrame(rows, columns=["world.sigma", "world.fraction", "seed", "seen.joint", "unseen.joint"])


# ---------------------------------------------------------------- onset


def test_accuracy_over_the_lattice_weighs_seen_and_unseen():
    runs = pandas.DataFrame({"world.fraction": [0.25, 1.0], "seen.joint": [0.8, 0.9], "unseen.joint": [0.4, np.nan]})
    np.testing.assert_allclose(lattice_accuracy(runs), [0.5, 0.9])
    np.testing.assert_allclose(lattice_accuracy(runs[1:].drop(columns="unseen.joint")), [0.9])


def test_onsets_are_found_with_their_interval():
    rng = np.random.default_rng(1)
    true = 0.3 / SIGMAS
    points = true * np.exp(0.05 * rng.normal(size=(5, len(SIGMAS))))
    found = onsets(table(points, seeds=5, noise=0.01, rng=rng))
    assert list(found) == sorted(SIGMAS)
    for k, each in enumerate(found.values()):
        assert each.is_finite and each.low < each.value < each.high and len(each.by_seed) == 5
        np.testing.assert_allclose(each.by_seed, points[:, k], rtol=0.06)
        assert abs(np.log(each.value / true[k])) < 0.12


def test_an_onset_outside_of_the_shares_tried_is_none():
    points = np.tile(np.array([3.0, 0.6, 0.4, 0.3, 0.1, 0.001]), (3, 1))
    found = list(onsets(table(points)).values())
    assert found[0].value == np.inf and found[-1].value == 0
    assert [each.is_finite for each in found] == [False, True, True, True, True, False]


# ---------------------------------------------------------------- laws


def test_percolation_law_is_where_half_of_the_draws_reach_across(three):
    row, column, mu, rng = 14, 3, WORLD.lattice().numpy(), np.random.default_rng(3)
    share, radius = three["percolation"].predicted[row, column], link_radius(SIGMAS[column], THETAS[row])
    found = {}
    for factor in (0.8, 1.25):
        across = []
        for _ in range(80):
            shown = mu[rng.permutation(1024)[: round(factor * share * 1024)]]
            cluster = connected_components(cdist(shown, shown) < radius, directed=False)[1]
            across += [bool({*cluster[axis <= 1]} & {*cluster[axis >= 30]}) for axis in shown.T]  # 3 is the reach
        found[factor] = np.mean(across)
    assert 0.02 < share < 0.5 and found[0.8] < 0.4 and found[1.25] > 0.6


def test_percolation_law_knows_where_nothing_is_linked(three):
    law = three["percolation"]
    reach = np.array([[link_radius(s, t) for s in SIGMAS] for t in THETAS])
    assert (np.isinf(law.predicted) == (reach <= 1)).all()
    assert (np.diff(law.predicted[np.isfinite(law.predicted).all(axis=1)], axis=1) <= 0).all()


def test_number_law_is_the_same_for_all_sigma():
    law = number_law(WORLD, SIGMAS, [512, 2048])
    assert (law.predicted[0] == 0.5).all() and np.isinf(law.predicted[1]).all()


def test_distance_law_is_the_distance_to_the_nearest_image():
    law, rng = distance_law(WORLD, [1.0, 2.0], [0.5, 1.0]), np.random.default_rng(9)
    assert law.predicted[1, 0] == law.predicted[0, 1]  # only the product with sigma counts
    for asked, share in ((0.5, law.predicted[0, 0]), (2.0, law.predicted[1, 1])):
        mean = []
        for _ in range(20):
            shown = rng.permutation(1024).reshape(32, 32) < share * 1024
            mean.append(ndimage.distance_transform_edt(~shown).mean())
        assert np.mean(mean) == pytest.approx(asked, rel=0.05)
    far = distance_law(WORLD, [1.0], [100.0])
    assert far.predicted[0, 0] == 0


@pytest.mark.parametrize("name, row", [("percolation", 11), ("number", 30), ("distance", 30)])
def test_the_law_that_made_the_onsets_wins_with_its_parameter(three, name, row):
    rng, true = np.random.default_rng(4), three[name]
    found = true.predicted[row] * np.exp(0.03 * rng.normal(size=len(SIGMAS)))
    fits = {law.name: fit_law(law, found) for law in three.values()}
    assert min(fits, key=lambda each: fits[each].leave_one_out_error) == name
    assert fits[name].factor < 1.2 and abs(np.log(fits[name].value / true.values[row])) < 0.6
    if name != "number":
        assert fits[name].r2 > 0.9 > fits["number"].r2 + 0.5


def test_leaving_one_out_does_not_look_at_it():
    values = np.geomspace(0.01, 1, 200)
    law = Law("number", "share", values, np.repeat(values[:, None], 4, axis=1))
    found = fit_law(law, [0.1, 0.1, 0.1, 0.1 * np.e])
    assert np.log(found.value / 0.1) == pytest.approx(0.25, abs=0.02)
    expected = np.sqrt((3 * (1 / 3) ** 2 + 1) / 4)
    assert np.log(found.leave_one_out_error) == pytest.approx(expected, abs=0.02)
    assert found.r2 == pytest.approx(0, abs=0.01)


# ---------------------------------------------------------------- clusters of conditions and points


def test_the_largest_cluster_reaches_what_overlaps_with_it():
    world, theta = BumpWorld(size=16, fraction=0.3, sigma=0.8, subsample_seed=2), 0.1
    reached, mu, shown = largest_cluster(world, theta), world.lattice().numpy(), world.seen_mask().numpy()
    near = np.linalg.norm(mu[:, None] - mu[None], axis=2) < link_radius(0.8, theta)
    cluster = np.arange(256)
    for _ in range(256):  # spread the smallest number along links between shown conditions
        cluster = np.where(near & shown & shown[:, None], cluster, 999).min(axis=1)
    largest = shown & (cluster == np.bincount(cluster[shown]).argmax())
    assert (reached == (near & largest).any(axis=1)).all() and (reached[shown] == largest[shown]).all()


@pytest.mark.parametrize("periodic", [True, False])
def test_the_nearest_shown_image_is_the_nearest(periodic):
    world = BumpWorld(size=12, fraction=0.1, periodic=periodic)
    away = (world.lattice()[:, None] - world.seen()[None]).abs().numpy()
    away = np.minimum(away, 12 - away) if periodic else away
    np.testing.assert_allclose(distance_to_training(world), np.hypot(*away.T).min(axis=0), rtol=1e-6)


def test_the_advantage_of_a_group_is_not_that_of_being_near():
    rng = np.random.default_rng(0)
    distance = rng.choice([1.0, 2.0, 3.0], 6000)
    inside = rng.random(6000) < 1.2 - 0.35 * distance  # most of those nearby are inside
    right = rng.random(6000) < 1 - 0.3 * distance
    found, behind = mantel_haenszel_difference(right, inside, distance)
    assert abs(found) < 0.04 and 0.1 < right[inside].mean() - right[~inside].mean() and behind == 6000
    found, _ = mantel_haenszel_difference(right | (inside & (rng.random(6000) < 0.5)), inside, distance)
    share = (1 - right).mean()  # of those that had been wrong
    assert 0.5 * share - 0.15 < found < 0.5 * share + 0.1
    assert np.isnan(mantel_haenszel_difference(right, inside, inside)[0])


def test_points_nearer_than_the_radius_hang_together():
    points = np.array([[0.0, 0], [1, 0], [2, 0], [9, 0], [9.5, 0]])
    assert component_share(points, 1.1) == 0.6 and component_share(points, 0.6) == 0.4
    assert component_share(points, 10) == 1 and component_share(points, 0.1) == 0.2


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fit_law(number_law(WORLD, SIGMAS, [10]), [0.1]), "needs 6 finite onsets"),
        (lambda: fit_law(number_law(WORLD, SIGMAS, [10]), [np.inf] * 6), "needs 6 finite onsets"),
        (lambda: fit_law(number_law(WORLD, SIGMAS, [2000]), [0.1] * 6), "No value of images"),
    ],
)
def test_mistakes_give_one_sentence(call, message):
    with pytest.raises(BumplabError, match=message):
        call()


def test_a_table_with_failed_runs_is_refused():
    runs = table(np.full((3, 6), 0.2))
    runs.loc[5, "seen.joint"] = np.nan
    with pytest.raises(BumplabError, match="no accuracy"):
        onsets(runs)
