"""What was measured for a claim on one network, in one layer: values, interval, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bumplab.chapters.networks import NETWORKS, TARGETS, normalise_label, target_of
from bumplab.chapters.ranges import Range
from bumplab.common.errors import BumplabError, quote
from bumplab.common.statistics import t_interval, wilson_interval

#: What can become of a claim, see :class:`Measurement`.
VERDICTS = ("holds", "undecided", "fails", "confounded")
#: Fewer seeds than this decide nothing.
FEWEST_SEEDS = 3
#: What stands for an interval where nothing is random: one value, which decides by itself.
NO_CHANCE = "none, as nothing is random"


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Return ``"a, b and c"``.

    Examples
    --------
    >>> join_words(["quick", "laptop", "paper"], "or")
    'quick, laptop or paper'
    """
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


@dataclass(frozen=True)
class Measurement:
    """What was measured on one network, in one layer.

    Attributes
    ----------
    network : str or None
        The preset: ``"quick"``, ``"laptop"``, ``"paper"``; None where no network was trained.
    variant : str
        What differs from the preset: what the network predicts, ``"eps"``, or a control, ``"regression"``.
    layer : str
        Where in the network, and in which reading; empty where no layer is looked at.
    values : tuple of float
        One for each seed, rounded.
    value, low, high : float or None
        Mean over seeds and its 95 % interval; None where there are no data, and no interval for a single value.
    seeds : int
        How many values there are.
    interval : str
        How `low` and `high` came about: ``"Student"``, perhaps cut at what is possible, or ``"Wilson"``; or empty; or
        that nothing is random, and both are the value.
    verdict : {"holds", "undecided", "fails", "confounded"}
        ``"holds"`` if the whole interval is in the range that we ask for, ``"fails"`` if all of it is outside,
        ``"confounded"`` if it is inside and something else explains that; else ``"undecided"``: the interval reaches
        into the range and out of it, or there are fewer than three seeds.
    where : str
        What else there is to say of the runs.

    Examples
    --------
    >>> one = measure("laptop, eps", "up1", [0.2, 0.3, 0.25], Range(at_most=0.4))
    >>> one.label, one.words(), one.verdict
    ('laptop, eps', '0.25 [0.13, 0.37] (3 seeds)', 'holds')
    """

    network: str | None
    variant: str
    layer: str
    values: tuple[float, ...]
    value: float | None
    low: float | None
    high: float | None
    seeds: int
    interval: str
    verdict: str
    where: str = ""

    @property
    def label(self) -> str:
        """Network and variant, as they were named."""
        return ", ".join(filter(None, [self.network, self.variant])) or "no training"

    @property
    def target(self) -> str | None:
        """What the network predicts; None for a control, and where no network was trained."""
        return target_of(self.network, self.variant) if self.network else None

    @property
    def rank(self) -> tuple[bool, bool, bool, int, int]:
        """How much the verdict of a claim should rest on this: the highest makes the headline."""
        network = NETWORKS.index(self.network) if self.network in NETWORKS else -1
        target = TARGETS.index(self.target) if self.target else -1
        return min(network, target) >= 0, self.seeds > 0, self.seeds >= FEWEST_SEEDS, network, target

    def words(self) -> str:
        """Return the value with its interval and the number of seeds, or ``"not measured"``."""
        if self.value is None:
            return "not measured"
        if self.interval == NO_CHANCE:
            return f"{self.value:g} (nothing is random)"
        seeds = f"({self.seeds} seed{'s' * (self.seeds > 1)})"
        return f"{self.value:g} {seeds}" if self.low is None else f"{self.value:g} {self.ends()} {seeds}"

    def ends(self) -> str:
        """Return the interval, ``"[0.13, 0.37]"``, or nothing."""
        return "" if self.low is None or self.interval == NO_CHANCE else f"[{self.low:g}, {self.high:g}]"

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain data; :meth:`from_record` undoes it."""
        return {key: list(value) if key == "values" else value for key, value in asdict(self).items()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Measurement:
        """Return the measurement of which :meth:`to_record` gave the data."""
        return cls(**{**record, "values": tuple(record["values"])})


def measure(
    label: str | None,
    layer: str,
    values: ArrayLike,
    request: Range,
    limits: tuple[float | None, float | None] = (None, None),
    yes_no: bool = False,
    digits: int = 2,
    tolerance: float = 0.0,
    confounded: bool = False,
    where: str = "",
    random: bool = True,
) -> Measurement:
    """Return the mean of values, one per seed, with its interval and what that says of a range.

    Parameters
    ----------
    label : str or None
        See :func:`~bumplab.chapters.networks.normalise_label`; None where no network was trained.
    layer, where
        See :class:`Measurement`.
    values : array_like, (n,)
        One for each seed; none, or none that is finite, is no measurement.
    request : Range
        What we ask for.
    limits, yes_no, digits, tolerance, confounded, random
        See :func:`~bumplab.chapters.claims.check_claim`.

    Raises
    ------
    BumplabError
        If there is no such network, or the values are not one possible number for each seed.

    Examples
    --------
    >>> measure("quick", "", [1, 1, 0, 1, 1], Range(at_least=0.5), yes_no=True).words()
    '0.8 [0.38, 0.96] (5 seeds)'
    >>> one = measure("laptop-eps", "", [0.97], Range(at_least=0.5))  # one value decides nothing
    >>> one.label, one.verdict
    ('laptop, eps', 'undecided')
    >>> theory = measure(None, "", [0.97], Range(at_least=0.5), random=False)  # unless nothing about it is random
    >>> theory.words(), theory.verdict
    ('0.97 (nothing is random)', 'holds')
    """
    network, _, variant = ("" if label is None else normalise_label(label)).partition(", ")
    data = _numbers(values)
    data = data[np.isfinite(data)] if not np.isfinite(data).any() else data
    if not np.isfinite(data).all():
        raise BumplabError(f"leave out values that are not finite and say so, got {quote(values)}.")
    if yes_no and not np.isin(data, (0, 1)).all():
        raise BumplabError(f"each value answers yes or no, so it is 1 or 0, got {quote(values)}.")
    if not random and data.size > 1:
        raise BumplabError(f"where nothing is random there is one value, got {quote(values)}.")
    least, most = (0.0, 1.0) if yes_no else limits
    least, most = -np.inf if least is None else least, np.inf if most is None else most
    if (data < least - 1e-6).any() or (data > most + 1e-6).any():
        raise BumplabError(f"a value cannot be below {least:g} or above {most:g}, got {quote(values)}.")
    rounded = tuple(_round(value, max(digits, 1)) for value in data)
    one = Measurement(network or None, variant, layer, rounded, None, None, None, data.size, "", "undecided", where)
    if not data.size:
        return one
    one = replace(one, value=_round(data.mean(), digits))
    if data.size == 1 and random:
        return one
    low, high, method = _interval(data, least, most, yes_no) if random else (data[0], data[0], NO_CHANCE)
    low, high = _round(low, digits), _round(high, digits)
    verdict = request.judge(low, high, tolerance) if data.size >= FEWEST_SEEDS or not random else "undecided"
    verdict = "confounded" if confounded and verdict == "holds" else verdict
    return replace(one, low=low, high=high, interval=method, verdict=verdict)


def _numbers(values: ArrayLike) -> np.ndarray:
    """Return values as an array (n,)."""
    try:
        data = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError, OverflowError):
        data = None
    if data is None or data.ndim > 1:
        raise BumplabError(f"give one number for each seed, got {quote(values)}.")
    return data


def _round(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0  # never minus zero


def _interval(data: np.ndarray, least: float, most: float, yes_no: bool) -> tuple[float, float, str]:
    """Return the ends of the 95 % interval of the mean of two values or more, and its name."""
    if yes_no:
        share = wilson_interval(int(data.sum()), data.size)
        return share.low, share.high, "Wilson"
    _, low, high = t_interval(data, least, most)
    ends = [f"{end:g}" for end in (least, most) if np.isfinite(end)]
    return low, high, f"Student, cut at {join_words(ends)}" if ends else "Student"
