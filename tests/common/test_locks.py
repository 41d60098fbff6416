"""One at a time holds a lock, and who waits is told the truth about whom for: seen with real processes."""

import datetime
import errno
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest

from bumplab.common import locks
from bumplab.common.errors import BumplabError
from bumplab.common.locks import hold_lock

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["bumplab.common.locks", "pytest"])
WHAT = "Run 0123456789ab is being trained"


def hold(path, pipe):
    """Hold the lock until something comes through the pipe; in a process of its own."""
    with hold_lock(path, WHAT):
        pipe.send("held")
        pipe.recv()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "0123456789ab.lock"


@pytest.fixture
def holder(path):
    """Return a process that holds the lock, and the pipe through which anything lets it go."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=hold, args=(path, there))
    process.start()
    there.close()
    assert here.recv() == "held"
    yield process, here
    process.kill()
    process.join(60)


def waiting_line(path, capfd, seconds=1.5):
    """Return what is said to who waits so long in vain."""
    with pytest.raises(filelock.Timeout), hold_lock(path, WHAT, timeout=seconds):
        raise AssertionError("the lock is held")
    return capfd.readouterr().err


def test_a_lock_leaves_nothing_but_its_empty_file(path):
    with hold_lock(path, WHAT):
        assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.holder"]
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == b""


def test_who_waits_is_told_once_for_whom(path, holder, capfd):
    began = datetime.datetime.fromtimestamp(Path(f"{path}.holder").stat().st_mtime)
    line = waiting_line(path, capfd)
    process = f"process {holder[0].pid} on {platform.node()} since {began:%H:%M}"
    assert line == f"{WHAT} by {process}; waiting for it (Ctrl-C stops waiting).\n"


def test_nothing_is_said_where_nobody_waits(path, capfd):
    for _ in range(2):
        with hold_lock(path, WHAT):
            pass
    assert capfd.readouterr() == ("", "")


def test_without_patience_a_held_lock_is_an_error_and_silent(path, holder, capfd):
    began = time.monotonic()
    assert waiting_line(path, capfd, seconds=0) == ""
    assert time.monotonic() - began < 10


def test_who_waits_goes_on_when_the_holder_lets_go(path, holder):
    released = threading.Event()
    timer = threading.Timer(0.7, lambda: (released.set(), holder[1].send("go")))
    timer.start()
    with hold_lock(path, WHAT):
        assert released.is_set()
    timer.join()


def test_a_stopped_holder_is_called_so_with_what_lets_it_go_on(path, holder, capfd):
    pid = holder[0].pid
    os.kill(pid, signal.SIGSTOP)
    line = waiting_line(path, capfd)
    assert line.count("\n") == 1
    assert f"which is stopped (SIGSTOP; kill -CONT {pid} lets it go on); waiting for it" in line


def test_that_a_holder_stops_later_is_said_too(path, holder, capfd):
    timer = threading.Timer(0.9, os.kill, (holder[0].pid, signal.SIGSTOP))
    timer.start()
    first, second = waiting_line(path, capfd, seconds=2.5).splitlines()
    timer.join()
    assert "stopped" not in first and "is stopped" in second


def test_a_killed_holder_is_waited_for_no_longer_and_what_it_left_goes(path, holder, capfd):
    left = Path(f"{path}.holder")
    holder[0].kill()
    holder[0].join(60)
    assert left.exists()
    with hold_lock(path, WHAT):
        assert f'"process": {os.getpid()},' in left.read_text()
    assert not left.exists()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "left",
    [
        b"", b"{", b"[" * 2000, b"\xff", b"7", b'{"process": "1"}',
        b'{"process": 1, "host": "HOST", "since": 1e300, "birth": null}',
        b'{"process": 1, "host": "HOST", "since": NaN, "birth": null}',
        b'{"process": 1, "host": "HOST", "since": 5.0, "birth": "1"}',  # a number that has gone to another process
        b'{"process": 4194999, "host": "HOST", "since": 5.0, "birth": "1"}',
        b'{"process": 1, "host": "one\\ntwo", "since": 5.0, "birth": "1"}',
    ],
)  # fmt: skip
def test_what_a_killed_holder_left_says_nothing_of_the_next_one(path, holder, capfd, left):
    Path(f"{path}.holder").write_bytes(left.replace(b"HOST", platform.node().encode()))
    assert waiting_line(path, capfd, 0.8) == f"{WHAT} by another process; waiting for it (Ctrl-C stops waiting).\n"


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_something_else_in_the_place_of_the_holders_file_neither_hangs_nor_hurts(path, holder, capfd, kind):
    left = Path(f"{path}.holder")
    left.unlink()
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda name: os.symlink("/dev/zero", name)}[kind](left)
    assert "by another process" in waiting_line(path, capfd, 0.8)


def test_a_holder_on_another_machine_is_named_as_it_wrote(path, holder, capfd):
    Path(f"{path}.holder").write_text('{"process": 12, "host": "far", "since": 1700000000.5, "birth": "1"}')
    assert f"{WHAT} by process 12 on far since 2023-11-1" in waiting_line(path, capfd, 0.8)


def count(path, tally, times):
    """Add to a number in a file, which two at a time would spoil."""
    for _ in range(times):
        with hold_lock(path, WHAT):
            number = int(tally.read_text())
            time.sleep(0.002)
            tally.write_text(str(number + 1))


@pytest.mark.parametrize("processes", [2, 6])
def test_one_at_a_time_holds_the_lock(path, tmp_path, processes):
    tally = tmp_path / "tally"
    tally.write_text("0")
    crowd = [CONTEXT.Process(target=count, args=(path, tally, 5)) for _ in range(processes)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(120)
    assert [each.exitcode for each in crowd] == [0] * processes
    assert tally.read_text() == str(5 * processes)


def test_ctrl_c_ends_waiting(path, holder):
    script = (
        "import pathlib, signal, sys; from bumplab.common.locks import hold_lock\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored where the tests run in the background
        "with hold_lock(pathlib.Path(sys.argv[1]), 'It is held'): pass"
    )
    waiting = subprocess.Popen([sys.executable, "-c", script, str(path)], stderr=subprocess.PIPE, text=True)
    assert waiting.stderr.readline().startswith("It is held by process")
    waiting.send_signal(signal.SIGINT)
    _, rest = waiting.communicate(timeout=60)
    assert rest.splitlines()[-1] == "KeyboardInterrupt" and waiting.returncode == -signal.SIGINT


@pytest.mark.parametrize(
    "error", [NotImplementedError("no flock"), *(OSError(number, "no") for number in sorted(locks._NO_LOCKS))]
)
def test_where_the_file_system_has_no_locks_a_line_says_so_and_it_goes_on(path, monkeypatch, capfd, error):
    def refuse(*_):
        raise error

    monkeypatch.setattr("fcntl.flock", refuse)
    with hold_lock(path, WHAT):
        pass
    line = capfd.readouterr().err
    assert line == f"There are no locks in {path.parent}: do not start the same work there twice at a time.\n"
    assert [each.name for each in path.parent.iterdir()] in ([path.name], [])


def test_another_refusal_is_one_sentence(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", refuse)
    with (
        pytest.raises(BumplabError, match=f"^Cannot lock {path}: Input/output error; [^\n]*[.]$"),
        hold_lock(path, WHAT),
    ):
        pass


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_something_else_in_the_place_of_the_lock_is_refused_and_kept(path, tmp_path, kind):
    path.parent.mkdir()
    target = tmp_path / "target"
    target.write_text("kept")
    make = {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda name: os.symlink(target, name)}
    make[kind](path)
    with pytest.raises(BumplabError, match=f"^Cannot lock {path}: a {kind}[^\n]* lies there; move it away[.]$"):
        with hold_lock(path, WHAT):
            pass
    assert os.path.lexists(path) and target.read_text() == "kept"


def test_a_file_on_the_way_to_the_lock_is_one_sentence(tmp_path):
    (tmp_path / "store").write_text("kept")
    with pytest.raises(BumplabError, match="^Cannot lock [^\n]* set BUMPLAB_STORE[.]$"):
        with hold_lock(tmp_path / "store" / "0.lock", WHAT, other="set BUMPLAB_STORE"):
            pass
    assert (tmp_path / "store").read_text() == "kept"


def test_an_error_within_the_block_comes_out_as_it_is_and_lets_go(path):
    with pytest.raises(OSError, match="^mine$"), hold_lock(path, WHAT):
        raise OSError("mine")
    with hold_lock(path, WHAT, timeout=0):
        pass
