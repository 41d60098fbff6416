"""What a region of label space is: a shape, or a combination of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from bumplab.common.errors import BumplabError

#: Most shapes that a region is made of, so that it is quick to look through and its text can be read back.
MAX_SHAPES = 64


class Region:
    """A set of conditions. Regions combine with ``|`` (union), ``&`` (intersection) and ``~`` (complement).

    A complement's complement is the region itself: ``~~region == region``. A region is made of at most 64 shapes.

    ``str(region)`` is an expression that :func:`~bumplab.worlds.regions.parse_region` reads back; it names the region
    in settings and files.

    Examples
    --------
    >>> from bumplab.worlds.regions import cross, interior, parse_region
    >>> region = cross(13, 19) & ~interior(4)
    >>> region
    ((band_x(13, 19) | band_y(13, 19)) & ~interior(4))
    >>> parse_region(str(region)) == region
    True
    """

    #: Number of shapes that it is made of.
    shapes = 1

    def contains(self, mu: torch.Tensor, extent: float) -> torch.Tensor:
        """Return which conditions lie in the region, in a label space [0, extent)^2: boolean (n,).

        Parameters
        ----------
        mu : torch.Tensor, (n, 2)
            Conditions (mu_x, mu_y) in pixels.
        extent : float
            Side of label space in pixels; ``interior``, ``exterior`` and ``rim`` are laid out in it.

        Examples
        --------
        >>> from bumplab.worlds.regions import cross
        >>> cross(13, 19).contains(torch.tensor([[15.0, 2.0], [2.0, 2.0]]), extent=32).tolist()
        [True, False]
        """
        return self._contains(mu[:, 0], mu[:, 1], extent)

    def contains_lattice(self, x: torch.Tensor, y: torch.Tensor, extent: float) -> torch.Tensor:
        """Return which crossings of the coordinates `x` (m,) and `y` (n,) lie in the region: boolean (n, m).

        Examples
        --------
        >>> from bumplab.worlds.regions import band_x
        >>> band_x(0, 2).contains_lattice(torch.arange(3.0), torch.arange(2.0), extent=3).tolist()
        [[False, True, False], [False, True, False]]
        """
        # A shape looks at each axis alone, and NumPy joins the two much faster than torch does.
        return torch.from_numpy(self._contains(x.numpy()[None, :], y.numpy()[:, None], extent))

    def _contains(self, x: Any, y: Any, extent: float) -> Any:
        """Return which (x, y), tensors or arrays, lie in the region, in the shape that both broadcast to."""
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
class Shape(Region):
    """A named primitive: `name` with its numbers, understood through `bounds`.

    Examples
    --------
    >>> Shape("rim", (2.0,))
    rim(2)
    """

    name: str
    args: tuple[float, ...]

    def bounds(self, extent: float) -> tuple[float, float, float, float]:
        """Lower and upper bounds (x0, x1, y0, y1) of the open box at the heart of the shape, in pixels.

        Examples
        --------
        >>> Shape("rim", (2.0,)).bounds(extent=32)
        (2.0, 30.0, 2.0, 30.0)
        """
        inf, a = float("inf"), self.args
        middle = extent / 2
        return {
            "box": lambda: a,
            "band_x": lambda: (a[0], a[1], -inf, inf),
            "band_y": lambda: (-inf, inf, a[0], a[1]),
            "interior": lambda: (middle - a[0] / 2, middle + a[0] / 2) * 2,
            "rim": lambda: (a[0], extent - a[0]) * 2,
        }[self.name]()

    def _contains(self, x: Any, y: Any, extent: float) -> Any:
        if self.name == "diagonal":
            return abs(x - y) < self.args[0]
        x0, x1, y0, y1 = self.bounds(extent)
        inside = ((x0 < x) & (x < x1)) & ((y0 < y) & (y < y1))
        return ~inside if self.name == "rim" else inside

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{a:g}' if float(f'{a:g}') == a else repr(a) for a in self.args)})"


@dataclass(frozen=True, eq=False, repr=False)
class _Combined(Region):
    sign: str
    left: Region
    right: Region

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", self.left.shapes + self.right.shapes)
        if self.shapes > MAX_SHAPES:
            raise BumplabError(f"A region is made of at most {MAX_SHAPES} shapes, this one has {self.shapes}.")

    def _contains(self, x: Any, y: Any, extent: float) -> Any:
        left, right = self.left._contains(x, y, extent), self.right._contains(x, y, extent)
        return left | right if self.sign == "|" else left & right

    def __str__(self) -> str:
        return f"({self.left} {self.sign} {self.right})"


@dataclass(frozen=True, eq=False, repr=False)
class _Complement(Region):
    inner: Region

    def __post_init__(self) -> None:
        object.__setattr__(self, "shapes", self.inner.shapes)

    def _contains(self, x: Any, y: Any, extent: float) -> Any:
        return ~self.inner._contains(x, y, extent)

    def __invert__(self) -> Region:
        return self.inner

    def __str__(self) -> str:
        return f"~{self.inner}"
