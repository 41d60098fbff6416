"""A study's runs in one folder, read-only: small, few files, one line of a diff a run.

::

    runs.jsonl              first line: format and study; then a line a run, sorted by id: settings, scalars,
                            provenance, and a SHA-256 of each curve, array and snapshot
    curves.parquet          loss, accuracy, ... through training
    verdicts.parquet        arrays with a row per condition
    embeddings.safetensors  other arrays, as <id>/<name>
    weights/<id>.safetensors  weights, as <snapshot>/<parameter>

What a run has none of, has no file. The digests are of contents, so a newer pyarrow changes none of them. Nothing is
handed out that does not match its digest, and reading executes no code.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bumplab.common.digests import digest_arrays, digest_json
from bumplab.common.errors import join_names, quote
from bumplab.common.files import disk_errors
from bumplab.runs.pack_files import (
    ARRAYS,
    CURVES,
    INDEX,
    PARTS,
    REMEDY,
    WEIGHTS,
    find_index,
    look_again,
    read_tensors,
    stamp_of,
    unless_replaced,
)  # fmt: skip
from bumplab.runs.pack_index import parse_index
from bumplab.runs.parquet import Table
from bumplab.runs.records import EMBEDDINGS, VERDICTS, PackError, Record, ReplacedError, split_name

#: Of an index: 50,000 runs of today's length.
_MOST_BYTES, _MOST_LINES = 2**27, 100_000


@dataclass(frozen=True)
class Pack:
    """The runs of one study; see :func:`read_pack`.

    Curves and arrays are read when asked for, one run at a time, and checked against their digests.

    Attributes
    ----------
    folder : Path
    study : str
    lines : dict
        Id to what the index says of a run; see :func:`bumplab.runs.fingerprints.describe_record`.
    problems : tuple of PackError
        What is wrong with other lines of the index.
    refusals : dict
        Id of a run whose line is wrong, where it can be told, to the problem.
    stamp : tuple
        Of the index as it was read, to notice that the pack was replaced.
    """

    folder: Path
    study: str
    lines: dict[str, dict[str, Any]] = field(repr=False)
    problems: tuple[PackError, ...] = ()
    refusals: Mapping[str, PackError] = field(default_factory=dict)
    stamp: tuple = field(default=(), repr=False)

    def ids(self) -> list[str]:
        """Return the ids of all runs, sorted."""
        return list(self.lines)

    def line(self, id: str) -> dict[str, Any]:
        """Return what the index says of a run; see :func:`bumplab.runs.fingerprints.describe_record`."""
        return copy.deepcopy(self._line(id))

    def refuse_problems(self) -> None:
        """Raise the first problem, if there is any: what writes the pack again would lose what it cannot read."""
        for problem in self.problems:
            raise problem

    def refuse_replaced(self) -> None:
        """Raise :class:`~bumplab.runs.records.ReplacedError` if the index is another one than was read."""
        if self.stamp and stamp_of(self.folder / INDEX) != self.stamp:
            raise ReplacedError(f"{self.folder} was replaced while it was in use; load the run again.")

    @unless_replaced
    def curves(self, id: str) -> dict[str, list]:
        """Return the curves of a run."""
        curves = {}
        for name, (count, digest) in self._line(id)["curves"].items():
            curves[name] = self._curves.curve(id, name, count) if count else []
            self._compare(digest_json(curves[name]), digest, id, f"curve {name}", CURVES)
        return curves

    @unless_replaced
    def arrays(self, id: str) -> dict[str, np.ndarray]:
        """Return the arrays of a run, by their full names."""
        arrays = {}
        described = self._line(id)["arrays"]
        for part, columns in _parts(described).items():
            count = _length(columns)
            if count:
                found = self._verdicts.part(id, part, count, columns)
            else:
                found = {column: np.empty(shape, dtype) for column, (dtype, shape) in columns.items()}
            arrays.update({f"{VERDICTS}/{part}/{column}": array for column, array in found.items()})
        names = [name for name in described if name.startswith(f"{EMBEDDINGS}/")]
        keys = {f"{id}/{name.partition('/')[2]}": name for name in names}
        arrays.update({keys[key]: array for key, array in read_tensors(self.folder / ARRAYS, list(keys)).items()})
        for name, line in described.items():
            array, file = arrays[name], PARTS if name.startswith(VERDICTS) else ARRAYS
            again = [array.dtype.name, list(array.shape), digest_arrays({name: array})]
            self._compare(again, line, id, f"array {name}", file)
        return {name: arrays[name] for name in described}

    @unless_replaced
    def weights(self, id: str, stem: str = "weights") -> dict[str, np.ndarray]:
        """Return the weights of a run at its end, or another snapshot."""
        kept = self._line(id)["weights"]
        if stem not in kept:
            raise PackError(
                f"Run {id} in {self.folder} kept no weights {quote(stem)}; it has {join_names(kept) or 'none'}."
            )
        file = f"{WEIGHTS}/{id}.safetensors"
        if (self.folder / WEIGHTS).is_symlink():
            raise PackError(f"{self.folder / WEIGHTS} is a link, which no folder of a pack is.")
        found = read_tensors(self.folder / file, None, f"{stem}/")
        parameters = {name.partition("/")[2]: array for name, array in found.items()}
        self._compare(digest_arrays(parameters), kept[stem], id, f"weights {stem}", file)
        return parameters

    def record(self, id: str) -> Record:
        """Return everything of a run."""
        line = self.line(id)
        plain = {name: line[name] for name in ("id", "settings", "trainer", "scalars", "provenance")}
        weights = {stem: self.weights(id, stem) for stem in line["weights"]}
        return Record(**plain, curves=self.curves(id), arrays=self.arrays(id), weights=weights)

    def check(self, id: str) -> None:
        """Read everything of a run and compare it with its digests.

        Raises
        ------
        PackError
            If a file is missing or damaged, or something in it is not what was recorded.
        """
        self.record(id)

    def _line(self, id: str) -> dict[str, Any]:
        if id in self.refusals:
            raise self.refusals[id]
        if id not in self.lines:
            raise PackError(f"There is no run {id} in {self.folder}.")
        return self.lines[id]

    def _compare(self, again: Any, recorded: Any, id: str, what: str, file: str) -> None:
        if again != recorded:
            raise PackError(f"{self.folder / file}: {what} of run {id} is not what was recorded.")

    @cached_property
    def _curves(self) -> Table:
        lengths = {(id, name): count for id, line in self.lines.items() for name, (count, _) in line["curves"].items()}
        return Table(self.folder / CURVES, "curve", None if self.problems else lengths)

    @cached_property
    def _verdicts(self) -> Table:
        lengths = {
            (id, part): _length(columns)
            for id, line in self.lines.items()
            for part, columns in _parts(line["arrays"]).items()
        }
        return Table(self.folder / PARTS, "part", None if self.problems else lengths)


def _parts(described: dict[str, list]) -> dict[str, dict[str, tuple[str, list[int]]]]:
    """Return part -> column -> type and shape, from the descriptions of a run's arrays."""
    parts: dict[str, dict] = {}
    for name, (dtype, shape, _) in described.items():
        kind, part, column = split_name(name, "array")
        if kind == VERDICTS:
            parts.setdefault(part, {})[column] = (dtype, shape)
    return parts


def _length(columns: dict[str, tuple[str, list[int]]]) -> int:
    return next(iter(columns.values()))[1][0]


@look_again
def read_pack(folder: Path) -> Pack:
    """Read the index of a pack; curves, arrays and weights are read when asked for.

    A line that is damaged becomes one of the :attr:`Pack.problems`; the other runs are there. Where a write was cut off
    between taking the old pack away and putting the new one in its place, the old one is read.

    Raises
    ------
    PackError
        If the folder holds no pack, one of a newer format, or one whose first line is damaged.
    """
    folder = Path(folder)
    path = find_index(folder)
    if path is None:
        raise PackError(f"{folder} is not a pack of runs: it has no {INDEX}.")
    return read_index(path)


def read_index(path: Path) -> Pack:
    """Read the index at a path, see :func:`read_pack`.

    Raises
    ------
    PackError
        Also :class:`~bumplab.runs.records.ReplacedError`, if it has gone.

    Examples
    --------
    >>> read_index(Path("/nowhere/runs.jsonl"))
    Traceback (most recent call last):
    bumplab.runs.records.ReplacedError: /nowhere was replaced while it was read; load the run again.
    """
    with disk_errors(path, "read", REMEDY, PackError):
        try:
            with open(path, "rb") as file:
                stamp, content = stamp_of(file.fileno()), file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            raise ReplacedError(f"{path.parent} was replaced while it was read; load the run again.") from None
    if len(content) > _MOST_BYTES:
        raise PackError(f"{path} is longer than the {_MOST_BYTES:,} bytes that an index may have.")
    try:
        texts = content.decode("ascii").split("\n", _MOST_LINES)
    except UnicodeDecodeError:
        raise PackError(f"{path} is no text; take it from the repository again.") from None
    index = parse_index(path, texts)
    return Pack(path.parent, index.study, index.lines, index.problems, index.refusals, stamp)
