"""Worlds of images: Gaussian bumps and sums of stripes on a lattice of centres (Fig. 1 of the paper).

A *world* fixes what can be drawn (kind, size, sigma, edges) and which centres are shown in training
(spacing, held-out region, random fraction). A centre is a *condition*: a point (mu_x, mu_y) in label
space, in pixels. Pixel (row i, column j) of an image stands at (mu_x, mu_y) = (j + margin, i + margin).
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError, quote
from bumplab.worlds.regions import Region, parse_region

#: Most conditions of a lattice: it is looked through whenever a world is made.
MAX_CONDITIONS = 1_000_000


def _both(value: Any) -> Any:
    """Return a single number as the number of each axis."""
    return (value, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Positive = Annotated[float, Field(gt=0)]
Pair = Annotated[tuple[Positive, Positive], BeforeValidator(_both)]
Width = Annotated[float, Field(ge=0.05, le=1000)]
Sigma = Annotated[tuple[Width, Width], BeforeValidator(_both)]
RegionField = Annotated[Any, BeforeValidator(parse_region), PlainSerializer(lambda r: None if r is None else str(r))]


class BumpWorld(FrozenConfig):
    """What is drawn and what is shown in training.

    Attributes
    ----------
    kind : {"bump", "sos", "bump+stripes"}
        ``"bump"``: one 2D Gaussian, exp(-(j - mu_x)^2 / 2 sigma_x^2 - (i - mu_y)^2 / 2 sigma_y^2).
        ``"sos"``, sum of stripes: a vertical 1D Gaussian stripe at mu_x plus a horizontal one at mu_y.
        ``"bump+stripes"``: a bump where both labels lie in the window; a single stripe where one of them lies in
        the margin, at the other one (Fig. 4g, Fig. 5b); black where both do. Needs a margin.
    size : int
        N, the side of the visible window in pixels (4 to 512).
    sigma : (float, float)
        Standard deviations (sigma_x, sigma_y) in pixels, 0.05 to 1,000; a single number sets both.
    spacing : (float, float)
        Lattice steps (d_x, d_y) in pixels; a single number sets both. Any positive value up to the extent that
        makes at most a million conditions.
    periodic : bool
        Wrap distances round the window's edges; label space is then a torus. Needs margin 0 and spacings
        that divide the size.
    margin : float
        Width of the frame of label space around the window, in pixels (0 to 512; the paper's extended frame: 6).
    held_out : Region, str or None
        Conditions kept out of training; see :func:`~bumplab.worlds.regions.parse_region`.
    fraction : float
        Share of the remaining lattice shown in training, drawn at random without replacement (0 to 1).
    subsample_region : Region, str or None
        Where `fraction` applies; the rest is shown whole. None: everywhere.
    subsample_seed : int
        Seed of that draw. Draws are nested: a larger fraction contains a smaller one.

    Notes
    -----
    Brightness b is scaled to x = 2 b / peak - 1, with peak 2 for SOS and 1 for the others, so that images lie in
    [-1, 1]: black is -1 and the centre of a bump, or the crossing of two stripes, is +1.
    """

    kind: Literal["bump", "sos", "bump+stripes"] = "bump"
    size: Annotated[int, Field(ge=4, le=512)] = 32
    sigma: Sigma = (1.0, 1.0)
    spacing: Pair = (1.0, 1.0)
    periodic: bool = False
    margin: Annotated[float, Field(ge=0, le=512)] = 0.0
    held_out: RegionField = None
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    subsample_region: RegionField = Field(default=None, alias="thinned")
    subsample_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _possible(self) -> BumpWorld:
        if max(self.spacing) > self.extent:
            raise BumplabError(
                f"BumpWorld: spacing {max(self.spacing):g} is larger than the label space of {self.extent:g}."
            )
        if self.extent / self.spacing[0] * (self.extent / self.spacing[1]) > MAX_CONDITIONS:
            raise BumplabError(
                f"BumpWorld: spacing {min(self.spacing):g} is too fine; a lattice has at most a million conditions."
            )
        if self.kind == "bump+stripes" and not self.margin:
            raise BumplabError(
                "BumpWorld: bump+stripes needs a margin, whose labels stand for an axis without a stripe."
            )
        if self.periodic and self.margin:
            raise BumplabError("BumpWorld: a periodic world has no margin; set margin to 0 or periodic to false.")
        if self.periodic and any(abs(self.size / d - round(self.size / d)) > 1e-6 for d in self.spacing):
            raise BumplabError(f"BumpWorld: in a periodic world the spacing must divide the size {self.size}.")
        if not self._conditions[1].any():
            cause = f"held_out {quote(str(self.held_out or 'nothing'))} and fraction {self.fraction:g}"
            raise BumplabError(f"BumpWorld: nothing is left to train on with {cause}.")
        return self

    @property
    def extent(self) -> float:
        """Side of label space in pixels, size + 2 margin."""
        return self.size + 2 * self.margin

    @property
    def _conditions(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The lattice and which of it training sees, shared by all worlds that agree in them: not to be changed."""
        number = self.extent / self.spacing[0] * (self.extent / self.spacing[1])
        return (_lattice_and_mask if number < 100_000 else _large_lattice_and_mask)(
            self.extent, self.spacing, self.held_out, self.fraction, self.subsample_region, self.subsample_seed
        )

    def axis(self, which: int) -> torch.Tensor:
        """Return the lattice coordinates 0, d, 2d, ... below the extent along x (0) or y (1), float32."""
        return _axis(self.extent, self.spacing[which])

    def lattice(self) -> torch.Tensor:
        """Return every condition of the lattice, (n, 2) float32, columns mu_x and mu_y, mu_x running fastest.

        Examples
        --------
        >>> BumpWorld(size=4, spacing=2).lattice().tolist()
        [[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]
        """
        return self._conditions[0].clone()

    def seen_mask(self) -> torch.Tensor:
        """Return which rows of :meth:`lattice` training sees, boolean (n,).

        Examples
        --------
        >>> BumpWorld(size=4, spacing=2, held_out="band_x(1, 3)").seen_mask().tolist()
        [True, False, True, False]
        """
        return self._conditions[1].clone()

    def seen(self) -> torch.Tensor:
        """Return the training conditions, (n, 2) float32."""
        mu, seen = self._conditions
        return mu[seen]

    def unseen(self) -> torch.Tensor:
        """Return the lattice's conditions that training never shows, (n, 2) float32."""
        mu, seen = self._conditions
        return mu[~seen]

    def showing(self, region: Region | str) -> BumpWorld:
        """Return the world whose training shows this region alone: all else is held out.

        Parameters
        ----------
        region : Region or str
            See :func:`~bumplab.worlds.regions.parse_region`.

        Raises
        ------
        BumplabError
            If there is no region, it cannot be read, or nothing of the lattice lies in it.

        Examples
        --------
        >>> world = BumpWorld(size=4).showing("band_x(0, 2)")
        >>> world.held_out, world.seen()[:, 0].unique().tolist()
        (~band_x(0, 2), [1.0])
        """
        where = parse_region(region)
        if where is None:
            raise BumplabError("Give the region to show, such as 'box(0, 8, 0, 8)'; a new world shows all.")
        return self.replace(held_out=~where)

    def condition_splits(self, n: int) -> dict[str, torch.Tensor]:
        """Return at most `n` conditions of each of :meth:`seen` and :meth:`unseen` that has any, by those names."""
        whole = {"seen": self.seen(), "unseen": self.unseen()}
        return {name: subsample_evenly(mu, n) for name, mu in whole.items() if len(mu)}

    @property
    def peak(self) -> float:
        """Largest possible brightness, 1 for a bump, 2 where two stripes cross."""
        return 2.0 if self.kind == "sos" else 1.0

    def in_window(self, mu: torch.Tensor) -> torch.Tensor:
        """Return which labels of `mu` (n, 2) stand on the window's pixels, not in the margin: boolean (n, 2)."""
        return (mu >= self.margin - 0.5) & (mu < self.margin + self.size - 0.5)

    def profile(self, mu: torch.Tensor, which: int, sigma: torch.Tensor | None = None) -> torch.Tensor:
        """Return 1D Gaussian brightness (n, N) along x (0) or y (1) of centres `mu` (n,), in label coordinates.

        `sigma` (n, 2) gives each its own width instead of the world's.
        """
        pixels = torch.arange(self.size, dtype=mu.dtype, device=mu.device) + self.margin
        offset = self.wrap(pixels - mu[:, None])
        width = self.sigma[which] if sigma is None else sigma[:, which, None]
        return torch.exp(-(offset**2) / (2 * width**2))

    def wrap(self, offset: torch.Tensor) -> torch.Tensor:
        """Return signed distances along an axis: on a periodic world the short way round, in [-N/2, N/2)."""
        if not self.periodic:
            return offset
        return torch.remainder(offset + self.size / 2, self.size) - self.size / 2

    def render(self, mu: torch.Tensor, sigma: torch.Tensor | None = None) -> torch.Tensor:
        """Draw the images of conditions.

        Parameters
        ----------
        mu : torch.Tensor, (n, 2)
            Conditions (mu_x, mu_y) in label coordinates, in pixels.
        sigma : torch.Tensor, (n, 2), optional
            Standard deviations of each image, instead of the world's.

        Returns
        -------
        torch.Tensor, (n, 1, N, N), float32 in [-1, 1], on the device of `mu`.
        """
        mu = torch.as_tensor(mu, dtype=torch.float32)
        if mu.ndim != 2 or mu.shape[1] != 2:
            raise BumplabError(f"Conditions come as (n, 2), columns mu_x and mu_y; got shape {tuple(mu.shape)}.")
        column, row = self.profile(mu[:, 0], 0, sigma)[:, None, :], self.profile(mu[:, 1], 1, sigma)[:, :, None]
        if self.kind == "bump+stripes":
            x, y = self.in_window(mu).T[..., None, None]
            brightness = torch.where(x, column, 1.0) * torch.where(y, row, 1.0) * (x | y)
        else:
            brightness = row * column if self.kind == "bump" else row + column
        return (2 * brightness / self.peak - 1)[:, None]

    def brightness(self, images: torch.Tensor) -> torch.Tensor:
        """Undo the scaling: images (n, 1, N, N) in [-1, 1] to brightness (n, N, N), 0 for black."""
        return (images[:, 0] + 1) * self.peak / 2


def subsample_evenly(mu: torch.Tensor, n: int) -> torch.Tensor:
    """Return at most `n` rows of `mu`, evenly spread over its order, always the same ones."""
    if len(mu) <= n:
        return mu
    return mu[torch.linspace(0, len(mu) - 1, n).round().long()]


def _axis(extent: float, spacing: float) -> torch.Tensor:
    count = int(np.ceil(extent / spacing - 1e-6))
    return torch.arange(count, dtype=torch.float64, device="cpu").mul(spacing).float()


@functools.lru_cache(maxsize=64)
def _lattice_and_mask(
    extent: float,
    spacing: tuple[float, float],
    held_out: Region | None,
    fraction: float,
    subsample_region: Region | None,
    subsample_seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return every condition (n, 2) and which of them training sees (n,), made once for all that ask."""
    axes = _axis(extent, spacing[0]), _axis(extent, spacing[1])
    y, x = torch.meshgrid(axes[1], axes[0], indexing="ij")
    mu = torch.stack([x.reshape(-1), y.reshape(-1)], dim=1)
    seen = torch.ones(len(mu), dtype=torch.bool, device="cpu")
    if held_out is not None:
        seen &= ~held_out.contains_lattice(*axes, extent).reshape(-1)
    if fraction < 1:
        thin = seen if subsample_region is None else seen & subsample_region.contains_lattice(*axes, extent).reshape(-1)
        rows = torch.nonzero(thin)[:, 0]
        order = torch.from_numpy(np.random.default_rng(subsample_seed).permutation(len(rows)))
        seen[rows[order[round(fraction * len(rows)) :]]] = False
    return mu, seen


#: Lattices of up to 10 million conditions take 90 MB each: a list of runs must not keep them all.
_large_lattice_and_mask = functools.lru_cache(maxsize=2)(_lattice_and_mask.__wrapped__)
