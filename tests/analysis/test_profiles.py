"""Depth profiles, against the measures they are made of and the values that theory gives the ideals."""

import numpy as np
import pytest

from bumplab.analysis import ideal_codes
from bumplab.analysis.activations import lattice_activations
from bumplab.analysis.factorization import factorization_scores
from bumplab.analysis.geometry import additive_fit, participation_ratio
from bumplab.analysis.profiles import (
    GEOMETRY_MEASURES,
    code_geometry,
    depth_profile,
    holes_and_places,
    profile_table,
)
from bumplab.analysis.steps import orthogonality, parallelism
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet
from bumplab.training.settings import preset
from bumplab.worlds.bumps import BumpWorld

SMOKE = preset("smoke", world={"spacing": 4, "periodic": True})


def geometry_as_before(r):
    """Return the same numbers from the code itself, without turning it first."""
    scores, angles = factorization_scores(r), orthogonality(r)
    return {
        "dimension": participation_ratio(r),
        "factorization": scores.factorization,
        "hyperfactorization": scores.hyperfactorization,
        "x_on_y": (angles["x-on-y"] ** 2).mean(),
        "x_on_x": np.mean([(angles[kind] ** 2).mean() for kind in ("x-on-x", "y-on-y")]),
        "parallelism": np.mean([cosines.mean() for cosines in parallelism(r).values()]),
        "additive": 1 - additive_fit(r).interaction,
    }


@pytest.mark.parametrize("dimensions", [5, 300])  # fewer and more than there are conditions
def test_a_code_turned_has_the_geometry_of_the_code(dimensions):
    r = np.random.default_rng(1).normal(size=(6, 7, dimensions)) + 3
    expected = geometry_as_before(r)
    assert tuple(expected) == GEOMETRY_MEASURES
    assert vars(code_geometry(r)) == pytest.approx(expected)


def test_ideals_have_what_theory_gives_them():
    n = 12
    clifford, torus = code_geometry(ideal_codes.clifford(n, n)), code_geometry(ideal_codes.torus3d(n, n))
    assert clifford.dimension == pytest.approx(4)
    assert clifford.x_on_x == pytest.approx(1 / 2 + 1 / ((n - 1) * (n - 2)), abs=0.01)
    assert (clifford.x_on_y, clifford.additive, clifford.factorization) == pytest.approx((0, 1, 1))
    assert torus.factorization == pytest.approx(0, abs=1e-9)
    assert torus.x_on_y > 0.2


def test_a_profile_reads_each_layer_of_the_network():
    model = UNet(SMOKE.model).eval()
    profile = depth_profile(model, SMOKE.world, SMOKE.diffusion, steps=1)
    assert tuple(profile) == UNet.layer_names[1:-1]
    code = lattice_activations(model, SMOKE.world, SMOKE.diffusion, ["up1"], steps=1)["up1"]
    assert profile["up1"] == code_geometry(code)


def test_a_table_has_a_row_for_each_network_and_refuses_others():
    one, other = (code_geometry(code(6, 6)) for code in (ideal_codes.clifford, ideal_codes.one_hot))
    table = profile_table([{"up1": one, "up2": other}, {"up1": other, "up2": one}], "dimension")
    assert table == pytest.approx(np.array([[4, 10], [10, 4]]))
    with pytest.raises(BumplabError, match="no measure 'size'"):
        profile_table([{"up1": one}], "size")
    with pytest.raises(BumplabError, match="same layers"):
        profile_table([{"up1": one}, {"up2": one}], "dimension")


def test_what_is_no_code_is_refused():
    with pytest.raises(BumplabError, match="needs a representation"):
        code_geometry(np.ones((6, 6)))
    with pytest.raises(BumplabError, match="same"):
        code_geometry(np.ones((6, 6, 3)))


def test_a_torus_a_sheet_and_a_code_without_neighbours():
    ring, sheet = (BumpWorld(size=16, periodic=periodic) for periodic in (True, False))
    torus = holes_and_places(ideal_codes.clifford(16, 16), ring)
    assert (
        torus.is_torus and torus.betti == (1, 2, 1) and (torus.pairs, torus.values) == pytest.approx((1, 1), abs=1e-3)
    )
    flat = holes_and_places(np.stack(np.meshgrid(*2 * [np.arange(16.0)], indexing="ij"), axis=2), sheet)
    assert (
        not flat.is_torus and flat.betti == (1, 0, 0) and (flat.pairs, flat.values) == pytest.approx((1, 1), abs=1e-3)
    )
    alone = holes_and_places(ideal_codes.one_hot(16, 16), ring)
    assert alone.pairs == pytest.approx(1, abs=1e-3) and alone.values < 0.1  # known values yes, new ones no
    shuffled = np.random.default_rng(0).permutation(ideal_codes.clifford(16, 16).reshape(256, 4)).reshape(16, 16, 4)
    assert holes_and_places(shuffled, ring).pairs < 0.1
