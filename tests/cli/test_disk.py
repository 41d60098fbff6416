"""Whatever the computer refuses a command is one sentence and exit code 2; what was there stays.

The refusals are real ones: limits on files, devices without room, names that cannot be, and a user who owns nothing.
"""

import ctypes
import errno
import json
import os
import re
import resource
import subprocess
import sys
from functools import partial

import pytest

from bumplab.common.exits import exit_code

NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "execution_count": None, "id": tag, "metadata": {"tags": [tag]}, "outputs": [],
         "source": source}
        for tag, source in [("parameters", "seed: int = 0"), ("validation", "pass"), ("show", "print(seed)")]
    ],
    "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """Return a folder with a chapter and files of the user's."""
    (tmp_path / "99-tiny.ipynb").write_text(json.dumps(NOTEBOOK))
    (tmp_path / "file").write_text("kept")
    (tmp_path / "old.ipynb").write_text("kept")
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.ipynb")
    (tmp_path / "deep.ipynb").write_text("[" * 100_000)
    (tmp_path / "binary.ipynb").write_bytes(b"\xff\xfe")
    return tmp_path


def call(words, place, prepare=None, store=None, **options):
    """Run the command line in a process of its own and return its exit code, output and errors."""
    environment = {**os.environ, "BUMPLAB_STORE": str(store or place / "store"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bumplab", *words], cwd=place, env=environment, preexec_fn=prepare, text=True,
        errors="surrogateescape", stderr=subprocess.PIPE, timeout=120, **({"stdout": subprocess.PIPE} | options),
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def refused(result, *parts):
    code, output, errors = result
    assert re.fullmatch(r"Error: [^\n]+\.\n", errors), errors
    assert (code, output or "") == (2, "")
    assert all(part in errors for part in parts), errors


LONG = "x" * 300
TRAIN = ["train", "--preset", "smoke", "--set", "seed=77", "--device", "cpu", "--store"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ["rerun", "99-tiny.ipynb", "-o", "file/out.ipynb"],
            ["Cannot write to file: File exists; move away what"],
        ),
        (["rerun", "99-tiny.ipynb", "-o", "folder.ipynb"], ["Cannot write folder.ipynb: Is a directory"]),
        (["rerun", "99-tiny.ipynb", "-o", f"{LONG}.ipynb"], ["File name too long; use a shorter name"]),
        (["rerun", "99-tiny.ipynb", "-o", "loop/out.ipynb"], ["loop"]),
        (["rerun", "99-tiny.ipynb", "-o", "/dev/full/out.ipynb"], ["Cannot write to /dev/full: File exists"]),
        (["rerun", "--list", "pipe.ipynb"], ["There is no chapter"]),
        (["rerun", "--list", "folder.ipynb"], ["There is no chapter"]),
        (["rerun", "--list", f"{LONG}.ipynb"], ["File name too long"]),
        (["rerun", "--list", "deep.ipynb"], ["deep.ipynb is not a notebook"]),
        (["rerun", "--list", "binary.ipynb"], ["binary.ipynb is not a notebook"]),
        (["sweep", "99-tiny.ipynb", "--out", "file"], ["Cannot write to ", "File exists"]),
        (["sweep", "99-tiny.ipynb", "--out", "loop"], ["loop"]),
        (["sweep", "99-tiny.ipynb", "--out", LONG], ["File name too long"]),
        (["sweep", "--preset", "smoke", "--device", "cpu", "--out", "file/out"], ["file/out: Not a directory"]),
        (["sweep", "--dask", LONG], ["File name too long"]),
        (["runs", "import", "loop"], ["loop"]),
        (["runs", "import", "file"], ["file"]),
        (["runs", "import", LONG], []),
        ([*TRAIN, "file"], ["file"]),
        ([*TRAIN, "file/store"], ["file/store"]),
        ([*TRAIN, LONG], ["File name too long"]),
    ],
    ids=lambda value: " ".join(value)[:60],
)
def test_a_path_that_cannot_be_is_one_sentence_and_nothing_is_lost(words, parts, place):
    before = sorted(os.listdir(place))
    refused(call(words, place), *parts)
    assert (place / "file").read_text() == "kept" and sorted(os.listdir(place)) == before


def small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def bound_by_permissions():
    """Take from the next program the rights to pass over permissions, which root has (Linux: capabilities 1 and 2)."""
    if os.getuid() == 0:
        for capability in (1, 2):
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0


def test_no_room_for_an_executed_notebook_keeps_the_one_before(place):
    words = ["rerun", "99-tiny.ipynb", "-p", "seed", "3", "-o", "old.ipynb"]
    refused(call(words, place, small_files), "old.ipynb", "File too large; raise the limit")
    assert (place / "old.ipynb").read_text() == "kept"
    assert not list(place.glob(".old*"))
    code, output, errors = call(words, place)
    assert (code, output) == (0, "old.ipynb\n"), errors
    content = json.loads((place / "old.ipynb").read_text())
    assert content["cells"][-1]["outputs"][0]["text"] in ("3\n", ["3\n"])
    assert content["metadata"]["papermill"]["output_path"] == "old.ipynb"


@pytest.mark.parametrize(
    "words",
    [["rerun", "99-tiny.ipynb", "-o", "locked/out.ipynb"], ["sweep", "99-tiny.ipynb", "--out", "locked"],
     [*TRAIN, "locked/store"]],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_folder_of_somebody_elses_is_one_sentence(words, place):
    (place / "locked").mkdir(mode=0o555)
    refused(call(words, place, bound_by_permissions), "locked", "Permission denied; ")


@pytest.mark.parametrize("words", [["runs", "list"], ["--help"], ["train", "--dry-run"], ["doctor", "--device", "cpu"]])
def test_an_output_on_a_full_disk_is_one_sentence(words, place):
    with open("/dev/full", "w") as full:
        refused(call(words, place, stdout=full), "Cannot write the output: No space left on device; make room there")


@pytest.mark.parametrize("words", [["runs", "list"], ["--help"], ["doctor", "--device", "cpu"]])
def test_an_output_that_nobody_reads_ends_in_silence(words, place):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code, _, errors = call(words, place, stdout=writer)
    finally:
        os.close(writer)
    assert (code, errors) == (1, "")


def test_a_closed_output_is_no_error(place):
    assert call(["--version"], place, partial(os.close, 1))[::2] == (0, "")


# ---------------------------------------------------------------- what nobody turned into a sentence


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/data/x"), "Cannot use /data/x: Too many open files; raise the"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error; the disk may be failing"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (UnicodeEncodeError("ascii", "a\xe9", 1, 2, "no"), "in ascii; set PYTHONUTF8=1"),
        (MemoryError(), "There is not enough memory here"),
    ],
)
def test_a_refusal_that_nobody_caught_is_one_sentence(error, words, capsys):
    def program():
        raise error

    assert exit_code(program) == 2
    output, errors = capsys.readouterr()
    assert output == "" and re.fullmatch(r"Error: [^\n]+\.\n", errors) and words in errors


@pytest.mark.parametrize("error", [ValueError("mine"), KeyError("mine"), RecursionError("mine"), RuntimeError("mine")])
def test_mistakes_of_the_program_keep_their_traceback(error):
    def program():
        raise error

    with pytest.raises(type(error), match="mine"):
        exit_code(program)
