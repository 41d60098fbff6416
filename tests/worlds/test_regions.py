"""The region of single stripes against counting bright stripes, and the texts that name recorded runs."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import BumpWorld
from bumplab.worlds.regions import parse_region, single_stripes


def test_the_labels_are_those_whose_image_shows_one_stripe():
    world = BumpWorld(kind="sos", size=16, margin=4)
    mu = world.lattice()
    shown = [(world.profile(mu[:, axis], axis).amax(1) > 0.99) for axis in (0, 1)]
    assert torch.equal(single_stripes(3.5, 19.5).contains(mu, world.extent), shown[0] ^ shown[1])


def test_clear_of_leaves_faint_second_stripes_away():
    world = BumpWorld(kind="sos", size=16, margin=6)
    mu = world.lattice()
    strict = single_stripes(5.5, 21.5, clear_of=(3.5, 23.5)).contains(mu, world.extent)
    faint = torch.stack([world.profile(mu[:, axis], axis).amax(1) for axis in (0, 1)], 1).amin(1)
    assert faint[strict].max() < 0.012 < faint[single_stripes(5.5, 21.5).contains(mu, world.extent) & ~strict].max()


@pytest.mark.parametrize(
    "args, text",
    [
        ((0.5, 16.5), "((band_x(0.5, 16.5) & ~band_y(0.5, 16.5)) | (band_y(0.5, 16.5) & ~band_x(0.5, 16.5)))"),
        (
            (5.5, 37.5, (3.5, 39.5)),
            "((band_x(5.5, 37.5) & ~band_y(3.5, 39.5)) | (band_y(5.5, 37.5) & ~band_x(3.5, 39.5)))",
        ),
    ],
)
def test_the_text_is_the_one_that_recorded_runs_are_named_by(args, text):
    assert str(single_stripes(*args)) == text and parse_region(text) == single_stripes(*args)


def test_an_empty_window_is_refused():
    with pytest.raises(BumplabError, match="is empty"):
        single_stripes(5, 5)
