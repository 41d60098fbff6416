"""Decoders: what they hear, what they draw, and that a code of x and one of y are kept apart in their input."""

import pytest
import torch
from torch.nn import functional as F

from bumplab.common.errors import BumplabError
from bumplab.models.decoder import DecoderSettings, condition_indices, encode_conditions
from bumplab.worlds.bumps import BumpWorld

WORLD = BumpWorld(size=8)
DECODERS = {
    "mlp": DecoderSettings(kind="mlp", width=16, depth=2),
    "cnn": DecoderSettings(kind="cnn", width=4, depth=4),
    "transformer": DecoderSettings(kind="transformer", width=16, depth=2, patch=2),
}


@pytest.mark.parametrize("encoding", ["bump", "one-hot", "scalar"])
def test_half_of_a_code_hears_x_alone_and_the_other_half_y(encoding):
    codes = encode_conditions(WORLD, torch.tensor([[2.0, 5.0], [2.0, 6.0], [3.0, 5.0]]), encoding)
    half = codes.shape[1] // 2
    assert torch.equal(codes[0, :half], codes[1, :half]) and not torch.equal(codes[0, half:], codes[1, half:])
    assert torch.equal(codes[0, half:], codes[2, half:]) and not torch.equal(codes[0, :half], codes[2, :half])


def test_a_code_of_bumps_is_the_marginal_of_the_image():
    mu = torch.tensor([[2.0, 5.0]])
    image = WORLD.brightness(WORLD.render(mu))[0]
    x, y = encode_conditions(WORLD, mu, "bump")[0].split(8)
    torch.testing.assert_close(y[:, None] * x[None], image)


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_fits_a_handful_of_images(name):
    decoder, mu = DECODERS[name], WORLD.lattice()[9:15]
    weights = decoder.init_weights(WORLD, torch.Generator().manual_seed(0))
    weights = {key: value.requires_grad_() for key, value in weights.items()}
    inputs, images = decoder.inputs(WORLD, mu), WORLD.brightness(WORLD.render(mu))
    optimizer = torch.optim.Adam(weights.values(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        error = (decoder.draw(weights, inputs, 8) - images).square().mean()
        error.backward()
        optimizer.step()
    assert all(value.grad is not None for value in weights.values())
    assert float(error.detach()) < 0.1 * float(images.square().mean())


def test_the_convolutional_decoder_is_that_of_torch():
    decoder, generator = DECODERS["cnn"], torch.Generator().manual_seed(0)
    weights, codes = decoder.init_weights(WORLD, generator), torch.rand(3, 16, generator=generator)
    image = F.conv_transpose2d(codes[:, :, None, None], weights["w1"], weights["b1"])
    assert image.shape == (3, 4, 2, 2)
    for layer in range(2, 6):
        net = torch.nn.ConvTranspose2d(4, 1 if layer == 5 else 4, 4 if layer < 4 else 3, 2 if layer < 4 else 1, 1)
        net.load_state_dict({"weight": weights[f"w{layer}"], "bias": weights[f"b{layer}"]})
        image = net(F.relu(image))
    torch.testing.assert_close(decoder.draw(weights, codes, 8), image[:, 0].detach())


def test_a_token_of_the_transformer_draws_its_own_patch():
    decoder = DECODERS["transformer"]
    weights = decoder.init_weights(WORLD, torch.Generator().manual_seed(0))
    for name in ("join1", "join2"):  # tokens that do not hear each other
        weights[name] = torch.zeros_like(weights[name])
    inputs = decoder.inputs(WORLD, WORLD.lattice()[:1])
    before = decoder.draw(weights, inputs, 8)
    weights["places"] = weights["places"].clone()
    weights["places"][5] += torch.linspace(-1, 1, 16)  # row 1, column 1 of 4 x 4
    changed = (decoder.draw(weights, inputs, 8) != before)[0].nonzero()
    assert changed.min(0).values.tolist() == [2, 2] and changed.max(0).values.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (lambda: DecoderSettings(kind="mlp", encoding="ramp"), "'bump', 'one-hot' or 'scalar' \\(got 'ramp'\\)"),
        (lambda: encode_conditions(WORLD, WORLD.seen(), "ramp"), "there is no encoding 'ramp'"),
        (lambda: DecoderSettings(kind="cnn", depth=2), "needs 3 hidden layers or more, got depth 2"),
        (lambda: DecoderSettings(kind="transformer", width=12), "multiple of 8, got 12"),
        (lambda: DECODERS["cnn"].check_world(BumpWorld(size=10)), "divisible by 4, got 10"),
        (lambda: condition_indices(WORLD, torch.tensor([[0.5, 1.0]])), "conditions of the lattice alone"),
    ],
)
def test_what_cannot_be_is_refused(act, sentence):
    with pytest.raises(BumplabError, match=sentence):
        act()
