"""Figures that compute something show what they should."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from bumplab.analysis.accuracy import score_images
from bumplab.chapters.claims import check_claim
from bumplab.chapters.measurements import VERDICTS
from bumplab.chapters.scoreboard import VERDICT_COLOURS, plot_claims
from bumplab.figures.maps import accuracy_map
from bumplab.worlds.bumps import BumpWorld


@pytest.fixture
def axis():
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)


@pytest.mark.parametrize("spacing", [(1, 1), (0.5, 1)])
def test_a_map_of_accuracy_shows_the_mean_of_its_runs_at_their_places(spacing, axis):
    world = BumpWorld(kind="sos", size=16, spacing=spacing)
    mu = world.lattice()
    right = score_images(world.render(mu), mu, world)
    wrong = score_images(world.render(mu + torch.tensor([5.0, 0.0])), mu, world)
    accuracy_map([right, wrong[mu[:, 0] < 4]], world, axis)
    shown = axis.images[0].get_array()
    assert shown.shape == (16, 16 / spacing[0])
    left = world.axis(0) < 4
    assert np.allclose(shown[:, left], 0.5) and np.allclose(shown[:, ~left], 1)
    accuracy_map([wrong], world, axis, "y")
    assert np.allclose(axis.images[1].get_array(), 1)


def test_conditions_without_an_image_are_left_grey(axis):
    world = BumpWorld(size=16)
    some = world.lattice()[:40]
    accuracy_map([score_images(world.render(some), some, world)], world, axis)
    assert axis.images[0].get_array().mask.sum() == 16 * 16 - 40


def test_lines_divide_what_was_shown_from_what_was_not(axis):
    world = BumpWorld(size=16, held_out="box(3, 7, 9, 12)", fraction=0.5)
    accuracy_map([], world, axis)
    upright, level = (np.array(lines.get_segments()) for lines in axis.collections)
    assert set(upright[:, :, 0].ravel()) == {3.5, 6.5} and set(level[:, :, 1].ravel()) == {9.5, 11.5}
    assert len(upright) == 2 * 2 and len(level) == 2 * 3


def test_every_verdict_is_drawn_in_a_colour_of_its_own(monkeypatch):
    assert tuple(VERDICT_COLOURS) == VERDICTS and len(set(VERDICT_COLOURS.values())) == 4
    monkeypatch.setattr(plt, "show", lambda: None)
    values = {"holds": [1] * 3, "undecided": [1], "fails": [0] * 3, "confounded": [1] * 3, "empty": []}
    options = {"kind": "paper", "source": "P1", "network": "quick", "at_least": 1}
    reasons = {"confounded": "Something else explains it."}
    rows = [
        ("01-worlds", check_claim(name, "It holds.", v, confounded=reasons.get(name, ""), **options))
        for name, v in values.items()
    ]
    assert [claim.verdict for _, claim in rows] == [*VERDICTS, "undecided"]
    plot_claims(rows, "title")
    assert [len(axis.lines) for axis in plt.gcf().axes] == [2, 2, 2, 2, 0]  # interval and mean, where there are data
    colours = [axis.lines[0].get_color() for axis in plt.gcf().axes[:4]]
    assert colours == [VERDICT_COLOURS[verdict] for verdict in VERDICTS]
    plt.close("all")


def test_the_page_has_a_colour_for_every_verdict():
    css = (Path(__file__).resolve().parents[2] / "book" / "_static" / "bumplab.css").read_text()
    for verdict, colour in VERDICT_COLOURS.items():
        assert f".claim-{verdict} {{\n  border-left-color: {colour.lower()} !important;" in css
