"""Frozen settings that check themselves, and say in one sentence what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, Union, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from bumplab.common.errors import BumplabError, printable, quote, shorten


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
        It ends with a full stop and has some 300 characters at most; the sentence of a
        :class:`~bumplab.common.errors.BumplabError` is passed on as it is.

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
    what = shorten(printable(f"{message[0].lower()}{message[1:]}".rstrip(".")), 160)  # it may repeat what was typed
    return f"{where}: {shorten(printable(field), 80)}: {what}{value}."


class FrozenConfig(BaseModel):
    """Immutable, hashable settings.

    Unknown names and impossible values raise :class:`~bumplab.common.errors.BumplabError`. Text is never taken for a
    number, nor true or false for one, nor a number for these.

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

    @field_validator("*", mode="wrap")
    @classmethod
    def _of_the_same_kind(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        result = validate(value)
        several = isinstance(value, list | tuple) and isinstance(result, tuple)
        for before, after in zip(value, result, strict=True) if several else ((value, result),):
            if isinstance(after, bool | int | float) and (
                isinstance(before, str | bytes) or isinstance(before, bool) != isinstance(after, bool)
            ):
                right = "true or false" if isinstance(after, bool) else "a number, neither text nor true or false"
                raise PydanticCustomError("other_kind", f"input should be {right}")  # pyright: ignore[reportArgumentType]
        return result

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
        data: dict[Any, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        aliases = self._aliases()
        for name, value in changes.items():
            name = aliases.get(name, name)
            old = data.get(name)
            if isinstance(value, dict) and isinstance(old, FrozenConfig) and not _is_other_kind(value, old):
                if strange := [each for each in value if not isinstance(each, str)]:
                    raise BumplabError(f"There is no setting {quote(strange[0])} in {type(old).__name__}.")
                value = old.replace(**value)
            data[name] = value
        return type(self)(**data)

    @classmethod
    def _aliases(cls) -> dict[str, str]:
        """Return the field of each recorded name, of this group of settings and those inside of it."""
        names: dict[str, str] = {}
        for name, field in cls.model_fields.items():
            if field.alias:
                names[field.alias] = name
            for kind in (field.annotation, *get_args(field.annotation)):
                kind = get_args(kind)[0] if get_args(kind) else kind  # of a member of a tagged union
                if isinstance(kind, type) and issubclass(kind, FrozenConfig):
                    names |= kind._aliases()
        return names


def tagged_union(first: type[FrozenConfig], *others: type[FrozenConfig]) -> Any:
    """Return the type of a group of settings that may be of several families, told apart by their field ``kind``.

    Parameters
    ----------
    first : type
        The family that was there before there were others. Its ``kind`` has a default, which enters no run's name, and
        is what files without a kind are of.
    *others : type
        Their ``kind`` is required: with a default it would enter no name either, and two families with otherwise equal
        settings would have runs of one name.

    Raises
    ------
    BumplabError
        If a ``kind`` is missing, double, or has a default where it must not.

    Examples
    --------
    >>> tagged_union(FrozenConfig)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: FrozenConfig needs a kind of its own: kind: Literal[...] with one value.
    """
    tags: list[str] = []
    for family in (first, *others):
        field = family.model_fields.get("kind")
        values = get_args(field.annotation) if field else ()
        if field is None or len(values) != 1 or values[0] in tags:
            raise BumplabError(f"{family.__name__} needs a kind of its own: kind: Literal[...] with one value.")
        if field.is_required() != (family is not first):
            raise BumplabError(f"{family.__name__}: the kind has a default in the first family, and in no other.")
        tags.append(values[0])
    if not others:
        return first

    members = tuple(Annotated[family, Tag(name)] for family, name in zip((first, *others), tags, strict=True))
    return Annotated[Union[members], Discriminator(_KindOf(tags[0]))]  # noqa: UP007


class _KindOf:
    """Tells which family a value of a :func:`tagged_union` is of; no function, whose local name no page can resolve."""

    def __init__(self, first: str) -> None:
        self.first = first  # the kind of what has none
        self.__name__ = "tagged_union"  # pydantic asks, and pages lead to it

    def __call__(self, value: Any) -> Any:
        kind = value.get("kind", self.first) if isinstance(value, Mapping) else getattr(value, "kind", None)
        return shorten(kind, 80) if isinstance(kind, str) else kind

    def __repr__(self) -> str:
        return "kind"


def _is_other_kind(changes: dict[str, Any], old: FrozenConfig) -> bool:
    """Return whether changes name another family of a :func:`tagged_union`; they then are its settings in full."""
    field = type(old).model_fields.get("kind")
    single = field is not None and len(get_args(field.annotation)) == 1
    kind = getattr(old, "kind", None)
    return single and changes.get("kind", kind) != kind
