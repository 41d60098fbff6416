"""The best denoisers of known images: of any set, and of the book's lattice, where it is quick.

For images g_1 .. g_M, each as likely, the best denoiser is their mean, weighted with how likely each is behind x: the
softmax of (x . g - g . g / 2)/sigma^2. Of a training set it is the denoiser that has memorised it (the "delta" score of
Wang and Vastola 2024, arXiv:2412.09726).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic import column
from bumplab.worlds.bumps import BumpWorld

#: Most weights of images that are held at a time; with what leads to them 4 MB.
_CHUNK = 2**18
#: Weights and brightness below are 0: products of such numbers are denormal, and with those twenty times slower.
_NEGLIGIBLE = 1e-18


class MemorizedSet:
    """The best denoiser of a set of images, each as likely.

    Parameters
    ----------
    images : torch.Tensor, (M, 1, N, N)

    Raises
    ------
    BumplabError
        Unless there is at least one image, and all numbers are finite.

    Examples
    --------
    >>> memory = MemorizedSet(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1))
    >>> round(memory(torch.full((1, 1, 1, 1), 0.5), 1.0).item(), 4), round(torch.tensor(0.5).tanh().item(), 4)
    (0.4621, 0.4621)
    """

    def __init__(self, images: torch.Tensor) -> None:
        if images.ndim != 4 or not images.numel() or not torch.isfinite(images).all():
            raise BumplabError(f"A set to memorise is finite images (n, 1, N, N); got shape {tuple(images.shape)}.")
        self._images, self._shape = images.flatten(1), images.shape[1:]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return the mean of x0 for images `x` (n, 1, N, N) with noise `sigma`, (n,) or one for all."""
        result = torch.empty_like(x)
        for rows, weights in self._chunks(x, sigma):
            result[rows] = self._mean(weights)
        return result

    def weights(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return how likely each image of the set is behind each of `x`, (n, M); rows sum to 1.

        Parameters
        ----------
        x : torch.Tensor, (n, 1, N, N)
            Images x0 + sigma z.
        sigma : float or torch.Tensor, (n,)
            Noise levels above 0.

        Examples
        --------
        >>> memory = MemorizedSet(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1))
        >>> memory.weights(torch.zeros(1, 1, 1, 1), 1.0).tolist()
        [[0.5, 0.5]]
        """
        return torch.cat([weights for _, weights in self._chunks(x, sigma)])

    def likeliest(self, x: torch.Tensor) -> torch.Tensor:
        """Return which image of the set is the likeliest behind each of `x` (n, 1, N, N), whatever the noise: (n,).

        Examples
        --------
        >>> memory = MemorizedSet(torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1))
        >>> memory.likeliest(torch.tensor([0.3, -2.0]).reshape(2, 1, 1, 1)).tolist()
        [1, 0]
        """
        step = max(1, _CHUNK // len(self))
        return torch.cat([self._fit(some).argmax(1) for some in x.split(step)])

    def _chunks(self, x: torch.Tensor, sigma: torch.Tensor | float) -> Iterator[tuple[slice, torch.Tensor]]:
        if x.shape[1:] != self._shape:
            raise BumplabError(f"Images of shape {tuple(x.shape[1:])} are no noisy ones of {tuple(self._shape)}.")
        precision = (column(sigma, x) ** -2).expand(len(x), 1)
        step = max(1, _CHUNK // len(self))
        for first in range(0, len(x), step):
            rows = slice(first, first + step)
            weights = self._fit(x[rows]).mul_(precision[rows]).softmax(1)
            yield rows, weights.masked_fill_(weights < _NEGLIGIBLE, 0.0)

    def _fit(self, x: torch.Tensor) -> torch.Tensor:
        """Return x . g - g . g / 2 of every image, (n, M), but for what is the same for all of them."""
        images = self._images.to(x)
        return x.flatten(1) @ images.T - images.square().sum(1) / 2

    def _mean(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the weighted means of images, (n, 1, N, N)."""
        return (weights @ self._images.to(weights)).reshape(-1, *self._shape)


class LatticeDenoiser(MemorizedSet):
    """The best denoiser of the images of a world's lattice.

    The same as that of a :class:`MemorizedSet` of them. But a bump is a product of two profiles, and stripes are a sum
    of two: on an open or a periodic lattice of any step, products with all images are two small products of matrices,
    for 1,024 bumps a sixteenth of the work, and less than by Fourier transforms, which would need a periodic lattice.

    Parameters
    ----------
    world : BumpWorld
        Of kind ``"bump"`` or ``"sos"``.
    seen : bool
        Only the conditions that training shows, in place of all.

    Raises
    ------
    BumplabError
        For a world of another kind, whose images are no lattice of products or sums.

    Examples
    --------
    >>> world = BumpWorld(size=8)
    >>> lattice, x = LatticeDenoiser(world), world.render(torch.tensor([[3.0, 5.0]]))
    >>> lattice.weights(x, 0.5).argmax().item()  # mu_x runs fastest
    43
    >>> (lattice(x, 0.1) - x).abs().max().item() < 1e-6
    True
    """

    def __init__(self, world: BumpWorld, seen: bool = False) -> None:
        if world.kind not in ("bump", "sos"):
            raise BumplabError(
                f"The images of a world of kind {quote(world.kind)} form no lattice of products or sums of profiles; "
                "take a MemorizedSet of world.render(world.lattice())."
            )
        self._sum, self._shape = world.kind == "sos", torch.Size([1, world.size, world.size])
        profiles = (world.profile(world.axis(which).double(), which) for which in (0, 1))
        self._columns, self._rows = (profile.where(profile > _NEGLIGIBLE, 0.0) for profile in profiles)
        mask = world.seen_mask() if seen else torch.ones(len(world.lattice()), dtype=torch.bool)
        across, down = self._columns.square().sum(1), self._rows.square().sum(1)[:, None]
        if self._sum:
            overlap = self._columns.sum(1) * self._rows.sum(1)[:, None]
            norms = world.size * (across + down) + 2 * overlap
        else:
            norms = 4 * across * down
        self._offset = torch.where(mask, -norms.flatten() / 2, -torch.inf)

    def __len__(self) -> int:
        """Return the number of conditions of the lattice, shown or not: of weights."""
        return len(self._offset)

    def _fit(self, x: torch.Tensor) -> torch.Tensor:
        columns, rows, brightness = self._columns.to(x), self._rows.to(x), x[:, 0] + 1
        if self._sum:
            fit = (brightness.sum(2) @ rows.T)[:, :, None] + (brightness.sum(1) @ columns.T)[:, None]
        else:
            fit = _both_axes(brightness, 2 * rows.T, columns.T)
        return fit.flatten(1) + self._offset.to(x)

    def _mean(self, weights: torch.Tensor) -> torch.Tensor:
        columns, rows = self._columns.to(weights), self._rows.to(weights)
        weights = weights.reshape(-1, len(rows), len(columns))
        if self._sum:
            brightness = (weights.sum(2) @ rows)[:, :, None] + (weights.sum(1) @ columns)[:, None]
        else:
            brightness = _both_axes(weights, 2 * rows, columns)
        return brightness[:, None] - 1


def _both_axes(x: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """Return down^T x across for matrices x (n, a, b), as two large products: n small ones are ten times slower."""
    half = (x.reshape(-1, x.shape[2]) @ across).reshape(len(x), x.shape[1], -1).mT
    return (half.reshape(-1, x.shape[1]) @ down).reshape(len(x), across.shape[1], -1).mT
