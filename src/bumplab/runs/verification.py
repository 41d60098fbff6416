"""Are the numbers of a run true? They are computed again from what the run kept, and compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bumplab.common.errors import BumplabError


@dataclass(frozen=True)
class Recomputation:
    """The scalars of a run, computed again.

    Attributes
    ----------
    source : str
        What they were computed from, as in "its verdicts give".
    scalars : dict
        Nested like those of the run.
    tolerance : float
        How far a number may lie from the recorded one; 0 where the computation is the same.
    """

    source: str
    scalars: Mapping[str, Any]
    tolerance: float = 0.0


@dataclass(frozen=True)
class Proof:
    """What :func:`prove` found out about one run: `verdict`, and in `reason` from what, or why not."""

    id: str
    verdict: Literal["proved", "refuted", "not provable"]
    reason: str


def prove(id: str, recorded: Mapping[str, Any], recomputations: Iterable[Recomputation]) -> Proof:
    """Compare the scalars that a run records with the same ones, computed again.

    Parameters
    ----------
    id : str
    recorded : mapping
        Nested: part to name to number.
    recomputations : iterable of Recomputation
        One for each kind of arrays that the run kept. Each has to give every number of the record and no other;
        what is not finite equals nothing. Without any, nothing can be proved.

    Examples
    --------
    >>> prove("0123456789ab", {"seen": {"joint": 0.5}}, [Recomputation("verdicts", {"seen": {"joint": 0.25}})]).reason
    'it records seen.joint 0.5, its verdicts give 0.25'
    >>> prove("0123456789ab", {"seen": {"joint": 0.5}}, []).verdict
    'not provable'
    """
    sources = []
    then = dict(_leaves(recorded))
    try:
        for again in recomputations:
            now = dict(_leaves(again.scalars))
            for name in [*then, *(now.keys() - then.keys())]:
                if not _equal(then.get(name), now.get(name), again.tolerance):
                    had, has = (str(values.get(name, "no such number")) for values in (then, now))
                    return Proof(id, "refuted", f"it records {name} {had}, its {again.source} give {has}")
            sources.append(again.source)
    except BumplabError as error:
        return Proof(id, "refuted", str(error).removesuffix("."))
    if not sources:
        return Proof(id, "not provable", "it keeps neither weights nor what was drawn with them, only its history")
    return Proof(id, "proved", f"from its {' and its '.join(sources)}")


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _equal(then: Any, now: Any, tolerance: float) -> bool:
    if any(type(value) not in (int, float) or not math.isfinite(value) for value in (then, now)):
        return False
    return abs(then - now) <= tolerance
