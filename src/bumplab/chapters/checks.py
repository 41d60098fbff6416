"""Checks of a chapter's parameters: what a value may be, in code and in words.

A check is a predicate with the words that say what is right. Checks are joined by ``&``; the first that fails speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from bumplab.chapters.validation import ParameterError
from bumplab.common.errors import BumplabError, quote


@dataclass(frozen=True)
class Check:
    """A condition on a parameter.

    Attributes
    ----------
    holds : callable
        Takes the value and the namespace of all parameters, and returns whether the value is possible. A
        :class:`bumplab.common.errors.BumplabError` that it raises is the sentence for the reader.
    words : str
        Ends the sentence "Parameter ... must be ...".
    others : tuple of Check
        Asked afterwards.

    Examples
    --------
    >>> even = Check(lambda value, params: value % 2 == 0, "even")
    >>> (even & at_least(2)).apply("size", 3, SimpleNamespace(size=3))
    Traceback (most recent call last):
    bumplab.chapters.validation.ParameterError: Parameter 'size' must be even, got 3.
    """

    holds: Callable[[Any, SimpleNamespace], bool]
    words: str
    others: tuple[Check, ...] = ()

    def __and__(self, other: Check) -> Check:
        return Check(self.holds, self.words, (*self.others, other))

    def apply(self, name: str, value: Any, params: SimpleNamespace) -> None:
        """Raise :class:`bumplab.chapters.validation.ParameterError` unless the value is possible.

        Parameters
        ----------
        name : str
        value : object
        params : SimpleNamespace
            All parameters of the chapter.

        Examples
        --------
        >>> at_most(2).apply("sigma", 3.0, SimpleNamespace(sigma=3.0))
        Traceback (most recent call last):
        bumplab.chapters.validation.ParameterError: Parameter 'sigma' must be at most 2, got 3.0.
        """
        try:
            possible = self.holds(value, params)
        except ParameterError:
            raise
        except BumplabError as error:
            raise ParameterError(f"Parameter {quote(name)}: {error}") from None
        if not possible:
            raise ParameterError(f"Parameter {quote(name)} must be {self.words}, got {quote(value)}.")
        for other in self.others:
            other.apply(name, value, params)


# ---------------------------------------------------------------- numbers


def at_least(low: float) -> Check:
    """Allow numbers from `low` on.

    Examples
    --------
    >>> at_least(16).words
    'at least 16'
    """
    return Check(lambda value, _: value >= low, f"at least {low:,g}")


def at_most(high: float) -> Check:
    """Allow numbers up to `high`.

    Examples
    --------
    >>> at_most(2).words
    'at most 2'
    """
    return Check(lambda value, _: value <= high, f"at most {high:,g}")


def above(low: float | str) -> Check:
    """Allow numbers above `low`, itself a number, or the name of another parameter: its value, or all in its list.

    Examples
    --------
    >>> above("sizes").words
    "above parameter 'sizes'"
    """
    if isinstance(low, str):
        return Check(lambda value, params: value > np.max(getattr(params, low)), f"above parameter {low!r}")
    return Check(lambda value, _: value > low, f"above {low:,g}")


def below(high: float) -> Check:
    """Allow numbers below `high`.

    Examples
    --------
    >>> below(1).words
    'below 1'
    """
    return Check(lambda value, _: value < high, f"below {high:,g}")


def between(low: float, high: float) -> Check:
    """Allow numbers from `low` to `high`, both included.

    Examples
    --------
    >>> between(1, 10_000).words
    'from 1 to 10,000'
    """
    return Check(lambda value, _: low <= value <= high, f"from {low:,g} to {high:,g}")


def within(low: float, high: float) -> Check:
    """Allow numbers strictly between `low` and `high`.

    Examples
    --------
    >>> within(0, 1).words
    'above 0 and below 1'
    """
    return Check(lambda value, _: low < value < high, f"above {low:,g} and below {high:,g}")


def other_than(name: str) -> Check:
    """Allow whatever differs from another parameter.

    Examples
    --------
    >>> other_than("layer").words
    "other than parameter 'layer'"
    """
    return Check(lambda value, params: value != getattr(params, name), f"other than parameter {name!r}")


# ---------------------------------------------------------------- lists


def interval(low: float, high: float, contains_integer: bool = False) -> Check:
    """Allow a pair [a, b] with low <= a < b <= high; with `contains_integer`, a whole number strictly between them.

    Examples
    --------
    >>> interval(6, 37).words
    'a pair [a, b] with 6 <= a < b <= 37'
    """

    def holds(value: Any, _: SimpleNamespace) -> bool:
        if len(value) != 2 or not all(map(_is_number, value)):
            return False
        a, b = value
        return low <= a < b <= high and (not contains_integer or np.floor(a) + 1 < b)

    whole = " and a whole number strictly between" if contains_integer else ""
    return Check(holds, f"a pair [a, b] with {low:,g} <= a < b <= {high:,g}{whole}")


def numbers(each: Check | None = None, least: int = 1, ascending: bool = False, whole: bool = False) -> Check:
    """Allow a list of finite numbers.

    Parameters
    ----------
    each : Check, optional
        Of every number, for example ``above(0) & at_most(1)``.
    least : int
        How many different numbers there are at least.
    ascending : bool
        Each is larger than the one before it.
    whole : bool
        Only whole numbers.

    Examples
    --------
    >>> numbers(above(0) & at_most(1), least=2).words
    'a list of 2 different numbers or more above 0 and at most 1'
    """

    def holds(value: Any, params: SimpleNamespace) -> bool:
        if not all(map(_is_whole if whole else _is_number, value)) or len(set(value)) < least:
            return False
        if ascending and any(a >= b for a, b in zip(value, value[1:], strict=False)):
            return False
        return all(part.holds(number, params) for number in value for part in parts)

    parts = () if each is None else (each, *each.others)
    words = "whole numbers" if whole else "numbers"
    words = f"ascending {words}" if ascending else words
    words = f"{least} different {words} or more" if least > 1 else words
    return Check(holds, " ".join([f"a list of {words}", " and ".join(part.words for part in parts)]).strip())


def shares(least: int = 1, sizes: str = "") -> Check:
    """Allow a list of shares of a lattice, each above 0 and at most 1.

    Parameters
    ----------
    least : int
        How many different ones there are at least.
    sizes : str, optional
        The name of a parameter that lists sides n of square lattices. Different shares must then be different numbers
        of sites, and none of them 0, on each: those that round to the same number would be the same experiment.

    Examples
    --------
    >>> shares(2).words
    'a list of 2 different numbers or more above 0 and at most 1'
    >>> shares(2, sizes="sizes").others[-1].words
    "shares that make different numbers of sites, each 1 or more, on all of parameter 'sizes'"
    """

    def differ(value: Any, params: SimpleNamespace) -> bool:
        counts = {round(share * min(getattr(params, sizes)) ** 2) for share in value} - {0}
        return len(counts) == len(set(value))

    listed = numbers(above(0) & at_most(1), least=least)
    words = f"shares that make different numbers of sites, each 1 or more, on all of parameter {sizes!r}"
    return listed & Check(differ, words) if sizes else listed


def length(low: int, high: int) -> Check:
    """Ask for a list of `low` to `high` values, of whatever kind, none of them twice.

    Examples
    --------
    >>> length(1, 10).words
    'a list of 1 to 10 different values'
    """
    return Check(
        lambda value, params: low <= len(value) <= high and not any(each in value[:k] for k, each in enumerate(value)),
        f"a list of {low} to {high} different values",
    )


def containing(item: Any) -> Check:
    """Allow lists with `item` among their values.

    Examples
    --------
    >>> containing(1).words
    'a list with 1 in it'
    """
    return Check(lambda value, _: item in value, f"a list with {item!r} in it")


def element_of(name: str) -> Check:
    """Allow the values in the list of another parameter.

    Examples
    --------
    >>> element_of("sizes").words
    "one of parameter 'sizes'"
    """
    return Check(lambda value, params: value in getattr(params, name), f"one of parameter {name!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
