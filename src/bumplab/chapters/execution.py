"""Running a chapter with other parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bumplab.chapters.catalogue import validate
from bumplab.common.errors import BumplabError, quote


def rerun(path: Path, values: Mapping[str, Any], out: Path, progress: bool = True) -> None:
    """Check the parameters, run the chapter with them by papermill, and write the executed notebook to `out`.

    Raises
    ------
    BumplabError
        If the parameters are refused (nothing is run), `out` cannot be written, or the chapter fails.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    values = validate(path, values)
    if out.suffix != ".ipynb":
        raise BumplabError(f"The output {quote(str(out))} must be a notebook: give a name that ends in .ipynb.")
    if out.resolve() == path.resolve():
        raise BumplabError(f"The output {quote(str(out))} is the chapter itself: choose another file.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        papermill.execute_notebook(
            path, out, parameters=values, cwd=out.parent, progress_bar=progress, log_output=False
        )
    except PapermillExecutionError as error:
        raise ChapterFailed(
            f"{path.stem} failed: {error.ename}: {error.evalue} The notebook so far is {out}."
        ) from None
    except OSError as error:
        raise BumplabError(f"Cannot write {quote(str(out))}: {error.strerror}.") from None


class ChapterFailed(BumplabError):
    """A chapter stopped with an error while it ran."""
