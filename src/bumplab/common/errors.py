"""The one error that a user sees, and how it quotes what the user typed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePath
from reprlib import Repr

#: It looks at the beginning of a value alone: to write out all of a long list of long numbers takes minutes.
_REPR = Repr()
_REPR.maxlevel = 8
_REPR.maxtuple = _REPR.maxlist = _REPR.maxdict = _REPR.maxset = 20
_REPR.maxstring = _REPR.maxlong = _REPR.maxother = 200


class BumplabError(ValueError):
    """A mistake that its maker can mend: one sentence saying what is wrong and what would be right.

    Jupyter shows the sentence alone, without a traceback.

    Examples
    --------
    >>> BumplabError("Sigma is above 0 pixels, got -1.")._render_traceback_()
    ['BumplabError: Sigma is above 0 pixels, got -1.']
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def quote(value: object) -> str:
    """Return what was typed as a message shows it: text within quotes, in 80 characters at most; of a path 200.

    It is one line, whatever the value is.

    Examples
    --------
    >>> quote("3abc")
    "'3abc'"
    >>> len(quote("a" * 1000))
    80
    >>> quote(10**5000)
    'an int too large to show'
    """
    if isinstance(value, PurePath) and str(value).isprintable():
        return shorten(str(value), 200)
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        value = value.item()  # pyright: ignore[reportAttributeAccessIssue]  # 0.1, not np.float64(0.1)
    if isinstance(value, str | PurePath):
        return shorten(repr(str(value)), 80)
    try:
        text = _REPR.repr(value)
    except (ValueError, RecursionError):  # an int of more than 4,300 digits
        text = f"{'an' if type(value).__name__[0] in 'aeiou' else 'a'} {type(value).__name__} too large to show"
    return shorten(printable(" ".join(text.split())), 80)


def shorten(text: str, most: int) -> str:
    """Return text in at most so many characters, with three dots in the place of its middle where it is longer.

    Examples
    --------
    >>> shorten("0123456789", 8)
    '01...789'
    """
    return text if len(text) <= most else f"{text[: most // 2 - 2]}...{text[1 - most // 2 :]}"


def printable(text: str) -> str:
    r"""Return a text on one line, with escapes in place of what a terminal would obey, or could not show.

    Examples
    --------
    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def join_names(names: Collection[str], most: int = 4) -> str:
    """Return names with commas between them, and of many the first ones, with the number of the others.

    Examples
    --------
    >>> join_names(["a", "b", "c"]), join_names(["a", "b", "c"], most=2)
    ('a, b, c', 'a, b and 1 more')
    """
    first = ", ".join(list(names)[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most} more"
