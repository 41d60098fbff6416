"""Tables of outcomes, one row for each run or notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bumplab.common.files import atomic_write, disk_errors

if TYPE_CHECKING:
    import pandas

#: Columns that hold text even where all of it is missing.
_TEXT_COLUMNS = ("world.held_out", "device", "precision", "status", "error")


def lists_as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with lists as JSON, so that every one fits into a cell of a table."""
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}


def make_table(rows: list[dict[str, Any]], last: tuple[str, ...], out: Path | None) -> pandas.DataFrame:
    """Return rows as a table with the columns `last` at its end, and write it into the folder `out`."""
    import pandas
    from pandas.api.types import is_numeric_dtype

    table = pandas.DataFrame(rows)
    table = table.reindex(columns=[*(name for name in table if name not in last), *last])
    texts = [name for name in table if name in _TEXT_COLUMNS or not is_numeric_dtype(table[name])]
    table = table.astype(dict.fromkeys(texts, "string"))
    if out:
        with disk_errors(out, other="name another folder; what was done is kept"):
            atomic_write(out / "table.parquet", table.to_parquet(index=False))
            atomic_write(out / "table.csv", table.to_csv(index=False))
    return table
