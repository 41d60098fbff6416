"""The plan of recorded runs."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path

from bumplab.common.errors import BumplabError
from bumplab.common.parsing import set_nested
from bumplab.runs.store import recorded_folder
from bumplab.training.settings import Settings, preset


def read_plan(path: Path | None = None) -> dict[Settings, str]:
    """Return the runs that the book records, from ``book/runs/plan.json``: settings to what of the weights is kept.

    The plan lists presets with changes and a grid; every combination of the grid's values is a run.

    Raises
    ------
    BumplabError
        If the plan cannot be read.
    """
    path = path or recorded_folder() / "plan.json"
    found: dict[Settings, str] = {}
    try:
        for entry in json.loads(path.read_text()):
            grid = entry.get("grid", {})
            for values in itertools.product(*grid.values()):
                changes = copy.deepcopy(entry.get("changes", {}))
                for name, value in zip(grid, values, strict=True):
                    set_nested(changes, name, value)
                found[preset(entry["preset"], **changes)] = entry.get("weights", "all")
    except (OSError, json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise BumplabError(f"{path} is missing or not a plan of runs.") from None
    return found
