"""Overlapping bumps against the exact posterior of all pairs, and against the exact denoiser of one."""

import itertools

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import explained_variance
from bumplab.diffusion.analytic_sets import LatticeDenoiser, MemorizedSet
from bumplab.diffusion.analytic_spectra import gaussian_of_images
from bumplab.diffusion.analytic_sums import OverlappingBumps, gaussian_share
from bumplab.worlds.bumps import BumpWorld

SMALL = BumpWorld(size=4, periodic=True)


def all_pairs(pairs):
    return pairs.render(torch.tensor(list(itertools.product(range(16), repeat=2))))


def test_mean_and_covariance_are_those_of_all_pairs():
    pairs = OverlappingBumps(SMALL, 2)
    by_images = gaussian_of_images(all_pairs(pairs))
    torch.testing.assert_close(by_images.mean, pairs.gaussian.mean.double(), atol=1e-6, rtol=0)
    found, expected = (each.variances.flatten().sort().values for each in (by_images, pairs.gaussian))
    torch.testing.assert_close(found, expected.double(), atol=1e-6, rtol=0)
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(by_images(x, 0.7), pairs.gaussian(x, 0.7), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sigma", [0.6, 1.0])
def test_redrawn_places_come_from_the_posterior_of_pairs(sigma):
    pairs, generator = OverlappingBumps(SMALL, 2), torch.Generator().manual_seed(0)
    images = all_pairs(pairs)
    x = images[[37]] + sigma * torch.randn(1, 1, 4, 4, generator=generator)
    many = x.expand(4000, -1, -1, -1)
    places = pairs.draw(4000, generator)
    for _ in range(12):
        places = pairs.redraw(many, sigma, places, generator)
    mean = pairs.render(places).mean(0)
    torch.testing.assert_close(mean, MemorizedSet(images)(x, sigma)[0], atol=0.05, rtol=0)


@pytest.mark.parametrize("bumps, sigma", [(1, 0.5), (1, 1.5), (2, 0.6), (2, 1.5)])
def test_the_share_is_that_of_the_exact_denoiser(bumps, sigma):
    overlaps, generator = OverlappingBumps(SMALL, bumps), torch.Generator().manual_seed(1)
    exact = LatticeDenoiser(SMALL) if bumps == 1 else MemorizedSet(all_pairs(overlaps))
    clean = overlaps.render(overlaps.draw(4000, generator))
    x = clean + sigma * torch.randn(clean.shape, generator=generator)
    expected = explained_variance(exact(x, sigma), overlaps.gaussian(x, sigma), overlaps.gaussian.mean.float())
    assert gaussian_share(overlaps, sigma, n=4000, sweeps=9) == pytest.approx(expected.item(), abs=0.04)


def test_more_bumps_are_more_gaussian():
    world = BumpWorld(size=16, periodic=True)
    shares = [gaussian_share(OverlappingBumps(world, bumps), 1.0, n=256 // bumps) for bumps in (1, 4, 16, 64)]
    assert shares == sorted(shares)
    assert shares[0] < 0.4 and shares[-1] > 0.95


@pytest.mark.parametrize(
    "action, says",
    [
        (lambda: OverlappingBumps(SMALL, 0), "1 to 10,000 bumps, got 0"),
        (lambda: OverlappingBumps(BumpWorld(), 2), "Only a periodic world"),
        (lambda: gaussian_share(OverlappingBumps(SMALL, 2), 1.0, sweeps=2), "3 sweeps or more, got 2"),
        (lambda: gaussian_share(OverlappingBumps(SMALL, 2), 0.0), "Noise levels are above 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(action, says):
    with pytest.raises(BumplabError, match=says) as caught:
        action()
    assert "\n" not in str(caught.value)
