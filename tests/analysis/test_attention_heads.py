"""Heads that attend to text: what a network does when some of them hear another prompt, or none."""

import pytest
import torch

from bumplab.analysis.attention_heads import swap_text, text_attention, text_heads
from bumplab.common.errors import BumplabError
from bumplab.models.dit import DiT


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = DiT(size=3, channels=2, width=8, depth=2, heads=2, text_width=4)
    with torch.no_grad():
        for value in model.parameters():
            value.copy_(0.3 * torch.randn_like(value))
    return model


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return draw(4, 2, 3, 3), torch.full((4,), 5.0), draw(4, 5, 4), draw(4, 5, 4)


def test_all_heads_with_another_text_are_the_network_with_that_text(model, inputs):
    x, t, here, there = inputs
    with swap_text(model, text_heads(model), there):
        swapped = model(x, t, here)
    torch.testing.assert_close(swapped, model(x, t, there))
    assert not torch.allclose(swapped, model(x, t, here))


def test_a_head_with_the_same_text_changes_nothing_and_no_hook_stays(model, inputs):
    x, t, here, there = inputs
    before = model(x, t, here)
    with swap_text(model, [(1, 0)], here):
        torch.testing.assert_close(model(x, t, here), before)
    with pytest.raises(RuntimeError), swap_text(model, [(1, 0)], there):
        raise RuntimeError
    assert torch.equal(model(x, t, here), before)


def test_a_head_that_is_taken_out_brings_nothing(model, inputs):
    x, t, here, _ = inputs
    with swap_text(model, [(0, 1), (1, 1)], None):
        without = model(x, t, here)
    with torch.no_grad():
        for block in model.blocks:
            block.text_attention.out.weight[:, 4:] = 0  # where the second of two heads of width 4 is read
    torch.testing.assert_close(without, model(x, t, here))


def test_maps_are_those_of_the_attention_that_is_used(model, inputs):
    x, t, here, _ = inputs
    maps = text_attention(model, dict(model.named_parameters()), x, t, here)
    assert maps.shape == (2, 4, 2, 9, 5)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 4, 2, 9))
    attention, seen = model.blocks[0].text_attention, []
    hook = attention.mixed.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    model(x, t, here)
    hook.remove()
    values = attention.key_value(here)[..., 8:].unflatten(2, (2, 4))
    torch.testing.assert_close(torch.einsum("nhlk,nkhd->nlhd", maps[0], values), seen[0])


def test_heads_that_do_not_exist_are_refused(model):
    with pytest.raises(BumplabError, match="got \\(2, 0\\)"), swap_text(model, [(2, 0)], None):
        pass
    with pytest.raises(BumplabError, match="reads no text"):
        text_heads(DiT(size=3, width=8, depth=1, heads=2))
