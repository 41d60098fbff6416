"""The diffusion transformer: what it does at the start, what it cannot tell apart, and that it learns."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.models.attention import TokenAttention
from bumplab.models.dit import DiT, DiTBlock, cut_patches, grid_positions, join_patches
from bumplab.training.step import over_stack


def stirred(model, seed=0):
    """Return a model with weights that are nowhere 0, as after training."""
    torch.manual_seed(seed)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    return model


def permuted(x, order, patch):
    return join_patches(cut_patches(x, patch)[:, order], patch)


@pytest.mark.parametrize("heads, causal", [(1, False), (2, True), (4, False)])
def test_attention_is_the_sum_that_its_definition_says(heads, causal):
    torch.manual_seed(1)
    attention, x = TokenAttention(8, heads, causal=causal), torch.randn(2, 5, 8)
    shares = attention.weights(x)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, heads, 5))
    value = attention.key_value(x)[..., 8:].unflatten(2, (heads, -1))
    expected = torch.zeros(2, 5, 8)
    for n in range(2):
        for place in range(5):
            parts = [sum(shares[n, h, place, k] * value[n, k, h] for k in range(5)) for h in range(heads)]
            expected[n, place] = attention.out(torch.cat(parts))
    torch.testing.assert_close(attention(x), expected)
    assert (shares.triu(1).abs().max() == 0) == causal


def test_a_hook_takes_a_head_out():
    torch.manual_seed(1)
    attention, x = TokenAttention(8, 2), torch.randn(2, 5, 8)
    with torch.no_grad():
        attention.mixed.register_forward_hook(lambda module, inputs, heads: heads * torch.tensor([1.0, 0.0])[:, None])
        without = attention(x)
        attention.out.weight[:, 4:] = 0
        attention.mixed._forward_hooks.clear()
        torch.testing.assert_close(without, attention(x))


@pytest.mark.parametrize("text_width", [0, 6])
def test_at_the_start_a_block_passes_its_input_on_and_the_network_says_nothing(text_width):
    block, tokens = DiTBlock(8, 2, text_width), torch.randn(3, 9, 8)
    text = torch.randn(3, 4, text_width) if text_width else None
    assert torch.equal(block(tokens, torch.randn(3, 8), text), tokens)
    model, x = DiT(size=6, patch=2, width=8, depth=2, heads=2, text_width=text_width), torch.randn(3, 1, 6, 6)
    assert torch.equal(model(x, torch.tensor([0.0, 5.0, 999.0]), text), torch.zeros_like(x))
    model(x, torch.zeros(3), text).sum().backward()
    assert model.out.bias.grad.abs().min() > 0  # and it can leave the start


@pytest.mark.parametrize("size, channels, patch", [(8, 1, 1), (8, 5, 2), (6, 3, 3), (4, 2, 4)])
def test_the_output_has_the_shape_of_the_input(size, channels, patch):
    model, x = stirred(DiT(size, channels, patch, width=8, depth=1, heads=2)), torch.randn(2, channels, size, size)
    assert model(x, torch.zeros(2)).shape == x.shape
    assert torch.equal(join_patches(cut_patches(x, patch), patch), x)
    assert torch.equal(cut_patches(x, patch)[0, 0].view(channels, patch, patch), x[0, :, :patch, :patch])


@pytest.mark.parametrize("patch", [1, 2])
def test_without_positions_permuted_patches_permute_the_output_and_with_them_not(patch):
    x, t, text = torch.randn(2, 3, 4, 4), torch.tensor([10.0, 500.0]), torch.randn(2, 5, 6)
    order = torch.randperm((4 // patch) ** 2, generator=torch.Generator().manual_seed(3))
    for positions in ("none", "sinusoidal"):
        model = stirred(DiT(4, 3, patch, width=16, depth=2, heads=2, positions=positions, text_width=6))
        moved, expected = model(permuted(x, order, patch), t, text), permuted(model(x, t, text), order, patch)
        assert torch.allclose(moved, expected, atol=1e-4) == (positions == "none")
        words = torch.randperm(5, generator=torch.Generator().manual_seed(4))
        torch.testing.assert_close(model(x, t, text[:, words]), model(x, t, text), atol=1e-4, rtol=1e-4)  # a bag


def test_time_text_and_places_matter():
    model = stirred(DiT(4, width=16, depth=1, heads=2, text_width=6))
    x, t, text = torch.randn(2, 1, 4, 4), torch.tensor([10.0, 10.0]), torch.randn(2, 5, 6)
    for other in (model(x, t + 50, text), model(x, t, text + 1), model(x.flip(3), t, text).flip(3)):
        assert not torch.allclose(other, model(x, t, text), atol=1e-3)


def test_positions_of_all_cells_differ_and_near_ones_are_alike():
    codes = grid_positions(8, 32)
    assert codes.shape == (64, 32)
    distance = torch.cdist(codes, codes)
    assert distance[~torch.eye(64, dtype=torch.bool)].min() > 0.1
    assert distance[0, 1] < distance[0, 3] and distance[0, 8] == pytest.approx(distance[0, 1].item(), rel=1e-5)


def test_the_sampler_takes_it_for_a_network():
    x = Diffusion(prediction_type="x0").sample(DiT(4, width=8, depth=1, heads=2), torch.zeros(3, 2), 4, steps=2)
    assert x.shape == (3, 1, 4, 4)


def test_a_stack_of_networks_says_what_each_of_them_says():
    models = [stirred(DiT(4, width=8, depth=1, heads=2, text_width=6), seed) for seed in (0, 1)]
    x, t, text = torch.randn(2, 3, 1, 4, 4), torch.full((2, 3), 7.0), torch.randn(2, 3, 5, 6)
    states = [dict(model.state_dict()) for model in models]
    weights = {name: torch.stack([each[name] for each in states]) for name in states[0]}
    together = over_stack(lambda w, *inputs: functional_call(models[0], w, inputs))(weights, x, t, text)
    for k, model in enumerate(models):
        torch.testing.assert_close(together[k], model(x[k], t[k], text[k]), atol=1e-4, rtol=1e-4)


def test_it_learns_an_image():
    torch.manual_seed(0)
    model, diffusion = DiT(4, width=16, depth=1, heads=2), Diffusion(prediction_type="x0")
    image = torch.sign(torch.randn(1, 1, 4, 4)).expand(32, 1, 4, 4)
    optimizer, losses = torch.optim.Adam(model.parameters(), 3e-3), []
    for _ in range(150):
        t = torch.randint(1000, (32,)).float()
        loss = diffusion.loss(model, image, torch.zeros(32, 2), t, torch.randn_like(image))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1.0, abs=1e-5) and losses[-1] < 0.05  # blank at first, each pixel wrong by 1


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: DiT(8, patch=3), "Patches divide the image, got patches of 3 in an image of 8 pixels"),
        (lambda: DiT(8, width=10), "multiple of 4, got 10"),
        (lambda: DiT(8, width=64, heads=5), "heads of attention divide its width, got 5 heads and width 64"),
        (lambda: DiT(8, positions="learned"), "sinusoidal or none, got 'learned'"),
        (lambda: DiT(4, text_width=6)(torch.zeros(1, 1, 4, 4), torch.zeros(1)), r"\(n, tokens, 6\), got None"),
        (lambda: DiT(4, text_width=6)(torch.zeros(1, 1, 4, 4), torch.zeros(1), torch.zeros(1, 2)), r"got \(1, 2\)"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()
