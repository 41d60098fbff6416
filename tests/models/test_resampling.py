"""Both forms of halving and stretching: one is PyTorch's, which judges the other."""

import pytest
import torch
from torch.nn import functional as F

from bumplab.models import layers
from bumplab.models.resampling import (
    halve,
    halve_by_windows,
    interpolation_matrix,
    stretch,
    stretch_by_matrices,
)
from bumplab.models.unet import UNet
from bumplab.training.settings import preset

SIZES = [(1, 1), (1, 2), (2, 2), (3, 5), (4, 4), (8, 8), (10, 7), (16, 16)]


def images(*shape):
    """Return images that need a gradient, no two pixels of which are equal."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, *shape, generator=generator).requires_grad_()


def value_and_gradient(function, x):
    y = function(x)
    weight = torch.linspace(-1, 2, y.numel()).view(y.shape)
    return y.detach(), *torch.autograd.grad((y * weight).sum(), x)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_maxima_of_windows_are_max_pooling_with_its_gradient(size):
    own = value_and_gradient(halve_by_windows, images(*size))
    torchs = value_and_gradient(lambda x: F.max_pool2d(x, 2, ceil_mode=True), images(*size))
    for found, expected in zip(own, torchs, strict=True):
        assert torch.equal(found, expected)


def test_equal_maxima_share_the_gradient():
    x = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]], requires_grad=True)
    halve_by_windows(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([[[[1 / 3, 1 / 3], [0.0, 1 / 3]]]]))


@pytest.mark.parametrize("after", [(1, 1), (2, 2), (5, 9), (8, 8), (20, 13), (32, 32)], ids=str)
@pytest.mark.parametrize("before", SIZES, ids=str)
def test_two_matrices_are_bilinear_interpolation_with_its_gradient(before, after):
    own = value_and_gradient(lambda x: stretch_by_matrices(x, after), images(*before))
    torchs = value_and_gradient(
        lambda x: F.interpolate(x, size=after, mode="bilinear", align_corners=True), images(*before)
    )
    for found, expected in zip(own, torchs, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("before, after", [(1, 4), (2, 3), (8, 16), (7, 32), (4, 1)])
def test_a_matrix_interpolates_straight_lines(before, after):
    matrix = interpolation_matrix(before, after)
    torch.testing.assert_close(matrix.sum(1), torch.ones(after))
    assert ((matrix > 0).sum(1) <= 2).all()
    torch.testing.assert_close(matrix @ torch.arange(float(before)), torch.linspace(0, before - 1, after))


def test_the_cpu_uses_the_operators_of_pytorch():
    x = images(6, 6).detach()
    assert torch.equal(halve(x), F.max_pool2d(x, 2, ceil_mode=True))
    assert torch.equal(stretch(x, (9, 9)), F.interpolate(x, size=(9, 9), mode="bilinear", align_corners=True))


def test_other_devices_than_the_cpu_decide_by_their_type(monkeypatch):
    used = []
    monkeypatch.setattr("bumplab.models.resampling.halve_by_windows", lambda x: used.append("windows"))
    monkeypatch.setattr("bumplab.models.resampling.stretch_by_matrices", lambda x, size: used.append("matrices"))

    class OnCuda:
        device = torch.device("cuda")

    halve(OnCuda())
    stretch(OnCuda(), (2, 2))
    assert used == ["windows", "matrices"]


@pytest.mark.parametrize("size, patch", [(32, 4), (20, 2), (20, 1)])
def test_a_network_answers_the_same_with_either_form(monkeypatch, size, patch):
    torch.manual_seed(0)
    model = UNet(preset("smoke", world={"size": size}, model={"patch": patch}).model)
    x, t, mu = torch.randn(4, 1, size, size), torch.linspace(0, 999, 4), size * torch.rand(4, 2)
    results = []
    for _ in range(2):
        model.zero_grad()
        model(x, t, mu).square().mean().backward()
        results.append([model(x, t, mu).detach(), *(parameter.grad.clone() for parameter in model.parameters())])
        monkeypatch.setattr(layers, "halve", halve_by_windows)
        monkeypatch.setattr(layers, "stretch", stretch_by_matrices)
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
