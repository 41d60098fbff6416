"""One run as one file, as the user's cache keeps it and ``runs export`` writes it: safetensors.

::

    metadata  run: the run's line, see :mod:`bumplab.runs.lines`, and below it the curves, as JSON
    tensors   arrays/<full name>
              weights/<snapshot>/<parameter>

One file has one moment at which it is there: that of its rename. Whoever reads sees one run or the other, never both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bumplab.common.digests import digest_arrays, digest_json, seal
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import is_file
from bumplab.runs.families import make_run
from bumplab.runs.fingerprints import describe_record
from bumplab.runs.lines import read_run_line
from bumplab.runs.pack_files import check_head
from bumplab.runs.records import DTYPES, Record, ReplacedError, StoreError, check_curves
from bumplab.runs.run import FINAL_WEIGHTS, Run, kept_in_line

SUFFIX = ".safetensors"
_HEAD, _ARRAYS, _WEIGHTS = "run", "arrays/", "weights/"
_REMEDY = "train the run again with retrain=True"


def run_bytes(record: Record) -> bytes:
    """Return the content of a run's file.

    Examples
    --------
    >>> record = Record("0123456789ab", {"seed": 0}, 1, {"seen": {"joint": 0.5}}, {}, {"loss": [[50, 0.1]]}, {}, {})
    >>> run_bytes(record) == run_bytes(record)
    True
    """
    tensors = {f"{_ARRAYS}{name}": array for name, array in record.arrays.items()}
    for stem, parameters in record.weights.items():
        tensors |= {f"{_WEIGHTS}{stem}/{name}": array for name, array in parameters.items()}
    curves = json.dumps(record.curves, separators=(",", ":"))
    head = f"{seal(describe_record(record))}\n{curves}"  # in one entry: several would come in any order
    return save({name: np.asarray(array, order="C") for name, array in tensors.items()}, {_HEAD: head})


def read_run(path: Path) -> Run:
    """Read the head of a run's file; the rest is read, and compared with its digests, when it is asked for.

    Raises
    ------
    StoreError
        If the file is missing, no regular file, damaged, or not of the settings that its name stands for.

    Examples
    --------
    >>> read_run(Path("/dev/null"))
    Traceback (most recent call last):
    bumplab.runs.records.StoreError: /dev/null is no regular file, as the file of a run is.
    """
    path = Path(path)
    with _open(path) as file:
        text = _head(file)[0]
    line = read_run_line(text, f"{path}: its line")
    try:
        run = make_run(line, RunFile(path, line, text))
    except BumplabError as error:
        raise StoreError(f"{path}: {error}") from None
    if {run.id} != {line["id"], path.name.removesuffix(SUFFIX)}:
        raise StoreError(f"{path} holds the settings of run {run.id}, for which it is not called; {_REMEDY}.")
    return run


@dataclass(frozen=True)
class RunFile:
    """The file of a run, as a :class:`bumplab.runs.run.Source`."""

    path: Path
    line: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)

    @property
    def kept(self) -> frozenset[str]:
        """What is there, see :class:`bumplab.runs.run.Source`."""
        return kept_in_line(self.line)

    def curves(self) -> dict[str, list]:
        """Return the curves by their names."""
        with self._open() as file:
            curves = json.loads(_head(file)[1])
            described = {name: [len(rows), digest_json(rows)] for name, rows in curves.items()}
            self._compare(described, self.line["curves"], "curves")
        try:
            check_curves(curves, f"Run {self.line['id']}")
        except BumplabError as error:
            raise StoreError(f"{self.path}: {error}") from None
        return curves

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their full names."""
        with self._open() as file:
            arrays = {name: file.get_tensor(_ARRAYS + name) for name in self.line["arrays"]}
            for name, array in arrays.items():
                described = [array.dtype.name, list(array.shape), digest_arrays({name: array})]
                self._compare(described, self.line["arrays"][name], f"array {name}")
            return arrays

    def weights(self, stem: str) -> dict[str, np.ndarray]:
        """Return the weights of a snapshot: parameter to array."""
        if stem not in self.line["weights"]:
            what = "its weights" if stem == FINAL_WEIGHTS else quote(stem)
            raise StoreError(f"Run {self.line['id']} was recorded without {what}; {_REMEDY}.")
        with self._open() as file:
            prefix = f"{_WEIGHTS}{stem}/"
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            weights = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
            self._compare(digest_arrays(weights), self.line["weights"][stem], f"weights {stem}")
            self._compare({array.dtype.name for array in weights.values()} - DTYPES, set(), f"weights {stem}")
            return weights

    def check(self) -> None:
        """Raise :class:`StoreError` unless all that is kept is as recorded, and nothing else is there."""
        self.curves()
        self.arrays()
        for stem in self.line["weights"]:
            self.weights(stem)
        arrays = {_ARRAYS + name for name in self.line["arrays"]}
        snapshots = tuple(f"{_WEIGHTS}{stem}/" for stem in self.line["weights"])
        with self._open() as file:
            if not all(name in arrays or name.startswith(snapshots) for name in file.keys()):  # noqa: SIM118
                raise StoreError(f"{self.path} holds more than was recorded; {_REMEDY}.")

    def _compare(self, found: Any, recorded: Any, what: str) -> None:
        if found != recorded:
            raise StoreError(f"{self.path}: its {what} are not what was recorded; {_REMEDY}.")

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """Open the file, provided that it is still this run's."""
        with _open(self.path) as file:
            if _head(file)[0] != self.text:
                raise ReplacedError(f"{self.path} was replaced while it was in use; load the run again.")
            yield file


def _head(file: Any) -> tuple[str, str]:
    """Return the line of a run and its curves, still as text."""
    line, _, curves = (file.metadata() or {}).get(_HEAD, "").partition("\n")
    return line, curves


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a regular file, no link, as safetensors; what goes wrong within the ``with`` block is one sentence."""
    if not is_file(path):
        there = path.exists() or path.is_symlink()
        raise StoreError(f"{path} is {'no regular file, as the file of a run is' if there else 'missing'}.")
    check_head(path, _REMEDY, StoreError)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except StoreError:
        raise
    except FileNotFoundError:
        raise ReplacedError(f"{path} went away while it was read.") from None
    except (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError, RecursionError):
        raise StoreError(f"{path} is damaged or no run of bumplab; {_REMEDY}.") from None
