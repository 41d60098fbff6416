"""Onsets of waves and rotations against the closed form of a Gaussian."""

import pytest
import torch

from bumplab.analysis.trajectories import rotation_shares, wave_onsets
from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import as_network
from bumplab.diffusion.analytic_gaussian import GaussianDenoiser
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import fourier_variances, gaussian_of_world
from bumplab.diffusion.process import Diffusion
from bumplab.worlds.bumps import BumpWorld

WORLD = BumpWorld(size=16, sigma=0.8, periodic=True)
DIFFUSION = Diffusion(prediction_type="x0")


def pure_noise(n, size=16):
    return torch.randn(n, 1, size, size, generator=torch.Generator().manual_seed(0))


def test_waves_of_a_gaussian_appear_at_the_square_root_of_three_variances():
    waves = [1, 3, 5, 7]
    found = wave_onsets(DIFFUSION, as_network(gaussian_of_world(WORLD), DIFFUSION), pure_noise(9), waves, steps=900)
    expected = (3 * fourier_variances(WORLD)[0, waves]).sqrt().float()
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)


def test_waves_of_a_bump_appear_nearly_together():
    waves = [1, 7]
    ends = wave_onsets(DIFFUSION, as_network(LatticeDenoiser(WORLD), DIFFUSION), pure_noise(32), waves)
    formula = (3 * fourier_variances(WORLD)[0, waves]).sqrt()
    assert ends[0] / ends[1] < 2 < 8 < formula[0] / formula[1]


def states_from(denoiser, noise):
    mu, network = torch.zeros(len(noise), 2), as_network(denoiser, DIFFUSION)
    path = DIFFUSION.sample_trajectory(network, mu, noise.shape[-1], clip=False, noise=noise)
    return torch.stack([x for x, _ in path])


def test_a_way_to_one_image_is_a_rotation_and_any_other_end_explains_less():
    point = GaussianDenoiser(torch.full((1, 8, 8), 0.5), torch.tensor(0.0))
    noise = pure_noise(4, 8)
    shares = rotation_shares(DIFFUSION, noise, states_from(point, noise))
    assert shares["own"] == pytest.approx(1, abs=1e-3) and shares["next"] == pytest.approx(shares["own"], abs=1e-4)
    shares = rotation_shares(DIFFUSION, pure_noise(16), states_from(LatticeDenoiser(WORLD), pure_noise(16)))
    assert 0.99 < shares["own"] and shares["none"] < shares["next"] < shares["own"]


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: wave_onsets(DIFFUSION, lambda x, t, mu: x, pure_noise(1, 8), [5]), r"0 to 4 whole waves, got \[5\]"),
        (lambda: rotation_shares(DIFFUSION, pure_noise(1, 8), torch.zeros(5, 1, 1, 8, 8)), "noises or more, not 1"),
        (lambda: rotation_shares(DIFFUSION, pure_noise(2, 8), torch.zeros(5, 3, 1, 8, 8)), r"no states \(5, 3"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_sentence(action, says):
    with pytest.raises(BumplabError, match=says):
        action()
