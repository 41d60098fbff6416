"""The metric of a released code says almost the same of everything."""

import numpy as np
import pytest

from bumplab.analysis.ideal_codes import conjunctive, one_hot
from bumplab.analysis.steps import pullback_orthogonality
from bumplab.analysis.superposition import exact_images
from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import BumpWorld

X, Y = np.meshgrid(np.arange(28.0), np.arange(28.0), indexing="ij")
WORLD = BumpWorld(size=28)
IMAGES = exact_images(WORLD, WORLD.lattice()).reshape(28, 28, -1).transpose(1, 0, 2)
CODES = {
    "sum": ((X + Y)[..., None], 0.5),
    "two lines": (np.stack([X, Y], 2), 1),
    "one-hot": (one_hot(28, 28), 1),
    "conjunctive": (conjunctive(28, 28), 0.996),
    "images": (IMAGES, 0.99995),
    "noise": (np.random.default_rng(0).normal(size=(28, 28, 256)), 0.97),
}


@pytest.mark.parametrize("name", CODES)
def test_only_a_code_of_the_sum_is_told_from_the_others(name):
    code, value = CODES[name]
    assert pullback_orthogonality(code) == pytest.approx(value, abs=5e-3 if name == "noise" else 5e-4)


def test_it_stays_between_one_half_and_one_and_needs_a_lattice():
    rng = np.random.default_rng(1)
    values = [pullback_orthogonality(rng.normal(size=(4, 5, k))) for k in (1, 2, 8)]
    assert all(0.5 <= value <= 1 for value in values)
    with pytest.raises(BumplabError, match="at least 2 x 2 conditions"):
        pullback_orthogonality(np.ones((4, 3)))
