"""Training is repeatable through any interruption, and the store hands out nothing that it did not check."""

import errno
import functools
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tampering import contents, tampered
from tiny_runs import CONTEXT, get, tiny, wait_for

from bumplab.analysis.activations import record_activations, to_grid
from bumplab.chapters.studies import all_studies
from bumplab.cli.app import run
from bumplab.common.digests import digest_arrays
from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet
from bumplab.runs import bump_family
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.packing import write_pack
from bumplab.runs.records import StoreError
from bumplab.runs.run_file import read_run
from bumplab.runs.store import find, load_or_train, recorded_folder, verify
from bumplab.training import loop
from bumplab.training.checkpoints import find_checkpoints, resume
from bumplab.training.device import pick_device, pick_precision
from bumplab.training.loop import learning_rate, train, training_steps
from bumplab.training.outcomes import MOMENTS, evaluate_final, layer_embedding
from bumplab.training.settings import preset
from bumplab.training.state import Interrupted, init_state, mean_target
from bumplab.worlds.bumps import BumpWorld
from patching import replace_everywhere


def same(one, other, dtype=torch.float32):
    """Tell whether two networks have equal weights, as numbers of that type."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a.to(dtype), b.to(dtype)) for a, b in pairs)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return one finished run."""
    return get(tiny(), tmp_path_factory.mktemp("done"))


@pytest.fixture
def no_training(monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))


def one_sentence(error):
    assert re.fullmatch(r"[^\n]+\.", str(error.value))
    return str(error.value)


# ---------------------------------------------------------------- train once, then load


def test_an_unknown_run_is_trained_and_a_known_one_loaded(tmp_path, monkeypatch):
    first = get(tiny(), tmp_path)
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
    again = get(tiny(), tmp_path)
    assert again == first and again.path == tmp_path / f"{tiny().id}.safetensors"
    assert same(again.model(), first.model())


def test_a_new_run_goes_to_the_folder_that_the_environment_names(store, no_training, done):
    copy = store / done.path.name
    shutil.copy(done.path, copy)
    assert load_or_train(tiny(), progress=False).path == copy
    copy.unlink()


def test_a_run_says_where_it_comes_from(done):
    assert set(done.provenance) >= {"bumplab", "python", "torch", "numpy", "device", "precision", "threads", "seconds"}
    assert done.provenance["torch"] == torch.__version__ and done.provenance["precision"] == "fp32"


def test_a_finished_run_is_one_file(done):
    assert sorted(path.name for path in done.path.parent.iterdir()) == [f"{done.id}.lock", f"{done.id}.safetensors"]
    with safe_open(done.path, framework="numpy") as file:
        kinds = {name.partition("/")[0] for name in file.keys()}  # noqa: SIM118
    assert kinds == {"arrays", "weights"} and done.provenance["keep"] == "all"


def test_the_history_covers_the_training(done):
    assert [step for step, _ in done.history["loss"]] == list(range(1, 11))
    assert [entry["step"] for entry in done.history["accuracy"]] == [5, 10]
    assert {"joint", "x", "y", "none", "several", "misplaced", "right", "n"} == set(done.history["accuracy"][0]["seen"])
    assert done.accuracy["seen"]["n"] == 64 and "unseen" not in done.accuracy


def test_held_out_conditions_are_measured_apart(tmp_path):
    run = get(tiny(world={"held_out": "band_x(2, 5)"}), tmp_path)
    assert (run.accuracy["seen"]["n"], run.accuracy["unseen"]["n"]) == (48, 16)
    assert {"seen", "unseen"} < set(run.history["accuracy"][0])


def test_snapshots_are_there_and_load(done):
    assert done.snapshots == [0, 5]
    assert same(done.model(0), init_state(tiny(), "cpu").ema_model, torch.float16)
    assert not same(done.model(5), done.model(0)) and not same(done.model(5), done.model(), torch.float16)
    assert not any(weight.requires_grad for weight in done.model().parameters())


def test_a_snapshot_of_the_last_step_is_the_final_network(tmp_path):
    asked = tiny(training={"snapshots": (5, 10)})
    run = get(asked, tmp_path)
    assert run.snapshots == [5, 10] and same(run.model(10), run.model())
    assert run.kept >= {"snapshot-00000005", "weights"} and "snapshot-00000010" not in run.kept
    assert get(asked, tmp_path / "half", weights="half").snapshots == [10]


def test_a_step_without_a_snapshot_is_refused(done):
    with pytest.raises(BumplabError, match=rf"^Run {done.id} kept no weights after step 7; it has \[0, 5\]\.$"):
        done.model(7)


def test_a_run_knows_what_it_drew_with_and_without_its_weights(tmp_path):
    settings = tiny(world={"held_out": "band_x(2, 5)", "sigma": 3}, training={"steps": 60})
    run = get(settings, tmp_path)
    again = evaluate_final(run.model(), settings)
    assert set(run.evaluations) == set(again) == {"seen", "unseen"} and run.evaluations["seen"].detections.count.any()
    for part, drawn in run.evaluations.items():
        assert torch.equal(drawn.detections.count, again[part].detections.count) and torch.equal(
            drawn.mu, again[part].mu
        )
        assert torch.equal(drawn.category, again[part].category)
        assert torch.equal(drawn.axis_category, again[part].axis_category)
        torch.testing.assert_close(drawn.error, again[part].error, atol=0.02, rtol=1e-3, equal_nan=True)
        torch.testing.assert_close(
            drawn.detections.centre, again[part].detections.centre, atol=0.02, rtol=0, equal_nan=True
        )
        assert drawn.to_record() == run.accuracy[part]


def test_a_run_may_be_kept_without_its_weights(tmp_path, done):
    run = get(tiny(), tmp_path, weights="none")
    assert run.kept == {"history", "verdicts"} and run.snapshots == []
    assert run.history == done.history and run.accuracy == done.accuracy
    assert run.evaluations.keys() == done.evaluations.keys()
    with pytest.raises(StoreError, match="was recorded without its weights"):
        run.model()


def test_the_fuller_one_of_two_stores_is_found(tmp_path, done, monkeypatch):
    light = get(tiny(), tmp_path / "light", weights="half")
    get(tiny(), tmp_path / "full")
    write_pack(tmp_path / "recorded" / "study", "study", [light.record()])
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "recorded")
    assert find(tiny(), tmp_path / "full").snapshots == [0, 5]


@pytest.mark.parametrize("moment, other", [("first", "last"), ("last", "first")])
def test_a_run_may_keep_a_code_instead_of_its_weights(tmp_path, done, moment, other):
    run, side = get(tiny(), tmp_path, weights=moment), tiny().world.size
    assert run.kept == {"history", "verdicts", "embeddings"}
    for ask in (run.model, lambda: run.embedding(other)):
        with pytest.raises(StoreError, match="was recorded without its weights"):
            ask()
    kept, fresh = run.embedding(moment), done.embedding(moment)
    assert kept.shape == (side, side, 8)
    np.testing.assert_allclose(kept, fresh, rtol=2e-3, atol=1e-3 * np.abs(fresh).max())
    assert not np.allclose(kept, done.embedding(other), rtol=1e-2, atol=1e-2)


def test_a_code_is_of_one_of_two_moments(done):
    with pytest.raises(BumplabError, match=r"^There is no moment 'noon': use first or last\.$"):
        done.embedding("noon")


def test_an_unknown_way_of_keeping_weights_is_refused_before_training(tmp_path):
    told = r"^A run cannot keep 'final' of its weights: use all, half, first, last, none\.$"
    with pytest.raises(BumplabError, match=told):
        get(tiny(), tmp_path, weights="final")
    assert not list(tmp_path.iterdir())


def test_codes_are_principal_components_of_layer_4_over_the_window():
    settings = tiny().replace(world={"kind": "sos", "margin": 2, "size": 16})
    model = init_state(settings).ema_model
    window = BumpWorld(size=16)
    for name, t in (("first", settings.diffusion.timesteps - 1), ("last", 0)):
        options = {"t": t, "steps": settings.training.sampler_steps}
        (said,) = record_activations(
            model, settings.world, settings.diffusion, window.lattice() + 2, **options
        ).values()
        flat = to_grid(said, window).flatten(0, 1).double()
        flat = flat - flat.mean(0)
        values = torch.linalg.svdvals(flat)[:8]
        code = layer_embedding(model, settings, name).reshape(-1, 8)
        np.testing.assert_allclose(np.linalg.norm(code, axis=0), values, rtol=1e-3, atol=1e-5)
        kept = torch.cdist(*2 * (torch.from_numpy(code).double(),)).square()
        assert (kept <= torch.cdist(flat, flat).square() * (1 + 1e-3) + 1e-6).all()


def test_codes_of_a_fine_lattice_are_thinned():
    settings = tiny().replace(world={"size": 16, "spacing": [0.1, 1]})
    code = layer_embedding(init_state(settings).ema_model, settings, "first")
    assert code.shape == (52, 16, 8)  # every third of the 155 in the window


def test_a_run_may_be_kept_in_half_precision(tmp_path, done):
    half = get(tiny(), tmp_path, weights="half")
    assert half.snapshots == [] and same(half.model(), done.model(), torch.float16) and half.accuracy == done.accuracy
    sizes = [sum(array.nbytes for array in run.weights().values()) for run in (half, done)]
    assert sizes[0] == sizes[1] / 2 and half.model().stem.conv1.weight.dtype == torch.float32
    assert verify(FileStore(tmp_path), half.id).verdict == "proved"


def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BumplabError, match=r"^Cannot use .*file: it is not a folder; name another place\.$"):
        get(tiny(), tmp_path / "file")


# ---------------------------------------------------------------- the same weights, whatever happens


def test_training_repeats_bit_for_bit(done, tmp_path):
    torch.manual_seed(99)  # the global state plays no part
    assert contents(get(tiny(), tmp_path).path) == contents(done.path)


def test_another_seed_gives_other_weights(done, tmp_path):
    assert not same(get(tiny(seed=1), tmp_path).model(), done.model())


@pytest.mark.parametrize("options", [{"progress": True}, {"checkpoint_seconds": 0}, {"checkpoint_seconds": math.inf}])
def test_weights_do_not_depend_on_the_bar_or_on_checkpoints(options, done, tmp_path):
    state = train(tiny(), tmp_path, "cpu", **{"progress": False} | options)
    assert same(state.ema_model, done.model()) and state.history == done.history
    assert bool(find_checkpoints(tmp_path)) == (options.get("checkpoint_seconds") == 0)


def test_training_works_outside_the_main_thread(done, tmp_path):
    states = []
    thread = threading.Thread(target=lambda: states.append(train(tiny(), tmp_path, "cpu", progress=False)))
    thread.start()
    thread.join()
    assert same(states[0].ema_model, done.model())


def press_ctrl_c(monkeypatch, step, times=1):
    """Send SIGINT to this process in the middle of a step (1 is the first)."""

    def watched(settings, index):
        for _ in range(times if index + 1 == step else 0):
            signal.raise_signal(signal.SIGINT)
        return learning_rate(settings, index)

    monkeypatch.setattr("bumplab.training.loop.learning_rate", watched)


@pytest.mark.parametrize("step", [1, 4, 5, 6, 10])
def test_a_run_interrupted_at_any_step_ends_as_if_it_had_not_been(step, done, tmp_path, monkeypatch):
    press_ctrl_c(monkeypatch, step)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=rf"^Stopped after step {step} of 10; the same call goes on from there\.$"):
        get(tiny(), tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert list(find_checkpoints(tmp_path / f"{tiny().id}.part")) == [step] and find(tiny(), tmp_path) is None
    monkeypatch.undo()
    assert contents(get(tiny(), tmp_path).path) == contents(done.path)


def test_a_second_ctrl_c_stops_at_once(tmp_path, monkeypatch):
    press_ctrl_c(monkeypatch, 5, times=2)
    with pytest.raises(KeyboardInterrupt) as error:
        train(tiny(), tmp_path, "cpu", progress=False)
    assert not isinstance(error.value, Interrupted) and not find_checkpoints(tmp_path)


def test_ctrl_c_on_the_command_line_leaves_a_checkpoint_and_exit_code_130(tmp_path):
    training = {"steps": 100_000, "evaluate_every": 0, "snapshots": [3]}
    settings = preset("smoke", training=training)
    work = tmp_path / f"{settings.id}.part"
    command = [sys.executable, "-m", "bumplab", "train", "--preset", "smoke", "--store", tmp_path, "--device", "cpu"]
    command += [word for name, value in training.items() for word in ("--set", f"training.{name}={value}")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (work / "snapshot-00000003.safetensors").exists(), process.poll)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and output == ""
    told = re.fullmatch(r"\nStopped after step (\d+) of 100000; the same call goes on from there\.\n", errors)
    assert told, errors
    state = init_state(settings, "cpu")
    resume(state, work)
    step = state.step
    assert step == int(told[1]) >= 3 and next(training_steps(state)).step == step + 1


def command_line(store, last):
    """Run `python -m bumplab train` in a child process, with a checkpoint after every step."""
    torch.set_num_threads(1)
    os.fsync = lambda _: None  # a killed process loses no written file; only a power cut would
    bump_family.train = functools.partial(train, checkpoint_seconds=0)
    loop.CHECKPOINT_SHARE = math.inf
    changes = ["world.size=8", "model.patch=1", f"training.steps={last}", f"training.snapshots=[0, {last // 2}]"]
    changes += ["training.evaluate_every=0"]
    options = [word for change in changes for word in ("--set", change)]
    sys.argv = ["bumplab", "train", "--preset", "smoke", "--device", "cpu", "--store", str(store), *options]
    run()


def test_a_run_killed_five_times_ends_as_if_it_had_not_been(tmp_path):
    last = 60
    whole = get(tiny(last, training={"evaluate_every": 0}), tmp_path / "whole")
    store = tmp_path / "killed"
    work = store / f"{whole.id}.part"

    def written():
        return max(find_checkpoints(work), default=None) if work.exists() else None

    for _ in range(5):
        before = written()
        process = CONTEXT.Process(target=command_line, args=(store, last))
        process.start()
        wait_for(lambda before=before: written() != before, lambda process=process: process.exitcode)
        time.sleep(random.uniform(0, 0.05))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL and not (store / whole.path.name).exists()
    process = CONTEXT.Process(target=command_line, args=(store, last))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert contents(store / whole.path.name) == contents(whole.path)
    assert {path.name for path in store.iterdir()} == {whole.path.name, f"{whole.id}.lock"}


def ask(settings, store, log):
    """Ask for a run in a child process, noting in `log` whether it trained."""
    torch.set_num_threads(1)

    def noted(*arguments):
        with open(log, "a") as file:
            file.write("trained\n")
        return train(*arguments)

    bump_family.train = noted
    get(settings, store)


def test_processes_that_ask_for_the_same_run_train_it_once(done, tmp_path):
    processes = [CONTEXT.Process(target=ask, args=(tiny(), tmp_path, tmp_path / "log")) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "trained\n"
    assert contents(tmp_path / done.path.name) == contents(done.path)


# ---------------------------------------------------------------- what the store refuses


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path):
    save_file({"head.bias": torch.zeros(1)}, path)


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def edited(change, sealed=True):
    def damage(path):
        with tampered(path, sealed) as (line, curves, tensors):
            change(line, curves, tensors)

    return damage


def without(kind):
    """Forget all arrays or weights, in the line, too."""

    def change(line, curves, tensors):
        line[kind].clear()
        for name in [name for name in tensors if name.startswith(f"{kind}/")]:
            del tensors[name]

    return edited(change)


def instead(what):
    def damage(path):
        path.unlink()
        what(path)

    return damage


DAMAGES = {
    "truncated": cut,
    "foreign": foreign,
    "one bit of the last tensor": flip,
    "empty": lambda path: path.write_bytes(b""),
    "no tensors": lambda path: path.write_bytes(b"\xff\xfe\0 no tensors"),
    "a pipe": instead(os.mkfifo),
    "a link to a device": instead(lambda path: path.symlink_to("/dev/zero")),
    "a number edited": edited(lambda line, *_: line["scalars"]["seen"].update(joint=0.5), sealed=False),
    "a number that cannot be": edited(lambda line, *_: line["scalars"]["seen"].update(joint=7.5)),
    "a number that is none": edited(lambda line, *_: line["scalars"]["seen"].update(x=math.nan)),
    "a number too few": edited(lambda line, *_: line["scalars"]["seen"].pop("several")),
    "scalars of another shape": edited(lambda line, *_: line.update(scalars={"seen": 1.0})),
    "scalars of unexpected depth": edited(lambda line, *_: line["scalars"]["seen"].update(joint={"a": {"b": 1.0}})),
    "no seconds": edited(lambda line, *_: line["provenance"].pop("seconds")),
    "seconds in words": edited(lambda line, *_: line["provenance"].update(seconds="long")),
    "a field too many": edited(lambda line, *_: line.update(more=1)),
    "settings of another run": edited(lambda line, *_: line.update(settings=tiny(seed=7).to_record())),
    "an unknown setting": edited(lambda line, *_: line["settings"]["world"].update(nope=1)),
    "settings without a seed": edited(lambda line, *_: line["settings"].pop("seed")),
    "another trainer": edited(lambda line, *_: line.update(trainer=999)),
    "a digest of nothing": edited(lambda line, *_: line["weights"].update(weights="0" * 64)),
    "weights as none": edited(lambda line, *_: line["weights"].update(weights=None)),
    "a snapshot less": edited(lambda line, *_: line["weights"].pop("snapshot-00000005")),
    "no weights": without("weights"),
    "no arrays": without("arrays"),
    "an array of another type": edited(lambda line, *_: line["arrays"]["verdicts/seen/code"].__setitem__(0, "int16")),
    "an array of astronomic shape": edited(
        lambda line, *_: line["arrays"]["verdicts/seen/code"].__setitem__(1, [2**40, 2**40])
    ),
    "a path for a name": edited(lambda line, *_: line["weights"].update({"../../weights": "0" * 64})),
    "curves of another run": edited(lambda line, curves, _: curves.update(loss=[[1, 0.5]])),
    "curves of another shape": edited(lambda line, curves, _: curves.update(loss=3)),
    "a tensor more": edited(lambda line, curves, tensors: tensors.update({"arrays/more": np.zeros(3)})),
    "a tensor of another type": edited(
        lambda line, curves, tensors: tensors.update({"arrays/verdicts/seen/error": np.zeros((64, 2))})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_refused_by_name_and_mended_on_request(damage, done, tmp_path, monkeypatch):
    path = tmp_path / done.path.name
    shutil.copy(done.path, path)
    damage(path)
    with monkeypatch.context() as patch, pytest.raises(StoreError) as error:
        replace_everywhere(patch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
        get(tiny(), tmp_path)
    assert str(path) in one_sentence(error)
    assert verify(FileStore(tmp_path), done.id).verdict == "refuted"
    mended = get(tiny(), tmp_path, retrain=True)
    assert contents(mended.path) == contents(done.path)
    assert get(tiny(), tmp_path) == mended


def test_a_folder_in_the_place_of_a_run_is_refused_before_anything_is_trained(tmp_path, no_training):
    (tmp_path / f"{tiny().id}.safetensors").mkdir()
    for retrain in (False, True):
        with pytest.raises(StoreError, match=r"safetensors is (no regular file|a folder, where run)"):
            get(tiny(), tmp_path, retrain=retrain)


def test_a_number_that_could_be_is_refuted(done, tmp_path):
    path = tmp_path / done.path.name
    shutil.copy(done.path, path)
    edited(lambda line, *_: line["scalars"]["seen"].update(joint=0.5))(path)
    assert get(tiny(), tmp_path).accuracy["seen"]["joint"] == 0.5
    proof = verify(FileStore(tmp_path), done.id)
    assert proof.reason == "it records seen.joint 0.5, its verdicts give 0.0"


def test_a_run_under_another_name_is_refused(done, tmp_path):
    shutil.copy(done.path, tmp_path / "0123456789ab.safetensors")
    with pytest.raises(StoreError) as error:
        read_run(tmp_path / "0123456789ab.safetensors")
    assert f"holds the settings of run {done.id}, for which it is not called" in one_sentence(error)


def test_weights_that_fit_their_digest_but_not_their_network_are_refused(done, tmp_path):
    path = tmp_path / done.path.name
    shutil.copy(done.path, path)
    with tampered(path) as (line, _, tensors):
        for name in [name for name in tensors if name.startswith("weights/weights/")]:
            del tensors[name]
        tensors["weights/weights/head.bias"] = np.zeros(1, np.float32)
        line["weights"]["weights"] = digest_arrays({"head.bias": np.zeros(1, np.float32)})
    with pytest.raises(StoreError, match="do not fit its network"):
        get(tiny(), tmp_path).model()
    assert verify(FileStore(tmp_path), done.id).verdict == "refuted"


def test_a_file_is_checked_when_it_is_used_not_only_when_found(done, tmp_path):
    shutil.copy(done.path, tmp_path / done.path.name)
    run = get(tiny(), tmp_path)
    with tampered(run.path) as (_, _, tensors):
        name = max(name for name in tensors if name.startswith("weights/weights/"))
        tensors[name] = tensors[name] + 1
    with pytest.raises(StoreError, match="its weights weights are not what was recorded"):
        run.model()


def test_a_run_that_is_replaced_while_it_is_in_use_says_so(done, tmp_path):
    shutil.copy(done.path, tmp_path / done.path.name)
    run = get(tiny(), tmp_path)
    with tampered(run.path) as (line, _, _):
        line["provenance"]["date"] = "2030-01-01"
    with pytest.raises(StoreError, match="was replaced while it was in use; load the run again"):
        run.model()
    assert get(tiny(), tmp_path).model()


def test_a_damaged_recorded_run_gives_way_to_the_one_trained_instead(done, tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "recorded")
    write_pack(tmp_path / "recorded" / "study", "study", [done.record()])
    cut(tmp_path / "recorded" / "study" / "weights" / f"{done.id}.safetensors")
    with pytest.raises(StoreError):
        get(tiny(), tmp_path / "new")
    mended = get(tiny(), tmp_path / "new", retrain=True)
    assert get(tiny(), tmp_path / "new").path == mended.path == tmp_path / "new" / done.path.name


# ---------------------------------------------------------------- what a kill leaves


def leftovers(store):
    return sorted(path.name for path in store.iterdir() if not path.name.endswith(".lock"))


def test_a_finished_run_that_a_kill_left_beside_is_adopted(done, tmp_path, no_training):
    work = FileStore(tmp_path).make_work_folder(done.id)
    shutil.copy(done.path, work / done.path.name)
    (work / "checkpoint-00000005.safetensors").write_bytes(b"cut off")
    assert FileStore(tmp_path).ids() == []
    assert contents(get(tiny(), tmp_path).path) == contents(done.path)
    assert leftovers(tmp_path) == [done.path.name]


def test_a_cut_off_copy_is_cleared_away_and_training_goes_on(done, tmp_path):
    work = FileStore(tmp_path).make_work_folder(done.id)
    (work / done.path.name).write_bytes(done.path.read_bytes()[:-9])
    assert contents(get(tiny(), tmp_path).path) == contents(done.path)
    assert leftovers(tmp_path) == [done.path.name]


def test_what_training_has_no_more_use_for_goes_when_the_run_is_next_found(done, tmp_path, no_training):
    shutil.copy(done.path, tmp_path / done.path.name)
    work = FileStore(tmp_path).make_work_folder(done.id)
    (work / "snapshot-00000005.safetensors").write_bytes(b"left")
    with FileStore(tmp_path).hold(done.id):
        get(tiny(), tmp_path)
        assert work.exists()  # somebody trains it again at the moment
    get(tiny(), tmp_path)
    assert leftovers(tmp_path) == [done.path.name]
    work = FileStore(tmp_path).make_work_folder(done.id)
    (work / "checkpoint-00000005.safetensors").write_bytes(b"to go on from")
    get(tiny(), tmp_path)
    assert work.exists()


def test_a_finished_copy_stands_in_for_a_damaged_run(done, tmp_path, no_training):
    work = FileStore(tmp_path).make_work_folder(done.id)
    shutil.copy(done.path, work / done.path.name)
    (tmp_path / done.path.name).write_bytes(done.path.read_bytes()[:-9])
    assert contents(get(tiny(), tmp_path).path) == contents(done.path)
    assert leftovers(tmp_path) == [done.path.name]


def test_a_finished_copy_that_the_disk_refuses_to_show_stays(done, tmp_path, monkeypatch):
    work = FileStore(tmp_path).make_work_folder(done.id)
    shutil.copy(done.path, work / done.path.name)
    read = open

    def refusing(path, *arguments, **options):
        if str(path).endswith(f"part/{done.path.name}"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="Input/output error; the disk may be failing"):
        patch.setattr("builtins.open", refusing)
        get(tiny(), tmp_path)
    assert contents(get(tiny(), tmp_path).path) == contents(done.path)


def test_a_store_that_cannot_be_written_still_shows_a_run_beside_which_something_is_left(done, tmp_path, monkeypatch):
    shutil.copy(done.path, tmp_path / done.path.name)
    left = FileStore(tmp_path).make_work_folder(done.id) / "snapshot-00000005.safetensors"
    left.write_bytes(b"left")

    def refusing(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        for name in ("unlink", "rmdir", "replace", "mkdir"):
            patch.setattr(os, name, refusing)
        assert get(tiny(), tmp_path).path == tmp_path / done.path.name
    assert left.exists()


def test_a_link_in_the_place_of_a_work_folder_goes_and_what_it_points_to_stays(done, tmp_path):
    foreign_folder = tmp_path / "foreign"
    foreign_folder.mkdir()
    (foreign_folder / "checkpoint-00000005.safetensors").write_text("mine")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f"{done.id}.part").symlink_to(foreign_folder)
    assert contents(get(tiny(), tmp_path / "store").path) == contents(done.path)
    assert leftovers(tmp_path / "store") == [done.path.name]
    assert [path.name for path in foreign_folder.iterdir()] == ["checkpoint-00000005.safetensors"]


def test_nothing_but_a_finished_run_is_listed(done, tmp_path):
    shutil.copy(done.path, tmp_path / done.path.name)
    for name in ("0123456789ab.part", f"{done.id}.old", f".{done.id}.77", "0123456789ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / done.path.name).write_bytes(b"")
    (tmp_path / ".0123456789ab.safetensors.77").write_bytes(b"")
    (tmp_path / "0123456789AB.safetensors").write_bytes(b"")
    assert FileStore(tmp_path).ids() == [done.id] and FileStore(tmp_path).problems() == []


# ---------------------------------------------------------------- the parts of training


def test_the_learning_rate_warms_up_then_follows_its_course():
    settings = preset("smoke", training={"steps": 100, "warmup_steps": 10, "learning_rate": 1e-3})
    rates = [learning_rate(settings, step) for step in range(100)]
    assert rates[:3] == pytest.approx([1e-4, 2e-4, 3e-4], rel=0.01)
    assert rates[50] == pytest.approx(5e-4) and rates[-1] < 1e-6
    constant = settings.replace(training={"lr_schedule": "constant"})
    assert learning_rate(constant, 4) == pytest.approx(5e-4) and learning_rate(constant, 99) == 1e-3


def test_the_network_starts_at_the_mean_of_what_it_predicts():
    settings = tiny()
    expected = float(settings.world.render(settings.world.lattice()).mean())
    assert mean_target(settings) == pytest.approx(expected)
    state = init_state(settings, "cpu")
    assert state.model(torch.randn(2, 1, 8, 8), torch.zeros(2), torch.zeros(2, 2)).unique().item() == pytest.approx(
        expected
    )


def test_the_loss_of_one_step_is_that_of_the_diffusion(done):
    state = init_state(tiny(), "cpu")
    generator = torch.Generator().manual_seed(0)
    mu = state.conditions[torch.randint(64, (16,), generator=generator)]
    x0 = tiny().world.render(mu)
    expected = tiny().diffusion.loss(state.model, x0, mu, *tiny().diffusion.sample_timesteps_and_noise(x0, generator))
    assert done.history["loss"][0] == [1, pytest.approx(expected.item(), rel=1e-5)]


def test_a_loss_that_is_no_number_stops_training(tmp_path, monkeypatch):
    monkeypatch.setattr(Diffusion, "target", lambda self, x0, *_: x0 * math.nan)
    with pytest.raises(BumplabError, match=r"^The loss is not finite at step 1: lower training.learning_rate\.$"):
        train(tiny(), tmp_path, "cpu", progress=False)


@pytest.mark.parametrize("name", ["tpu", "", "cpu:x", "cuda:99" if not torch.cuda.is_available() else "tpu:0"])
def test_an_absent_device_is_refused(name):
    with pytest.raises(BumplabError) as error:
        pick_device(name)
    assert one_sentence(error).startswith(f"There is no device {name!r}")


@pytest.mark.parametrize("name", ["fp16", "fp8", ""])
def test_an_impossible_precision_is_refused(name):
    with pytest.raises(BumplabError) as error:
        pick_precision(torch.device("cpu"), name)
    assert one_sentence(error).startswith(f"Precision {name!r} is not possible on cpu")


def test_the_cpu_computes_in_float32_unless_told_otherwise():
    assert pick_device("cpu").type == "cpu" and pick_precision(torch.device("cpu")) == "fp32"
    assert pick_precision(torch.device("cpu"), "bf16") == "bf16"


def test_bfloat16_trains_too(tmp_path):
    state = train(tiny(), tmp_path, "cpu", "bf16", progress=False)
    assert math.isfinite(state.history["loss"][-1][1]) and state.precision == "bf16"
    assert all(weight.dtype == torch.float32 for weight in state.ema_model.parameters())


# ---------------------------------------------------------------- the recorded runs of the book


def test_exactly_the_runs_of_the_studies_are_recorded_each_with_what_its_study_keeps():
    store, studies = PackStore(recorded_folder()), all_studies()
    assert store.problems() == []
    packed = {pack.folder.name: set(pack.ids()) for pack in store.packs()}
    assert packed == {name: {settings.id for settings in study} for name, study in studies.items()}
    wrong = []
    for settings, weights in (item for study in studies.values() for item in study.items()):
        run = store.get(settings.id)
        schedule = getattr(settings, "training", settings)  # toys have no group of that name
        kept = {"all": schedule.snapshots, "half": [schedule.steps]}.get(weights, [])
        if (
            ("weights" in run.kept) != (weights in ("all", "half"))
            or ("embeddings" in run.kept) != (weights in MOMENTS)
            or (weights in MOMENTS and run.embedding(weights).shape[-1] != 8)
            or run.snapshots != [step for step in schedule.snapshots if step in kept]
        ):
            wrong.append(run.id)
    assert wrong == []


def test_the_recorded_smoke_run_trains_again_to_the_same_losses(tmp_path):
    recorded = find(preset("smoke"))
    state = train(preset("smoke"), tmp_path, "cpu", progress=False)
    then, now = (dict(map(tuple, history["loss"])) for history in (recorded.history, state.history))
    assert now == pytest.approx(then, rel=1e-3)


def test_the_network_of_a_run_is_that_of_its_settings(done):
    assert isinstance(done.model(), UNet) and done.model().settings == done.settings.model


def test_a_run_that_was_trained_afresh_while_one_waited_is_not_trained_again(done, tmp_path, monkeypatch):
    shutil.copy(done.path, tmp_path / done.path.name)
    hold = FileStore.hold

    @contextmanager
    def slow(self, id, timeout=None):  # in the meantime another process has finished
        shutil.copy(done.path, tmp_path / "other")
        (tmp_path / "other").replace(self.path(id))
        with hold(self, id, timeout):
            yield

    monkeypatch.setattr(FileStore, "hold", slow)
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
    assert get(tiny(), tmp_path, retrain=True).path == tmp_path / done.path.name
    monkeypatch.undo()
    before = (tmp_path / done.path.name).stat().st_mtime_ns
    assert get(tiny(), tmp_path, retrain=True).path.stat().st_mtime_ns != before
