"""Frozen settings that check themselves, and say in one sentence what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bumplab.common.errors import BumplabError, quote


def format_validation_error(error: ValidationError, where: str, aliases: Mapping[str, str] | None = None) -> str:
    """Turn pydantic's report into one sentence about its first finding.

    Parameters
    ----------
    error : pydantic.ValidationError
    where : str
        What was being checked, for example ``"BumpWorld"``; used when the error names no field.
    aliases : mapping, optional
        Recorded name to the field's name, which is the one to speak of.

    Returns
    -------
    str
        It ends with a full stop; the sentence of a :class:`~bumplab.common.errors.BumplabError` is passed on as it is.

    Examples
    --------
    >>> class Point(BaseModel):
    ...     x: int
    >>> try:
    ...     Point(x="far")
    ... except ValidationError as error:
    ...     print(format_validation_error(error, "Point"))
    Point: x: input should be a valid integer, unable to parse string as an integer (got 'far').
    """
    first = error.errors(include_url=False)[0]
    names = aliases or {}
    field = ".".join(names.get(str(part), str(part)) for part in first["loc"]) or where
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"There is no setting {quote(field)} in {where}."
    if first["type"] == "value_error" and isinstance(first.get("ctx", {}).get("error"), BumplabError):
        return message
    value = "" if first["type"] in ("value_error", "missing") else f" (got {quote(first['input'])})"
    return f"{where}: {field}: {message[0].lower()}{message[1:]}{value}.".replace("..", ".")


class FrozenConfig(BaseModel):
    """Immutable, hashable settings.

    Unknown names and impossible values raise :class:`~bumplab.common.errors.BumplabError`.

    Examples
    --------
    >>> class Point(FrozenConfig):
    ...     x: float = 0.0
    >>> Point(z=1)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: There is no setting 'z' in Point.
    """

    #: A field with an alias was recorded under that name: files, ids and plans keep it, code says the field.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise BumplabError(format_validation_error(error, type(self).__name__, self._aliases())) from None

    def replace(self, /, **changes: Any) -> Self:
        """Return a copy with some settings changed, checked like a new one.

        A nested group takes a dictionary of changes: ``settings.replace(world={"sigma": 2}, seed=1)``.

        Parameters
        ----------
        **changes
            Field, or the name under which it was recorded, to value; a group of settings takes a dictionary of changes.

        Returns
        -------
        FrozenConfig
            Of the same class.

        Raises
        ------
        BumplabError
            For an unknown name or an impossible value.

        Examples
        --------
        >>> class Point(FrozenConfig):
        ...     x: float = 0.0
        >>> Point().replace(x=2)
        Point(x=2.0)
        """
        data = {name: getattr(self, name) for name in type(self).model_fields}
        aliases = self._aliases()
        for name, value in changes.items():
            name = aliases.get(name, name)
            if isinstance(value, dict) and isinstance(data.get(name), FrozenConfig):
                value = data[name].replace(**value)
            data[name] = value
        return type(self)(**data)

    @classmethod
    def _aliases(cls) -> dict[str, str]:
        """Return the field of each recorded name, of this group of settings and those inside of it."""
        names: dict[str, str] = {}
        for name, field in cls.model_fields.items():
            if field.alias:
                names[field.alias] = name
            if isinstance(field.annotation, type) and issubclass(field.annotation, FrozenConfig):
                names |= field.annotation._aliases()
        return names
