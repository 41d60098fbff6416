"""The recorded runs of the book: a folder of packs, one for each study, read-only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bumplab.common.errors import BumplabError, join_names
from bumplab.common.files import disk_errors
from bumplab.runs.families import make_run
from bumplab.runs.fingerprints import differences
from bumplab.runs.pack import Pack, read_index, read_pack
from bumplab.runs.pack_files import ARRAYS, CURVES, INDEX, PARTS, REMEDY, WEIGHTS, find_index, look_again, stamp_of
from bumplab.runs.records import PackError, ReplacedError, StoreError
from bumplab.runs.run import FINAL_WEIGHTS, Run, kept_in_line

_FILES = (INDEX, CURVES, PARTS, ARRAYS)


@dataclass(frozen=True)
class PackedRun:
    """One run of a pack, as a :class:`bumplab.runs.run.Source`.

    An installation may come without the files of weights: what they hold then counts as not kept.
    """

    pack: Pack
    run_id: str

    @property
    def path(self) -> Path:
        """The folder of the study."""
        return self.pack.folder

    @property
    def line(self) -> Mapping[str, Any]:
        """What is said of the run, see :mod:`bumplab.runs.lines`."""
        return self.pack.lines[self.run_id]

    @property
    def kept(self) -> frozenset[str]:
        """What was there when the run was looked up, see :class:`bumplab.runs.run.Source`."""
        return self._kept

    def curves(self) -> dict[str, list]:
        """Return the curves by their names."""
        return self.pack.curves(self.run_id)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their full names."""
        return self.pack.arrays(self.run_id)

    def weights(self, stem: str) -> dict[str, np.ndarray]:
        """Return the weights of a snapshot: parameter to array."""
        if stem not in self.line["weights"]:
            what = "its weights" if stem == FINAL_WEIGHTS else stem
            raise StoreError(f"Run {self.run_id} was recorded without {what}; retrain=True trains it again.")
        if not self._has_weights_file():
            raise StoreError(
                f"The weights of run {self.run_id} are not in this installation: they lie in book/runs/"
                f"{self.path.name}/{WEIGHTS} of a clone of the repository; retrain=True trains it again."
            )
        return self.pack.weights(self.run_id, stem)

    def check(self) -> None:
        """Raise :class:`PackError` unless all that is kept is as recorded."""
        self.pack.curves(self.run_id)
        self.pack.arrays(self.run_id)
        for stem in self.line["weights"]:
            if stem in self.kept:
                self.pack.weights(self.run_id, stem)

    @cached_property
    def _kept(self) -> frozenset[str]:
        return kept_in_line(self.line if self._has_weights_file() else {**self.line, "weights": {}})

    def _has_weights_file(self) -> bool:
        there = os.path.lexists(self.path / WEIGHTS / f"{self.run_id}.safetensors")
        if not there:
            self.pack.refuse_replaced()
        return there


@dataclass(frozen=True)
class PackStore:
    """The packs in a folder. What cannot be read is passed over, and named where something is missing because of it."""

    folder: Path

    def ids(self) -> list[str]:
        """Return the ids of all runs, sorted."""
        return sorted({id for pack in self.packs() for id in pack.lines})

    @look_again
    def get(self, id: str) -> Run | None:
        """Return a run, or None.

        Raises
        ------
        StoreError
            If two studies hold the run with other numbers, its line is damaged or impossible, or it is in none of the
            packs that can be read and there is one of which it cannot be told what runs it holds.
        """
        holders = [pack for pack in self.packs() if id in pack.lines]
        for other in holders[1:]:
            if different := differences(holders[0].lines[id], other.lines[id]):
                raise PackError(
                    f"Run {id} is not the same in {holders[0].folder} and in {other.folder}: they differ in "
                    f"{join_names(different)}; keep one of the two."
                )
        if not holders:
            self._refuse(id)
            return None
        fullest = max((PackedRun(pack, id) for pack in holders), key=lambda source: len(source.kept))
        line, path = fullest.pack.lines[id], fullest.path / INDEX
        try:
            run = make_run(line, fullest)
        except BumplabError as error:
            raise PackError(f"{path}, run {id}: {error}") from None
        if run.id != id:
            raise PackError(f"{path} holds the settings of run {run.id} under the id {id}; record it again.")
        return run

    def _refuse(self, id: str) -> None:
        """Raise the problem for which a run, found in no pack, may be missing."""
        for _, pack in self._read():
            if isinstance(pack, StoreError):
                raise pack
            named = set(pack.refusals.values())
            if id in pack.refusals:
                raise pack.refusals[id]
            for problem in pack.problems:
                if problem not in named:
                    raise problem

    def packs(self) -> list[Pack]:
        """Return the packs that can be read, by their folders' names."""
        return [pack for _, pack in self._read() if isinstance(pack, Pack)]

    def problems(self) -> list[StoreError]:
        """Return an error for each pack that cannot be read, and for each run whose line in an index cannot."""
        problems: list[StoreError] = []
        for _, pack in self._read():
            problems += pack.problems if isinstance(pack, Pack) else [pack]
        return problems

    def _read(self) -> Iterator[tuple[Path, Pack | StoreError]]:
        try:
            folders = study_folders(self.folder)
        except StoreError as error:
            yield self.folder, error
            return
        for folder in folders:
            try:
                if folder.is_symlink():
                    raise PackError(f"{folder} is a link, which no folder of recorded runs is.")
                yield folder, _read_folder(folder)
            except StoreError as error:
                yield folder, error


def study_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` that hold a pack, whole or not, or held one when its writing was cut off.

    Raises
    ------
    StoreError
        If `folder` cannot be read.
    """
    if not folder.is_dir():
        return []
    found = set()
    with disk_errors(folder, "read", REMEDY, PackError):
        for path in folder.iterdir():
            if path.name.startswith(".") and path.name.endswith(".old"):
                found.add(path.with_name(path.name[1:].removesuffix(".old")))
            elif not path.name.startswith(".") and (
                find_index(path) or any(os.path.lexists(path / name) for name in _FILES)
            ):
                found.add(path)
    return sorted(found)


@look_again
def _read_folder(folder: Path) -> Pack:
    path = find_index(folder)
    return _read_cached(path, stamp_of(path)) if path else read_pack(folder)


@lru_cache(maxsize=256)
def _read_cached(path: Path, stamp: tuple) -> Pack:
    pack = read_index(path)
    if pack.stamp != stamp:
        raise ReplacedError(f"{path.parent} was replaced while it was read; load the run again.")
    return pack
