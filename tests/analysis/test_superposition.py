"""What superpositions reach, against closed forms, brute force and numbers computed elsewhere."""

import numpy as np
import pytest
import torch

from bumplab.analysis.baselines import nearest_conditions
from bumplab.analysis.superposition import (
    best_superposition,
    blank_error,
    exact_images,
    kernel_superposition,
    pairs_of,
    share_outside_span,
    span_basis,
    span_share,
)
from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import BumpWorld

DONUT = BumpWorld(size=28, held_out="box(5.5, 22.5, 5.5, 22.5)")
SUMS = DONUT.replace(kind="sos")
#: The same square, 6 labels further in; all stripes are shown, once each, under the label 0.
STRIPES = BumpWorld(
    kind="bump+stripes", size=28, margin=6,
    held_out="box(11.5, 28.5, 11.5, 28.5) | box(0.5, 5.5, -1, 40) | box(33.5, 40, -1, 40) | box(-1, 40, 0.5, 5.5) | "
    "box(-1, 40, 33.5, 40) | box(-1, 0.5, -1, 0.5)",
)  # fmt: skip


def error(images, world):
    """Return a mean squared error over what training does not show, in blanks."""
    return ((images - exact_images(world, world.unseen())) ** 2).mean() / blank_error(world)


def test_the_donut_shows_495_of_784_conditions():
    assert (len(DONUT.seen()), len(DONUT.unseen())) == (495, 289)


@pytest.mark.parametrize("world", [DONUT, SUMS, STRIPES], ids=["bump", "sos", "bump+stripes"])
def test_exact_images_are_those_that_are_drawn(world):
    drawn = world.brightness(world.render(world.lattice())).flatten(1)
    np.testing.assert_allclose(exact_images(world, world.lattice()), drawn, atol=1e-6)


def test_a_blank_costs_what_a_bump_holds():
    assert blank_error(DONUT) == pytest.approx(np.pi / 28**2, rel=3e-4)
    narrow = DONUT.replace(sigma=0.05)  # a bump is one pixel
    assert blank_error(narrow) == pytest.approx(1 / 28**2)


@pytest.mark.parametrize(("sigma", "share"), [(0.5, 0.983), (1, 0.734), (1.5, 0.460), (2, 0.229), (3, 0.0064)])
def test_the_share_that_no_superposition_reaches_falls_with_the_width(sigma, share):
    assert span_share(DONUT.replace(sigma=sigma)) == pytest.approx(share, abs=6e-4)


def test_stripes_are_no_pairs_and_leave_the_unseen_bumps_outside_of_their_span():
    assert len(pairs_of(STRIPES, STRIPES.seen())) == 495 == len(STRIPES.seen()) - 2 * 28
    assert len(pairs_of(STRIPES, STRIPES.unseen())) == 289
    assert blank_error(STRIPES) == pytest.approx(blank_error(DONUT), rel=1e-12)
    assert span_share(STRIPES) == pytest.approx(0.4412, abs=1e-4)  # less than .734: stripes cross where a bump is


def test_every_sum_of_stripes_is_a_superposition_of_others():
    assert span_share(SUMS) < 1e-25
    (x, y), (a, b) = (10.0, 12.0), (2.0, 3.0)  # (x, y) = (x, b) + (a, y) - (a, b)
    parts = exact_images(SUMS, torch.tensor([[x, b], [a, y], [a, b]]))
    np.testing.assert_allclose(np.array([1, 1, -1]) @ parts, exact_images(SUMS, torch.tensor([[x, y]]))[0], atol=1e-12)


def test_the_best_superposition_is_that_of_least_squares_and_its_share_that_of_the_energy():
    rng = np.random.default_rng(0)
    seen, images = rng.normal(size=(5, 12)), rng.normal(size=(7, 12))
    weights = np.linalg.lstsq(seen.T, images.T, rcond=None)[0]
    np.testing.assert_allclose(best_superposition(seen, images), weights.T @ seen, atol=1e-12)
    rest = images - weights.T @ seen
    np.testing.assert_allclose(share_outside_span(seen, images), (rest**2).sum(1) / (images**2).sum(1), atol=1e-12)
    assert len(span_basis(np.concatenate([seen, seen[:2] + seen[2:4]]))) == 5


def test_the_middle_of_the_hole_is_out_of_reach_and_its_rim_is_not():
    shares = share_outside_span(exact_images(DONUT, DONUT.seen()), exact_images(DONUT, DONUT.unseen())).reshape(17, 17)
    assert np.median(shares) == pytest.approx(0.96, abs=0.005)
    assert shares[8, 8] == pytest.approx(1, abs=1e-6) and shares[0, 0] == pytest.approx(0.02, abs=0.005)


def test_kernels_and_the_nearest_image_are_no_better_than_a_blank_or_hardly():
    values = {length: error(kernel_superposition(DONUT, length), DONUT) for length in (0.5, 1, 2, 4)}
    assert values[0.5] == pytest.approx(0.957, abs=1e-3) and values[1] == pytest.approx(0.812, abs=1e-3)
    assert values[2] == pytest.approx(2.33, abs=0.1) and values[4] > 1e3  # here the ridge decides
    assert min(values.values()) > span_share(DONUT)  # a kernel superposes, too
    copies = exact_images(DONUT, nearest_conditions(DONUT, DONUT.unseen()))
    assert error(copies, DONUT) == pytest.approx(1.472, abs=1e-3)


def test_a_kernel_draws_what_it_was_fitted_to():
    fitted = kernel_superposition(DONUT, 1.0, DONUT.seen())
    np.testing.assert_allclose(fitted, exact_images(DONUT, DONUT.seen()), atol=1e-6)


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: blank_error(BumpWorld(size=28)), "The hold-out 'nothing' touches no condition"),
        (lambda: blank_error(DONUT.replace(held_out="box(30, 40, 30, 40)")), "touches no condition of the lattice"),
        (lambda: DONUT.replace(held_out="box(-1, 28, -1, 28)"), "nothing is left to train on"),
        (lambda: blank_error(DONUT.replace(sigma=8)), "Bumps of sigma 8 fill a window of 28 pixels.*at most 7"),
        (lambda: span_share(BumpWorld(size=28)), "touches no condition"),
        (lambda: kernel_superposition(DONUT, 0.0), "above 0 pixels, got 0.0"),
        (lambda: best_superposition(np.ones((2, 3)), np.ones((2, 4))), "4 pixels are no sums of images of 3"),
        (lambda: span_basis(np.full((2, 3), np.nan)), "finite numbers"),
    ],
)
def test_what_cannot_be_is_refused(act, sentence):
    with pytest.raises(BumplabError, match=sentence):
        act()
