"""Settings that name a run by what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError, join_names

#: The family whose runs were recorded before there were others: its name enters neither ids nor files.
FIRST_FAMILY = "bumps"


class RunSettings(FrozenConfig):
    """All that decides what a run becomes. Each family of runs derives its own settings from it.

    Attributes
    ----------
    family : str
        Name of the family, see :mod:`bumplab.runs.families`.
    trainer_version : int
        Raised whenever the same settings would train to something else; part of the run's name.
    later_fields : frozenset of str
        Dotted recorded names of settings that appeared after runs had been recorded. Only these may be missing from a
        file; each has a default that leaves what was there before as it was.

    Examples
    --------
    >>> class Walk(RunSettings):
    ...     family: ClassVar[str] = "walks"
    ...     trainer_version: ClassVar[int] = 1
    ...     steps: int = 10
    >>> Walk().id == Walk(steps=10).id != Walk(steps=11).id
    True
    """

    family: ClassVar[str]
    trainer_version: ClassVar[int]
    later_fields: ClassVar[frozenset[str]] = frozenset()

    @property
    def id(self) -> str:
        """Name of the run: 12 hexadecimal digits of the SHA-256 of its settings, their family and trainer version.

        Settings at their defaults do not enter, so that a new setting leaves old names as they are. A default may
        therefore never change without a new trainer version.
        """
        content = {"trainer": self.trainer_version, **self._family_entry()}
        content |= self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_record(self) -> dict[str, Any]:
        """Return every setting under its recorded name, defaults included, as JSON."""
        return {**self._family_entry(), **self.model_dump(mode="json", by_alias=True)}

    @classmethod
    def from_record(cls, content: Mapping[str, Any]) -> Self:
        """Undo :meth:`to_record`.

        Raises
        ------
        BumplabError
            If a setting is unknown, impossible, or missing without being one of :attr:`later_fields`.
        """
        settings = cls(**{name: value for name, value in content.items() if name != "family"})
        lacking = set(_missing(settings.to_record(), content)) - cls.later_fields
        if lacking:
            raise BumplabError(f"The settings of a recorded run lack {join_names(sorted(lacking))}.")
        return settings

    @classmethod
    def _family_entry(cls) -> dict[str, str]:
        return {} if cls.family == FIRST_FAMILY else {"family": cls.family}


def _missing(whole: Mapping[str, Any], content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield dotted names that `content` lacks."""
    for name, value in whole.items():
        if name not in content:
            yield f"{prefix}{name}"
        elif isinstance(value, Mapping) and isinstance(content[name], Mapping):
            yield from _missing(value, content[name], f"{prefix}{name}.")
