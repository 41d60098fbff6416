"""Strings of bits that obey a rule: in every group of G neighbours the number of -1 is even.

The world of Wang, Finn and Liu, "The two clocks and the innovation window" (arXiv:2605.10019): bits are -1 or +1, the
product of each group is +1. All of it can be counted, so a sample is invalid, new or a copy, and nothing in between.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field, model_validator

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError, quote

#: Most strings that are written out or drawn at once.
MAX_STRINGS = 2**20


class ParityWorld(FrozenConfig):
    """Strings of bits in groups of even parity.

    Attributes
    ----------
    bits : int
        D, the length of a string, 2 to 60.
    group : int
        G, how many neighbours obey one rule, 2 or more, a divisor of the bits; 0 for no rule at all, the null.

    Examples
    --------
    >>> world = ParityWorld(bits=6, group=3)
    >>> world.num_valid, world.strings([1]).int().tolist()
    (16, [[-1, 1, -1, 1, 1, 1]])
    >>> ParityWorld(bits=16, group=3)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Groups of 3 do not divide 16 bits: choose 2, 4, 8, 16, or 0 for no rule.
    """

    bits: Annotated[int, Field(ge=2, le=60)] = 16
    group: Annotated[int, Field(ge=0, le=60)] = 2

    @model_validator(mode="after")
    def _check_groups(self) -> ParityWorld:
        if self.group == 1 or (self.group and self.bits % self.group):
            right = ", ".join(str(g) for g in range(2, self.bits + 1) if self.bits % g == 0)
            raise BumplabError(
                f"Groups of {self.group} do not divide {self.bits} bits: choose {right}, or 0 for no rule."
                if self.group != 1
                else f"Groups of 1 would leave one string: choose {right}, or 0 for no rule."
            )
        return self

    @property
    def num_rules(self) -> int:
        """How many groups there are."""
        return self.bits // self.group if self.group else 0

    @property
    def num_valid(self) -> int:
        """How many strings obey the rule: 2^(D - D / G)."""
        return 2 ** (self.bits - self.num_rules)

    @property
    def chance(self) -> float:
        """Share of valid strings among all."""
        return 0.5**self.num_rules

    def strings(self, places: np.ndarray | list[int]) -> torch.Tensor:
        """Return valid strings by their places, (n, D), float32: all bits of a place but the last of each group.

        Parameters
        ----------
        places : array_like of int, (n,)
            0 to :attr:`num_valid` - 1; a digit 1 stands for -1.

        Examples
        --------
        >>> ParityWorld(bits=4, group=2).strings([0, 1, 3]).int().tolist()
        [[1, 1, 1, 1], [-1, -1, 1, 1], [-1, -1, -1, -1]]
        """
        free = self.bits - self.num_rules
        digits = np.asarray(places, dtype=np.int64)[:, None] >> np.arange(free) & 1
        bits = torch.from_numpy((1 - 2 * digits).astype(np.float32))
        if not self.group:
            return bits
        groups = bits.unflatten(1, (self.num_rules, self.group - 1))
        return torch.cat([groups, groups.prod(2, keepdim=True)], 2).flatten(1)

    def all_valid(self) -> torch.Tensor:
        """Return all strings that obey the rule, (num_valid, D), float32.

        Raises
        ------
        BumplabError
            If there are more than a million of them.

        Examples
        --------
        >>> ParityWorld(bits=4, group=4).all_valid().shape
        torch.Size([8, 4])
        """
        if self.num_valid > MAX_STRINGS:
            raise BumplabError(f"At most {MAX_STRINGS:,} strings can be written out, there are {self.num_valid:,}.")
        return self.strings(np.arange(self.num_valid))

    def draw_strings(self, n: int, seed: int = 0) -> torch.Tensor:
        """Return n different valid strings, (n, D), float32, drawn without replacement.

        Parameters
        ----------
        n : int
            1 to the number of valid strings, and to a million.
        seed : int
            0 or more.

        Raises
        ------
        BumplabError
            If there are fewer valid strings than that.

        Examples
        --------
        >>> world = ParityWorld(bits=16, group=8)
        >>> world.is_valid(world.draw_strings(100)).all().item()
        True
        >>> ParityWorld(bits=4, group=2).draw_strings(5)
        Traceback (most recent call last):
        bumplab.common.errors.BumplabError: Only 4 strings of 4 bits in groups of 2 are valid, got 5 to draw.
        """
        if n > self.num_valid:
            rule = f" in groups of {self.group}" if self.group else ""
            raise BumplabError(
                f"Only {self.num_valid:,} strings of {self.bits} bits{rule} are valid, got {quote(n)} to draw."
            )
        if not 1 <= n <= MAX_STRINGS:
            raise BumplabError(f"Draw 1 to {MAX_STRINGS:,} strings, got {quote(n)}.")
        return self.strings(np.random.default_rng([36, seed]).choice(self.num_valid, n, replace=False))

    def is_valid(self, strings: torch.Tensor) -> torch.Tensor:
        """Return which strings (n, D) obey the rule, (n,) bool; one with an undecided bit, 0, does not.

        Examples
        --------
        >>> ParityWorld(bits=4, group=2).is_valid(torch.tensor([[-1, -1, 1, 1], [-1, 1, 1, 1], [0, 1, 1, 1]])).tolist()
        [True, False, False]
        """
        decided = (strings != 0).all(1)
        if not self.group:
            return decided
        odd = (strings < 0).unflatten(1, (self.num_rules, self.group)).sum(2) % 2
        return decided & (odd == 0).all(1)


def decode_bits(x: torch.Tensor, tolerance: float | None = None) -> torch.Tensor:
    """Return numbers as bits: -1, +1, or 0 for undecided; int8 of the same shape.

    Parameters
    ----------
    x : torch.Tensor
    tolerance : float, optional
        A number is decided within this distance of -1 or +1, as in the paper, which takes 0.1. By default signs decide,
        and 0 counts as +1.

    Examples
    --------
    >>> x = torch.tensor([-1.05, 0.3, 0.95])
    >>> decode_bits(x).tolist(), decode_bits(x, 0.1).tolist()
    ([-1, 1, 1], [-1, 0, 1])
    """
    signs = 1 - 2 * (x < 0).to(torch.int8)
    return signs if tolerance is None else signs * ((x.abs() - 1).abs() <= tolerance)


def find_copies(strings: torch.Tensor, training: torch.Tensor) -> torch.Tensor:
    """Return which strings (n, D) are among the training strings (N, D), (n,) bool.

    Parameters
    ----------
    strings, training : torch.Tensor
        Of -1 and +1, at most 60 of them; a string with an undecided bit, 0, is no copy.

    Examples
    --------
    >>> find_copies(torch.tensor([[1, -1], [1, 1], [0, -1]]), torch.tensor([[1.0, -1.0]])).tolist()
    [True, False, False]
    """
    powers = 2 ** torch.arange(strings.shape[1], device=strings.device)
    names, known = (((each > 0) * powers).sum(1) for each in (strings, training))
    return torch.isin(names, known) & (strings != 0).all(1)
