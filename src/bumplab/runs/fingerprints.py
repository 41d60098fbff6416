"""What tells two runs apart: what one record says otherwise than another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bumplab.common.digests import digest_arrays, digest_json
from bumplab.common.errors import join_names
from bumplab.runs.records import PackError, Record


def describe_record(record: Record) -> dict[str, Any]:
    """Return a record as JSON, with a digest in place of each curve, array and snapshot.

    ``curves`` has rows and digest of each, ``arrays`` type, shape and digest, ``weights`` the digest.
    """
    return {
        "id": record.id,
        "trainer": record.trainer,
        "settings": record.settings,
        "scalars": record.scalars,
        "provenance": record.provenance,
        "curves": {name: [len(rows), digest_json(rows)] for name, rows in record.curves.items()},
        "arrays": {
            name: [array.dtype.name, list(array.shape), digest_arrays({name: array})]
            for name, array in sorted(record.arrays.items())
        },
        "weights": {stem: digest_arrays(parameters) for stem, parameters in sorted(record.weights.items())},
    }


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return what two descriptions of a run (:func:`describe_record`) say differently.

    What one of them did not keep is no difference, and neither is the provenance: training again may take longer.
    """
    found = [
        name for name in ("settings", "trainer", "scalars") if digest_json(first[name]) != digest_json(second[name])
    ]
    for kind in ("curves", "arrays", "weights"):
        both = first[kind].keys() & second[kind].keys()
        found += [f"{kind} {name}" for name in sorted(both) if first[kind][name] != second[kind][name]]
    return found


def unite(first: Record, second: Record, sources: tuple[str, str]) -> Record:
    """Return one record that holds what either kept of the same run, with the provenance of the first.

    Raises
    ------
    PackError
        If they contradict each other.
    """
    if different := differences(describe_record(first), describe_record(second)):
        raise PackError(
            f"Run {first.id} is not the same in {sources[0]} and in {sources[1]}: they differ in "
            f"{join_names(different)}; keep one of the two."
        )
    kinds = ("curves", "arrays", "weights")
    return replace(first, **{kind: {**getattr(second, kind), **getattr(first, kind)} for kind in kinds})
