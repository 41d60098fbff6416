"""Grids of settings or parameters: ``world.sigma=0.5,1,2``, ``world.fraction=0.1:1:10``, ``seed=0:5``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bumplab.common.errors import BumplabError, quote
from bumplab.common.parsing import check_length, check_name, flatten, parse_literal, set_nested

if TYPE_CHECKING:
    from bumplab.training.settings import Settings

#: A grid of more cells has to be asked for twice.
MAX_CELLS = 10_000
#: No grid has more: every cell is checked before the first one starts.
MAX_CELLS_ALLOWED = 100_000


def parse_grid(
    texts: Iterable[str], value: Callable[[str], Any] = parse_literal, yes: bool = False
) -> dict[str, Sequence]:
    """Read a grid: the values of each of its axes by name.

    Parameters
    ----------
    texts : iterable of str
        One axis each: ``seed=0:5`` is the whole numbers 0 to 4, ``world.fraction=0.1:1:10`` ten evenly spaced
        numbers with both ends, anything else a list of values between commas, such as ``world.sigma=0.5,1,2``.
        Commas within brackets or parentheses separate nothing: ``world.sigma=[1, 2],[2, 1]`` and
        ``world.held_out=cross(13, 19),rim(2)`` are two values each.
    value : callable
        Turns the text of a listed value into the value.
    yes : bool
        Allow more than 10,000 cells, up to 100,000.

    Raises
    ------
    BumplabError
        For text that is no axis or longer than 10,000 characters, an empty range, an axis given twice, or too many
        cells.
    """
    axes: dict[str, Sequence] = {}
    for text in texts:
        name, _, values = (part.strip() for part in text.partition("="))
        check_name(name)
        check_length(values)
        if not name or not values:
            raise BumplabError(f"Cannot read the axis {quote(text)}: write name=values, for example seed=0:5.")
        if name in axes:
            raise BumplabError(f"The grid has two axes {quote(name)}: give all values in one.")
        axes[name] = _range(values, yes) if _is_range(values) else [value(item) for item in _split(values)]
    _allow(math.prod(map(len, axes.values())), yes)
    return axes


def _allow(cells: int, yes: bool) -> None:
    hint = ": add --yes if you mean it" if not yes and cells <= MAX_CELLS_ALLOWED else ""
    limit = MAX_CELLS_ALLOWED if yes or not hint else MAX_CELLS
    if cells > limit:
        number = f"{cells:,}" if cells < 10**15 else "10^15 or more"
        raise BumplabError(f"The grid has {number} cells, more than {limit:,}{hint}.")


def _is_range(text: str) -> bool:
    """Return whether text is numbers between colons, right or wrong."""
    start, colon, _ = text.partition(":")
    return bool(colon) and any(map(str.isdecimal, start)) and all(sign in "+-.:eE" or sign.isdecimal() for sign in text)


def _split(text: str) -> list[str]:
    """Split at the commas outside brackets and parentheses."""
    items, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            items.append("")
        else:
            items[-1] += sign
    items = [item.strip() for item in items]
    if "" in items or any(map(_is_range, items)):
        raise BumplabError(f"Cannot read the values {quote(text)}: write values between commas, or one range alone.")
    return items


def _range(text: str, yes: bool) -> Sequence:
    """Read ``start:stop`` (whole numbers, without the stop) or ``start:stop:count`` (with both ends)."""
    try:
        start, stop, *rest = map(parse_literal, text.split(":"))
        whole = isinstance(start, int) and isinstance(stop, int)
        (count,) = rest or [stop - start if whole else None]
        if not isinstance(count, int) or not math.isfinite(float(stop) - float(start)):
            raise ValueError
    except (ValueError, TypeError, OverflowError):  # too few numbers or too many, or something else than numbers
        raise BumplabError(f"Cannot read the range {quote(text)}: write 0:5 for 0 to 4, or 0.1:1:10 for ten.") from None
    if count < 1 + len(rest) or start == stop:
        rule = "a count of at least 2 and two different ends" if rest else "a stop above the start"
        raise BumplabError(f"The range {quote(text)} is empty: it needs {rule}.")
    _allow(count, yes)
    if not rest:
        return range(start, stop)
    if whole and (stop - start) % (count - 1) == 0:
        return [start + (stop - start) // (count - 1) * index for index in range(count)]
    import numpy as np

    return [float(f"{value:.12g}") for value in np.linspace(start, stop, count)]  # 0.3, not 0.30000000000000004


def grid_cells(axes: Mapping[str, Sequence], fixed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every combination of the axes' values, as name to value, each with the `fixed` values."""
    if twice := fixed.keys() & axes.keys():
        raise BumplabError(f"{quote(min(twice))} is both set and an axis of the grid: choose one.")
    for values in itertools.product(*axes.values()):
        yield {**fixed, **dict(zip(axes, values, strict=True))}


def grid_settings(name: str, changes: Mapping[str, Any], axes: Mapping[str, Sequence]) -> list[Settings]:
    """Return the settings of every cell: a preset with nested `changes` and a combination of the axes' values.

    Raises
    ------
    BumplabError
        For an unknown preset or setting, or an impossible value, in any cell.
    """
    from bumplab.training.settings import preset

    settings = []
    for cell in grid_cells(axes, flatten(changes)):
        nested: dict[str, Any] = {}
        for setting, value in cell.items():
            set_nested(nested, setting, value)
        settings.append(preset(name, **nested))
    return settings
