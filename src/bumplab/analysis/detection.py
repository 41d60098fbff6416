"""Finding bumps and stripes in images: how many there are, and where the brightest one stands.

Templates of the world's own bump or stripe, at every place where it shows, are compared with the image by their
normalised product; what is left once the best one is taken away tells whether there is another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bumplab.worlds.bumps import BumpWorld

_FINE = 0.05  # pixels between candidate centres, before a parabola through the best three
_NEGLIGIBLE = 1e-30  # of a template's brightness: products of numbers near the least float32 take 40 times as long


@dataclass(frozen=True)
class Detections:
    """What was seen in n images.

    Attributes
    ----------
    count : torch.Tensor, (n, 2), int64
        How many were found: 0, 1 or 2 (two or more). For bumps both columns are equal; for SOS column 0
        counts vertical stripes, column 1 horizontal ones.
    centre : torch.Tensor, (n, 2), float32
        Estimated (mu_x, mu_y) of the brightest one in label coordinates; NaN where nothing was found.

    Examples
    --------
    >>> detections = detect(torch.full((1, 1, 32, 32), -1.0), BumpWorld())  # black
    >>> detections.count.tolist(), detections.centre.tolist()
    ([[0, 0]], [[nan, nan]])
    """

    count: torch.Tensor
    centre: torch.Tensor


class _Axis:
    """Templates along one axis: `templates` (m, N), their centres (m,) and peak brightness in the window (m,)."""

    def __init__(self, world: BumpWorld, which: int, step: float, device: torch.device) -> None:
        reach = 0 if world.periodic else 1.2 * world.sigma[which]
        low, high = world.margin - reach, world.margin + world.size - (0 if world.periodic else 1) + reach
        centres = torch.arange(low, high + (0 if world.periodic else step / 2), step, device=device)
        templates = world.profile(centres, which)
        templates = templates.where(templates > _NEGLIGIBLE, 0.0)
        shown = templates.max(1).values >= 0.5
        self.centres, self.templates = centres[shown], templates[shown]
        self.peaks = self.templates.max(1).values

    def zero_mean(self) -> _Axis:
        """Return the axis with templates that do not see a constant."""
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


def detect(images: torch.Tensor, world: BumpWorld) -> Detections:
    """Find bumps or stripes in images.

    Parameters
    ----------
    images : torch.Tensor, (n, 1, N, N)
        Generated or clean images, about [-1, 1].
    world : BumpWorld
        Gives kind, sigma, margin and edges; its lattice is not used. ``"sos"`` looks for stripes, the others for
        bumps.

    Returns
    -------
    Detections

    Notes
    -----
    On clean images the centre is exact to 0.05 pixels for sigma from 0.5 to 20, wherever the bump shows at
    least half its brightness in some pixel. For smaller sigma a bump between pixels is invisible, and a single
    bright pixel does not tell where inside it the centre lies.

    Examples
    --------
    >>> world = BumpWorld()
    >>> detections = detect(world.render(torch.tensor([[4.0, 9.5]])), world)
    >>> detections.count.tolist(), detections.centre.round(decimals=1).tolist()
    ([[1, 1]], [[4.0, 9.5]])
    """
    brightness = world.brightness(images.float())
    return (detect_stripes if world.kind == "sos" else detect_bumps)(brightness, world)


def detect_stripes(brightness: torch.Tensor, world: BumpWorld) -> Detections:
    """Find a vertical and a horizontal stripe in brightness (n, N, N), whatever the kind of the world.

    Parameters
    ----------
    brightness : torch.Tensor, (n, N, N)
        See :meth:`bumplab.worlds.bumps.BumpWorld.brightness`.
    world : BumpWorld

    Returns
    -------
    Detections
        Column 0 for vertical stripes, column 1 for horizontal ones.

    Examples
    --------
    >>> world = BumpWorld(kind="sos")
    >>> detections = detect_stripes(world.brightness(world.render(torch.tensor([[4.0, 9.5]]))), world)
    >>> detections.count.tolist(), detections.centre.round(decimals=1).tolist()
    ([[1, 1]], [[4.0, 9.5]])
    """
    counts, centres = [], []
    for which in (0, 1):
        # The other axis' stripe adds a constant to a mean profile; zero-mean templates do not see constants.
        profile = brightness.mean(1 + which)
        axis = _Axis(world, which, _FINE, brightness.device).zero_mean()
        centre, peak, _ = axis.fit(profile)
        rest = profile - peak[:, None] * world.profile(centre, which) / world.profile(centre, which).amax(1)[:, None]
        _, second, _ = axis.fit(rest)
        present = peak >= 0.5
        counts.append(present.long() + (present & (second >= 0.5)).long())
        centres.append(torch.where(present, centre, torch.nan))
    return Detections(torch.stack(counts, 1), torch.stack(centres, 1))


def detect_bumps(brightness: torch.Tensor, world: BumpWorld) -> Detections:
    """Find bumps in brightness (n, N, N), whatever the kind of the world.

    Parameters
    ----------
    brightness : torch.Tensor, (n, N, N)
        See :meth:`bumplab.worlds.bumps.BumpWorld.brightness`.
    world : BumpWorld

    Returns
    -------
    Detections
        Two equal columns of counts.

    Examples
    --------
    >>> world = BumpWorld()
    >>> pair = world.brightness(world.render(torch.tensor([[4.0, 9.0], [20.0, 9.0]]))).sum(0, keepdim=True)
    >>> detect_bumps(pair, world).count.tolist()
    [[2, 2]]
    """
    coarse = [_Axis(world, which, min(1.0, world.sigma[which] / 2), brightness.device) for which in (0, 1)]
    fine = [_Axis(world, which, _FINE, brightness.device) for which in (0, 1)]
    centre, peak = _best_bump(brightness, world, coarse, fine)
    column, row = world.profile(centre[:, 0], 0), world.profile(centre[:, 1], 1)
    bump = row[:, :, None] * column[:, None, :]
    rest = brightness - (peak / bump.amax((1, 2)))[:, None, None] * bump
    _, second = _best_bump(rest, world, coarse, fine)
    present = peak >= 0.5
    count = present.long() + (present & (second >= 0.5)).long()
    return Detections(count[:, None].repeat(1, 2), torch.where(present[:, None], centre, torch.nan))


def _best_bump(
    brightness: torch.Tensor, world: BumpWorld, coarse: Sequence[_Axis], fine: Sequence[_Axis]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return centre (n, 2) and fitted peak brightness (n,) of the best bump in brightness (n, N, N)."""
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
