"""Measures of modularity against closed forms, null models and finite differences."""

import numpy as np
import pytest
import torch

from bumplab.analysis.linear_modules import (
    draw_inputs,
    linear_penalty,
    mixing_cost,
    mixing_frame,
    modular_frame,
    random_frame,
)
from bumplab.analysis.modularity import (
    activity_purity,
    input_jacobian,
    laplacian_eigenvalues,
    live_units,
    mixing_share,
    network_modularity,
    permuted,
    pool_rows,
    purity,
    random_weights,
    sort_units,
)
from bumplab.common.errors import BumplabError
from bumplab.models.penalties import activity_noise, weighted_activity_penalty
from bumplab.models.perceptrons import init_perceptron, perceptron, solo

BLOCKS = np.kron(np.eye(4), np.ones(8))


def draws(kind, measure, leak=0.0, n=200):
    rng = np.random.default_rng(0)
    return np.array([measure(random_weights(kind, (4, 32), rng, leak)) for _ in range(n)])


def fourth(weights):
    return laplacian_eigenvalues(weights)[3]


def test_blocks_have_as_many_zeros_as_modules():
    np.testing.assert_allclose(laplacian_eigenvalues(BLOCKS), 0, atol=1e-5)
    assert purity(BLOCKS) == 1


def test_eigenvalues_are_those_of_the_whole_laplacian_and_all_others_are_one():
    weights = np.random.default_rng(1).normal(size=(4, 32))
    columns = np.abs(weights) + 1e-7
    columns /= np.linalg.norm(columns, axis=0)
    similarity = columns.T @ columns
    roots = np.diag(similarity.sum(0) ** -0.5)
    whole = np.linalg.eigvalsh(np.eye(32) - roots @ similarity @ roots)
    np.testing.assert_allclose(laplacian_eigenvalues(weights), whole[:4], atol=1e-12)
    np.testing.assert_allclose(whole[4:], 1, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "mean", "spread"), [("gaussian", 0.914, 0.019), ("uniform", 0.938, 0.013), ("two of four", 0.644, 0.06)]
)
def test_null_models_have_a_fourth_eigenvalue_in_their_bands(kind, mean, spread):
    values = draws(kind, fourth)
    assert abs(values.mean() - mean) < 0.012 and 0.5 * spread < values.std() < 1.6 * spread


@pytest.mark.parametrize(
    ("leak", "pure", "eigenvalue"), [(0.05, 0.993, 0.517), (0.1, 0.973, 0.664), (0.2, 0.91, 0.789), (0.5, 0.729, 0.888)]
)
def test_a_leak_lowers_purity_and_raises_the_eigenvalue_as_tabled(leak, pure, eigenvalue):
    assert abs(draws("blocks", purity, leak).mean() - pure) < 0.03
    assert abs(draws("blocks", fourth, leak).mean() - eigenvalue) < 0.03


def test_purity_tells_two_of_four_from_a_small_leak_where_the_eigenvalue_does_not():
    two, leak = draws("two of four", purity), draws("blocks", purity, 0.1)
    assert abs(two.mean() - 0.82) < 0.02 and two.max() < leak.min()
    assert abs(draws("gaussian", purity).mean() - 0.62) < 0.02 and abs(draws("uniform", purity).mean() - 0.5) < 0.02
    assert draws("two of four", fourth).min() < draws("blocks", fourth, 0.1).max()


def test_absolute_weights_are_blind_to_signs():
    turned = np.kron(np.array([[1.0, 1.0], [1.0, -1.0]]), np.ones((1, 16)))
    assert laplacian_eigenvalues(turned)[1] == pytest.approx(1, abs=1e-6)


def test_a_network_is_pooled_by_modules_layer_by_layer():
    order = np.random.default_rng(3).permutation(8)
    first, second = np.kron(np.eye(2), np.ones((1, 4))), np.kron(np.eye(2), np.ones((4, 4)))
    shuffled = [first[:, order], second[order], np.kron(np.eye(2), np.ones((4, 1)))]
    found = network_modularity(shuffled)
    for matrix, sorted_matrix in zip([first, second], sort_units(shuffled), strict=False):
        assert np.array_equal(matrix, sorted_matrix)
    assert set(found["purity"].values()) == {1.0} and max(found["lambda2"].values()) < 1e-5
    assert pool_rows(np.array([[3.0], [4.0]]), np.array([1, 1]), 2).tolist() == [[0.0], [5.0]]
    assert sorted(permuted(first, np.random.default_rng(0)).ravel()) == sorted(first.ravel())


def test_the_jacobian_is_that_of_finite_differences():
    weights = solo(init_perceptron([3, 16, 2], torch.Generator().manual_seed(0)))
    weights = {name: value.double() for name, value in weights.items()}

    def function(x):
        return perceptron(weights, x[None], "tanh")[0][0]

    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    jacobian = input_jacobian(function, x)
    for column in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[column] = 1e-6
        slope = (function(x + step) - function(x - step)) / 2e-6
        torch.testing.assert_close(jacobian[:, :, column], slope, atol=1e-7, rtol=1e-5)
    assert mixing_share(torch.diag_embed(torch.randn(5, 4))) == 0


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_noise_on_the_last_layer_costs_what_the_penalty_of_the_same_power_says(exponent):
    generator = torch.Generator().manual_seed(0)
    weights = solo(init_perceptron([4, 32, 4], generator))
    x = torch.rand(1, 20_000, 4, generator=generator) * 4 - 2
    clean, activities = perceptron(weights, x)
    noise = activity_noise(torch.tensor([0.1]), exponent, [generator])
    noisy, _ = perceptron(weights, x, noise=noise)
    paid = (noisy - clean).square().mean()
    expected = 0.1**2 / 4 * weighted_activity_penalty(activities, weights, alpha=exponent)[0]
    assert float(paid / expected) == pytest.approx(1, abs=0.01)


def test_a_rescaled_neuron_pays_the_same_at_two_and_less_at_one():
    weights = solo(init_perceptron([4, 32, 4], torch.Generator().manual_seed(0), bias=False))
    x = torch.rand(1, 500, 4, generator=torch.Generator().manual_seed(1))
    larger = {"w1": weights["w1"] * 3, "w2": weights["w2"] / 3}
    pairs = [perceptron(each, x) for each in (weights, larger)]
    torch.testing.assert_close(pairs[0][0], pairs[1][0])
    for alpha, ratio in ((2, 1), (1, 1 / 3)):
        before = weighted_activity_penalty(pairs[0][1], weights, alpha)
        after = weighted_activity_penalty(pairs[1][1], larger, alpha)
        torch.testing.assert_close(after / before, torch.tensor([float(ratio)]), rtol=1e-5, atol=0)


def test_frames_reproduce_their_inputs():
    for frame in (modular_frame(4, 32), mixing_frame(4, 32), random_frame(4, 32, np.random.default_rng(0))):
        np.testing.assert_allclose(frame @ frame.T, np.eye(4), atol=1e-12)


def test_at_two_all_tight_frames_pay_the_closed_form():
    x = draw_inputs("uniform", 100_000, 4, np.random.default_rng(0))
    for frame in (modular_frame(4, 32), mixing_frame(4, 32)):
        assert linear_penalty(frame, x, 2) == pytest.approx(16 / 32 * 4 / 3, rel=0.01)


def test_at_one_the_inputs_decide():
    assert 2 ** mixing_cost("uniform", 1, frame="random") == pytest.approx(0.957, abs=0.01)
    assert 2 ** -mixing_cost("one at a time", 1, frame="random") == pytest.approx(0.6, abs=0.02)
    assert 2 ** mixing_cost("one at a time", 1) == pytest.approx(2, abs=0.02)  # d ** (1 - alpha / 2)
    for alpha in (0.5, 1, 2, 3):
        assert abs(mixing_cost("gaussian", alpha)) < 0.02


def test_what_cannot_be_measured_is_named():
    with pytest.raises(BumplabError, match="at least as many units as rows"):
        laplacian_eigenvalues(np.ones((4, 3)))
    with pytest.raises(BumplabError, match="gaussian, uniform, blocks or two of four"):
        random_weights("dense", (4, 32), np.random.default_rng(0))
    with pytest.raises(BumplabError, match="uniform, one at a time or gaussian"):
        draw_inputs("heavy", 5, 4, np.random.default_rng(0))


def test_dead_units_look_like_mixing_until_they_are_left_out():
    """A network of blocks in which most units have died is as modular as before, and the eigenvalue denies it."""
    rng = np.random.default_rng(0)
    weights = random_weights("blocks", (4, 32), rng)
    dead = np.arange(32) % 8 > 2
    weights[:, dead] *= 1e-9
    assert fourth(weights) > 0.5
    alive = live_units(weights, rng.normal(size=(32, 32)))
    np.testing.assert_array_equal(alive, ~dead)
    assert fourth(weights[:, alive]) < 1e-5 and purity(weights) == 1


def test_a_rescaled_unit_lives_on():
    incoming, outgoing = np.ones((4, 3)), np.ones((3, 2))
    scales = np.array([1e-6, 1.0, 1e6])
    assert live_units(incoming * scales, outgoing / scales[:, None]).all()


def test_purity_of_activity_knows_sums_products_and_modules():
    x = np.linspace(-1, 1, 8)[:, None] + np.zeros(8)
    y = x.T
    assert activity_purity(np.stack([x, 3 * y], -1)) == pytest.approx(1)
    assert activity_purity(np.stack([x + y, x - y], -1)) == pytest.approx(0.5)
    assert activity_purity((x * y)[..., None]) == pytest.approx(0)
    assert activity_purity(np.stack([x, np.zeros_like(x)], -1)) == pytest.approx(1)
    assert activity_purity(np.zeros((8, 8, 2))) == 0
