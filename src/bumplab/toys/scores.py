"""Which exact denoiser is a network like? Gaussian, lattice, memory and mixture beside it, on what it saw and did not.

The network is one of :mod:`bumplab.toys.denoising`, told nothing of the place. Through training it is compared with the
denoisers of Wang and Vastola (2024, arXiv:2412.09726): those of mean and covariance, of one variance, of the images it
was shown (the memory), of a mixture of Gaussians fitted to these, and of the whole lattice, shown or not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import torch

from bumplab.diffusion.analytic import explained_variance
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import gaussian_of_world, mixture_of_tiles, one_variance
from bumplab.diffusion.process import Denoiser
from bumplab.toys.denoising import LEAST_SHARE, DenoisingSettings
from bumplab.toys.denoising_networks import DenoisingUNetSettings
from bumplab.toys.settings import Weights
from bumplab.worlds.bumps import BumpWorld

#: Noise levels at which denoisers are compared.
PROBE_SIGMAS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_IMAGES, _NOISE_SEED = 256, 2412


class ScoreSettings(DenoisingSettings):
    """A denoising network without a condition, measured by the exact denoisers that it is like.

    Attributes
    ----------
    world, data, network, conditional, diffusion, measurements
        See :class:`~bumplab.toys.denoising.DenoisingSettings`.

    Examples
    --------
    >>> settings = ScoreSettings(world={"size": 8, "periodic": True}, network={"kind": "filter"}, steps=100)
    >>> measured = settings.measure(settings.init_weights())
    >>> sorted(measured), sorted(name for name in measured["seen"] if name.endswith("-5"))
    (['seen'], ['gaussian-5', 'lattice-5', 'memory-5', 'mixture-5', 'one-variance-5', 'score-5'])
    """

    family: ClassVar[str] = "scores"
    trainer_version: ClassVar[int] = 1
    stop_measure: ClassVar[str] = "seen.lattice-1"

    def as_denoiser(self, weights: Weights) -> Denoiser:
        """Return one network as the book's sampler takes it; it pays no heed to the condition."""
        unet = self.network.with_weights(weights) if isinstance(self.network, DenoisingUNetSettings) else None

        def network(x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
            return self.predict(weights, x, t) if unet is None else unet(x, t, torch.zeros_like(mu))

        return network

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return how much of one network's denoiser others explain, on noisy images shown and not shown.

        ``seen.gaussian-1``, at sigma 1 and on images that training shows: 1 less the squared difference of network and
        Gaussian, over the squared distance of the network from the mean of the data. ``score`` is the same of the
        Gaussian's score, about 0. Part ``unseen`` is there where training shows less than the lattice.
        """
        mean = torch.tensor(self.mean)
        shares: dict[str, dict[str, float]] = {}
        for part, sigma, x, theories in _probes(self.world):  # pyright: ignore[reportArgumentType]  # frozen, so hashable
            own, found = self.denoise(weights, x, sigma), shares.setdefault(part, {})
            for name, image in theories.items():
                found[f"{name}-{sigma:g}"] = _share(own, image, mean)
            found[f"score-{sigma:g}"] = _share(own - x, theories["gaussian"] - x, torch.zeros(()))
        return shares


@lru_cache(maxsize=8)
def _probes(world: BumpWorld) -> list[tuple[str, float, torch.Tensor, dict[str, torch.Tensor]]]:
    """Return noisy images of each part of a lattice at each noise level, and what exact denoisers make of them."""
    whole = world.replace(fraction=1.0, held_out=None, subsample_region=None, subsample_seed=0)
    gaussian = gaussian_of_world(whole)
    theories = {
        "gaussian": gaussian,
        "one-variance": one_variance(gaussian),
        "lattice": LatticeDenoiser(whole),
        "memory": LatticeDenoiser(world, seen=True),
        "mixture": mixture_of_tiles(world),
    }
    generator = torch.Generator().manual_seed(_NOISE_SEED)
    probes = []
    for part, mu in world.condition_splits(_IMAGES).items():
        clean = world.render(mu)
        for sigma in PROBE_SIGMAS:
            x = clean + sigma * torch.randn(clean.shape, generator=generator)
            probes.append((part, sigma, x, {name: theory(x, sigma) for name, theory in theories.items()}))
    return probes


def _share(own: torch.Tensor, other: torch.Tensor, about: torch.Tensor) -> float:
    share = explained_variance(own.double(), other.double(), about=about.double()).nan_to_num(
        nan=LEAST_SHARE, neginf=LEAST_SHARE
    )
    return float(f"{share.clamp(min=LEAST_SHARE).item():.4g}")
