"""Exact denoisers against brute force, gradients of densities, integrated equations, and each other."""

import numpy as np
import pytest
import torch
from scipy import integrate

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import as_network, as_theory, explained_variance, noise_level, timestep_at
from bumplab.diffusion.analytic_gaussian import GaussianDenoiser, MixtureDenoiser
from bumplab.diffusion.analytic_sets import LatticeDenoiser, MemorizedSet
from bumplab.diffusion.analytic_spectra import (
    fourier_mode,
    fourier_variances,
    gaussian_of_images,
    gaussian_of_world,
    mean_only,
    one_variance,
    rotate_modes,
)
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.regression import Regression
from bumplab.worlds.bumps import BumpWorld

PERIODIC = BumpWorld(size=8, periodic=True)
WORLDS = [
    PERIODIC,
    BumpWorld(size=8, sigma=(0.6, 1.7)),
    BumpWorld(size=8, kind="sos", sigma=(2.0, 0.8)),
    BumpWorld(size=8, kind="sos", periodic=True, spacing=(1, 2)),
    BumpWorld(size=9, spacing=(1.5, 0.7), margin=1.5),
]
SIGMAS = [0.15, 0.7, 3.0, 40.0]

every_world = pytest.mark.parametrize("world", WORLDS, ids=lambda world: f"{world.kind}-{world.spacing}")
every_sigma = pytest.mark.parametrize("sigma", SIGMAS)


def images_of(world, mu=None):
    return world.render(world.lattice() if mu is None else mu).double()


def noisy(images, sigma, seed=0):
    noise = torch.randn(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return images + sigma * noise


def small_gaussian(seed=0):
    """A Gaussian of 3 x 3 pixels with a mean, all modes, and one of them without variance."""
    generator = torch.Generator().manual_seed(seed)
    modes, _ = torch.linalg.qr(torch.randn(9, 9, dtype=torch.float64, generator=generator))
    variances = torch.tensor([3.0, 1.0, 0.5, 0.2, 0.1, 1e-2, 1e-3, 1e-6, 0.0], dtype=torch.float64)
    return GaussianDenoiser(torch.randn(1, 3, 3, dtype=torch.float64, generator=generator), variances, modes)


def covariance(gaussian):
    return gaussian.modes @ torch.diag(gaussian.variances) @ gaussian.modes.T


def score(log_density, x):
    """Return the gradient of a log density by torch."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_density(x).sum(), x)[0]


# ---------------------------------------------------------------- sets of images


@every_sigma
def test_a_set_is_denoised_by_bayes_rule(sigma):
    images = torch.randn(7, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = noisy(images, sigma)
    for image, mean, weights in zip(
        x, MemorizedSet(images)(x, sigma), MemorizedSet(images).weights(x, sigma), strict=True
    ):
        likelihood = torch.distributions.Normal(images, sigma).log_prob(image).sum((1, 2, 3)).exp()
        posterior = likelihood / likelihood.sum()
        torch.testing.assert_close(weights, posterior, atol=1e-12, rtol=1e-9)
        torch.testing.assert_close(mean, torch.einsum("m,mcij->cij", posterior, images), atol=1e-12, rtol=1e-9)


@every_world
@every_sigma
@pytest.mark.parametrize("seen", [False, True])
def test_a_lattice_is_the_memorised_set_of_its_images(world, sigma, seen):
    world = world.replace(held_out="box(1.2, 4.1, 0, 5)")
    shown = world.seen_mask() if seen else torch.ones(len(world.lattice()), dtype=torch.bool)
    lattice = LatticeDenoiser(world, seen=seen)
    columns, rows = (world.profile(world.lattice()[:, which].double(), which) for which in (0, 1))
    product = rows[:, :, None] * columns[:, None] if world.kind == "bump" else rows[:, :, None] + columns[:, None]
    images = (2 * product / world.peak - 1)[:, None]
    x = noisy(images[::3], sigma)
    memory = MemorizedSet(images[shown])
    torch.testing.assert_close(lattice(x, sigma), memory(x, sigma), atol=1e-9, rtol=1e-9)
    weights = lattice.weights(x, sigma)
    torch.testing.assert_close(weights[:, shown], memory.weights(x, sigma), atol=1e-9, rtol=1e-7)
    assert not weights[:, ~shown].any()


@every_sigma
def test_a_periodic_lattice_is_two_convolutions(sigma):
    """By Fourier transforms: correlate with one bump, take the softmax, and convolve with it."""
    bump = images_of(PERIODIC, torch.zeros(1, 2))[0, 0]
    x = noisy(images_of(PERIODIC), sigma)
    waves, wave = torch.fft.fft2(x[:, 0]), torch.fft.fft2(bump)
    fit = torch.fft.ifft2(waves * wave.conj()).real / sigma**2
    weights = fit.flatten(1).softmax(1).reshape(fit.shape)
    mean = torch.fft.ifft2(torch.fft.fft2(weights) * wave).real
    torch.testing.assert_close(LatticeDenoiser(PERIODIC)(x, sigma)[:, 0], mean, atol=1e-6, rtol=0)


@every_world
def test_at_high_noise_all_is_the_mean_and_at_low_noise_the_nearest_image(world):
    images, lattice = images_of(world), LatticeDenoiser(world)
    torch.testing.assert_close(lattice(images, 1e6), images.mean(0).expand_as(images), atol=1e-6, rtol=0)
    torch.testing.assert_close(lattice(noisy(images, 1e-3), 1e-3), images, atol=1e-6, rtol=0)


def test_each_image_may_have_a_noise_level_of_its_own_and_chunks_do_not_show():
    world = BumpWorld(size=32)
    lattice, x = LatticeDenoiser(world), noisy(images_of(world)[:600], 0.5).float()
    levels = torch.linspace(0.1, 5, 600)
    together = lattice(x, levels)
    for k in (0, 255, 256, 599):
        torch.testing.assert_close(together[k : k + 1], lattice(x[k : k + 1], levels[k].item()), atol=1e-5, rtol=0)
    assert together.dtype == torch.float32


@every_sigma
def test_denoisers_hold_the_score_of_the_noised_density(sigma):
    images = torch.randn(5, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    gaussian, other = small_gaussian(), small_gaussian(seed=5)
    x = noisy(images, sigma)

    def density_of_set(x):
        return torch.logsumexp(-((x[:, None] - images) ** 2).sum((2, 3, 4)) / (2 * sigma**2), 1)

    def density_of_gaussian(gaussian):
        noisy_covariance = covariance(gaussian) + sigma**2 * torch.eye(9, dtype=torch.float64)
        normal = torch.distributions.MultivariateNormal(gaussian.mean.flatten(), noisy_covariance)
        return lambda x: normal.log_prob(x.flatten(1))

    def density_of_mixture(x):
        logs = [density_of_gaussian(component)(x) + np.log(share) for component, share in ((gaussian, 1), (other, 3))]
        return torch.logsumexp(torch.stack(logs), 0)

    mixture = MixtureDenoiser([gaussian, other], torch.tensor([1.0, 3.0]))
    for theory, density in (
        (MemorizedSet(images), density_of_set),
        (gaussian, density_of_gaussian(gaussian)),
        (mixture, density_of_mixture),
    ):
        torch.testing.assert_close((theory(x, sigma) - x) / sigma**2, score(density, x), atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(gaussian.log_density(x, sigma), density_of_gaussian(gaussian)(x), rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- Gaussians


@every_sigma
def test_a_gaussian_is_denoised_by_regression(sigma):
    gaussian = small_gaussian()
    x = noisy(gaussian.mean.expand(6, 1, 3, 3), sigma + 1)
    shrink = covariance(gaussian) @ torch.linalg.inv(
        covariance(gaussian) + sigma**2 * torch.eye(9, dtype=torch.float64)
    )
    expected = gaussian.mean + ((x - gaussian.mean).flatten(1) @ shrink.T).reshape(x.shape)
    torch.testing.assert_close(gaussian(x, sigma), expected, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("world", WORLDS[:1] + [BumpWorld(size=8, kind="sos", periodic=True, sigma=1.3)])
@every_sigma
def test_modes_of_fourier_are_those_of_the_images(world, sigma):
    by_world, by_images = gaussian_of_world(world), gaussian_of_images(images_of(world))
    x = noisy(images_of(world), sigma)
    torch.testing.assert_close(by_world(x, sigma), by_images(x, sigma), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(by_world.flow(x, sigma), by_images.flow(x, sigma), atol=1e-3, rtol=0)  # roots of 1e-8
    torch.testing.assert_close(by_world.log_density(x, sigma), by_images.log_density(x, sigma), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(
        by_world.variances.flatten().sort(descending=True).values, by_images.variances, atol=1e-7, rtol=1e-6
    )


@pytest.mark.parametrize("sigma, end", [(2.0, 0.0), (80.0, 0.002), (1.0, 0.3), (0.5, 5.0)])
def test_the_flow_of_a_gaussian_solves_its_equation(sigma, end):
    gaussian = small_gaussian()
    x = noisy(gaussian.mean[None], sigma)
    last = max(end, 1e-4)

    def slope(level, state):
        state = torch.from_numpy(state).reshape(1, 1, 3, 3)
        return ((state - gaussian(state, level)) / level).numpy().ravel()

    path = integrate.solve_ivp(slope, (sigma, last), x.numpy().ravel(), rtol=1e-10, atol=1e-12, method="LSODA")
    np.testing.assert_allclose(
        gaussian.flow(x, sigma, end).numpy().ravel(), path.y[:, -1], atol=2e-4 if end == 0 else 1e-7
    )
    halfway = gaussian.flow(x, sigma, 0.9)
    torch.testing.assert_close(gaussian.flow(halfway, 0.9, end), gaussian.flow(x, sigma, end))


def test_few_modes_leave_the_rest_without_variance():
    images = images_of(PERIODIC)
    few, x = gaussian_of_images(images, modes=5), noisy(images, 0.8)
    outside = x - few.mean
    outside = outside - ((outside.flatten(1) @ few.modes) @ few.modes.T).reshape(x.shape)
    torch.testing.assert_close(few.flow(x, 0.8, 0.2) - few.flow(x - outside, 0.8, 0.2), outside * 0.2 / 0.8)
    torch.testing.assert_close(few(x, 0.8), few(x - outside, 0.8))
    whole = gaussian_of_images(images)
    torch.testing.assert_close(few.variances, whole.variances[:5])


def test_baselines_are_gaussians_that_know_less():
    gaussian = gaussian_of_world(PERIODIC)
    x = noisy(images_of(PERIODIC), 1.3)
    share = gaussian.variances.sum() / 64
    torch.testing.assert_close(
        one_variance(gaussian)(x, 1.3), gaussian.mean + share / (share + 1.3**2) * (x - gaussian.mean)
    )
    torch.testing.assert_close(mean_only(gaussian)(x, 1.3), gaussian.mean.expand_as(x))
    torch.testing.assert_close(mean_only(gaussian).flow(x, 1.3, 0.1), gaussian.mean + (x - gaussian.mean) * 0.1 / 1.3)
    wrong = rotate_modes(gaussian)
    torch.testing.assert_close(wrong.modes.T @ wrong.modes, torch.eye(64, dtype=torch.float64))
    errors = [
        ((theory(x, 1.3) - images_of(PERIODIC)) ** 2).mean() for theory in (gaussian, one_variance(gaussian), wrong)
    ]
    assert errors[0] < errors[1] < errors[2]


@every_sigma
def test_mixtures_between_a_gaussian_and_a_memory(sigma):
    images = torch.randn(6, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x, gaussian = noisy(images, sigma), small_gaussian()
    points = MixtureDenoiser([GaussianDenoiser(image, torch.tensor(0.0)) for image in images])
    torch.testing.assert_close(points(x, sigma), MemorizedSet(images)(x, sigma), atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(MixtureDenoiser([gaussian])(x, sigma), gaussian(x, sigma))
    torch.testing.assert_close(MixtureDenoiser([gaussian] * 3)(x, sigma), gaussian(x, sigma))


# ---------------------------------------------------------------- in the place of a network


def test_timesteps_and_noise_levels_are_inverse():
    for diffusion in (Diffusion(), Diffusion(schedule="cosine", timesteps=100)):
        t = torch.linspace(0, diffusion.timesteps - 1, 57)
        torch.testing.assert_close(timestep_at(diffusion, noise_level(diffusion, t)), t, atol=2e-3, rtol=1e-4)
    assert noise_level(Diffusion(), 999).item() == pytest.approx(157, abs=1)


@pytest.mark.parametrize("prediction_type", ["eps", "v", "x0"])
def test_a_theory_is_a_network_of_any_kind(prediction_type):
    diffusion, lattice = Diffusion(prediction_type=prediction_type), LatticeDenoiser(PERIODIC)
    noise = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images = diffusion.sample(as_network(lattice, diffusion), torch.zeros(16, 2), 8, steps=60, noise=noise)
    likeliest = PERIODIC.render(PERIODIC.lattice()[lattice.weights(images, 0.2).argmax(1)])
    torch.testing.assert_close(images, likeliest, atol=2e-3, rtol=0)
    x = noisy(images_of(PERIODIC), 0.9).float()
    read = as_theory(as_network(lattice, diffusion), diffusion, torch.zeros(2))
    torch.testing.assert_close(read(x, 0.9), lattice(x, 0.9), atol=2e-4, rtol=0)


def test_a_network_is_read_at_the_noise_it_is_shown():
    seen = {}

    def network(x, t, mu):
        seen.update(x=x, t=t, mu=mu)
        return x

    x = torch.full((3, 1, 2, 2), 2.0)
    as_theory(network, Diffusion(prediction_type="x0"), torch.tensor([4.0, 5.0]))(x, 1.0)
    torch.testing.assert_close(seen["x"], x / 2**0.5, atol=1e-3, rtol=0)
    assert seen["mu"].tolist() == [[4.0, 5.0]] * 3
    torch.testing.assert_close(noise_level(Diffusion(), seen["t"]), torch.ones(3), atol=1e-3, rtol=0)


def test_explained_variance_is_one_less_the_share_of_the_error():
    reference = torch.tensor([1.0, -2.0, 4.0])
    assert explained_variance(reference, reference).item() == 1
    assert explained_variance(reference, torch.zeros(3)).item() == 0
    assert explained_variance(reference, torch.ones(3), about=1.0).item() == 0


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: LatticeDenoiser(BumpWorld(kind="bump+stripes", margin=6)), "form no lattice.*MemorizedSet"),
        (lambda: fourier_variances(BumpWorld()), "form a lattice with modes of Fourier"),
        (lambda: gaussian_of_world(BumpWorld(periodic=True, spacing=2)), "form a lattice with modes of Fourier"),
        (lambda: fourier_variances(PERIODIC.replace(fraction=0.5)), "form a lattice with modes of Fourier"),
        (lambda: gaussian_of_images(torch.zeros(10, 1, 4, 4)), "10 images say nothing of modes 10 to 16 of 16"),
        (lambda: gaussian_of_images(torch.zeros(10, 1, 4, 4), modes=10), "give modes=9 or fewer"),
        (lambda: gaussian_of_images(torch.zeros(10, 1, 2, 2), modes=5), "1 to 4 modes"),
        (lambda: gaussian_of_images(torch.zeros(1, 1, 2, 2)), "two finite images"),
        (lambda: MemorizedSet(torch.zeros(0, 1, 4, 4)), "finite images"),
        (lambda: MemorizedSet(torch.full((1, 1, 4, 4), torch.nan)), "finite images"),
        (lambda: MemorizedSet(torch.zeros(3, 1, 4, 4))(torch.zeros(1, 1, 8, 8), 1.0), "no noisy ones"),
        (lambda: MemorizedSet(torch.zeros(3, 1, 4, 4))(torch.zeros(1, 1, 4, 4), 0.0), "above 0"),
        (lambda: MemorizedSet(torch.zeros(3, 1, 4, 4))(torch.zeros(3, 1, 4, 4), torch.ones(2)), "one for each"),
        (lambda: GaussianDenoiser(torch.zeros(1, 4, 4), torch.ones(3)), "one variance"),
        (lambda: GaussianDenoiser(torch.zeros(1, 4, 4), torch.ones(3), torch.ones(16, 2)), "with modes"),
        (lambda: GaussianDenoiser(torch.zeros(1, 4, 4), torch.tensor(-1.0)), "0 or more"),
        (lambda: GaussianDenoiser(torch.zeros(1, 4, 4), torch.arange(16.0).reshape(4, 4)), "even"),
        (lambda: small_gaussian()(torch.zeros(1, 1, 4, 4), 1.0), "no noisy ones"),
        (lambda: small_gaussian().flow(torch.zeros(1, 1, 3, 3), 1.0, -1.0), "0 or more"),
        (lambda: MixtureDenoiser([]), "one component or more"),
        (lambda: MixtureDenoiser([small_gaussian()], torch.zeros(1)), "share above 0"),
        (lambda: timestep_at(Diffusion(), 200.0), "from sigma 0.01 to 157"),
        (lambda: timestep_at(Diffusion(), 0.001), "from sigma 0.01 to 157"),
        (lambda: as_network(small_gaussian(), Regression(kind="regression")), "no noise"),
        (lambda: fourier_mode(8, 4, 0, phase=np.pi / 2), "0 at every pixel"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(action, says):
    with pytest.raises(BumplabError, match=says):
        action()
