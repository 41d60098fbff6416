"""Laws of linear denoisers against quadrature, an integrated sampler, and descent by torch's own gradients."""

import numpy as np
import pytest
import torch
from scipy import integrate

from bumplab.common.errors import BumplabError
from bumplab.diffusion.linear import EDM_RANGE, check_noise, generated_variances, optimal_weights, quadrature
from bumplab.diffusion.linear_convolution import PatchConvolution
from bumplab.diffusion.linear_descent import affine_flow, descend
from bumplab.diffusion.linear_laws import EqualRates, OneLayer, TwoLayers
from bumplab.diffusion.linear_wrappers import Preconditioned, VariancePreserving

LAWS = [
    OneLayer(), OneLayer(start=0.1), OneLayer(start=0.5, gain=32), OneLayer(start=1.0), TwoLayers(start=0.1),
    TwoLayers(start=0.9), Preconditioned(), Preconditioned(start=0.3, sigma_data=2.0), EqualRates(start=0.4),
    VariancePreserving(prediction_type="eps"), VariancePreserving(prediction_type="v", start=0.3),
]  # fmt: skip
VARIANCES = [0.0, 1e-6, 1e-3, 0.5, 30.0]
TIMES = [0.0, 1e-6, 1e-3, 0.3, 40.0, 1e6, np.inf]

every_law = pytest.mark.parametrize("law", LAWS, ids=str)


def random_covariance(d, seed=0):
    root = torch.randn(d, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return root @ root.T / d


def descent(parameters, loss, rate, steps):
    """Follow torch's gradient; plain descent, nothing else."""
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(*parameters), parameters)
        parameters = [(p - rate * g).detach().requires_grad_() for p, g in zip(parameters, gradients, strict=True)]
    return [p.detach() for p in parameters]


def denoising_loss(weights, covariance, sigma):
    """Return E|W (x0 + sigma z) - x0|^2 for data without mean, by its definition."""
    off = weights - torch.eye(len(weights), dtype=torch.float64)
    return torch.trace(off @ covariance @ off.T) + sigma**2 * (weights**2).sum()


# ---------------------------------------------------------------- what weights generate


@every_law
def test_generated_variance_is_the_integral_over_the_weights(law):
    logs = np.linspace(*np.log(EDM_RANGE), 20_001)
    left = 1 - law.weights(VARIANCES, np.exp(logs), TIMES)
    expected = np.log(80**2) - 2 * integrate.simpson(left, x=logs)
    np.testing.assert_allclose(np.log(law.variances(VARIANCES, TIMES)), expected, atol=1e-7, rtol=0)


@every_law
def test_sixty_four_noise_levels_are_enough(law):
    sigmas, _ = quadrature()
    by_nodes = generated_variances(law.weights(VARIANCES, sigmas, TIMES))
    np.testing.assert_allclose(by_nodes, law.variances(VARIANCES, TIMES), rtol=1e-6)


def test_an_integrated_sampler_generates_this_variance():
    law, time, variance = OneLayer(start=0.2), 0.05, 0.7

    def slope(sigma, x):
        return (1 - law.weights([variance], [sigma], [time]).ravel()) * x / sigma

    path = integrate.solve_ivp(slope, (80.0, 0.002), [80.0], rtol=1e-9, atol=1e-12, method="LSODA")
    assert path.y[0, -1] ** 2 == pytest.approx(law.variances([variance], [time]).item(), rel=1e-5)


@every_law
def test_training_ends_at_the_best_weights(law):
    sigmas = [0.01, 1.0, 50.0]
    ends = law.weights(VARIANCES, sigmas, [1e12, np.inf])
    np.testing.assert_allclose(ends[1], optimal_weights(VARIANCES, sigmas), atol=1e-15)
    np.testing.assert_allclose(ends[0][1:], ends[1][1:], atol=1e-9)  # without variance two layers need ever longer


def test_two_layers_pass_the_harmonic_mean_at_one_time_whatever_the_noise():
    for variance in (1e-3, 1.0, 7.0):
        sigmas = [0.01, 0.3, 5.0]
        best = optimal_weights([variance], sigmas)
        weights = TwoLayers(start=0.15).weights([variance], sigmas, [np.log(2) / 8 / variance])[0]
        np.testing.assert_allclose(weights, 2 / (1 / 0.15 + 1 / best), rtol=1e-12)


# ---------------------------------------------------------------- against descent


@pytest.mark.parametrize("sigma", [0.1, 2.0])
@pytest.mark.parametrize(
    "law", [OneLayer(), OneLayer(start=0.4), TwoLayers(start=0.2), Preconditioned(start=0.3)], ids=str
)
def test_descent_is_that_of_torch(law, sigma):
    covariance, rate, steps = random_covariance(5), 0.01, 40
    d, values, modes = 5, *torch.linalg.eigh(covariance)
    eye = torch.eye(d, dtype=torch.float64)
    if isinstance(law, TwoLayers):
        (root,) = descent(
            [(eye * law.start**0.5).requires_grad_()], lambda p: denoising_loss(p @ p.T, covariance, sigma), rate, steps
        )
        weights = root @ root.T
    elif isinstance(law, Preconditioned):
        scale = sigma**2 + law.sigma_data**2
        skip, out, into = law.sigma_data**2 / scale, sigma * law.sigma_data / scale**0.5, scale**-0.5

        def loss(w):
            return denoising_loss(skip * eye + out * into * w, covariance, sigma) / out**2

        (inside,) = descent([(eye * law.start).requires_grad_()], loss, rate, steps)
        weights = skip * eye + out * into * inside
    else:
        (weights,) = descent(
            [(eye * law.start).requires_grad_()], lambda w: denoising_loss(w, covariance, sigma), rate, steps
        )
    ours = descend(law, values.numpy(), [sigma], rate, [0, steps])
    np.testing.assert_allclose(torch.diag(modes.T @ weights @ modes), ours[1, :, 0], rtol=1e-9)
    np.testing.assert_allclose(weights, modes @ torch.diag(torch.tensor(ours[1, :, 0])) @ modes.T, atol=1e-12)
    np.testing.assert_allclose(ours[0], law.weights(values.numpy(), [sigma], [0.0])[0])


@pytest.mark.parametrize("prediction_type", ["eps", "v", "x0"])
@pytest.mark.parametrize("sigma", [0.3, 4.0])
def test_what_is_predicted_changes_the_start_but_not_the_rate(prediction_type, sigma):
    """The loss of the book's process, in closed form, by torch's gradient."""
    covariance, rate, steps, eye = random_covariance(5), 0.01, 40, torch.eye(5, dtype=torch.float64)
    values, modes = torch.linalg.eigh(covariance)
    signal, noise = (1 + sigma**2) ** -0.5, sigma * (1 + sigma**2) ** -0.5

    def loss(w):
        """E|W x_t - target|^2 for x_t = signal x0 + noise eps and a target a x0 + b eps."""
        a, b = {"eps": (0.0, 1.0), "v": (-noise, signal), "x0": (1.0, 0.0)}[prediction_type]
        of_x0, of_eps = signal * w - a * eye, noise * w - b * eye
        return torch.trace(of_x0 @ covariance @ of_x0.T) + (of_eps**2).sum()

    law = VariancePreserving(prediction_type=prediction_type, start=0.2)
    (inside,) = descent([(0.2 * eye).requires_grad_()], loss, rate, steps)
    denoiser = {
        "eps": eye - sigma * signal * inside,
        "v": signal**2 * eye - noise * signal * inside,
        "x0": signal * inside,
    }[prediction_type]
    theirs = torch.diag(modes.T @ denoiser @ modes)
    np.testing.assert_allclose(descend(law, values.numpy(), [sigma], rate, [steps])[0, :, 0], theirs, rtol=1e-9)
    np.testing.assert_allclose(law.weights(values.numpy(), [sigma], [rate * steps])[0, :, 0], theirs, atol=0.02)


@every_law
def test_small_steps_of_descent_are_gradient_flow(law):
    sigmas, time = [0.05, 1.0], 0.02
    flow = law.weights(VARIANCES, sigmas, [time])
    errors = [np.abs(descend(law, VARIANCES, sigmas, time / n, [n]) - flow).max() for n in (500, 5000)]
    assert errors[0] < 2e-2
    assert errors[1] < errors[0] / 9 or errors[0] < 1e-12  # of first order


def test_each_noise_level_may_have_its_own_rate():
    sigmas = np.array([0.1, 80.0])
    rates = 0.5 / (1 + sigmas**2)
    weights = descend(OneLayer(), [1.0], sigmas, rates, [10_000])
    np.testing.assert_allclose(weights[0], optimal_weights([1.0], sigmas), rtol=1e-9)


@pytest.mark.parametrize("law", [OneLayer(), TwoLayers(start=0.5)], ids=str)
def test_a_rate_that_diverges_is_refused_with_its_limit(law):
    with pytest.raises(BumplabError, match=r"diverges.*below"):
        descend(law, [1.0], [80.0], 1e-3, [1])
    descend(law, [1.0], [1.0], 1e-3, [1])


def test_at_a_noise_of_80_descent_needs_the_rate_of_the_page():
    with pytest.raises(BumplabError, match=r"below 0.00016,"):
        descend(OneLayer(), [1.0], [80.0], 2e-4, [1])


# ---------------------------------------------------------------- convolutions


def even_spectrum(shape, seed=0):
    rough = np.random.default_rng(seed).exponential(size=shape)
    return rough + np.roll(np.flip(rough), 1, axis=tuple(range(len(shape))))


@pytest.mark.parametrize("shape, taps", [((8,), 3), ((8,), 7), ((8,), 8), ((5, 5), 3), ((4, 4), 4)])
def test_convolutions_learn_as_those_of_torch(shape, taps):
    """The filter of a circular convolution, all pixels in one loss, by torch's gradient."""
    spectrum, sigma, rate, steps, start = even_spectrum(shape), 0.7, 1e-3, 60, 0.2
    axes, positions = len(shape), int(np.prod(shape))
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, axes)
    offsets = np.stack(np.meshgrid(*[np.arange(taps) - taps // 2] * axes, indexing="ij"), -1).reshape(-1, axes)
    covariance = np.fft.ifftn(spectrum).real
    lags = (places[:, None] - places) % np.array(shape)
    covariance = torch.tensor(covariance[tuple(np.moveaxis(lags, -1, 0))])
    flat = np.ravel_multi_index(tuple(np.moveaxis((places[:, None] + offsets) % np.array(shape), -1, 0)), shape)

    def matrix(taps_of_filter):
        rows = torch.zeros(positions, positions, dtype=torch.float64)
        return rows.scatter(1, torch.tensor(flat), taps_of_filter.expand(positions, -1))

    first = torch.tensor(np.where((offsets == 0).all(1), start, 0.0)).requires_grad_()
    (learned,) = descent([first], lambda taps: denoising_loss(matrix(taps), covariance, sigma), rate, steps)
    theirs = np.fft.fftn(matrix(learned).numpy()[:, 0].reshape(shape)).real.ravel()

    convolution = PatchConvolution(spectrum, taps, start)
    ours = convolution.shares @ descend(convolution.law, convolution.patch_variances, [sigma], rate, [steps])[0, :, 0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    flow = convolution.weights([sigma], [rate * steps])[0, :, 0]
    np.testing.assert_allclose(flow, theirs, atol=0.02)


@pytest.mark.parametrize("shape, taps", [((16,), 5), ((6, 6), 3)])
def test_the_closed_form_of_local_convolutions_is_the_integral_over_their_weights(shape, taps):
    convolution, times = PatchConvolution(even_spectrum(shape), taps, start=0.1), [0.0, 1e-4, 1e-2, 1.0, np.inf]
    sigmas, _ = quadrature(nodes=128)
    theirs = generated_variances(convolution.weights(sigmas, times))
    np.testing.assert_allclose(convolution.variances(times), theirs, rtol=1e-9)


@pytest.mark.parametrize("shape", [(9,), (8,), (4, 4)])
def test_a_convolution_as_wide_as_the_image_is_one_layer_n_times_as_fast(shape):
    spectrum, times = even_spectrum(shape), [0.0, 1e-3, 1e-1, np.inf]
    full = OneLayer(start=0.1, gain=spectrum.size).variances(spectrum.ravel(), times)
    np.testing.assert_allclose(PatchConvolution(spectrum, shape[0], 0.1).variances(times), full, rtol=1e-7)


# ---------------------------------------------------------------- means


def test_a_mean_couples_bias_and_weights_as_in_descent():
    covariance, sigma = random_covariance(4, seed=1), 0.6
    mean = torch.tensor([1.0, -0.5, 0.0, 2.0], dtype=torch.float64)
    second = covariance + torch.outer(mean, mean)

    def loss(w, b):
        """E|W (x0 + sigma z) + b - x0|^2, with x0 of mean and covariance."""
        off = w - torch.eye(4, dtype=torch.float64)
        return torch.trace(off @ second @ off.T) + 2 * b @ off @ mean + b @ b + sigma**2 * (w**2).sum()

    start = [
        (0.3 * torch.eye(4, dtype=torch.float64)).requires_grad_(),
        torch.zeros(4, dtype=torch.float64).requires_grad_(),
    ]
    learned = descent(start, loss, 1e-4, 1000)
    weights, biases = affine_flow(covariance.numpy(), mean.numpy(), sigma, [0.0, 0.1, 1e6], start=0.3)
    np.testing.assert_allclose(weights[1], learned[0], atol=1e-3)
    np.testing.assert_allclose(biases[1], learned[1], atol=1e-3)
    best = covariance.numpy() @ np.linalg.inv(covariance.numpy() + sigma**2 * np.eye(4))
    np.testing.assert_allclose(weights[2], best, atol=1e-9)
    np.testing.assert_allclose(biases[2], mean.numpy() - best @ mean.numpy(), atol=1e-9)


def test_a_mean_along_one_mode_leaves_the_others_alone_and_one_along_two_mixes_them():
    variances, times = np.array([2.0, 0.5, 0.1]), [0.05, 0.3, 2.0]
    weights, biases = affine_flow(np.diag(variances), [1.5, 0.0, 0.0], 0.4, times)
    alone = OneLayer().weights(variances, [0.4], times)[..., 0]
    np.testing.assert_allclose(weights[:, [1, 2], [1, 2]], alone[:, 1:], atol=1e-12)
    assert np.abs(weights[:, 0, 0] - alone[:, 0]).max() > 0.1
    assert np.abs(biases[:, 1:]).max() < 1e-12
    assert np.abs(weights[:, ~np.eye(3, dtype=bool)]).max() < 1e-12
    mixed, _ = affine_flow(np.diag(variances), [1.5, 1.0, 0.0], 0.4, times)
    assert np.abs(mixed[1, 0, 1]) > 0.05


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: TwoLayers(start=0), "never learn"),
        (lambda: TwoLayers(), "never learn"),
        (lambda: OneLayer(start=-0.1), "start"),
        (lambda: OneLayer().variances([-1.0], [1.0]), "0 or more"),
        (lambda: OneLayer().variances([1.0], [-1.0]), "0 or more"),
        (lambda: OneLayer().variances([1.0], [1.0], noise=(2.0, 1.0)), "Noise levels"),
        (lambda: check_noise((0.0, 1.0)), "Noise levels"),
        (lambda: PatchConvolution([1.0, 0.5, 0.2, 0.5], 2), "odd number of taps"),
        (lambda: PatchConvolution([1.0, 0.5, 0.2, 0.9], 3), "even"),
        (lambda: PatchConvolution([[1.0, 0.5]], 1), "shape"),
        (lambda: PatchConvolution([1.0, -0.5, -0.5], 1), "0 or more"),
        (lambda: descend(OneLayer(), [1.0], [1.0], 0.1, [-1]), "Steps"),
        (lambda: descend(OneLayer(), [1.0], [1.0], -0.1, [1]), "above 0"),
        (lambda: affine_flow(np.eye(2), [0.0], 1.0, [1.0]), "mean of 1"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(action, says):
    with pytest.raises(BumplabError, match=says):
        action()
