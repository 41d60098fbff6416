"""Any text of an axis is a sequence of values, or refused in one sentence, however long it is."""

import math

import edges
from hypothesis import example, given, settings, strategies as st

from bumplab.runs.grids import MAX_CELLS, MAX_CELLS_ALLOWED, grid_settings, parse_grid

RANGES = st.lists(edges.NUMBERS.map(str), min_size=1, max_size=4).map(":".join)
AXES = st.lists(st.one_of(edges.TEXTS, RANGES), min_size=1, max_size=3).map(",".join)


@given(st.lists(AXES, min_size=1, max_size=3), st.booleans())
@example(["1" * 300_000], False)
@example(["1:" * 5_000], True)
@example(["1," * 5_000 + "1"], True)
@example(["0:" + "9" * 300], True)
@example(["-1e308:1e308:3"], True)
@example(["0:99", "0:99", "0:99"], True)
@settings(deadline=5000, max_examples=150)
def test_any_axes_are_read_or_refused(texts, yes):
    with edges.one_sentence():
        axes = parse_grid([f"a{k}={text}" for k, text in enumerate(texts)], yes=yes)
        assert math.prod(map(len, axes.values())) <= (MAX_CELLS_ALLOWED if yes else MAX_CELLS)
        assert all(len(values) for values in axes.values())


@given(st.sampled_from(["seed", "world.sigma", "world.held_out", "model.widths", "training.snapshots", "world"]), AXES)
@settings(deadline=5000, max_examples=60)
def test_any_axis_of_a_setting_makes_runs_or_a_sentence(name, text):
    with edges.one_sentence():
        axes = {each: list(values)[:3] for each, values in parse_grid([f"{name}={text}"]).items()}
        assert all(len(run.id) == 12 for run in grid_settings("smoke", {}, axes))
