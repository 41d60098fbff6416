"""Denoising without a condition: what the images of a network look like through training, mode by mode.

A network learns to denoise the bumps of a periodic world, or Gaussian images, and is told nothing of the place. At
moments evenly spaced on a logarithmic scale the variance of what it generates is measured along all Fourier modes, from
the same noise each time. Chapters on what is learned first compare it with :mod:`bumplab.diffusion.linear_laws`, whose
denoisers learn each mode by itself (Wang and Pehlevan 2025, arXiv:2503.03206).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import explained_variance, timestep_at
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import fourier_variances, gaussian_of_world
from bumplab.diffusion.process import Diffusion
from bumplab.toys.denoising_networks import (
    DenoisingNetwork,
    DenoisingUNetSettings,
    FilterSettings,
    ResidualSettings,
    noise_range,
)
from bumplab.toys.mode_shells import BUMP_SHARE, bump_distances, shells_of, transfer_of
from bumplab.toys.settings import StackLoss, ToySettings, Weights
from bumplab.training.step import over_stack
from bumplab.worlds.bumps import BumpWorld, subsample_evenly

#: Images that are generated to measure variances: the relative error of a shell of m modes is sqrt(2/(m n)), 4 % of 4.
GENERATED = 256
#: Steps of the sampler from the largest noise level to the least, evenly spaced along log sigma.
GENERATOR_STEPS = 32
#: Noise levels at which a denoiser is compared with exact ones.
COMPARED_SIGMAS = (0.5, 1.0, 2.0, 5.0)
#: Least share of variance that is said to be explained: where a denoiser hardly varies there is no limit.
LEAST_SHARE = -10.0
_DRAWS, _NOISE_SEED, _DATA_SEED, _CHUNK = 4096, 2503, 3206, 256


class DenoisingSettings(ToySettings):
    """A network that denoises images and is told nothing else.

    Attributes
    ----------
    world : BumpWorld
        Periodic, of step 1. Of ``fraction`` and ``held_out`` training sees the rest, and measures compare with all.
    data : {"bumps", "gaussian", "white"}
        The images of the world; Gaussian images of the same mean and covariance; or of the same mean and variance, with
        an equal share for every mode but the constant one.
    network : FilterSettings, ResidualSettings or DenoisingUNetSettings
    conditional : bool
        Tell the network the place of each bump, as control; a UNet can hear it.
    diffusion : Diffusion
        What the network predicts. Filters learn from all noise at once, their loss being the mean over it.
    measurements : int
        Entries of the history, at steps evenly spaced on a logarithmic scale from 1 to the last; ``measure_every`` has
        no say.

    Examples
    --------
    >>> settings = DenoisingSettings(world={"size": 8, "periodic": True}, network={"kind": "filter"}, steps=100)
    >>> measured = settings.measure(settings.init_weights())
    >>> measured["log_variance"]["k1-0"]  # log10 of the least noise, 0.01^2: nothing is learned
    -4.0
    >>> DenoisingSettings(world={"size": 8})
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Denoising without a condition needs a periodic world of bumps of spacing 1.
    """

    family: ClassVar[str] = "denoising"
    trainer_version: ClassVar[int] = 1
    stop_measure: ClassVar[str] = "images.residual"

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    order: Literal["cycle", "random"] = "random"
    world: BumpWorld = BumpWorld(size=16, periodic=True)
    data: Literal["bumps", "gaussian", "white"] = "bumps"
    network: DenoisingNetwork = ResidualSettings()  # pyright: ignore[reportInvalidTypeForm]
    conditional: bool = False
    diffusion: Diffusion = Diffusion().replace(prediction_type="x0")
    measurements: Annotated[int, Field(ge=1, le=1000)] = 40

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        world, network = self.world, self.network
        if world.kind != "bump" or not world.periodic or world.spacing != (1.0, 1.0):
            raise BumplabError("Denoising without a condition needs a periodic world of bumps of spacing 1.")
        if self.data != "bumps" and not world.seen_mask().all():
            raise BumplabError("Gaussian images have no places to hold out: show all of the world, or bumps.")
        if self.conditional and not (self.data == "bumps" and isinstance(network, DenoisingUNetSettings)):
            raise BumplabError("Only a UNet hears a condition, and only bumps have one: set conditional to false.")
        if isinstance(network, FilterSettings) and (
            network.taps > world.size or (network.taps % 2 == 0 and network.taps not in (0, world.size))
        ):
            raise BumplabError(f"A filter has an odd number of taps below {world.size}, or 0 for all of them.")
        return self

    @property
    def spectrum(self) -> torch.Tensor:
        """Variance of the data along each Fourier mode, (N, N) float64, in the order of :func:`torch.fft.fft2`."""
        spectrum = fourier_variances(_whole(self.world))
        if self.data == "white":
            total, shape = spectrum.sum(), spectrum.shape
            spectrum = (total / (spectrum.numel() - 1)).expand(shape).clone()
            spectrum[0, 0] = 0.0
        return spectrum

    @property
    def mean(self) -> float:
        """Mean of a pixel."""
        return float(gaussian_of_world(_whole(self.world)).mean.mean())

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step: they say the mean of x0, and of eps and v nothing."""
        constant = self.mean if self.diffusion.prediction_type == "x0" else 0.0
        return self.network.init_weights(self.world.size, constant, self.seed)

    def samples(self) -> tuple[torch.Tensor, ...]:
        """Return the training images, bumps that the world shows or 4,096 Gaussian ones; and conditions, if told."""
        if self.data == "bumps":
            mu = self.world.seen()
            return (self.world.render(mu), mu) if self.conditional else (self.world.render(mu),)
        generator = torch.Generator().manual_seed(_DATA_SEED)
        noise = torch.randn(_DRAWS, 1, self.world.size, self.world.size, generator=generator)
        waves = torch.fft.fft2(noise.double()) * self.spectrum.sqrt()
        return ((torch.fft.ifft2(waves).real + self.mean).float(),)

    def next_measurement(self, step: int) -> int:
        """Return the first of the logarithmically spaced steps after `step`."""
        grid = log_steps(self.steps, self.measurements)
        return int(grid[np.searchsorted(grid, step, side="right")]) if step < self.steps else self.steps + 1

    def predict(self, weights: Weights, x: torch.Tensor, t: torch.Tensor, *mu: torch.Tensor) -> torch.Tensor:
        """Return what one network says of noisy images x (n, 1, N, N) at timesteps t (n,); mu (n, 2) if it is told."""
        return self.network.predict(weights, x, t, self.diffusion, *mu)

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack; each network draws timesteps and noise of its own, filters take the mean."""
        first, diffusion = members[0], members[0].diffusion
        if isinstance(first.network, FilterSettings):
            exact = over_stack(first._filter_loss)
            return lambda weights, batch, generators: exact(weights, *batch)
        if isinstance(first.network, DenoisingUNetSettings):
            first.network.skeleton()
        predict = over_stack(first.predict)

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            x0, *mu = batch
            draws = [diffusion.sample_timesteps_and_noise(own, each) for own, each in zip(x0, generators, strict=True)]
            t, eps = (torch.stack(part) for part in zip(*draws, strict=True))
            clean, noise = x0.flatten(0, 1), eps.flatten(0, 1)
            x = diffusion.add_noise(clean, noise, t.flatten()).view_as(x0)
            target = diffusion.target(clean, noise, t.flatten()).view_as(x0)
            return (predict(weights, x, t, *mu) - target).square().flatten(1).mean(1)

        return loss

    def _filter_loss(self, weights: Weights, x0: torch.Tensor) -> torch.Tensor:
        """Return the loss of filters on clean images, averaged exactly over noise, and over the noise levels."""
        network = self.network
        assert isinstance(network, FilterSettings)
        waves = torch.fft.fft2(x0, norm="ortho")[:, 0]
        power, constant = waves.abs().square().mean(0), waves[:, 0, 0].real.mean()
        t = network.timesteps(self.diffusion).to(x0.device)
        one, none = torch.ones_like(t)[:, None, None, None], torch.zeros_like(t)[:, None, None, None]
        of_x0, of_eps = self.diffusion.target(one, none, t), self.diffusion.target(none, one, t)
        signal, noise = self.diffusion.signal_and_noise_scale(t)
        gain = network.gains(weights, x0.shape[-1])
        left, loud = signal[:, 0] * gain - of_x0[:, 0], noise[:, 0] * gain - of_eps[:, 0]
        shift = x0.shape[-1] * weights["bias"]  # of the constant wave
        total = (left.abs().square() * power + loud.abs().square()).sum((1, 2))
        return ((total + 2 * shift * left[:, 0, 0].real * constant + shift**2) / power.numel()).mean()

    def denoise(self, weights: Weights, x: torch.Tensor, sigma: float, *mu: torch.Tensor) -> torch.Tensor:
        """Return what one network takes images x0 + sigma z (n, 1, N, N) to be, as a theory does."""
        t = timestep_at(self.diffusion, sigma).expand(len(x))
        signal, _ = self.diffusion.signal_and_noise_scale(t)
        with torch.no_grad():
            output = self.predict(weights, signal * x, t, *mu)
        return self.diffusion.to_x0_and_eps(output, signal * x, t)[0]

    def generate(
        self, weights: Weights, noise: torch.Tensor, *mu: torch.Tensor, steps: int = GENERATOR_STEPS
    ) -> torch.Tensor:
        """Return images of one network from noise (n, 1, N, N), at the least noise level of the schedule.

        The book's sampler ends with what the network takes the image to be; this one ends a step before, where the
        theory of generated variances ends, and its steps are evenly spaced along log sigma.
        """
        grid = self.generator_timesteps(steps)
        parts = []
        for x, *told in zip(noise.split(_CHUNK), *[each.split(_CHUNK) for each in mu], strict=True):
            for t, s in zip(grid[:-1], grid[1:], strict=True):
                here, there = (torch.full((len(x),), value) for value in (t, s))
                with torch.no_grad():
                    output = self.predict(weights, x, here, *told)
                x, _ = self.diffusion.step(output, x, here, there, 0.0, clip=False)
            parts.append(x)
        return torch.cat(parts)

    def generator_timesteps(self, steps: int = GENERATOR_STEPS) -> list[float]:
        """Return the timesteps of :meth:`generate`, from the noisiest to the least noisy one, `steps` + 1."""
        low, high = noise_range(self.diffusion)
        between = timestep_at(self.diffusion, torch.from_numpy(np.geomspace(high, low, steps + 1)[1:-1]))
        return [self.diffusion.timesteps - 1.0, *between.tolist(), 0.0]

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what one network generates and how it denoises.

        ``log_variance``: log10 of the generated variance along a mode, the mean over each shell of
        :func:`~bumplab.toys.mode_shells.shells_of`. ``covariance.diagonal``: of the squares of the generated
        covariance's entries, the share on the diagonal of the modes. ``images``: the share that are bumps, and the
        median ``residual``, the squared distance to the nearest bump over a bump's square. ``explained``: the share of
        the denoiser's variance on noisy images of the lattice that the Gaussian of its mean and covariance explains
        (``gaussian-1`` at sigma 1), and the exact denoiser of the lattice. Of a conditional network also
        ``images.right``, the share that are the bump of their condition, and ``transfer``, the mean amplitude of each
        shell in phase with that bump, over the bump's own.
        """
        size, world = self.world.size, _whole(self.world)
        noise = torch.randn(GENERATED, 1, size, size, generator=torch.Generator().manual_seed(_NOISE_SEED))
        mu = [world.lattice()[torch.arange(GENERATED) % len(world.lattice())]] if self.conditional else []
        images = self.generate(weights, noise, *mu).double().nan_to_num().clamp(-1e6, 1e6)
        waves = torch.fft.fft2(images[:, 0] - images.mean(0), norm="ortho").flatten(1)
        if isinstance(self.network, FilterSettings):
            variances = self.network.variances(weights, size, self.diffusion)
        else:
            variances = waves.abs().square().mean(0).numpy()
        covariance = (waves.mH @ waves / len(waves)).abs().square()
        distances = bump_distances(images, world)
        told = _told(images, mu[0], world) if mu else {}
        return {
            "log_variance": {
                name: _rounded(np.log10(variances[rows].mean())) for name, rows in shells_of(size).items()
            },
            "covariance": {"diagonal": _rounded(covariance.diagonal().sum() / covariance.sum())},
            "images": {
                "bumps": _rounded((distances < BUMP_SHARE).double().mean()), "residual": _rounded(distances.median()),
                **told.pop("images", {}),
            },
            "explained": self._explained(weights, world),
            **told,
        }  # fmt: skip

    def _explained(self, weights: Weights, world: BumpWorld) -> dict[str, float]:
        gaussian, lattice = gaussian_of_world(world), LatticeDenoiser(world)
        places = subsample_evenly(world.lattice(), _CHUNK)
        clean, told = world.render(places), [places] if self.conditional else []
        eps = torch.randn(clean.shape, generator=torch.Generator().manual_seed(_NOISE_SEED + 1))
        shares = {}
        for sigma in COMPARED_SIGMAS:
            x = clean + sigma * eps
            own = self.denoise(weights, x, sigma, *told)
            for name, theory in (("gaussian", gaussian), ("lattice", lattice)):
                share = explained_variance(own, theory(x, sigma), about=self.mean)
                shares[f"{name}-{sigma:g}"] = _rounded(share.nan_to_num(LEAST_SHARE).clamp(min=LEAST_SHARE))
        return shares


def log_steps(steps: int, count: int) -> np.ndarray:
    """Return at most `count` whole numbers from 1 to `steps`, evenly spaced on a logarithmic scale.

    Examples
    --------
    >>> log_steps(100, 5).tolist()
    [1, 3, 10, 32, 100]
    """
    return np.unique(np.geomspace(1, steps, count).round().astype(int)) if count > 1 else np.array([steps])


def _whole(world: BumpWorld) -> BumpWorld:
    """Return the world of which nothing is held out."""
    return world.replace(held_out=None, fraction=1.0, subsample_region=None, subsample_seed=0)


def _told(images: torch.Tensor, mu: torch.Tensor, world: BumpWorld) -> dict[str, dict[str, float]]:
    """Return what is measured of images (n, 1, N, N) that were generated for the conditions mu (n, 2)."""
    own = (images - world.render(mu)).square().sum((1, 2, 3)) / (world.render(mu[:1]) + 1).square().sum()
    transfer = {name: _rounded(value) for name, value in transfer_of(images, mu, world).items()}
    return {"images": {"right": _rounded((own < BUMP_SHARE).double().mean())}, "transfer": transfer}


def _rounded(value: torch.Tensor | np.floating | float) -> float:
    return float(f"{float(value):.4g}")
