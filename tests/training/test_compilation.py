"""Compiled steps: asked of a stand-in for the compiler, which takes minutes; once of the tracer that feeds it."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.training import checkpoints, compilation
from bumplab.training.checkpoints import save_checkpoint
from bumplab.training.compilation import (
    COMPILE_SECONDS,
    choose_compilation,
    compile_loss,
    is_worth_compiling,
    make_step,
)
from bumplab.training.cuda_graph import CudaGraphs
from bumplab.training.ensembles import Ensemble
from bumplab.training.loop import execute_steps, train, training_steps
from bumplab.training.settings import preset
from bumplab.training.state import init_state
from bumplab.training.step import Learner, restore_after

SMALL = preset("smoke", world={"size": 8}, model={"patch": 1}).replace(
    training={"steps": 10, "snapshots": (), "evaluate_every": 5}
)


class Compiler:
    """Takes the place of torch.compile: notes what it is given and returns what calls it."""

    def __init__(self, monkeypatch, error=None):
        self.options, self.calls, self.error = [], 0, error
        monkeypatch.setattr(torch, "compile", self)

    def __call__(self, function, **options):
        self.options.append(options)

        def compiled(*inputs):
            if self.error:
                raise self.error
            self.calls += 1
            return function(*inputs)

        return compiled


@pytest.fixture
def compiler(monkeypatch):
    return Compiler(monkeypatch)


def content(state):
    return {name: value.numpy().tobytes() for name, value in checkpoints._tensors(state).items()}


def trained(steps=4, compile=None, **changes):
    state = init_state(SMALL.replace(**changes), "cpu")
    for _, _ in zip(range(steps), training_steps(state, compile), strict=False):
        pass
    return state


def test_whoever_asks_gets_a_compiled_step_and_it_trains_as_ever(compiler, capsys):
    eager = trained()
    assert compiler.options == [] and eager.execution == "eager"
    state = trained(compile=True)
    assert compiler.options == [{"backend": "inductor", "dynamic": False}] and compiler.calls == 1 + 4  # one to try it
    assert state.execution == "compiled" and content(state) == content(eager)
    assert trained(compile=False).execution == "eager" and len(compiler.options) == 1
    assert capsys.readouterr().err == ""


def test_an_ensemble_is_compiled_as_one(compiler):
    states = [init_state(SMALL.replace(seed=seed), "cpu") for seed in (0, 1)]
    next(Ensemble(states).steps(compile=True))
    assert len(compiler.options) == 1 and {state.execution for state in states} == {"compiled"}


@pytest.mark.parametrize("error", [RuntimeError("No C++ compiler.\nTry one."), ValueError(), ImportError("triton")])
def test_without_a_compiler_a_sentence_says_so_and_the_numbers_are_the_same(monkeypatch, capsys, error):
    Compiler(monkeypatch, error)
    state = trained(compile=True)
    said = capsys.readouterr().err
    reason = str(error).replace("\n", " ").rstrip(".") or "ValueError"
    assert said == f"The training step cannot be compiled here ({reason}); it goes on as it is.\n"
    assert state.execution == "eager" and content(state) == content(trained())


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), BumplabError("No."), KeyboardInterrupt()]
)
def test_what_is_no_fault_of_the_compiler_is_not_laid_to_it(monkeypatch, error):
    Compiler(monkeypatch, error)
    with pytest.raises(type(error)):
        compile_loss(Learner.of(init_state(SMALL, "cpu")))


def test_whatever_happens_meanwhile_a_learner_is_set_back():
    state = trained()
    learner, before = Learner.of(state), content(state)
    with pytest.raises(ZeroDivisionError), restore_after(learner):
        make_step(learner, [state])()
        assert content(state) != before
        raise ZeroDivisionError
    assert content(state) == before


# ---------------------------------------------------------------- chosen by itself


@pytest.mark.parametrize("steps, seconds, pays", [(12_000, 0.1, True), (12_000, 0.01, False), (400, 0.1, False)])
def test_compiling_pays_where_it_saves_more_than_it_takes(steps, seconds, pays):
    assert is_worth_compiling(steps, seconds) == pays
    assert is_worth_compiling(2 * COMPILE_SECONDS, 1.01) and not is_worth_compiling(2 * COMPILE_SECONDS, 0.99)


def test_a_long_run_on_cuda_is_compiled_by_itself(monkeypatch):
    monkeypatch.setattr(compilation, "time_step", lambda learner, step: step)
    state = init_state(SMALL.replace(training={"steps": 12_000}), "cpu")
    learner = Learner.of(state)
    assert not choose_compilation(state, learner, lambda: 0.1)
    monkeypatch.setattr(Learner, "device", torch.device("cuda"))
    assert choose_compilation(state, learner, lambda: 0.1) and not choose_compilation(state, learner, lambda: 0.01)
    state.ensemble_size = 2
    assert not choose_compilation(state, learner, lambda: 0.1)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("execution, again", [("compiled", 1), ("eager", 0)])
@pytest.mark.parametrize("members", [1, 2])
def test_what_goes_on_stays_what_it_was_and_only_what_is_needed_is_recorded(
    members, execution, again, device, compiler, monkeypatch
):
    states = [init_state(SMALL.replace(seed=seed), "cpu") for seed in range(members)]
    learner = Ensemble(states).learner if members > 1 else Learner.of(states[0])
    next(execute_steps(learner, states, compile=execution == "compiled"))
    compiler.options.clear()
    recorded = []
    monkeypatch.setattr(compilation, "make_executor", lambda learner: recorded.append(learner.loss) or (lambda: None))
    monkeypatch.setattr(compilation, "rehearse", lambda learner: None)
    monkeypatch.setattr(Learner, "device", torch.device(device))
    next(execute_steps(learner, states))
    assert {state.execution for state in states} == {execution} and len(compiler.options) == again
    assert recorded == [learner.loss]  # of the loss that trains, and no other


@pytest.mark.parametrize("compile", [None, True, False])
def test_nothing_is_compiled_or_recorded_after_the_last_step(compile, compiler, monkeypatch, tmp_path, capsys):
    state = trained(10, compile=True)
    state.history["loss"].append([10, 1.0])
    save_checkpoint(state, tmp_path)
    compiler.options.clear()
    monkeypatch.setattr(compilation, "make_executor", lambda learner: pytest.fail("it is recorded"))
    state = train(SMALL, tmp_path, "cpu", progress=False, compile=compile)
    assert compiler.options == [] and state.step == 10 and capsys.readouterr().err == ""
    assert [session["execution"] for session in state.sessions] == ["compiled"]


def test_the_time_of_a_step_is_taken_without_training():
    state = trained()
    before, calls = content(state), []
    learner = Learner.of(state)
    step = make_step(learner, [state], compile=False)
    assert compilation.time_step(learner, lambda: (calls.append(1), step())) > 0
    assert len(calls) > 2 and content(state) == before


def test_on_cuda_what_is_compiled_is_tried_as_it_will_be_recorded(compiler, monkeypatch):
    tried = []
    monkeypatch.setattr(CudaGraphs, "warm_up", lambda self, step: (tried.append(self.device), step()))
    learner = Learner.of(init_state(SMALL, "cpu"))
    learner.set_rates(1e-3, 0.5)
    monkeypatch.setattr(Learner, "device", torch.device("cuda", 1))
    assert compile_loss(learner) and tried == [torch.device("cuda", 1)] and compiler.calls == 1
    monkeypatch.setenv("BUMPLAB_GRAPH", "0")
    assert compile_loss(learner) and len(tried) == 1 and compiler.calls == 3  # one within the other


# ---------------------------------------------------------------- what the record says


def test_a_run_goes_on_as_it_was_and_says_so_where_it_does_not(compiler, tmp_path, capsys):
    state = trained(3, compile=True)
    save_checkpoint(state, tmp_path)
    state = train(SMALL, tmp_path, "cpu", progress=False)
    assert state.execution == "compiled" and len(state.sessions) == 1 and capsys.readouterr().err == ""
    state = trained(3, compile=True)
    for path in tmp_path.iterdir():
        path.unlink()
    save_checkpoint(state, tmp_path)
    state = train(SMALL, tmp_path, "cpu", progress=False, compile=False)
    assert [session["execution"] for session in state.sessions] == ["compiled", "eager"]
    assert "goes on after step 3 with execution eager instead of compiled; the record" in capsys.readouterr().err


def test_a_checkpoint_from_before_there_was_a_choice_was_not_compiled(tmp_path):
    state = trained(3)
    del state.sessions[0]["execution"]
    save_checkpoint(state, tmp_path)
    state = train(SMALL, tmp_path, "cpu", progress=False)
    assert [session["execution"] for session in state.sessions] == ["eager"]


# ---------------------------------------------------------------- the tracer itself


class Backend:
    """Compiles nothing: notes the operations of each graph that is traced, and counts the calls of all."""

    def __init__(self):
        self.graphs, self.calls = [], 0

    def __call__(self, traced, inputs):
        parts = [part for part in traced.modules() if isinstance(part, torch.fx.GraphModule)]
        self.graphs.append({str(node.target) for part in parts for node in part.graph.nodes})

        def run(*values):
            self.calls += 1
            return traced(*values)

        return run


@pytest.mark.parametrize("members", [1, 2])
def test_the_loss_is_one_graph_without_the_table_and_gives_the_same_numbers(members):
    states = [init_state(SMALL.replace(seed=seed), "cpu", "bf16") for seed in range(members)]
    learner = Ensemble(states).learner if members > 1 else Learner.of(states[0])
    backend = Backend()
    assert compile_loss(learner, backend)
    before = backend.calls
    for _, _ in zip(range(3), execute_steps(learner, states), strict=False):
        pass
    assert before > 0 and backend.calls == before + 3  # what was traced is what trains
    (operations,) = backend.graphs  # no step was compiled anew
    assert len(operations) > 20 and not [name for name in operations if "cumprod" in name]
    plain = [init_state(SMALL.replace(seed=seed), "cpu", "bf16") for seed in range(members)]
    other = Ensemble(plain).learner if members > 1 else Learner.of(plain[0])
    for _, _ in zip(range(3), execute_steps(other, plain), strict=False):
        pass
    assert [content(state) for state in states] == [content(state) for state in plain]
