"""Denoising without a condition: filters against dense layers and theory, networks against exact denoisers."""

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import as_network
from bumplab.diffusion.analytic_sets import LatticeDenoiser
from bumplab.diffusion.analytic_spectra import gaussian_of_world
from bumplab.diffusion.linear import optimal_weights, quadrature
from bumplab.diffusion.linear_wrappers import VariancePreserving
from bumplab.toys.denoising import DenoisingSettings, log_steps
from bumplab.toys.denoising_networks import linear_weights, noise_range
from bumplab.toys.mode_shells import shells_of
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import train_toy, train_toys

SMALL = {"size": 8, "periodic": True}
FILTER = DenoisingSettings(world=SMALL, network={"kind": "filter"}, batch=0, steps=20)
TYPES = ("x0", "v", "eps")


def variances(settings, weights):
    return {name: 10**value for name, value in settings.measure(weights)["log_variance"].items()}


def shell_means(values, size):
    return {name: values.flatten()[rows].mean() for name, rows in shells_of(size).items()}


@pytest.mark.parametrize("prediction_type", TYPES)
def test_the_loss_of_a_filter_is_the_mean_over_noise_and_levels(prediction_type):
    settings = FILTER.replace(diffusion={"prediction_type": prediction_type})
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(w.shape, generator=generator) / 8 for name, w in settings.init_weights().items()}
    (x0,) = settings.samples()
    loss = DenoisingSettings.stack_loss([settings], torch.device("cpu"))
    stacked = {name: value[None] for name, value in weights.items()}
    exact = loss(stacked, (x0[None],), [generator])
    t = settings.network.timesteps(settings.diffusion).repeat_interleave(4 * len(x0))
    x0 = x0.repeat(4 * settings.network.levels, 1, 1, 1)
    eps = torch.randn(x0.shape, generator=generator)
    drawn = settings.diffusion.loss(lambda x, t, mu: settings.predict(weights, x, t), x0, t[:, None], t, eps)
    assert drawn.item() == pytest.approx(exact.item(), rel=0.02)


@pytest.mark.parametrize("prediction_type", TYPES)
def test_adam_moves_a_fully_connected_layer_as_a_filter(prediction_type):
    """A dense layer for each of three noise levels: it stays circulant, with the taps of the filter."""
    settings = FILTER.replace(diffusion={"prediction_type": prediction_type}, network={"levels": 8})
    flat, levels = settings.samples()[0].flatten(1).double(), [1, 4, 6]
    weights = {name: value[None].double().requires_grad_() for name, value in settings.init_weights().items()}
    dense = torch.zeros(3, 64, 64, dtype=torch.float64, requires_grad=True)
    bias = weights["bias"].detach()[0, levels][:, None].repeat(1, 64).requires_grad_()
    loss_of_filter = DenoisingSettings.stack_loss([settings], torch.device("cpu"))
    diffusion, t = settings.diffusion, settings.network.timesteps(settings.diffusion)[levels]
    one, none = torch.ones(3, 1, 1, 1), torch.zeros(3, 1, 1, 1)
    parts = (diffusion.target(one, none, t), diffusion.target(none, one, t), *diffusion.signal_and_noise_scale(t))
    of_x0, of_eps, signal, noise = (part[:, 0].double() for part in parts)
    adams = [torch.optim.Adam(each, lr=1e-3) for each in ([*weights.values()], [dense, bias])]
    for _ in range(10):
        clean = (signal * dense - of_x0 * torch.eye(64)) @ flat.T + bias[:, :, None]
        loss = clean.square().mean(2).sum() + (noise * dense - of_eps * torch.eye(64)).square().sum()
        (loss / 8).backward()  # a tap has the gradient of 64 entries, its loss is a mean over 8 levels
        loss_of_filter(weights, (flat.view(1, -1, 1, 8, 8),), []).sum().backward()
        for adam in adams:
            adam.step()
            adam.zero_grad()
    taps, close = weights["filter"].detach()[0, levels].roll((-4, -4), (1, 2)), {"atol": 1e-8, "rtol": 1e-5}
    torch.testing.assert_close(dense.detach()[:, :, 0].reshape(3, 8, 8), taps, **close)
    torch.testing.assert_close(dense.detach()[:, :, 9].reshape(3, 8, 8), taps.roll((1, 1), (1, 2)), **close)
    torch.testing.assert_close(bias.detach()[:, 5], weights["bias"].detach()[0, levels], **close)


@pytest.mark.parametrize("prediction_type", TYPES)
@pytest.mark.parametrize("network", [{"kind": "filter"}, {"kind": "mlp", "width": 8}])
def test_networks_begin_where_the_theory_does(prediction_type, network):
    settings = DenoisingSettings(world=SMALL, network=network, diffusion={"prediction_type": prediction_type})
    theory = VariancePreserving(prediction_type=prediction_type)
    expected = theory.variances(settings.spectrum.flatten().numpy(), [0.0], noise_range(settings.diffusion))[0]
    steps_of_euler = 1.15 if prediction_type == "v" and network["kind"] != "filter" else 1
    generated = variances(settings, settings.init_weights())
    scatter = 1e-3 if network["kind"] == "filter" else 0.35
    for name, value in shell_means(expected, settings.world.size).items():
        assert generated[name] == pytest.approx(value * steps_of_euler, rel=scatter)


@pytest.mark.parametrize("prediction_type", TYPES)
def test_the_best_filter_generates_the_variances_of_the_data(prediction_type):
    settings = FILTER.replace(diffusion={"prediction_type": prediction_type})
    t = settings.network.timesteps(settings.diffusion)
    signal, noise = (part.double() for part in settings.diffusion.signal_and_noise_scale(t))
    low, high = noise_range(settings.diffusion)
    best = torch.from_numpy(
        optimal_weights(settings.spectrum.flatten().numpy(), quadrature((low, high), 24)[0]).T
    ).reshape(-1, 1, 8, 8)
    gain = {"x0": best / signal, "v": (signal - best / signal) / noise, "eps": (1 - best) / noise}[prediction_type]
    taps = torch.fft.ifft2(gain[:, 0]).real.roll((4, 4), (1, 2))
    weights = {"filter": taps.float(), "bias": torch.zeros(24)}
    np.testing.assert_allclose(
        linear_weights(settings.network.gains(weights, 8), settings.diffusion, t),
        best[:, 0].flatten(1).T, atol=2e-4
    )  # fmt: skip
    spectrum = settings.spectrum.numpy()
    expected = shell_means(high**2 * (spectrum + low**2) / (spectrum + high**2), 8)
    for name, value in variances(settings, weights).items():
        assert value == pytest.approx(expected[name], rel=0.02)


def measured_of(settings, theory, monkeypatch):
    network = as_network(theory, settings.diffusion)
    monkeypatch.setattr(DenoisingSettings, "predict", lambda self, weights, x, t, *mu: network(x, t, x))
    return settings.measure({})


def test_the_exact_denoisers_measure_as_themselves(monkeypatch):
    settings = DenoisingSettings(world=SMALL | {"size": 16})
    spectrum = shell_means(settings.spectrum.numpy(), 16)
    gaussian = measured_of(settings, gaussian_of_world(settings.world), monkeypatch)
    lattice = measured_of(settings, LatticeDenoiser(settings.world), monkeypatch)
    for shares, own, other in ((gaussian, "gaussian", "lattice"), (lattice, "lattice", "gaussian")):
        assert shares["explained"][f"{own}-1"] > 0.999 > 0.9 > shares["explained"][f"{other}-1"]
        assert shares["explained"][f"{other}-5"] > 0.8
    assert lattice["images"]["bumps"] == 1 and lattice["images"]["residual"] < 0.02
    assert gaussian["images"]["bumps"] < 0.05
    strong = [name for name, value in spectrum.items() if value > 1e-3]
    assert len(strong) > 10
    for name in strong:  # by 32 steps of Euler, from 256 draws
        assert 10 ** gaussian["log_variance"][name] == pytest.approx(spectrum[name], rel=0.4)
    assert gaussian["covariance"]["diagonal"] > 0.7


def test_a_network_that_is_told_the_place_is_compared_with_it(monkeypatch):
    settings = DenoisingSettings(world=SMALL | {"size": 16}, network={"kind": "unet", "patch": 2}, conditional=True)
    lattice = measured_of(settings, LatticeDenoiser(settings.world), monkeypatch)  # it pays no heed
    assert lattice["images"]["right"] < 0.05 < lattice["images"]["bumps"] == 1
    smear = settings.world.replace(sigma=2)

    def told(self, weights, x, t, mu):
        return smear.render(mu) / 4 - 3 / 4  # a wider bump of the same brightness in all

    monkeypatch.setattr(DenoisingSettings, "predict", told)
    measured = settings.measure({})
    assert measured["images"]["right"] == 0
    of_bump, of_smear = (settings.world.replace(sigma=width).profile(torch.zeros(1), 0)[0] for width in (1, 2))
    amplitudes = torch.fft.fft(of_smear).real / torch.fft.fft(of_bump).real / 2
    for k in range(1, 4):
        assert measured["transfer"][f"k{k}-0"] == pytest.approx(float(amplitudes[k]), abs=5e-3)


def test_gaussian_data_have_the_spectrum_they_are_named_for():
    for data in ("gaussian", "white"):
        settings = FILTER.replace(data=data)
        (x,) = settings.samples()
        power = torch.fft.fft2(x - settings.mean, norm="ortho").abs().square().mean(0)[0].double()
        power[0, 0] = settings.spectrum[0, 0] = 0.0
        torch.testing.assert_close(power, settings.spectrum, rtol=0.15, atol=1e-12)
    white = FILTER.replace(data="white").spectrum
    assert white.flatten()[1:].unique().numel() == 1 and white.sum() == pytest.approx(FILTER.spectrum.sum())


def test_what_training_shows_are_the_bumps_of_the_world():
    half = FILTER.replace(world={"fraction": 0.5})
    (x,) = half.samples()
    torch.testing.assert_close(x, half.world.render(half.world.seen()))
    assert len(x) == 32
    torch.testing.assert_close(half.spectrum, FILTER.spectrum)


def test_measurements_come_at_logarithmic_steps():
    settings = FILTER.replace(steps=30, measurements=4)
    history = train_toy(settings, "cpu", progress=False).history
    assert [row["step"] for row in history["measurements"]] == log_steps(30, 4).tolist() == [1, 3, 10, 30]
    assert [step for step, _ in history["loss"]] == [1, 3, 10, 30]


@pytest.mark.parametrize("network", [{"kind": "mlp", "width": 16, "depth": 2}, {"kind": "unet", "patch": 2}])
def test_networks_learn_alone_as_in_a_stack(network):
    world = {"size": 16, "periodic": True}
    base = DenoisingSettings(world=world, network=network, steps=4, batch=8, measurements=1)
    members = [base.replace(seed=seed) for seed in (0, 1)]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        for name, value in alone.weights.items():
            torch.testing.assert_close(state.weights[name], value, atol=1e-4, rtol=1e-3)


def test_adam_turns_the_law_of_descent_into_another():
    """Nothing that is measured of a filter is random: two seeds agree."""
    one, other = (train_toy(FILTER.replace(seed=seed), "cpu", progress=False) for seed in (0, 1))
    assert one.history["measurements"] == other.history["measurements"]
    assert one.history["loss"][-1][1] < one.history["loss"][0][1]


def test_settings_come_back_from_their_record_and_have_names_of_their_own():
    kinds = [
        {"kind": "filter"},
        {"kind": "filter", "taps": 3},
        {"kind": "unet"},
        {"kind": "mlp"},
        {"kind": "mlp", "width": 9},
    ]
    every = [DenoisingSettings(network=network) for network in kinds]
    assert all(DenoisingSettings.from_record(each.to_record()) == each for each in every)
    assert len({each.id for each in every}) == len(kinds)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"world": {"size": 8}}, "needs a periodic world of bumps of spacing 1"),
        ({"world": SMALL | {"spacing": 2}}, "needs a periodic world of bumps of spacing 1"),
        ({"world": SMALL | {"kind": "sos"}}, "needs a periodic world of bumps of spacing 1"),
        ({"world": SMALL | {"fraction": 0.5}, "data": "white"}, "no places to hold out"),
        ({"network": {"kind": "filter", "taps": 4}}, "odd number of taps below 16, or 0"),
        ({"network": {"kind": "filter", "taps": 17}}, "odd number of taps below 16, or 0"),
        ({"network": {"kind": "perceptron"}}, "perceptron"),
        ({"conditional": True}, "Only a UNet hears a condition"),
        ({"conditional": True, "network": {"kind": "unet"}, "data": "white"}, "Only a UNet hears a condition"),
        ({"measurements": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        DenoisingSettings(**changes)
