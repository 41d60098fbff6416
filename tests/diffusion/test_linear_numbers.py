"""Exponents of emergence in exact theory: each is what it is for one threshold, one start and one preconditioning."""

import numpy as np
import pytest

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic_spectra import fourier_variances
from bumplab.diffusion.linear_convolution import PatchConvolution
from bumplab.diffusion.linear_emergence import Emergence, emergence_of_curves, emergence_of_law, halfway
from bumplab.diffusion.linear_laws import EqualRates, OneLayer, TwoLayers
from bumplab.diffusion.linear_wrappers import Preconditioned, VariancePreserving
from bumplab.worlds.bumps import BumpWorld

#: Five decades of variance.
LADDER = np.geomspace(10, 1e-4, 26)


def alpha(law, variances, threshold, direction="rising"):
    times = np.geomspace(1e-9, 1e12, 800)
    emergence = emergence_of_law(lambda times: law.variances(variances, times), threshold, times)
    return round(emergence.power_law(variances, direction).exponent, 2)


@pytest.mark.parametrize(
    "start, threshold, direction, exponent",
    [
        (0.0, "geometric", "rising", 0.97),
        (0.1, "geometric", "rising", 1.04),
        (0.5, "geometric", "rising", 1.22),
        (0.5, "geometric", "falling", 1.01),
        (1.0, "geometric", "falling", 0.50),
        (0.0, "harmonic", "rising", 1.10),
        (0.1, "harmonic", "rising", 1.21),
        (0.5, "harmonic", "rising", 1.37),
        (0.5, "harmonic", "falling", 1.93),
        (1.0, "harmonic", "falling", 1.00),
    ],
)
def test_the_exponent_depends_on_the_start_and_on_what_halfway_is(start, threshold, direction, exponent):
    assert alpha(OneLayer(start=start), LADDER, threshold, direction) == pytest.approx(exponent, abs=0.005)


def lognormal(d):
    variances = np.exp(np.random.default_rng(0).standard_normal(d))
    return variances / variances.mean()


@pytest.mark.parametrize(
    "variances, rising, falling",
    [
        (lognormal(512), 0.54, 0.46),  # the paper's Gaussian data; its network gave 1.05 and 1.13
        (300 * np.geomspace(1, 3072, 300) ** -1.58, 0.54, 0.46),  # as wide as FFHQ, whose network gave 0.48 and 0.35
        (LADDER, 0.54, 0.47),
    ],
)
def test_preconditioning_alone_halves_the_exponent(variances, rising, falling):
    law = Preconditioned(sigma_data=0.5)
    assert alpha(law, variances, "geometric") == pytest.approx(rising, abs=0.006)
    assert alpha(law, variances, "geometric", "falling") == pytest.approx(falling, abs=0.006)
    assert alpha(law, variances, "harmonic") > 0.9
    assert alpha(law, variances, "harmonic", "falling") > 0.8


@pytest.mark.parametrize(
    "prediction_type, direction, geometric, harmonic",
    [("x0", "rising", 0.85, 1.10), ("v", "falling", 0.39, 0.79), ("eps", "falling", 0.10, 0.78)],
)
def test_on_bumps_the_exponent_depends_on_what_is_predicted(prediction_type, direction, geometric, harmonic):
    variances = fourier_variances(BumpWorld(periodic=True)).flatten().numpy()
    variances = variances[variances > 1e-5]
    law, times = VariancePreserving(prediction_type=prediction_type), np.geomspace(1e-3, 1e9, 500)
    for threshold, exponent in (("geometric", geometric), ("harmonic", harmonic)):
        emergence = emergence_of_law(lambda t: law.variances(variances, t, (0.01, 157.4)), threshold, times)
        assert emergence.power_law(variances, direction).exponent == pytest.approx(exponent, abs=0.006)


def test_with_equal_rates_the_harmonic_mean_alone_makes_a_law():
    law = EqualRates(start=0.5)
    for direction, exponent in (("rising", 0.32), ("falling", 0.13)):
        assert alpha(law, LADDER, "geometric", direction) == 0
        assert alpha(law, LADDER, "harmonic", direction) == pytest.approx(exponent, abs=0.005)


def test_equal_variances_admit_no_law():
    white = np.full(8, 0.3)
    with pytest.raises(BumplabError, match="two or more different x"):
        alpha(OneLayer(start=0.1), white, "geometric")


@pytest.mark.parametrize(
    "start, variance", [(0.0, 4e-6), (0.1, 3.3e-5), (0.5, 0.16)], ids=["from 0", "from 0.1", "from 0.5"]
)
def test_the_variance_before_training(start, variance):
    laws = [OneLayer(start=start), EqualRates(start=start)]
    if start > 0:
        laws.append(TwoLayers(start=start))
    for law in laws:
        np.testing.assert_allclose(law.variances(LADDER, [0.0]), variance, rtol=0.02)
    np.testing.assert_allclose(Preconditioned().variances(LADDER, [0.0]), 0.25, rtol=1e-4)


def stripes(size=32, sigma=1.5):
    """Return the spectrum of periodic bumps on a line in the book's scaling, by transforming all of them."""
    places = np.arange(size)
    offset = (places[:, None] - places + size / 2) % size - size / 2
    images = 2 * np.exp(-(offset**2) / (2 * sigma**2)) - 1
    centred = np.fft.fft(images - images.mean(0))
    return (np.abs(centred) ** 2).mean(0) / size


@pytest.mark.parametrize("taps, exponent", [(3, 0.33), (5, 0.62), (9, 0.84), (17, 0.98), (31, 1.02)])
def test_locality_bends_the_law_of_the_data_more_than_that_of_the_network(taps, exponent):
    spectrum = stripes()
    emergence = emergence_of_law(PatchConvolution(spectrum, taps, start=0.1).variances)
    modes = slice(1, 17)  # each frequency once
    half = Emergence(emergence.times[modes], emergence.first[modes], emergence.last[modes])
    assert half.power_law(spectrum[modes]).exponent == pytest.approx(exponent, abs=0.006)
    assert 0.9 < half.power_law(half.last).exponent < 1.05  # against what it ends with


def test_three_taps_end_with_detail_400_times_too_strong():
    spectrum = stripes()
    end = PatchConvolution(spectrum, 3, start=0.1).variances([np.inf])[0]
    assert end[12] / spectrum[12] == pytest.approx(419, abs=1)


# ---------------------------------------------------------------- reading emergence


def test_curves_of_a_network_are_read_as_those_of_a_theory():
    law, times = OneLayer(start=0.1), np.geomspace(1e-4, 1e7, 300)
    curves = law.variances(LADDER, np.concatenate([[0.0], times]))
    for threshold in ("geometric", "harmonic", "arithmetic"):
        theory = emergence_of_law(lambda t: law.variances(LADDER, t), threshold)
        read = emergence_of_curves(
            np.concatenate([[0.0], times]), curves, law.variances(LADDER, [np.inf])[0], threshold
        )
        np.testing.assert_allclose(read.times, theory.times, rtol=5e-3)


def test_emergence_is_the_root_of_the_curve():
    law = OneLayer()
    emergence = emergence_of_law(lambda t: law.variances(LADDER, t))
    at = [law.variances([variance], [time]).item() for variance, time in zip(LADDER, emergence.times, strict=True)]
    np.testing.assert_allclose(at, halfway(emergence.first, emergence.last), rtol=1e-3)


def test_what_never_gets_halfway_has_no_time_and_shuffled_modes_no_law():
    curves = np.array([[1.0, 1.0, 4.0], [1.1, 2.5, 1.0], [1.2, 3.9, 0.5]])
    emergence = emergence_of_curves([0.0, 1.0, 2.0], curves, last=[4.0, 4.0, 0.5])
    assert np.isinf(emergence.times[0])
    assert emergence.branch().tolist() == [False, True, False]
    assert emergence.branch("falling").tolist() == [False, False, True]
    with pytest.raises(BumplabError, match="Only 1 of 3 modes are rising"):
        emergence.power_law([1.0, 1.0, 1.0])
    times = emergence_of_law(lambda t: OneLayer().variances(LADDER, t))
    exponents = [times.power_law(np.random.default_rng(seed).permutation(LADDER)).exponent for seed in range(200)]
    assert abs(np.mean(exponents)) < 0.05


def test_the_bootstrap_covers_the_truth_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    variances = np.exp(rng.uniform(-5, 5, 60))
    for seed in range(200):
        times = variances**-0.7 * np.exp(rng.normal(0, 0.5, 60))
        low, high = Emergence(times, variances * 1e-6, variances).bootstrap(variances, draws=300, seed=seed)
        hits += low < 0.7 < high
    assert 178 <= hits <= 199


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: halfway(1.0, 2.0, "median"), "geometric, harmonic or arithmetic"),
        (lambda: emergence_of_curves([0, 1], np.ones((3, 2))), "times, modes"),
        (lambda: emergence_of_curves([1, 0], np.ones((2, 2))), "rise"),
        (lambda: emergence_of_curves([0, 1], np.zeros((2, 2))), "above 0"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(action, says):
    with pytest.raises(BumplabError, match=says):
        action()
