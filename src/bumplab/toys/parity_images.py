"""Two clocks of a UNet: it draws images of bumps on a grid, an even number of them in each group of cells.

The strings of :mod:`bumplab.toys.parity` as images, and the book's UNet, which hears no condition. Whether a rule is
learned before its examples are copied is then a question about images, with the same counts and the same oracles.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch.func import functional_call

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import timestep_at
from bumplab.diffusion.bit_posteriors import independent_mean, memorised_mean, parity_mean
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet, UNetSettings
from bumplab.toys.denoisers import SAMPLER_STEPS
from bumplab.toys.parity import count_samples
from bumplab.toys.settings import StackLoss, ToySettings, Weights
from bumplab.training.step import over_stack
from bumplab.worlds.bit_images import BitImages
from bumplab.worlds.parity import ParityWorld, decode_bits, find_copies

#: How many images each measurement draws, from new noise.
_SAMPLES = 512
#: Noise over signal at which predictions are compared with the exact ones, on so many images each.
_SIGMAS, _IMAGES_PER_SIGMA = (0.9, 1.3, 1.8, 2.5), 64


class ParityImageSettings(ToySettings):
    """A UNet without condition, and the images of bumps that it learns from.

    Attributes
    ----------
    world : ParityWorld
        The rule, or none; its bits fill a square of cells.
    images : BitImages
        How bits become bumps.
    num_train : int
        N, training images, 1 to the number of valid ones.
    data_seed : int
        Which of them; they show the strings of :class:`~bumplab.toys.parity.ParitySettings`.
    model : UNetSettings
    diffusion : Diffusion

    Examples
    --------
    >>> settings = ParityImageSettings(num_train=64, model={"widths": (8, 8, 8, 8), "bottleneck_channels": 8})
    >>> settings.training_images().shape
    torch.Size([64, 1, 16, 16])
    >>> ParityImageSettings(world={"bits": 8})
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Bits of an image fill a square of cells, such as 4, 9 or 16; got 8.
    """

    family: ClassVar[str] = "parity-images"
    trainer_version: ClassVar[int] = 1
    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "data_seed"})
    stop_measure: ClassVar[str] = "train.copy"

    batch: Annotated[int, Field(ge=0, le=100_000)] = 64
    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 4000
    order: Literal["cycle", "random"] = "random"
    world: ParityWorld = ParityWorld()
    images: BitImages = BitImages()
    num_train: Annotated[int, Field(ge=1, le=2**16)] = 128
    data_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    model: UNetSettings = UNetSettings().replace(
        widths=(16, 32, 48, 64), bottleneck_channels=64, depth=1, patch=4, heads=1
    )
    diffusion: Diffusion = Diffusion().replace(schedule="cosine", prediction_type="v")

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        self.model.check_size(self.size, max(self.batch, 1))
        if self.num_train > self.world.num_valid:
            valid = f"{self.world.num_valid:,}"
            raise BumplabError(
                f"Of {valid} valid images at most {valid} can be learned, got num_train {self.num_train}."
            )
        return self

    @property
    def size(self) -> int:
        """Side of an image in pixels."""
        return self.images.side(self.world.bits) * self.images.cell

    def network(self, device: torch.device | str = "cpu") -> UNet:
        """Return such a network; its own weights are nobody's."""
        return _network(self.model, str(device))  # pyright: ignore[reportArgumentType]  # frozen models have a hash

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        model = _new_network(self.model, self.seed)
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    def training_strings(self) -> torch.Tensor:
        """Return the strings that its images show, (N, D)."""
        return self.world.draw_strings(self.num_train, self.data_seed)

    def training_images(self) -> torch.Tensor:
        """Return the images that it learns from, (N, 1, size, size)."""
        return self.images.draw(self.training_strings())

    def samples(self) -> tuple[torch.Tensor]:
        """Return the training images, each as many times: a step has as many rows, however few they are."""
        return (self.training_images().repeat(max(self.batch, 1) // self.num_train + 1, 1, 1, 1),)

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack; each network draws timesteps and noise of its own."""
        first = members[0]
        model, diffusion = first.network(device), first.diffusion

        def one(weights: Weights, x0: torch.Tensor, t: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
            def network(*inputs: torch.Tensor) -> torch.Tensor:
                return functional_call(model, dict(weights), inputs)

            return diffusion.loss(network, x0, torch.zeros_like(x0[:, 0, 0, :2]), t, eps)

        mapped = over_stack(one)

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            (x0,) = batch
            draws = [diffusion.sample_timesteps_and_noise(own, each) for own, each in zip(x0, generators, strict=True)]
            t, eps = (torch.stack(part) for part in zip(*draws, strict=True))
            return mapped(weights, x0, t, eps)

        return loss

    def draw(self, weights: Weights, n: int, seed: int, steps: int = SAMPLER_STEPS) -> torch.Tensor:
        """Return images of one network, (n, 1, size, size), by the book's sampler.

        Examples
        --------
        >>> settings = ParityImageSettings()
        >>> settings.draw(settings.init_weights(), 3, seed=0).shape
        torch.Size([3, 1, 16, 16])
        """
        generator = torch.Generator().manual_seed(seed)
        return self.diffusion.sample(self._bind(weights), torch.zeros(n, 2), self.size, steps, generator=generator)

    def denoise(self, weights: Weights, noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what one network takes noisy images (n, 1, size, size) to be, within -1 and 1."""
        with torch.no_grad():
            output = self._bind(weights)(noisy, t, torch.zeros(len(noisy), 2))
        return self.diffusion.to_x0_and_eps(output, noisy, t)[0].clamp(-1, 1)

    def _bind(self, weights: Weights):
        model = self.network()
        return lambda *inputs: functional_call(model, dict(weights), inputs)

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what its images show, and how far its predictions lie from the exact ones.

        Of ``samples``: what :func:`~bumplab.toys.parity.count_samples` says of bumps decided by whether their amplitude
        is above a half, and the share whose amplitudes are all ``decided`` within 0.1 of a bit, and valid. New noise
        each time: the weights make its seed. Of predictions on noisy training images (``train``) and on other valid
        ones (``new``): the squared ``error`` of the amplitude of a bump, as of a bit, and the squared distance to the
        denoisers that know the ``rule``, ``copy``, and take bits to be ``independent``.
        """
        seed = zlib.crc32(weights["head.bias"].numpy().tobytes()) + self.seed
        read = self.images.read(self.draw(weights, _SAMPLES, seed))
        decided = self.world.is_valid(decode_bits(read, 0.1)).float().mean()
        counts = count_samples(self.world, decode_bits(read), self.training_strings())
        measured = {"samples": {**counts, "decided": float(decided)}}
        for part, (noisy, t, truths) in _questions(
            self.world,  # pyright: ignore[reportArgumentType]  # frozen models have a hash
            self.images,  # pyright: ignore[reportArgumentType]
            self.num_train,
            self.data_seed,
            self.diffusion,  # pyright: ignore[reportArgumentType]
        ).items():
            said = self.images.read(self.denoise(weights, noisy, t))
            measured[part] = {name: float((said - truth).square().mean()) for name, truth in truths.items()}
        return measured


def _new_network(model: UNetSettings, seed: int) -> UNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UNet(model)


@lru_cache(maxsize=32)
def _network(model: UNetSettings, device: str) -> UNet:
    return _new_network(model, 0).to(device)


@lru_cache(maxsize=64)
def _questions(
    world: ParityWorld, images: BitImages, num_train: int, data_seed: int, diffusion: Diffusion
) -> dict[str, tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]]:
    """Return training and new images: noisy, the timesteps of the noise, and what exact denoisers say of their bits."""
    n = _IMAGES_PER_SIGMA * len(_SIGMAS)
    training = world.draw_strings(num_train, data_seed)
    generator = torch.Generator().manual_seed(2605)
    t = timestep_at(diffusion, torch.tensor(_SIGMAS)).repeat_interleave(_IMAGES_PER_SIGMA)
    others = world.draw_strings(min(world.num_valid, 2 * num_train + n), data_seed + 1)
    others = others[~find_copies(others, training)]
    questions = {}
    for part, strings in (("train", training), ("new", others)):
        if not len(strings):
            continue
        clean = strings[torch.randint(len(strings), (n,), generator=generator)]
        x0 = images.draw(clean)
        noisy = diffusion.add_noise(x0, torch.randn(x0.shape, generator=generator), t)
        signal, noise = diffusion.signal_and_noise_scale(t)
        evidence = images.evidence(noisy / signal, (noise / signal).flatten())
        means = parity_mean(evidence, world.group), memorised_mean(evidence, training), independent_mean(evidence)
        exact = dict(zip(("rule", "copy", "independent"), (mean.float() for mean in means), strict=True))
        questions[part] = noisy, t, {"error": clean, **exact}
    return questions
