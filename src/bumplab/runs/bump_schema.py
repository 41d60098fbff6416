"""What a record of a run of bumps must look like, whoever wrote it: numbers, provenance, curves, arrays, snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from bumplab.common.errors import BumplabError, join_names
from bumplab.runs.run import FINAL_WEIGHTS
from bumplab.training.outcomes import MAX_EVALUATIONS, MOMENTS, embedding_shape
from bumplab.training.settings import Settings
from bumplab.training.snapshots import snapshot_name
from bumplab.worlds.bumps import BumpWorld, subsample_evenly

_Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0)]
#: An integer is no text, NaN is no number, and what is not named here is not there.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
#: Without control characters, which a terminal would obey.
_Words = Annotated[str, Field(max_length=100, pattern=r"^\P{C}*$")]


class _Shares(TypedDict):
    """See :meth:`bumplab.analysis.accuracy.Evaluation.to_record`."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    joint: _Share
    x: _Share
    y: _Share
    none: _Share
    several: _Share
    misplaced: _Share
    right: _Share
    n: Annotated[int, Field(ge=1)]


class _Measurement(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    step: _Count
    seen: _Shares
    unseen: NotRequired[_Shares]


class _Curves(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    loss: list[Annotated[list[float], Field(min_length=2, max_length=2)]]
    accuracy: list[_Measurement]


class _Scalars(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    seen: _Shares
    unseen: NotRequired[_Shares]


class _Provenance(TypedDict):
    """How a run was made; 12 early ones do not say how many trained together, and no earlier one was compiled."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]
    bumplab: _Words
    python: _Words
    numpy: _Words
    torch: _Words
    date: _Words
    device: _Words
    precision: Literal["fp32", "bf16", "fp16"]
    execution: NotRequired[Literal["eager", "compiled"]]
    threads: _Count
    seconds: Annotated[float, Field(ge=0, le=1e12)]
    members: NotRequired[Annotated[int, Field(ge=1)]]
    keep: NotRequired[_Words]
    sessions: NotRequired[list[dict[str, int | _Words]]]


class BumpSchema(BaseModel):
    """Scalars, provenance and curves of a run of bumps."""

    scalars: _Scalars
    provenance: _Provenance
    curves: _Curves


def lattice_rows(world: BumpWorld) -> dict[str, np.ndarray]:
    """Return which rows of the world's lattice the verdicts of ``seen`` and ``unseen`` are about, int32 (n,).

    Examples
    --------
    >>> rows = lattice_rows(BumpWorld(size=8, held_out="band_x(2, 5)"))
    >>> {part: len(numbers) for part, numbers in rows.items()}
    {'seen': 48, 'unseen': 16}
    """
    seen = world.seen_mask()
    return {
        part: subsample_evenly(torch.nonzero(mask)[:, 0], MAX_EVALUATIONS).numpy().astype(np.int32)
        for part, mask in (("seen", seen), ("unseen", ~seen))
        if mask.any()
    }


def check_contents(settings: Settings, line: Mapping[str, Any]) -> None:
    """Raise unless a run keeps what its policy says, and each array has the type and shape that its settings give it.

    Runs say what they keep since they say it in their provenance (``keep``, see
    :func:`bumplab.runs.store.load_or_train`). Earlier ones kept verdicts on all parts or on none, at most one
    embedding, and all snapshots, the last one, or none.

    Raises
    ------
    BumplabError
        Naming what is missing, too much, or of another type or shape.

    Examples
    --------
    >>> from bumplab.training import preset
    >>> check_contents(preset("smoke"), {"provenance": {"keep": "none"}, "arrays": {}, "weights": {}})
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Its verdicts/seen/code is nothing, of its settings follows int8 [1024, 2].
    """
    keep = line["provenance"].get("keep")
    arrays = {name: (dtype, tuple(shape)) for name, (dtype, shape, _) in line["arrays"].items()}
    verdicts = {name: kind for name, kind in arrays.items() if name.startswith("verdicts/")}
    embeddings = {name: kind for name, kind in arrays.items() if name not in verdicts}
    if verdicts or keep is not None:
        required = {}
        for part, rows in lattice_rows(settings.world).items():
            required[f"verdicts/{part}/error"] = ("float16", (len(rows), 2))
            required[f"verdicts/{part}/code"] = ("int8", (len(rows), 2))
            if keep is not None or f"verdicts/{part}/row" in verdicts:
                required[f"verdicts/{part}/row"] = ("int32", (len(rows),))
        _compare(verdicts, required)
    moments = [keep] if keep in MOMENTS else [] if keep is not None else [*MOMENTS]
    if len(embeddings) > 1 or embeddings.keys() - {f"embeddings/{moment}" for moment in moments}:
        raise BumplabError(f"It holds {join_names(sorted(embeddings))}, of which it cannot keep all.")
    if keep in MOMENTS and not embeddings:
        raise BumplabError(f"It lacks embeddings/{keep}.")
    _compare(embeddings, dict.fromkeys(embeddings, ("float16", embedding_shape(settings))) if embeddings else {})
    last = settings.training.steps
    snapshots = {Path(snapshot_name(step)).stem for step in settings.training.snapshots if step < last}
    choices = {
        "all": [{FINAL_WEIGHTS, *snapshots}],
        "half": [{FINAL_WEIGHTS}],
        None: [{FINAL_WEIGHTS, *snapshots}, {FINAL_WEIGHTS}, set()],
    }
    if set(line["weights"]) not in choices.get(keep, [set()]):
        raise BumplabError(f"It holds {join_names(sorted(line['weights'])) or 'no'} weights, others than it must keep.")


def _compare(found: Mapping[str, tuple], required: Mapping[str, tuple]) -> None:
    for name in sorted(found.keys() | required.keys()):
        if found.get(name) != required.get(name):
            has, wants = (
                f"{values[name][0]} {list(values[name][1])}" if name in values else "nothing"
                for values in (found, required)
            )
            raise BumplabError(f"Its {name} is {has}, of its settings follows {wants}.")
