"""A member of an ensemble becomes what it would have become alone."""

import signal

import pytest
import torch
from filelock import FileLock

from bumplab import ensembles, forecast, runs, sweeps, train
from bumplab.base import BumplabError
from bumplab.settings import preset

SMALL = {
    "world": {"size": 8},
    "model": {"patch": 1},
    "training": {"steps": 20, "warmup": 2, "decay": "constant", "ema": 0.9, "snapshots": (0, 10), "evaluate_every": 5},
}
#: Three members of one shape: other seeds, widths of the bump, and conditions shown.
THREE = [
    preset("smoke", **SMALL).but(seed=7),
    preset("smoke", **SMALL).but(seed=8, world={"sigma": (2.0, 0.7), "fraction": 0.5}),
    preset("smoke", **SMALL).but(seed=9, world={"spacing": 0.5, "held_out": "cross(2, 5)", "subsample_seed": 3}),
]


def together(settings, store, **options):
    return ensembles.load_or_train(settings, store, "cpu", progress=False, **options)


def alone(settings, store):
    return runs.load_or_train(settings, store=store, device="cpu", progress=False)


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
        members = [train.start(each, "cpu") for each in THREE]
        for _ in ensembles.Ensemble(members).steps():
            pass
        for member, settings in zip(members, THREE, strict=True):
            single = train.start(settings, "cpu")
            begin = {name: value.clone() for name, value in single.average.state_dict().items()}
            for _ in train.steps(single):
                pass
            for kind in ("model", "average"):
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


def test_members_do_not_see_each_other(both, tmp_path):
    found = together([THREE[0], THREE[1].but(seed=99)], tmp_path)
    close(found[THREE[0].id].model(), both[0][THREE[0].id])


def test_what_shares_a_shape_forms_ensembles():
    other = THREE[0].but(model={"depth": 2})
    longer = THREE[0].but(training={"steps": 21})
    assert ensembles.groups([THREE[0], other, *THREE[1:], longer]) == [THREE]
    seeds = [THREE[0].but(seed=seed) for seed in range(5)]
    assert [len(group) for group in ensembles.groups(seeds, most=2)] == [2, 2]  # the fifth is alone


def test_a_member_whose_loss_explodes_does_not_take_the_others_along(tmp_path, monkeypatch, both):
    start = train.start

    def poisoned(settings, *rest):
        state = start(settings, *rest)
        if settings.seed == 8:
            torch.nn.init.constant_(state.model.head.bias, torch.inf)
        return state

    monkeypatch.setattr(train, "start", poisoned)
    found = together(THREE, tmp_path)
    assert "not finite at step 1:" in str(found[THREE[1].id])
    for settings in (THREE[0], THREE[2]):
        assert found[settings.id].accuracy == both[1][settings.id].accuracy
    assert not (tmp_path / THREE[1].id).exists()


@pytest.mark.parametrize("goes_on", ["together", "alone"])
def test_an_interrupted_ensemble_goes_on(tmp_path, monkeypatch, both, goes_on):
    measure = ensembles.Ensemble.measure

    def interrupt(self, states):
        if states[0].step == 5:
            signal.raise_signal(signal.SIGINT)
        return measure(self, states)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(ensembles.Ensemble, "measure", interrupt)
    with pytest.raises(train.Interrupted, match="after step 5 of 20"):
        together(THREE, tmp_path)
    signal.signal(signal.SIGINT, handler)
    monkeypatch.undo()
    found = together(THREE, tmp_path) if goes_on == "together" else {each.id: alone(each, tmp_path) for each in THREE}
    for name, run in found.items():
        expected = both[0][name]
        assert [entry["step"] for entry in run.history["accuracy"]] == [5, 10, 15, 20]
        close(run.model(), expected)


def test_checkpoints_at_different_steps_form_no_ensemble(tmp_path):
    folder = runs.work_folder(THREE[0], tmp_path)
    state = train.begin(THREE[0], folder, "cpu")
    next(train.steps(state))
    train.save_checkpoint(state, folder / train.CHECKPOINT)
    assert set(together(THREE, tmp_path)) == {each.id for each in THREE[1:]}


def test_too_little_memory_halves_the_ensemble(tmp_path, monkeypatch):
    at_once = ensembles._train_at_once
    sizes = []

    def little(settings, *rest):
        sizes.append(len(settings))
        if len(settings) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return at_once(settings, *rest)

    monkeypatch.setattr(ensembles, "_train_at_once", little)
    five = [THREE[0].but(seed=seed, training={"steps": 1, "snapshots": ()}) for seed in range(5)]
    assert len(together(five, tmp_path)) == 4  # one of the five is left alone
    assert sizes == [5, 2, 3, 2]


def test_what_another_process_trains_is_left_to_it(tmp_path):
    with FileLock(runs.lock(THREE[0], tmp_path)):
        assert THREE[0].id not in together(THREE, tmp_path)


def test_half_precision_with_a_loss_scale_is_trained_alone(tmp_path, monkeypatch):
    pick = train.pick_precision
    monkeypatch.setattr(
        train, "pick_precision", lambda place, name="auto": "fp16" if name == "auto" else pick(place, name)
    )
    found = together(THREE[:2], tmp_path)
    assert {run.provenance["precision"] for run in found.values()} == {"fp32"}
    monkeypatch.setattr(train, "pick_precision", lambda *_: "fp16")
    assert together(THREE, tmp_path, precision="fp16") == {}


# ---------------------------------------------------------------- sweeps


def sweep(settings, store, **options):
    return sweeps.run(settings, store=store, device="cpu", progress=False, **options)


def test_a_sweep_uses_ensembles_where_they_pay(tmp_path, monkeypatch, capsys):
    other = THREE[0].but(model={"depth": 2})
    assert ensembles.pay(torch.device("cuda")) and not ensembles.pay(torch.device("cpu"))
    monkeypatch.setattr(ensembles, "pay", lambda device: True)
    told = sweeps.forecast_runs([*THREE, other], jobs=1, store=tmp_path, device="cpu")
    assert "4 to go, 3 at a time: about" in told
    table = sweep([*THREE, other], tmp_path, jobs=1)
    assert table["status"].tolist() == ["trained"] * 4
    members = [runs.load(tmp_path / name).provenance["members"] for name in table["id"]]
    assert members == [3, 3, 3, 1]
    assert sweep([*THREE, other], tmp_path, jobs=1)["status"].tolist() == ["known"] * 4


def test_a_sweep_reports_a_failed_member(tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "pay", lambda device: True)
    failed = {THREE[0].id: BumplabError("Out of luck.")}
    monkeypatch.setattr(ensembles, "load_or_train", lambda *_: failed)
    table = sweep(THREE, tmp_path, jobs=1)  # those that the ensemble left alone are trained one by one
    assert table["status"].tolist() == ["failed", "trained", "trained"] and table["error"][0] == "Out of luck."


def test_the_forecast_times_an_ensemble():
    assert 0 < forecast.together([THREE], "cpu", "fp32") < 60


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_member_equals_the_run_trained_alone_on_a_gpu(tmp_path, precision):
    found = ensembles.load_or_train(THREE, tmp_path / "together", "cuda", precision, progress=False)
    for settings in THREE:
        single = runs.load_or_train(settings, True, tmp_path / "alone", "cuda", precision, progress=False)
        torch.testing.assert_close(
            answers(found[settings.id].model(), settings), answers(single.model(), settings), rtol=0.05, atol=0.05
        )
