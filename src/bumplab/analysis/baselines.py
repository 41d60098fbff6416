"""What machines without any understanding score: chance, black images, the nearest training image, a composer.

An accuracy says little alone. The *nearest* machine copies the training image whose condition is nearest; the
*composer* takes each coordinate from the nearest value that training shows on that axis, whatever the other one was.
Both draw clean images, so that they fail by their place alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from bumplab.analysis.accuracy import TOLERANCE, Evaluation, score_images
from bumplab.common.errors import BumplabError, quote
from bumplab.worlds.bumps import BumpWorld

#: Machines without any understanding, see :func:`baseline_evaluations`.
BASELINES = ("chance", "blank", "nearest", "composer")
#: Tolerance in pixels at which copies are scored, 5 % above :data:`bumplab.analysis.accuracy.TOLERANCE`. On a lattice
#: of step 1 the nearest image is often exactly one pixel away, at the edge of what is right. The detector finds a clean
#: bump to 0.05 pixels, so that without this margin its rounding would decide, not the place.
COPY_TOLERANCE = 1.05 * TOLERANCE
_CHUNK = 1024  # conditions compared with all of training at a time


def nearest_conditions(world: BumpWorld, mu: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Return for each condition the nearest one that training shows.

    Parameters
    ----------
    world : BumpWorld
        Distances are Euclidean in pixels, on a periodic world the short way round.
    mu : torch.Tensor, (n, 2)
    seen : torch.Tensor, (m, 2), optional
        What can be copied; unless given, :meth:`bumplab.worlds.bumps.BumpWorld.seen`.

    Returns
    -------
    torch.Tensor, (n, 2)
        Rows of `seen`; of several at the same distance, the first.

    Raises
    ------
    BumplabError
        If `mu` or `seen` is empty or not of shape (n, 2).

    Examples
    --------
    >>> world = BumpWorld(held_out="cross(13, 19)")
    >>> nearest_conditions(world, torch.tensor([[15.0, 4.0]])).tolist()
    [[13.0, 4.0]]
    """
    seen = _check(world, mu, seen)
    rows = [(world.wrap(part[:, None] - seen) ** 2).sum(2).argmin(1) for part in mu.split(_CHUNK)]
    return seen[torch.cat(rows)]


def composer_conditions(world: BumpWorld, mu: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
    """Return for each condition the nearest seen value of x joined to the nearest seen value of y.

    Parameters and errors are those of :func:`nearest_conditions`; of two values at the same distance, the lower.

    Examples
    --------
    >>> seen = torch.tensor([[3.0, 20.0], [9.0, 4.0]])  # the pair (3, 4) itself is not shown
    >>> composer_conditions(BumpWorld(), torch.tensor([[3.0, 4.0]]), seen).tolist()
    [[3.0, 4.0]]
    """
    seen = _check(world, mu, seen)
    axes = []
    for axis in (0, 1):
        values = seen[:, axis].unique()  # ascending
        axes.append(values[world.wrap(mu[:, axis, None] - values).abs().argmin(1)])
    return torch.stack(axes, dim=1)


def coverage(world: BumpWorld, mu: torch.Tensor, seen: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Return which conditions the two copying machines draw right, without drawing.

    Thousands of worlds can be scored in the time that :func:`baseline_evaluations` needs for one.

    Parameters
    ----------
    world, mu, seen
        As for :func:`nearest_conditions`.

    Returns
    -------
    dict of str to torch.Tensor, (n,), bool
        ``nearest``: one training image lies within :data:`COPY_TOLERANCE` on both axes. ``composer``: on each axis
        some training image does, not necessarily the same one.

    Examples
    --------
    >>> seen = torch.tensor([[3.0, 20.0], [9.0, 4.0]])
    >>> {name: mask.tolist() for name, mask in coverage(BumpWorld(), torch.tensor([[3.0, 4.0]]), seen).items()}
    {'nearest': [False], 'composer': [True]}
    """
    seen = _check(world, mu, seen)
    near = [world.wrap(part[:, None] - seen).abs() <= COPY_TOLERANCE for part in mu.split(_CHUNK)]
    return {
        "nearest": torch.cat([each.all(2).any(1) for each in near]),
        "composer": torch.cat([each.any(1).all(1) for each in near]),
    }


def baseline_evaluations(
    world: BumpWorld,
    mu: torch.Tensor,
    names: Sequence[str] = BASELINES,
    *,
    seen: torch.Tensor | None = None,
    seed: int = 0,
    min_images: int = 1,
) -> dict[str, Evaluation]:
    """Score machines without any understanding on conditions.

    Parameters
    ----------
    world, mu, seen
        As for :func:`nearest_conditions`. Chance draws from all that the world shows in training.
    names : sequence of str
        Which of :data:`BASELINES`.
    seed : int
        Of the draw of chance.
    min_images : int
        Chance and blank go over `mu` several times, until they have drawn at least so many images: in a small region
        a single round says little about chance.

    Returns
    -------
    dict of str to Evaluation, in the order of `names`
        ``chance``: clean images of random training conditions. ``blank``: black images. ``nearest``: the image of
        :func:`nearest_conditions`. ``composer``: that of :func:`composer_conditions`. The last two are scored with
        :data:`COPY_TOLERANCE`.

    Raises
    ------
    BumplabError
        For an unknown name, or conditions that are empty or of another shape.

    Examples
    --------
    >>> world = BumpWorld(size=16, held_out="box(4, 12, 4, 12)")  # every value is shown, these pairs are not
    >>> for name, evaluation in baseline_evaluations(world, world.unseen()).items():
    ...     print(f"{name}: {evaluation.accuracy().value:.2f}")
    chance: 0.00
    blank: 0.00
    nearest: 0.49
    composer: 1.00
    """
    seen, evaluations = _check(world, mu, seen), {}
    if unknown := set(names) - set(BASELINES):
        raise BumplabError(f"There is no baseline {quote(sorted(unknown)[0])}: use {', '.join(BASELINES)}.")
    if {"chance", "blank"} & set(names):
        rounds = max(1, -(-min_images // len(mu)))
        evaluations |= _guesses(world, mu.repeat(rounds, 1), seed)
    for name, conditions in (("nearest", nearest_conditions), ("composer", composer_conditions)):
        if name in names:
            evaluations[name] = score_images(world.render(conditions(world, mu, seen)), mu, world, COPY_TOLERANCE)
    return {name: evaluations[name] for name in names}


def _check(world: BumpWorld, mu: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
    seen = world.seen() if seen is None else seen
    for name, conditions in (("mu", mu), ("seen", seen)):
        if conditions.ndim != 2 or conditions.shape[1] != 2 or not len(conditions):
            shape = tuple(conditions.shape)
            raise BumplabError(f"A baseline needs {name} of shape (n, 2), one condition or more, got {quote(shape)}.")
    return seen


def _guesses(world: BumpWorld, mu: torch.Tensor, seed: int = 0) -> dict[str, Evaluation]:
    """Judge what a model that knows nothing of its condition would draw for conditions `mu` (n, 2).

    Returns
    -------
    dict
        ``chance``: clean images of training conditions, drawn at random; ``blank``: black images.
    """
    seen = world.seen()
    rows = torch.randint(len(seen), (len(mu),), generator=torch.Generator().manual_seed(seed))
    images = world.render(seen[rows])
    return {"chance": score_images(images, mu, world), "blank": score_images(torch.full_like(images, -1.0), mu, world)}
