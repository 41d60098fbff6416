"""Writing packs: whole or not at all, verified before it takes the place of an older one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from bumplab.common.digests import MAX_LINE
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import disk_errors, is_file, remove, sync
from bumplab.common.locks import hold_lock
from bumplab.runs.fingerprints import describe_record, unite
from bumplab.runs.pack import Pack, read_pack
from bumplab.runs.pack_files import ARRAYS, CURVES, INDEX, PARTS, WEIGHTS, find_index, old_folder
from bumplab.runs.pack_index import read_header, write_index
from bumplab.runs.parquet import Block, curve_block, verdict_block, write_table
from bumplab.runs.records import EMBEDDINGS, VERDICTS, PackError, Record, split_name

_ELSEWHERE = "use a clone of the repository that is yours"


def write_pack(folder: Path, study: str, records: Iterable[Record]) -> Pack:
    """Write records as a pack, in the place of an older one of the same study, and read it back.

    The old pack goes only after every run of the new one was read back and matched its digests. The same records give
    the same bytes, in whatever order they come.

    Raises
    ------
    PackError
        If two records of one run contradict each other, or `folder` holds anything but a pack of this study.
    """
    folder = Path(folder)
    _check_replaceable(folder, study)
    united: dict[str, Record] = {}
    for record in records:
        known = united.get(record.id)
        united[record.id] = unite(known, record, ("one record", "another")) if known else record
    ordered = [united[id] for id in sorted(united)]
    lines = {record.id: describe_record(record) for record in ordered}
    with _staged_folder(folder) as part:
        (part / INDEX).write_text(write_index(study, lines), encoding="ascii")
        curves = [curve_block(record.id, *item) for record in ordered for item in record.curves.items()]
        parts = [block for record in ordered for block in _verdict_blocks(record)]
        for name, key, blocks in ((CURVES, "curve", curves), (PARTS, "part", parts)):
            if any(block.num_rows for block in blocks):
                write_table(part / name, key, blocks)
        embeddings = {
            f"{record.id}/{name.partition('/')[2]}": array
            for record in ordered
            for name, array in record.arrays.items()
            if name.startswith(f"{EMBEDDINGS}/")
        }
        if embeddings:
            (part / ARRAYS).write_bytes(tensor_bytes(embeddings))
        for record in ordered:
            if record.weights:
                (part / WEIGHTS).mkdir(exist_ok=True)
                tensors = {
                    f"{stem}/{name}": array
                    for stem, parameters in record.weights.items()
                    for name, array in parameters.items()
                }
                (part / WEIGHTS / f"{record.id}.safetensors").write_bytes(tensor_bytes(tensors))
        pack = read_pack(part)
        pack.refuse_problems()
        for id in pack.ids():
            pack.check(id)
    return read_pack(folder)


def merge(*packs: Pack) -> list[Record]:
    """Return the records of several packs, each run once, for :func:`write_pack`.

    Raises
    ------
    PackError
        If two packs hold the same run with other settings or other numbers; the sentence names what differs.
    """
    merged: dict[str, tuple[Record, Path]] = {}
    for pack in packs:
        pack.refuse_problems()
        for id in pack.ids():
            record, source = pack.record(id), pack.folder
            if id in merged:
                known, source = merged[id]
                record = unite(known, record, (str(source), str(pack.folder)))
            merged[id] = record, source
    return [merged[id][0] for id in sorted(merged)]


def _verdict_blocks(record: Record) -> Iterator[Block]:
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name in sorted(record.arrays):
        kind, part, column = split_name(name, "array")
        if kind == VERDICTS:
            parts.setdefault(part, {})[column] = record.arrays[name]
    for part, arrays in parts.items():
        yield verdict_block(record.id, part, arrays)


def _check_replaceable(folder: Path, study: str) -> None:
    """Raise unless `folder` is free, empty, or a pack of this study and nothing else."""
    if not (isinstance(study, str) and study):
        raise BumplabError(f"A study has a name, got {quote(study)}.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise PackError(f"{folder} is not a folder; nothing was written.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    foreign = [path.name for path in folder.iterdir() if path.name not in (INDEX, CURVES, PARTS, ARRAYS, WEIGHTS)]
    foreign += [f"{WEIGHTS}/{path.name}" for path in folder.glob(f"{WEIGHTS}/*") if path.suffix != ".safetensors"]
    if foreign:
        raise PackError(
            f"{folder} holds {', '.join(sorted(foreign))}, which is no part of a pack; nothing was written."
        )
    try:
        if not is_file(folder / INDEX):  # a pipe would be waited for
            raise FileNotFoundError
        with open(folder / INDEX, encoding="ascii") as file:
            header = read_header(folder / INDEX, file.readline(MAX_LINE).rstrip("\n"))
    except (OSError, UnicodeDecodeError):
        raise PackError(f"{folder} is not empty and not a pack of runs; nothing was written.") from None
    if header["study"] != study:
        raise PackError(f"{folder} holds study {quote(header['study'])}, not {quote(study)}; nothing was written.")


def tensor_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Return arrays as the content of a safetensors file."""
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()})  # else it saves other bytes


@contextmanager
def hold_pack(folder: Path) -> Iterator[None]:
    """Keep others from writing a pack within a ``with`` block, after mending what a write that was cut off has left."""
    lock, what = folder.with_name(f".{folder.name}.lock"), f"Study {folder.name} is being written"
    with hold_lock(lock, what, other=_ELSEWHERE):
        with _refusals(folder):
            if find_index(folder) == old_folder(folder) / INDEX:
                os.replace(old_folder(folder), folder)
            _remove_old(folder)
            staged = re.compile(rf"\.{re.escape(folder.name)}\.\d+")  # no glob: names may hold an asterisk
            for path in folder.parent.iterdir():
                if staged.fullmatch(path.name):
                    remove(path)
        yield


@contextmanager
def _staged_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder` that takes its place, whole and on the disk, unless an error comes.

    Between the two renames only the old folder is there, under another name; :func:`read_pack` finds it.
    """
    part, old = folder.with_name(f".{folder.name}.{os.getpid()}"), old_folder(folder)
    with _refusals(folder):
        try:
            remove(part)
            part.mkdir(parents=True)
            yield part
            for path in sorted(part.rglob("*")):
                sync(path)
            sync(part)
            if folder.exists():
                _remove_old(folder)
                os.replace(folder, old)
            try:
                os.replace(part, folder)
            except OSError:
                if old.exists():
                    os.replace(old, folder)
                raise
            sync(folder.parent)
            _remove_old(folder)
        finally:
            if part.exists():
                remove(part)


def _remove_old(folder: Path) -> None:
    """Remove an old pack, the index first: who reads it sees at once that it is one no longer."""
    old = old_folder(folder)
    if old.is_dir() and not old.is_symlink():
        (old / INDEX).unlink(missing_ok=True)
    remove(old)


def _refusals(folder: Path) -> AbstractContextManager[None]:
    return disk_errors(folder, "write to", _ELSEWHERE, PackError)
