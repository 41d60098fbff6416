"""Dimension, read-out and additive parts against scikit-learn, brute force and values derived on paper."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from bumplab.analysis import ideal_codes
from bumplab.analysis.geometry import (
    additive_fit,
    explained_variance_ratio,
    intrinsic_dimension,
    n_components_for,
    participation_ratio,
    pca,
)
from bumplab.analysis.ideal_codes import clifford, conjunctive, one_hot, population, torus3d
from bumplab.analysis.readout import linear_probe_r2
from bumplab.common.errors import BumplabError


def disguised(r, seed=0, dimensions=256):
    """Rotate a code into many dimensions, scale and shift it: none of this may matter."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(max(dimensions, r.shape[-1]), r.shape[-1])))[0]
    return 7 * r @ rotation.T + 10 * rng.normal(size=len(rotation))


def lattice(n_x, n_y):
    return np.stack(np.meshgrid(np.arange(n_x), np.arange(n_y), indexing="ij"), axis=2)


# ---------------------------------------------------------------- principal components


@pytest.mark.parametrize("shape", [(40, 6), (12, 300), (5, 8, 3), (5, 8, 100)])
def test_spectrum_and_projection_equal_those_of_scikit_learn(shape):
    r = np.random.default_rng(0).normal(size=shape) * np.linspace(1, 3, shape[-1])
    points = r.reshape(-1, shape[-1])
    reference = PCA().fit(points)
    np.testing.assert_allclose(explained_variance_ratio(r), reference.explained_variance_ratio_, atol=1e-12)
    theirs = reference.transform(points)[:, :3]
    ours = pca(r, 3)
    assert ours.shape == (*shape[:-1], 3)
    np.testing.assert_allclose(np.abs(ours.reshape(-1, 3)), np.abs(theirs), atol=1e-9)


def test_all_components_keep_all_distances():
    r = disguised(torus3d(8, 9))
    for components in (None, 500):
        points, same = r.reshape(72, -1), pca(r, components).reshape(72, -1)
        distances = [np.linalg.norm(p[:, None] - p[None], axis=2) for p in (points, same)]
        np.testing.assert_allclose(*distances, atol=1e-6)


def test_signs_of_components_are_fixed():
    r = np.random.default_rng(0).normal(size=(30, 5))
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    np.testing.assert_allclose(pca(r, 5), pca(r @ rotation, 5), atol=1e-9)


# ---------------------------------------------------------------- dimension


@pytest.mark.parametrize("n_x, n_y", [(8, 8), (12, 20)])
def test_participation_ratios_of_the_ideals(n_x, n_y):
    big, small = 3.0, 1.3
    # Variances of the torus: R^2/2 + r^2/4 twice (x and y mixed), r^2/2 once.
    torus = (big**2 + small**2) ** 2 / (2 * (big**2 / 2 + small**2 / 4) ** 2 + small**4 / 4)
    # One-hot of n values: variance 1/n in n - 1 directions.
    even = (2 - 1 / n_x - 1 / n_y) ** 2 / ((n_x - 1) / n_x**2 + (n_y - 1) / n_y**2)
    expected = [
        (torus3d(n_x, n_y, big, small), torus),
        (clifford(n_x, n_y), 4),
        (one_hot(n_x, n_y), even),
        (conjunctive(n_x, n_y), n_x * n_y - 1),
    ]
    for code, value in expected:
        assert participation_ratio(disguised(code)) == pytest.approx(value, abs=1e-6)
    if n_x == n_y:
        assert even == pytest.approx(2 * (n_x - 1))


def test_the_components_that_hold_a_share():
    r = np.concatenate([np.diag([3.0, 2, 1]), -np.diag([3.0, 2, 1])])  # variances 9, 4, 1
    assert [n_components_for(r, share) for share in (0.5, 9 / 14, 0.7, 13 / 14, 0.95)] == [1, 1, 2, 2, 3]
    assert n_components_for(disguised(clifford(8, 8))) == 4
    with pytest.raises(BumplabError, match="between 0 and 1"):
        n_components_for(r, 1.0)


def sphere(d, n, rng):
    points = rng.normal(size=(n, d + 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(3))
def test_intrinsic_dimension_of_random_points(seed):
    rng = np.random.default_rng(seed)
    shapes = {1: sphere(1, 1000, rng), 2: sphere(2, 1000, rng), 3: sphere(3, 1000, rng), 5: rng.uniform(size=(4000, 5))}
    for d, points in shapes.items():
        assert intrinsic_dimension(points) == pytest.approx(d, rel=0.08 if d < 5 else 0.12)
    torus = np.concatenate([sphere(1, 1000, rng), sphere(1, 1000, rng)], axis=1)
    assert intrinsic_dimension(torus) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("code", [torus3d, clifford, lambda *n: population(*n, 1.0)])
def test_intrinsic_dimension_of_lattices(code):
    r = disguised(code(32, 32))
    assert intrinsic_dimension(r) == pytest.approx(2, abs=0.25)
    # Noise of a third of the signal's length in 256 dimensions: hidden before, visible after the projection.
    scale = 0.3 * np.sqrt(r.var(axis=(0, 1)).sum() / 256)
    noisy = r + scale * np.random.default_rng(0).normal(size=r.shape)
    assert intrinsic_dimension(noisy, components=6) == pytest.approx(2, abs=0.35) and intrinsic_dimension(noisy) > 3


@pytest.mark.parametrize("neighbours", [(0, 5), (5, 5), (5, 100)])
def test_impossible_neighbours_are_refused(neighbours):
    with pytest.raises(BumplabError, match="first < last < 64"):
        intrinsic_dimension(clifford(8, 8), neighbours=neighbours)


def test_equal_points_have_no_intrinsic_dimension():
    with pytest.raises(BumplabError, match="are the same"):
        intrinsic_dimension(np.repeat(clifford(8, 8), 2, axis=0), neighbours=(1, 5))


# ---------------------------------------------------------------- linear read-out


def test_a_linear_code_is_read_out_and_noise_is_not():
    mu = lattice(16, 16)
    rng = np.random.default_rng(0)
    linear = mu @ rng.normal(size=(2, 50))
    np.testing.assert_allclose(linear_probe_r2(linear, mu), 1, atol=1e-6)
    assert (linear_probe_r2(rng.normal(size=(16, 16, 2000)), mu) < 0.1).all()
    assert np.allclose(linear_probe_r2(rng.normal(size=(16, 16, 2000)), mu, folds=None), 1)  # why folds matter


def test_without_folds_it_is_the_textbook_fit():
    rng = np.random.default_rng(0)
    r, mu = rng.normal(size=(100, 3)), rng.normal(size=(100, 2))
    expected = [LinearRegression().fit(r, mu[:, k]).score(r, mu[:, k]) for k in (0, 1)]
    np.testing.assert_allclose(linear_probe_r2(r, mu, folds=None), expected, atol=1e-12)


def test_on_a_ring_sine_and_cosine_are_read_out():
    mu = lattice(16, 16)
    torus = disguised(clifford(16, 16))
    np.testing.assert_allclose(linear_probe_r2(torus, mu, period=16), 1, atol=1e-6)
    # Of mu itself, a sawtooth, it shows the first harmonic: its share of the variance is the first pair of
    # coefficients of the discrete Fourier transform, by Parseval.
    power = np.abs(np.fft.fft(np.arange(16) - 7.5)) ** 2
    share = (power[1] + power[-1]) / power.sum()
    np.testing.assert_allclose(linear_probe_r2(torus, mu, folds=None), share, atol=1e-9)
    np.testing.assert_allclose(linear_probe_r2(one_hot(16, 16), mu, period=16), 1, atol=1e-3)


def test_a_conjunctive_code_is_not_read_out():
    assert (linear_probe_r2(conjunctive(12, 12), lattice(12, 12)) < 0.1).all()


def test_features_that_do_not_fit_are_refused():
    r, mu = clifford(8, 8), lattice(8, 8)
    for wrong in (mu[:4], mu[0, 0], mu * np.nan):
        with pytest.raises(BumplabError, match="64 conditions"):
            linear_probe_r2(r, wrong)
    with pytest.raises(BumplabError, match="cannot be read out"):
        linear_probe_r2(r, 0 * mu)
    with pytest.raises(BumplabError, match="folds is None or 2 to 64"):
        linear_probe_r2(r, mu, folds=1)


# ---------------------------------------------------------------- additive fit


@given(seed=st.integers(0, 2**32 - 1), n_x=st.integers(4, 7), n_y=st.integers(4, 7))
@settings(deadline=None, max_examples=20)
def test_the_additive_fit_is_the_least_squares_fit(seed, n_x, n_y):
    r = np.random.default_rng(seed).normal(size=(n_x, n_y, 3)) + 5
    design = one_hot(n_x, n_y).reshape(n_x * n_y, -1)
    model = LinearRegression().fit(design, r.reshape(-1, 3))
    fit = additive_fit(r)
    ours = fit.mean + fit.f[:, None] + fit.g[None, :]
    np.testing.assert_allclose(ours.reshape(-1, 3), model.predict(design), atol=1e-9)
    residual = ((r - ours) ** 2).sum() / ((r - r.mean(axis=(0, 1))) ** 2).sum()
    assert fit.interaction == pytest.approx(residual) and fit.x + fit.y + fit.interaction == pytest.approx(1)


def test_shares_of_variance_of_the_ideals():
    big, small, n_x, n_y = 3.0, 1.3, 10, 12
    total = big**2 + small**2
    values = {
        "torus3d": (big**2 / total, small**2 / 2 / total, small**2 / 2 / total),
        "clifford": (1 / 2, 1 / 2, 0),
        "one_hot": np.array([1 - 1 / n_x, 1 - 1 / n_y, 0]) / (2 - 1 / n_x - 1 / n_y),
        "conjunctive": np.array([n_x - 1, n_y - 1, (n_x - 1) * (n_y - 1)]) / (n_x * n_y - 1),
    }
    for name, shares in values.items():
        radii = (big, small) if name == "torus3d" else ()
        fit = additive_fit(disguised(getattr(ideal_codes, name)(n_x, n_y, *radii)))
        np.testing.assert_allclose((fit.x, fit.y, fit.interaction), shares, atol=1e-9)


# ---------------------------------------------------------------- ideals and mistakes


def test_population_codes_join_the_torus_to_one_hot():
    np.testing.assert_allclose(population(8, 6, 0.02), one_hot(8, 6), atol=1e-12)
    np.testing.assert_allclose(explained_variance_ratio(population(8, 8, 30.0))[:5], [0.25] * 4 + [0], atol=1e-3)
    effective = [participation_ratio(population(32, 32, width)) for width in (5, 2, 1, 0.5, 0.2, 0.05)]
    assert effective == sorted(effective)


def test_a_torus_lies_at_its_radii():
    x, y, z = np.moveaxis(torus3d(8, 10, 3, 2), 2, 0)
    np.testing.assert_allclose((np.hypot(x, y) - 3) ** 2 + z**2, 4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: clifford(3, 8), "at least 4"),
        (lambda: torus3d(8, 8, 1, 1), "major > minor"),
        (lambda: population(8, 8, 0), "above 0"),
        (lambda: explained_variance_ratio(np.zeros(5)), "shape"),
        (lambda: additive_fit(np.eye(5)), "x first"),
        (lambda: explained_variance_ratio(np.full((5, 2), np.nan)), "NaN"),
        (lambda: explained_variance_ratio(np.full((5, 2), 3.1)), "are the same"),
        (lambda: pca(np.eye(5), 0), "at least 1"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(BumplabError, match=message):
        make()


def test_the_input_is_left_alone():
    r = clifford(8, 8) + 1
    before = r.copy()
    explained_variance_ratio(r), additive_fit(r), pca(r, 2)
    np.testing.assert_array_equal(r, before)
