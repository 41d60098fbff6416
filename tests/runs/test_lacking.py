"""What studies lack is trained together where that pays, on every device that is told so."""

import shutil
import signal

import pytest

from bumplab.common.errors import BumplabError
from bumplab.runs import deadlines
from bumplab.runs.campaigns import run_campaign
from bumplab.runs.deadlines import Deadline
from bumplab.runs.ensembles import MAX_PARAMETERS, plan_ensembles
from bumplab.runs.executor import run_tasks
from bumplab.runs.file_store import FileStore
from bumplab.runs.lacking import has_begun, train_lacking
from bumplab.runs.store import load_or_train
from bumplab.training.checkpoints import find_checkpoints
from bumplab.training.compilation import COMPILE_SECONDS
from bumplab.training.settings import preset
from bumplab.training.state import Interrupted
from bumplab.training.stopping import stop_when
from patching import replace_everywhere

TRAINING = {"steps": 6, "snapshots": (0, 3), "evaluate_every": 3}
ONE, TWO, THREE = (
    preset("smoke", seed=seed, world={"size": 8}, model={"patch": 1}, training=TRAINING) for seed in range(3)
)
OTHER = ONE.replace(training={"steps": 5})
STUDIES = {"02-small": {OTHER: "none", ONE: "half", TWO: "all"}, "03-small": {THREE: "none"}}


@pytest.fixture(autouse=True)
def worthwhile(monkeypatch, tmp_path):
    """Let ensembles pay everywhere; nothing is recorded, and nothing was measured."""
    replace_everywhere(monkeypatch, "bumplab.training.ensembles.is_worthwhile", lambda device: True)
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "book")
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(deadlines, "_evaluations", {})


class StopAfter(Deadline):
    """Stops an ensemble after one of its steps; nothing begins after that."""

    def __init__(self, step):
        super().__init__(end=1e6, clock=lambda: 0.0)
        self.step, self.is_over, self.sizes = step, False, []

    def allows(self, settings, members=1):
        self.sizes.append(members)
        return super().allows(settings, members) and not self.is_over

    def __call__(self, state):
        self.stopped = self.is_over = state.ensemble_size == 3 and state.step == self.step
        return self.stopped


def train(store, deadline=None, studies=STUDIES, **options):
    outcomes = train_lacking(studies, store, jobs=1, device="cpu", deadline=deadline, **options)
    return {id: outcome["status"] for id, outcome in outcomes.items()}


def provenances(store):
    return {id: FileStore(store).get(id).provenance for id in FileStore(store).ids()}


def test_runs_of_one_kind_train_together_and_keep_what_their_studies_ask_for(tmp_path):
    store = tmp_path / "store"
    assert set(train(store).values()) == {"trained"}
    found = provenances(store)
    assert {id: part["members"] for id, part in found.items()} == {OTHER.id: 1, ONE.id: 3, TWO.id: 3, THREE.id: 3}
    kept = {id: part["keep"] for id, part in found.items()}
    assert kept == {OTHER.id: "none", ONE.id: "half", TWO.id: "all", THREE.id: "none"}
    files = {id: FileStore(store).path(id).stat().st_mtime_ns for id in found}
    assert set(train(store).values()) == {"trained"}
    assert files == {id: FileStore(store).path(id).stat().st_mtime_ns for id in found}


def test_an_ensemble_stops_in_time_and_the_next_call_goes_on_from_the_checkpoint_of_each(tmp_path):
    store, deadline = tmp_path / "store", StopAfter(4)
    outcomes = train(store, deadline)
    assert outcomes == {OTHER.id: "trained", ONE.id: "stopped", TWO.id: "stopped", THREE.id: "stopped"}
    assert deadline.sizes == [1, 3]
    for each in (ONE, TWO, THREE):
        assert list(find_checkpoints(FileStore(store).work_folder(each.id))) == [4]
    shutil.rmtree(FileStore(store).work_folder(THREE.id))  # as if it had been carried away
    assert set(train(store, Deadline(1e12)).values()) == {"trained"}
    found = provenances(store)
    assert {id: part["members"] for id, part in found.items()} == {OTHER.id: 1, ONE.id: 2, TWO.id: 2, THREE.id: 1}
    sessions = [(part["step"], part["members"]) for part in found[ONE.id]["sessions"]]
    assert sessions == [(0, 3), (4, 2)]
    assert deadlines._evaluations  # what followed the last step was measured, for the next forecast


def test_a_campaign_packs_the_checkpoints_of_an_ensemble(tmp_path):
    done = run_campaign(STUDIES, tmp_path / "out", StopAfter(4), 1, "cpu")
    assert done.runs == [OTHER.id] and done.checkpoints == [ONE.id, TWO.id, THREE.id]


def test_without_time_for_an_ensemble_there_may_be_time_for_one(tmp_path):
    store = tmp_path / "store"

    class Little(Deadline):
        def allows(self, settings, members=1):
            return super().allows(settings, members) and members == 1

    assert set(train(store, Little(1e12)).values()) == {"trained"}
    assert {part["members"] for part in provenances(store).values()} == {1}
    assert set(train(tmp_path / "other", Deadline(0.0)).values()) == {"waiting"}


def test_ctrl_c_leaves_checkpoints_of_all_and_ends_the_call(tmp_path):
    store = tmp_path / "store"

    class Impatient(Deadline):
        def __call__(self, state):
            if state.ensemble_size == 3 and state.step == 4:
                signal.raise_signal(signal.SIGINT)
            return super().__call__(state)

    with pytest.raises(Interrupted, match="after step 4 of 6"):
        train(store, Impatient(1e12))
    assert all(has_begun(FileStore(store), each.id) for each in (ONE, TWO, THREE))


def test_what_is_wanted_first_is_trained_first(tmp_path, monkeypatch):
    order = []
    replace_everywhere(
        monkeypatch, "bumplab.runs.store.load_or_train", lambda each, *_: order.append([each.id]) or None
    )
    replace_everywhere(
        monkeypatch,
        "bumplab.runs.ensembles.load_or_train_ensemble",
        lambda group, *_, **options: order.append([each.id for each in group]) or {},
    )
    last = OTHER.replace(world={"size": 10})
    studies = {"02-small": {OTHER: "none", ONE: "half", TWO: "all", last: "none"}}
    train(tmp_path / "store", studies=studies)
    assert order == [[OTHER.id], [ONE.id, TWO.id], [ONE.id], [TWO.id], [last.id]]  # what is left alone comes after it
    order.clear()
    train(tmp_path / "store", studies=studies, retrain=True)
    assert order == [[OTHER.id], [ONE.id], [TWO.id], [last.id]]


def test_a_member_that_fails_is_reported_and_not_tried_again(tmp_path, monkeypatch):
    failed = {ONE.id: BumplabError("Out of luck.")}
    replace_everywhere(monkeypatch, "bumplab.runs.ensembles.load_or_train_ensemble", lambda *_, **options: failed)
    assert train(tmp_path / "store")[ONE.id] == "failed"
    assert FileStore(tmp_path / "store").ids() == sorted(each.id for each in (OTHER, TWO, THREE))


@pytest.mark.parametrize(
    "error, message",
    [
        (RuntimeError("CUDA error"), "RuntimeError: CUDA error"),
        (BumplabError("The disk is full."), "The disk is full."),
    ],
)
def test_an_ensemble_that_fails_as_a_whole_does_not_stop_the_others(tmp_path, monkeypatch, error, message):
    store = tmp_path / "store"

    def fail(group, *_, **options):
        load_or_train(ONE, store=store, device="cpu", progress=False)  # stored before the others failed
        raise error

    replace_everywhere(monkeypatch, "bumplab.runs.ensembles.load_or_train_ensemble", fail)
    outcomes = train_lacking(STUDIES, store, jobs=1, device="cpu")
    failed = {"status": "failed", "error": message}
    assert outcomes == {
        OTHER.id: {"status": "trained"}, ONE.id: {"status": "trained"}, TWO.id: failed, THREE.id: failed
    }  # fmt: skip
    done = run_campaign(STUDIES, tmp_path / "out", None, 1, "cpu")
    assert done.runs == [OTHER.id, ONE.id] and done.outcomes[TWO.id] == failed


def interrupt(*_, **options):
    raise KeyboardInterrupt


def evaluation_interrupt(self, states, most):
    return interrupt() if states[0].step == 6 else [{} for _ in states]


@pytest.mark.parametrize(
    "place, substitute",
    [
        ("bumplab.runs.ensembles.load_or_train_ensemble", interrupt),
        ("bumplab.training.compilation.make_step", interrupt),
        ("bumplab.training.ensembles.Ensemble.evaluate", evaluation_interrupt),
    ],
    ids=["before", "compiling", "after"],
)
def test_ctrl_c_packs_what_there_is_wherever_it_strikes(tmp_path, monkeypatch, place, substitute):
    load_or_train(OTHER, device="cpu", progress=False)
    if "Ensemble." in place:
        monkeypatch.setattr(place, substitute)
    else:
        replace_everywhere(monkeypatch, place, substitute)
    told = r"Stopped; the same call goes on from there\. 1 runs and 0 checkpoints are packed in"
    with pytest.raises(Interrupted, match=told):
        run_campaign(STUDIES, tmp_path / "out", None, 1, "cpu")


def test_ctrl_c_counts_the_runs_that_are_asked_for():
    known = {"another": {"status": "known"}, ONE.id: {"status": "known"}}
    with pytest.raises(Interrupted, match=r"Stopped after 1 of 2 runs;"):
        run_tasks(interrupt, {ONE.id: ONE, TWO.id: TWO}, known, 1)


def test_finished_runs_are_read_once_where_nothing_trains_together(tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.training.ensembles.is_worthwhile", lambda device: False)
    studies = {"02-small": {ONE: "all", OTHER: "all"}}
    train(tmp_path / "store", studies=studies)
    reads, read = [], FileStore.get_whole
    monkeypatch.setattr(FileStore, "get_whole", lambda self, id: reads.append(id) or read(self, id))
    assert set(train(tmp_path / "store", studies=studies).values()) == {"trained"}
    assert reads == [ONE.id, OTHER.id]


def test_large_networks_and_several_processes_train_alone():
    small, large = ([preset(name, seed=seed) for seed in range(2)] for name in ("laptop", "paper"))
    assert plan_ensembles([*small, *large], 1, "cpu") == [small] and MAX_PARAMETERS < 17e6
    assert plan_ensembles(small, 2, "cpu") == []


@pytest.mark.parametrize(
    "begun, compile, seconds, expected",
    [(False, None, 300, False), (False, None, 500, None), (False, True, 300, True), (True, None, 300, None)],
)
def test_nothing_that_begins_is_compiled_by_itself_where_there_is_little_time(
    begun, compile, seconds, expected, tmp_path, monkeypatch
):
    given = []
    if begun:
        with stop_when(lambda state: state.step == 2), pytest.raises(Interrupted):
            load_or_train(ONE, store=tmp_path / "store", device="cpu", progress=False)
    replace_everywhere(monkeypatch, "bumplab.runs.store.load_or_train", lambda *values: given.append(values[-1]))
    deadline = Deadline(seconds * COMPILE_SECONDS / 100, clock=lambda: 0.0)
    train(tmp_path / "store", deadline, {"02-small": {ONE: "none"}}, compile=compile)
    assert given == [expected]


def test_a_deadline_leaves_time_for_the_checkpoints_of_all(tmp_path):
    deadline = Deadline(1.0, bytes_per_second=16 * deadlines.count_parameters(ONE), clock=lambda: -1.0)
    assert deadline.allows(ONE) and not deadline.allows(ONE, 3)  # 1.25 seconds each
    assert load_or_train(ONE, device="cpu", progress=False, store=tmp_path).provenance["execution"] == "eager"
