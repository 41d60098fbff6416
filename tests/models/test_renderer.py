"""The forced renderer against matrices by hand, its penalties against closed forms, the coordinate network by pixel."""

import math

import pytest
import torch
from torch.nn import functional as F

from bumplab.common.errors import BumplabError
from bumplab.models.renderer import (
    LEAK,
    CoordinateSettings,
    RendererSettings,
    continue_stripes,
    cut_rank,
    pixel_variance,
    rank_entropy,
)
from bumplab.worlds.bumps import BumpWorld

WORLD = BumpWorld(size=8)
GENERATOR = torch.Generator().manual_seed(0)


def make(**changes):
    renderer = RendererSettings(kind="renderer", rank=3, **changes)
    return renderer, renderer.init_weights(WORLD, torch.Generator().manual_seed(1))


def test_a_map_is_the_sum_of_its_terms():
    renderer, weights = make()
    expected = torch.zeros(8, 8)
    for k in range(3):
        left, right = weights["left"][1, 4, k], weights["right"][1, 4, k]
        expected += weights["strength"][1, 4, k] * torch.outer(left / left.norm(), right / right.norm())
    torch.testing.assert_close(renderer.render_maps(weights)[1, 4], expected)


def test_tied_maps_are_stripes_and_their_product_is_a_bump():
    renderer, weights = make(maps="tied", readout="product")
    profile = WORLD.profile(torch.arange(8.0), 0)
    weights["profile"] = torch.stack([profile, profile])
    drawn = renderer.draw(weights, renderer.inputs(WORLD, WORLD.lattice()), 8)
    torch.testing.assert_close(drawn, WORLD.brightness(WORLD.render(WORLD.lattice())))
    sums = WORLD.replace(kind="sos")
    drawn = renderer.replace(readout="sum").draw(weights, renderer.inputs(WORLD, WORLD.lattice()), 8)
    torch.testing.assert_close(drawn, sums.brightness(sums.render(sums.lattice())))


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_readout_is_four_convolutions(kernel):
    renderer, weights = make(kernel=kernel, channels=3)
    inputs = torch.tensor([[2, 5], [0, 7]])
    maps = renderer.render_maps(weights)
    image = torch.stack([maps[0][inputs[:, 0]], maps[1][inputs[:, 1]]], 1)
    for layer in range(1, 5):
        image = F.conv2d(image, weights[f"w{layer}"], weights[f"b{layer}"], padding=kernel // 2)
        image = F.leaky_relu(image, LEAK) if layer < 4 else image
    torch.testing.assert_close(renderer.draw(weights, inputs, 8), image[:, 0])


def test_the_penalties_are_zero_where_nothing_is_to_be_paid():
    _, weights = make()
    one_term = {**weights, "strength": torch.eye(3)[torch.zeros(2, 8, dtype=torch.long)]}
    assert float(rank_entropy(one_term)) == pytest.approx(0, abs=1e-6)
    even = {**weights, "strength": torch.ones(2, 8, 3)}
    assert float(rank_entropy(even)) == pytest.approx(16 * math.log(3), rel=1e-6)
    flat = {"left": torch.ones(2, 8, 3, 8), "right": torch.full((2, 8, 3, 8), -2.0)}
    assert float(pixel_variance(flat)) == 0
    spike = {**flat, "left": 8 * F.one_hot(torch.zeros(2, 8, 3, dtype=torch.long), 8).float()}
    assert float(pixel_variance(spike)) == pytest.approx(48 * 7)  # mean 1, mean square 8


def test_the_penalties_pull_every_weight_that_they_are_about():
    _, weights = make()
    weights = {name: value.requires_grad_() for name, value in weights.items()}
    (rank_entropy(weights) + pixel_variance(weights)).backward()
    pulled = {name for name, value in weights.items() if value.grad is not None and value.grad.abs().max() > 0}
    assert pulled == {"left", "right", "strength"}


def test_a_stripe_goes_on_from_the_rows_that_were_seen():
    maps = torch.rand(2, 5, 8, 8, generator=GENERATOR)
    rows = torch.tensor([True, True, True, False, False, False, False, True])
    whole = continue_stripes(maps, rows)
    for row in range(8):
        torch.testing.assert_close(whole[0, 3, row], maps[0, 3, rows].mean(0))
        torch.testing.assert_close(whole[1, 3, :, row], maps[1, 3][:, rows].mean(1))
    torch.testing.assert_close(continue_stripes(whole, rows), whole)
    assert torch.linalg.matrix_rank(whole[0, 3]) == 1
    with pytest.raises(BumplabError, match="give at least one"):
        continue_stripes(maps, torch.zeros(8, dtype=torch.bool))


def test_rank_one_is_the_best_there_is():
    maps = torch.rand(4, 8, 8, generator=GENERATOR).double()
    rest = (maps - cut_rank(maps, 2)).square().sum((1, 2))
    torch.testing.assert_close(rest, torch.linalg.svdvals(maps)[:, 2:].square().sum(1))


def test_a_coordinate_network_draws_pixel_by_pixel():
    network = CoordinateSettings(kind="coordinates", width=8, depth=3)
    weights = network.init_weights(WORLD, torch.Generator().manual_seed(0))
    inputs = torch.tensor([[2, 5], [0, 7]])
    images = network.draw(weights, inputs, 8)
    pixels = torch.tensor([[3, 6], [0, 0], [7, 1]])  # column, row
    torch.testing.assert_close(network.draw_pixels(weights, inputs, pixels), images[:, pixels[:, 1], pixels[:, 0]])


def test_axes_of_different_lengths_need_no_renderer():
    with pytest.raises(BumplabError, match="the same spacing"):
        RendererSettings(kind="renderer").init_weights(BumpWorld(size=8, spacing=(0.5, 1)), GENERATOR)
