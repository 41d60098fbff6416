"""What every module shares: errors a user can read, and frozen settings that check themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class BumplabError(ValueError):
    """A mistake that its maker can mend: one sentence saying what is wrong and what would be right.

    Jupyter shows the sentence alone, without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def one_sentence(error: ValidationError, where: str) -> str:
    """Turn pydantic's report into one sentence about its first finding.

    Parameters
    ----------
    error : pydantic.ValidationError
    where : str
        What was being checked, for example ``"World"``; used when the error names no field.
    """
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or where
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"There is no setting {field!r} in {where}."
    if first["type"] == "value_error" and isinstance(first.get("ctx", {}).get("error"), BumplabError):
        return message
    value = "" if first["type"] in ("value_error", "missing") else f" (got {first['input']!r})"
    return f"{where}: {field}: {message[0].lower()}{message[1:]}{value}.".replace("..", ".")


class Frozen(BaseModel):
    """Immutable, hashable settings; unknown names and impossible values raise :class:`BumplabError`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise BumplabError(one_sentence(error, type(self).__name__)) from None

    def but(self, /, **changes: Any):
        """Return a copy with some settings changed, checked like a new one.

        A nested group takes a dictionary of changes: ``settings.but(world={"sigma": 2}, seed=1)``.
        """
        data = {name: getattr(self, name) for name in type(self).model_fields}
        for name, value in changes.items():
            if isinstance(value, dict) and isinstance(data.get(name), Frozen):
                value = data[name].but(**value)
            data[name] = value
        return type(self)(**data)


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write a file so that it is at any moment either the old one or the new one, also through a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
