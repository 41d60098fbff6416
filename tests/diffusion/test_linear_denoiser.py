"""A linear denoiser in training as a theory: what the book's sampler generates with it is what its law says."""

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import as_network, noise_level
from bumplab.diffusion.analytic_spectra import fourier_variances, gaussian_of_world
from bumplab.diffusion.linear_convolution import PatchConvolution
from bumplab.diffusion.linear_denoiser import LinearDenoiser
from bumplab.diffusion.linear_laws import OneLayer, TwoLayers
from bumplab.diffusion.process import Diffusion
from bumplab.worlds.bumps import BumpWorld

WORLD = BumpWorld(size=8, periodic=True)
SPECTRUM = fourier_variances(WORLD)
GAUSSIAN = gaussian_of_world(WORLD)
LAWS = [OneLayer(start=0.1, gain=64), TwoLayers(start=0.1), PatchConvolution(SPECTRUM, 3, start=0.1)]


@pytest.mark.parametrize("sigma", [0.02, 0.5, 30.0])
def test_at_the_end_it_is_the_gaussian_denoiser(sigma):
    x = WORLD.render(WORLD.lattice()).double() + sigma
    student = LinearDenoiser(GAUSSIAN.mean, SPECTRUM, OneLayer(), np.inf)
    torch.testing.assert_close(student(x, sigma), GAUSSIAN(x, sigma), atol=1e-5, rtol=0)
    levels = torch.full((len(x),), sigma)
    torch.testing.assert_close(student(x, levels), student(x, sigma), atol=1e-6, rtol=0)


def response(law, time, steps):
    """Return the squared response of images to each wave of the noise, by the sampler."""
    diffusion = Diffusion(prediction_type="x0")
    network = as_network(LinearDenoiser(GAUSSIAN.mean, SPECTRUM, law, time), diffusion)
    dot = torch.zeros(1, 1, 8, 8)
    dot[0, 0, 0, 0] = 1.0  # one pixel of noise holds all waves alike
    mu, free = torch.zeros(1, 2), {"clip": False}
    still, moved = (diffusion.sample(network, mu, 8, steps, noise=noise, **free) for noise in (0 * dot, dot))
    return torch.fft.fft2((moved - still)[0, 0]).abs().square().double().numpy().ravel()


def weights(law, sigmas, time):
    local = isinstance(law, PatchConvolution)
    return (law.weights(sigmas, [time]) if local else law.weights(SPECTRUM.flatten().numpy(), sigmas, [time]))[0]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_each_step_of_the_sampler_moves_modes_by_their_weight(law):
    grid = Diffusion().sampling_timesteps(40)
    sigmas = noise_level(Diffusion(), grid).double().numpy()
    shares = weights(law, sigmas[:-1], 0.3)
    steps = shares + (1 - shares) * sigmas[1:] / sigmas[:-1]
    expected = (1 + sigmas[0] ** 2) * steps.prod(1) ** 2
    np.testing.assert_allclose(response(law, 0.3, 40), expected, rtol=5e-3, atol=1e-9)


@pytest.mark.parametrize("law, time", [(LAWS[0], 0.3), (LAWS[1], 30.0)], ids=lambda value: type(value).__name__)
def test_the_sampler_generates_the_variance_of_the_law(law, time):
    noise = tuple(noise_level(Diffusion(), torch.tensor([0.0, 999.0])).tolist())
    expected = law.variances(SPECTRUM.flatten().numpy(), [time], noise)[0]
    strong = expected > 3e-2  # below, the sampler's last step, from 0.01 to 0, shows
    assert strong.sum() > 8
    np.testing.assert_allclose(response(law, time, 900)[strong], expected[strong], rtol=0.05)


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: LinearDenoiser(torch.zeros(1, 4, 4), SPECTRUM, OneLayer(), 1.0), "goes with a spectrum"),
        (lambda: LinearDenoiser(GAUSSIAN.mean, SPECTRUM, PatchConvolution(torch.ones(4), 3), 1.0), "4 positions"),
        (lambda: LinearDenoiser(GAUSSIAN.mean, SPECTRUM, OneLayer(), -1.0), "0 or more"),
        (lambda: LinearDenoiser(GAUSSIAN.mean, SPECTRUM, OneLayer(), 1.0)(torch.zeros(1, 1, 8, 8), 1e5), "10,000"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(action, says):
    with pytest.raises(BumplabError, match=says):
        action()
