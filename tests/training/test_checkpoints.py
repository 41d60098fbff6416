"""Training goes on from a checkpoint bit for bit, and from nothing that is not one."""

import builtins
import errno
import json
import os
import re
import resource
import shutil
import signal
import types

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, event, given, settings as hypothesis_settings, strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bumplab.common.digests import digest_arrays, digest_text, seal, unseal
from bumplab.common.errors import BumplabError
from bumplab.runs import bump_family
from bumplab.training import checkpoints, loop
from bumplab.training.checkpoints import checkpoint_name, find_checkpoints, init_or_resume, resume, save_checkpoint
from bumplab.training.loop import learning_rate, run_loop, train, training_steps
from bumplab.training.outcomes import evaluate_final
from bumplab.training.settings import Settings, preset
from bumplab.training.snapshots import snapshot_name
from bumplab.training.state import Interrupted, begin_session, init_state

#: The smoke preset on 8 x 8 pixels: milliseconds a step.
SMALL = preset("smoke", world={"size": 8}, model={"patch": 1}).replace(
    training={"steps": 10, "snapshots": (0, 5), "evaluate_every": 5}
)


def go(folder, settings=SMALL, **options):
    return train(settings, folder, "cpu", **{"progress": False, **options})


def run_until(step, folder, settings=SMALL, **options):
    """Train, and press Ctrl-C in the middle of a step (1 is the first)."""

    def watched(settings, index):
        if index + 1 == step:
            signal.raise_signal(signal.SIGINT)
        return learning_rate(settings, index)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(loop, "learning_rate", watched)
        go(folder, settings, **options)
    return folder / checkpoint_name(step)


def content(state):
    """Return all that a state holds, but for the time it took and what it is told by its surroundings."""
    tensors = {name: value.numpy().tobytes() for name, value in checkpoints._tensors(state).items()}
    return tensors, state.step, state.history, state.snapshots, state.sessions, state.scaler.state_dict()


def one_sentence(error):
    assert re.fullmatch(r"[^\n]+\.", str(error.value))
    return str(error.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The state at the end of an uninterrupted training."""
    return content(go(tmp_path_factory.mktemp("whole")))


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Return a folder with the last two checkpoints of seven, one a step."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SHARE", np.inf)
        run_until(7, folder, checkpoint_seconds=0)
    return folder


@pytest.fixture
def two(interrupted, tmp_path):
    """Return the paths of two checkpoints of a training: after seven steps, and after six."""
    shutil.copytree(interrupted, tmp_path, dirs_exist_ok=True)
    return tmp_path / checkpoint_name(7), tmp_path / checkpoint_name(6)


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("step", [1, 4, 5, 9, 10])
def test_training_goes_on_as_if_it_had_not_been_interrupted(step, tmp_path, whole):
    run_until(step, tmp_path)
    assert content(go(tmp_path)) == whole


def test_a_checkpoint_holds_the_loss_since_the_last_entry_of_the_history(tmp_path):
    settings = SMALL.replace(training={"steps": 400, "snapshots": ()})  # an entry every second step
    run_until(3, tmp_path, settings)
    state = init_or_resume(settings, tmp_path, "cpu")
    assert state.step == 3 and [step for step, _ in state.history["loss"]] == [2] and state.loss_sum > 0


def test_a_checkpoint_before_the_first_step_is_one_too(tmp_path, whole):
    save_checkpoint(init_or_resume(SMALL, tmp_path, "cpu"), tmp_path)
    assert content(go(tmp_path)) == whole


def test_the_two_newest_checkpoints_are_kept(two, tmp_path):
    assert list(find_checkpoints(tmp_path).values()) == list(two)


def test_a_checkpoint_takes_the_time_that_training_does_not_miss(tmp_path, monkeypatch):
    """A second a step and ten a checkpoint: the next one comes after 500 seconds, not after 20."""
    now, saved = [0.0], []
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(monotonic=lambda: now[0]))

    def save(state, _):
        saved.append(state.step)
        now[0] += 10

    def steps(state):
        for state.step in range(1, 1101):
            now[0] += 1
            yield state

    monkeypatch.setattr(loop, "save_checkpoint", save)
    settings = SMALL.replace(training={"steps": 100_000, "snapshots": (), "evaluate_every": 0})
    states = [init_state(settings, "cpu") for _ in range(2)]
    run_loop(states[:1], [tmp_path], steps(states[0]), lambda _: [], progress=False)
    assert saved == [21, 522, 1023]
    saved.clear()
    monkeypatch.setattr(loop, "save_checkpoint", lambda state, _: saved.append(state.step))
    run_loop(states[1:], [tmp_path], steps(states[1]), lambda _: [], progress=False)  # costs nothing: on the clock
    assert saved == list(range(21, 1101, 21))


# ---------------------------------------------------------------- damage


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def foreign(path):
    save_file({"head.bias": torch.zeros(1)}, path)


def with_header(**changes):
    """Return a damage: other fields in the sealed line, sealed again; None takes one out."""

    def damage(path):
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        header = unseal(metadata["checkpoint"]) | changes
        sealed = seal({name: value for name, value in header.items() if value is not None})
        save_file(load_file(path), path, metadata | {"checkpoint": sealed})

    return damage


def with_progress(history=None, snapshots=None):
    """Return a damage: another history, sealed again."""

    def damage(path):
        with safe_open(path, framework="pt") as file:
            progress = json.loads(file.metadata()["progress"])
            line = unseal(file.metadata()["checkpoint"])
        text = json.dumps(progress | {"history": progress["history"] | (history or {})} | (snapshots or {}))
        metadata = {"checkpoint": seal(line | {"progress": digest_text(text)}), "progress": text}
        save_file(load_file(path), path, metadata)

    return damage


def replaced_by(make):
    def damage(path):
        path.unlink()
        make(path)

    return damage


DAMAGES = {
    "cut": cut,
    "one bit": flip,
    "empty": lambda path: path.write_bytes(b""),
    "foreign": foreign,
    "no metadata": lambda path: save_file(load_file(path), path),
    "a hole of a terabyte": lambda path: os.truncate(path, 2**40),
    "no step": with_header(step=None),
    "a step beyond the last": with_header(step=11),
    "another step": with_header(step=3),
    "a step of another type": with_header(step=7.0),
    "no time": with_header(seconds=-1.0),
    "no sessions": with_header(sessions=[]),
    "a scaler": with_header(scaler={"scale": 2.0}),
    "something else": with_header(more=1),
    "no losses": with_progress({"loss": None}),
    "a loss that is no number": with_progress({"loss": [[1, float("nan")]]}),
    "losses in disorder": with_progress({"loss": [[2, 0.5], [1, 0.5]]}),
    "a loss after the step": with_progress({"loss": [[8, 0.5]]}),
    "an accuracy of nothing": with_progress({"accuracy": [{"step": 5}]}),
    "an accuracy that is deep": with_progress({"accuracy": [{"step": 5, "seen": {"joint": {}}}]}),
    "a snapshot by another path": with_progress(snapshots={"snapshots": {"../../x": "0" * 64}}),
    "no snapshots": with_progress(snapshots={"snapshots": {}}),
}
PLACES = {
    "a folder": replaced_by(lambda path: path.mkdir()),
    "a pipe": replaced_by(os.mkfifo),
    "a link": replaced_by(lambda path: path.symlink_to(path.with_name("elsewhere"))),
    "a link to a device": replaced_by(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", [*DAMAGES.values(), *PLACES.values()], ids=[*DAMAGES, *PLACES])
def test_a_bad_checkpoint_is_named_and_the_one_before_is_used(damage, two, tmp_path, whole, capsys):
    damage(two[0])
    what = "is no regular file" if damage in PLACES.values() else "is damaged or foreign"
    assert init_or_resume(SMALL, tmp_path, "cpu").step == 6
    told = f"{two[0]} {what}; training goes on from the checkpoint before it, {two[1].name}.\n"
    assert capsys.readouterr().err == told
    assert content(go(tmp_path)) == whole


def test_bad_checkpoints_alone_are_refused_by_name(two, tmp_path):
    for path in two:
        cut(path)
    with pytest.raises(BumplabError) as error:
        go(tmp_path)
    bad = "is damaged or foreign"
    assert one_sentence(error) == f"{two[0]} {bad}, and {two[1]} {bad}; delete them to train from the start."
    two[0].unlink()
    with pytest.raises(BumplabError) as error:
        go(tmp_path)
    assert one_sentence(error) == f"{two[1]} {bad}; delete it to train from the start."


def test_a_bad_checkpoint_goes_when_there_are_two_good_ones_again(two, tmp_path, monkeypatch):
    cut(two[0])
    state = init_or_resume(SMALL, tmp_path, "cpu")
    next(loop := training_steps(state))
    next(loop)
    save_checkpoint(state, tmp_path)
    assert list(find_checkpoints(tmp_path)) == [8, 6]


def test_the_checkpoint_of_an_earlier_version_is_not_thrown_away_silently(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"")
    with pytest.raises(BumplabError) as error:
        go(tmp_path)
    assert one_sentence(error) == (
        f"{tmp_path}/checkpoint.safetensors is of an earlier version of bumplab, from which this one cannot go on; "
        "delete it to train from the start."
    )


def test_a_checkpoint_of_a_newer_format_is_named_as_such(two, tmp_path, capsys):
    with_header(version=3)(two[0])
    init_or_resume(SMALL, tmp_path, "cpu")
    assert f"{two[0]} is of format 3, this bumplab reads 2; " in capsys.readouterr().err


def test_a_checkpoint_under_another_name_is_damaged(two, tmp_path):
    two[1].unlink()
    two[0].rename(tmp_path / checkpoint_name(9))
    with pytest.raises(BumplabError, match="checkpoint-00000009.safetensors is damaged or foreign"):
        go(tmp_path)


def test_files_of_other_names_are_left_alone_and_leftovers_removed(tmp_path):
    others = [
        "checkpoint-7.safetensors",
        "checkpoint-000000007.safetensors",
        "notes.txt",
        "checkpoint-best.safetensors",
    ]
    leftovers = [f".{checkpoint_name(3)}.123", f".{snapshot_name(0)}.9"]
    for name in others + leftovers:
        (tmp_path / name).write_text("mine")
    run_until(3, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, snapshot_name(0), checkpoint_name(3)}


# ---------------------------------------------------------------- other rules


def refusal(folder, settings=SMALL):
    with pytest.raises(BumplabError) as error:
        go(folder, settings)
    return one_sentence(error)


def test_a_checkpoint_of_other_settings_is_refused_by_name(tmp_path):
    path, other = run_until(3, tmp_path), SMALL.replace(seed=1)
    assert refusal(tmp_path, other) == f"{path} is the checkpoint of run {SMALL.id}, not of {other.id}; delete it."


def test_a_default_that_has_changed_since_is_refused_by_name(tmp_path, monkeypatch):
    path = run_until(3, tmp_path)
    to_record, later = Settings.to_record, Settings.later_fields

    def changed(self):
        whole = to_record(self)
        return whole | {"training": whole["training"] | {"warmup": 100}, "model": whole["model"] | {"new": 1}}

    monkeypatch.setattr(Settings, "to_record", changed)
    assert refusal(tmp_path) == (
        f"{path} is of other settings (model.new absent in the checkpoint, 1 now, training.warmup 50 in the "
        "checkpoint, 100 now): finish it with the bumplab that began it, or delete it to train from the start."
    )
    monkeypatch.setattr(Settings, "later_fields", later | {"model.new"})
    assert "(training.warmup 50 in the checkpoint, 100 now)" in refusal(tmp_path)


def test_a_checkpoint_of_another_trainer_is_refused(tmp_path, monkeypatch):
    path = run_until(3, tmp_path)
    monkeypatch.setattr(Settings, "trainer_version", 2)
    assert refusal(tmp_path).startswith(f"{path} is of version 1 of the trainer, this is 2: finish it with the bumplab")


def test_a_checkpoint_of_another_kind_of_device_is_refused(two, tmp_path):
    with safe_open(two[0], framework="pt") as file:
        (session,) = unseal(file.metadata()["checkpoint"])["sessions"]
    with_header(sessions=[session | {"device": "cuda (Tesla T4)"}])(two[0])
    assert refusal(tmp_path) == (
        f"{two[0]} is of device cuda, not cpu: go on there, or delete it to train from the start."
    )


def record(state, folder):
    return bump_family.make_record(state, evaluate_final(state.ema_model, state.settings), folder)


def test_training_under_the_same_circumstances_leaves_no_trace_of_an_interruption(tmp_path, whole, capsys):
    run_until(3, tmp_path)
    state = go(tmp_path)
    assert content(state) == whole and len(state.sessions) == 1 and capsys.readouterr().err == ""
    assert "sessions" not in record(state, tmp_path).provenance


CHANGES = {
    "threads": (lambda patch: patch.setattr(torch, "get_num_threads", lambda: 7), "threads 7 instead of 1"),
    "torch": (
        lambda patch: patch.setattr(torch, "__version__", "9.9.0"),
        f"torch 9.9.0 instead of {torch.__version__}",
    ),
    "bumplab": (lambda patch: patch.setattr("bumplab.__version__", "9.9"), "bumplab 9.9 instead of "),
    "precision": (lambda patch: None, "precision bf16 instead of fp32"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_between_stop_and_go_is_said_and_recorded(name, tmp_path, monkeypatch, capsys):
    change, words = CHANGES[name]
    run_until(3, tmp_path)
    change(monkeypatch)
    options = {"precision": "bf16"} if name == "precision" else {}
    run_until(6, tmp_path, **options)
    told = capsys.readouterr().err
    assert told.startswith(f"Training goes on after step 3 with {words}") and told.endswith("will say so.\n")
    state = go(tmp_path, **options)
    assert capsys.readouterr().err == ""  # the third session is as the second
    then, now = record(state, tmp_path).provenance["sessions"]
    assert (then["step"], now["step"]) == (0, 3)
    assert {key for key in then if then[key] != now[key]} == {"step", name}
    monkeypatch.undo()
    assert len(init_or_resume(SMALL, tmp_path, "cpu").sessions) == 2


def test_a_session_in_which_nothing_was_trained_is_not_recorded():
    state = init_state(SMALL, "cpu")
    state.step, state.precision = 3, "bf16"
    begin_session(state)
    state.precision = "fp32"
    assert begin_session(state) is None and [session["step"] for session in state.sessions] == [0]


def test_a_checkpoint_of_another_precision_leaves_the_scaler_as_it_begins(tmp_path):
    run_until(3, tmp_path)
    state = init_state(SMALL, "cpu")
    state.precision, state.scaler = "fp16", torch.amp.GradScaler("cpu")
    resume(state, tmp_path)
    assert state.step == 3 and state.scaler.get_scale() == 65536


def test_a_checkpoint_holds_the_scaler_of_its_precision(tmp_path):
    state, again = (init_or_resume(SMALL, tmp_path, "cpu") for _ in range(2))
    for each in (state, again):
        each.precision, each.scaler = "fp16", torch.amp.GradScaler("cpu")
    begin_session(state)
    state.scaler.load_state_dict(state.scaler.state_dict() | {"scale": 1024.0, "_growth_tracker": 7})
    next(training_steps_in_fp32(state))
    save_checkpoint(state, tmp_path)
    resume(again, tmp_path)
    assert content(again) == content(state) and again.scaler.state_dict()["scale"] == 1024
    path = tmp_path / checkpoint_name(1)
    for scaler in (
        {},
        state.scaler.state_dict() | {"scale": 0.0},
        state.scaler.state_dict() | {"growth_interval": 2.0},
    ):
        with_header(scaler=scaler)(path)
        with pytest.raises(BumplabError, match="is damaged or foreign"):
            resume(again, tmp_path)


def training_steps_in_fp32(state):
    """The CPU has no fp16: the optimiser steps by itself."""
    state.precision, sessions = "fp32", list(state.sessions)
    scaler, state.scaler = state.scaler, torch.amp.GradScaler("cpu", enabled=False)
    for _ in training_steps(state):
        state.precision, state.scaler, state.sessions = "fp16", scaler, sessions
        yield state


# ---------------------------------------------------------------- snapshots

SNAPSHOT = snapshot_name(5)


@pytest.mark.parametrize(
    "damage, what",
    [
        (flip, "is damaged or foreign"),
        (cut, "is damaged or foreign"),
        (lambda path: path.write_bytes(path.with_name(snapshot_name(0)).read_bytes()), "is damaged or foreign"),
        (lambda path: os.truncate(path, 2**40), "is damaged or foreign"),
        (lambda path: path.unlink(), "is missing"),
        (PLACES["a pipe"], "is missing"),
    ],
    ids=["one bit", "cut", "swapped", "a hole", "missing", "a pipe"],
)
def test_a_bad_snapshot_takes_the_checkpoints_after_it_along(damage, what, tmp_path, monkeypatch, capsys, whole):
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", np.inf)
    newer = run_until(5, tmp_path, checkpoint_seconds=0)
    damage(tmp_path / SNAPSHOT)
    assert content(go(tmp_path)) == whole
    older = checkpoint_name(4)
    told = f"{newer} goes with {SNAPSHOT}, which {what}; training goes on from the checkpoint before it, {older}.\n"
    assert capsys.readouterr().err == told


def test_a_bad_snapshot_enters_no_run(tmp_path):
    state = go(tmp_path)
    record(state, tmp_path)
    flip(tmp_path / SNAPSHOT)
    with pytest.raises(BumplabError) as error:
        record(state, tmp_path)
    path = tmp_path / SNAPSHOT
    assert one_sentence(error) == f"{path} is damaged or foreign; the same call trains again from before step 5."
    assert record(go(tmp_path), tmp_path).weights.keys() == {"weights", "snapshot-00000000", "snapshot-00000005"}


# ---------------------------------------------------------------- kills and the disk


class Killed(BaseException):
    """As a signal would: no handler of the package sees it."""


OPERATIONS = [(builtins, "open"), *((os, name) for name in ("fsync", "replace", "unlink", "open", "close"))]


def interfere(patch, number, action):
    """Call `action` before every file operation from that number on (1 is the next); return their count in a list."""
    count = [0]
    for owner, name in OPERATIONS:
        original = getattr(owner, name)

        def operate(*arguments, original=original, **options):
            count[0] += 1
            if 0 < number <= count[0]:
                action()
            return original(*arguments, **options)

        patch.setattr(owner, name, operate)
    return count


def kill():
    raise Killed


def half_trained(folder):
    """Return a state with checkpoints after three and four steps, at its fifth, before its snapshot."""
    run_until(3, folder)
    state = init_or_resume(SMALL, folder, "cpu")
    steps = training_steps(state)
    for _ in range(2):
        loop._log(next(steps))
        if state.step == 4:
            save_checkpoint(state, folder)
    state.history["accuracy"].append(loop.measure(state))
    return state


def save_all(state, folder):
    loop.save_snapshot(state, folder)
    save_checkpoint(state, folder)


def test_training_goes_on_from_a_kill_before_any_file_operation(tmp_path, whole):
    state = half_trained(tmp_path / "before")

    def save_in_copy(name, number):
        folder = shutil.copytree(tmp_path / "before", tmp_path / name)
        state.checkpoint = 4
        state.snapshots.pop(SNAPSHOT, None)
        with pytest.MonkeyPatch.context() as patch:
            count = interfere(patch, number, kill)
            try:
                save_all(state, folder)
            except Killed:
                assert count[0] >= number
        return folder, count[0]

    _, count = save_in_copy("whole", 0)
    assert count >= 12
    for number in range(1, count + 1):
        folder, _ = save_in_copy(str(number), number)
        assert init_or_resume(SMALL, folder, "cpu").step in (4, 5) and content(go(folder)) == whole
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_what_the_disk_refuses_is_said_in_one_sentence_and_costs_no_checkpoint(code, tmp_path, whole):
    def refuse():
        raise OSError(code, os.strerror(code))

    folder = tmp_path / "run"
    state = half_trained(folder)
    kept = {path.name for path in folder.iterdir()}
    for save in (loop.save_snapshot, save_checkpoint):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(BumplabError) as error:
            interfere(patch, 1, refuse)
            save(state, folder)
        assert re.match(rf"Cannot write to {folder}/\S+: {os.strerror(code)}; .*BUMPLAB_STORE", one_sentence(error))
        assert kept <= {path.name for path in folder.iterdir()}
    assert content(go(folder)) == whole


def test_a_limit_on_files_is_said_in_one_sentence(tmp_path, whole):
    run_until(3, tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(BumplabError) as error:
            go(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f"Cannot write to {tmp_path / SNAPSHOT}: File too large; raise the limit" in one_sentence(error)
    assert content(go(tmp_path)) == whole


@pytest.mark.parametrize("place", [lambda path: path.write_text(""), lambda path: path.symlink_to("/dev/null")])
def test_a_folder_that_cannot_be_is_said_in_one_sentence(place, tmp_path):
    place(tmp_path / "run")
    with pytest.raises(BumplabError) as error:
        go(tmp_path / "run")
    assert one_sentence(error).startswith(f"Cannot write to {tmp_path / 'run'}: ")


# ---------------------------------------------------------------- fuzz

#: More where somebody looks for what these do not show.
CASES = int(os.environ.get("BUMPLAB_FUZZ", "100"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def change(data, value, label):
    """Draw another value for some entry of a JSON value, at any depth."""
    if isinstance(value, (dict, list)) and value and data.draw(st.integers(0, 3), label=f"{label} deeper"):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = data.draw(st.sampled_from(keys), label=label)
        copy = value.copy()
        copy[key] = change(data, value[key], label)
        return copy
    return data.draw(VALUES, label=f"{label} is")


def draw_bytes(data, one, other):
    """Draw a file that is nearly one of two: bytes flipped, cut, doubled, or swapped between them."""
    at = data.draw(st.integers(0, len(one) - 1) | st.integers(0, 2000), label="at")
    size = data.draw(st.integers(1, 5000), label="size")
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "remove", "swap", "append"]), label="kind")
    if kind == "flip":
        return one[:at] + bytes([one[at] ^ data.draw(st.integers(1, 255))]) + one[at + 1 :]
    if kind == "swap":
        return one[:at] + other[at : at + size] + one[at + size :]
    return {
        "cut": one[:at],
        "insert": one[:at] + one[at : at + size] + one[at:],
        "remove": one[:at] + one[at + size :],
        "append": one + bytes(size),
    }[kind]


def draw_tensors(data, tensors):
    """Draw tensors of which one is changed, renamed, reshaped, of another type, exchanged, or away."""
    name, other = (data.draw(st.sampled_from(sorted(tensors))) for _ in range(2))
    kind = data.draw(
        st.sampled_from(["number", "name", "shape", "type", "exchange", "away", "none", "none"]), label="tensors"
    )
    value, rest = tensors[name], {key: tensor for key, tensor in tensors.items() if key != name}
    if kind == "number":
        value = value.clone().flatten()
        value[0] = data.draw(st.sampled_from([0, 1, 77]))
        return rest | {name: value.view(tensors[name].shape)}
    if kind == "exchange":
        return tensors | {name: tensors[other].clone(), other: value.clone()}
    changed = {
        "name": {f"{name}x": value},
        "shape": {name: value[None]},
        "type": {name: value.to(data.draw(st.sampled_from([torch.bfloat16, torch.float64, torch.int32, torch.bool])))},
        "away": {},
        "none": {name: value},
    }
    return rest | changed[kind]


def digest(tensors):
    """NumPy has no bfloat16: such a tensor cannot be given its right digest, and gets another one."""
    return digest_arrays({
        name: (value.float() if value.dtype == torch.bfloat16 else value).numpy() for name, value in tensors.items()
    })  # fmt: skip


def draw_file(data, path, metadata, tensors):
    """Write a checkpoint whose texts or tensors are others, sealed again with the right digests or not."""
    tensors = draw_tensors(data, tensors)
    header, progress = unseal(metadata["checkpoint"]), json.loads(metadata["progress"])
    what = data.draw(st.sampled_from(["header", "progress", "none"]), label="what")
    if what == "header":
        header = change(data, header, "header")
    if what == "progress":
        progress = change(data, progress, "progress")
    text = json.dumps(progress)
    sealed = data.draw(st.booleans(), label="sealed")
    if sealed and isinstance(header, dict):
        header |= {"progress": digest_text(text), "tensors": digest(tensors)}
    line = seal(header) if sealed and isinstance(header, dict) and header else json.dumps(header)
    save_file(
        {name: value.contiguous() for name, value in tensors.items()}, path, {"checkpoint": line, "progress": text}
    )
    return sealed


@pytest.fixture(scope="module")
def fuzzed(interrupted, tmp_path_factory):
    """Return the path of a checkpoint in a folder of its own, its bytes and those of another, and what it holds."""
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    shutil.copytree(interrupted, folder)
    path, older = folder / checkpoint_name(7), folder / checkpoint_name(6)
    files = path.read_bytes(), older.read_bytes()
    older.unlink()
    return path, files, content(init_or_resume(SMALL, folder, "cpu"))


@hypothesis_settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_in_a_checkpoint_is_refused_in_one_sentence_or_is_what_was_written(fuzzed, data):
    path, (newer, older), original = fuzzed
    path.unlink(missing_ok=True)
    sealed = False
    if data.draw(st.booleans(), label="as bytes"):
        path.write_bytes(draw_bytes(data, newer, older))
    else:
        path.write_bytes(newer)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        sealed = draw_file(data, path, metadata, load_file(path))
    state = init_state(SMALL, "cpu")
    before = content(state)
    try:
        resume(state, path.parent)
    except BumplabError as error:
        assert re.fullmatch(r"[^\n]+\.", str(error)) and len(str(error)) < 800
        assert content(state) == before
        event("refused, sealed again" if sealed else "refused")
        return
    event("accepted, sealed again" if sealed else "accepted")
    assert sealed or content(state) == original
    assert state.step == 7 and state.snapshots == original[3]
    next(training_steps(state))
