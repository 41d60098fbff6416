"""Where is the bump? Finding bumps and stripes in generated images, and accuracy with intervals.

The estimator is a matched filter that knows sigma: among all centres whose clean image would show a peak of
at least half the full brightness inside the window, it takes the one whose template correlates best with the
image, refines it by least squares, subtracts the fitted bump and looks again.

* A bump *counts* when its fitted peak brightness inside the window is at least one half.
* Fewer than the condition asks for is ``none``, more is ``several``; the right number, but more than the
  tolerance away on some axis, is ``misplaced``; the rest is ``right``.

These definitions are ours: the paper does not state its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import torch
from scipy.stats import norm

from bumplab.base import BumplabError
from bumplab.diffusion import Denoiser, Diffusion
from bumplab.worlds import Region, World, region

#: Categories of a generated image, in the order of their codes.
CATEGORIES = ("none", "several", "misplaced", "right")
TOLERANCE = 1.0  # pixels
_FINE = 0.05  # pixels between candidate centres, before a parabola through the best three


@dataclass(frozen=True)
class Found:
    """What was seen in n images.

    Attributes
    ----------
    count : torch.Tensor, (n, 2), int64
        How many were found: 0, 1 or 2 (two or more). For bumps both columns are equal; for SOS column 0
        counts vertical stripes, column 1 horizontal ones.
    centre : torch.Tensor, (n, 2), float32
        Estimated (mu_x, mu_y) of the brightest one in label coordinates; NaN where nothing was found.
    """

    count: torch.Tensor
    centre: torch.Tensor


@dataclass(frozen=True)
class Share:
    """A share with its 95 % Wilson interval, and the number of cases behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(successes: int, n: int, confidence: float = 0.95) -> Share:
    """Return a share and its Wilson score interval (Wilson 1927); n = 0 gives NaN and the interval [0, 1]."""
    if n == 0:
        return Share(float("nan"), 0.0, 1.0, 0)
    z, p = norm.ppf((1 + confidence) / 2), successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Share(p, 0.0 if successes == 0 else low, 1.0 if successes == n else high, n)


class _Axis:
    """Templates along one axis: `templates` (m, N), their centres (m,) and peak brightness in the window (m,)."""

    def __init__(self, world: World, which: int, step: float, device: torch.device) -> None:
        reach = 0 if world.periodic else 1.2 * world.sigma[which]
        low, high = world.margin - reach, world.margin + world.size - (0 if world.periodic else 1) + reach
        centres = torch.arange(low, high + (0 if world.periodic else step / 2), step, device=device)
        templates = world.profile(centres, which)
        shown = templates.max(1).values >= 0.5
        self.centres, self.templates = centres[shown], templates[shown]
        self.peaks = self.templates.max(1).values

    def zero_mean(self) -> _Axis:
        self.templates = self.templates - self.templates.mean(1, keepdim=True)
        return self

    def fit(self, profiles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return centre (n,), fitted peak brightness (n,) and index (n,) of the best template for profiles (n, N)."""
        norms = self.templates.norm(dim=1)
        score = profiles @ (self.templates / norms[:, None]).T
        best = score.argmax(1)
        inner = best.clamp(1, len(self.centres) - 2)
        left, middle, right = (score.gather(1, (inner + k)[:, None])[:, 0] for k in (-1, 0, 1))
        curvature = (left - 2 * middle + right).clamp(max=-1e-12)
        shift = (0.5 * (left - right) / curvature).clamp(-0.5, 0.5) * (best == inner)
        step = self.centres[1] - self.centres[0]
        amplitude = score.gather(1, best[:, None])[:, 0] / norms[best]
        return self.centres[best] + shift * step, amplitude * self.peaks[best], best


def find(images: torch.Tensor, world: World) -> Found:
    """Find bumps or stripes in images.

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
        Generated or clean images, about [-1, 1].
    world : World
        Gives kind, sigma, margin and edges; its lattice is not used. ``"sos"`` looks for stripes, the others for
        bumps.

    Notes
    -----
    On clean images the centre is exact to 0.05 pixels for sigma from 0.5 to 20, wherever the bump shows at
    least half its brightness in some pixel. For smaller sigma a bump between pixels is invisible, and a single
    bright pixel does not tell where inside it the centre lies.
    """
    brightness = world.brightness(images.float())
    return (_find_stripes if world.kind == "sos" else _find_bumps)(brightness, world)


def _find_stripes(brightness: torch.Tensor, world: World) -> Found:
    counts, centres = [], []
    for which in (0, 1):
        # The other axis' stripe adds a constant to a mean profile; zero-mean templates do not see constants.
        profile = brightness.mean(1 + which)
        axis = _Axis(world, which, _FINE, brightness.device).zero_mean()
        centre, peak, _ = axis.fit(profile)
        rest = profile - peak[:, None] * world.profile(centre, which) / world.profile(centre, which).amax(1)[:, None]
        _, second, _ = axis.fit(rest)
        found = peak >= 0.5
        counts.append(found.long() + (found & (second >= 0.5)).long())
        centres.append(torch.where(found, centre, torch.nan))
    return Found(torch.stack(counts, 1), torch.stack(centres, 1))


def _find_bumps(brightness: torch.Tensor, world: World) -> Found:
    coarse = [_Axis(world, which, min(1.0, world.sigma[which] / 2), brightness.device) for which in (0, 1)]
    fine = [_Axis(world, which, _FINE, brightness.device) for which in (0, 1)]
    centre, peak = _best_bump(brightness, world, coarse, fine)
    column, row = world.profile(centre[:, 0], 0), world.profile(centre[:, 1], 1)
    bump = row[:, :, None] * column[:, None, :]
    rest = brightness - (peak / bump.amax((1, 2)))[:, None, None] * bump
    _, second = _best_bump(rest, world, coarse, fine)
    found = peak >= 0.5
    count = found.long() + (found & (second >= 0.5)).long()
    return Found(count[:, None].repeat(1, 2), torch.where(found[:, None], centre, torch.nan))


def _best_bump(brightness, world, coarse, fine) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = (a.templates / a.templates.norm(dim=1, keepdim=True) for a in coarse)
    score = y @ brightness @ x.T  # (n, m_y, m_x)
    score = score.masked_fill(coarse[1].peaks[:, None] * coarse[0].peaks < 0.5, -torch.inf)
    best_y, best_x = np.unravel_index(score.flatten(1).argmax(1).cpu().numpy(), score.shape[1:])
    row = coarse[1].templates[torch.from_numpy(best_y).to(brightness.device)]
    for _ in range(2):  # each axis in turn, given the other
        profile = (brightness * row[:, :, None]).sum(1) / (row**2).sum(1)[:, None]
        centre_x, _, _ = fine[0].fit(profile)
        column = world.profile(centre_x, 0)
        profile = (brightness * column[:, None, :]).sum(2) / (column**2).sum(1)[:, None]
        centre_y, peak_y, _ = fine[1].fit(profile)
        row = world.profile(centre_y, 1)
    return torch.stack([centre_x, centre_y], 1), peak_y * column.amax(1)


@dataclass(frozen=True)
class Evaluation:
    """Generated images judged against their conditions.

    Attributes
    ----------
    mu : torch.Tensor, (n, 2)
        The conditions asked for.
    found : Found
    error : torch.Tensor, (n, 2)
        Estimated minus true centre in pixels, the short way round on periodic worlds; NaN where undefined.
    axis_category, category : torch.Tensor, (n, 2) and (n,), int64
        Codes into :data:`CATEGORIES`, per axis and for the whole image.
    """

    mu: torch.Tensor
    found: Found
    error: torch.Tensor
    axis_category: torch.Tensor
    category: torch.Tensor

    def __getitem__(self, rows: slice | torch.Tensor) -> Evaluation:
        """Return the part of it in `rows`: a slice, a mask (n,) or indices."""
        found = Found(self.found.count[rows], self.found.centre[rows])
        return Evaluation(self.mu[rows], found, self.error[rows], self.axis_category[rows], self.category[rows])

    def inside(self, where: Region | str, extent: float) -> Evaluation:
        """Return the part of it in a region of a label space [0, extent)^2."""
        return self[region(where).contains(self.mu, extent)]

    @property
    def right(self) -> torch.Tensor:
        """Which images are right, boolean (n,)."""
        return self.category == CATEGORIES.index("right")

    def rate_by(self, key: torch.Tensor, most: int, min_images: int = 1) -> np.ndarray:
        """Return the share of right images for each value of a whole number, such as a distance to training images.

        Parameters
        ----------
        key : torch.Tensor, (n,), int64
            0 or more, one for each image.
        most : int
            Larger keys count as this one.
        min_images : int
            With fewer images of a value there is no rate.

        Returns
        -------
        numpy.ndarray, (most + 1,), float64
            NaN where there is no rate.

        Raises
        ------
        BumplabError
            If the key is not a whole number from 0 on for each image.

        Examples
        --------
        >>> world = World()
        >>> mu = torch.tensor([[4.0, 4.0], [9.0, 9.0], [20.0, 20.0]])
        >>> drawn = judge(world.render(torch.tensor([[4.0, 4.0], [9.0, 4.0], [20.0, 20.0]])), mu, world)
        >>> drawn.rate_by(torch.tensor([1, 1, 3]), most=2).tolist()
        [nan, 0.5, 1.0]
        """
        if key.shape != self.category.shape or key.is_floating_point() or (len(key) and key.min() < 0):
            raise BumplabError(f"rate_by needs a whole number from 0 on for each of {len(self.mu)} images.")
        key = key.cpu().clamp(max=most)
        total = torch.bincount(key, minlength=most + 1).numpy()
        hits = torch.bincount(key[self.right.cpu()], minlength=most + 1).numpy()
        return np.where(total >= max(1, min_images), hits / np.maximum(total, 1), np.nan)

    def accuracy(self, which: str = "joint") -> Share:
        """Return the share of right images: ``"joint"``, or ``"x"`` or ``"y"`` alone, with its Wilson interval."""
        codes = {"joint": self.category, "x": self.axis_category[:, 0], "y": self.axis_category[:, 1]}[which]
        return wilson(int((codes == CATEGORIES.index("right")).sum()), len(codes))

    def shares(self) -> dict[str, float]:
        """Return the share of images in each category."""
        return {name: float((self.category == code).float().mean()) for code, name in enumerate(CATEGORIES)}


def join(parts: Iterable[Evaluation]) -> Evaluation:
    """Return several evaluations as one, in their order."""
    several = list(parts)

    def whole(name: str) -> torch.Tensor:
        return torch.cat([attrgetter(name)(part) for part in several])

    found = Found(whole("found.count"), whole("found.centre"))
    return Evaluation(whole("mu"), found, whole("error"), whole("axis_category"), whole("category"))


def judge(images: torch.Tensor, mu: torch.Tensor, world: World, tolerance: float = TOLERANCE) -> Evaluation:
    """Judge images (n, 1, N, N) made for conditions `mu` (n, 2); `tolerance` is in pixels, per axis."""
    found = find(images, world)
    mu = mu.to(found.centre.device)
    if world.kind == "bump+stripes":  # bumps where both labels are in the window, stripes for the others
        shown = world.within(mu).float()
        single = shown.prod(1) == 0
        stripes = _find_stripes(world.brightness(images[single].float()), world)
        found.count[single], found.centre[single] = stripes.count, stripes.centre
    else:
        shown = torch.stack([world.profile(mu[:, k], k).amax(1) for k in (0, 1)], 1)
    if world.kind == "bump":
        shown = shown.prod(1, keepdim=True).expand(-1, 2)
    # A peak near one half is at the edge of what counts as shown: the image may then be seen either way.
    least, most = (shown >= 0.55).long(), (shown >= 0.45).long()
    error = world.wrap(found.centre - mu)
    missed = (found.count > 0) & (error.abs() > tolerance)
    axis = torch.full_like(found.count, CATEGORIES.index("right"))
    axis[missed] = CATEGORIES.index("misplaced")
    axis[found.count > most] = CATEGORIES.index("several")
    axis[found.count < least] = CATEGORIES.index("none")
    return Evaluation(mu, found, error, axis, axis.amin(1))


def baselines(world: World, mu: torch.Tensor, seed: int = 0) -> dict[str, Evaluation]:
    """Judge what a model that knows nothing of its condition would draw for conditions `mu` (n, 2).

    Returns
    -------
    dict
        ``chance``: clean images of training conditions, drawn at random; ``blank``: black images.
    """
    seen = world.seen()
    rows = torch.randint(len(seen), (len(mu),), generator=torch.Generator().manual_seed(seed))
    images = world.render(seen[rows])
    return {"chance": judge(images, mu, world), "blank": judge(torch.full_like(images, -1.0), mu, world)}


def evaluate(
    model: Denoiser,
    world: World,
    diffusion: Diffusion,
    mu: torch.Tensor,
    steps: int = 10,
    eta: float = 0.0,
    seed: int = 0,
    batch: int = 1024,
) -> Evaluation:
    """Generate one image for each condition and judge it.

    Parameters
    ----------
    model : callable (x, t, mu) -> output
    mu : torch.Tensor, (n, 2)
        Conditions, on the model's device.
    steps, eta
        Sampler, see :meth:`bumplab.diffusion.Diffusion.sample`.
    seed : int
        Seed of the initial noise.
    batch : int
        Images generated at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    images = []
    for part in mu.split(batch):
        images.append(diffusion.generate(model, part, world.size, steps, eta, generator))
    return judge(torch.cat(images), mu, world)
