"""What is half precision and what is not, and how far from single precision training ends."""

import pytest
import torch
from torch import nn

from bumplab.models.unet import UNet
from bumplab.training.ensembles import Ensemble
from bumplab.training.loop import training_steps
from bumplab.training.mixed_precision import NORMS, cast_weights, norm_names
from bumplab.training.settings import preset
from bumplab.training.state import init_state

SMALL = preset("smoke", world={"size": 8}, model={"patch": 1}).replace(
    training={"steps": 200, "snapshots": (), "warmup_steps": 10}
)
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def begin(precision, **changes):
    """Return the first state; the CPU computes in fp16 where it is not asked whether it should."""
    state = init_state(SMALL.replace(**changes), "cpu", "fp32")
    state.precision, state.scaler = precision, torch.amp.GradScaler("cpu", enabled=precision == "fp16")
    return state


def go(state, steps):
    losses = []
    for _, _ in zip(range(steps), training_steps(state), strict=False):
        losses.append(float(state.loss_sum))
        state.loss_sum.zero_()
    return torch.tensor(losses)


def dtypes_within(precision):
    """Return the precision of what goes into every layer without parts, and of what comes out, during one step."""
    state, seen = begin(precision), {}
    for name, module in state.model.named_modules():
        if not list(module.children()):
            keep = lambda m, inputs, output, name=name: seen.update({name: (m, inputs[0].dtype, output.dtype)})  # noqa: E731
            module.register_forward_hook(keep)
    go(state, 1)
    return state, seen


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_layers_compute_in_half_precision_and_all_that_is_kept_is_single(precision):
    state, seen = dtypes_within(precision)
    assert sum(isinstance(module, nn.Conv2d) for module, *_ in seen.values()) > 10
    for name, (module, into, out) in seen.items():
        assert into == out == DTYPES[precision], name
        assert isinstance(module, NORMS) or module.training
    for parameter in state.model.parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
        assert {value.dtype for value in state.optimizer.state[parameter].values()} == {torch.float32}
    assert {each.dtype for each in (*state.ema_model.parameters(), state.loss_sum)} == {torch.float32}


def test_norms_compute_in_single_precision(monkeypatch):
    seen = set()
    for kind in NORMS:
        inner = kind.forward
        monkeypatch.setattr(
            kind, "forward", lambda m, x, inner=inner: (seen.add((x.dtype, m.weight.dtype)), inner(m, x))[1]
        )
    dtypes_within("bf16")
    assert seen == {(torch.float32, torch.float32)}


def test_all_but_norms_have_copies_and_gradients_come_back():
    model = UNet(SMALL.model)
    weights = dict(model.named_parameters())
    copies = cast_weights(model, weights, torch.bfloat16)
    norms = norm_names(model)
    assert list(copies) == list(weights) and len(norms) > 20
    for name, copy in copies.items():
        if name in norms:
            assert copy is weights[name]
        else:
            assert torch.equal(copy, weights[name].to(torch.bfloat16))
    sum(copy.float().square().sum() for copy in copies.values()).backward()
    for name, weight in weights.items():
        assert torch.equal(weight.grad, 2 * copies[name].float())


def test_single_precision_has_no_copies():
    model = UNet(SMALL.model)
    weights = dict(model.named_parameters())
    assert cast_weights(model, weights, None) is weights


@pytest.fixture(scope="module", params=["x0", "eps", "v"])
def early(request):
    """Return two states after some steps in single precision, when every weight has a gradient, by their changes."""
    both = [{"seed": 7}, {"seed": 8, "world": {"sigma": (2.0, 0.7), "fraction": 0.5}}]
    both = [each | {"diffusion": {"prediction_type": request.param}} for each in both]
    states = [begin("fp32", **changes) for changes in both]
    for state in states:
        go(state, 10)
    return list(zip(both, states, strict=True))


def go_on_in(precision, early):
    """Return copies of the states that go on in another precision."""
    copies = []
    for changes, state in early:
        copy = begin(precision, **changes)
        copy.model.load_state_dict(state.model.state_dict())
        copy.generator.set_state(state.generator.get_state())
        if precision == "fp16":
            copy.scaler.load_state_dict(copy.scaler.state_dict() | {"scale": 1024.0})
        copies.append(copy)
    return copies


def gradients(parameters):
    return torch.cat([parameter.grad.flatten() for parameter in parameters])


@pytest.mark.parametrize("precision, tolerance", [("bf16", 0.03), ("fp16", 0.005)])
def test_loss_and_gradient_in_half_precision_are_those_of_single_precision(early, precision, tolerance):
    exact, rough = (go_on_in(each, early[:1])[0] for each in ("fp32", precision))
    torch.testing.assert_close(go(rough, 1), go(exact, 1), rtol=0.002, atol=0)
    expected, found = (gradients(state.model.parameters()) for state in (exact, rough))
    assert 0 < (found - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("precision, tolerance", [("fp32", 1e-5), ("bf16", 0.03)])
def test_loss_and_gradient_of_a_member_are_those_of_the_run_alone(early, precision, tolerance):
    members, singles = (go_on_in(precision, early) for _ in range(2))
    ensemble = Ensemble(members)
    next(ensemble.steps())
    for k, (member, single) in enumerate(zip(members, singles, strict=True)):
        next(training_steps(single))
        torch.testing.assert_close(member.loss_sum, single.loss_sum, rtol=1e-6 if precision == "fp32" else 1e-3, atol=0)
        expected = gradients(single.model.parameters())
        found = torch.cat([stack.grad[k].flatten() for stack in ensemble.parameters.values()])
        assert (found - expected).norm() < tolerance * expected.norm()


@pytest.mark.parametrize("predicts", ["x0", "eps"])
def test_training_in_half_precision_follows_that_in_single_precision(predicts):
    exact, rough = (go(begin(each, diffusion={"prediction_type": predicts}), 60) for each in ("fp32", "bf16"))
    torch.testing.assert_close(rough[:5], exact[:5], rtol=0.002, atol=0)
    assert exact[-20:].mean() < 0.8 * exact[0]
    torch.testing.assert_close(rough[-20:].mean(), exact[-20:].mean(), rtol=0.02, atol=0)


def test_an_overflow_skips_the_step_and_halves_the_scale():
    state = begin("fp16")
    go(state, 1)
    before = [parameter.detach().clone() for parameter in state.model.parameters()]
    state.scaler.load_state_dict(state.scaler.state_dict() | {"scale": 2.0**40})
    go(state, 1)
    assert all(torch.equal(one, other) for one, other in zip(before, state.model.parameters(), strict=True))
    assert state.scaler.get_scale() == 2.0**39
    steps = {float(state.optimizer.state[parameter]["step"]) for parameter in state.model.parameters()}
    assert steps == {1.0}  # the optimiser has taken one step of two
