"""A network that is an exact denoiser measures as one, on what was shown and on what was not."""

import pytest
import torch

from bumplab.diffusion.analytic import as_network
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import gaussian_of_world, mixture_of_tiles
from bumplab.toys.scores import PROBE_SIGMAS, ScoreSettings

HALF = ScoreSettings(
    world={"size": 16, "periodic": True, "fraction": 0.5}, network={"kind": "unet"}, steps=20, measurements=3
)
WHOLE = HALF.world.replace(fraction=1.0)


@pytest.mark.parametrize(
    "name, theory",
    [
        ("lattice", LatticeDenoiser(WHOLE)),
        ("memory", LatticeDenoiser(HALF.world, seen=True)),
        ("gaussian", gaussian_of_world(WHOLE)),
        ("mixture", mixture_of_tiles(HALF.world)),
    ],
)
def test_one_who_is_an_exact_denoiser_is_explained_by_it_alone(monkeypatch, name, theory):
    network = as_network(theory, HALF.diffusion)
    monkeypatch.setattr(ScoreSettings, "predict", lambda self, weights, x, t: network(x, t, torch.zeros(len(x), 2)))
    measured = HALF.measure(HALF.init_weights())
    assert set(measured) == {"seen", "unseen"}
    for part, sigma in [(part, sigma) for part in measured for sigma in PROBE_SIGMAS if sigma < 10]:
        shares = {other: measured[part][f"{other}-{sigma:g}"] for other in ("lattice", "memory", "gaussian", "mixture")}
        assert shares.pop(name) == pytest.approx(1, abs=2e-3)
        if sigma == 1:
            assert max(shares.values()) < 0.95


def test_an_untrained_network_says_the_mean_of_which_nothing_is_explained():
    measured = HALF.measure(HALF.init_weights())
    assert all(value <= 0 for name, value in measured["seen"].items() if not name.startswith("score"))


def test_the_network_is_what_the_sampler_takes():
    settings, noise = HALF, torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    images = settings.diffusion.sample(
        settings.as_denoiser(settings.init_weights()), torch.zeros(2, 2), 16, 3, noise=noise
    )
    assert images.flatten().tolist() == pytest.approx([settings.mean] * images.numel(), abs=1e-5)
