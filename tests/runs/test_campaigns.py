"""A campaign on one computer, carried to another: whole, checked, and going on bit for bit."""

import hashlib
import json
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from tampering import contents, tampered

from bumplab.common.digests import seal, unseal
from bumplab.common.errors import BumplabError
from bumplab.runs import bundles, deadlines
from bumplab.runs.arrivals import import_bundles
from bumplab.runs.bundles import bundle_room, read_bundles, write_bundle
from bumplab.runs.campaigns import check_empty, describe_campaign, pack_campaign, plan_deadline, run_campaign
from bumplab.runs.deadlines import Deadline, checkpoint_bytes, count_parameters, run_bytes_forecast
from bumplab.runs.file_store import FileStore
from bumplab.runs.packing import write_pack
from bumplab.runs.recording import record_studies, train_lacking
from bumplab.runs.run_file import read_run
from bumplab.runs.store import load_or_train
from bumplab.training.checkpoints import find_checkpoints
from bumplab.training.settings import preset
from bumplab.training.state import Interrupted
from patching import replace_everywhere

CHANGES = {"world": {"size": 8}, "model": {"patch": 1}}
TRAINING = {"steps": 6, "snapshots": (0, 3), "evaluate_every": 3}
ONE, TWO, THREE = (preset("smoke", seed=seed, training=TRAINING, **CHANGES) for seed in range(3))
STUDIES = {"02-small": {ONE: "half", TWO: "all"}, "03-small": {THREE: "none"}}


@pytest.fixture(autouse=True)
def recorded(monkeypatch, tmp_path):
    """Return the folder of the studies of this test."""
    folder = tmp_path / "book" / "runs"
    folder.mkdir(parents=True)
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(deadlines, "_evaluations", {})


@pytest.fixture
def computer(monkeypatch, tmp_path):
    """Return a function that goes to another computer, and gives its store."""

    def go(name):
        monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / name))
        return FileStore(tmp_path / name)

    return go


@pytest.fixture(scope="module")
def finished(store):
    """Train all runs of the studies without a stop."""
    return {
        each.id: load_or_train(each, device="cpu", progress=False, weights=kept)
        for study in STUDIES.values()
        for each, kept in study.items()
    }


class StopAt(Deadline):
    """Stops a run after one of its steps, and lets no other begin after that; at step 0, none at all."""

    def __init__(self, settings, step):
        super().__init__(end=1e6, clock=lambda: 0.0)
        self.place, self.is_over = (settings, step), step == 0

    def allows(self, settings, members=1):
        return super().allows(settings, members) and not self.is_over

    def __call__(self, state):
        self.stopped = self.is_over = (state.settings, state.step) == self.place
        return self.stopped


def campaign(out, deadline=None, studies=STUDIES):
    return run_campaign(studies, out, deadline, 1, "cpu")


def arrive(out, store):
    """Import a folder; return the statuses, and the sentences that are refusals."""
    arrivals = list(import_bundles(out, store))
    return [each.status for each in arrivals], [each.sentence for each in arrivals if each.status == "refused"]


def files_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".lock" not in path.name
    }


@pytest.fixture
def packed(computer, finished, tmp_path):
    """Return a folder with the bundle of three finished runs."""
    store = computer("gpu")
    store.folder.mkdir()
    for run in finished.values():
        shutil.copy(run.path, store.folder)
    assert len(pack_campaign(STUDIES, store, tmp_path / "out").runs) == 3
    return tmp_path / "out"


@pytest.fixture
def small_parts(monkeypatch):
    """Make parts of 64 kB, so that a bundle of tiny runs has several."""
    monkeypatch.setattr(bundles, "MAX_PART_BYTES", 64_000)


# ---------------------------------------------------------------- the round trip


def test_a_campaign_stops_in_time_travels_and_goes_on_bit_for_bit(computer, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_PART_BYTES", 200_000)  # a checkpoint has three times as many
    computer("gpu")
    first = campaign(tmp_path / "out", StopAt(TWO, 4))
    assert [first.outcomes[each.id]["status"] for each in (ONE, TWO, THREE)] == ["trained", "stopped", "waiting"]
    assert (first.runs, first.checkpoints, first.left) == ([ONE.id], [TWO.id], {})
    parts = list((tmp_path / "out").iterdir())
    assert sorted(first.parts) == sorted(parts) and 1 < len(parts) <= 8
    assert all(path.stat().st_size <= 200_000 for path in parts)

    home = computer("home")
    assert arrive(tmp_path / "out", home) == (["taken", "taken"], [])
    assert list(find_checkpoints(home.work_folder(TWO.id))) == [4]
    before = files_below(home.folder)
    assert arrive(tmp_path / "out", home) == (["skipped", "skipped"], [])
    assert files_below(home.folder) == before

    second = campaign(tmp_path / "out2")
    assert {outcome["status"] for outcome in second.outcomes.values()} == {"trained"}
    assert sorted(second.runs) == sorted(finished) and not second.checkpoints
    for id in (ONE.id, TWO.id):
        assert contents(home.path(id)) == contents(finished[id].path)
    assert home.get(THREE.id).scalars == finished[THREE.id].scalars

    gpu = computer("gpu")
    assert arrive(tmp_path / "out2", gpu) == (["skipped", "taken", "taken"], [])
    assert not gpu.work_folder(TWO.id).exists()
    assert arrive(tmp_path / "out", gpu) == (["skipped", "skipped"], [])  # its checkpoint is of the past


def test_what_has_begun_goes_first(computer, tmp_path, monkeypatch):
    computer("gpu")
    campaign(tmp_path / "out", StopAt(THREE, 2), {"03-small": {THREE: "none"}})
    order = []
    replace_everywhere(
        monkeypatch, "bumplab.runs.store.load_or_train", lambda settings, *_: order.append(settings.id) or None
    )
    train_lacking(STUDIES, FileStore(tmp_path / "gpu").folder, jobs=1, device="cpu")
    assert order == [THREE.id, ONE.id, TWO.id]


def test_runs_are_packed_as_their_study_keeps_them(packed, computer):
    home = computer("home")
    arrive(packed, home)
    kept = {id: home.get(id).provenance["keep"] for id in home.ids()}
    assert kept == {ONE.id: "half", TWO.id: "all", THREE.id: "none"}
    dtypes = {id: {array.dtype for array in home.get(id).weights().values()} for id in (ONE.id, TWO.id)}
    assert dtypes == {ONE.id: {np.dtype("float16")}, TWO.id: {np.dtype("float32")}}


def test_a_run_that_keeps_less_than_its_study_asks_for_is_trained_again(computer, tmp_path):
    store = computer("gpu")
    load_or_train(ONE, device="cpu", progress=False, weights="none")
    done = campaign(tmp_path / "out", None, {"02-small": {ONE: "half"}})
    assert done.runs == [ONE.id] and "weights" in store.get(ONE.id).kept


def test_recorded_runs_are_neither_trained_nor_packed(computer, finished, recorded, tmp_path):
    computer("gpu")
    write_pack(recorded / "02-small", "02-small", [finished[ONE.id].record(), finished[TWO.id].record()])
    done = campaign(tmp_path / "out", StopAt(ONE, 0))
    assert [done.outcomes[each.id]["status"] for each in (ONE, TWO, THREE)] == ["known", "known", "waiting"]
    assert not done.parts and not list((tmp_path / "out").iterdir())
    assert describe_campaign(done, Path("out"))[1] == "There is nothing to pack into out."


def test_recording_ends_in_time_too_and_files_what_is_finished(computer, recorded, monkeypatch, tmp_path):
    replace_everywhere(monkeypatch, "bumplab.runs.recording.work_folder", lambda: tmp_path / "work")
    outcomes = record_studies(STUDIES, jobs=1, device="cpu", deadline=StopAt(TWO, 4))
    assert [outcomes[each.id]["status"] for each in (ONE, TWO, THREE)] == ["trained", "stopped", "waiting"]
    assert [path.name for path in recorded.iterdir() if path.name[0] != "."] == ["02-small"]
    outcomes = record_studies(STUDIES, jobs=1, device="cpu")
    assert [outcomes[each.id]["status"] for each in (ONE, TWO, THREE)] == ["known", "trained", "trained"]


def test_ctrl_c_packs_what_there_is(computer, monkeypatch, tmp_path):
    store = computer("gpu")

    class Impatient(Deadline):
        def __call__(self, state):
            if (state.settings, state.step) == (TWO, 4):
                signal.raise_signal(signal.SIGINT)
            return super().__call__(state)

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(Interrupted, match="1 runs and 1 checkpoints are packed in .*out; the next call needs a new"):
        campaign(tmp_path / "out", Impatient(1e6, clock=lambda: 0.0))
    assert list(find_checkpoints(store.work_folder(TWO.id))) == [4]
    assert arrive(tmp_path / "out", computer("home")) == (["taken", "taken"], [])


def test_a_run_that_another_process_trains_is_waited_for_by_nobody(computer, tmp_path):
    store = computer("gpu")
    with store.hold(ONE.id):
        outcomes = train_lacking(
            {"02-small": {ONE: "none"}}, store.folder, jobs=1, device="cpu", deadline=StopAt(ONE, 6)
        )
    assert outcomes == {ONE.id: {"status": "waiting"}}


@pytest.mark.parametrize("end, status", [(0.0, "waiting"), (1e12, "trained")])
def test_a_deadline_holds_in_other_processes(end, status, computer, tmp_path):
    store, deadline = computer("gpu"), Deadline(end)
    outcomes = train_lacking(STUDIES, store.folder, jobs=2, device="cpu", deadline=deadline)
    assert {outcome["status"] for outcome in outcomes.values()} == {status}


# ---------------------------------------------------------------- deadlines


def test_a_deadline_leaves_time_for_the_final_evaluation(tmp_path, computer):
    store = computer("gpu")
    studies = {"02-small": {ONE: "none"}}

    class Slow(Deadline):
        now = 0.0

        def __call__(self, state):
            self.now += 1.0 if state.step % 3 else 10.0  # a measurement of 32 images in 9 seconds
            return super().__call__(state)

    def status(end):
        shutil.rmtree(store.folder, ignore_errors=True)
        deadline = Slow(end)
        deadline.clock = lambda: deadline.now
        outcome = train_lacking(studies, store.folder, False, 1, "cpu", "auto", deadline)[ONE.id]["status"]
        assert deadline.now < end
        return outcome

    # All steps take 24 seconds, and the final evaluation is of more images than each measurement.
    assert status(24.0) == "stopped"
    assert list(find_checkpoints(store.work_folder(ONE.id)))[0] < 6
    assert status(40.0) == "stopped"
    assert list(find_checkpoints(store.work_folder(ONE.id)))[0] == 6  # nothing but the evaluation is left
    assert status(1000.0) == "trained"
    assert load_or_train(ONE, device="cpu", progress=False).scalars


def test_forecasts_of_sizes_are_those_of_the_files(finished, computer, tmp_path):
    assert count_parameters(ONE) == sum(array.size for array in finished[ONE.id].weights().values())
    for study in STUDIES.values():
        for settings, kept in study.items():
            size = finished[settings.id].path.stat().st_size
            assert abs(run_bytes_forecast(settings, kept) - size) < 60_000
    store = computer("gpu")
    campaign(tmp_path / "out", StopAt(ONE, 4), {"02-small": {ONE: "none"}})
    (path,) = find_checkpoints(store.work_folder(ONE.id)).values()
    assert abs(checkpoint_bytes(ONE) - path.stat().st_size) < 100_000


def test_a_deadline_is_before_the_end_by_what_packing_takes(tmp_path):
    deadline = plan_deadline(STUDIES, 2, tmp_path / "out", 1000.0)
    assert deadline.end < 1120 and deadline.bytes_per_second > 0
    assert plan_deadline(STUDIES, 2, None, 1000.0).end == 1120
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf"), 1e9])
def test_impossible_minutes_are_refused(minutes, tmp_path):
    with pytest.raises(BumplabError, match="A campaign takes more than 0 and at most 40320 minutes, got"):
        plan_deadline(STUDIES, minutes, tmp_path, 0.0)


# ---------------------------------------------------------------- out


def test_out_must_be_empty_and_writable(computer, tmp_path, monkeypatch):
    computer("gpu")
    replace_everywhere(monkeypatch, "bumplab.runs.recording.train_lacking", lambda *_: pytest.fail("it trained"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(BumplabError, match="full is not empty; name a new folder for the bundle"):
        campaign(tmp_path / "full")
    with pytest.raises(BumplabError, match="Cannot write to .*note.txt"):
        campaign(tmp_path / "full" / "note.txt")
    with pytest.raises(BumplabError, match="Cannot write to /dev/null/out"):
        check_empty(Path("/dev/null/out"))


def test_what_does_not_fit_is_named_and_the_next_call_packs_it(computer, finished, tmp_path, small_parts, monkeypatch):
    store = computer("gpu")
    store.folder.mkdir()
    for run in finished.values():
        shutil.copy(run.path, store.folder)
    largest, smallest = (finished[each.id].path.stat().st_size for each in (TWO, THREE))
    assert smallest < largest
    monkeypatch.setattr(bundles, "MAX_PARTS", 2)  # 128 kB: the largest run never fits
    monkeypatch.setattr(bundles, "MAX_PART_BYTES", largest // 2 - 1000)
    one = pack_campaign(STUDIES, store, tmp_path / "out1")
    two = pack_campaign(STUDIES, store, tmp_path / "out2")
    assert one.runs and set(one.left) >= {TWO.id}
    assert "more than a bundle holds: carry" in one.left[TWO.id]
    home = computer("home")
    for out, done in ((tmp_path / "out1", one), (tmp_path / "out2", two)):
        assert len(list(out.iterdir())) <= 2
        assert len(arrive(out, home)[0]) == len(done.runs)
    assert set(home.ids()) == {ONE.id, THREE.id}


def test_runs_that_were_never_packed_come_first(computer, finished, tmp_path, monkeypatch):
    store = computer("gpu")
    store.folder.mkdir()
    for id in (ONE.id, THREE.id):
        shutil.copy(finished[id].path, store.folder)
    monkeypatch.setattr(bundles, "MAX_PARTS", 1)
    room = finished[ONE.id].path.stat().st_size + 1000  # for one of the two
    monkeypatch.setattr(bundles, "MAX_PART_BYTES", room)
    first, second = (pack_campaign(STUDIES, store, tmp_path / name) for name in ("out1", "out2"))
    assert (first.runs, list(first.left)) == ([ONE.id], [THREE.id])
    assert (second.runs, list(second.left)) == ([THREE.id], [ONE.id])
    assert "for which there was no room: the next call packs it" in first.left[THREE.id]


def test_a_damaged_run_or_checkpoint_is_left_and_named(computer, finished, tmp_path):
    store = computer("gpu")
    campaign(tmp_path / "out0", StopAt(TWO, 4))
    store.path(ONE.id).write_bytes(store.path(ONE.id).read_bytes()[:-1])
    for path in store.work_folder(TWO.id).glob("snapshot*"):
        path.write_bytes(b"other")
    shutil.copy(finished[THREE.id].path, store.folder)
    done = pack_campaign(STUDIES, store, tmp_path / "out")
    assert (done.runs, done.checkpoints) == ([THREE.id], [])
    assert "is damaged" in done.left[ONE.id] and "which is damaged or foreign" in done.left[TWO.id]


# ---------------------------------------------------------------- what arrives


def rewrite(path, change, payload=None):
    """Change what a part says, with a seal that fits."""
    line, _, rest = path.read_bytes().partition(b"\n")
    said = unseal(line.decode())
    change(said)
    path.write_bytes(seal(said).encode() + b"\n" + (rest if payload is None else payload))


def test_a_damaged_or_missing_part_is_named_and_the_rest_taken(computer, finished, tmp_path, small_parts):
    gpu = computer("gpu")
    gpu.folder.mkdir()
    for run in finished.values():
        shutil.copy(run.path, gpu.folder)
    parts = pack_campaign(STUDIES, gpu, tmp_path / "out").parts
    assert len(parts) > 3
    for number, (change, sentence) in enumerate(
        [
            (lambda path: path.unlink(), f"Part {len(parts) - 1} of {len(parts)} of bundle"),
            (lambda path: path.write_bytes(path.read_bytes()[:-1]), f"{parts[-2].name} is damaged; fetch it again."),
            (lambda path: path.write_bytes(b"\0" * 1000), "is damaged or no part of a bundle"),
        ]
    ):
        folder = shutil.copytree(tmp_path / "out", tmp_path / f"damaged{number}")
        change(folder / parts[-2].name)
        home = computer(f"home{number}")
        statuses, refusals = arrive(folder, home)
        assert any(sentence in each for each in refusals), refusals
        assert any("did not arrive whole; fetch the parts again" in each for each in refusals)
        whole = home.ids()
        assert whole and all(home.path(id).read_bytes() == gpu.path(id).read_bytes() for id in whole)
        assert set(statuses) == {"taken", "refused"}
        assert set(arrive(tmp_path / "out", home)[0]) == {"taken", "skipped"}  # once all of it is there
        assert set(home.ids()) == set(finished)


def test_a_part_that_is_there_twice_is_named_and_one_copy_read(packed, computer):
    (part,) = packed.iterdir()
    shutil.copy(part, packed / "copy (1).bumplab")
    statuses, refusals = arrive(packed, computer("home"))
    assert statuses == ["refused", "taken", "taken", "taken"] and "is part 1 once more" in refusals[0]


def test_several_bundles_in_one_folder_and_other_files_beside_them(packed, computer, finished, tmp_path):
    gpu = computer("gpu")
    shutil.move(gpu.path(ONE.id), tmp_path)
    pack_campaign(STUDIES, gpu, tmp_path / "more")
    for part in (tmp_path / "more").iterdir():
        shutil.copy(part, packed)
    (packed / "notes.txt").write_text("mine")
    statuses, refusals = arrive(packed, computer("home"))
    assert sorted(statuses) == ["skipped"] * 2 + ["taken"] * 3 and not refusals


def test_a_folder_without_parts_is_refused(tmp_path):
    with pytest.raises(BumplabError, match="holds no part of a bundle"):
        next(read_bundles(tmp_path))
    with pytest.raises(BumplabError, match="Cannot read /nowhere"):
        next(read_bundles(Path("/nowhere")))


def test_other_numbers_are_refused_by_name_and_the_others_go_on(packed, computer, finished, recorded):
    home = computer("home")
    home.folder.mkdir()
    shutil.copy(finished[ONE.id].path, home.folder)
    with tampered(home.path(ONE.id)) as (line, _, _):
        line["scalars"]["seen"]["joint"] = 0.5
    other = home.path(ONE.id).read_bytes()
    write_pack(recorded / "02-small", "02-small", [tampered_record(finished[TWO.id])])
    statuses, refusals = arrive(packed, home)
    assert statuses == ["refused", "refused", "taken"]
    for each, sentence in zip((ONE, TWO), refusals, strict=True):
        assert f"Run {each.id} is in" in sentence and "they differ in scalars; nothing of it was taken." in sentence
    assert home.path(ONE.id).read_bytes() == other and home.ids() == sorted([ONE.id, THREE.id])


def tampered_record(run):
    record = run.record()
    record.scalars["seen"]["joint"] = 0.5
    return record


def test_a_fuller_run_takes_the_place_of_one_that_keeps_less_and_a_whole_one_that_of_a_damaged(packed, computer):
    home = computer("home")
    load_or_train(ONE, device="cpu", progress=False, weights="none")
    home.path(TWO.id).write_bytes(b"damaged")
    assert arrive(packed, home) == (["taken"] * 3, [])
    assert "weights" in home.get(ONE.id).kept
    home.get(TWO.id).check()


def test_a_run_in_training_here_is_left_alone(packed, computer):
    home = computer("home")
    with home.hold(ONE.id):
        statuses, refusals = arrive(packed, home)
    assert statuses == ["refused", "taken", "taken"] and "is being trained here; import again" in refusals[0]


def test_a_checkpoint_gives_way_to_a_later_one_only(computer, tmp_path):
    gpu, studies = computer("gpu"), {"02-small": {ONE: "none"}}
    campaign(tmp_path / "out4", StopAt(ONE, 4), studies)
    campaign(tmp_path / "out5", StopAt(ONE, 6), studies)
    assert list(find_checkpoints(gpu.work_folder(ONE.id))) == [6, 4]
    home = computer("home")
    assert arrive(tmp_path / "out4", home) == (["taken"], [])
    assert arrive(tmp_path / "out5", home) == (["taken"], [])
    assert arrive(tmp_path / "out4", home) == (["skipped"], [])
    assert max(find_checkpoints(home.work_folder(ONE.id))) == 6
    assert load_or_train(ONE, device="cpu", progress=False).provenance.get("sessions") is None


# ---------------------------------------------------------------- hostile bundles


def test_a_bundle_of_a_hostile_hand_is_refused_and_writes_nothing_elsewhere(packed, computer, tmp_path):
    (part,) = packed.iterdir()
    home, before = computer("home"), part.read_bytes()
    around = {path for path in tmp_path.rglob("*") if home.folder not in path.parents and path != home.folder}
    size = 8 * 2**40

    def name(text):
        return lambda said: said["files"][0].update(name=text)

    hostile = {
        "path": name("../../0123456789ab.safetensors"),
        "absolute": name("/etc/0123456789ab.safetensors"),
        "folder": name("0123456789ab/x.safetensors"),
        "other": name("0123456789ab.py"),
        "line end": name("0123456789ab.safetensors\n"),
        "number": name(3),
        "twice": lambda said: said["files"][1].update(name=said["files"][0]["name"]),
        "huge": lambda said: said["files"][0].update(size=size),
        "negative": lambda said: said["files"][0].update(size=-1),
        "true": lambda said: said["files"][0].update(size=True),
        "sum": lambda said: said["files"][0].update(size=said["files"][0]["size"] + 1),
        "no files": lambda said: said.update(files=[]),
        "too many files": lambda said: said.update(files=said["files"] * 700),
        "too many parts": lambda said: said.update(parts=said["parts"] * 9),
        "part 2 of 1": lambda said: said.update(part=2),
        "part 0": lambda said: said.update(part=0),
        "link": lambda said: said["files"][0].update(target="/etc/passwd"),
        "format": lambda said: said.update(format="tar"),
    }
    for what, change in hostile.items():
        part.write_bytes(before)
        rewrite(part, change)
        statuses, (refusal,) = arrive(packed, home)
        assert statuses == ["refused"] and "says what no part of a bundle can" in refusal, what
    part.write_bytes(before)
    rewrite(part, lambda said: said.update(version=2))
    assert "is of format 2, this bumplab reads 1; update bumplab" in arrive(packed, home)[1][0]
    part.write_bytes(before + b"\0" * bundles.MAX_PART_BYTES)
    assert "which no part has" in arrive(packed, home)[1][0]
    part.write_bytes(b"[" * 100_000)
    assert "is damaged or no part of a bundle" in arrive(packed, home)[1][0]
    part.write_bytes(before)
    shutil.move(part, tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    assert "is no regular file" in arrive(packed, home)[1][0]
    assert not home.folder.exists()
    assert {path for path in tmp_path.rglob("*")} == around | {tmp_path / "elsewhere"}


def test_files_that_are_not_what_they_are_called_are_refused(computer, finished, tmp_path):
    content = {each.id: finished[each.id].path.read_bytes() for each in (ONE, TWO, THREE)}
    gpu = computer("gpu")
    campaign(tmp_path / "out0", StopAt(ONE, 2), {"02-small": {ONE: "none"}})
    folder = gpu.work_folder(ONE.id)
    (path,) = find_checkpoints(folder).values()
    checkpoint, snapshot = path.read_bytes(), (folder / "snapshot-00000000.safetensors").read_bytes()
    named, first = f"{ONE.id}.{path.name}", f"{ONE.id}.snapshot-00000000.safetensors"
    bundles_and_sentences = [
        ({f"{ONE.id}.safetensors": content[TWO.id]}, f"holds the settings of run {TWO.id}"),
        ({f"{ONE.id}.safetensors": content[ONE.id], named: checkpoint, first: snapshot}, "both finished and unfini"),
        ({named: checkpoint}, "goes with 'snapshot-00000000.safetensors', which is missing"),
        ({named: checkpoint, first: b"other"}, "which is damaged or foreign"),
        ({first: snapshot}, "arrives with 0 checkpoints"),
        ({named: checkpoint[:-1], first: snapshot}, "is damaged or foreign"),
        ({f"{ONE.id}.checkpoint-00000009.safetensors": checkpoint, first: snapshot}, "other files than its checkpoint"),
        ({named: checkpoint, f"{ONE.id}.checkpoint-00000009.safetensors": b"", first: snapshot}, "with 2 checkpoints"),
        ({named: checkpoint, first: snapshot, first.replace("0.s", "1.s"): b""}, "other files than its checkpoint"),
        ({f"{TWO.id}.{path.name}": checkpoint, f"{TWO.id}{first[12:]}": snapshot}, f"of run {ONE.id}, not of {TWO.id}"),
    ]
    home = computer("home")
    for number, (files, sentence) in enumerate(bundles_and_sentences):
        write_bundle(tmp_path / f"hostile{number}", files)
        statuses, refusals = arrive(tmp_path / f"hostile{number}", home)
        assert statuses == ["refused"] and sentence in refusals[0], (sentence, refusals)
    assert not home.ids() and not home.work_folder(ONE.id).exists()


def test_every_flipped_byte_of_a_part_shows(computer, finished, tmp_path):
    """What is taken from a part in which one byte was changed is what was sent."""
    computer("gpu")
    name = f"{THREE.id}.safetensors"
    content = finished[THREE.id].path.read_bytes()
    (part,) = write_bundle(tmp_path / "out", {name: content})
    whole = part.read_bytes()
    places = np.random.default_rng(0).integers(len(whole), size=200)
    for place in [*range(80), *map(int, places)]:
        part.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        for bundle, problems in read_bundles(tmp_path / "out"):
            assert problems and not bundle.files


# ---------------------------------------------------------------- bundles


@pytest.mark.parametrize("sizes", [[0], [1], [0, 0, 1], [50_000, 1, 70_000, 0, 200_000], [300_000]])
def test_a_bundle_gives_back_what_was_put_in(sizes, tmp_path, small_parts):
    random = np.random.default_rng(0)
    files = {f"{number:012x}.safetensors": random.bytes(size) for number, size in enumerate(sizes)}
    paths = write_bundle(tmp_path, files)
    assert all(path.stat().st_size <= 64_000 for path in paths)
    ((bundle, problems),) = read_bundles(tmp_path)
    assert bundle.files == files and problems == []
    said = [json.loads(path.read_bytes().partition(b"\n")[0]) for path in paths]
    assert [each["part"] for each in said] == list(range(1, len(paths) + 1))
    for each, path in zip(said, paths, strict=True):
        payload = path.read_bytes().partition(b"\n")[2]
        assert each["parts"][each["part"] - 1] == {
            "size": len(payload),
            "sha256": hashlib.sha256(payload).hexdigest(),
        }


def test_a_bundle_has_the_room_that_it_says(tmp_path, small_parts):
    name = "0123456789ab.safetensors"
    room = bundle_room([name])
    assert len(write_bundle(tmp_path / "full", {name: bytes(room)})) == 8
    with pytest.raises(BumplabError, match="write a second one"):
        write_bundle(tmp_path / "more", {name: bytes(room + 1)})
    with pytest.raises(BumplabError, match="under the names of a store"):
        write_bundle(tmp_path / "more", {"../x": b""})
    assert not (tmp_path / "more").exists()


def test_a_run_file_is_the_same_after_the_way(packed, computer, finished):
    home = computer("home")
    arrive(packed, home)
    for id, run in finished.items():
        assert home.path(id).read_bytes() == run.path.read_bytes()
        assert read_run(home.path(id)).provenance == run.provenance


def test_a_file_that_is_not_what_its_manifest_says_is_lost_though_every_part_is_sealed(packed, computer):
    (part,) = packed.iterdir()

    def other(manifest):
        manifest["files"][0]["sha256"] = "0" * 64

    rewrite(part, other)
    (bundle, problems), *_ = read_bundles(packed)
    assert len(bundle.lost) == 1 and bundle.lost[0] not in bundle.files and len(bundle.files) == 2


def test_an_import_that_is_cut_off_leaves_no_checkpoint_without_its_snapshots(computer, tmp_path, monkeypatch):
    computer("a")
    campaign(tmp_path / "out", StopAt(TWO, 4), {"02-small": {TWO: "all"}})
    store, written = computer("b"), []
    monkeypatch.setattr("bumplab.runs.arrivals._write_other", lambda path, content: written.append(path.name))
    arrive(tmp_path / "out", store)
    assert len(written) == 3 and written[-1].startswith("checkpoint-") and written[0].startswith("snapshot-")


def test_a_damaged_run_of_the_store_is_trained_again(computer, finished, tmp_path):
    store = computer("a")
    store.folder.mkdir()
    for each in (ONE, TWO, THREE):
        shutil.copy(finished[each.id].path, store.path(each.id))
    data = bytearray(store.path(THREE.id).read_bytes())
    data[-1] ^= 1
    store.path(THREE.id).write_bytes(data)
    campaign(tmp_path / "out")
    assert contents_of(store.path(THREE.id)) == contents_of(finished[THREE.id].path)


def contents_of(path):
    """Return all arrays of a run, whether it keeps weights or not."""
    return {name: array.tobytes() for name, array in read_run(path).record().arrays.items()}
