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
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from bumplab.common.digests import digest_arrays, digest_json, unseal
from bumplab.common.errors import BumplabError
from bumplab.runs.parquet import Table
from bumplab.runs.records import EMBEDDINGS, VERDICTS, PackError, Record, split_name

FORMAT, VERSION = "bumplab pack", 1
INDEX, CURVES, PARTS, ARRAYS, WEIGHTS = (
    "runs.jsonl", "curves.parquet", "verdicts.parquet", "embeddings.safetensors", "weights",
)  # fmt: skip
_HEADER = {"format": str, "version": int, "study": str, "runs": int}
_LINE = {
    "id": str, "trainer": int, "settings": dict, "scalars": dict, "provenance": dict, "curves": dict, "arrays": dict,
    "weights": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Pack:
    """The runs of one study; see :func:`read_pack`.

    Curves and arrays are read when asked for, one run at a time, and checked against their digests.
    """

    folder: Path
    study: str
    lines: dict[str, dict[str, Any]]

    def ids(self) -> list[str]:
        """Return the ids of all runs, sorted."""
        return list(self.lines)

    def line(self, id: str) -> dict[str, Any]:
        """Return what the index says of a run; see :func:`bumplab.runs.fingerprints.describe_record`."""
        return copy.deepcopy(self._line(id))

    def curves(self, id: str) -> dict[str, list]:
        """Return the curves of a run."""
        curves = {}
        for name, (count, digest) in self._line(id)["curves"].items():
            start = self._starts[0].get((id, name), 0)
            curves[name] = self._curves.curve(id, name, start, start + count) if count else []
            self._compare(digest_json(curves[name]), digest, id, f"curve {name}", CURVES)
        return curves

    def arrays(self, id: str) -> dict[str, np.ndarray]:
        """Return the arrays of a run, by their full names."""
        arrays = {}
        described = self._line(id)["arrays"]
        for part, columns in _parts(described).items():
            count = _length(columns)
            if count:
                start = self._starts[1][id, part]
                found = self._verdicts.part(id, part, start, start + count, columns)
            else:
                found = {column: np.empty(shape, dtype) for column, (dtype, shape) in columns.items()}
            arrays.update({f"{VERDICTS}/{part}/{column}": array for column, array in found.items()})
        names = [name for name in described if name.startswith(f"{EMBEDDINGS}/")]
        keys = {f"{id}/{name.partition('/')[2]}": name for name in names}
        arrays.update({keys[key]: array for key, array in _tensors(self.folder / ARRAYS, list(keys)).items()})
        for name, (_, _, digest) in described.items():
            file = PARTS if name.startswith(VERDICTS) else ARRAYS
            self._compare(digest_arrays({name: arrays[name]}), digest, id, f"array {name}", file)
        return {name: arrays[name] for name in described}

    def weights(self, id: str, stem: str = "weights") -> dict[str, np.ndarray]:
        """Return the weights of a run at its end, or another snapshot."""
        kept = self._line(id)["weights"]
        if stem not in kept:
            raise PackError(f"Run {id} in {self.folder} kept no weights {stem!r}; it has {', '.join(kept) or 'none'}.")
        file = f"{WEIGHTS}/{id}.safetensors"
        found = _tensors(self.folder / file, None, f"{stem}/")
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
        if id not in self.lines:
            raise PackError(f"There is no run {id} in {self.folder}.")
        return self.lines[id]

    def _compare(self, digest: str, recorded: str, id: str, what: str, file: str) -> None:
        if digest != recorded:
            raise PackError(f"{self.folder / file}: {what} of run {id} is not what was recorded.")

    @cached_property
    def _starts(self) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], int]]:
        """First row of each curve and of each part of each run."""
        starts: tuple[dict, dict] = {}, {}
        ends = [0, 0]
        for id, line in self.lines.items():
            lengths = (
                {name: count for name, (count, _) in line["curves"].items()},
                {part: _length(columns) for part, columns in _parts(line["arrays"]).items()},
            )
            for which, counts in enumerate(lengths):
                for name, count in counts.items():
                    starts[which][id, name] = ends[which]
                    ends[which] += count
        starts[0][""], starts[1][""] = ends  # type: ignore[index]  # how many rows there are
        return starts

    @cached_property
    def _curves(self) -> Table:
        return Table(self.folder / CURVES, "curve", self._starts[0][""])  # pyright: ignore[reportArgumentType]

    @cached_property
    def _verdicts(self) -> Table:
        return Table(self.folder / PARTS, "part", self._starts[1][""])  # pyright: ignore[reportArgumentType]


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


def _tensors(path: Path, names: list[str] | None, prefix: str = "") -> dict[str, np.ndarray]:
    """Return tensors of these names, or all whose name begins with `prefix`."""
    if names == []:
        return {}
    try:
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(prefix)] if names is None else names  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise PackError(f"{path} is missing; take it from the repository again.") from None
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError):
        raise PackError(f"{path} is damaged; take it from the repository again.") from None


# ---------------------------------------------------------------- the index


def _unseal(text: str, fields: dict[str, type], where: str) -> dict[str, Any]:
    try:
        content = unseal(text)
    except BumplabError as error:
        raise PackError(f"{where} {error}; take it from the repository again.") from None
    if content.keys() != fields.keys():
        names = ", ".join(sorted(content.keys() ^ fields.keys()))
        raise PackError(f"{where} has other fields than a pack of version {VERSION}: {names}.")
    if wrong := [name for name, kind in fields.items() if type(content[name]) is not kind]:
        raise PackError(f"{where} has something else than expected in {', '.join(wrong)}.")
    return content


def read_header(path: Path | str, text: str) -> dict[str, Any]:
    """Return what the first line of an index says: format, version, study and number of runs."""
    try:
        header = json.loads(text)
        version = header["version"] if header["format"] == FORMAT else None
    except (ValueError, LookupError, TypeError, RecursionError):
        version = None
    if type(version) is not int:
        raise PackError(f"{path} does not begin like a pack of runs; its first line names format and version.")
    if version > VERSION:
        raise PackError(f"{path} was written in format {version}, this bumplab reads up to {VERSION}; update bumplab.")
    return _unseal(text, _HEADER, f"{path}, line 1,")


def read_pack(folder: Path) -> Pack:
    """Read the index of a pack; curves, arrays and weights are read when asked for.

    Raises
    ------
    PackError
        If the folder holds no pack, one of a newer format, or a damaged one; the sentence names file and line.
    """
    folder = Path(folder)
    path = folder / INDEX
    try:
        texts = path.read_bytes().decode("ascii").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        rest = (
            f" An interrupted write left the last one in {old_folder(folder)}." if old_folder(folder).exists() else ""
        )
        raise PackError(f"{folder} is not a pack of runs: it has no {INDEX}.{rest}") from None
    except (OSError, UnicodeDecodeError):
        raise PackError(f"{path} cannot be read or is no text.") from None
    header, lines = parse_index(path, texts)
    return Pack(folder, header["study"], lines)


def parse_index(path: Path | str, texts: list[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return header and lines of an index, given its text parted at every end of a line; `path` is for errors."""
    header = read_header(path, texts[0])
    if texts.pop() != "" or len(texts) - 1 != header["runs"]:
        raise PackError(f"{path} is cut short or was added to: {len(texts) - 1} whole lines for {header['runs']} runs.")
    lines: dict[str, dict[str, Any]] = {}
    last = ""
    for number, text in enumerate(texts[1:], start=2):
        line = _unseal(text, _LINE, f"{path}, line {number},")
        id = line["id"]
        if id in lines:
            raise PackError(f"{path}, line {number}, gives run {id} a second time.")
        if id < last:
            raise PackError(f"{path}, line {number}, is out of order: run {id} after {last}.")
        lines[id], last = line, id
    return header, lines


def old_folder(folder: Path) -> Path:
    """Return where an interrupted write leaves the pack that it was about to replace."""
    return folder.with_name(f".{folder.name}.old")
