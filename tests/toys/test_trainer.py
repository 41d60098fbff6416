"""Toys alone and in stacks, interrupted and continued, stopped early; and what the store keeps of them."""

from contextlib import contextmanager

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.models.perceptrons import perceptron
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.recording import pack_runs, record_studies
from bumplab.runs.store import find, load_or_train, verify
from bumplab.runs.sweep import load_or_train_all
from bumplab.runs.toy_family import load_or_train_toys
from bumplab.toys import trainer
from bumplab.toys.modularity import ModularitySettings
from bumplab.toys.states import ToyStack, init_toy, take_toy_step
from bumplab.toys.toy_checkpoints import load_or_init_toy, save_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys
from bumplab.toys.wedge import WedgeSettings
from bumplab.training.cuda_graph import record_step
from bumplab.training.state import Interrupted
from bumplab.training.stopping import stop_when
from patching import replace_everywhere

SMALL = ModularitySettings(steps=60, measure_every=20, width=8, num_samples=50, batch=10, snapshots=(0, 30))
NOISY = SMALL.replace(noise=0.1, noise_exponent=1, order="random")


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Return the user's store, with an empty book beside it."""
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "book" / "runs")
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def assert_same(one, other, tolerance=0.0):
    assert one.step == other.step and one.history["measurements"][-1].keys() == other.history["measurements"][-1].keys()
    for name, value in one.weights.items():
        torch.testing.assert_close(other.weights[name], value, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("settings", [SMALL, NOISY, SMALL.replace(weighted_activity=0.01, alpha=1, wiring="blocks")])
def test_a_member_of_a_stack_ends_where_it_ends_alone(settings):
    members = [settings.replace(seed=seed, l2=l2) for seed, l2 in ((0, 1e-4), (1, 1e-2), (2, 0))]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        assert_same(train_toy(each, "cpu", progress=False), state, 1e-5)
        assert state.snapshots.keys() == {0, 30} and state.members == 3
    assert not torch.allclose(together[0].weights["w1"], together[1].weights["w1"])


def test_a_training_that_was_interrupted_goes_on_bit_for_bit(tmp_path):
    whole = train_toy(NOISY, "cpu", progress=False)
    with stop_when(lambda state: True), pytest.raises(Interrupted, match="Stopped after step 1 of 60"):
        list(train_toys([init_toy(NOISY)], "cpu", False, lambda state: save_toy(state, tmp_path)))
    calls = iter(range(100))
    again = load_or_init_toy(NOISY, tmp_path)
    assert again.step == 1
    with stop_when(lambda state: next(calls) == 33), pytest.raises(Interrupted):
        list(train_toys([again], "cpu", False, lambda state: save_toy(state, tmp_path)))
    last = load_or_init_toy(NOISY, tmp_path)
    assert last.step == 35 and last.snapshots.keys() == {0, 30}
    (finished,) = train_toys([last], "cpu", progress=False)
    assert_same(whole, finished)
    assert finished.history == whole.history


def test_members_leave_when_they_are_good_enough_and_the_others_go_on():
    settings = SMALL.replace(steps=400, learning_rate=0.01, measure_every=10, snapshots=())
    alone = [train_toy(settings.replace(seed=seed), "cpu", progress=False) for seed in range(3)]
    curve = [[row["test"]["mse"] for row in state.history["measurements"]] for state in alone]
    level = sorted(values[-1] for values in curve)[1] * 1.2
    expected = [10 * (1 + next((k for k, v in enumerate(values) if v <= level), len(values) - 1)) for values in curve]
    members = [settings.replace(seed=seed, stop_below=level) for seed in range(3)]
    ended = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    assert {state.settings.seed: state.step for state in ended} == dict(enumerate(expected))
    assert len(set(expected)) > 1


def test_stacks_hold_what_has_one_shape(monkeypatch):
    members = [SMALL.replace(seed=seed, width=width, l2=l2) for seed in (0, 1) for width in (8, 4) for l2 in (0, 0.1)]
    assert [[each.width for each in stack] for stack in toy_stacks(members)] == [[8] * 4, [4] * 4]
    monkeypatch.setattr(trainer, "MAX_STACK", {"cpu": 3})
    assert sorted(map(len, toy_stacks(members))) == [1, 1, 3, 3]


def test_a_step_waits_for_nothing_and_can_be_recorded():
    class Rehearsal:
        def warm_up(self, step):
            step()

        def record(self, step, generators):
            assert len(generators) == 2
            return step

    states = [init_toy(NOISY.replace(seed=seed)) for seed in (0, 1)]
    stack, plain = (ToyStack(states, torch.device("cpu")) for _ in range(2))
    replay = record_step(stack, Rehearsal(), take_toy_step)
    assert float(stack.counter) == 0
    for _ in range(3):
        replay()
        take_toy_step(plain)
    assert all(torch.equal(stack.weights[name], value) for name, value in plain.weights.items())


def test_a_loss_that_is_not_finite_ends_one_member_alone():
    states = [init_toy(SMALL.replace(seed=seed)) for seed in (0, 1)]
    states[1].weights["w1"][0, 0] = torch.nan
    ended = list(train_toys(states, "cpu", progress=False))
    assert [state.error for state in ended] == ["The loss is not finite at step 20: lower learning_rate.", ""]
    assert_same(train_toy(SMALL, "cpu", progress=False), ended[1], 1e-5)


def test_toys_are_stored_packed_found_and_proved(store):
    members = [SMALL.replace(seed=seed) for seed in range(3)]
    runs = load_or_train_all(dict.fromkeys(members, "all"), device="cpu")
    assert list(runs) == members and [run.provenance["members"] for run in runs.values()] == [3] * 3
    run = runs[members[0]]
    assert run.snapshots == [0, 30] and run.steps == 60 and run.curve("test.mse")[0].tolist() == [20, 40, 60]
    assert run.settings.measure(run.parameters()) == run.scalars
    assert verify(FileStore(store), run.id).verdict == "proved"
    assert load_or_train(members[0], device="cpu") == run == find(members[0])
    pack_runs(runs.values(), "12-modules")
    packed = find(members[1])
    assert packed.path.name == "12-modules" and torch.equal(packed.parameters(0)["w1"], members[1].init_weights()["w1"])
    assert verify(PackStore(store.parent / "book" / "runs"), packed.id).verdict == "proved"


@pytest.mark.parametrize("is_there", [False, True])
def test_what_another_process_finishes_meanwhile_is_not_trained_again(store, monkeypatch, is_there):
    if is_there:
        load_or_train_toys([SMALL], store, device="cpu")
    hold, others = FileStore.hold, []

    @contextmanager
    def wait_for_another(place, id, timeout=None):
        if not others:  # while this one waits for the lock, another holds it, trains the run and stores it
            others.append(id)
            others[:] = load_or_train_toys([SMALL], store, True, "cpu").values()
        with hold(place, id, timeout):
            yield

    monkeypatch.setattr(FileStore, "hold", wait_for_another)
    (run,) = load_or_train_toys([SMALL], store, True, "cpu").values()
    assert run.provenance == others[0].provenance  # its date and seconds: it is the other's


def test_what_is_not_kept_is_named(store):
    results = load_or_train_toys([SMALL], store, device="cpu", keep={SMALL.id: "none"})
    with pytest.raises(BumplabError, match="kept no weights"):
        results[SMALL.id].parameters()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"l2": -1}, "ModularitySettings: l2: input should be greater than or equal to 0 (got -1)."),
        ({"wiring": "blocks", "width": 30}, "Blocks divide the width among 4 streams, got width 30."),
        ({"inputs": "grid", "num_samples": 15}, "A grid of 4 inputs has at least 16 samples, got 15."),
        ({"inputs": "rotated", "streams": 3}, "Rotated inputs are sums and differences of pairs, got 3 streams."),
        ({"snapshots": (5, 3)}, "Give snapshots as ascending steps of at most 10000, got (5, 3)."),
        ({"steps": "many"}, "ModularitySettings: steps: input should be a valid integer"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(changes, sentence):
    with pytest.raises(BumplabError) as error:
        ModularitySettings(**changes)
    assert str(error.value).startswith(sentence)


def test_a_study_of_toys_is_recorded_and_known_the_next_time(store):
    settings = [SMALL.replace(seed=0), WedgeSettings(steps=20, measure_every=20)]
    study = {"12-modules": {settings[0]: "all", settings[1]: "none"}}
    outcomes = record_studies(study, jobs=1, device="cpu")
    assert {outcome["status"] for outcome in outcomes.values()} == {"trained"}
    assert [find(each).path.name for each in settings] == ["12-modules", "12-modules"]
    assert not find(settings[1]).kept & {"weights"}
    assert {outcome["status"] for outcome in record_studies(study, jobs=1, device="cpu").values()} == {"known"}


def test_modules_that_are_wired_by_hand_hear_one_input_each():
    settings = WedgeSettings(network="modular", steps=20, measure_every=20)
    state = train_toy(settings, "cpu", progress=False)
    x = torch.tensor([[0.3, -0.2], [0.3, 0.9]])
    weights = {name: value[None] for name, value in state.weights.items()}
    inner = perceptron(weights, x[None], linear=(1,))[1][1][0]
    assert inner[0, 0] == inner[1, 0] and inner[0, 1] != inner[1, 1]
