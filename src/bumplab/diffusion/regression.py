"""The control without diffusion: the same network, asked for the image at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from bumplab.diffusion.process import Denoiser, Diffusion


class Regression(Diffusion):
    """Regression of the image on its condition: no noise, and one step draws.

    Takes the place of a :class:`~bumplab.diffusion.process.Diffusion`. What the network sees is blank, the timestep is
    always 0, and the loss is the squared error of the image. Whatever such a network shows needs no diffusion.

    Attributes
    ----------
    kind : {"regression"}
    timesteps : int
        A network may be read at timesteps up to T - 1, of which it knows 0 alone.
    prediction_type : {"x0"}

    Examples
    --------
    >>> from bumplab.training import preset
    >>> preset("smoke", diffusion={"kind": "regression"}).diffusion
    Regression(kind='regression', timesteps=1000, schedule='linear', prediction_type='x0')
    """

    kind: Literal["regression"]  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
    prediction_type: Annotated[Literal["x0"], Field(alias="predicts")] = "x0"  # pyright: ignore[reportIncompatibleVariableOverride]

    def add_noise(self, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what the network sees: nothing.

        Examples
        --------
        >>> x0 = torch.ones(1, 1, 2, 2)
        >>> Regression(kind="regression").add_noise(x0, x0, torch.zeros(1)).unique().tolist()
        [0.0]
        """
        return torch.zeros_like(x0)

    def sample_timesteps_and_noise(
        self, x0: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return timestep 0 and no noise, and draw nothing.

        Examples
        --------
        >>> t, eps = Regression(kind="regression").sample_timesteps_and_noise(torch.ones(3, 1, 8, 8), torch.Generator())
        >>> t.tolist(), eps.any().item()
        ([0, 0, 0], False)
        """
        return torch.zeros(len(x0), dtype=torch.long, device=x0.device), torch.zeros_like(x0)

    def step(self, output: torch.Tensor, x: torch.Tensor, t: torch.Tensor, s: torch.Tensor, *_: Any, **__: Any):
        """Return (x_s, predicted x0): at the end, s = -1, the image; before it nothing, as in training.

        Examples
        --------
        >>> regression, x = Regression(kind="regression"), torch.zeros(1, 1, 2, 2)
        >>> ends = [regression.step(x + 0.5, x, torch.tensor([9.0]), torch.tensor([s])) for s in (0.0, -1.0)]
        >>> [x.unique().tolist() for x, _ in ends]
        [[0.0], [0.5]]
        """
        x0 = output.clamp(-1, 1)
        return torch.where(s[:, None, None, None] < 0, x0, torch.zeros_like(x0)), x0

    def sampling_timesteps(self, steps: int, start: float | None = None) -> torch.Tensor:
        """Return the one timestep that is known, and the end; both arguments are checked as those of a diffusion.

        Examples
        --------
        >>> Regression(kind="regression").sampling_timesteps(50).tolist()
        [0.0, -1.0]
        """
        super().sampling_timesteps(steps, start)
        return torch.tensor([0.0, -1.0], dtype=torch.float64)

    @torch.no_grad()
    def sample_trajectory(
        self, model: Denoiser, mu: torch.Tensor, size: int, *args: Any, **keywords: Any
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the image that the network draws, once. Parameters are those of a diffusion.

        Examples
        --------
        >>> regression, mu = Regression(kind="regression"), torch.zeros(3, 2)
        >>> [x.unique().tolist() for x, _ in regression.sample_trajectory(lambda x, t, mu: x + 0.5, mu, size=8)]
        [[0.5]]
        """
        keywords["noise"] = torch.zeros(len(mu), 1, size, size)
        yield from super().sample_trajectory(model, mu, size, *args, **keywords)
