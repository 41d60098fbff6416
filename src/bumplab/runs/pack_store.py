"""The recorded runs of the book: a folder of packs, one for each study, read-only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from bumplab.common.errors import BumplabError
from bumplab.runs.families import make_run
from bumplab.runs.fingerprints import differences
from bumplab.runs.pack import ARRAYS, CURVES, INDEX, PARTS, WEIGHTS, Pack, read_pack
from bumplab.runs.records import EMBEDDINGS, VERDICTS, PackError, StoreError
from bumplab.runs.run import EMBEDDING_ARRAYS, FINAL_WEIGHTS, HISTORY, VERDICT_ARRAYS, Run


@dataclass(frozen=True)
class PackedRun:
    """One run of a pack, as a :class:`bumplab.runs.run.Source`.

    An installation may come without the files of weights: what they hold then counts as not kept.
    """

    pack: Pack
    run_id: str

    @property
    def folder(self) -> Path:
        """The folder of the study."""
        return self.pack.folder

    @cached_property
    def kept(self) -> frozenset[str]:
        """What is there, see :class:`bumplab.runs.run.Source`."""
        line = self.pack.lines[self.run_id]
        arrays = {name.partition("/")[0] for name in line["arrays"]}
        names = {VERDICTS: VERDICT_ARRAYS, EMBEDDINGS: EMBEDDING_ARRAYS}
        kept = {names[kind] for kind in arrays} | ({HISTORY} if line["curves"] else set())
        return frozenset(kept | (line["weights"].keys() if self._weights_file.exists() else set()))

    def curves(self) -> dict[str, list]:
        """Return the curves by their names."""
        return self.pack.curves(self.run_id)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their full names."""
        return self.pack.arrays(self.run_id)

    def weights(self, stem: str) -> dict[str, np.ndarray]:
        """Return the weights of a snapshot: parameter to array."""
        if stem not in self.pack.lines[self.run_id]["weights"]:
            what = "its weights" if stem == FINAL_WEIGHTS else stem
            raise StoreError(f"Run {self.run_id} was recorded without {what}; retrain=True trains it again.")
        if not self._weights_file.exists():
            raise StoreError(
                f"The weights of run {self.run_id} are not in this installation: they lie in book/runs/"
                f"{self.folder.name}/{WEIGHTS} of a clone of the repository; retrain=True trains it again."
            )
        return self.pack.weights(self.run_id, stem)

    def check(self) -> None:
        """Raise :class:`PackError` unless all that is kept is as recorded."""
        self.pack.curves(self.run_id)
        self.pack.arrays(self.run_id)
        for stem in self.pack.lines[self.run_id]["weights"]:
            if stem in self.kept:
                self.pack.weights(self.run_id, stem)

    @property
    def _weights_file(self) -> Path:
        return self.folder / WEIGHTS / f"{self.run_id}.safetensors"


@dataclass(frozen=True)
class PackStore:
    """The packs in a folder. What cannot be read is passed over, and named where something is missing because of it."""

    folder: Path

    def ids(self) -> list[str]:
        """Return the ids of all runs, sorted."""
        return sorted({id for pack in self.packs() for id in pack.lines})

    def get(self, id: str) -> Run | None:
        """Return a run, or None.

        Raises
        ------
        StoreError
            If two studies hold the run with other numbers, its line is impossible, or it is in none of the packs that
            can be read and there is one that cannot.
        """
        holders = [pack for pack in self.packs() if id in pack.lines]
        for other in holders[1:]:
            if different := differences(holders[0].lines[id], other.lines[id]):
                raise PackError(
                    f"Run {id} is not the same in {holders[0].folder} and in {other.folder}: they differ in "
                    f"{', '.join(different)}; keep one of the two."
                )
        if not holders:
            for error in self.problems():
                raise error
            return None
        fullest = max((PackedRun(pack, id) for pack in holders), key=lambda source: len(source.kept))
        line, path = fullest.pack.lines[id], fullest.folder / INDEX
        try:
            run = make_run(line["settings"], line["trainer"], line["scalars"], line["provenance"], fullest)
        except BumplabError as error:
            raise PackError(f"{path}, run {id}: {error}") from None
        if run.id != id:
            raise PackError(f"{path} holds the settings of run {run.id} under the id {id}; record it again.")
        return run

    def packs(self) -> list[Pack]:
        """Return the packs that can be read, by their folders' names."""
        return [pack for _, pack in self._read() if isinstance(pack, Pack)]

    def problems(self) -> list[StoreError]:
        """Return an error for each pack that cannot be read."""
        return [error for _, error in self._read() if isinstance(error, StoreError)]

    def _read(self) -> Iterator[tuple[Path, Pack | StoreError]]:
        for folder in study_folders(self.folder):
            try:
                stat = (folder / INDEX).stat()
                yield folder, _read_cached(folder, stat.st_mtime_ns, stat.st_size)
            except OSError:
                try:
                    yield folder, read_pack(folder)
                except StoreError as error:
                    yield folder, error
            except StoreError as error:
                yield folder, error


def study_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` that hold a pack, whole or not, or held one when its writing was cut off."""
    if not folder.is_dir():
        return []
    found = set()
    for path in folder.iterdir():
        if path.name.startswith(".") and path.name.endswith(".old"):
            found.add(path.with_name(path.name[1:].removesuffix(".old")))
        elif not path.name.startswith(".") and any((path / name).exists() for name in (INDEX, CURVES, PARTS, ARRAYS)):
            found.add(path)
    return sorted(found)


@lru_cache(maxsize=256)
def _read_cached(folder: Path, modified: int, size: int) -> Pack:
    return read_pack(folder)
