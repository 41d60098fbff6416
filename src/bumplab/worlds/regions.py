"""Regions of label space, and the text that names them in settings and files."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from bumplab.common.errors import BumplabError, quote
from bumplab.common.parsing import check_length
from bumplab.worlds.region import Region, Shape

#: Largest number of a shape, in pixels either way; far beyond any label space, and exact enough in float32.
MAX_PIXELS = 1_000_000
#: What Python reads as a number and a reader of settings does not: 1_000, 0x10, 1j.
_OTHER_NUMBER = re.compile(r"\d_|(?<![\w.])0[box]|\dj", re.IGNORECASE)


def box(x0: float, x1: float, y0: float, y1: float) -> Region:
    """Return the open box x0 < mu_x < x1, y0 < mu_y < y1 (pixels).

    Examples
    --------
    >>> import torch
    >>> box(4, 8, 4, 8).contains(torch.tensor([[4.0, 5.0], [5.0, 5.0]]), extent=32).tolist()  # edges are outside
    [False, True]
    """
    return _shape("box", x0, x1, y0, y1)


def band_x(low: float, high: float) -> Region:
    """Return the vertical band low < mu_x < high (pixels).

    Examples
    --------
    >>> import torch
    >>> band_x(13, 19).contains(torch.tensor([[15.0, 0.0], [0.0, 15.0]]), extent=32).tolist()
    [True, False]
    """
    return _shape("band_x", low, high)


def band_y(low: float, high: float) -> Region:
    """Return the horizontal band low < mu_y < high (pixels).

    Examples
    --------
    >>> import torch
    >>> band_y(13, 19).contains(torch.tensor([[15.0, 0.0], [0.0, 15.0]]), extent=32).tolist()
    [False, True]
    """
    return _shape("band_y", low, high)


def cross(low: float, high: float) -> Region:
    """Return both bands, low < mu_x < high or low < mu_y < high: the hold-out of Fig. 4.

    Examples
    --------
    >>> cross(13, 19)
    (band_x(13, 19) | band_y(13, 19))
    """
    return band_x(low, high) | band_y(low, high)


def interior(width: float) -> Region:
    """Return the open square of side `width` in the middle of label space (Fig. 12).

    Examples
    --------
    >>> import torch
    >>> interior(4).contains(torch.tensor([[15.0, 15.0], [18.0, 15.0]]), extent=32).tolist()  # from 14 to 18
    [True, False]
    """
    return _shape("interior", width)


def exterior(width: float) -> Region:
    """Return everything outside the square :func:`interior` of side `width` (Fig. 12).

    Examples
    --------
    >>> exterior(4)
    ~interior(4)
    """
    return ~interior(width)


def rim(width: float) -> Region:
    """Return the frame of thickness `width` along the edge of label space (Fig. 10).

    Examples
    --------
    >>> import torch
    >>> rim(6).contains(torch.tensor([[5.0, 20.0], [20.0, 20.0]]), extent=44).tolist()
    [True, False]
    """
    return _shape("rim", width)


def diagonal(width: float) -> Region:
    """Return the conditions whose mu_x and mu_y differ by less than `width` (pixels).

    Examples
    --------
    >>> import torch
    >>> diagonal(2).contains(torch.tensor([[5.0, 6.0], [5.0, 7.0]]), extent=32).tolist()
    [True, False]
    """
    return _shape("diagonal", width)


def single_stripes(low: float, high: float, clear_of: tuple[float, float] | None = None) -> Region:
    """Return the labels of images with one stripe: one coordinate in the window, the other one outside of it.

    Parameters
    ----------
    low, high : float
        Ends of the window in label space, in pixels: margin - 0.5 and margin + size - 0.5.
    clear_of : (float, float), optional
        The other coordinate lies outside of these two instead of the window's ends; wider than the window, it leaves
        away labels so near to the window that the second stripe still shows faintly.

    Raises
    ------
    BumplabError
        If an interval is empty.

    Examples
    --------
    >>> single_stripes(5.5, 37.5)
    ((band_x(5.5, 37.5) & ~band_y(5.5, 37.5)) | (band_y(5.5, 37.5) & ~band_x(5.5, 37.5)))
    """
    ends = (low, high) if clear_of is None else clear_of
    return (band_x(low, high) & ~band_y(*ends)) | (band_y(low, high) & ~band_x(*ends))


_PRIMITIVES = {f.__name__: f for f in (box, band_x, band_y, cross, interior, exterior, rim, diagonal)}


def _shape(name: str, *args: float) -> Shape:
    if not all(isinstance(a, (int, float)) and not isinstance(a, bool) and abs(a) <= MAX_PIXELS for a in args):
        raise BumplabError(f"{name} takes finite numbers of up to {MAX_PIXELS:,} pixels, got {quote(args)}.")
    pairs = [args[i : i + 2] for i in range(0, len(args) - 1, 2)]
    if any(low >= high for low, high in pairs) or (len(args) == 1 and args[0] <= 0):
        raise BumplabError(f"{name}{quote(args)} is empty: give a lower bound below its upper one, or a width above 0.")
    return Shape(name, tuple(a + 0.0 for a in args))  # + 0.0 turns -0.0 into 0.0


def parse_region(text: str | Region | None) -> Region | None:
    """Read a region from an expression such as ``"cross(13, 19) & ~interior(4)"``.

    Parameters
    ----------
    text : str, Region or None
        The functions box, band_x, band_y, cross, interior, exterior, rim and diagonal, joined by ``|``, ``&``, ``~``
        and parentheses: at most 10,000 characters, 64 shapes, and decimal numbers from -1,000,000 to 1,000,000.
        ``None`` and an empty string mean no region. Nothing in it is executed.

    Raises
    ------
    BumplabError
        If the expression is not of that form, beyond these limits, or describes an empty shape.

    Examples
    --------
    >>> parse_region("cross(13, 19) & ~interior(4)")
    ((band_x(13, 19) | band_y(13, 19)) & ~interior(4))
    >>> parse_region(5)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A region is text such as 'cross(13, 19)', got 5.
    """
    if text is None or isinstance(text, Region):
        return text
    if not isinstance(text, str):
        raise BumplabError(f"A region is text such as 'cross(13, 19)', got {quote(text)}.")
    check_length(text)
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
        if _OTHER_NUMBER.search(text):
            raise ValueError
        with warnings.catch_warnings(action="ignore"):  # Python's, about text that only almost is a program
            return build(ast.parse(text.strip(), mode="eval").body)
    except BumplabError:
        raise
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        shapes = ", ".join(_PRIMITIVES)
        raise BumplabError(
            f"Cannot read the region {quote(text)}: use {shapes} with numbers, joined by |, & and ~."
        ) from None
