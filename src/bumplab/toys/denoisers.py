"""What toys that denoise vectors have in common: a perceptron hears noisy numbers, and how noisy they are.

Data are vectors within -1 and 1. The perceptron takes the place of the UNet in the book's diffusion and its sampler.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field

from bumplab.diffusion.process import Diffusion
from bumplab.models.perceptrons import init_perceptron, perceptron, solo
from bumplab.toys.settings import StackLoss, ToySettings, Weights

#: Steps of DDIM in which samples are drawn.
SAMPLER_STEPS = 20


class DenoiserSettings(ToySettings):
    """A perceptron that denoises vectors.

    Attributes
    ----------
    data_seed : int
        Of the training set.
    width, depth : int
        Units in each of so many hidden layers.
    diffusion : Diffusion
        With the prediction of v, the loss is that of Karras et al. (arXiv:2206.00364) for data of variance 1.

    Examples
    --------
    >>> from bumplab.toys.parity import ParitySettings
    >>> settings = ParitySettings(width=8)  # one of its kind
    >>> weights = settings.init_weights()
    >>> settings.draw(weights, 3, seed=0).shape
    torch.Size([3, 16])
    >>> settings.denoise(weights, torch.zeros(2, 16), torch.tensor([9.0, 99.0])).shape
    torch.Size([2, 16])
    """

    stackable: ClassVar[frozenset[str]] = frozenset({"seed", "data_seed"})

    batch: Annotated[int, Field(ge=0, le=1_000_000)] = 256
    order: Literal["cycle", "random"] = "random"
    data_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    width: Annotated[int, Field(ge=1, le=1024)] = 256
    depth: Annotated[int, Field(ge=1, le=8)] = 3
    diffusion: Diffusion = Diffusion().replace(schedule="cosine", prediction_type="v")

    @property
    @abstractmethod
    def numbers(self) -> int:
        """Length of the vectors, D."""

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        widths = [self.numbers + 1, *[self.width] * self.depth, self.numbers]
        return init_perceptron(widths, torch.Generator().manual_seed(self.seed))

    def predict(self, weights: Weights, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what a stack says of noisy vectors x (M, n, D) at timesteps t (M, n), (M, n, D).

        It hears a quarter of the logarithm of noise over signal beside them, as in arXiv:2206.00364.
        """
        log = self.diffusion.log_alpha_bar(t.flatten()).view(*t.shape, 1)
        loudness = ((-torch.expm1(log)).log() - log) / 8
        return perceptron(weights, torch.cat([x, loudness], -1), "relu")[0]

    @classmethod
    def stack_loss(cls, members: Sequence[Self], device: torch.device) -> StackLoss:
        """Return the losses of a stack; each network draws timesteps and noise of its own."""
        first = members[0]
        diffusion = first.diffusion

        def loss(
            weights: Weights, batch: tuple[torch.Tensor, ...], generators: Sequence[torch.Generator]
        ) -> torch.Tensor:
            (x0,) = batch
            draws = [diffusion.sample_timesteps_and_noise(own, each) for own, each in zip(x0, generators, strict=True)]
            t, eps = (torch.stack(part) for part in zip(*draws, strict=True))
            clean, noise = (each.flatten(0, 1)[:, None, None] for each in (x0, eps))  # (M n, 1, 1, D): images, to it
            x = diffusion.add_noise(clean, noise, t.flatten()).view_as(x0)
            target = diffusion.target(clean, noise, t.flatten()).view_as(x0)
            return (first.predict(weights, x, t) - target).square().mean((1, 2))

        return loss

    def denoise(self, weights: Weights, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what one network takes noisy vectors x (n, D) at timesteps t (n,) to be, within -1 and 1."""
        with torch.no_grad():
            output = self.predict(solo(weights), x[None], t[None])[0]
        x0, _ = self.diffusion.to_x0_and_eps(output[:, None, None], x[:, None, None], t)
        return x0.view_as(x).clamp(-1, 1)

    def draw(self, weights: Weights, n: int, seed: int, steps: int = SAMPLER_STEPS) -> torch.Tensor:
        """Return samples of one network, (n, D), by the book's sampler."""
        noise = torch.randn(n, 1, 1, self.numbers, generator=torch.Generator().manual_seed(seed))
        return self.draw_from(weights, noise.flatten(1), steps)

    def draw_from(self, weights: Weights, noise: torch.Tensor, steps: int = SAMPLER_STEPS) -> torch.Tensor:
        """Return what becomes of noise (n, D), in the same shape; nothing is drawn at random on the way."""
        stacked = solo(weights)

        def model(x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
            return self.predict(stacked, x.flatten(1)[None], t[None]).view_as(x)

        images, mu = noise[:, None, None], torch.zeros(len(noise), 2)  # images, to the sampler
        return self.diffusion.sample(model, mu, self.numbers, steps, noise=images).flatten(1)
