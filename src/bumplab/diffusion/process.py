"""The diffusion core: noise schedules, what the network predicts, the loss, and one sampler.

Time runs over timesteps t = 0 .. T-1, as in Ho et al. (2020); t = -1 stands for the clean image. Every
function also takes real-valued t: log alpha_bar is interpolated, so a sampler may use any number of steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.schedules import log_alpha_bar_table

#: Most network calls for one image: ten for each of the most timesteps.
MAX_SAMPLER_STEPS = 100_000
#: A network, or a function in its place: noisy images x (n, 1, N, N), timesteps t (n,), conditions mu (n, 2) to output.
Denoiser = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Diffusion(FrozenConfig):
    """A noise schedule and what the network predicts.

    Attributes
    ----------
    kind : {"diffusion"}
    timesteps : int
        T, the number of noise levels (1000 in the paper's setting), 2 to 10,000; beyond, float32 loses the image.
    schedule : {"linear", "cosine"}
    prediction_type : {"eps", "v", "x0"}
        The noise; the velocity v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0 (Salimans & Ho 2022); or the
        clean image. The loss is the mean squared error of exactly this quantity.

    Examples
    --------
    >>> Diffusion(prediction_type="v")
    Diffusion(kind='diffusion', timesteps=1000, schedule='linear', prediction_type='v')
    """

    kind: Literal["diffusion"] = "diffusion"
    timesteps: Annotated[int, Field(ge=2, le=10_000)] = 1000
    schedule: Literal["linear", "cosine"] = "linear"
    prediction_type: Literal["eps", "v", "x0"] = Field(default="eps", alias="predicts")

    def log_alpha_bar(self, t: torch.Tensor) -> torch.Tensor:
        """Return log alpha_bar at real timesteps `t` (n,) in [-1, T-1], shaped (n, 1, 1, 1), float32.

        The logarithm keeps 1 - alpha_bar accurate where alpha_bar is almost 1.

        Examples
        --------
        >>> alpha_bar = Diffusion().log_alpha_bar(torch.tensor([-1.0, 0.0, 0.5])).exp()
        >>> [round(value, 5) for value in alpha_bar.flatten().tolist()]
        [1.0, 0.9999, 0.99984]
        """
        table = log_alpha_bar_table(self.schedule, self.timesteps, t.device)
        position = t.float().clamp(-1, self.timesteps - 1) + 1
        low = position.floor().long()
        high = (low + 1).clamp(max=self.timesteps)
        return torch.lerp(table[low], table[high], position - low)[:, None, None, None]

    def signal_and_noise_scale(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the signal's scale sqrt(alpha_bar) and the noise's sqrt(1 - alpha_bar), each (n, 1, 1, 1).

        `t` (n,) holds timesteps, whole or real, in [-1, T-1].

        Examples
        --------
        >>> signal, noise = Diffusion().signal_and_noise_scale(torch.tensor([-1.0, 500.0]))
        >>> (signal**2 + noise**2).flatten().round(decimals=4).tolist()
        [1.0, 1.0]
        """
        log = self.log_alpha_bar(t)
        return torch.exp(log / 2), torch.sqrt(-torch.expm1(log))

    def add_noise(self, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Forward process: x_t = sqrt(alpha_bar) x0 + sqrt(1 - alpha_bar) eps; images (n, 1, N, N), `t` (n,).

        Examples
        --------
        >>> x0, eps = torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
        >>> Diffusion().add_noise(x0, eps, torch.tensor([-1.0])).unique().tolist()  # t = -1 is the clean image
        [0.5]
        """
        signal, noise = self.signal_and_noise_scale(t)
        return signal * x0 + noise * eps

    def target(self, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what the network should output for this x0 and eps, each (n, 1, N, N), at timesteps `t` (n,).

        Examples
        --------
        >>> x0, eps = torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
        >>> targets = [Diffusion(prediction_type=p).target(x0, eps, torch.tensor([-1.0])) for p in ("eps", "v", "x0")]
        >>> [target.mean().item() for target in targets]
        [1.0, 1.0, 0.5]
        """
        signal, noise = self.signal_and_noise_scale(t)
        return {"eps": eps, "x0": x0, "v": signal * eps - noise * x0}[self.prediction_type]

    def to_x0_and_eps(
        self, output: torch.Tensor, x: torch.Tensor, t: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn a network's output at (x, t) into its (x0, eps): the inverse of :meth:`target`.

        Parameters
        ----------
        output, x : torch.Tensor, (n, 1, N, N)
        t : torch.Tensor, (n,)
            0 or more; where alpha_bar is 1 there is no noise to divide by.

        Examples
        --------
        >>> diffusion, t = Diffusion(prediction_type="v"), torch.tensor([300.0])
        >>> x0, eps = torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
        >>> both = diffusion.to_x0_and_eps(diffusion.target(x0, eps, t), diffusion.add_noise(x0, eps, t), t)
        >>> [round(part.mean().item(), 4) for part in both]
        [0.5, 1.0]
        """
        signal, noise = self.signal_and_noise_scale(t)
        if self.prediction_type == "eps":
            return (x - noise * output) / signal, output
        if self.prediction_type == "x0":
            return output, (x - signal * output) / noise
        return signal * x - noise * output, noise * x + signal * output

    def sample_timesteps_and_noise(
        self, x0: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what one training step draws for images `x0` (n, 1, N, N): timesteps (n,), and noise like `x0`.

        Examples
        --------
        >>> t, eps = Diffusion().sample_timesteps_and_noise(torch.zeros(3, 1, 8, 8), torch.Generator().manual_seed(0))
        >>> t.shape, eps.shape
        (torch.Size([3]), torch.Size([3, 1, 8, 8]))
        """
        t = torch.randint(self.timesteps, (len(x0),), generator=generator, device=x0.device)
        return t, torch.randn(x0.shape, generator=generator, device=x0.device)

    def loss(
        self, model: Denoiser, x0: torch.Tensor, mu: torch.Tensor, t: torch.Tensor, eps: torch.Tensor
    ) -> torch.Tensor:
        """Return the mean squared error of what the network predicts (Ho et al. 2020, eq. 14), a scalar.

        Parameters
        ----------
        model : callable (x, t, mu) -> output
        x0, mu : torch.Tensor, (n, 1, N, N) and (n, 2)
            Clean images and their conditions.
        t, eps : torch.Tensor, (n,) and (n, 1, N, N)
            See :meth:`sample_timesteps_and_noise`.

        Examples
        --------
        >>> black = lambda x, t, mu: torch.full_like(x, -1.0)
        >>> x0, eps = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
        >>> Diffusion(prediction_type="x0").loss(black, x0, torch.zeros(2, 2), torch.zeros(2), eps).item()  # (1 - -1)^2
        4.0
        """
        output = model(self.add_noise(x0, eps, t), t, mu)
        return torch.nn.functional.mse_loss(output.float(), self.target(x0, eps, t))

    def step(
        self,
        output: torch.Tensor,
        x: torch.Tensor,
        t: torch.Tensor,
        s: torch.Tensor,
        eta: float,
        noise: torch.Tensor | None = None,
        clip: bool = True,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Go from timestep `t` to the earlier `s`; return (x_s, predicted x0).

        Song et al. (2021), eq. 12: eta = 0 is DDIM, eta = 1 is ancestral DDPM sampling with the posterior
        variance, both for any s < t. With `clip`, the predicted x0 is clipped to [-1, 1] first.

        Parameters
        ----------
        output, x : torch.Tensor, (n, 1, N, N)
            Of the network at (x, t), and x.
        t, s : torch.Tensor, (n,)
            T-1 >= t > s >= -1.
        eta : float
            0 to 1.
        noise : torch.Tensor, (n, 1, N, N), optional
            Needed for eta above 0.
        clip : bool

        Examples
        --------
        >>> diffusion, x = Diffusion(prediction_type="x0"), torch.zeros(1, 1, 2, 2)
        >>> clean, _ = diffusion.step(torch.full_like(x, 0.5), x, torch.tensor([999.0]), torch.tensor([-1.0]), eta=0.0)
        >>> clean.unique().tolist()  # at s = -1 nothing but the predicted x0 is left
        [0.5]
        """
        x0, eps = self.to_x0_and_eps(output, x, t)
        if clip:
            x0 = x0.clamp(-1, 1)
            signal, level = self.signal_and_noise_scale(t)
            eps = (x - signal * x0) / level
        here, there = self.log_alpha_bar(t), self.log_alpha_bar(s)
        before, after = -torch.expm1(here), -torch.expm1(there)  # the noise's variance, 1 - alpha_bar
        posterior = after / before * -torch.expm1(here - there)  # variance
        # after - eta^2 posterior, written so that nothing cancels
        rest = (1 - eta**2) * after + eta**2 * torch.exp(here - there) * after**2 / before
        direction = rest.clamp(min=0).sqrt()
        x = torch.exp(there / 2) * x0 + direction * eps
        return (x if noise is None else x + eta * posterior.sqrt() * noise), x0

    def sampling_timesteps(self, steps: int, start: float | None = None) -> torch.Tensor:
        """Return `steps` + 1 timesteps from T-1 (pure noise), or from `start`, to -1 (clean), evenly spaced, real.

        Raises
        ------
        BumplabError
            For less than one step, or more than 100,000, or a start outside of the schedule.

        Examples
        --------
        >>> Diffusion(timesteps=1000).sampling_timesteps(4).tolist()
        [999.0, 749.0, 499.0, 249.0, -1.0]
        """
        if not 1 <= steps <= MAX_SAMPLER_STEPS:
            raise BumplabError(f"A sampler takes 1 to {MAX_SAMPLER_STEPS:,} steps, got {quote(steps)}.")
        first = self.timesteps - 1 if start is None else start
        if not 0 <= first < self.timesteps:
            raise BumplabError(f"Sampling starts at a timestep from 0 to {self.timesteps - 1}, got {quote(start)}.")
        return torch.linspace(first, -1, steps + 1, dtype=torch.float64)

    @torch.no_grad()
    def sample_trajectory(
        self,
        model: Denoiser,
        mu: torch.Tensor,
        size: int,
        steps: int = 50,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
        clip: bool = True,
        noise: torch.Tensor | None = None,
        start: float | None = None,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Generate images for conditions, yielding (x, predicted x0) after every step.

        Parameters
        ----------
        model : callable (x, t, mu) -> output
        mu : torch.Tensor, (n, 2)
            Conditions in pixels; images are made on its device.
        size : int
            N.
        steps : int
            Number of network calls, 1 to 100,000.
        eta : float
            0 for DDIM, 1 for DDPM.
        generator : torch.Generator, optional
            A CPU generator: noise is drawn there, so that it is the same on every device.
        clip : bool
            Clip each predicted x0 to [-1, 1], see :meth:`step`.
        noise : torch.Tensor, (n, 1, N, N), optional
            What to start from, instead of a draw.
        start : float, optional
            Timestep of `noise`, 0 to T-1, which is then x there; T-1 unless given. Steps are spread over the rest.

        Examples
        --------
        >>> grey = lambda x, t, mu: torch.full_like(x, 0.5)
        >>> [x.shape for x, _ in Diffusion(prediction_type="x0").sample_trajectory(grey, torch.zeros(3, 2), 8, steps=2)]
        [torch.Size([3, 1, 8, 8]), torch.Size([3, 1, 8, 8])]
        """

        def randn() -> torch.Tensor:
            return torch.randn(len(mu), 1, size, size, generator=generator).to(mu.device)

        if start is not None and noise is None:
            raise BumplabError("Sampling that starts between noise and image needs x at its start, as noise.")
        x = randn() if noise is None else noise.to(mu.device)
        grid = self.sampling_timesteps(steps, start).float().to(mu.device)
        for t, s in zip(grid[:-1], grid[1:], strict=True):
            t, s = t.expand(len(mu)), s.expand(len(mu))
            x, x0 = self.step(model(x, t, mu).float(), x, t, s, eta, randn() if eta > 0 else None, clip)
            yield x, x0

    def sample(self, *args: Any, **keywords: Any) -> torch.Tensor:
        """Return the images (n, 1, N, N) at the end of :meth:`sample_trajectory`, which takes the same arguments.

        Examples
        --------
        >>> mu = torch.tensor([[2.0, 3.0]])
        >>> Diffusion(prediction_type="x0").sample(lambda x, t, mu: torch.zeros_like(x), mu, size=4, steps=3).norm()
        tensor(0.)
        """
        return deque(self.sample_trajectory(*args, **keywords), maxlen=1)[0][0]  # all of them may not fit into memory
