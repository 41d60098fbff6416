"""The one error that a user sees."""

from __future__ import annotations


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
