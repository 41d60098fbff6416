"""Baselines against brute force, scipy's tree, and counting."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from bumplab.analysis.accuracy import score_images
from bumplab.analysis.baselines import (
    COPY_TOLERANCE,
    baseline_evaluations,
    composer_conditions,
    coverage,
    nearest_conditions,
)
from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import BumpWorld

WORLDS = {
    "cross": BumpWorld(size=16, held_out="cross(5, 9)"),
    "sos": BumpWorld(kind="sos", size=16, margin=3, held_out="box(4, 12, 4, 12)"),
    "periodic": BumpWorld(size=16, periodic=True, held_out="band_x(-1, 4)"),
    "thin": BumpWorld(size=16, fraction=0.1, subsample_seed=3),
    "fine": BumpWorld(size=16, spacing=(0.5, 1), held_out="band_x(5, 9.25)"),
}
every_world = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)


def brute_force(world, mu):
    """The distance to the nearest seen condition by a loop over all of them."""
    found = []
    for x, y in mu.tolist():
        best = np.inf
        for a, b in world.seen().tolist():
            dx, dy = abs(x - a), abs(y - b)
            if world.periodic:
                dx, dy = min(dx, world.size - dx), min(dy, world.size - dy)
            best = min(best, np.hypot(dx, dy))
        found.append(best)
    return np.array(found)


@every_world
def test_nearest_conditions_are_seen_and_as_near_as_any(world):
    mu = world.unseen()[::7]
    nearest = nearest_conditions(world, mu)
    seen = {tuple(row) for row in world.seen().tolist()}
    assert {tuple(row) for row in nearest.tolist()} <= seen
    np.testing.assert_allclose(world.wrap(mu - nearest).norm(dim=1), brute_force(world, mu), rtol=1e-6)


def test_of_several_nearest_the_first_is_taken():
    seen = torch.tensor([[6.0, 4.0], [4.0, 6.0], [2.0, 4.0]])
    assert nearest_conditions(BumpWorld(), torch.tensor([[4.0, 4.0]]), seen).tolist() == [[6.0, 4.0]]


def test_nearest_conditions_do_not_depend_on_how_many_are_asked_at_a_time():
    world = BumpWorld(size=40, fraction=0.05)
    mu = world.unseen()  # more than one chunk
    whole = nearest_conditions(world, mu)
    assert torch.equal(whole[1000:1100], nearest_conditions(world, mu[1000:1100]))
    one, many = coverage(world, mu[1000:1100]), coverage(world, mu)
    assert all(torch.equal(one[name], many[name][1000:1100]) for name in one)


@every_world
def test_the_composer_takes_each_axis_by_itself(world):
    mu = world.unseen()[::5]
    composed, seen = composer_conditions(world, mu), world.seen()
    for axis in (0, 1):
        values = np.unique(seen[:, axis].numpy().astype(float))
        tree = cKDTree(values[:, None], boxsize=world.size if world.periodic else None)
        distance, _ = tree.query(mu[:, axis, None].double().numpy())
        np.testing.assert_allclose(world.wrap(mu[:, axis] - composed[:, axis]).abs(), distance, atol=1e-6)


@every_world
def test_coverage_of_the_nearest_is_that_of_scipys_tree(world):
    mu = world.lattice()
    tree = cKDTree(world.seen().double().numpy(), boxsize=world.size if world.periodic else None)
    beside = tree.query(mu.double().numpy(), p=np.inf)[0] <= COPY_TOLERANCE
    assert coverage(world, mu)["nearest"].numpy().tolist() == beside.tolist()


@pytest.mark.parametrize("name", ["cross", "periodic", "thin"])
def test_what_is_covered_is_what_the_drawn_copies_get_right(name):
    world = WORLDS[name]
    mu = world.lattice()
    evaluations, masks = baseline_evaluations(world, mu), coverage(world, mu)
    for machine, mask in masks.items():
        assert torch.equal(evaluations[machine].right, mask), machine


def test_the_baselines_of_a_hole_are_known_in_closed_form():
    world = BumpWorld(size=16, held_out="box(4, 12, 4, 12)")  # hides 7 x 7 places, the ring round them is a pixel away
    mu = world.unseen()
    accuracy = {name: each.accuracy().value for name, each in baseline_evaluations(world, mu).items()}
    assert accuracy["nearest"] == (7**2 - 5**2) / 7**2
    assert accuracy["composer"] == 1 and accuracy["blank"] == 0
    ours = coverage(world, mu, seen=torch.tensor([[5.0, 5.0]]))
    assert ours["nearest"].sum() == ours["composer"].sum() == 4  # 5 and 6 on both axes: 4 is not hidden


def test_chance_and_blank_are_the_packages_own_on_as_many_rounds_as_asked_for():
    world = WORLDS["thin"]
    mu = world.unseen()[:30]
    ours = baseline_evaluations(world, mu, seed=5, min_images=100)
    known = baseline_evaluations(world, mu.repeat(4, 1), seed=5)
    assert {name: len(each.mu) for name, each in ours.items()} == {
        "chance": 120, "blank": 120, "nearest": 30, "composer": 30,
    }  # fmt: skip
    assert torch.equal(ours["chance"].category, known["chance"].category)


def test_a_copy_one_pixel_away_counts_wherever_it_lies():
    world = BumpWorld(size=24)
    mu = world.lattice()[torch.arange(0, 576, 5)]
    mu = mu[mu[:, 0] < 23]
    beside = mu + torch.tensor([1.0, 0.0])
    assert score_images(world.render(beside), mu, world, COPY_TOLERANCE).right.all()
    further = mu + torch.tensor([1.15, 0.0])
    assert not score_images(world.render(further), mu, world, COPY_TOLERANCE).right.any()


def test_only_the_baselines_named_are_scored_in_their_order():
    world = WORLDS["cross"]
    whole, some = (baseline_evaluations(world, world.unseen(), *names) for names in ((), (("nearest", "chance"),)))
    assert list(whole) == ["chance", "blank", "nearest", "composer"] and list(some) == ["nearest", "chance"]
    assert all(torch.equal(some[name].category, whole[name].category) for name in some)
    with pytest.raises(BumplabError, match="no baseline 'copier': use chance, blank, nearest, composer"):
        baseline_evaluations(world, world.unseen(), ["nearest", "copier"])


@pytest.mark.parametrize("mu", [torch.zeros(0, 2), torch.zeros(3), torch.zeros(3, 3)])
def test_conditions_of_another_shape_are_refused(mu):
    with pytest.raises(BumplabError, match="one condition or more"):
        baseline_evaluations(BumpWorld(), mu)
    with pytest.raises(BumplabError, match="needs seen"):
        coverage(BumpWorld(), torch.zeros(1, 2), mu)
