"""Running a chapter with other parameters."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bumplab.chapters.catalogue import validate
from bumplab.common.errors import BumplabError, printable, quote, shorten
from bumplab.common.files import atomic_write, check_writable, disk_errors
from bumplab.common.leftovers import remove_leftovers

#: Seconds that a kernel has to start: the first one after an installation reads everything from disk.
START_TIMEOUT = 300
#: Most characters of what is said of an error in a chapter; the notebook has all of it.
MAX_REASON = 400


def rerun(path: Path, values: Mapping[str, Any], out: Path, progress: bool = True) -> None:
    """Check the parameters, run the chapter with them by papermill, and write the executed notebook to `out`.

    The chapter runs in the Python that runs now, whichever kernel it names, see
    :class:`~bumplab.chapters.kernel.ChapterKernel`.

    Raises
    ------
    BumplabError
        If the parameters are refused (nothing is run), `out` cannot be written, or no kernel starts.
    ChapterFailed
        If a cell fails, or the kernel dies; `out` then is the notebook so far.
    Interrupted
        On Ctrl-C; `out` is the notebook so far if a cell had begun.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from bumplab.chapters.kernel import ChapterKernel

    values = validate(path, values)
    if out.suffix != ".ipynb":
        raise BumplabError(f"The output {quote(str(out))} must be a notebook: give a name that ends in .ipynb.")
    if os.path.realpath(out) == os.path.realpath(path):
        raise BumplabError(f"The output {quote(str(out))} is the chapter itself: choose another file.")
    part = out.with_name(f".{out.stem[:80]}.{os.getpid()}.ipynb")  # papermill writes to it after every cell
    logging.getLogger("papermill").addHandler(logging.NullHandler())  # what it says of a dead kernel is said below
    with disk_errors(out, "write", "name another file"):
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        check_writable(out.parent)
        remove_leftovers(out.parent, re.compile(re.escape(out.stem[:80])), ".ipynb")
        try:
            papermill.execute_notebook(
                _literal(path), _literal(part), parameters=values, cwd=out.parent, progress_bar=progress,
                log_output=False, kernel_name="python3", language="python", kernel_manager_class=ChapterKernel,
                start_timeout=START_TIMEOUT,
            )  # fmt: skip
            _publish(part, out)
        except PapermillExecutionError as error:
            _publish(part, out)
            reason = shorten(printable(" ".join(f"{error.ename}: {error.evalue}".split())), MAX_REASON).rstrip(".")
            raise ChapterFailed(f"{path.stem} failed: {reason}. The notebook so far is {out}.") from None
        except (RuntimeError, KeyboardInterrupt) as error:  # of nbclient: the kernel died, or never answered
            if part.is_file():
                raise _broken_off(error, path, part, out) from None
            raise
        finally:
            part.unlink(missing_ok=True)


def _literal(path: Path) -> str:
    """Return a path as papermill takes it, which fills parameters into braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _broken_off(error: BaseException, path: Path, part: Path, out: Path) -> BaseException:
    """Keep the notebook at which Ctrl-C or the end of its kernel broke off, and return what to raise."""
    from bumplab.training.state import Interrupted

    content = json.loads(part.read_text(encoding="utf-8"))
    stopped = isinstance(error, KeyboardInterrupt)
    cell = _end_at_running_cell(content, "Interrupted." if stopped else "The kernel died.")
    if cell is None:
        reason = shorten(printable(" ".join(str(error).split())).rstrip("."), 100)
        hint = f"see what {sys.executable} -m ipykernel --version says"
        return error if stopped else BumplabError(f"No kernel starts for {path.stem}: {reason}; {hint}.")
    part.write_text(json.dumps(content), encoding="utf-8")
    _publish(part, out)
    if stopped:
        return Interrupted(f"Stopped {path.stem} in {cell}. The notebook so far is {out}.")
    cause = "its kernel died, most often for want of memory; ask for less by its parameters, or close other programs"
    return ChapterFailed(f"{path.stem} failed in {cell}: {cause}. The notebook so far is {out}.")


def _end_at_running_cell(content: dict[str, Any], reason: str) -> str | None:
    """Mark the cell at which an executed notebook broke off; return it in words, None if no cell had begun.

    papermill calls that cell and all after it completed.
    """
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    begun = [cell for cell in code if cell["metadata"].get("papermill", {}).get("start_time")]
    if not begun:
        return None
    cell = begun[-1]
    for later in code[len(begun) :]:
        later["metadata"]["papermill"]["status"] = "pending"
    cell["metadata"]["papermill"] |= {"status": "failed", "exception": True}
    content["metadata"]["papermill"]["exception"] = True
    cell["execution_count"] = len(begun)
    cell["outputs"].append({"output_type": "error", "ename": "Stopped", "evalue": reason, "traceback": [reason]})
    lines = [line.strip() for line in "".join(cell["source"]).splitlines() if line.strip()]
    return f"cell [{len(begun)}], {quote(lines[0])}" if lines else f"cell [{len(begun)}]"


def _publish(part: Path, out: Path) -> None:
    """Give an executed notebook its name, which it also tells."""
    content = json.loads(part.read_text(encoding="utf-8"))
    content["metadata"]["papermill"]["output_path"] = str(out)
    atomic_write(out, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


class ChapterFailed(BumplabError):
    """A chapter stopped with an error while it ran."""
