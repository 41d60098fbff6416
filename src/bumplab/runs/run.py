"""One finished run of any family, wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bumplab.common import histories
from bumplab.common.run_settings import RunSettings
from bumplab.runs.records import Record

#: What a run may keep beside its snapshots, as :attr:`Run.kept` names it.
HISTORY, VERDICT_ARRAYS, EMBEDDING_ARRAYS, FINAL_WEIGHTS = "history", "verdicts", "embeddings", "weights"


class Source(Protocol):
    """Where a run's curves, arrays and weights lie. Nothing is handed out that does not match its digest."""

    @property
    def folder(self) -> Path:
        """The run's own folder, or that of its study."""
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
    """

    settings: RunSettings
    scalars: dict[str, Any]
    provenance: dict[str, Any]
    source: Source = field(repr=False)

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.settings.id

    @property
    def folder(self) -> Path:
        """The run's own folder, or that of the study in which it is packed."""
        return self.source.folder

    @property
    def kept(self) -> frozenset[str]:
        """``history``, ``verdicts``, ``embeddings``, ``weights`` and names of snapshots: what is there."""
        return self.source.kept

    @cached_property
    def curves(self) -> dict[str, list]:
        """Rows through training by the name of the curve, see :class:`bumplab.runs.records.Record`."""
        return self.source.curves()

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
        """Return everything of the run as plain data."""
        stems = sorted(self.kept - {HISTORY, VERDICT_ARRAYS, EMBEDDING_ARRAYS})
        return Record(
            id=self.id,
            settings=self.settings.to_record(),
            trainer=self.settings.trainer_version,
            scalars=self.scalars,
            provenance=self.provenance,
            curves=self.curves,
            arrays=self.arrays,
            weights={stem: self.weights(stem) for stem in stems},
        )

    def check(self) -> None:
        """Raise :class:`~bumplab.runs.records.StoreError` unless all that is kept is as recorded."""
        self.source.check()

    def describe(self) -> str:
        """Return one line about the run."""
        numbers = ", ".join(f"{name} {value}" for name, value in self.scalars.items())
        return f"{self.id}  {self.settings.family}: {numbers}"
