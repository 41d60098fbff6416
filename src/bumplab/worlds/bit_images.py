"""Strings of bits as images: a square grid of cells, each with a bump or none.

An image is a linear function of its bits, so that all that is exact about noisy bits (:mod:`bumplab.worlds.parity`, and
the posterior means of :mod:`bumplab.diffusion.bit_posteriors`) is exact about noisy images: the pixels of a cell enter
through one number, their product with the bump.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError


class BitImages(FrozenConfig):
    """How bits become bumps: a bit of -1 is a bump in the middle of its cell, one of +1 an empty cell.

    Even parity of a group then says that it holds an even number of bumps.

    Attributes
    ----------
    cell : int
        Side of a cell in pixels, 2 to 16.
    sigma : float
        Width of a bump in pixels, 0.2 to a quarter of a cell, so that hardly anything of it leaves the cell.

    Examples
    --------
    >>> images = BitImages().draw(torch.tensor([[1.0, -1.0, 1.0, 1.0]]))
    >>> images.shape, [round(images[0, 0, :4, k : k + 4].max().item(), 2) for k in (0, 4)]
    (torch.Size([1, 1, 8, 8]), [-1.0, 1.0])
    >>> BitImages(sigma=3)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A bump of sigma 3 does not fit into a cell of 4 pixels: choose at most 1.
    """

    cell: Annotated[int, Field(ge=2, le=16)] = 4
    sigma: Annotated[float, Field(ge=0.2, le=8)] = 1.0

    def model_post_init(self, _context: object) -> None:
        """Refuse bumps that do not fit."""
        if self.sigma > self.cell / 4:
            raise BumplabError(
                f"A bump of sigma {self.sigma:g} does not fit into a cell of {self.cell} pixels: "
                f"choose at most {self.cell / 4:g}."
            )

    @property
    def bump(self) -> torch.Tensor:
        """Brightness of one bump in its cell, (cell, cell): 1 at its brightest pixels, cut off at the cell's edge."""
        at = torch.arange(self.cell) - (self.cell - 1) / 2
        profile = torch.exp(-at.square() / (2 * self.sigma**2))
        profile = profile / profile.max()
        return profile[:, None] * profile

    def side(self, bits: int) -> int:
        """Return how many cells stand side by side.

        Raises
        ------
        BumplabError
            If so many bits make no square.

        Examples
        --------
        >>> BitImages().side(16)
        4
        """
        side = math.isqrt(bits)
        if side**2 != bits:
            raise BumplabError(f"Bits of an image fill a square of cells, such as 4, 9 or 16; got {bits}.")
        return side

    def draw(self, strings: torch.Tensor) -> torch.Tensor:
        """Return strings (n, D) as images (n, 1, N, N), rows of cells one after the other; black is -1."""
        side = self.side(strings.shape[1])
        cells = ((1 - strings) / 2).view(-1, side, 1, side, 1) * self.bump[:, None]  # (n, row, y, column, x)
        return 2 * cells.reshape(len(strings), 1, side * self.cell, side * self.cell) - 1

    def read(self, images: torch.Tensor) -> torch.Tensor:
        """Return the amplitude of each cell's bump as a number like a bit, (n, D): -1 for a whole one, +1 for none.

        Examples
        --------
        >>> strings = torch.tensor([[1.0, -1.0, -1.0, 1.0]])
        >>> BitImages().read(BitImages().draw(strings)).round(decimals=4).tolist()
        [[1.0, -1.0, -1.0, 1.0]]
        """
        return 1 - self._overlap(images) / float(self.bump.square().sum())

    def evidence(self, images: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return half the logarithm of the odds of +1 against -1 of each bit in noisy images, (n, D), float64.

        Parameters
        ----------
        images : torch.Tensor, (n, 1, N, N)
            Images with noise added to them, image + sigma * eps.
        sigma : float or torch.Tensor, (n,)
            Above 0.

        Examples
        --------
        >>> strings = torch.tensor([[1.0, -1.0, -1.0, 1.0]])
        >>> h = BitImages().evidence(BitImages().draw(strings), 0.5)
        >>> h.sign().tolist(), h.abs().std().item() < 1e-6
        ([[1.0, -1.0, -1.0, 1.0]], True)
        """
        power = self.bump.double().square().sum()
        variance = torch.as_tensor(sigma).double().reshape(-1, 1) ** 2
        return (power - self._overlap(images.double())) / variance

    def _overlap(self, images: torch.Tensor) -> torch.Tensor:
        """Return the sums of bump * (image + 1) in each cell, (n, D)."""
        cells = (images[:, 0] + 1).unflatten(2, (-1, self.cell)).unflatten(1, (-1, self.cell))
        return torch.einsum("nrycx,yx->nrc", cells, self.bump.to(images.dtype)).flatten(1)
