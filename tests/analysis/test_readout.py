"""Linear probes against normal equations, and UMAP's embedding against UMAP."""

import itertools
import warnings

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bumplab.analysis import readout
from bumplab.common.errors import BumplabError


def test_a_probe_is_the_ridge_regression_with_the_best_leave_one_out_error():
    rng = np.random.default_rng(0)
    r, train = rng.normal(size=(40, 6)) * 5, np.arange(40) < 30
    targets = r @ rng.normal(size=(6, 2)) + 3 + rng.normal(size=(40, 2))
    x = r / np.sqrt((r**2).sum(1).mean())
    errors, fits = [], []
    for alpha in readout.ALPHAS:

        def predict(rows, new, alpha=alpha):
            centre, mean = x[rows].mean(0), targets[rows].mean(0)
            gram = (x[rows] - centre).T @ (x[rows] - centre) + alpha * np.eye(6)
            weights = np.linalg.solve(gram, (x[rows] - centre).T @ (targets[rows] - mean))
            return mean + (new - centre) @ weights

        rows = np.flatnonzero(train)
        left = [((predict(np.delete(rows, k), x[rows[k]]) - targets[rows[k]]) ** 2).mean() for k in range(30)]
        errors.append(np.mean(left))
        fits.append(predict(rows, x))
    best = int(np.argmin(errors))
    assert 0 < best < len(errors) - 1
    np.testing.assert_allclose(readout.linear_probe(r, targets, train), fits[best])


def test_a_probe_does_not_see_the_scale_of_a_representation_nor_the_targets_left_out():
    rng = np.random.default_rng(1)
    r, train = rng.normal(size=(30, 4)), np.arange(30) % 3 > 0
    targets = r[:, 0] + 0.1 * rng.normal(size=30)
    plain = readout.linear_probe(r, targets, train)
    np.testing.assert_allclose(readout.linear_probe(1000 * r, targets, train), plain)
    np.testing.assert_array_equal(readout.linear_probe(r, np.where(train, targets, 99.0), train), plain)
    assert plain.shape == (30,)


@pytest.mark.parametrize(
    "r, targets, train, words",
    [
        (np.ones((4, 2, 2)), np.ones(4), np.ones(4, bool), r"r \(n, D\)"),
        (np.ones((4, 2)), np.ones(3), np.ones(4, bool), r"r \(n, D\)"),
        (np.ones((4, 2)), np.ones(4), np.ones(4, int), "a mask train"),
        (np.ones((4, 2)), np.ones(4), np.arange(4) < 1, "two conditions or more, got 1"),
        (np.zeros((4, 2)), np.ones(4), np.ones(4, bool), "not all 0"),
        (np.full((4, 2), np.nan), np.ones(4), np.ones(4, bool), "finite"),
    ],
)
def test_a_probe_refuses_what_it_cannot_fit(r, targets, train, words):
    with pytest.raises(BumplabError, match=words):
        readout.linear_probe(r, targets, train)


def test_umap_keeps_the_lattice_and_is_umap_without_its_warnings():
    r = np.random.default_rng(0).normal(size=(8, 9, 5)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = readout.umap(r, n_components=3, n_epochs=20, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        theirs = UMAP(n_components=3, n_epochs=20, random_state=4, n_jobs=1).fit_transform(r.reshape(72, 5))
    assert ours.shape == (8, 9, 3)
    np.testing.assert_array_equal(ours.reshape(72, 3), theirs)
    np.testing.assert_array_equal(readout.umap(r.reshape(72, 5), 3, 20, seed=4), theirs)


@pytest.mark.parametrize("r", [np.ones(5), np.full((6, 2), np.inf)])
def test_umap_refuses_what_is_no_representation(r):
    with pytest.raises(BumplabError, match="finite numbers of shape"):
        readout.umap(r)


@pytest.mark.parametrize("period", [None, 9.0])
def test_new_values_are_read_by_a_probe_of_the_others(period):
    rng = np.random.default_rng(3)
    places = np.stack(np.meshgrid(np.arange(9.0), np.arange(7.0), indexing="ij"), axis=2)
    r = np.concatenate([np.sin(places), np.cos(places / 2), rng.normal(scale=0.1, size=(9, 7, 3))], axis=2)
    points = r.reshape(63, -1) - r.reshape(63, -1).mean(axis=0)
    points /= np.sqrt((points**2).sum(axis=1).mean())
    expected = []
    for axis, bounds in ((0, (0, 3, 6, 9)), (1, (0, 3, 5, 7))):
        value = places[..., axis].ravel()
        turn = 2 * np.pi * value / period if period else None
        targets = np.stack([np.sin(turn), np.cos(turn)], axis=1) if period else value[:, None]
        residual = 0.0
        for low, high in itertools.pairwise(bounds):
            hidden = (value >= low) & (value < high)
            fit = RidgeCV(readout.ALPHAS).fit(points[~hidden], targets[~hidden])
            residual += ((targets[hidden] - fit.predict(points[hidden]).reshape(targets[hidden].shape)) ** 2).sum()
        expected.append(1 - residual / ((targets - targets.mean(axis=0)) ** 2).sum())
    assert readout.new_values_r2(r, places, period, blocks=3) == pytest.approx(expected, abs=1e-6)


def test_new_values_of_other_shapes_or_in_too_many_blocks_are_refused():
    r, places = np.ones((4, 5, 3)), np.ones((4, 5, 2))
    with pytest.raises(BumplabError, match=r"got \(\(20, 3\), \(4, 5, 2\)\)"):
        readout.new_values_r2(r.reshape(20, 3), places)
    with pytest.raises(BumplabError, match="2 to 4 blocks"):
        readout.new_values_r2(r, places, blocks=5)
