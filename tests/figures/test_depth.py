"""Axes along a network's depth, and specification curves."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from bumplab.common.errors import BumplabError
from bumplab.figures.depth import depth_axis, halvings, specification_curve
from bumplab.models.unet import UNet
from bumplab.training.settings import preset


def test_layers_are_as_coarse_as_the_network_makes_them():
    model = UNet(preset("laptop").model)
    blank = torch.zeros(1, 1, 32, 32), torch.zeros(1), torch.zeros(1, 2)
    sides = {name: output.shape[-1] for name, output in model.run_with_cache(*blank, UNet.layer_names[:-1]).items()}
    assert {name: 16 // 2 ** halvings(name) for name in sides} == sides


def test_a_depth_axis_names_layers_and_readings():
    axis = depth_axis(Figure().subplots(), UNet.layer_names[1:-1], {"up1": "fourth block"})
    assert [label.get_text() for label in axis.get_xticklabels()][:4] == ["down1", "a1", "down2", "a2"]
    (name,) = axis.texts
    assert (name.get_text(), name.xy[0]) == ("fourth block", 7)
    with pytest.raises(BumplabError, match="up9 is none of the layers"):
        depth_axis(Figure().subplots(), ["up1"], {"up9": "ninth"})


def test_a_specification_curve_says_how_often_a_claim_holds():
    axis = Figure().subplots()
    values = {"quick": [0.9, 0.1], "laptop": [0.95, 0.2]}
    specification_curve(axis, values, (0.5, np.inf), {"quick": "C0", "laptop": "C1"})
    assert [dots.get_offsets().data[:, 0].tolist() for dots in axis.collections] == [[0, 2], [1, 3]]
    assert axis.texts[0].get_text() == "50% in range"


@pytest.mark.parametrize("values", [{}, {"quick": [np.nan]}])
def test_a_specification_curve_needs_numbers(values):
    with pytest.raises(BumplabError, match="finite"):
        specification_curve(Figure().subplots(), values, (0, 1), {"quick": "C0"})
