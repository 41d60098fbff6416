"""A member of an ensemble becomes what it would have become alone."""

import signal

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.runs.ensembles import _train_at_once, load_or_train_ensemble
from bumplab.runs.estimate import count_evaluation_images, estimate_ensembles
from bumplab.runs.file_store import FileStore
from bumplab.runs.run_file import read_run
from bumplab.runs.store import load_or_train
from bumplab.runs.sweep import forecast_runs, sweep_settings
from bumplab.training.checkpoints import checkpoint_name, init_or_resume, save_checkpoint
from bumplab.training.device import pick_precision
from bumplab.training.ensembles import Ensemble, groups, is_worthwhile
from bumplab.training.loop import training_steps
from bumplab.training.outcomes import evaluate_model, measure
from bumplab.training.settings import preset
from bumplab.training.state import Interrupted, init_state
from patching import replace_everywhere

SMALL = {
    "world": {"size": 8},
    "model": {"patch": 1},
    "training": {
        "steps": 20,
        "warmup_steps": 2,
        "lr_schedule": "constant",
        "ema_decay": 0.9,
        "snapshots": (0, 10),
        "evaluate_every": 5,
    },
}
#: Three members of one shape: other seeds, widths of the bump, and conditions shown.
THREE = [
    preset("smoke", **SMALL).replace(seed=7),
    preset("smoke", **SMALL).replace(seed=8, world={"sigma": (2.0, 0.7), "fraction": 0.5}),
    preset("smoke", **SMALL).replace(seed=9, world={"spacing": 0.5, "held_out": "cross(2, 5)", "subsample_seed": 3}),
]


def together(settings, store, **options):
    return load_or_train_ensemble(settings, store, "cpu", progress=False, **options)


def alone(settings, store):
    return load_or_train(settings, store=store, device="cpu", progress=False)


def answers(model, settings):
    """Return what a network says to a few noisy images."""
    generator = torch.Generator().manual_seed(0)
    mu = settings.world.lattice()[:16]
    return model(torch.randn(16, 1, 8, 8, generator=generator), torch.linspace(0, 999, 16), mu)


def close(model, run, step=None):
    """Hold a network against that of a run: rounding moves its answers by little beside what training did."""
    expected, before = (answers(run.model(at), run.settings) for at in (step, 0))
    moved = (answers(run.model(), run.settings) - before).abs().max()
    assert moved > 0.1
    assert (answers(model, run.settings) - expected).abs().max() < 0.05 * moved


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The three trained together, and each alone."""
    folder = tmp_path_factory.mktemp("ensembles")
    return together(THREE, folder / "together"), {each.id: alone(each, folder / "alone") for each in THREE}


def test_training_together_is_training_alone_to_rounding():
    torch.set_default_dtype(torch.float64)
    try:
        members = [init_state(each, "cpu") for each in THREE]
        for _ in Ensemble(members).steps():
            pass
        for member, settings in zip(members, THREE, strict=True):
            single = init_state(settings, "cpu")
            begin = {name: value.clone() for name, value in single.ema_model.state_dict().items()}
            for _ in training_steps(single):
                pass
            for kind in ("model", "ema_model"):
                expected, found = getattr(single, kind).state_dict(), getattr(member, kind).state_dict()
                assert max((expected[name] - value).abs().max() for name, value in begin.items()) > 0.01
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
            torch.testing.assert_close(member.loss_sum, single.loss_sum, rtol=1e-5, atol=0)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("settings", THREE, ids=lambda each: f"seed{each.seed}")
def test_a_member_equals_the_run_trained_alone(both, settings):
    member, single = (found[settings.id] for found in both)
    assert member.settings == single.settings and member.provenance["members"] == 3
    for step in (0, 10, None):
        close(member.model(step), single, step)
    torch.testing.assert_close(
        torch.tensor(member.history["loss"]), torch.tensor(single.history["loss"]), rtol=1e-3, atol=0
    )
    assert member.history["accuracy"] == single.history["accuracy"] and member.accuracy == single.accuracy


def test_every_member_is_evaluated_in_its_own_world():
    settings = [*THREE, THREE[0].replace(seed=10, world={"fraction": 0.5})]  # the first and the last share sigma
    states = [init_state(each, "cpu") for each in settings]
    ensemble = Ensemble(states)
    for state, parts in zip(states[1:], ensemble.evaluate(states[1:], 50), strict=True):
        assert list(parts) == list(state.settings.world.condition_splits(50))
        for name, mu in state.settings.world.condition_splits(50).items():
            single = evaluate_model(state.ema_model, state.settings, mu)
            assert parts[name].world == single.world == state.settings.world
            assert torch.equal(parts[name].mu, single.mu) and torch.equal(parts[name].category, single.category)
    records = ensemble.measure(states)
    assert records == [measure(state) for state in states]


def test_members_do_not_see_each_other(both, tmp_path):
    found = together([THREE[0], THREE[1].replace(seed=99)], tmp_path)
    close(found[THREE[0].id].model(), both[0][THREE[0].id])


def test_what_shares_a_shape_forms_ensembles():
    other = THREE[0].replace(model={"depth": 2})
    longer = THREE[0].replace(training={"steps": 21})
    assert groups([THREE[0], other, *THREE[1:], longer]) == [THREE]
    seeds = [THREE[0].replace(seed=seed) for seed in range(5)]
    assert [len(group) for group in groups(seeds, most=2)] == [2, 2]  # the fifth is alone


def test_a_member_whose_loss_explodes_does_not_take_the_others_along(tmp_path, monkeypatch, both):
    start = init_state

    def poisoned(settings, *rest):
        state = start(settings, *rest)
        if settings.seed == 8:
            torch.nn.init.constant_(state.model.head.bias, torch.inf)
        return state

    replace_everywhere(monkeypatch, "bumplab.training.state.init_state", poisoned)
    found = together(THREE, tmp_path)
    assert "not finite at step 1:" in str(found[THREE[1].id])
    for settings in (THREE[0], THREE[2]):
        assert found[settings.id].accuracy == both[1][settings.id].accuracy
    assert not (tmp_path / THREE[1].id).exists()


@pytest.mark.parametrize("goes_on", ["together", "alone"])
def test_an_interrupted_ensemble_goes_on(tmp_path, monkeypatch, both, goes_on):
    measure_all = Ensemble.measure

    def interrupt(self, states):
        if states[0].step == 5:
            signal.raise_signal(signal.SIGINT)
        return measure_all(self, states)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Ensemble, "measure", interrupt)
    with pytest.raises(Interrupted, match="after step 5 of 20"):
        together(THREE, tmp_path)
    signal.signal(signal.SIGINT, handler)
    monkeypatch.undo()
    found = together(THREE, tmp_path) if goes_on == "together" else {each.id: alone(each, tmp_path) for each in THREE}
    for name, run in found.items():
        expected = both[0][name]
        assert [entry["step"] for entry in run.history["accuracy"]] == [5, 10, 15, 20]
        members = [(session["step"], session["members"]) for session in run.provenance.get("sessions", [])]
        assert members == ([] if goes_on == "together" else [(0, 3), (5, 1)])
        close(run.model(), expected)


def test_a_member_with_a_bad_checkpoint_does_not_take_the_others_along(tmp_path):
    path = FileStore(tmp_path).work_folder(THREE[1].id) / checkpoint_name(1)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    found = together(THREE, tmp_path)
    assert str(found[THREE[1].id]) == f"{path} is damaged or foreign; delete it to train from the start."
    assert found[THREE[0].id].provenance["members"] == found[THREE[2].id].provenance["members"] == 2


def test_checkpoints_at_different_steps_form_no_ensemble(tmp_path):
    folder = FileStore(tmp_path).work_folder(THREE[0].id)
    state = init_or_resume(THREE[0], folder, "cpu")
    next(training_steps(state))
    save_checkpoint(state, folder)
    assert set(together(THREE, tmp_path)) == {each.id for each in THREE[1:]}


def test_too_little_memory_halves_the_ensemble(tmp_path, monkeypatch):
    at_once = _train_at_once
    sizes = []

    def little(settings, *rest, **options):
        sizes.append(len(settings))
        if len(settings) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return at_once(settings, *rest, **options)

    replace_everywhere(monkeypatch, "bumplab.runs.ensembles._train_at_once", little)
    five = [THREE[0].replace(seed=seed, training={"steps": 1, "snapshots": ()}) for seed in range(5)]
    assert len(together(five, tmp_path)) == 4  # one of the five is left alone
    assert sizes == [5, 2, 3, 2]


def test_what_another_process_trains_is_left_to_it(tmp_path):
    with FileStore(tmp_path).hold(THREE[0].id):
        assert THREE[0].id not in together(THREE, tmp_path)


def test_half_precision_with_a_loss_scale_is_trained_alone(tmp_path, monkeypatch):
    pick = pick_precision
    replace_everywhere(
        monkeypatch,
        "bumplab.training.device.pick_precision",
        lambda place, name="auto": "fp16" if name == "auto" else pick(place, name),
    )
    found = together(THREE[:2], tmp_path)
    assert {run.provenance["precision"] for run in found.values()} == {"fp32"}
    replace_everywhere(monkeypatch, "bumplab.training.device.pick_precision", lambda *_: "fp16")
    assert together(THREE, tmp_path, precision="fp16") == {}


# ---------------------------------------------------------------- sweeps


def sweep(settings, store, **options):
    return sweep_settings(settings, store=store, device="cpu", progress=False, **options)


def test_a_sweep_uses_ensembles_where_they_pay(tmp_path, monkeypatch, capsys):
    other = THREE[0].replace(model={"depth": 2})
    assert is_worthwhile(torch.device("cuda")) and not is_worthwhile(torch.device("cpu"))
    replace_everywhere(monkeypatch, "bumplab.training.ensembles.is_worthwhile", lambda device: True)
    told = forecast_runs([*THREE, other], jobs=1, store=tmp_path, device="cpu")
    assert "4 to go, 3 at a time: about" in told
    table = sweep([*THREE, other], tmp_path, jobs=1)
    assert table["status"].tolist() == ["trained"] * 4
    members = [read_run(tmp_path / f"{name}.safetensors").provenance["members"] for name in table["id"]]
    assert members == [3, 3, 3, 1]
    assert sweep([*THREE, other], tmp_path, jobs=1)["status"].tolist() == ["known"] * 4


def test_a_sweep_reports_a_failed_member(tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.training.ensembles.is_worthwhile", lambda device: True)
    failed = {THREE[0].id: BumplabError("Out of luck.")}
    replace_everywhere(monkeypatch, "bumplab.runs.ensembles.load_or_train_ensemble", lambda *_: failed)
    table = sweep(THREE, tmp_path, jobs=1)  # those that the ensemble left alone are trained one by one
    assert table["status"].tolist() == ["failed", "trained", "trained"] and table["error"][0] == "Out of luck."


def test_an_ensemble_that_fails_as_a_whole_does_not_stop_a_sweep_and_ctrl_c_says_so(tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.training.ensembles.is_worthwhile", lambda device: True)

    def fail(*_):
        raise errors.pop()

    errors = [KeyboardInterrupt(), RuntimeError("CUDA error")]
    replace_everywhere(monkeypatch, "bumplab.runs.ensembles.load_or_train_ensemble", fail)
    table = sweep([*THREE, THREE[0].replace(model={"depth": 2})], tmp_path, jobs=1)
    assert table["status"].tolist() == ["failed"] * 3 + ["trained"] and table["error"][0] == "RuntimeError: CUDA error"
    with pytest.raises(Interrupted, match="the same call goes on"):
        sweep(THREE, tmp_path, jobs=1)


@pytest.mark.parametrize("diffusion", [{}, {"kind": "regression"}], ids=str)
def test_the_images_of_a_measurement_are_counted_as_they_go_through_the_network(diffusion):
    settings = THREE[0].replace(diffusion=diffusion)
    state, images = init_state(settings, "cpu"), []
    state.ema_model.register_forward_pre_hook(lambda network, inputs: images.append(len(inputs[0])))
    measure(state)
    assert sum(images) == count_evaluation_images(settings)[0]


def test_the_forecast_times_an_ensemble():
    assert 0 < estimate_ensembles([THREE], "cpu", "fp32") < 60


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_member_equals_the_run_trained_alone_on_a_gpu(tmp_path, precision):
    found = load_or_train_ensemble(THREE, tmp_path / "together", "cuda", precision, progress=False)
    for settings in THREE:
        single = load_or_train(settings, True, tmp_path / "alone", "cuda", precision, progress=False)
        torch.testing.assert_close(
            answers(found[settings.id].model(), settings), answers(single.model(), settings), rtol=0.05, atol=0.05
        )


def test_members_that_are_measured_with_fresh_noise_are_measured_as_single_runs_are():
    noisy = [preset("smoke", seed=k, training={"sampler_eta": 1.0, "sampler_steps": 3}) for k in range(2)]
    ensemble = Ensemble([init_state(settings, "cpu") for settings in noisy])
    for parts, state in zip(ensemble.evaluate(ensemble.states, most=20), ensemble.states, strict=True):
        alone = evaluate_model(state.ema_model, state.settings, parts["seen"].mu)
        assert torch.equal(alone.detections.centre.nan_to_num(), parts["seen"].detections.centre.nan_to_num())
