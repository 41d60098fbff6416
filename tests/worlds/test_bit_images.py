"""Bits as bumps: what is drawn is read again, noise is heard as a sum over pixels would, and what is refused."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.worlds.bit_images import BitImages
from bumplab.worlds.parity import ParityWorld

BITS = ParityWorld(bits=16, group=4).draw_strings(50)


@pytest.mark.parametrize("kind", [BitImages(), BitImages(cell=8, sigma=1.5), BitImages(cell=3, sigma=0.7)])
def test_a_string_is_read_from_its_image(kind):
    images = kind.draw(BITS)
    assert images.shape == (50, 1, 4 * kind.cell, 4 * kind.cell)
    assert images.min() >= -1 and images.max() == 1
    torch.testing.assert_close(kind.read(images), BITS)


def test_bumps_stand_in_the_cells_of_their_bits():
    kind, string = BitImages(), torch.ones(1, 9)
    string[0, 5] = -1  # second row, last column
    rows, columns = (kind.draw(string)[0, 0] > 0).nonzero().T
    assert rows.min() >= 4 and rows.max() < 8 and columns.min() >= 8 and columns.max() < 12


def test_evidence_is_what_comparing_both_images_pixel_by_pixel_says():
    kind, diffusion = BitImages(), Diffusion(schedule="cosine")
    strings = BITS[:4]
    t = torch.tensor([50.0, 300.0, 600.0, 900.0])
    eps = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    noisy = diffusion.add_noise(kind.draw(strings), eps, t)
    signal, noise = (each.double() for each in diffusion.signal_and_noise_scale(t))
    heard = kind.evidence(noisy / signal, (noise / signal).flatten())
    for place in range(16):
        likelihood = []
        for bit in (1, -1):
            other = strings.clone()
            other[:, place] = bit
            miss = noisy.double() - signal * kind.draw(other).double()
            likelihood.append(-miss.square().sum((1, 2, 3)) / (2 * noise.flatten() ** 2))
        torch.testing.assert_close(heard[:, place], (likelihood[0] - likelihood[1]) / 2, rtol=1e-4, atol=1e-4)


def test_what_makes_no_such_image_is_refused_in_a_sentence():
    with pytest.raises(BumplabError, match="a square of cells, such as 4, 9 or 16; got 12"):
        BitImages().draw(torch.ones(1, 12))
    with pytest.raises(BumplabError, match="A bump of sigma 2 does not fit into a cell of 4 pixels: choose at most 1"):
        BitImages(sigma=2)
