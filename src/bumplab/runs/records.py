"""What is recorded of a run, as plain data: settings, scalars, curves, arrays, weights. Knows no model and no task.

Names say how an array is kept:

``verdicts/<part>/<column>``
    One row per condition (image, problem, ...). The columns of a part have the same number of rows; a column ``row``
    may say which row of the whole data set each of them is.
``embeddings/<name>``
    Anything else, of any shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bumplab.common.errors import BumplabError, printable, quote

VERDICTS, EMBEDDINGS = "verdicts", "embeddings"
#: What an array may hold.
DTYPES = frozenset("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split())
#: Columns that every table has; no curve and no column of verdicts bears such a name.
KEYS = ("id", "curve", "part")
_ID = re.compile(r"[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]{0,99}")
_PARAMETER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,299}")
_DEPTH = 16
#: Characters with which a sentence says where in a record something lies.
_PLACE = 200


class StoreError(BumplabError):
    """A run in a store is missing, damaged, foreign or of other settings; in its sentence nothing is not printable."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(printable(sentence))


class PackError(StoreError):
    """Recorded runs are missing, damaged, foreign, of a newer format, or contradict each other."""


class ReplacedError(PackError):
    """A run was replaced by another one of its name while it was read; looking it up again finds the new one."""


@dataclass(frozen=True, eq=False)
class Record:
    """A finished run.

    Attributes
    ----------
    id : str
        12 hexadecimal digits.
    settings : dict
        Everything that the run was made from, as JSON.
    trainer : int
        Version of the trainer.
    scalars : dict
        Numbers at the end of training, at any depth: part -> name -> number.
    provenance : dict
        How and when the run was made, as JSON.
    curves : dict
        Name -> rows through training. A row is a number, a list of numbers such as ``[step, loss]``, or a dict of
        numbers at any depth such as ``{"step": 100, "seen": {"joint": 0.5}}``; rows of a curve may lack entries.
    arrays : dict
        ``verdicts/<part>/<column>`` or ``embeddings/<name>`` -> array.
    weights : dict
        Name of the snapshot -> parameter -> array.

    Raises
    ------
    BumplabError
        If something in it would not come back from a pack as it is: other types, deeper than 16 levels, other names.

    Examples
    --------
    >>> record = Record("0123456789ab", {"seed": 0}, 1, {"seen": {"joint": 0.5}}, {}, {"loss": [[50, 0.1]]}, {}, {})
    >>> record.curves["loss"]
    [[50, 0.1]]
    """

    id: str
    settings: dict[str, Any]
    trainer: int
    scalars: dict[str, Any]
    provenance: dict[str, Any]
    curves: dict[str, list]
    arrays: dict[str, np.ndarray]
    weights: dict[str, dict[str, np.ndarray]]

    def __post_init__(self) -> None:
        where = f"Run {quote(self.id)}"
        for name in ("settings", "scalars", "provenance", "curves", "arrays", "weights"):
            if type(getattr(self, name)) is not dict:
                raise BumplabError(f"{where}: {name} is a dict, got {type(getattr(self, name)).__name__}.")
        check_facts(self.id, self.trainer, self.settings, self.scalars, self.provenance)
        check_curves(self.curves, where)
        lengths: dict[str, int] = {}
        for name, array in self.arrays.items():
            kind, part, column = split_name(name, where)
            _check_array(array, f"{where}: array {name}")
            if kind == VERDICTS and not array.ndim:
                raise BumplabError(f"{where}: array {name} has no rows; a single value is an embedding or a scalar.")
            if kind == VERDICTS and len(array) != lengths.setdefault(part, len(array)):
                raise BumplabError(f"{where}: array {name} has {len(array)} rows, others of {part} {lengths[part]}.")
        for stem, parameters in self.weights.items():
            check_name(stem, f"{where}: weights")
            if type(parameters) is not dict or not parameters:
                raise BumplabError(f"{where}: weights {stem} is a dict of arrays with at least one.")
            for name, array in parameters.items():
                if not (isinstance(name, str) and _PARAMETER.fullmatch(name)) or name == "__metadata__":
                    raise BumplabError(f"{where}: weights {stem}: a parameter cannot be called {quote(name)}.")
                _check_array(array, f"{where}: weights {stem}/{name}")


def check_facts(id: str, trainer: int, settings: dict, scalars: dict, provenance: dict) -> None:
    """Raise unless these can be those of a :class:`Record`.

    Raises
    ------
    BumplabError
        For another type, depth or name.

    Examples
    --------
    >>> check_facts("0123456789ab", 1, {"seed": 0}, {"seen": {"joint": 0.5}}, {})
    """
    if not (isinstance(id, str) and _ID.fullmatch(id)):
        raise BumplabError(f"The id of a run is 12 hexadecimal digits, got {quote(id)}.")
    where = f"Run {id}"
    if type(trainer) is not int:
        raise BumplabError(f"{where}: the trainer's version is a whole number, got {quote(trainer)}.")
    for name, value in (("settings", settings), ("provenance", provenance)):
        _check_json(value, f"{where}: {name}")
    for name, value in scalars.items():
        for _ in leaves({name: value}, f"{where}: scalars"):
            pass


def check_curves(curves: dict[str, list], where: str) -> None:
    """Raise unless these can be the curves of a :class:`Record`.

    Examples
    --------
    >>> check_curves({"loss": [[50, 0.1]]}, "Run 0123456789ab")
    """
    for name, rows in curves.items():
        check_name(name, f"{where}: curve")
        if type(rows) is not list:
            raise BumplabError(f"{where}: curve {name} is a list of rows, got {type(rows).__name__}.")
        for number, row in enumerate(rows):
            for _ in leaves(row, f"{where}: curve {name}, row {number}"):
                pass


def leaves(
    row: Any, where: str, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], int | float]]:
    """Yield path and number of every entry of a row of a curve.

    Raises
    ------
    BumplabError
        If the row is not a number, a list of numbers or a dict of numbers at any depth.

    Examples
    --------
    >>> list(leaves({"step": 5, "seen": {"joint": 0.5}}, "here"))
    [(('step',), 5), (('seen', 'joint'), 0.5)]
    """
    if type(row) is float or (type(row) is int and -(2**63) <= row < 2**63):
        yield path, row
    elif type(row) is dict and row and len(path) < _DEPTH:
        for name, value in row.items():
            check_name(name, where)
            yield from leaves(value, where, (*path, name))
    elif type(row) is list and row and not path:
        for number, value in enumerate(row):
            if type(value) in (list, dict):
                raise BumplabError(f"{where}: a list within a row holds numbers, got {quote(value)}.")
            yield from leaves(value, where, (number,))
    else:
        place = "/".join(map(str, path))[:_PLACE] or "a row"
        raise BumplabError(
            f"{where}: {place} is an int of 64 bits, a float, or a dict of these that is not empty (in place of the "
            f"row also a list), got {type(row).__name__} {quote(row)}."
        )


def split_name(name: str, where: str) -> tuple[str, str, str]:
    """Return kind, part (empty for embeddings) and column or name of an array; see the module."""
    pieces = name.split("/") if isinstance(name, str) else []
    if (pieces[:1], len(pieces)) not in (([VERDICTS], 3), ([EMBEDDINGS], 2)):
        raise BumplabError(
            f"{where}: an array is called verdicts/<part>/<column> or embeddings/<name>, got {quote(name)}."
        )
    for piece in pieces[1:]:
        check_name(piece, f"{where}: array {name}")
    return (VERDICTS, pieces[1], pieces[2]) if len(pieces) == 3 else (EMBEDDINGS, "", pieces[1])


def check_name(name: Any, where: str) -> None:
    """Raise unless a curve, part, column or snapshot may be called so.

    Examples
    --------
    >>> check_name("loss", "curve")
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)) or name in KEYS:
        raise BumplabError(
            f"{where}: a name begins with a letter, goes on with at most 99 letters, digits or any of '_.+-', and is "
            f"none of {', '.join(KEYS)}; got {quote(name)}."
        )


def _check_array(array: Any, where: str) -> None:
    if not isinstance(array, np.ndarray):
        raise BumplabError(f"{where} is a numpy array, got {type(array).__name__}.")
    if array.dtype.name not in DTYPES or not array.dtype.isnative:
        raise BumplabError(f"{where} holds {array.dtype}; it may hold {', '.join(sorted(DTYPES))}.")


def _check_json(value: Any, where: str, depth: int = 0) -> None:
    if depth > _DEPTH:
        raise BumplabError(f"{where} is nested deeper than {_DEPTH} levels.")
    if type(value) is dict:
        for name, inner in value.items():
            if type(name) is not str or len(name) > 100 or not _is_text(name):
                raise BumplabError(f"{where}: a name is text of at most 100 characters, got {quote(name)}.")
            _check_json(inner, f"{where}.{name}" if len(where) < _PLACE else where, depth + 1)
    elif type(value) is list:
        for inner in value:
            _check_json(inner, where, depth + 1)
    elif type(value) is str and not _is_text(value):
        raise BumplabError(f"{where} holds {quote(value)}, which is no text that can be encoded.")
    elif not (value is None or type(value) in (str, bool, float) or (type(value) is int and abs(value) < 2**63)):
        raise BumplabError(f"{where} holds {quote(value)}, a {type(value).__name__}, which JSON would not give back.")


def _is_text(text: str) -> bool:
    """Return whether a text can be encoded: JSON may hold halves of characters, which nothing can print or write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
