"""One run as a folder of its own, as the user's cache keeps it and ``runs export`` writes it.

::

    run.json               settings, provenance, scalars, and the SHA-256 of every other file
    history.json           curves
    verdicts.safetensors   arrays verdicts/<part>/<column>, as <part>/<column>
    code.safetensors       arrays embeddings/<name>, as <name>
    <snapshot>.safetensors weights
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from bumplab.common.errors import BumplabError
from bumplab.runs.pack import Pack
from bumplab.runs.packing import staged_folder, tensor_bytes, write_pack
from bumplab.runs.records import EMBEDDINGS, VERDICTS, PackError, Record

HISTORY_FILE, _FINAL = "history.json", "weights.safetensors"
#: The file that holds arrays of each kind.
ARRAY_FILES = {VERDICTS: "verdicts.safetensors", EMBEDDINGS: "code.safetensors"}
#: Gives the rows of the data set that a run's verdicts are about, from its settings: part -> rows.
Rows = Callable[[dict[str, Any]], dict[str, np.ndarray]]


def from_folder(folder: Path) -> Record:
    """Read a run's folder, checking every file against its SHA-256.

    Raises
    ------
    PackError
        If a file is missing, damaged or unknown.
    """
    folder = Path(folder)
    path = folder / "run.json"
    curves: dict[str, list] = {}
    arrays: dict[str, np.ndarray] = {}
    weights: dict[str, dict[str, np.ndarray]] = {}
    try:
        content = json.loads(path.read_bytes())
        fields = {name: content.pop(name) for name in ("settings", "trainer", "accuracy", "provenance", "files")}
        if content:
            raise PackError(f"{path} holds {', '.join(content)}, which no run has.")
        for name, digest in fields.pop("files").items():
            path = folder / name
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != digest:
                raise PackError(f"{path} is not the file that was recorded.")
            kind = next((kind for kind, file in ARRAY_FILES.items() if file == name), None)
            if name == HISTORY_FILE:
                curves = json.loads(data)
            elif kind:
                arrays |= {f"{kind}/{tensor}": array for tensor, array in load(data).items()}
            elif path.suffix == ".safetensors" and path.parent == folder:
                weights[path.stem] = load(data)
            else:
                raise PackError(f"{path} is no file of a run.")
    except FileNotFoundError:
        raise PackError(f"{path} is missing.") from None
    except PackError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError, RecursionError):
        raise PackError(f"{path} is damaged or no file of a run.") from None
    return Record(folder.name, fields.pop("settings"), scalars=fields.pop("accuracy"), **fields,
                  curves=curves, arrays=arrays, weights=weights)  # fmt: skip


def to_folder(record: Record, folder: Path) -> None:
    """Write a record as a run's folder; :func:`from_folder` reads it back from there if it bears the run's id.

    Raises
    ------
    PackError
        If the folder is there already, or weights have the name of another file.
    """
    folder = Path(folder)
    if folder.exists():
        raise PackError(f"{folder} is there already; nothing was written.")
    with staged_folder(folder) as part:
        write_files(record, part)


def write_files(record: Record, folder: Path) -> None:
    """Write the files of a run into a folder that is there and empty.

    Raises
    ------
    PackError
        If weights have the name of another file.
    """
    names = ["weights", *sorted(record.weights.keys() - {"weights"})]
    contents = {HISTORY_FILE: json.dumps(record.curves, separators=(",", ":")).encode()}
    tensors: dict[str, dict[str, np.ndarray]] = {ARRAY_FILES[VERDICTS]: {}, _FINAL: {}, ARRAY_FILES[EMBEDDINGS]: {}}
    for name, array in record.arrays.items():
        kind, _, rest = name.partition("/")
        tensors[ARRAY_FILES[kind]][rest] = array
    for name in names:
        file = f"{name}.safetensors"
        if file in ARRAY_FILES.values():
            raise PackError(f"Weights of run {record.id} are called {name!r}, which is the name of another file.")
        tensors[file] = record.weights.get(name, {})
    for file, arrays in tensors.items():
        if arrays:
            contents[file] = tensor_bytes(arrays)
    run = {
        "settings": record.settings,
        "trainer": record.trainer,
        "accuracy": record.scalars,
        "provenance": record.provenance,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()},
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")


def with_rows(record: Record, rows: dict[str, np.ndarray]) -> Record:
    """Return a record whose verdicts say which row of the data set each is about, int32."""
    columns = {f"{VERDICTS}/{part}/row": values.astype(np.int32) for part, values in rows.items()}
    parts = {name.rpartition("/")[0] for name in record.arrays if name.startswith(VERDICTS)}
    return replace(record, arrays=record.arrays | {n: a for n, a in columns.items() if n.rpartition("/")[0] in parts})


def without_rows(record: Record) -> Record:
    """Undo :func:`with_rows`."""
    rows = [name for name in record.arrays if name.startswith(VERDICTS) and name.endswith("/row")]
    return replace(record, arrays={name: array for name, array in record.arrays.items() if name not in rows})


def pack_folders(folders: Iterable[Path], target: Path, study: str, rows: Rows | None = None) -> Pack:
    """Write runs' folders as a new pack, and compare every JSON value and every array of it with the folders.

    Parameters
    ----------
    folders : iterable of Path
    target : Path
        Must not be there yet.
    study : str
    rows : callable, optional
        See :func:`with_rows`; called with a run's settings.

    Raises
    ------
    PackError
        If anything differs; `target` is then removed again.
    """
    target, folders = Path(target), list(folders)
    if target.exists():
        raise PackError(f"{target} is there already; nothing was written.")
    records = map(from_folder, folders)
    pack = write_pack(target, study, (with_rows(r, rows(r.settings)) if rows else r for r in records))
    try:
        for folder in folders:
            _compare(folder, pack.record(folder.name), rows is not None)
    except BumplabError:
        shutil.rmtree(target)
        raise
    return pack


def _compare(folder: Path, record: Record, drop_rows: bool) -> None:
    """Export a record and raise unless every file holds what that of the folder holds."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / record.id
        to_folder(without_rows(record) if drop_rows else record, copy)
        files = [sorted(path.name for path in place.iterdir()) for place in (folder, copy)]
        if files[0] != files[1]:
            raise PackError(f"{folder} holds {', '.join(files[0])}, the pack gives back {', '.join(files[1])}.")
        for name in files[0]:
            first, second = (_content(place / name) for place in (folder, copy))
            if first != second:
                raise PackError(f"{folder / name} differs from what the pack gives back.")


def _content(path: Path) -> Any:
    """Return what a file holds, to be compared bit for bit: types of numbers and bits of arrays, no container."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return {name: (array.dtype, array.shape, array.tobytes()) for name, array in load(data).items()}
    content = json.loads(data)
    if path.name == "run.json":
        content["files"] = sorted(content["files"])
    return json.dumps(content)
