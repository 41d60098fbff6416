"""Several processes at one run: it is trained once, and a reader beside a writer never hears a false word."""

import builtins
import io
import math
import os
import re
import shutil
import signal
import sys
import time
from contextlib import contextmanager, nullcontext

import pytest
import torch
from tampering import contents
from tiny_runs import CONTEXT, get, tiny, wait_for

from bumplab.cli.app import run
from bumplab.runs import bump_family
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.packing import hold_pack, write_pack
from bumplab.runs.records import ReplacedError
from bumplab.runs.run_file import read_run
from bumplab.runs.store import find
from bumplab.training import loop
from bumplab.training.loop import train
from patching import replace_everywhere

#: Looks at a run that another process replaces again and again.
LOOKS = int(os.environ.get("BUMPLAB_LOOKS", "60"))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return get(tiny(), tmp_path_factory.mktemp("done"))


@pytest.fixture
def children():
    """Return a function that starts a process; all of them are gone after the test."""
    started = []

    def start(function, *arguments):
        started.append(CONTEXT.Process(target=function, args=arguments))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.join(60)


# ---------------------------------------------------------------- one lock


def ask(store, log, go):
    """Ask for a run in a child process, noting in files who trains; whoever does so waits in the middle for `go`."""
    torch.set_num_threads(1)
    sys.stderr = open(log / f"{os.getpid()}.err", "w", buffering=1)  # noqa: SIM115
    learning_rate = loop.learning_rate

    def waiting(settings, step):
        if step == 5:
            wait_for(go.exists)
        return learning_rate(settings, step)

    def noted(settings, folder, *arguments):
        (log / f"{os.getpid()}.trains").write_text("")
        return train(settings, folder, *arguments, checkpoint_seconds=0)

    loop.learning_rate, loop.CHECKPOINT_SHARE, bump_family.train = waiting, float("inf"), noted
    get(tiny(), store)


def trainers(log):
    return [int(path.stem) for path in log.glob("*.trains")]


def said(log, process):
    path = log / f"{process.pid}.err"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize("count, end", [(2, "stopped"), (6, "killed")])
def test_a_run_that_several_ask_for_is_trained_once(count, end, done, children, tmp_path):
    store, log, go = tmp_path / "store", tmp_path / "log", tmp_path / "go"
    log.mkdir()
    processes = [children(ask, store, log, go) for _ in range(count)]
    wait_for(lambda: trainers(log))
    (first,) = trainers(log)
    checkpoint = FileStore(store).work_folder(done.id) / "checkpoint-00000005.safetensors"
    wait_for(checkpoint.exists)
    holder = next(process for process in processes if process.pid == first)
    others = [process for process in processes if process is not holder]
    if end == "stopped":
        os.kill(first, signal.SIGSTOP)
        wait_for(lambda: all(f"Run {done.id} is being trained by process {first} on" in said(log, p) for p in others))
        wait_for(lambda: all("which is stopped (SIGSTOP; kill -CONT" in said(log, process) for process in others))
        go.touch()
        time.sleep(0.3)
        assert not FileStore(store).ids() and all(process.exitcode is None for process in others)
        os.kill(first, signal.SIGCONT)
    else:
        holder.kill()
        wait_for(lambda: len(trainers(log)) == 2)  # somebody goes on from the checkpoint
        assert checkpoint.exists()
        go.touch()
    for process in processes:
        process.join(60)
        assert process.exitcode == (-signal.SIGKILL if end == "killed" and process is holder else 0)
    assert len(trainers(log)) == (2 if end == "killed" else 1)
    assert contents(store / done.path.name) == contents(done.path)
    assert sorted(path.name for path in store.iterdir()) == [f"{done.id}.lock", f"{done.id}.safetensors"]


# ---------------------------------------------------------------- a reader beside a writer


def variants(done, folder):
    """Return two runs of one name whose dates, curves, arrays and weights differ, and go together in each."""
    found = []
    for number in (1, 2):
        path = folder / f"{number}" / done.path.name
        path.parent.mkdir(parents=True)
        shutil.copy(done.path, path)
        record = read_run(path).record()
        record.provenance["date"] = f"200{number}-01-01"
        record.curves["loss"][0][1] = float(number)
        for name, array in record.arrays.items():
            if name.endswith("/error"):
                array[:] = number
        for name, array in record.weights["weights"].items():
            record.weights["weights"][name] = array * 0 + number
        found.append(record)
    return found


def mark(run):
    """Return which of the two variants a run is; fail if it is a mixture."""
    marks = {int(run.provenance["date"][3]), run.curves["loss"][0][1]}
    marks |= {float(array.flat[0]) for name, array in run.arrays.items() if name.endswith("/error")}
    marks |= {float(array.flat[0]) for array in run.weights().values()}
    assert len(marks) == 1, f"a mixture of {marks}"
    return marks.pop()


def replace_runs(store, records, stop):
    """Replace a run of the cache in a child process until told to stop."""
    os.fsync = lambda _: None  # more often
    number = 0
    while not stop.exists():
        number += 1
        with FileStore(store).hold(records[0].id):
            FileStore(store).save(records[number % 2])


def replace_packs(folder, records, stop):
    """Replace a pack in a child process until told to stop."""
    os.fsync = lambda _: None
    number = 0
    while not stop.exists():
        number += 1
        with hold_pack(folder / "study"):
            write_pack(folder / "study", "study", [records[number % 2]])


def look(settings, place):
    """Look a run up in all ways; return which variant was there, None where it was replaced in hand."""
    try:
        run = find(settings)
    except ReplacedError as error:
        raise AssertionError from error
    assert run is not None
    try:
        found = mark(run)
    except ReplacedError:
        found = None
    run = place.get(settings.id)
    assert run is not None and place.ids() == [settings.id] and place.problems() == []
    try:
        run.check()
    except ReplacedError:
        found = None
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_a_reader_beside_a_writer_sees_one_run_or_the_other(packed, done, children, tmp_path, monkeypatch, capfd):
    recorded, stop = tmp_path / "recorded", tmp_path / "stop"
    recorded.mkdir()
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: recorded)
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "cache"))
    place = PackStore(recorded) if packed else FileStore(tmp_path / "cache")
    records = variants(done, tmp_path / "variants")
    writer = children(replace_packs if packed else replace_runs, place.folder, records, stop)
    wait_for(lambda: place.ids())
    seen, listed = [], 0
    for number in range(LOOKS):
        seen.append(look(tiny(), place))
        if number % 5 == 0:
            monkeypatch.setattr(sys, "argv", ["bumplab", "runs", "list"])
            with pytest.raises(SystemExit) as end:
                run()
            output, errors = capfd.readouterr()
            assert end.value.code == 0 and errors == "" and re.fullmatch(rf".* {done.id} .*\n", output)
            listed += 1
        assert writer.exitcode is None
    stop.touch()
    writer.join(60)
    assert writer.exitcode == 0 and {1, 2} <= {*seen}
    with capfd.disabled() if "BUMPLAB_LOOKS" in os.environ else nullcontext():
        counts = f"{seen.count(1)} and {seen.count(2)}, {seen.count(None)} replaced in hand"
        print(f"{LOOKS} looks: {counts}; {listed} lists")


@contextmanager
def interrupted(steps):
    """Do something before certain of the operations by which files are looked at: number -> what to do."""
    count, busy = [0], []

    def watched(call):
        def watching(*arguments, **options):
            if not busy:
                busy.append(True)
                steps.get(count[0], lambda: None)()
                count[0] += 1
                busy.clear()
            return call(*arguments, **options)

        return watching

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((os, "stat"), (os, "lstat"), (os, "listdir"), (os, "scandir"), (io, "open")):
            patch.setattr(module, name, watched(getattr(module, name)))
        patch.setattr(builtins, "open", io.open)
        yield count


def test_a_look_at_a_pack_at_any_moment_of_its_replacement(done, tmp_path, monkeypatch):
    recorded = tmp_path / "recorded"
    study, old = recorded / "study", recorded / ".study.old"
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: recorded)
    for record in variants(done, tmp_path / "variants"):
        write_pack(tmp_path / record.provenance["date"][3], "study", [record])

    def away():
        os.rename(study, old)

    def back():
        shutil.copytree(tmp_path / "2", study)
        (old / "runs.jsonl").unlink()

    def lay_first():
        shutil.rmtree(recorded, ignore_errors=True)
        shutil.copytree(tmp_path / "1", study)

    lay_first()
    with interrupted({}) as count:
        find(tiny())
        PackStore(recorded).get(done.id)
    assert count[0] > 20
    seen = []
    for first in range(count[0]):
        for second in (first + 1, first + 2, first + 3, math.inf):
            lay_first()
            with interrupted({first: away, second: back}):
                runs = [find(tiny()), PackStore(recorded).get(done.id)]
            for found in runs:
                try:
                    seen.append(mark(found))
                except ReplacedError:
                    seen.append(None)
    assert {*seen} == {1, 2, None}
