"""Sums, products and rank-one images against worlds that are such, and against least squares by hand."""

import numpy as np
import pytest
import torch

from bumplab.analysis.factor_models import additive_prediction, multiplicative_prediction, rank_one_prediction
from bumplab.analysis.superposition import blank_error, exact_images
from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import BumpWorld

DONUT = BumpWorld(size=28, held_out="box(5.5, 22.5, 5.5, 22.5)")
CORNER = DONUT.replace(held_out="box(11.5, 28, 11.5, 28)")
SUMS = DONUT.replace(kind="sos")


def predict(model, world, mu):
    """Return the squared error of a model that was fitted to what training shows."""
    seen = world.seen()
    images = exact_images(world, seen)
    if model is rank_one_prediction:
        images = images.reshape(-1, world.size, world.size)
    drawn = model(seen, images, mu).reshape(len(mu), -1)
    return ((drawn - exact_images(world, mu)) ** 2).mean()


def test_a_sum_of_parts_cannot_draw_bumps_and_draws_sums_of_stripes():
    assert predict(additive_prediction, DONUT, DONUT.seen()) == pytest.approx(0.0025, abs=1e-4)
    assert predict(additive_prediction, DONUT, DONUT.unseen()) / blank_error(DONUT) == pytest.approx(1.470, abs=1e-3)
    assert predict(additive_prediction, SUMS, SUMS.unseen()) < 1e-25


@pytest.mark.parametrize(("world", "most"), [(DONUT, 1e-20), (CORNER, 1e-5)], ids=["donut", "corner"])
def test_a_product_of_parts_draws_bumps(world, most):
    assert predict(multiplicative_prediction, world, world.unseen()) < most  # at the corner the floor shows
    assert predict(rank_one_prediction, world, world.unseen()) < 1e-28


def test_a_product_cannot_draw_sums_of_stripes():
    assert predict(rank_one_prediction, SUMS, SUMS.unseen()) / blank_error(SUMS) > 0.01


def test_the_sum_is_that_of_least_squares_whatever_the_order():
    rng = np.random.default_rng(0)
    every = torch.cartesian_prod(torch.arange(4.0), torch.arange(5.0))
    seen, new = every[rng.permutation(20)][:16], every
    images = rng.normal(size=(16, 3))
    design = np.concatenate([np.eye(4)[seen[:, 0].long()], np.eye(5)[seen[:, 1].long()]], 1)
    fit = np.linalg.lstsq(design, images, rcond=None)[0]
    there = np.concatenate([np.eye(4)[new[:, 0].long()], np.eye(5)[new[:, 1].long()]], 1)
    np.testing.assert_allclose(additive_prediction(seen, images, new), there @ fit, atol=1e-12)


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda s, i: additive_prediction(s, i, torch.tensor([[2.5, 3.0]])), "values that it has seen, not 2.5"),
        (lambda s, i: additive_prediction(s, i[:4], s), "one image of finite numbers for each of 495 conditions"),
        (lambda s, i: additive_prediction(s, i, torch.zeros(3)), "come as \\(n, 2\\)"),
        (lambda s, i: rank_one_prediction(s, i, s), "needs square images"),
    ],
)
def test_what_cannot_be_is_refused(act, sentence):
    with pytest.raises(BumplabError, match=sentence):
        act(DONUT.seen(), exact_images(DONUT, DONUT.seen()))
