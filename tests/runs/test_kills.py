"""A kill before any operation on files, and at any moment, loses no finished run, shows no half one, leaves nothing."""

import builtins
import contextlib
import functools
import io
import math
import os
import random
import shutil
import signal
import sys
import time

import pytest
import torch
from tampering import contents, tampered
from tiny_runs import CONTEXT, get, tiny, wait_for

from bumplab.cli import runs as command
from bumplab.cli.app import run
from bumplab.common.errors import BumplabError
from bumplab.runs import bump_family, packing
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.packing import write_pack
from bumplab.runs.recording import pack_runs
from bumplab.runs.records import StoreError
from bumplab.runs.run_file import read_run
from bumplab.training import loop
from bumplab.training.checkpoints import find_checkpoints
from bumplab.training.loop import train
from patching import replace_everywhere

LAST, OLD_DATE = 10, "2020-01-01"
CALLS = ("mkdir", "unlink", "remove", "rmdir", "rename", "replace", "fsync", "link", "symlink", "truncate")


class Killed(BaseException):
    """What stands for the end of the process: no handler of errors takes it."""


class Disk:
    """Counts what is done to files; dies before the `last`-th operation, and before all others from then on.

    A ``finally`` can therefore tidy up no more than it could in a process that is dead. A file is written in two
    halves, so that one of the kills leaves the first of them.
    """

    def __init__(self, last=math.inf):
        self.last, self.count = last, 0

    def operate(self):
        self.count += 1
        if self.count > self.last:
            raise Killed

    @contextlib.contextmanager
    def watched(self):
        numbers = {}
        disk, real_open, real_table = self, builtins.open, packing.write_table

        class Halves(io.FileIO):
            def write(self, data):
                data, half = bytes(data), len(data) // 2
                for part in (data[:half], data[half:]):
                    disk.operate()
                    super().write(part)
                return len(data)

        def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
            if not set(mode) & set("wxa+"):
                return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
            disk.operate()
            raw = Halves(file, mode.replace("b", "").replace("t", ""), closefd, opener)
            return raw if "b" in mode else io.TextIOWrapper(raw, encoding, errors, newline, write_through=True)

        def open_number(path, flags, *arguments, **options):
            if flags & (os.O_CREAT | os.O_TRUNC):
                disk.operate()
                number = real_open_number(path, flags, *arguments, **options)
                numbers[number] = os.fstat(number).st_ino
                return number
            return real_open_number(path, flags, *arguments, **options)

        def write_table(path, *arguments):  # pyarrow writes by itself
            disk.operate()
            real_table(path, *arguments)
            whole = path.read_bytes()
            os.truncate(path, len(whole) // 2)
            disk.operate()
            path.write_bytes(whole)

        def counted(call):
            def counting(*arguments, **options):
                disk.operate()
                return call(*arguments, **options)

            return counting

        with pytest.MonkeyPatch.context() as patch:
            real_open_number = os.open
            for name in CALLS:
                patch.setattr(os, name, counted(getattr(os, name)))
            patch.setattr(os, "open", open_number)
            patch.setattr(builtins, "open", open)
            patch.setattr(io, "open", open)
            patch.setattr(packing, "write_table", write_table)
            try:
                yield
            except Killed:  # the system closes what a dead process held open, its lock above all
                null = real_open_number(os.devnull, os.O_RDONLY)
                for number, file in numbers.items():
                    with contextlib.suppress(OSError):
                        if os.fstat(number).st_ino == file:
                            os.dup2(null, number)
                os.close(null)
                raise


def killed_everywhere(tmp_path, prepare, act):
    """Yield what `prepare` made in a folder of its own after `act` was killed in it, for each of its operations."""
    for last in range(1000):
        folder = tmp_path / f"{last}"
        folder.mkdir()
        made, disk = prepare(folder), Disk(last)
        try:
            with disk.watched():
                act(made)
        except Killed:
            yield made
            shutil.rmtree(folder)
        else:
            print(f"{last} kills")
            assert last > 20
            return


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a killed process loses no written file


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return a finished run, in whose folder a training of it lies that was stopped at the last but second step."""
    store = tmp_path_factory.mktemp("done")
    settings = tiny(LAST)
    folder = FileStore(store).make_work_folder(settings.id)

    class Stop(Exception):
        pass

    def stopping(settings, step):
        if step == LAST - 2:
            raise Stop
        return learning_rate(settings, step)

    learning_rate = loop.learning_rate
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(loop, "learning_rate", stopping)
        patch.setattr(loop, "CHECKPOINT_SHARE", math.inf)
        train(settings, folder, "cpu", progress=False, checkpoint_seconds=0)
    assert list(find_checkpoints(folder)) == [LAST - 2, LAST - 3]
    shutil.copytree(folder, store / "stopped")
    run = get(settings, store)
    run.check()
    return run


@pytest.fixture
def trainings(done, monkeypatch):
    """Return a list of the steps at which trainings began. They end at once: at a state that was trained before."""
    began = []
    state = train(tiny(LAST), shutil.copytree(done.path.parent / "stopped", done.path.parent / "again"), "cpu")
    results = bump_family.evaluate_final(state.ema_model, state.settings)

    def go_on(settings, folder, *_):
        began.append(max(find_checkpoints(folder), default=0))
        for name in state.snapshots:
            if not (folder / name).exists():
                shutil.copy(done.path.parent / "again" / name, folder / name)
        return state

    monkeypatch.setattr(bump_family, "train", go_on)
    monkeypatch.setattr(bump_family, "evaluate_final", lambda *_: results)
    yield began
    shutil.rmtree(done.path.parent / "again")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Return the folder of the recorded runs, an empty one that a test may move."""
    place = [tmp_path / "recorded"]
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: place[0])
    return place


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stopped_training(done, store):
    """Lay the training that was stopped into a store, and return the store."""
    shutil.copytree(done.path.parent / "stopped", FileStore(store).work_folder(done.id))
    return FileStore(store)


def old_run(done, store):
    """Lay a run of another date into a store."""
    shutil.copy(done.path, store.path(done.id))
    with tampered(store.path(done.id)) as (line, _, _):
        line["provenance"]["date"] = OLD_DATE


def dates(store, done):
    """Return the dates of all runs in a store, each of which is whole and has the same numbers."""
    assert store.problems() == []
    found = []
    for id in store.ids():
        run = store.get(id)
        run.check()
        assert id == done.id and run.scalars == done.scalars and run.curves == done.curves
        found.append(run.provenance["date"])
    return found


def is_whole(path):
    with contextlib.suppress(StoreError):
        read_run(path).check()
        return True
    return False


def copy_beside(store, id):
    return store.work_folder(id) / f"{id}.safetensors"


def checkpoints(store, id):
    folder = store.work_folder(id)
    return list(find_checkpoints(folder)) if folder.exists() else []


def test_the_first_save_of_a_run(done, trainings, recorded, tmp_path):
    begun_again = adopted = 0
    for store in killed_everywhere(
        tmp_path, functools.partial(stopped_training, done), lambda store: get(tiny(LAST), store.folder)
    ):
        assert dates(store, done) == [done.provenance["date"]] * store.path(done.id).exists()
        whole = is_whole(store.path(done.id)) or is_whole(copy_beside(store, done.id))
        assert whole or checkpoints(store, done.id)
        trainings.clear()
        again = get(tiny(LAST), store.folder)
        assert contents(again.path) == contents(done.path)
        assert trainings == ([] if whole else [LAST - 2])  # none from the start
        begun_again, adopted = begun_again + len(trainings), adopted + (not trainings)
        assert names(store.folder) == [f"{done.id}.lock", f"{done.id}.safetensors"]
    print(f"{adopted} adopted, {begun_again} went on")
    assert adopted > 10 and begun_again > 10


@pytest.mark.parametrize("retrain", [True, False])
def test_training_a_run_again(retrain, done, trainings, recorded, tmp_path):
    def prepare(folder):
        store = stopped_training(done, folder)
        old_run(done, store)
        return store

    seen = []
    for store in killed_everywhere(tmp_path, prepare, lambda store: get(tiny(LAST), store.folder, retrain=True)):
        seen += dates(store, done)
        replaced, beside = seen[-1] != OLD_DATE, is_whole(copy_beside(store, done.id))
        assert replaced or beside or checkpoints(store, done.id)
        trainings.clear()
        again = get(tiny(LAST), store.folder, retrain=retrain)
        assert contents(again.path) == contents(done.path)
        if retrain:  # one that was replaced is trained once more, as was asked for
            assert trainings == ([0] if replaced else [] if beside else [LAST - 2])
        else:
            assert trainings == []
        assert (again.provenance["date"] == OLD_DATE) == (not retrain and not replaced and not beside)
        left = {f"{done.id}.lock", f"{done.id}.safetensors"}
        if not retrain and checkpoints(store, done.id):
            left.add(f"{done.id}.part")  # to go on from, for who asks to train it again
        assert {*names(store.folder), f"{done.id}.lock"} == left
    assert sorted(seen, key=lambda date: date != OLD_DATE) == seen and {*seen} > {OLD_DATE}


def test_the_import_of_a_run(done, trainings, recorded, tmp_path, monkeypatch):
    def prepare(folder):
        monkeypatch.setenv("BUMPLAB_STORE", str(folder))
        return FileStore(folder)

    imported = []
    for store in killed_everywhere(tmp_path, prepare, lambda _: command.import_runs.callback(done.path)):
        whole = dates(store, done)
        imported.append(len(whole))
        with contextlib.nullcontext() if not whole else pytest.raises(BumplabError, match="already; nothing was"):
            command.import_runs.callback(done.path)
        assert contents(store.path(done.id)) == contents(done.path)
        assert names(store.folder) == [f"{done.id}.lock", f"{done.id}.safetensors"]
    assert imported == sorted(imported) and {*imported} == {0, 1} and trainings == []


@pytest.mark.parametrize("old", [False, True])
def test_the_packing_of_runs(old, done, recorded, tmp_path):
    def prepare(folder):
        recorded[0] = folder
        if old:
            shutil.copytree(tmp_path / "old", folder / "study")
        return PackStore(folder)

    old_run(done, FileStore(tmp_path))
    write_pack(tmp_path / "old", "study", [FileStore(tmp_path).get(done.id).record()])

    seen = []
    for store in killed_everywhere(tmp_path, prepare, lambda _: pack_runs([done], "study", replace=True)):
        seen.append(dates(store, done))
        pack = pack_runs([done], "study", replace=True)
        assert dates(store, done) == [done.provenance["date"]] and pack.folder == store.folder / "study"
        assert contents_of(pack.record(done.id)) == contents_of(done.record())
        assert names(store.folder) == [".study.lock", "study"]
    before, after = [OLD_DATE] * old, [done.provenance["date"]]
    assert seen == sorted(seen, key=lambda dates: dates != before) and seen[0] == before and seen[-1] == after


def contents_of(record):
    arrays = {name: array.tobytes() for name, array in record.arrays.items() if not name.endswith("/row")}
    return (
        record.curves,
        arrays,
        {(stem, name): array.tobytes() for stem, weights in record.weights.items() for name, array in weights.items()},
    )


# ---------------------------------------------------------------- at any moment


def train_with_checkpoints(store, last):
    """Run `python -m bumplab train` in a child process, with a checkpoint after every step."""
    torch.set_num_threads(1)
    os.fsync = lambda _: None
    bump_family.train = functools.partial(train, checkpoint_seconds=0)
    loop.CHECKPOINT_SHARE = math.inf
    changes = ["world.size=8", "model.patch=1", f"training.steps={last}", f"training.snapshots=[0, {last // 2}]"]
    options = [word for change in [*changes, "training.evaluate_every=5"] for word in ("--set", change)]
    sys.argv = ["bumplab", "train", "--preset", "smoke", "--device", "cpu", "--store", str(store), *options]
    run()


def test_kills_at_random_moments_of_training_and_saving(tmp_path):
    """Each round is killed three times in training, and twice while the run is saved; ``BUMPLAB_KILLS`` rounds."""
    last = 30
    whole = get(tiny(last), tmp_path / "whole")
    in_training = in_save = 0
    for number in range(int(os.environ.get("BUMPLAB_KILLS", "1"))):
        store = FileStore(tmp_path / f"{number}")
        copy, steps = copy_beside(store, whole.id), functools.partial(checkpoints, store, whole.id)
        for attempt in range(6):
            before = max(steps(), default=0)
            process = CONTEXT.Process(target=train_with_checkpoints, args=(store.folder, last))
            process.start()
            if attempt < 5:
                further = (
                    (lambda before=before, steps=steps: max(steps(), default=0) > before)
                    if attempt < 3
                    else copy.exists
                )
                wait_for(lambda further=further, process=process: process.exitcode is not None or further())
                time.sleep(random.uniform(0, 0.1 if attempt < 3 else 0.01))
                process.kill()
            process.join(60)
            killed = process.exitcode == -signal.SIGKILL
            assert killed or process.exitcode == 0
            in_save += killed and copy.exists()
            in_training += killed and not copy.exists()
            assert store.problems() == [] and all(store.get(id).check() is None for id in store.ids())
            assert max(steps(), default=0) >= before or is_whole(copy) or store.ids()  # never back to the start
        assert process.exitcode == 0 and contents(store.path(whole.id)) == contents(whole.path)
        assert names(store.folder) == [f"{whole.id}.lock", f"{whole.id}.safetensors"]
    print(f"{in_training} kills in training, {in_save} while it was saved")
    assert in_training
