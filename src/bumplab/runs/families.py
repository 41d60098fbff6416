"""Families of runs: how one kind of runs is trained, read and proved. The store knows no more of them than this."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import bumplab
from bumplab.common.run_settings import FIRST_FAMILY, RunSettings
from bumplab.runs.records import Record, StoreError
from bumplab.runs.run import Run
from bumplab.runs.verification import Recomputation


@dataclass(frozen=True)
class Family:
    """One kind of runs.

    Attributes
    ----------
    settings : type
        Its settings: they bear the family's name and the version of its trainer.
    train : callable
        (settings, folder, device, precision, progress, keep) -> Record. The folder is the run's own; what it holds
        when training is interrupted is there when the same call comes again.
    recompute : callable
        run -> the scalars computed again, once for each kind of arrays that the run kept.
    run : type
        What loading returns.
    keep : tuple of str
        What a run may keep of its weights; the first is what it keeps unless told otherwise.
    rows : callable, optional
        settings -> part -> rows of the data set that verdicts are about, for runs recorded without a column ``row``.
    """

    settings: type[RunSettings]
    train: Callable[[Any, Path, str, str, bool, str], Record]
    recompute: Callable[[Any], Iterable[Recomputation]]
    run: type[Run] = Run
    keep: tuple[str, ...] = ("all",)
    rows: Callable[[Any], Mapping[str, np.ndarray]] | None = None


#: Families that come with the package, each in a module that is imported when the first run of it turns up.
_MODULES = {FIRST_FAMILY: "bumplab.runs.bump_family"}
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
        raise StoreError(f"Runs of the family {name!r:.60} are not known here: import the module that registers it.")
    return _FAMILIES[name]


def make_run(record: Mapping[str, Any], trainer: int, scalars: dict, provenance: dict, source: Any) -> Run:
    """Return the run that recorded settings name, of its family's type.

    Raises
    ------
    BumplabError
        If the settings are of no known family, impossible, or of another version of the trainer.
    """
    family = family_of(record)
    settings = family.settings.from_record(record)
    if trainer != settings.trainer_version:
        raise StoreError(
            f"It was made by version {trainer} of the trainer, this is {settings.trainer_version}; retrain it."
        )
    return family.run(settings, scalars, provenance, source)


def provenance(**more: Any) -> dict[str, Any]:
    """Return how a run was made: versions, what the family says, date."""
    versions = {"bumplab": bumplab.__version__, "python": platform.python_version(), "numpy": np.__version__}
    return {**versions, **more, "date": datetime.now(UTC).date().isoformat()}
