"""Families of runs: how one kind of runs is trained, read and proved. The store knows no more of them than this."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

import bumplab
from bumplab.common.config import format_validation_error
from bumplab.common.errors import quote
from bumplab.common.run_settings import FIRST_FAMILY, RunSettings
from bumplab.runs.records import Record, StoreError
from bumplab.runs.run import Run, Source
from bumplab.runs.verification import Recomputation


@dataclass(frozen=True)
class Family:
    """One kind of runs.

    Attributes
    ----------
    settings : type
        Its settings: they bear the family's name and the version of its trainer.
    train : callable
        (settings, folder, device, precision, progress, keep, compile) -> Record. The folder is the run's own; what it
        holds when training is interrupted is there when the same call comes again.
    recompute : callable
        run -> the scalars computed again, once for each kind of arrays that the run kept.
    run : type
        What loading returns.
    keep : tuple of str
        What a run may keep of its weights; the first is what it keeps unless told otherwise.
    rows : callable, optional
        settings -> part -> rows of the data set that verdicts are about, for runs recorded without a column ``row``.
    schema : pydantic.BaseModel, optional
        Of a run's ``scalars``, ``provenance`` and ``curves``. What it refuses is never loaded.
    check_contents : callable, optional
        (settings, line) -> None; raises :class:`BumplabError` unless a run of these settings keeps just the arrays and
        snapshots that its line lists, see :mod:`bumplab.runs.lines`.
    """

    settings: type[RunSettings]
    train: Callable[[Any, Path, str, str, bool, str, bool | None], Record]
    recompute: Callable[[Any], Iterable[Recomputation]]
    run: type[Run] = Run
    keep: tuple[str, ...] = ("all",)
    rows: Callable[[Any], Mapping[str, np.ndarray]] | None = None
    schema: type[BaseModel] | None = None
    check_contents: Callable[[Any, Mapping[str, Any]], None] | None = None


#: Families of toys, and all that come with the package, each in a module imported when the first run of it turns up.
_TOYS = (
    "denoising", "modular-rendering", "modularity", "parity", "parity-sequences", "relations", "rendering",
    "modular-rendering", "modularity", "parity", "parity-images", "parity-sequences", "relations", "rendering",
    "rule-denoisers", "rules", "wedge",
    "rule-denoisers", "rules", "scores", "wedge",
)  # fmt: skip
_MODULES = {FIRST_FAMILY: "bumplab.runs.bump_family"} | dict.fromkeys(_TOYS, "bumplab.runs.toy_family")
_FAMILIES: dict[str, Family] = {}


def register_family(family: Family) -> Family:
    """Make a family known under the name that its settings bear, and return it."""
    _FAMILIES[family.settings.family] = family
    return family


def family_of(settings: RunSettings | Mapping[str, Any]) -> Family:
    """Return the family of settings, or of what :meth:`RunSettings.to_record` makes of them.

    Raises
    ------
    StoreError
        If no family of that name is known.
    """
    name = settings.get("family", FIRST_FAMILY) if isinstance(settings, Mapping) else settings.family
    known = isinstance(name, str)
    if known and name not in _FAMILIES and name in _MODULES:
        importlib.import_module(_MODULES[name])
    if not known or name not in _FAMILIES:
        raise StoreError(f"Runs of the family {quote(name)} are not known here: import the module that registers it.")
    return _FAMILIES[name]


def make_run(line: Mapping[str, Any], source: Source) -> Run:
    """Return the run of which a line speaks (:mod:`bumplab.runs.lines`), of its family's type.

    Raises
    ------
    BumplabError
        If the settings are of no known family, impossible, or of another version of the trainer, or the run has other
        scalars, provenance or arrays than runs of its family have.
    """
    family = family_of(line["settings"])
    settings = family.settings.from_record(line["settings"])
    if line["trainer"] != settings.trainer_version:
        raise StoreError(
            f"It was made by version {line['trainer']} of the trainer, this is {settings.trainer_version}; retrain it."
        )
    for name in ("scalars", "provenance"):
        _check_schema(family, name, line[name])
    if family.check_contents:
        family.check_contents(settings, line)
    check_curves = partial(_check_schema, family, "curves")
    return family.run(settings, line["scalars"], line["provenance"], source, check_curves)


def _check_schema(family: Family, name: str, value: dict) -> None:
    if family.schema is None:
        return
    try:
        _part(family.schema, name).validate_python(value)
    except ValidationError as error:
        sentence = format_validation_error(error, f"{name} of the run")
        raise StoreError(f"It is not such as runs of its family are: {sentence}") from None


@lru_cache
def _part(schema: type[BaseModel], name: str) -> TypeAdapter:
    """Return what checks one field of a schema."""
    kind: Any = schema.model_fields[name].annotation
    return TypeAdapter(kind)


def provenance(**more: Any) -> dict[str, Any]:
    """Return how a run was made: versions, what the family says, date."""
    versions = {"bumplab": bumplab.__version__, "python": platform.python_version(), "numpy": np.__version__}
    return {**versions, **more, "date": datetime.now(UTC).date().isoformat()}
