"""What is said of a run, as one sealed line of JSON: a line of a pack's index, and the head of a run's own file.

:func:`bumplab.runs.fingerprints.describe_record` makes it: everything but the contents of curves, arrays and weights,
of which it has the digests. Reading one trusts nothing: seal, fields, types, names, sizes and depth are checked before
anything is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bumplab.common.digests import unseal
from bumplab.common.errors import BumplabError, quote
from bumplab.runs.records import DTYPES, VERDICTS, StoreError, check_facts, check_name, split_name

_FIELDS = {
    "id": str, "trainer": int, "settings": dict, "scalars": dict, "provenance": dict, "curves": dict, "arrays": dict,
    "weights": dict,
}  # fmt: skip
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Rows that a curve or an array may have, and entries that an array may have.
_MOST = 2**40


def read_line(text: str, where: str, fields: Mapping[str, type], kind: type[StoreError] = StoreError) -> dict[str, Any]:
    """Return the content of a sealed line whose fields are these and of these types.

    Raises
    ------
    StoreError
        Of this kind; `where` is the beginning of its sentence.

    Examples
    --------
    >>> from bumplab.common.digests import seal
    >>> read_line(seal({"runs": 3}), "line 1", {"runs": int})
    {'runs': 3}
    """
    try:
        content = unseal(text)
    except BumplabError as error:
        raise kind(f"{where} {error}.") from None
    if content.keys() != fields.keys():
        names = ", ".join(quote(name) for name in sorted(content.keys() ^ fields.keys())[:3])
        raise kind(f"{where} has other fields than this bumplab writes: {names}.")
    if wrong := [name for name, wanted in fields.items() if type(content[name]) is not wanted]:
        raise kind(f"{where} has something else than expected in {', '.join(wrong)}.")
    return content


def read_run_line(text: str, where: str, kind: type[StoreError] = StoreError) -> dict[str, Any]:
    """Return what a sealed line says of a run, see :func:`bumplab.runs.fingerprints.describe_record`.

    Raises
    ------
    StoreError
        Of this kind, if the line is damaged, edited, or says what no run's can.

    Examples
    --------
    >>> read_run_line('{"id":"0123456789ab"}', "line 2")
    Traceback (most recent call last):
    bumplab.runs.records.StoreError: line 2 is damaged or was edited by hand.
    """
    line = read_line(text, where, _FIELDS, kind)
    try:
        check_facts(line["id"], line["trainer"], line["settings"], line["scalars"], line["provenance"])
        _check_contents(line)
    except BumplabError as error:
        raise kind(f"{where} says what no run's can: {error}") from None
    return line


def _check_contents(line: Mapping[str, Any]) -> None:
    for name, described in line["curves"].items():
        check_name(name, "curve")
        _check_described(described, f"curve {name}", _is_count, _is_digest)
    lengths: dict[str, int] = {}
    for name, described in line["arrays"].items():
        kind, part, _ = split_name(name, "array")
        _check_described(described, f"array {name}", _is_dtype, _is_shape, _is_digest)
        shape = described[1]
        if kind == VERDICTS and (not shape or lengths.setdefault(part, shape[0]) != shape[0]):
            raise BumplabError(f"array {name} has not as many rows as others of {part}.")
    for stem, digest in line["weights"].items():
        check_name(stem, "weights")
        _check_described([digest], f"weights {stem}", _is_digest)


def _check_described(values: Any, what: str, *checks: Callable[[Any], bool]) -> None:
    fits = type(values) is list and len(values) == len(checks)
    if not fits or not all(check(value) for check, value in zip(checks, values, strict=True)):
        raise BumplabError(f"{what} is described by {quote(values)}.")


def _is_dtype(value: Any) -> bool:
    return type(value) is str and value in DTYPES


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_shape(value: Any) -> bool:
    if type(value) is not list or len(value) > 8 or not all(map(_is_count, value)):
        return False
    entries = 1
    for size in value:
        entries *= max(size, 1)
    return entries <= _MOST


def _is_digest(value: Any) -> bool:
    return type(value) is str and _DIGEST.fullmatch(value) is not None
