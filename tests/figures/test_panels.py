"""What the panels draw, read back from their artists."""

import numpy as np
import pytest
import torch
from matplotlib.colors import same_color, to_hex
from matplotlib.figure import Figure

from bumplab.analysis.baselines import baseline_evaluations
from bumplab.common.errors import BumplabError
from bumplab.common.statistics import t_interval
from bumplab.figures import panels
from bumplab.worlds.bumps import BumpWorld


@pytest.fixture
def axis():
    return Figure().subplots()


def test_seeds_are_dots_and_means_a_line_of_their_colour(axis):
    values = [[0.1, 0.3], [0.5, 0.7, 0.9], [1.0]]
    dots, mean = panels.seeds(axis, (1, 2, 4), values, color="#0072B2", label="bumps", linestyle="--")
    assert sorted(zip(*dots.get_data(), strict=True)) == [(1, 0.1), (1, 0.3), (2, 0.5), (2, 0.7), (2, 0.9), (4, 1.0)]
    np.testing.assert_allclose(mean.get_data(), [[1, 2, 4], [0.2, 0.7, 1]])
    assert dots.get_linestyle() == "None" and mean.get_linestyle() == "--"
    assert same_color(dots.get_color(), mean.get_color())
    assert axis.get_legend_handles_labels()[1] == ["bumps"]


def test_two_calls_take_two_colours_of_the_cycle(axis):
    pairs = [panels.seeds(axis, (1, 2), [[0.0], [k]]) for k in (1.0, 2.0)]
    assert [to_hex(dots.get_color()) for dots, _ in pairs] == [to_hex(mean.get_color()) for _, mean in pairs]
    assert to_hex(pairs[0][1].get_color()) != to_hex(pairs[1][1].get_color())


def test_the_mean_at_a_single_x_is_a_mark_that_can_be_seen(axis):
    dots, mean = panels.seeds(axis, 3, [0.2, 0.4])
    assert mean.get_marker() == "_" and mean.get_ydata() == pytest.approx([0.3]) and len(dots.get_xdata()) == 2


def test_a_mean_that_is_not_known_leaves_a_gap(axis):
    _, mean = panels.seeds(axis, (1, 2, 3), [[1.0], [np.nan, 2.0], [3.0]])
    assert np.isnan(mean.get_ydata()).tolist() == [False, True, False]


def test_the_interval_is_students_within_its_ends(axis):
    values = [[0.5, 0.9, 1.0], [0.2, 0.3, 0.25]]
    panels.seeds(axis, (1, 2), values, interval=(0, 1))
    (bars,) = axis.collections
    drawn = [(line[0, 1], line[1, 1]) for line in bars.get_segments()]
    np.testing.assert_allclose(drawn, [t_interval(group, 0, 1)[1:] for group in values])
    assert drawn[0][1] == 1


@pytest.mark.parametrize("x, values", [((1, 2), [[1.0]]), ((1, 2), [[1.0], []])])
def test_groups_that_do_not_fit_are_refused(axis, x, values):
    with pytest.raises(BumplabError, match="one seed or more at each of 2 x"):
        panels.seeds(axis, x, values)


def test_levels_are_the_accuracies_of_the_baselines_all_the_way_across(axis):
    world = BumpWorld(kind="sos", size=16, held_out="cross(5, 9)")
    baselines = baseline_evaluations(world, world.unseen())
    lines = panels.levels(axis, baselines, which="x")
    assert [line.get_label() for line in lines] == list(baselines)
    for line, evaluation in zip(lines, baselines.values(), strict=True):
        assert line.get_ydata() == [evaluation.accuracy("x").value] * 2
        assert line.get_transform() == axis.get_yaxis_transform()
    assert lines[2].get_ydata() != [baselines["nearest"].accuracy().value] * 2
    looks = {(to_hex(line.get_color()), line.get_linestyle()) for line in lines}
    assert len(looks) == 4


def test_levels_follow_x_as_short_lines_or_curves(axis):
    (short,) = panels.levels(axis, {"chance": 0.1}, x=(0.83, 1.17), label=False, linewidth=2)
    np.testing.assert_allclose(short.get_data(), [[0.83, 1.17], [0.1, 0.1]])
    assert short.get_linewidth() == 2 and axis.get_legend_handles_labels()[1] == []
    (curve,) = panels.levels(axis, {"nearest": [0.9, 0.5, 0.2]}, x=(1, 2, 3))
    np.testing.assert_allclose(curve.get_ydata(), [0.9, 0.5, 0.2])
    with pytest.raises(BumplabError, match="no baseline 'copier': use chance, blank, nearest, composer"):
        panels.levels(axis, {"copier": 0.1})


def test_numbers_on_a_logarithmic_axis_are_plain(axis):
    axis.plot([1, 2], [30, 4000])
    assert panels.plain_log(axis, "y") is axis
    axis.set_ylim(8, 6000)
    axis.figure.draw_without_rendering()
    labels = {text.get_text() for text in axis.get_yticklabels()}
    assert {"10", "20", "50", "1,000", "2,000"} <= labels and axis.get_yscale() == "log"
    assert not len(axis.yaxis.get_minorticklocs()) and axis.get_xscale() == "linear"


def test_chosen_ticks_are_the_only_ones(axis):
    axis.plot([0.02, 1], [0, 1])
    panels.plain_log(axis, ticks=(0.03, 0.3, 1), form="{:.0%}", fontsize=7)
    axis.figure.draw_without_rendering()
    assert [text.get_text() for text in axis.get_xticklabels()] == ["3%", "30%", "100%"]
    assert axis.get_xticklabels()[0].get_fontsize() == 7 and not len(axis.xaxis.get_minorticklocs())


def test_an_axis_with_nothing_above_zero_stays_linear_and_others_do_not_exist(axis):
    panels.plain_log(axis, "y")
    assert axis.get_yscale() == "linear"
    with pytest.raises(BumplabError, match="no axis 'z'"):
        panels.plain_log(axis, "z")


def test_the_legend_lies_beside_the_axis(axis):
    (line,) = axis.plot([0, 1], label="bumps")
    legend = panels.legend_right(axis)
    axis.figure.draw_without_rendering()
    assert legend.get_window_extent().x0 >= axis.get_window_extent().x1
    small = panels.legend_right(axis, [line], ["other"], fontsize=6)
    assert [text.get_text() for text in small.get_texts()] == ["other"] and small.get_texts()[0].get_fontsize() == 6


def test_torch_values_are_drawn_like_others(axis):
    dots, _ = panels.seeds(axis, torch.tensor([1, 2]), torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    np.testing.assert_allclose(dots.get_ydata(), [0.1, 0.2, 0.3, 0.4])
