"""Worlds of images: Gaussian bumps and sums of stripes on a lattice of centres (Fig. 1 of the paper).

A *world* fixes what can be drawn (kind, size, sigma, edges) and which centres are shown in training
(spacing, held-out region, random fraction). A centre is a *condition*: a point (mu_x, mu_y) in label
space, in pixels. Pixel (row i, column j) of an image stands at (mu_x, mu_y) = (j + margin, i + margin).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from bumplab.base import BumplabError, Frozen

# ---------------------------------------------------------------- regions of label space


class Region:
    """A set of conditions. Regions combine with ``|`` (union), ``&`` (intersection) and ``~`` (complement).

    ``str(region)`` is an expression that :func:`region` reads back; it names the region in settings and files.
    """

    def contains(self, mu: torch.Tensor, extent: float) -> torch.Tensor:
        """Return a boolean tensor (n,) for conditions `mu` (n, 2) in a label space [0, extent)^2."""
        raise NotImplementedError

    def __or__(self, other: Region) -> Region:
        return _Combined("|", self, other)

    def __and__(self, other: Region) -> Region:
        return _Combined("&", self, other)

    def __invert__(self) -> Region:
        return _Complement(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Region) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, eq=False, repr=False)
class _Shape(Region):
    """A named primitive: `name` with its numbers, understood through `bounds`."""

    name: str
    args: tuple[float, ...]

    def bounds(self, extent: float) -> tuple[float, float, float, float]:
        """Lower and upper bounds (x0, x1, y0, y1) of the open box at the heart of the shape, in pixels."""
        inf, a = float("inf"), self.args
        middle = extent / 2
        return {
            "box": lambda: a,
            "band_x": lambda: (a[0], a[1], -inf, inf),
            "band_y": lambda: (-inf, inf, a[0], a[1]),
            "interior": lambda: (middle - a[0] / 2, middle + a[0] / 2) * 2,
            "rim": lambda: (a[0], extent - a[0]) * 2,
        }[self.name]()

    def contains(self, mu, extent):
        x, y = mu[:, 0], mu[:, 1]
        if self.name == "diagonal":
            return (x - y).abs() < self.args[0]
        x0, x1, y0, y1 = self.bounds(extent)
        inside = (x0 < x) & (x < x1) & (y0 < y) & (y < y1)
        return ~inside if self.name == "rim" else inside

    def __str__(self):
        return f"{self.name}({', '.join(f'{a:g}' if float(f'{a:g}') == a else repr(a) for a in self.args)})"


@dataclass(frozen=True, eq=False, repr=False)
class _Combined(Region):
    sign: str
    left: Region
    right: Region

    def contains(self, mu, extent):
        left, right = self.left.contains(mu, extent), self.right.contains(mu, extent)
        return left | right if self.sign == "|" else left & right

    def __str__(self):
        return f"({self.left} {self.sign} {self.right})"


@dataclass(frozen=True, eq=False, repr=False)
class _Complement(Region):
    inner: Region

    def contains(self, mu, extent):
        return ~self.inner.contains(mu, extent)

    def __str__(self):
        return f"~{self.inner}"


def box(x0: float, x1: float, y0: float, y1: float) -> Region:
    """Return the open box x0 < mu_x < x1, y0 < mu_y < y1 (pixels)."""
    return _shape("box", x0, x1, y0, y1)


def band_x(low: float, high: float) -> Region:
    """Return the vertical band low < mu_x < high (pixels)."""
    return _shape("band_x", low, high)


def band_y(low: float, high: float) -> Region:
    """Return the horizontal band low < mu_y < high (pixels)."""
    return _shape("band_y", low, high)


def cross(low: float, high: float) -> Region:
    """Return both bands, low < mu_x < high or low < mu_y < high: the hold-out of Fig. 4."""
    return band_x(low, high) | band_y(low, high)


def interior(width: float) -> Region:
    """Return the open square of side `width` in the middle of label space (Fig. 12)."""
    return _shape("interior", width)


def exterior(width: float) -> Region:
    """Return everything outside the square :func:`interior` of side `width` (Fig. 12)."""
    return ~interior(width)


def rim(width: float) -> Region:
    """Return the frame of thickness `width` along the edge of label space (Fig. 10)."""
    return _shape("rim", width)


def diagonal(width: float) -> Region:
    """Return the conditions whose mu_x and mu_y differ by less than `width` (pixels)."""
    return _shape("diagonal", width)


_PRIMITIVES = {f.__name__: f for f in (box, band_x, band_y, cross, interior, exterior, rim, diagonal)}


def _shape(name: str, *args: float) -> _Shape:
    if not all(isinstance(a, (int, float)) and not isinstance(a, bool) and np.isfinite(a) for a in args):
        raise BumplabError(f"{name} takes finite numbers in pixels, got {args}.")
    pairs = [args[i : i + 2] for i in range(0, len(args) - 1, 2)]
    if any(low >= high for low, high in pairs) or (len(args) == 1 and args[0] <= 0):
        raise BumplabError(f"{name}{args} is empty: give a lower bound below its upper one, or a width above 0.")
    return _Shape(name, tuple(a + 0.0 for a in args))  # + 0.0 turns -0.0 into 0.0


def region(text: str | Region | None) -> Region | None:
    """Read a region from an expression such as ``"cross(13, 19) & ~interior(4)"``.

    Parameters
    ----------
    text : str, Region or None
        The functions box, band_x, band_y, cross, interior, exterior, rim and diagonal, joined by ``|``, ``&``, ``~``
        and parentheses. ``None`` and an empty string mean no region. Nothing in it is executed.

    Raises
    ------
    BumplabError
        If the expression is not of that form or describes an empty shape.
    """
    if text is None or isinstance(text, Region):
        return text
    if not isinstance(text, str):
        raise BumplabError(f"A region is text such as 'cross(13, 19)', got {text!r}.")
    if not text.strip():
        return None

    def build(node: ast.AST) -> Any:
        match node:
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return build(left) | build(right)
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return build(left) & build(right)
            case ast.UnaryOp(op=ast.Invert(), operand=inner):
                return ~build(inner)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _PRIMITIVES:
                return _PRIMITIVES[name](*(ast.literal_eval(a) for a in args))
        raise ValueError

    try:
        return build(ast.parse(text.strip(), mode="eval").body)
    except BumplabError:
        raise
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        known = ", ".join(_PRIMITIVES)
        raise BumplabError(
            f"Cannot read the region {text!r}: use {known} with numbers, joined by |, & and ~."
        ) from None


# ---------------------------------------------------------------- worlds

Positive = Annotated[float, Field(gt=0)]
Pair = Annotated[
    tuple[Positive, Positive],
    BeforeValidator(lambda v: (v, v) if isinstance(v, (int, float)) else v),
]
Width = Annotated[float, Field(ge=0.05)]
Sigma = Annotated[
    tuple[Width, Width],
    BeforeValidator(lambda v: (v, v) if isinstance(v, (int, float)) else v),
]
RegionField = Annotated[Any, BeforeValidator(region), PlainSerializer(lambda r: None if r is None else str(r))]


class World(Frozen):
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
        Standard deviations (sigma_x, sigma_y) in pixels, 0.05 or more; a single number sets both.
    spacing : (float, float)
        Lattice steps (d_x, d_y) in pixels; a single number sets both. Any positive value up to the extent that
        makes at most 10 million conditions.
    periodic : bool
        Wrap distances round the window's edges; label space is then a torus. Needs margin 0 and spacings
        that divide the size.
    margin : float
        Width of the frame of label space around the window, in pixels (the paper's extended frame: 6).
    held_out : Region, str or None
        Conditions kept out of training; see :func:`region`.
    fraction : float
        Share of the remaining lattice shown in training, drawn at random without replacement (0 to 1).
    thinned : Region, str or None
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
    margin: Annotated[float, Field(ge=0)] = 0.0
    held_out: RegionField = None
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    thinned: RegionField = None
    subsample_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    @model_validator(mode="after")
    def _possible(self) -> World:
        if max(self.spacing) > self.extent:
            raise BumplabError(
                f"World: spacing {max(self.spacing):g} is larger than the label space, which is {self.extent:g} wide."
            )
        if self.extent / self.spacing[0] * (self.extent / self.spacing[1]) > 10_000_000:
            raise BumplabError(
                f"World: spacing {min(self.spacing):g} is too fine; a lattice has at most 10 million conditions."
            )
        if self.kind == "bump+stripes" and not self.margin:
            raise BumplabError("World: bump+stripes needs a margin, whose labels stand for an axis without a stripe.")
        if self.periodic and self.margin:
            raise BumplabError("World: a periodic world has no margin; set margin to 0 or periodic to false.")
        if self.periodic and any(abs(self.size / d - round(self.size / d)) > 1e-6 for d in self.spacing):
            raise BumplabError(f"World: in a periodic world the spacing must divide the size {self.size}.")
        if not self.seen_mask().any():
            cause = f"held_out {str(self.held_out or 'nothing')!r} and fraction {self.fraction:g}"
            raise BumplabError(f"World: nothing is left to train on with {cause}.")
        return self

    @property
    def extent(self) -> float:
        """Side of label space in pixels, size + 2 margin."""
        return self.size + 2 * self.margin

    def axis(self, which: int) -> torch.Tensor:
        """Return the lattice coordinates 0, d, 2d, ... below the extent along x (0) or y (1), float32."""
        d = self.spacing[which]
        return torch.arange(int(np.ceil(self.extent / d - 1e-6)), dtype=torch.float64).mul(d).float()

    def lattice(self) -> torch.Tensor:
        """Return every condition of the lattice, (n, 2) float32, columns mu_x and mu_y, mu_x running fastest."""
        y, x = torch.meshgrid(self.axis(1), self.axis(0), indexing="ij")
        return torch.stack([x.reshape(-1), y.reshape(-1)], dim=1)

    def seen_mask(self) -> torch.Tensor:
        """Return which rows of :meth:`lattice` training sees, boolean (n,)."""
        mu = self.lattice()
        seen = torch.ones(len(mu), dtype=torch.bool)
        if self.held_out is not None:
            seen &= ~self.held_out.contains(mu, self.extent)
        if self.fraction < 1:
            thin = seen if self.thinned is None else seen & self.thinned.contains(mu, self.extent)
            rows = torch.nonzero(thin)[:, 0]
            order = torch.from_numpy(np.random.default_rng(self.subsample_seed).permutation(len(rows)))
            seen[rows[order[round(self.fraction * len(rows)) :]]] = False
        return seen

    def seen(self) -> torch.Tensor:
        """Return the training conditions, (n, 2) float32."""
        return self.lattice()[self.seen_mask()]

    def unseen(self) -> torch.Tensor:
        """Return the lattice's conditions that training never shows, (n, 2) float32."""
        return self.lattice()[~self.seen_mask()]

    def parts(self, n: int) -> dict[str, torch.Tensor]:
        """Return at most `n` conditions of each of :meth:`seen` and :meth:`unseen` that has any, by those names."""
        whole = {"seen": self.seen(), "unseen": self.unseen()}
        return {name: spread(mu, n) for name, mu in whole.items() if len(mu)}

    @property
    def peak(self) -> float:
        """Largest possible brightness, 1 for a bump, 2 where two stripes cross."""
        return 2.0 if self.kind == "sos" else 1.0

    def within(self, mu: torch.Tensor) -> torch.Tensor:
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
            x, y = self.within(mu).T[..., None, None]
            brightness = torch.where(x, column, 1.0) * torch.where(y, row, 1.0) * (x | y)
        else:
            brightness = row * column if self.kind == "bump" else row + column
        return (2 * brightness / self.peak - 1)[:, None]

    def brightness(self, images: torch.Tensor) -> torch.Tensor:
        """Undo the scaling: images (n, 1, N, N) in [-1, 1] to brightness (n, N, N), 0 for black."""
        return (images[:, 0] + 1) * self.peak / 2


def spread(mu: torch.Tensor, n: int) -> torch.Tensor:
    """Return at most `n` rows of `mu`, evenly spread over its order, always the same ones."""
    if len(mu) <= n:
        return mu
    return mu[torch.linspace(0, len(mu) - 1, n).round().long()]
