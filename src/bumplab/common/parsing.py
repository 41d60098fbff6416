"""Values typed on a command line, and nested values by dotted names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from bumplab.common.errors import BumplabError


def parse_assignment(changes: dict[str, Any], text: str) -> None:
    """Add one ``name=value`` of the command line to nested `changes`: ``world.sigma=0.8``, ``seed=3``.

    Values are read as YAML, so that ``true`` is a bool, ``[1, 2]`` a pair, ``1e-3`` a number and
    ``cross(13, 19)`` text.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BumplabError(f"Cannot read {text!r}: write name=value, for example world.sigma=0.8.")
    set_nested(changes, name.strip(), parse_literal(value))


def set_nested(changes: dict[str, Any], name: str, value: Any) -> None:
    """Set the dotted `name` in nested `changes`: ``put(changes, "world.sigma", 0.8)``."""
    *groups, last = name.split(".")
    for group in groups:
        changes = changes.setdefault(group, {})
        if not isinstance(changes, dict):
            raise BumplabError(f"Cannot set {name!r}: {group!r} was already given as a value.")
    changes[last] = value


def parse_literal(text: str) -> Any:
    """Read a value typed on the command line: a number, true or false, null, a list in brackets, else text."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):  # ValueError: a date that is none
        return text
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-3 as text
        except ValueError:
            return text
    return value if isinstance(value, (bool, int, float, list, type(None))) else text


def flatten(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested values by dotted names: ``{"world": {"size": 32}}`` becomes ``{"world.size": 32}``."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= flatten(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return found
