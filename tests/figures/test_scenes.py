"""Pictures of scenes: what is in an image stands on the page."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from bumplab.figures.scenes import draw_scene, place_maps, score_curves
from bumplab.figures.style import BLUE, VERMILION
from bumplab.worlds.prompts import parse_prompt
from bumplab.worlds.relations import RelationWorld

WORLD = RelationWorld(size=4)


def test_a_scene_shows_each_object_in_its_cell_and_colour():
    image = WORLD.render(parse_prompt("blue ring above red cross"), torch.tensor([[2, 0, 2, 3]]))[0]
    lines = draw_scene(Figure().subplots(), image).lines
    drawn = {line.get_color(): (line.get_xdata()[0], line.get_ydata()[0], line.get_marker()) for line in lines}
    assert drawn == {BLUE: (2, 0, "o"), VERMILION: (2, 3, "X")}


def test_what_is_no_object_is_drawn_all_the_same():
    image = -torch.ones(5, 4, 4)
    image[0, 1, 1] = image[3, 2, 2] = 1  # red without a shape, a ring without a colour
    axis = draw_scene(Figure().subplots(), image)
    assert len(axis.patches) == 1 and len(axis.lines) == 1


@pytest.mark.parametrize("heights", [(0.5, 0.5, 0.5), (0.01, 0.02, 0.9)])
def test_names_beside_curves_do_not_overlap(heights):
    names = "shapes", "binding", "relation"
    scores = {name: np.full((2, 3), height) for name, height in zip(names, heights, strict=True)}
    axis = score_curves(Figure().subplots(), np.arange(3), scores)
    places = sorted(text.xy[1] for text in axis.texts)
    assert len(places) == 3 and np.diff(places).min() > 0.07 and places[0] >= 0


def test_maps_share_one_scale():
    axes = Figure().subplots(1, 2)
    place_maps(axes, {"left": np.zeros((4, 4)), "right": np.ones((4, 4))}, top=0.5)
    assert {axis.images[0].get_clim() for axis in axes} == {(0, 0.5)}
    assert [axis.get_title() for axis in axes] == ["left", "right"]
