"""Linear probes against normal equations, and UMAP's embedding against UMAP."""

import warnings

import numpy as np
import pytest

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
