"""What the operating system refuses is one sentence, and what was there stays."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bumplab.common.errors import BumplabError
from bumplab.common.files import atomic_write, disk_errors, make_folder, sync, write_file
from bumplab.common.places import resolve_folder, user_folder


def refused(call, *values):
    """Return the one sentence with which a call is refused."""
    with pytest.raises(BumplabError) as caught:
        call(*values)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400
    return text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; make room there, or name another place"),
        (errno.EDQUOT, "make room there"),
        (errno.EFBIG, "raise the limit on the size of files (ulimit -f)"),
        (errno.EMFILE, "raise the limit on open files (ulimit -n)"),
        (errno.EACCES, "Permission denied; ask its owner"),
        (errno.EROFS, "Read-only file system; name another place"),
        (errno.ENAMETOOLONG, "File name too long; use a shorter name"),
        (errno.ELOOP, "name another place"),
    ],
)
def test_every_refusal_has_its_path_its_cause_and_a_way_out(number, words):
    def refuse():
        with disk_errors(Path("/data/run")):
            raise OSError(number, os.strerror(number))

    text = refused(refuse)
    assert text.startswith("Cannot write to /data/run: ") and words in text


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300])
def test_names_that_no_file_can_have_are_refused(tmp_path, name):
    def write():
        with disk_errors(tmp_path / name):
            atomic_write(tmp_path / name, "")

    assert refused(write).startswith("Cannot write to ")
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass_as_they_are():
    with pytest.raises(ValueError, match="^mine$"), disk_errors(Path("x")):
        raise ValueError("mine")
    with pytest.raises(BumplabError, match="^embedded null$"), disk_errors(Path("x")):
        raise BumplabError("embedded null")


@pytest.fixture
def variable(monkeypatch):
    """Return a function that sets or unsets the variables which say where the user's folders are."""

    def set_all(**values):
        for name in ("BUMPLAB_STORE", "HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def store():
    return user_folder("BUMPLAB_STORE", "bumplab", "runs")


@pytest.mark.parametrize("blank", [{}, {"BUMPLAB_STORE": ""}, {"BUMPLAB_STORE": "  "}])
def test_without_a_variable_the_folder_lies_in_the_users_cache(variable, tmp_path, blank):
    variable(HOME=str(tmp_path), **blank)
    assert store().is_relative_to(tmp_path) and store().name == "runs" and list(tmp_path.iterdir()) == []


def test_a_relative_folder_counts_from_the_working_folder_and_the_tilde_is_the_home(variable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variable(HOME=str(tmp_path), BUMPLAB_STORE="runs")
    assert store() == tmp_path / "runs"
    variable(HOME=str(tmp_path), BUMPLAB_STORE="~/mine")
    assert store() == tmp_path / "mine"


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (lambda path: path.write_text(""), "file", "it is not a folder"),
        (lambda path: path.write_text(""), "file/runs", ""),
        (os.mkfifo, "pipe", "it is not a folder"),
        (lambda path: path.symlink_to(path), "loop", ""),
        (lambda path: path.symlink_to("nowhere"), "link", "it is a link to nothing"),
        (lambda path: None, "x" * 300, "use a shorter name"),
    ],
)
def test_what_cannot_be_a_folder_is_refused(variable, tmp_path, make, name, words):
    make(tmp_path / name.split("/")[0])
    variable(BUMPLAB_STORE=str(tmp_path / name))
    text = refused(store)
    assert text.startswith(f"Cannot use {tmp_path}") and words in text
    assert "set BUMPLAB_STORE to another folder" in text or "use a shorter name" in text


def test_a_name_with_nul_and_a_home_that_nobody_has_are_refused(tmp_path):
    assert "NUL" in refused(resolve_folder, tmp_path / "a\0b")
    assert "no such user's home folder" in refused(resolve_folder, Path("~nobodyofthisname/runs"))


NO_HOME = """
import os, pathlib
from bumplab.common.errors import BumplabError
from bumplab.common.places import user_folder
try:
    user_folder("BUMPLAB_STORE", "bumplab", "runs")
except BumplabError as error:
    print(error)
"""


@pytest.mark.parametrize("error", [RuntimeError, KeyError, None])
def test_without_a_home_folder_nothing_is_written_into_one_called_tilde(variable, monkeypatch, error):
    """As releases of platformdirs answer, and Python itself."""

    def answer(name, appauthor):
        if error:
            raise error("no home")
        return Path(f"~/.cache/{name}")

    monkeypatch.setattr("bumplab.common.places.user_cache_path", answer)
    variable()
    assert refused(store) == "No home folder is known here: set BUMPLAB_STORE to a folder."


def test_a_user_without_a_home_is_told_so(tmp_path):
    """Python asks the list of users where HOME is not set: here one that knows nobody."""
    script = f"import pwd\npwd.getpwuid = lambda _: {{}}['nobody']\n{NO_HOME}"
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "BUMPLAB_STORE")}
    environment = {name: value for name, value in kept.items() if not name.startswith("XDG_")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.fullmatch("No home folder is known here: set BUMPLAB_STORE to a folder.\n", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (write_file, atomic_write):
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "note.txt", "whole")
    assert not list(tmp_path.iterdir())


def test_a_new_folder_and_those_on_its_way_are_brought_to_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr("bumplab.common.files.sync", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir() and {*synced} == {tmp_path, tmp_path / "a"}
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


@pytest.mark.parametrize("number, passes", [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_file_system_that_syncs_no_folders_is_no_failure(number, passes, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")

    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    for path in [tmp_path / "file"] + [tmp_path] * (not passes):
        with pytest.raises(OSError, match=os.strerror(number)):
            sync(path)
    if passes:
        sync(tmp_path)
