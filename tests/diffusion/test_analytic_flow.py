"""Starts between noise and image, by the book's one sampler; and what exact theory says of periodic bumps."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import as_network, explained_variance, noise_level
from bumplab.diffusion.analytic_flow import kick, kick_response, teleport
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import (
    fourier_mode,
    fourier_variances,
    gaussian_of_images,
    gaussian_of_world,
    mean_only,
    mixture_of_tiles,
    one_variance,
    rotate_modes,
)
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.regression import Regression
from bumplab.worlds.bumps import BumpWorld

SMALL = BumpWorld(size=8, periodic=True)
BUMPS = BumpWorld(periodic=True)
DIFFUSION = Diffusion(prediction_type="x0")


def pure_noise(n, size, seed=0):
    return torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(seed))


def sample(theory, noise, steps, **keywords):
    network, size = as_network(theory, DIFFUSION), noise.shape[-1]
    return DIFFUSION.sample(network, torch.zeros(len(noise), 2), size, steps, noise=noise, **keywords)


# ---------------------------------------------------------------- starts


@pytest.mark.parametrize("clip", [True, False])
def test_a_start_in_the_middle_goes_on_where_the_sampler_was(clip):
    lattice, noise = LatticeDenoiser(SMALL), pure_noise(4, 8)
    network, mu = as_network(lattice, DIFFUSION), torch.zeros(4, 2)
    states = [x for x, _ in DIFFUSION.sample_trajectory(network, mu, 8, 10, clip=clip, noise=noise)]
    grid = DIFFUSION.sampling_timesteps(10)
    rest = sample(lattice, states[3], 6, clip=clip, start=grid[4].item())
    torch.testing.assert_close(rest, states[-1], atol=1e-4, rtol=0)
    assert DIFFUSION.sampling_timesteps(6, start=grid[4].item()).tolist() == pytest.approx(grid[4:].tolist())
    torch.testing.assert_close(
        sample(lattice, noise, 10, start=999.0, clip=clip), sample(lattice, noise, 10, clip=clip)
    )


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: DIFFUSION.sampling_timesteps(5, start=1000), "from 0 to 999"),
        (lambda: DIFFUSION.sampling_timesteps(5, start=-0.5), "from 0 to 999"),
        (lambda: DIFFUSION.sampling_timesteps(5, start=float("nan")), "from 0 to 999"),
        (lambda: Regression(kind="regression").sampling_timesteps(5, start=1000), "from 0 to 999"),
        (lambda: sample(LatticeDenoiser(SMALL), pure_noise(1, 8), 5, start=2000.0), "from 0 to 999"),
        (lambda: DIFFUSION.sample(lambda x, t, mu: x, torch.zeros(1, 2), 8, start=5.0), "as noise"),
        (lambda: teleport(gaussian_of_world(SMALL), DIFFUSION, pure_noise(1, 8), 200.0), "from sigma 0.01 to 157"),
        (lambda: teleport(gaussian_of_world(SMALL), DIFFUSION, pure_noise(1, 8), 0.0), "from sigma 0.01 to 157"),
    ],
)
def test_a_start_outside_of_the_schedule_is_refused(action, says):
    with pytest.raises(BumplabError, match=says):
        action()


@pytest.mark.parametrize("prediction_type, sigma", [("x0", 20.0), ("eps", 2.0), ("v", 0.3)])
def test_teleports_land_where_the_sampler_would(prediction_type, sigma):
    diffusion, gaussian, noise = Diffusion(prediction_type=prediction_type), gaussian_of_world(SMALL), pure_noise(5, 8)
    x, start = teleport(gaussian, diffusion, noise, sigma)
    network, mu = as_network(gaussian, diffusion), torch.zeros(5, 2)
    short = diffusion.sample(network, mu, 8, 400, noise=x, start=start, clip=False)
    whole = diffusion.sample(network, mu, 8, 800, noise=noise, clip=False)
    torch.testing.assert_close(short, whole, atol=1e-2, rtol=0)
    assert noise_level(diffusion, start).item() == pytest.approx(sigma, rel=1e-4)


def test_sampling_a_gaussian_ends_where_its_flow_does():
    gaussian, noise = gaussian_of_world(SMALL), pure_noise(5, 8)
    level = noise_level(DIFFUSION, 999.0)
    ends = gaussian.flow(noise * (1 + level**2).sqrt(), level)
    errors = [(sample(gaussian, noise, steps, clip=False) - ends).abs().max().item() for steps in (50, 200, 800)]
    assert errors[2] < 1e-2
    assert errors[0] > 3 * errors[1] > 9 * errors[2]  # DDIM is of first order


@pytest.mark.parametrize("size", [8, 7])
def test_images_with_noise_levels_of_their_own_are_scaled_in_chunks(size):
    gaussian = gaussian_of_world(BumpWorld(size=size, periodic=True))
    x, levels = pure_noise(20_000, size), torch.linspace(0.1, 9, 20_000)
    together = gaussian(x, levels)
    for k in (0, 16_383, 16_384, 19_999):
        torch.testing.assert_close(together[k : k + 1], gaussian(x[k : k + 1], levels[k].item()))


def test_the_variance_of_what_a_gaussian_generates_is_that_of_the_data():
    gaussian, level = gaussian_of_world(SMALL), noise_level(DIFFUSION, 999.0).item()
    images = gaussian.flow(level * pure_noise(20_000, 8), level)
    waves = torch.fft.fft2((images - images.mean(0))[:, 0], norm="ortho").abs().square().mean(0)
    strong = gaussian.variances > 1e-4
    torch.testing.assert_close(waves[strong], gaussian.variances[strong].float(), rtol=0.06, atol=0)


# ---------------------------------------------------------------- kicks


@pytest.mark.parametrize("across, down, sigma", [(1, 0, 3.0), (2, 1, 0.4), (0, 3, 0.4)])
def test_a_kick_moves_the_image_along_its_mode_alone(across, down, sigma):
    gaussian, mode, noise = gaussian_of_world(SMALL), fourier_mode(8, across, down, phase=0.4), pure_noise(3, 8)
    x, start = teleport(gaussian, DIFFUSION, noise, sigma)
    still = sample(gaussian, x, 400, start=start, clip=False)
    moved = sample(gaussian, kick(DIFFUSION, x, start, mode, 5.0), 400, start=start, clip=False)
    expected = 5.0 * kick_response(fourier_variances(SMALL)[down, across], sigma) * mode
    torch.testing.assert_close(moved - still, expected.float().expand_as(still), atol=1e-2, rtol=0)


# ---------------------------------------------------------------- numbers of periodic bumps


@pytest.mark.parametrize(
    "sigma, largest, median, strong, total, mean",
    [
        (0.5, 0.0101, 3.5e-3, 1023, 4.29, -0.997),
        (1.0, 0.148, 2.8e-4, 420, 12.4, -0.988),
        (2.0, 2.11, 2.6e-11, 160, 47.8, -0.951),
    ],
)
def test_the_spectrum_of_bumps(sigma, largest, median, strong, total, mean):
    world = BUMPS.replace(sigma=sigma)
    variances = fourier_variances(world)
    assert variances.max().item() == pytest.approx(largest, rel=0.005)
    assert variances.median().item() == pytest.approx(median, rel=0.02)
    assert (variances > 1e-3).sum() == strong
    assert variances.sum().item() == pytest.approx(total, rel=0.002)
    assert variances[0, 0] == 0
    assert gaussian_of_world(world).mean.mean().item() == pytest.approx(mean, abs=0.0005)


def test_the_least_variances_of_bumps_and_the_open_lattice():
    least = [fourier_variances(BUMPS.replace(sigma=sigma)).flatten().sort().values[1].item() for sigma in (0.5, 1, 2)]
    assert least[0] == pytest.approx(1.1e-3, rel=0.01)
    assert least[1] == pytest.approx(6.6e-9, rel=0.01)
    assert least[2] < 1e-17
    world = BumpWorld()
    gaussian = gaussian_of_images(world.render(world.lattice()))
    assert gaussian.variances[0].item() == pytest.approx(0.1475, abs=5e-5)
    assert gaussian.variances.sum().item() == pytest.approx(12.07, abs=0.005)


@pytest.mark.parametrize(
    "sigma, of_score, of_denoiser, error, weight",
    [
        (0.1, 0.778, 0.817, 0.00, 1.00),
        (0.5, 0.963, 0.222, 0.15, 0.965),
        (1.0, 0.994, 0.126, 5.6, 0.465),
        (2.0, 0.9999, 0.357, 11.77, 0.064),
        (5.0, 1.0000, 0.847, 12.37, 0.007),
    ],
)
def test_the_score_flatters_the_gaussian(sigma, of_score, of_denoiser, error, weight):
    lattice, gaussian = LatticeDenoiser(BUMPS), gaussian_of_world(BUMPS)
    images = BUMPS.render(BUMPS.lattice()).repeat(2, 1, 1, 1)
    x = images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    exact, linear = lattice(x, sigma), gaussian(x, sigma)
    assert explained_variance(exact - x, linear - x).item() == pytest.approx(of_score, abs=0.004)
    assert explained_variance(exact, linear, gaussian.mean.float()).item() == pytest.approx(of_denoiser, abs=0.012)
    assert ((exact - images) ** 2).sum().item() / len(x) == pytest.approx(error, abs=0.3 if error > 1 else 0.06)
    variances = fourier_variances(BUMPS)
    loss = (variances * sigma**2 / (variances + sigma**2)).sum().item()
    assert ((linear - images) ** 2).sum().item() / len(x) == pytest.approx(loss, rel=0.01)
    assert lattice.weights(x, sigma).max(1).values.mean().item() == pytest.approx(weight, abs=0.015)


@pytest.fixture(scope="module")
def flows():
    """256 starts, and which bump the exact flow ends with."""
    lattice, noise = LatticeDenoiser(BUMPS), pure_noise(256, 32)
    return lattice, noise, likeliest(lattice, sample(lattice, noise, 50))


def likeliest(lattice, images):
    return lattice.weights(images, 0.3).argmax(1)


def test_on_bumps_any_radial_flow_teleports_nearly_as_well_as_that_of_the_covariance(flows):
    lattice, noise, bump = flows
    gaussian = gaussian_of_world(BUMPS)
    same = {}
    for sigma in (10.0, 2.0, 0.5):
        for theory in (gaussian, one_variance(gaussian), mean_only(gaussian), rotate_modes(gaussian)):
            x, start = teleport(theory, DIFFUSION, noise, sigma)
            ends = likeliest(lattice, sample(lattice, x, max(5, round(start / 20)), start=start))
            same.setdefault(sigma, []).append((ends == bump).float().mean().item())
    assert min(same[10.0]) == 1
    assert min(same[2.0]) > 0.97
    assert 0.87 < same[0.5][0] < 0.95
    assert all(
        same[0.5][0] - 0.1 < share < same[0.5][0] + 0.02 for share in same[0.5]
    )  # 1 to 3 points, by 4,096 starts


def test_the_noise_itself_names_most_bumps(flows):
    lattice, noise, bump = flows
    bumps = BUMPS.render(BUMPS.lattice()).flatten(1)
    best = (noise.flatten(1) @ bumps.T).argmax(1)
    assert (best == bump).float().mean().item() == pytest.approx(0.84, abs=0.05)
    gaussian, level = gaussian_of_world(BUMPS), noise_level(DIFFUSION, 999.0).item()
    ends = gaussian.flow(level * noise, level)
    assert (likeliest(lattice, ends) == bump).float().mean().item() == pytest.approx(0.5, abs=0.07)
    assert (ends.flatten(1).argmax(1) == bump).float().mean().item() == pytest.approx(0.84, abs=0.05)


def test_outline_first_is_true_of_gaussians_and_false_of_bumps(flows):
    """The noise at which a wave has half of its last amplitude in the guess of the clean image."""
    lattice, noise, _ = flows
    waves, levels = [1, 3, 6, 9, 12], noise_level(DIFFUSION, DIFFUSION.sampling_timesteps(500)[:-1])
    path = DIFFUSION.sample_trajectory(as_network(lattice, DIFFUSION), torch.zeros(32, 2), 32, 500, noise=noise[:32])
    amplitudes = torch.stack([torch.fft.fft2(x0[:, 0])[:, 0, waves].abs() for _, x0 in path])
    halfway = levels[(amplitudes >= amplitudes[-1] / 2).float().argmax(0)].median(0).values
    assert halfway.tolist() == pytest.approx([1.36, 1.35, 1.21, 1.14, 0.97], abs=0.1)
    by_formula = (3 * fourier_variances(BUMPS)[0, waves]).sqrt()
    assert by_formula.tolist() == pytest.approx([0.67, 0.57, 0.34, 0.14, 0.04], abs=0.006)


def test_trajectories_are_rotations_also_to_an_image_they_do_not_end_with(flows):
    lattice, noise, _ = flows
    noise = noise[:16]
    path = DIFFUSION.sample_trajectory(as_network(lattice, DIFFUSION), torch.zeros(16, 2), 32, 500, noise=noise)
    states = torch.stack([noise, *(x for x, _ in path)], 1).flatten(2)
    signal, level = (
        scale.flatten()[:, None] for scale in DIFFUSION.signal_and_noise_scale(DIFFUSION.sampling_timesteps(500))
    )
    own = signal * states[:, -1:] + level * noise.flatten(2)
    other = signal * states[:, -1:].roll(5, 0) + level * noise.flatten(2)
    assert explained_variance(states, own).item() == pytest.approx(0.9988, abs=0.0005)
    tops = []
    for paths in (states, other):
        squares = torch.linalg.svdvals((paths - paths.mean(1, keepdim=True)).double()) ** 2
        tops.append((squares[:, 0] / squares.sum(1)).mean().item())
    assert tops == pytest.approx([0.962, 0.962], abs=0.002)


# ---------------------------------------------------------------- mixtures of tiles


def test_a_mixture_of_one_tile_is_the_gaussian_of_what_is_shown():
    world = SMALL.replace(fraction=0.2)
    shown = world.render(world.seen())
    single, x = gaussian_of_images(shown, len(shown) - 1), pure_noise(5, 8)
    mixture = mixture_of_tiles(world, images=len(shown))
    assert len(mixture.components) == 1
    torch.testing.assert_close(mixture(x.double(), 0.6), single(x.double(), 0.6))


def test_tiles_halve_until_few_images_are_left_and_a_lone_image_is_a_point():
    world = BumpWorld(size=16, periodic=True, fraction=0.09)
    mixture = mixture_of_tiles(world, images=1)
    assert mixture.shares.sum() == len(world.seen())
    lone = [component for component in mixture.components if component.variances.sum() == 0]
    assert len(lone) == (mixture.shares == 1).sum() > 0
    x = world.render(world.seen())
    torch.testing.assert_close(mixture(x, 0.02), x, atol=0.02, rtol=0)


def test_few_images_have_the_modes_of_their_covariance():
    images = SMALL.render(SMALL.lattice()[::3])
    few, x = gaussian_of_images(images, len(images) - 1), pure_noise(4, 8).double()
    away = images.double().flatten(1) - images.double().flatten(1).mean(0)
    covariance = away.T @ away / len(images)
    gain = covariance @ torch.linalg.inv(covariance + 0.49 * torch.eye(64, dtype=torch.float64))
    mean = images.double().mean(0)
    expected = mean + ((x - mean).flatten(1) @ gain.T).view_as(x)
    torch.testing.assert_close(few(x, 0.7), expected, atol=1e-6, rtol=0)
