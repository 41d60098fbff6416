"""The UNet: shapes, named layers, captured outputs, and a condition that reaches every block."""

import pytest
import torch
from torch import nn

from bumplab.common.errors import BumplabError
from bumplab.models.layers import Attention, Block, sinusoidal_encoding
from bumplab.models.unet import UNet, UNetSettings
from bumplab.training.settings import preset

TINY = {"widths": (8, 12, 16, 20), "bottleneck_channels": 24, "depth": 1, "heads": 2, "encoding": 16}
BLOCKS = ("down1", "down2", "down3", "up1", "up2", "up3")


def network(**changes):
    torch.manual_seed(0)
    return UNet(UNetSettings(**(TINY | changes))).eval().requires_grad_(False)


def batch(size=16, n=3):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 1, size, size, generator=generator)
    return x, torch.linspace(0, 999, n), 16 * torch.rand(n, 2, generator=generator)


# ---------------------------------------------------------------- shape and size


@pytest.mark.parametrize("size, patch", [(8, 1), (20, 1), (32, 1), (16, 2), (24, 2), (20, 4), (40, 4), (64, 8)])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_output_has_the_shape_of_the_input(size, patch, depth):
    x, t, mu = batch(size)
    assert network(patch=patch, depth=depth)(x, t, mu).shape == x.shape


@pytest.mark.parametrize("size, patch", [(21, 2), (30, 4), (20, 8)])
def test_a_size_that_cannot_be_cut_into_patches_is_refused(size, patch):
    with pytest.raises(BumplabError, match=f"needs a size divisible by {patch}, got {size}.$"):
        UNetSettings(**TINY | {"patch": patch}).check_size(size)


def test_the_paper_preset_is_as_large_as_the_teaching_unet():
    assert 15e6 < UNet(preset("paper").model).size() < 25e6


def test_the_quick_preset_is_small():
    assert UNet(preset("quick").model).size() < 1e6


@pytest.mark.parametrize(
    "changes",
    [
        {"widths": (8, 8, 8)},
        {"widths": (8, 8, 8, 0)},
        {"bottleneck_channels": 1},
        {"depth": 0},
        {"patch": 0},
        {"heads": 0},
        {"encoding": 15},
        {"mu_frequency": 0},
        {"base": 1},
        {"width": 8},
    ],
    ids=str,
)
def test_an_impossible_network_is_refused_in_one_sentence(changes):
    with pytest.raises(BumplabError) as error:
        UNetSettings(**changes)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_start_at_answers_one_value_everywhere():
    model = network(patch=2)
    model.init_constant_output(-0.75)
    assert torch.equal(model(*batch()), torch.full((3, 1, 16, 16), -0.75))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_keeps_its_shape_with_any_heads_that_divide_its_channels(heads):
    assert Attention(8, heads)(torch.randn(2, 8, 4, 4)).shape == (2, 8, 4, 4)


def test_heads_that_do_not_divide_the_widths_are_refused():
    with pytest.raises(BumplabError, match="3 heads do not divide the widths"):
        UNetSettings(heads=3)


def test_attention_sees_every_position():
    torch.manual_seed(0)
    attention, x = Attention(8, 2), torch.randn(1, 8, 4, 4, requires_grad=True)
    attention(x)[0, :, 0, 0].sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()


# ---------------------------------------------------------------- layers


def test_the_layers_are_listed_in_order_of_execution():
    model, order = network(), []
    for name, module in model.named_children():
        module.register_forward_hook(lambda *_, name=name: order.append(name))
    model(*batch())
    assert tuple(order) == UNet.layer_names


def test_layer_4_is_the_second_attention():
    assert UNet.layer_name(4) == "attention2" and UNet.layer_name("attention2") == "attention2"


def test_capture_returns_what_a_forward_hook_sees():
    model, seen = network(), {}
    handles = [
        getattr(model, name).register_forward_hook(lambda *args, name=name: seen.update({name: args[2]}))
        for name in UNet.layer_names
    ]
    model(*batch())
    for handle in handles:
        handle.remove()
    by_name = model.run_with_cache(*batch(), UNet.layer_names)
    by_number = model.run_with_cache(*batch(), range(len(UNet.layer_names)))
    assert list(by_name) == list(by_number) == list(UNet.layer_names)
    for name, output in seen.items():
        assert torch.equal(by_name[name], output) and torch.equal(by_number[name], output)


def test_capture_returns_only_what_was_asked_for():
    kept = network().run_with_cache(*batch(), [4, "head", 4])
    assert set(kept) == {"attention2", "head"} and kept["attention2"].shape == (3, 16, 4, 4)


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_capture_leaves_no_hook_behind():
    model = network()
    model.run_with_cache(*batch(), UNet.layer_names)
    assert hooks(model) == 0


def test_capture_leaves_no_hook_behind_when_the_network_fails():
    model, (x, t, mu) = network(), batch()
    with pytest.raises(RuntimeError):
        model.run_with_cache(x.repeat(1, 2, 1, 1), t, mu, UNet.layer_names)
    assert hooks(model) == 0


@pytest.mark.parametrize("layer", [15, -1, "attention7", "", 4.0, None])
def test_an_unknown_layer_is_refused_and_leaves_no_hook(layer):
    model = network()
    with pytest.raises(BumplabError, match=r"^There is no layer .*: use 0 to 14 or one of stem, down1,") as error:
        model.run_with_cache(*batch(), ["stem", layer])
    assert "\n" not in str(error.value) and hooks(model) == 0


# ---------------------------------------------------------------- the condition


@pytest.mark.parametrize("length, highest, base", [(8, 1.0, 10_000.0), (16, 3.0, 100.0), (4, 0.5, 2.0)])
def test_the_encoding_has_its_closed_form(length, highest, base):
    values = torch.tensor([0.0, 1.0, 17.25])
    k = torch.arange(length // 2, dtype=torch.float64)
    angle = values.double()[:, None] * highest * base ** (-k / (length / 2))
    expected = torch.cat([angle.sin(), angle.cos()], 1)
    torch.testing.assert_close(sinusoidal_encoding(values, length, highest, base).double(), expected, atol=1e-5, rtol=0)


def test_the_condition_is_the_encodings_of_t_and_mu_in_a_row():
    model, (_, t, mu) = network(mu_frequency=2.0), batch()
    parts = sinusoidal_encoding(t, 16), sinusoidal_encoding(mu[:, 0], 16, 2.0), sinusoidal_encoding(mu[:, 1], 16, 2.0)
    assert torch.equal(model.encode(t, mu), torch.cat(parts, 1))


def test_every_block_receives_the_whole_condition():
    model, (x, t, mu) = network(), batch()
    received = {}
    for name, module in model.named_modules():
        if isinstance(module, Block):
            module.register_forward_pre_hook(lambda _, inputs, name=name: received.update({name: inputs[-1]}))
    model(x, t, mu)
    assert tuple(received) == BLOCKS
    assert all(torch.equal(encoding, model.encode(t, mu)) for encoding in received.values())


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("moved", ["t", "mu_x", "mu_y"])
def test_the_condition_moves_the_output_of_each_block_by_itself(block, moved):
    model, (x, t, mu) = network(), batch()
    for name in BLOCKS:  # only this block may listen
        if name != block:
            nn.init.zeros_(getattr(model, name).condition.weight)
    other = mu + torch.tensor({"t": (0.0, 0.0), "mu_x": (1.0, 0.0), "mu_y": (0.0, 1.0)}[moved])
    before = model.run_with_cache(x, t, mu, [block])[block]
    after = model.run_with_cache(x, t + (moved == "t"), other, [block])[block]
    assert ((after - before).abs().amax((1, 2, 3)) > 1e-3).all()
