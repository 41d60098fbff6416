"""Which images are right? Generated images scored against their conditions, accuracy with intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import torch

from bumplab.analysis.detection import Detections, detect, detect_stripes
from bumplab.common.errors import BumplabError
from bumplab.common.statistics import Proportion, wilson_interval
from bumplab.diffusion.process import Denoiser, Diffusion
from bumplab.worlds.bumps import BumpWorld
from bumplab.worlds.regions import Region, parse_region

#: Categories of a generated image, in the order of their codes.
CATEGORIES = ("none", "several", "misplaced", "right")
#: How far an estimated centre may lie from its condition, in pixels along each axis.
TOLERANCE = 1.0


@dataclass(frozen=True)
class Evaluation:
    """Generated images judged against their conditions.

    Attributes
    ----------
    world : BumpWorld
        Whose conditions they are, and whose images were asked for.
    mu : torch.Tensor, (n, 2)
        The conditions.
    detections : Detections
    error : torch.Tensor, (n, 2)
        Estimated minus true centre in pixels, the short way round on periodic worlds; NaN where undefined.
    axis_category : torch.Tensor, (n, 2), int64
        Codes into :data:`CATEGORIES`, for each axis.
    """

    world: BumpWorld
    mu: torch.Tensor
    detections: Detections
    error: torch.Tensor
    axis_category: torch.Tensor

    def __getitem__(self, rows: slice | torch.Tensor) -> Evaluation:
        """Return the part of it in `rows`: a slice, a mask (n,) or indices."""
        detections = Detections(self.detections.count[rows], self.detections.centre[rows])
        return Evaluation(self.world, self.mu[rows], detections, self.error[rows], self.axis_category[rows])

    def in_region(self, region: Region | str) -> Evaluation:
        """Return the part of it whose conditions lie in a region of its world's label space.

        Raises
        ------
        BumplabError
            If the region cannot be read, or there is none.

        Examples
        --------
        >>> world = BumpWorld(size=8)
        >>> evaluation = score_images(world.render(world.lattice()), world.lattice(), world)
        >>> len(evaluation.in_region("band_x(2, 5)").mu)
        16
        """
        where = parse_region(region)
        if where is None:
            raise BumplabError("Give a region, such as 'cross(13, 19)'; the evaluation itself holds all conditions.")
        return self[where.contains(self.mu, self.world.extent)]

    @property
    def category(self) -> torch.Tensor:
        """Codes of whole images into :data:`CATEGORIES`, (n,) int64: that of the worse axis."""
        return self.axis_category.amin(1)

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
        >>> world = BumpWorld()
        >>> mu = torch.tensor([[4.0, 4.0], [9.0, 9.0], [20.0, 20.0]])
        >>> images = world.render(torch.tensor([[4.0, 4.0], [9.0, 4.0], [20.0, 20.0]]))
        >>> score_images(images, mu, world).rate_by(torch.tensor([1, 1, 3]), most=2).tolist()
        [nan, 0.5, 1.0]
        """
        if key.shape != self.category.shape or key.is_floating_point() or (len(key) and key.min() < 0):
            raise BumplabError(f"rate_by needs a whole number from 0 on for each of {len(self.mu)} images.")
        key = key.cpu().clamp(max=most)
        total = torch.bincount(key, minlength=most + 1).numpy()
        hits = torch.bincount(key[self.right.cpu()], minlength=most + 1).numpy()
        return np.where(total >= max(1, min_images), hits / np.maximum(total, 1), np.nan)

    def accuracy(self, which: str = "joint") -> Proportion:
        """Return the share of right images: ``"joint"``, or ``"x"`` or ``"y"`` alone, with its Wilson interval."""
        codes = {"joint": self.category, "x": self.axis_category[:, 0], "y": self.axis_category[:, 1]}[which]
        return wilson_interval(int((codes == CATEGORIES.index("right")).sum()), len(codes))

    def category_rates(self) -> dict[str, float]:
        """Return the share of images in each category."""
        return {name: float((self.category == code).float().mean()) for code, name in enumerate(CATEGORIES)}

    def to_record(self) -> dict[str, float]:
        """Return what a run keeps of it: accuracy, category rates and the number of images.

        Returns
        -------
        dict
            ``joint``, ``x``, ``y`` (see :meth:`accuracy`), one share for each of :data:`CATEGORIES`, all to six digits,
            and ``n``.

        Examples
        --------
        >>> world = BumpWorld()
        >>> mu = torch.tensor([[4.0, 4.0], [9.0, 9.0]])
        >>> score_images(world.render(torch.tensor([[4.0, 4.0], [9.0, 4.0]])), mu, world).to_record()
        {'joint': 0.5, 'x': 1.0, 'y': 0.5, 'none': 0.0, 'several': 0.0, 'misplaced': 0.5, 'right': 0.5, 'n': 2}
        """
        shares = {which: self.accuracy(which).value for which in ("joint", "x", "y")} | self.category_rates()
        return {name: round(share, 6) for name, share in shares.items()} | {"n": len(self.mu)}


#: What training shows of a world, with the values that show all.
_SHOWS_ALL = {"held_out": None, "fraction": 1.0, "subsample_region": None, "subsample_seed": 0}


def concatenate(parts: Iterable[Evaluation]) -> Evaluation:
    """Return several evaluations as one, in their order.

    Their worlds may differ in what training shows of them, as those of a study's seeds do; the world of the whole then
    shows all.

    Raises
    ------
    BumplabError
        If there are none, or their worlds differ in anything else: a label, or a pixel of error, then means something
        else in each.

    Examples
    --------
    >>> world = BumpWorld(size=8)
    >>> evaluation = score_images(world.render(world.lattice()), world.lattice(), world)
    >>> len(concatenate([evaluation[:3], evaluation.in_region("band_x(2, 5)")]).mu)
    19
    """
    several = list(parts)
    if not several:
        raise BumplabError("There are no evaluations to concatenate: give one or more.")
    worlds = [part.world for part in several]
    for name in type(worlds[0]).model_fields.keys() - _SHOWS_ALL.keys():
        values = {getattr(world, name): None for world in worlds}
        if len(values) > 1:
            raise BumplabError(
                f"Evaluations of worlds with another {name} ({', '.join(map(str, values))}) do not make one: "
                "concatenate those of each world."
            )
    world = worlds[0] if all(each == worlds[0] for each in worlds) else worlds[0].replace(**_SHOWS_ALL)

    def whole(name: str) -> torch.Tensor:
        return torch.cat([attrgetter(name)(part) for part in several])

    detections = Detections(whole("detections.count"), whole("detections.centre"))
    return Evaluation(world, whole("mu"), detections, whole("error"), whole("axis_category"))


def score_images(images: torch.Tensor, mu: torch.Tensor, world: BumpWorld, tolerance: float = TOLERANCE) -> Evaluation:
    """Judge images (n, 1, N, N) made for conditions `mu` (n, 2); `tolerance` is in pixels, per axis."""
    detections = detect(images, world)
    mu = mu.to(detections.centre.device)
    if world.kind == "bump+stripes":  # bumps where both labels are in the window, stripes for the others
        visible = world.in_window(mu).float()
        single = visible.prod(1) == 0
        stripes = detect_stripes(world.brightness(images[single].float()), world)
        detections.count[single], detections.centre[single] = stripes.count, stripes.centre
    else:
        visible = torch.stack([world.profile(mu[:, k], k).amax(1) for k in (0, 1)], 1)
    if world.kind == "bump":
        visible = visible.prod(1, keepdim=True).expand(-1, 2)
    # A peak near one half is at the edge of what counts as shown: the image may then be seen either way.
    least, most = (visible >= 0.55).long(), (visible >= 0.45).long()
    error = world.wrap(detections.centre - mu)
    missed = (detections.count > 0) & (error.abs() > tolerance)
    axis = torch.full_like(detections.count, CATEGORIES.index("right"))
    axis[missed] = CATEGORIES.index("misplaced")
    axis[detections.count > most] = CATEGORIES.index("several")
    axis[detections.count < least] = CATEGORIES.index("none")
    return Evaluation(world, mu, detections, error, axis)


def evaluate(
    model: Denoiser,
    world: BumpWorld,
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
        Sampler, see :meth:`bumplab.diffusion.process.Diffusion.sample_trajectory`.
    seed : int
        Seed of the initial noise.
    batch : int
        Images generated at a time.
    """
    generator = torch.Generator().manual_seed(seed)
    images = []
    for part in mu.split(batch):
        images.append(diffusion.sample(model, part, world.size, steps, eta, generator))
    return score_images(torch.cat(images), mu, world)
