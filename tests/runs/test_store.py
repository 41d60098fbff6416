"""Training is repeatable through any interruption, and the store hands out nothing that it did not check."""

import functools
import hashlib
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bumplab.analysis.activations import record_activations, to_grid
from bumplab.chapters.studies import all_studies
from bumplab.cli.app import run
from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet
from bumplab.runs import bump_family
from bumplab.runs.folder_store import FolderStore, load
from bumplab.runs.folders import pack_folders
from bumplab.runs.pack_store import PackStore
from bumplab.runs.records import StoreError
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

#: Processes forked from one that has imported the package already: each starts in milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["bumplab.__main__", "pytest", "torch._dynamo"])


def tiny(last=10, **changes):
    """Return the smoke preset on 8 x 8 pixels: milliseconds a step."""
    small = preset("smoke", world={"size": 8}, model={"patch": 1})
    return small.replace(training={"steps": last, "snapshots": (0, last // 2), "evaluate_every": 5}).replace(**changes)


def get(settings, store, **options):
    return load_or_train(settings, store=store, device="cpu", progress=False, **options)


def content(folder):
    """Return the bytes of everything that training makes."""
    names = [path.name for path in folder.iterdir() if path.name != "run.json"]
    assert "weights.safetensors" in names and "history.json" in names
    return {name: (folder / name).read_bytes() for name in names}


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
    assert again == first and again.folder == tmp_path / tiny().id
    assert same(again.model(), first.model())


def test_a_new_run_goes_to_the_folder_that_the_environment_names(store, no_training, done):
    shutil.copytree(done.folder, store / done.id)
    assert load_or_train(tiny(), progress=False).folder == store / done.id
    shutil.rmtree(store / done.id)


def test_a_run_says_where_it_comes_from(done):
    assert set(done.provenance) >= {"bumplab", "python", "torch", "numpy", "device", "precision", "threads", "seconds"}
    assert done.provenance["torch"] == torch.__version__ and done.provenance["precision"] == "fp32"


def test_a_run_holds_its_files_and_nothing_else(done):
    assert {path.name for path in done.folder.iterdir()} == {"run.json", *done.source.files}


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
    assert [path.name for path in run.folder.glob("snapshot-*")] == ["snapshot-00000005.safetensors"]
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
    assert (
        set(run.source.files) == {"history.json", "verdicts.safetensors"}
        and run.history == done.history
        and run.accuracy == done.accuracy
    )
    assert {path.name for path in run.folder.iterdir()} == {"run.json", *run.source.files} and run.snapshots == []
    assert run.evaluations.keys() == done.evaluations.keys()
    with pytest.raises(StoreError, match="was recorded without its weights"):
        run.model()


def test_the_fuller_one_of_two_stores_is_found(tmp_path, done, monkeypatch):
    light = get(tiny(), tmp_path / "light", weights="half")
    get(tiny(), tmp_path / "full")
    pack_folders([light.folder], tmp_path / "recorded" / "study", "study")
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "recorded")
    assert find(tiny(), tmp_path / "full").snapshots == [0, 5]


@pytest.mark.parametrize("moment, other", [("first", "last"), ("last", "first")])
def test_a_run_may_keep_a_code_instead_of_its_weights(tmp_path, done, moment, other):
    run, side = get(tiny(), tmp_path, weights=moment), tiny().world.size
    assert set(run.source.files) == {"history.json", "verdicts.safetensors", "code.safetensors"}
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
    sizes = [(run.folder / "weights.safetensors").stat().st_size for run in (half, done)]
    assert sizes[0] < 0.7 * sizes[1] and half.model().stem.conv1.weight.dtype == torch.float32
    assert verify(FolderStore(tmp_path), half.id).verdict == "proved"


def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BumplabError, match=r"^Cannot write to the store .*; set BUMPLAB_STORE\.$"):
        get(tiny(), tmp_path / "file")


# ---------------------------------------------------------------- the same weights, whatever happens


def test_training_repeats_bit_for_bit(done, tmp_path):
    torch.manual_seed(99)  # the global state plays no part
    assert content(get(tiny(), tmp_path).folder) == content(done.folder)


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
    assert content(get(tiny(), tmp_path).folder) == content(done.folder)


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


def wait_for(happened, dead):
    """Wait until `happened()`; fail if `dead()` is not None before, or after a minute."""
    end = time.monotonic() + 60
    while not happened():
        assert dead() is None and time.monotonic() < end
        time.sleep(0.002)


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
        assert process.exitcode == -signal.SIGKILL and not (store / whole.id).exists()
    process = CONTEXT.Process(target=command_line, args=(store, last))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert content(store / whole.id) == content(whole.folder)
    assert {path.name for path in store.iterdir()} == {whole.id, f"{whole.id}.lock"}


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
    assert content(tmp_path / done.id) == content(done.folder)


# ---------------------------------------------------------------- what the store refuses


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path):
    save_file({"head.bias": torch.zeros(1)}, path)


def flip(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def setting_unknown(path):
    settings = json.loads(path.read_text())["settings"]
    edit(path, settings=settings | {"world": settings["world"] | {"nope": 1}})


DAMAGES = {
    "truncated weights": ("weights.safetensors", cut),
    "foreign weights": ("weights.safetensors", foreign),
    "one bit of the weights": ("weights.safetensors", flip),
    "no weights": ("weights.safetensors", lambda path: path.unlink()),
    "truncated snapshot": ("snapshot-00000005.safetensors", cut),
    "truncated history": ("history.json", cut),
    "no run.json": ("run.json", lambda path: path.unlink()),
    "truncated run.json": ("run.json", cut),
    "binary run.json": ("run.json", lambda path: path.write_bytes(b"\xff\xfe\0")),
    "run.json of something else": ("run.json", lambda path: path.write_text("[1, 2]")),
    "run.json without files": ("run.json", lambda path: edit(path, files=[1])),
    "run.json of other settings": ("run.json", lambda path: edit(path, settings=tiny(seed=7).model_dump())),
    "run.json with an unknown setting": ("run.json", setting_unknown),
    "run.json of another trainer": ("run.json", lambda path: edit(path, trainer=999)),
    "wrong hash": ("run.json", lambda path: edit(path, files={"weights.safetensors": "0" * 64})),
}


@pytest.mark.parametrize("name, damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_refused_by_name_and_mended_on_request(name, damage, done, tmp_path, monkeypatch):
    shutil.copytree(done.folder, tmp_path / done.id)
    damage(tmp_path / done.id / name)
    with monkeypatch.context() as patch, pytest.raises(StoreError) as error:
        replace_everywhere(patch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
        get(tiny(), tmp_path)
    named = "weights.safetensors" if damage is DAMAGES["wrong hash"][1] else name
    assert str(tmp_path / done.id / named) in one_sentence(error)
    mended = get(tiny(), tmp_path, retrain=True)
    assert content(mended.folder) == content(done.folder)
    assert get(tiny(), tmp_path) == mended


def test_a_run_under_another_name_is_refused(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / "0123456789ab")
    with pytest.raises(StoreError) as error:
        load(tmp_path / "0123456789ab")
    assert f"holds the settings of run {done.id}, not 0123456789ab" in one_sentence(error)


@pytest.mark.parametrize("damage", [foreign, lambda path: path.write_bytes(b"no tensors")], ids=["foreign", "garbage"])
def test_weights_that_fit_their_hash_but_not_their_settings_are_refused(damage, done, tmp_path):
    folder = tmp_path / done.id
    shutil.copytree(done.folder, folder)
    damage(folder / "weights.safetensors")
    edit(folder / "run.json", files=done.source.files | {"weights.safetensors": sha256(folder / "weights.safetensors")})
    with pytest.raises(StoreError) as error:
        load(folder).model()
    assert str(folder) in one_sentence(error)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_are_checked_when_they_are_used_not_only_when_found(done, tmp_path):
    shutil.copytree(done.folder, tmp_path / done.id)
    run = get(tiny(), tmp_path)
    flip(run.folder / "weights.safetensors")
    with pytest.raises(StoreError, match="is not the file that was recorded"):
        run.model()


def test_a_damaged_recorded_run_gives_way_to_the_one_trained_instead(done, tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "recorded")
    pack_folders([done.folder], tmp_path / "recorded" / "study", "study")
    cut(tmp_path / "recorded" / "study" / "weights" / f"{done.id}.safetensors")
    with pytest.raises(StoreError):
        get(tiny(), tmp_path / "new")
    mended = get(tiny(), tmp_path / "new", retrain=True)
    assert get(tiny(), tmp_path / "new").folder == mended.folder == tmp_path / "new" / done.id


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
    expected = tiny().diffusion.loss(state.model, tiny().world.render(mu), mu, generator)
    assert done.history["loss"][0] == [1, pytest.approx(expected.item(), rel=1e-5)]


def test_a_loss_that_is_no_number_stops_training(tmp_path, monkeypatch):
    monkeypatch.setattr(Diffusion, "loss", lambda self, model, *_: sum(p.sum() for p in model.parameters()) * math.nan)
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
        kept = {"all": settings.training.snapshots, "half": [settings.training.steps]}.get(weights, [])
        if (
            ("weights" in run.kept) != (weights in ("all", "half"))
            or ("embeddings" in run.kept) != (weights in MOMENTS)
            or (weights in MOMENTS and run.embedding(weights).shape[-1] != 8)
            or run.snapshots != [step for step in settings.training.snapshots if step in kept]
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
