"""Changed encodings against the network's own, and against complex numbers."""

import numpy as np
import pytest
import torch

from bumplab.analysis import encodings
from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet, UNetSettings
from bumplab.worlds.bumps import BumpWorld

SETTINGS = UNetSettings(
    widths=(4, 4, 4, 4), bottleneck_channels=4, heads=1, patch=4, depth=1, encoding=16, mu_frequency=0.7
)
PLACES = torch.linspace(0, 31, 13)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return UNet(SETTINGS).eval().requires_grad_(False)


def heard(model, axis):
    mu = torch.zeros(len(PLACES), 2)
    mu[:, axis] = PLACES
    return model.encode(torch.full((len(PLACES),), 9.0), mu).unflatten(1, (3, 16))


@pytest.mark.parametrize("axis", [0, 1])
def test_without_a_shift_the_encoding_is_the_networks_own_bit_for_bit(model, axis):
    assert torch.equal(encodings.encode_places(SETTINGS, PLACES), heard(model, axis)[:, axis + 1])


def test_each_component_is_read_at_its_own_place():
    shift = torch.linspace(-3, 3, 8)
    ours = encodings.encode_places(SETTINGS, PLACES, shift).double().numpy()
    frequency = 0.7 * 10_000.0 ** (-np.arange(8) / 8)
    turn = np.exp(1j * (PLACES.double().numpy()[:, None] + shift.double().numpy()) * frequency)
    np.testing.assert_allclose(ours, np.concatenate([turn.imag, turn.real], axis=1), atol=1e-5)


def test_ablation_holds_the_fastest_at_their_mean_and_leaves_the_others():
    reference = torch.arange(20.0)
    plain, mean = encodings.encode_places(SETTINGS, PLACES), encodings.encode_places(SETTINGS, reference).mean(0)
    ablated = encodings.mean_ablate_fastest(SETTINGS, PLACES, 3, reference)
    fast = torch.tensor([0, 1, 2, 8, 9, 10])
    slow = torch.tensor([k for k in range(16) if k not in fast])
    assert torch.equal(ablated[:, fast], mean[fast].expand(13, 6)) and torch.equal(ablated[:, slow], plain[:, slow])
    assert torch.equal(encodings.mean_ablate_fastest(SETTINGS, PLACES, 0, reference), plain)
    for count in (-1, 9):
        with pytest.raises(BumplabError, match=f"0 to 8 of them, got {count}"):
            encodings.mean_ablate_fastest(SETTINGS, PLACES, count, reference)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_replaced_encoding_touches_one_axis_and_is_put_back(model, axis):
    before = heard(model, axis)
    with encodings.replace_encoding(model, axis, lambda x: x[:, None].expand(-1, 16)):
        inside = heard(model, axis)
    assert torch.equal(inside[:, axis + 1], PLACES[:, None].expand(-1, 16))
    others = [part for part in range(3) if part != axis + 1]
    assert torch.equal(inside[:, others], before[:, others])
    assert torch.equal(heard(model, axis), before) and "encode" not in model.__dict__


def test_replacements_are_nested_and_put_back_after_an_error(model):
    before = heard(model, 0)
    with encodings.replace_encoding(model, 0, lambda x: torch.ones(len(x), 16)):
        outer = heard(model, 0)
        with pytest.raises(RuntimeError, match="stop"), encodings.replace_encoding(model, 1, lambda x: 0 * outer[:, 0]):
            assert not heard(model, 0)[:, 2].any() and torch.equal(heard(model, 0)[:, 1], outer[:, 1])
            raise RuntimeError("stop")
        assert torch.equal(heard(model, 0), outer)
    assert torch.equal(heard(model, 0), before)
    with pytest.raises(BumplabError, match="0 for mu_x or 1 for mu_y, got 2"):
        encodings.replace_encoding(model, 2, abs).__enter__()


class Painter(torch.nn.Module):
    """Draws the place that two of its encoding's components say, as a network that has learnt to."""

    settings = SETTINGS
    encode = UNet.encode

    def forward(self, x, t, mu):
        code = self.encode(t, mu)[:, 16:32]
        frequency = encodings.encoding_frequencies(SETTINGS)
        place = torch.atan2(code[:, 3], code[:, 11]) / frequency[3]  # the fourth frequency: a sine and a cosine
        return BumpWorld().render(torch.stack([place, mu[:, 1]], 1))


def test_the_bump_follows_the_component_that_carries_its_place_and_no_other():
    mu = torch.tensor([[4.0, 9.0], [11.0, 20.0]])
    groups = (torch.tensor([3]), torch.tensor([0, 1, 2]), torch.arange(8))
    response = encodings.shift_response(Painter(), BumpWorld(), Diffusion(predicts="x0"), mu, groups, by=2.0, steps=1)
    np.testing.assert_allclose(response, [[1, 1], [0, 0], [1, 1]], atol=0.05)
