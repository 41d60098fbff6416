"""The one error that a user sees, and how it quotes what the user typed."""

from __future__ import annotations

from pathlib import PurePath


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

    Examples
    --------
    >>> quote("3abc")
    "'3abc'"
    >>> len(quote("a" * 1000))
    80
    """
    is_path = isinstance(value, PurePath)
    try:
        text, most = (str(value), 200) if is_path else (repr(value), 80)
    except (RecursionError, ValueError):  # nested too deep, or a number with too many digits
        return f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most // 2 - 2]}...{text[1 - most // 2 :]}"
