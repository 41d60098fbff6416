"""The neural tangent kernel against a wide network's own gradients, and regression against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from bumplab.analysis import kernels
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet, UNetSettings
from bumplab.worlds.bumps import BumpWorld

SETTINGS = UNetSettings(mu_frequency=0.5)


def test_the_kernel_is_that_of_a_wide_networks_gradients():
    width, generator = 40_000, torch.Generator().manual_seed(0)
    inputs = torch.nn.functional.normalize(torch.randn(4, 3, generator=generator, dtype=torch.float64), dim=1)
    inner = torch.randn(3, width, generator=generator, dtype=torch.float64, requires_grad=True)
    outer = torch.randn(width, generator=generator, dtype=torch.float64, requires_grad=True)
    gradients = []
    for x in inputs:
        output = (2 / width) ** 0.5 * torch.relu(x @ inner) @ outer
        parts = torch.autograd.grad(output, (inner, outer))
        gradients.append(torch.cat([part.flatten() for part in parts]))
    empirical = torch.stack(gradients) @ torch.stack(gradients).T
    ours = kernels.relu_tangent_kernel((inputs @ inputs.T).numpy())
    np.testing.assert_allclose(ours, empirical.numpy(), atol=0.06)


def test_the_kernel_has_its_closed_values():
    values = kernels.relu_tangent_kernel(np.array([1.0, 0.5, 0.0, -1.0, 1 + 1e-9, -1 - 1e-9]))
    third = (np.sqrt(3) / 2 + 2 * np.pi / 3) / np.pi
    np.testing.assert_allclose(values, [2, third, 1 / np.pi, 0, 2, 0], atol=1e-12)


def test_the_encodings_kernel_is_that_of_what_the_network_hears():
    model = UNet(SETTINGS.replace(widths=(4, 4, 4, 4), bottleneck_channels=4, heads=1, patch=4, depth=1))
    x = torch.linspace(0, 31, 9)
    heard = model.encode(torch.zeros(9), torch.stack([x, 0 * x], 1))[:, SETTINGS.encoding : 2 * SETTINGS.encoding]
    cosine = torch.nn.functional.cosine_similarity(heard[:, None], heard[None], dim=2).double().numpy()
    ours = kernels.encoding_kernel(SETTINGS, x, x)
    np.testing.assert_allclose(ours, kernels.relu_tangent_kernel(cosine), atol=5e-3)  # arccos is steep at 1
    assert np.abs(ours - ours.T).max() < 1e-12 and np.linalg.eigvalsh(ours).min() > -1e-9


def test_regression_is_scikit_learns_kernel_ridge_round_the_mean():
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(12, 3)), rng.normal(size=(5, 3))
    targets = rng.normal(size=(12, 2)) + 7
    model = KernelRidge(alpha=0.3, kernel="precomputed").fit(x @ x.T, targets - targets.mean(0))
    expected = model.predict(new @ x.T) + targets.mean(0)
    np.testing.assert_allclose(kernels.kernel_regression(x @ x.T, new @ x.T, targets, 0.3), expected)


def test_regression_refuses_shapes_that_do_not_fit():
    with pytest.raises(BumplabError, match=r"\(m, m\), \(n, m\) and \(m, k\)"):
        kernels.kernel_regression(np.eye(3), np.eye(2), np.ones((3, 1)))


def test_places_are_guessed_well_across_a_narrow_gap_and_badly_across_a_wide_one():
    narrow, wide = (BumpWorld(spacing=(0.5, 1), held_out=f"band_x({16 - w / 2}, {16 + w / 2})") for w in (1, 16))
    errors = []
    for world in (narrow, wide):
        guesses = kernels.predict_places(UNetSettings(), world)
        assert {len(each) for each in guesses.values()} == {len(kernels.unseen_places(world))}
        errors.append({name: kernels.relative_place_error(each, world) for name, each in guesses.items()})
    assert all(errors[0][name] < min(0.02, errors[1][name]) for name in ("places", "pictures"))
    assert errors[1]["pictures"] > 0.5


def test_a_learner_of_pictures_that_draws_nothing_has_no_place():
    guesses = kernels.predict_places(UNetSettings(mu_frequency=20.0), BumpWorld(held_out="band_x(8, 24)"))
    assert np.isnan(guesses["pictures"]).any()
    assert not np.isnan(guesses["places"]).any()


def test_the_error_is_relative_to_the_nearest_place_seen():
    world = BumpWorld(held_out="band_x(12, 18)")  # 13 to 17; nearest seen: 12 and 18
    hidden = kernels.unseen_places(world).double().numpy()
    nearest = np.where(hidden < 15.5, 12.0, 18.0)
    assert kernels.relative_place_error(nearest, world) == pytest.approx(1)
    assert kernels.relative_place_error(hidden, world) == pytest.approx(0)
    assert kernels.relative_place_error(np.where(hidden == 13, 14, np.nan), world) == pytest.approx(
        1
    )  # off by 1, nearest at 1
    assert np.isnan(kernels.relative_place_error(np.full(5, np.nan), world))


def test_a_world_that_shows_every_place_is_refused():
    with pytest.raises(BumplabError, match="every value of mu_x"):
        kernels.predict_places(UNetSettings(), BumpWorld(held_out="box(4, 9, 4, 9)"))
