"""What a CUDA graph needs of a training step, asked of a recorder in its place; and how CUDA itself is asked."""

import contextlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bumplab.common.errors import BumplabError
from bumplab.models import layers
from bumplab.models.resampling import halve_by_windows, stretch_by_matrices
from bumplab.training import checkpoints, compilation, cuda_graph, loop, step as step_module
from bumplab.training.checkpoints import resume, save_checkpoint
from bumplab.training.cuda_graph import WARM_UP_STEPS, CudaGraphs, make_executor, record_step
from bumplab.training.ensembles import Ensemble
from bumplab.training.loop import execute_steps, train, training_steps
from bumplab.training.settings import preset
from bumplab.training.state import init_optimizer, init_state
from bumplab.training.step import Learner, take_step

SMALL = preset("smoke", world={"size": 8}, model={"patch": 1}).replace(
    training={"steps": 10, "snapshots": (0, 5), "evaluate_every": 5}
)
#: Operators that make the host wait for what the device computes.
WAITING = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default, torch.ops.aten.nonzero.default}


class Watch(TorchDispatchMode):
    """Lists operators with the shapes of their tensors; refuses those that wait for the device."""

    def __init__(self):
        super().__init__()
        self.operators = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function in WAITING:
            raise AssertionError(f"{function} waits for the device")
        shapes = [tuple(value.shape) for value in arguments if isinstance(value, torch.Tensor)]
        self.operators.append((str(function), shapes))
        return function(*arguments, **(options or {}))


class Recorder:
    """Takes the place of a device's graphs: a replay is the step itself, watched."""

    def __init__(self):
        self.calls, self.replays, self.generators = [], [], []

    def warm_up(self, step):
        self.calls.append("warm up")
        for _ in range(WARM_UP_STEPS):
            step()

    def record(self, step, generators):
        self.calls.append("record")
        self.generators = list(generators)

        def replay():
            self.calls.append("replay")
            with Watch() as watch:
                step()
            self.replays.append(watch.operators)

        return replay


@pytest.fixture
def recorder(monkeypatch):
    """Let all training go through a recorder."""
    recorder = Recorder()
    monkeypatch.setattr(compilation, "make_executor", lambda learner: record_step(learner, recorder))
    return recorder


def begin(precision="fp32", **changes):
    state = init_state(SMALL.replace(**changes), "cpu", "fp32")
    state.precision, state.scaler = precision, torch.amp.GradScaler("cpu", enabled=precision == "fp16")
    return state


def content(state):
    return {name: value.numpy().tobytes() for name, value in checkpoints._tensors(state).items()}


def learners(kind):
    """Return states and their learner: one in some precision, or an ensemble."""
    if kind == "ensemble":
        states = [begin(seed=seed, world={"sigma": 1 + seed}) for seed in (0, 1, 2)]
        return states, Ensemble(states).learner
    states = [begin(kind)]
    return states, Learner.of(states[0])


KINDS = ["fp32", "bf16", "fp16", "ensemble"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_step_trains_as_the_plain_one_bit_for_bit(kind, recorder, monkeypatch):
    states, learner = learners(kind)
    for _, _ in zip(range(4), execute_steps(learner, states), strict=False):
        pass
    assert recorder.calls == ["warm up", "record", *["replay"] * 4]
    assert recorder.generators == [state.generator for state in states]
    monkeypatch.undo()
    plain, learner = learners(kind)
    for _, _ in zip(range(4), execute_steps(learner, plain), strict=False):
        pass
    assert [content(state) for state in states] == [content(state) for state in plain]
    assert [state.scaler.state_dict() for state in states] == [state.scaler.state_dict() for state in plain]


@pytest.mark.parametrize("kind", KINDS)
def test_every_replay_is_the_same_operators_on_the_same_shapes_in_the_same_order(kind, recorder):
    states, learner = learners(kind)
    for _, _ in zip(range(4), execute_steps(learner, states), strict=False):
        pass
    first, *others = recorder.replays
    assert len(first) > 500 and all(other == first for other in others)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_outlives_a_step_keeps_its_place_in_memory(kind, recorder):
    states, learner = learners(kind)

    def places():
        scale = [learner.scaler._scale, learner.scaler._growth_tracker] if kind == "fp16" else []
        rates = [learner.learning_rate, learner.ema_weight, learner.optimizer.param_groups[0]["lr"]]
        return [tensor.data_ptr() for tensor in (*learner.changing_tensors(), *rates, *scale)]

    steps = execute_steps(learner, states)
    next(steps)
    before = places()
    for _ in range(3):
        next(steps)
        loop._log(states[0])
    assert places() == before
    saved = [tensor for state in states for tensor in checkpoints._tensors(state).values() if tensor.ndim]
    assert len({tensor.data_ptr() for tensor in saved}) == len(saved)  # what is saved is no copy of one place


def test_a_checkpoint_is_loaded_into_the_same_place_and_a_recorded_step_goes_on_from_it(recorder, tmp_path):
    state = begin(training={"snapshots": ()})
    steps = training_steps(state)
    for _ in range(3):
        next(steps)
    state.history["loss"].append([3, 1.0])
    save_checkpoint(state, tmp_path)
    next(steps)
    expected = content(state)
    places = [tensor.data_ptr() for tensor in Learner.of(state).changing_tensors()]
    resume(state, tmp_path)
    assert state.step == 3 and content(state) != expected
    assert [tensor.data_ptr() for tensor in Learner.of(state).changing_tensors()] == places
    next(training_steps(state))
    assert content(state) == expected


def test_a_recorded_run_with_a_break_is_the_plain_run_without_one(recorder, tmp_path, monkeypatch):
    state = init_state(SMALL, "cpu")
    first, second, third = (tmp_path / name for name in "abc")
    first.mkdir()
    loop.save_snapshot(state, first)
    for _, _ in zip(range(4), training_steps(state), strict=False):
        loop._log(state)
    save_checkpoint(state, first)
    broken, whole = (train(SMALL, folder, "cpu", progress=False) for folder in (first, second))
    assert recorder.calls.count("record") == 3 and recorder.calls.count("warm up") == 3
    monkeypatch.undo()
    plain = train(SMALL, third, "cpu", progress=False)
    assert content(broken) == content(whole) == content(plain)
    assert broken.history == whole.history == plain.history and broken.snapshots == plain.snapshots


def test_the_watch_sees_a_step_that_waits_for_the_device(recorder, monkeypatch):
    inner = step_module.draw_batch
    monkeypatch.setattr(step_module, "draw_batch", lambda learner: (float(learner.loss_sum), inner(learner))[1])
    with pytest.raises(AssertionError, match="_local_scalar_dense.default waits for the device"):
        next(training_steps(begin()))


def test_the_device_decides_whether_a_step_is_recorded(monkeypatch):
    recorded = []
    monkeypatch.setattr(cuda_graph, "record_step", lambda learner, graphs, step: recorded.append(graphs.device))
    learner = Learner.of(begin())
    make_executor(learner)()
    assert recorded == [] and float(learner.loss_sum) > 0
    monkeypatch.setattr(Learner, "device", torch.device("cuda", 1))
    make_executor(learner)
    assert recorded == [torch.device("cuda", 1)]


# ---------------------------------------------------------------- how CUDA is asked


class Stream:
    def __init__(self, log, name):
        self.log, self.name = log, name

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")


@pytest.fixture
def cuda(monkeypatch):
    """Put a log in the place of CUDA: nothing here has a device."""
    log = []

    @contextlib.contextmanager
    def within(what):
        log.append(f"enter {what}")
        yield
        log.append(f"leave {what}")

    class Graph:
        def register_generator_state(self, generator):
            log.append(f"register {generator}")

        def replay(self):
            log.append("replay")

    monkeypatch.setattr(torch.cuda, "device", lambda device: within(device))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream(log, "main"))
    monkeypatch.setattr(torch.cuda, "Stream", lambda: Stream(log, "side"))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: within(stream.name))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(
        torch.cuda, "graph", lambda graph, stream, capture_error_mode: within(f"graph on {stream.name}")
    )
    return log


def test_cuda_warms_up_aside_and_records_with_registered_generators(cuda):
    def step():
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        cuda.append("step")

    graphs = CudaGraphs(torch.device("cuda", 0))
    graphs.warm_up(step)
    assert cuda == [
        "enter cuda:0", "side waits for main", "enter side", *["step"] * WARM_UP_STEPS, "leave side",
        "main waits for side", "leave cuda:0",
    ]  # fmt: skip
    cuda.clear()
    replay = graphs.record(step, ["a", "b"])
    assert cuda == [
        "enter cuda:0", "register a", "register b", "enter graph on side", "step", "leave graph on side",
        "leave cuda:0",
    ]  # fmt: skip
    cuda.clear()
    replay()
    assert cuda == ["replay"]
    assert not torch.are_deterministic_algorithms_enabled() and torch.utils.deterministic.fill_uninitialized_memory


def test_a_step_that_fails_leaves_the_switches_as_they_were(cuda):
    def step():
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        CudaGraphs(torch.device("cuda", 0)).warm_up(step)
    assert not torch.are_deterministic_algorithms_enabled() and torch.utils.deterministic.fill_uninitialized_memory


# ---------------------------------------------------------------- a device without values


class OneDevice(TorchDispatchMode):
    """Refuses operators on tensors of the CPU."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        tensors = [value for value in tree_leaves((arguments, options, result)) if isinstance(value, torch.Tensor)]
        assert {tensor.device.type for tensor in tensors} <= {"meta"}, f"{function} takes or makes a tensor of the CPU"
        return result


@pytest.fixture
def meta(monkeypatch):
    """Teach the device that has shapes and no values what a step needs; give networks the forms that CUDA uses."""
    library = torch.library.Library("aten", "IMPL", "Meta")
    for name in ("_fused_adamw_.tensor_lr", "_amp_foreach_non_finite_check_and_unscale_"):
        library.impl(name, lambda *arguments, **options: None)
    library.impl("_amp_update_scale_", lambda scale, *arguments: scale)
    monkeypatch.setattr(layers, "halve", halve_by_windows)
    monkeypatch.setattr(layers, "stretch", stretch_by_matrices)
    yield torch.device("meta")
    library._destroy()


@pytest.mark.parametrize(
    "world", [{}, {"kind": "sos", "periodic": True}, {"kind": "bump+stripes", "margin": 2}], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_stays_on_its_device_and_reads_no_value(kind, world, meta):
    states = [begin("fp32", seed=seed, world=world) for seed in range(3 if kind == "ensemble" else 1)]
    for state in states:
        state.model.to(meta), state.ema_model.to(meta)
        state.device, state.generator = meta, None
        state.precision = "bf16" if kind == "ensemble" else kind
        state.conditions, state.loss_sum = state.conditions.to(meta), state.loss_sum.to(meta)
        state.optimizer = init_optimizer(state.model.parameters(), state.settings.training)
        state.scaler = torch.amp.GradScaler("meta", enabled=kind == "fp16")
    learner = Ensemble(states).learner if kind == "ensemble" else Learner.of(states[0])
    take_step(learner)  # the table of noise levels is made on the CPU, once
    with OneDevice():
        take_step(learner)
        learner.set_rates(1e-3, 0.5)
    with pytest.raises(RuntimeError, match="meta"):
        learner.loss_sum.sum().item()  # what a step cannot have done


def test_a_step_that_cannot_be_recorded_says_what_to_set(monkeypatch):
    learner = Learner.of(init_state(SMALL, "cpu"))
    monkeypatch.setattr(Learner, "device", torch.device("cuda"))
    monkeypatch.setattr(cuda_graph, "CudaGraphs", lambda device: None)

    def fail(*_):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing.\nMore lines.")

    monkeypatch.setattr(cuda_graph, "record_step", fail)
    told = r"^The training step cannot be recorded as a CUDA graph here \(CUDA error: .*lines\); set BUMPLAB_GRAPH=0 to"
    with pytest.raises(BumplabError, match=told):
        make_executor(learner)
    monkeypatch.setenv("BUMPLAB_GRAPH", "0")
    assert make_executor(learner).func is take_step
