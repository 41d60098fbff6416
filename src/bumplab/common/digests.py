"""Digests of contents, and lines of JSON that end in one: who changed a character of them shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bumplab.common.errors import BumplabError

_SEAL = ',"sha256":"'
#: Characters that a line may have; the longest recorded one has 2,400.
MAX_LINE = 1_000_000


def digest_text(text: str) -> str:
    """Return the SHA-256 of a text.

    Examples
    --------
    >>> digest_text("")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(text.encode()).hexdigest()


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys.

    Examples
    --------
    >>> digest_json({"a": 1, "b": 2}) == digest_json({"b": 2, "a": 1})
    True
    """
    return digest_text(json.dumps(value, sort_keys=True, separators=(",", ":")))


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays with their names: of type, shape and content, not of a file that holds them.

    Examples
    --------
    >>> digest_arrays({"a": np.zeros(2)}) == digest_arrays({"a": np.zeros((1, 2))})
    False
    """
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype.name} {list(array.shape)}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def seal(content: Mapping[str, Any]) -> str:
    """Return a line of JSON that ends in the digest of what stands before it.

    Examples
    --------
    >>> seal({"step": 1})[:34]
    '{"step":1,"sha256":"8565a568653654'
    """
    text = json.dumps(content, separators=(",", ":"))
    return f'{text[:-1]}{_SEAL}{digest_text(text)}"}}'


def unseal(text: str) -> dict[str, Any]:
    """Undo :func:`seal`.

    Raises
    ------
    BumplabError
        If the line does not end in its digest, is longer than :data:`MAX_LINE`, is no JSON object, or is another text
        than :func:`seal` writes: of a name that comes twice, two readers might take different values.
        The sentence lacks its subject: "is damaged or was edited by hand".

    Examples
    --------
    >>> unseal(seal({"step": 1}))
    {'step': 1}
    >>> unseal(seal({"step": 1}).replace("1", "2", 1))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: is damaged or was edited by hand
    """
    if len(text) > MAX_LINE:
        raise BumplabError(f"has {len(text):,} characters, more than {MAX_LINE:,}")
    before, found, after = text.rpartition(_SEAL)
    if not found or after != f'{digest_text(before + "}")}"}}':
        raise BumplabError("is damaged or was edited by hand")
    try:
        content = json.loads(before + "}")
    except (ValueError, RecursionError):
        content = None
    if type(content) is not dict:
        raise BumplabError("is no JSON object")
    if json.dumps(content, separators=(",", ":")) != before + "}":
        raise BumplabError("is not written as its reader would write it: a name twice, or numbers in another form")
    return content
