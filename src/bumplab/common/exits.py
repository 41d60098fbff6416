"""How a program ends: whatever the computer refuses is one sentence and an exit code, no traceback."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import refusal

#: Exit codes; the last one is what shells give for Ctrl-C.
FAILED, MISTAKE, INTERRUPTED = 1, 2, 130


def exit_code(program: Callable[[], object]) -> int:
    """Call a program and return its exit code; what the computer refuses it is one sentence on standard error.

    Parameters
    ----------
    program : callable
        Its end, or SystemExit, gives the exit code: 0 unless it is a whole number.

    Returns
    -------
    int
        2 after an error of the user's or of the operating system, 130 after Ctrl-C; 1, in silence, if nobody reads
        the output to its end, as in ``bumplab runs list | head -1``.

    Notes
    -----
    Other errors pass: they are mistakes of the program, and their traceback is what helps.

    Examples
    --------
    >>> exit_code(lambda: None), exit_code(lambda: sys.exit(1))
    (0, 1)
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as of standard error: names of files may hold anything
    code = _call(program)
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        code = code or _report_refusal(error)
        _drop_output()
    return code


def _call(program: Callable[[], object]) -> int:
    try:
        code = program()
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            return _report(code, FAILED)
    except BumplabError as error:
        if not isinstance(error, KeyboardInterrupt):
            return _report(f"Error: {error}")
        return _report(f"{error}", INTERRUPTED)  # a training that has something to say
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return _report_refusal(error)
    except UnicodeEncodeError as error:
        letters = quote(error.object[error.start : error.end])
        return _report(f"Error: Cannot write {letters} in {error.encoding}; set PYTHONUTF8=1, or use other names.")
    except MemoryError:
        return _report("Error: There is not enough memory here; use smaller settings, fewer jobs or another computer.")
    return code if isinstance(code, int) else 0


def _report(line: str, code: int = MISTAKE) -> int:
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
    return code


def _report_refusal(error: OSError) -> int:
    """Say what the operating system refused, and where; nothing where the reader of the output has gone."""
    if error.errno == errno.EPIPE:
        return FAILED
    where = error.filename or error.filename2
    if isinstance(where, (str, bytes)):
        return _report(f"Error: {refusal(error, Path(os.fsdecode(where)), 'use')}")
    place = Path("the output") if _is_output_a_file() else None  # writing tells no name, and files have theirs above
    return _report(f"Error: {refusal(error, place, 'write')}")


def _is_output_a_file() -> bool:
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
        return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not sys.stdout.isatty())
    except (OSError, ValueError, AttributeError):
        return False


def _drop_output() -> None:
    """Let what is left of the output go nowhere: Python would complain once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
