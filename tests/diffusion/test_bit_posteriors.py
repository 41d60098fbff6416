"""Posterior means of bits against sums over all strings, quadrature, and what the sampler makes of them."""

import itertools

import numpy as np
import pytest
import torch

from bumplab.diffusion.analytic import as_network, timestep_at
from bumplab.diffusion.bit_posteriors import (
    bit_evidence,
    bit_theory,
    independent_mean,
    memorised_mean,
    parity_advantage,
    parity_mean,
)
from bumplab.diffusion.process import Diffusion
from bumplab.worlds.parity import ParityWorld, decode_bits, find_copies

DIFFUSION = Diffusion(schedule="cosine", prediction_type="x0")
#: Facts of the paper's page, rounded: where the advantage peaks, and how high.
PEAKS = {2: (1.0, 0.219), 3: (0.8, 0.124), 4: (0.7, 0.086), 6: (0.6, 0.054)}


def enumerated_mean(y, sigma, strings):
    """Return the posterior mean by Bayes' rule, string by string, in the longest floats that there are."""
    y, strings = y.astype(np.longdouble), strings.astype(np.longdouble)
    log = -((y[:, None] - strings) ** 2).sum(2) / (2 * np.longdouble(sigma) ** 2)
    weight = np.exp(log - log.max(1, keepdims=True))
    return ((weight / weight.sum(1, keepdims=True)) @ strings).astype(float)


def noisy(strings, sigma, n=40, seed=0):
    rng = np.random.default_rng(seed)
    return strings[rng.integers(len(strings), size=n)] + sigma * rng.normal(size=(n, strings.shape[1]))


@pytest.mark.parametrize("sigma", [0.002, 0.05, 0.3, 0.7, 1.0, 3.0, 80.0])
@pytest.mark.parametrize("bits, group", [(8, 2), (9, 3), (8, 4), (12, 6), (12, 12), (9, 0)])
def test_means_are_those_of_a_sum_over_all_strings(bits, group, sigma):
    world = ParityWorld(bits=bits, group=group)
    valid, training = world.all_valid().numpy(), world.draw_strings(10)
    y = np.concatenate([noisy(valid, sigma), noisy(2.0 * valid, sigma)])  # also where no valid string is near
    evidence = torch.from_numpy(y / sigma**2)
    np.testing.assert_allclose(parity_mean(evidence, group), enumerated_mean(y, sigma, valid), atol=1e-9)
    copies = memorised_mean(evidence, training)
    np.testing.assert_allclose(copies, enumerated_mean(y, sigma, training.numpy()), atol=1e-9)
    every = np.array(list(itertools.product([-1.0, 1.0], repeat=bits)))
    np.testing.assert_allclose(independent_mean(evidence), enumerated_mean(y, sigma, every), atol=1e-9)


def test_a_string_of_odd_parity_loses_its_weakest_bit_at_any_noise():
    y = np.array([[1.0, -0.9, 0.8, 0.3], [-1.0, -1.0, -1.0, 0.0]])
    for sigma in (1e-4, 1e-2, 0.2):
        mean = parity_mean(torch.from_numpy(y / sigma**2), 4)
        assert mean.sign().tolist() == [[1, -1, 1, -1], [-1, -1, -1, -1]]


@pytest.mark.parametrize("group", [2, 4, 36])
def test_a_clean_string_is_its_own_mean_and_pure_noise_says_nothing(group):
    strings = ParityWorld(bits=36, group=group).draw_strings(20)
    for mean in (lambda h: parity_mean(h, group), independent_mean, lambda h: memorised_mean(h, strings)):
        images = strings.reshape(20, 1, 6, 6)
        torch.testing.assert_close(bit_theory(mean)(images, 1e-3), images)
    nothing = bit_evidence(DIFFUSION, torch.randn(20, 1, 6, 6), torch.full((20,), 999.0))
    assert parity_mean(nothing, group).abs().max() < 0.01


def test_evidence_is_noisy_string_over_variance():
    t = timestep_at(DIFFUSION, 0.7)
    signal, noise = DIFFUSION.signal_and_noise_scale(t)
    assert (noise / signal).item() == pytest.approx(0.7, rel=1e-5)
    y = torch.linspace(-2, 2, 16).reshape(1, 1, 4, 4)
    torch.testing.assert_close(bit_evidence(DIFFUSION, signal * y, t).float(), y.flatten(1) / 0.49, rtol=1e-5, atol=0)
    torch.testing.assert_close(bit_theory(lambda h: h)(y, 0.7), y / 0.49)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_the_advantage_of_pairs_is_that_of_a_quadrature(sigma):
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    first, second = np.meshgrid((1 + sigma * nodes) / sigma**2, (1 + sigma * nodes) / sigma**2)
    gain = (np.tanh(first + second) - 1) ** 2  # equal bits: their evidence adds up
    advantage = ((np.tanh(first) - 1) ** 2 - gain) @ weights @ weights
    assert parity_advantage(2, sigma) == pytest.approx(advantage, abs=2e-4)


@pytest.mark.parametrize("group", [3, 6])
def test_the_advantage_is_that_of_monte_carlo(group):
    rng = np.random.default_rng(1)
    strings = ParityWorld(bits=6, group=group).all_valid().numpy()
    clean = strings[rng.integers(len(strings), size=100_000)]
    evidence = torch.from_numpy((clean + 0.7 * rng.normal(size=clean.shape)) / 0.49)
    errors = [(mean.numpy() - clean) ** 2 for mean in (independent_mean(evidence), parity_mean(evidence, group))]
    assert parity_advantage(group, 0.7) == pytest.approx((errors[0] - errors[1]).mean(), abs=2e-3)


def test_the_advantage_peaks_where_the_paper_s_page_says():
    for group, (place, height) in PEAKS.items():
        sigmas = np.arange(0.3, 1.5, 0.05)
        values = [parity_advantage(group, sigma, 12) for sigma in sigmas]
        assert sigmas[np.argmax(values)] == pytest.approx(place, abs=0.1)
        assert max(values) == pytest.approx(height, abs=2e-3)


@pytest.mark.parametrize("group, n", [(2, 64), (4, 512), (8, 2048)])
def test_the_sampler_draws_by_the_rule_as_often_copies_as_chance_does(group, n):
    world = ParityWorld(bits=16, group=group)
    training = world.draw_strings(n)
    x = sample(lambda evidence: parity_mean(evidence, group), 1500)
    bits = decode_bits(x, 0.1)
    assert world.is_valid(bits).all() and torch.equal(bits, decode_bits(x))
    assert find_copies(bits, training).float().mean() == pytest.approx(n / world.num_valid, abs=0.05)


def test_the_sampler_draws_copies_of_what_is_memorised():
    training = ParityWorld(bits=16, group=4).draw_strings(32)
    bits = decode_bits(sample(lambda evidence: memorised_mean(evidence, training), 500), 0.1)
    assert find_copies(bits, training).all() and len(bits.unique(dim=0)) == 32


def test_independent_bits_are_valid_by_chance():
    bits = decode_bits(sample(independent_mean, 4000))
    for group in (4, 8, 16):
        world = ParityWorld(bits=16, group=group)
        assert world.is_valid(bits).float().mean() == pytest.approx(world.chance, abs=0.03)


def sample(mean, n):
    """Return what the book's sampler makes of a posterior mean, (n, 16)."""
    generator = torch.Generator().manual_seed(0)
    denoiser = as_network(bit_theory(mean), DIFFUSION)
    return DIFFUSION.sample(denoiser, torch.zeros(n, 2), size=4, steps=20, generator=generator).flatten(1)
