"""What a record of a toy must look like, whoever wrote it: numbers, provenance, curves, weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from bumplab.common.errors import BumplabError
from bumplab.runs.run import FINAL_WEIGHTS
from bumplab.toys.settings import ToySettings
from bumplab.training.snapshots import snapshot_name

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_Words = Annotated[str, Field(max_length=100, pattern=r"^\P{C}*$")]


class _Provenance(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]
    bumplab: _Words
    python: _Words
    numpy: _Words
    torch: _Words
    date: _Words
    device: _Words
    precision: Literal["fp32"]
    threads: Annotated[int, Field(ge=1)]
    members: Annotated[int, Field(ge=1)]
    keep: Literal["all", "none"]
    seconds: Annotated[float, Field(ge=0, le=1e12)]


class ToySchema(BaseModel):
    """Scalars, provenance and curves of a run of a toy.

    Examples
    --------
    >>> sorted(ToySchema.model_fields)
    ['curves', 'provenance', 'scalars']
    """

    scalars: Annotated[dict[str, dict[str, float]], Field(min_length=1)]
    provenance: _Provenance
    curves: dict[Literal["loss", "measurements"], list]


def snapshot_stem(step: int) -> str:
    """Return the name under which a run keeps its weights after a step.

    Examples
    --------
    >>> snapshot_stem(200) == snapshot_name(200).removesuffix(".safetensors")
    True
    """
    return Path(snapshot_name(step)).stem


def check_toy_contents(settings: ToySettings, line: Mapping[str, Any]) -> None:
    """Raise unless a toy keeps the weights that its line says, and no arrays.

    Raises
    ------
    BumplabError
        Naming what is missing or too much.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> line = {"weights": {}, "arrays": {}, "provenance": {"keep": "all"}}
    >>> check_toy_contents(ModularitySettings(), line)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Its weights are [], of its settings follow ['weights'].
    """
    stems = {FINAL_WEIGHTS, *(snapshot_stem(step) for step in settings.snapshots if step < settings.steps)}
    kept, early = set(line["weights"]), settings.stop_below > 0
    right = kept <= stems and FINAL_WEIGHTS in kept if early else kept == stems
    if line["arrays"] or not (right if line["provenance"]["keep"] == "all" else not kept):
        raise BumplabError(f"Its weights are {sorted(kept)}, of its settings follow {sorted(stems)}.")
