"""Values typed on a command line, and nested values by dotted names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from bumplab.common.errors import BumplabError, quote

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"(?![-+]?[0-9]+$)[-+]?(\.[0-9]+|[0-9]+\.?[0-9]*)([eE][-+]?[0-9]+)?")
#: As many digits as a number may have; Python itself stops at 4,300.
_MAX_DIGITS = 300
#: Most characters of a typed value: a list of a thousand steps has less.
MAX_TEXT = 10_000
#: Most lists within each other in a typed value; no setting has more than two.
MAX_DEPTH = 20
#: Most characters of the dotted name of a setting.
_MAX_NAME = 200
_LIKE_A_NUMBER = re.compile(r"[-+]?\.?\d|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
#: True and false to YAML 1.1, text to YAML 1.2.
_YES_AND_NO = ("yes", "no", "on", "off")


def parse_assignments(texts: Iterable[str]) -> dict[str, Any]:
    """Read assignments of the command line into nested values, see :func:`parse_literal`.

    Raises
    ------
    BumplabError
        For text that is no assignment, a value that cannot be read, a name of more than 200 characters, or a value
        given where others lie deeper.

    Examples
    --------
    >>> parse_assignments(["world.sigma=0.8", "seed=3"])
    {'world': {'sigma': 0.8}, 'seed': 3}
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise BumplabError(f"Cannot read {quote(text)}: write name=value, for example world.sigma=0.8.")
        check_name(name)
        set_nested(changes, name.strip(), parse_named(name.strip(), value))
    return changes


def set_nested(changes: dict[str, Any], name: str, value: Any) -> None:
    """Set a value by its dotted name.

    Raises
    ------
    BumplabError
        Where a value lies in the way.

    Examples
    --------
    >>> changes = {"seed": 3}
    >>> set_nested(changes, "world.sigma", 0.8)
    >>> changes
    {'seed': 3, 'world': {'sigma': 0.8}}
    """
    *groups, last = name.split(".")
    for group in groups:
        changes = changes.setdefault(group, {})
        if not isinstance(changes, dict):
            raise BumplabError(f"Cannot set {quote(name)}: {quote(group)} was already given as a value.")
    changes[last] = value


def check_name(name: str) -> None:
    """Raise :class:`BumplabError` for a name of more than 200 characters, which no setting or parameter has.

    Examples
    --------
    >>> check_name("world.sigma")
    """
    if len(name) > _MAX_NAME:
        raise BumplabError(f"The name {quote(name)} has {len(name):,} characters, more than {_MAX_NAME}.")


def check_length(text: str) -> None:
    """Raise :class:`BumplabError` for text that is longer than :data:`MAX_TEXT`: before anything looks into it.

    Examples
    --------
    >>> check_length("0.5," * 5000)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A typed value has at most 10,000 characters, this one has 20,000.
    """
    if len(text) > MAX_TEXT:
        raise BumplabError(f"A typed value has at most {MAX_TEXT:,} characters, this one has {len(text):,}.")


def flatten(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested values by dotted names: ``{"world": {"size": 32}}`` becomes ``{"world.size": 32}``."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        found |= flatten(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return found


def parse_literal(text: str) -> Any:
    """Read a value typed on the command line.

    A value is what the core schema of YAML 1.2 makes of it: ``true`` or ``false``; ``null`` or nothing; a decimal
    number; text, in quotes or not; a list of such values in brackets. All else is refused: what YAML reads as names
    with values, a comment, a tag or an alias; octal, hexadecimal and infinite numbers; and what another reader takes
    for something else, that is, text that starts like a number and is none, such as ``1:30``, ``017`` or ``1_000``,
    and yes, no, on and off.

    Parameters
    ----------
    text : str
        At most 10,000 characters, a number of at most 300, and 20 lists within each other.

    Returns
    -------
    bool, int, float, str, list or None
        A number is what ``int`` or else ``float`` makes of the same text.

    Raises
    ------
    BumplabError
        For such a value, one beyond these limits, or a list or quotes that do not end.

    Examples
    --------
    >>> [parse_literal(text) for text in ("3", "1e-3", "true", "cross(13, 19)", "[1, 2]", "'3'")]
    [3, 0.001, True, 'cross(13, 19)', [1, 2], '3']
    >>> parse_literal("1:30")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: '1:30' is not a number: write one like 3, -0.5 or 1e-3, or quotes around text.
    """
    check_length(text)
    text = text.strip(" \t\r\n")
    if not text:
        return None
    _check_depth(text)
    try:
        node = yaml.compose(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, OverflowError):  # the last two for what is no character: "\U00110000"
        node = None
    if text.startswith(("[", "'", '"')):
        if node is None:
            raise BumplabError(f"Cannot read {quote(text)}: write a list as [1, 2], and text in quotes as 'a'.")
        return _parse_node(node)
    if not (isinstance(node, yaml.ScalarNode) and node.style is None and node.value == text):
        raise BumplabError(f"{quote(text)} can mean more than text: write quotes around text.")
    return _parse_scalar(text)


def parse_named(name: str, text: str) -> Any:
    """Read a value by :func:`parse_literal`; what is wrong with it is said of the setting or parameter `name`."""
    try:
        return parse_literal(text)
    except BumplabError as error:
        raise BumplabError(f"{quote(name)}: {error}") from None


class _PlainLoader(yaml.SafeLoader):
    """A reader of values that mean what they show: without tags, anchors, and aliases, which can multiply."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None or event.tag is not None:
            raise yaml.YAMLError
        return super().compose_node(parent, index)


def _check_depth(text: str) -> None:
    """Refuse brackets too deep for a reader that calls itself for each, wherever in the text they are."""
    depth = 0
    for sign in text:
        depth += (sign in "[{") - (sign in "]}")
        if depth > MAX_DEPTH:
            raise BumplabError(f"Cannot read {quote(text)}: a value has at most {MAX_DEPTH} lists within each other.")


def _parse_scalar(text: str) -> Any:
    lower = text.lower()
    if text in (lower, lower.upper(), lower.capitalize()) and lower in _WORDS:
        return _WORDS[lower]
    if len(text) <= _MAX_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    if _LIKE_A_NUMBER.match(text):
        raise BumplabError(f"{quote(text)} is not a number: write one like 3, -0.5 or 1e-3, or quotes around text.")
    if lower in _YES_AND_NO:
        raise BumplabError(f"{quote(text)} can mean two things: write true or false, or quotes around text.")
    return text


def _parse_node(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_parse_node(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        raise BumplabError("A list holds numbers, true or false, text and lists, not names with values.")
    if node.style is None and node.value.count("(") != node.value.count(")"):
        raise BumplabError(f"Cannot read {quote(node.value)} in a list: write quotes around text with commas.")
    if any("\ud800" <= sign <= "\udfff" for sign in node.value):  # "\ud800" in quotes: half of a character
        raise BumplabError(f"{quote(node.value)} holds half of a character: write text.")
    return node.value if node.style else _parse_scalar(node.value)
