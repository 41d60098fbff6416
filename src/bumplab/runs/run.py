"""One finished run of any family, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bumplab.common import histories
from bumplab.common.run_settings import RunSettings
from bumplab.runs.records import EMBEDDINGS, VERDICTS, Record

#: What a run may keep beside its snapshots, as :attr:`Run.kept` names it.
HISTORY, VERDICT_ARRAYS, EMBEDDING_ARRAYS, FINAL_WEIGHTS = "history", "verdicts", "embeddings", "weights"
_KINDS = {VERDICTS: VERDICT_ARRAYS, EMBEDDINGS: EMBEDDING_ARRAYS}


def kept_in_line(line: Mapping[str, Any]) -> frozenset[str]:
    """Return what a run's line says that it kept, as :attr:`Run.kept` names it.

    Examples
    --------
    >>> sorted(kept_in_line({"arrays": {"verdicts/seen/code": []}, "curves": {}, "weights": {"weights": ""}}))
    ['verdicts', 'weights']
    """
    kinds = {name.partition("/")[0] for name in line["arrays"]}
    return frozenset({_KINDS[kind] for kind in kinds} | ({HISTORY} if line["curves"] else set()) | set(line["weights"]))


class Source(Protocol):
    """Where a run's curves, arrays and weights lie. Nothing is handed out that does not match its digest."""

    @property
    def path(self) -> Path:
        """The run's own file, or the folder of its study."""
        ...

    @property
    def line(self) -> Mapping[str, Any]:
        """What is said of the run, see :mod:`bumplab.runs.lines`."""
        ...

    @property
    def kept(self) -> frozenset[str]:
        """``history``, ``verdicts``, ``embeddings``, ``weights`` and names of snapshots: what is there."""
        ...

    def curves(self) -> dict[str, list]:
        """Return the curves by their names."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their full names."""
        ...

    def weights(self, stem: str) -> dict[str, np.ndarray]:
        """Return the weights of a snapshot: parameter to array."""
        ...

    def check(self) -> None:
        """Raise :class:`~bumplab.runs.records.StoreError` unless all that is kept is as recorded."""
        ...


@dataclass(frozen=True)
class Run:
    """A finished run. Curves, arrays and weights are read when asked for.

    Attributes
    ----------
    settings : RunSettings
    scalars : dict
        Numbers at the end of training: part to name to number.
    provenance : dict
        Versions, device, precision, threads, seconds of training, date.
    source : Source
    check_curves : callable, optional
        Raises where curves are not such as its family has.
    """

    settings: RunSettings
    scalars: dict[str, Any]
    provenance: dict[str, Any]
    source: Source = field(repr=False)
    check_curves: Callable[[dict[str, list]], None] | None = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.settings.id

    @property
    def path(self) -> Path:
        """The run's own file, or the folder of the study in which it is packed."""
        return self.source.path

    @property
    def kept(self) -> frozenset[str]:
        """``history``, ``verdicts``, ``embeddings``, ``weights`` and names of snapshots: what is there."""
        return self.source.kept

    @cached_property
    def curves(self) -> dict[str, list]:
        """Rows through training by the name of the curve, see :class:`bumplab.runs.records.Record`."""
        curves = self.source.curves()
        if self.check_curves:
            self.check_curves(curves)
        return curves

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by their full names, see :class:`bumplab.runs.records.Record`."""
        return self.source.arrays()

    def weights(self, stem: str = FINAL_WEIGHTS) -> dict[str, np.ndarray]:
        """Return the weights at the end, or those of another snapshot: parameter to array."""
        return self.source.weights(stem)

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and values of one quantity through training.

        See :func:`bumplab.common.histories.curve`: ``run.curve("unseen.joint")``, ``run.curve("loss")``.
        """
        return histories.curve({"loss": [], "accuracy": [], **self.curves}, name)

    def measurements(self, part: str) -> tuple[np.ndarray, list[dict[str, float]]]:
        """Return steps, and all that was measured on a part; see :func:`bumplab.common.histories.measurements`."""
        return histories.measurements({"loss": [], "accuracy": [], **self.curves}, part)

    def record(self) -> Record:
        """Return everything of the run as plain data.

        Raises
        ------
        StoreError
            If something is not as recorded, or this installation lacks its weights.
        """
        return Record(
            id=self.id,
            settings=self.settings.to_record(),
            trainer=self.settings.trainer_version,
            scalars=self.scalars,
            provenance=self.provenance,
            curves=self.curves,
            arrays=self.arrays,
            weights={stem: self.weights(stem) for stem in sorted(self.source.line["weights"])},
        )

    def check(self) -> None:
        """Raise :class:`~bumplab.runs.records.StoreError` unless all that is kept is as recorded."""
        self.source.check()

    def describe(self) -> str:
        """Return one line about the run."""
        numbers = ", ".join(f"{name} {value}" for name, value in self.scalars.items())
        return f"{self.id}  {self.settings.family}: {numbers}"
