"""Running a chapter with other parameters."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bumplab.chapters.catalogue import validate
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import atomic_write, check_writable, disk_errors


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
    if os.path.realpath(out) == os.path.realpath(path):
        raise BumplabError(f"The output {quote(str(out))} is the chapter itself: choose another file.")
    part = out.with_name(f".{out.stem[:80]}.{os.getpid()}.ipynb")  # papermill writes to it after every cell
    with disk_errors(out, "write", "name another file"):
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        check_writable(out.parent)
        try:
            papermill.execute_notebook(
                path, part, parameters=values, cwd=out.parent, progress_bar=progress, log_output=False
            )
            _publish(part, out)
        except PapermillExecutionError as error:
            _publish(part, out)
            raise ChapterFailed(
                f"{path.stem} failed: {error.ename}: {error.evalue} The notebook so far is {out}."
            ) from None
        finally:
            part.unlink(missing_ok=True)


def _publish(part: Path, out: Path) -> None:
    """Give an executed notebook its name, which it also tells."""
    content = json.loads(part.read_text(encoding="utf-8"))
    content["metadata"]["papermill"]["output_path"] = str(out)
    atomic_write(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


class ChapterFailed(BumplabError):
    """A chapter stopped with an error while it ran."""
