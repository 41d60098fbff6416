"""Images of many overlapping bumps, and how much of their best denoiser mean and covariance explain.

The brightness of B bumps, each at a place of its own, is added. The more of them there are, the more the images are
like Gaussian ones: a dial between one bump, whose images no Gaussian describes, and the central limit. The best
denoiser is a mean over all B places at once, of which there are too many; the places behind a noisy image are drawn
instead, one bump after the other given the rest, which for each of them is the posterior of one bump (Gibbs sampling).
"""

from __future__ import annotations

import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic_gaussian import GaussianDenoiser
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import gaussian_of_world
from bumplab.worlds.bumps import BumpWorld


class OverlappingBumps:
    """Images of several bumps, each at any place of a periodic lattice.

    Parameters
    ----------
    world : BumpWorld
        Of one bump; periodic, of step 1, all of which training shows.
    bumps : int
        B, 1 to 10,000.

    Raises
    ------
    BumplabError
        For another number of bumps, or a world whose images form no such lattice.

    Examples
    --------
    >>> pairs = OverlappingBumps(BumpWorld(size=8, periodic=True), 2)
    >>> places = pairs.draw(5, torch.Generator().manual_seed(0))
    >>> places.shape, pairs.render(places).shape
    (torch.Size([5, 2]), torch.Size([5, 1, 8, 8]))
    """

    def __init__(self, world: BumpWorld, bumps: int) -> None:
        if not 1 <= bumps <= 10_000:
            raise BumplabError(f"Images hold 1 to 10,000 bumps, got {quote(bumps)}.")
        single = gaussian_of_world(world)
        self.bumps, self._lattice = bumps, LatticeDenoiser(world)
        self._glow = world.render(world.lattice()) + 1
        #: Mean and covariance of the images.
        self.gaussian = GaussianDenoiser(bumps * (single.mean + 1) - 1, bumps * single.variances)

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Return places of the bumps of n images, (n, B): rows of the lattice."""
        return torch.randint(len(self._glow), (n, self.bumps), generator=generator)

    def render(self, places: torch.Tensor) -> torch.Tensor:
        """Return the images (n, 1, N, N) of places (n, B): -1 is black, and where bumps overlap it may exceed 1."""
        images = torch.full((len(places), *self._glow.shape[1:]), -1.0)
        for place in places.T:
            images += self._glow[place]
        return images

    def redraw(self, x: torch.Tensor, sigma: float, places: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw the place of each bump anew, given noisy images and the places of all others.

        Repeated, it draws from the posterior of all places; a start that is such a draw stays one.

        Parameters
        ----------
        x : torch.Tensor, (n, 1, N, N)
            Images x0 + sigma z.
        sigma : float
        places : torch.Tensor, (n, B)
        generator : torch.Generator

        Returns
        -------
        torch.Tensor, (n, B)

        Examples
        --------
        >>> pairs, generator = OverlappingBumps(BumpWorld(size=8, periodic=True), 2), torch.Generator().manual_seed(0)
        >>> places = torch.tensor([[9, 43]])
        >>> pairs.redraw(pairs.render(places), 0.1, places, generator).tolist()  # no noise: no doubt
        [[9, 43]]
        """
        places, rest = places.clone(), x - self.render(places)
        for bump in range(self.bumps):
            own = rest + self._glow[places[:, bump]]
            weights = self._lattice.weights(own - 1, sigma)
            places[:, bump] = torch.multinomial(weights, 1, generator=generator)[:, 0]
            rest = own - self._glow[places[:, bump]]
        return places


def gaussian_share(overlaps: OverlappingBumps, sigma: float, n: int = 64, sweeps: int = 12, seed: int = 0) -> float:
    """Return how much of the best denoiser of overlapping bumps the Gaussian of their mean and covariance explains.

    The image behind a noisy one, and one drawn from the posterior by another start, are independent given the noisy
    one: the product of their distances from the Gaussian's guess is, on average, the square of that of the best
    denoiser, which itself is never needed.

    Parameters
    ----------
    overlaps : OverlappingBumps
    sigma : float
        Noise level, above 0. Below about half of the standard deviation of a pixel a posterior of many bumps is drawn
        too slowly.
    n : int
        Noisy images.
    sweeps : int
        Of :meth:`OverlappingBumps.redraw`, from places at random; the first third is not used.
    seed : int

    Returns
    -------
    float
        As :func:`~bumplab.diffusion.analytic.explained_variance` about the mean, with the error of n images.

    Examples
    --------
    >>> world = BumpWorld(size=8, periodic=True)
    >>> gaussian_share(OverlappingBumps(world, 1), 1.0) < gaussian_share(OverlappingBumps(world, 16), 1.0)
    True
    """
    if not sweeps >= 3:
        raise BumplabError(f"Places are drawn in 3 sweeps or more, got {quote(sweeps)}.")
    generator = torch.Generator().manual_seed(seed)
    clean = overlaps.render(overlaps.draw(n, generator))
    x = clean + sigma * torch.randn(clean.shape, generator=generator)
    places, others = overlaps.draw(n, generator), torch.zeros_like(clean)
    for sweep in range(sweeps):
        places = overlaps.redraw(x, sigma, places, generator)
        if sweep >= sweeps // 3:
            others += overlaps.render(places) / (sweeps - sweeps // 3)
    guess, mean = overlaps.gaussian(x, sigma), overlaps.gaussian.mean.to(x)
    return 1 - (((clean - guess) * (others - guess)).sum() / ((clean - mean) * (others - mean)).sum()).item()
