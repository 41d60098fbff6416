"""The index of a pack: a line that says what it is, then a line a run, each of which may be damaged on its own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bumplab.common.digests import MAX_LINE, seal
from bumplab.runs.lines import read_line, read_run_line
from bumplab.runs.records import PackError

FORMAT, VERSION = "bumplab pack", 1
_HEADER = {"format": str, "version": int, "study": str, "runs": int}
_LIKE_A_LINE = re.compile(r'\{"id":"([0-9a-f]{12})",')


@dataclass(frozen=True)
class PackIndex:
    """What an index says.

    Attributes
    ----------
    study : str
    lines : dict
        Id to what is said of the run, see :func:`bumplab.runs.fingerprints.describe_record`.
    problems : tuple of PackError
        What is wrong with other lines.
    refusals : dict
        Id of a run whose line is wrong, where it can be told, to the problem.

    Examples
    --------
    >>> PackIndex("01-none", {}, (), {}).study
    '01-none'
    """

    study: str
    lines: dict[str, dict[str, Any]]
    problems: tuple[PackError, ...]
    refusals: Mapping[str, PackError]


def write_index(study: str, lines: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of an index; the lines come in the order of the ids.

    Examples
    --------
    >>> parse_index("runs.jsonl", [*write_index("01-none", {}).splitlines(), ""]).study
    '01-none'
    """
    header = {"format": FORMAT, "version": VERSION, "study": study, "runs": len(lines)}
    return "\n".join(map(seal, [header, *(lines[id] for id in sorted(lines))])) + "\n"


def parse_index(path: Path | str, texts: list[str]) -> PackIndex:
    """Return what an index says, given its text parted at every end of a line; `path` is for errors.

    Raises
    ------
    PackError
        If the first line is damaged, or of a newer format.

    Examples
    --------
    >>> header = {"format": FORMAT, "version": VERSION, "study": "01-none", "runs": 0}
    >>> parse_index("runs.jsonl", [seal(header), ""])
    PackIndex(study='01-none', lines={}, problems=(), refusals={})
    """
    header = read_header(path, texts[0])
    lines: dict[str, dict[str, Any]] = {}
    problems: list[PackError] = []
    refusals: dict[str, PackError] = {}
    if texts[-1] != "" or len(texts) - 2 != header["runs"]:
        problems.append(
            PackError(f"{path} is cut short or was added to: {len(texts) - 2} whole lines for {header['runs']} runs.")
        )
    last = ""
    for number, text in enumerate(texts[1:-1], start=2):
        where = f"{path}, line {number},"
        match = _LIKE_A_LINE.match(text)
        try:
            line = read_run_line(text, where, PackError)
            id = line["id"]
            if id in lines:
                raise PackError(f"{where} gives run {id} a second time.")
            if id < last:
                raise PackError(f"{where} is out of order: run {id} after {last}.")
            lines[id], last = line, id
        except PackError as error:
            problems.append(error)
            if match:
                refusals[match[1]] = error
    lines = {id: line for id, line in lines.items() if id not in refusals}
    return PackIndex(header["study"], lines, tuple(problems), refusals)


def read_header(path: Path | str, text: str) -> dict[str, Any]:
    """Return what the first line of an index says: format, version, study and number of runs.

    Raises
    ------
    PackError
        If it says something else, or a format that this bumplab does not know.

    Examples
    --------
    >>> read_header("a.jsonl", "{}")
    Traceback (most recent call last):
    bumplab.runs.records.PackError: a.jsonl does not begin like a pack of runs; its first line names format and version.
    """
    try:
        header = json.loads(text[: MAX_LINE + 1])
        version = header["version"] if header["format"] == FORMAT and abs(header["version"]) < 1e9 else None
    except (ValueError, LookupError, TypeError, RecursionError):
        version = None
    if type(version) is not int:
        raise PackError(f"{path} does not begin like a pack of runs; its first line names format and version.")
    if version > VERSION:
        raise PackError(f"{path} was written in format {version}, this bumplab reads up to {VERSION}; update bumplab.")
    return read_line(text, f"{path}, line 1,", _HEADER, PackError)
