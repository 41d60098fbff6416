"""Whatever is given for a world or a region is drawn, or refused in one sentence, and neither takes long."""

import edges
import pytest
import torch
from hypothesis import example, given, settings, strategies as st

from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import MAX_CONDITIONS, BumpWorld
from bumplab.worlds.region import MAX_SHAPES, Region
from bumplab.worlds.regions import band_x, box, diagonal, parse_region, rim

SHAPES = ("box", "band_x", "band_y", "cross", "interior", "exterior", "rim", "diagonal")
CALLS = st.builds(
    lambda name, args: f"{name}({', '.join(args)})",
    st.sampled_from(SHAPES),
    st.lists(st.one_of(edges.NUMBERS.map(str), st.floats(0, 40).map(str)), max_size=4),
)
EXPRESSIONS = st.recursive(
    CALLS,
    lambda of: st.one_of(
        st.builds(lambda sign, one, other: f"({one} {sign} {other})", st.sampled_from("|&^,"), of, of),
        st.builds(lambda one, times: "~" * times + one, of, st.sampled_from([1, 2, 50, 500, 5_000])),
        st.builds(lambda one, times: " | ".join([one] * times), of, st.sampled_from([2, 64, 65, 500])),
        st.builds(lambda one, times: "(" * times + one + ")" * times, of, st.sampled_from([1, 50, 150, 500])),
    ),
    max_leaves=4,
)


def draw(world):
    """Check that a world can be written down, laid out and drawn."""
    again = BumpWorld(**world.model_dump(mode="json"))
    assert again == world
    some = torch.cat([world.seen()[:1], world.lattice()[-1:], world.lattice().max(0).values[None]])
    images = world.render(some)
    assert images.isfinite().all() and images.min() >= -1 - 1e-6 and images.max() <= 1 + 1e-6
    assert len(world.lattice()) <= 1.01 * MAX_CONDITIONS


@given(st.sampled_from([*BumpWorld.model_fields, "thinned"]), edges.VALUES)
@example("sigma", 1e30)
@example("spacing", 512 / 1_000)
@example("margin", 1e308)
@settings(deadline=5000, max_examples=150)
def test_any_value_of_a_setting_makes_a_world_or_a_sentence(name, value):
    with edges.one_sentence():
        draw(BumpWorld(**{name: value}))


@pytest.mark.parametrize("depth", [2, 100, 5_000])
@pytest.mark.parametrize("name", ["sigma", "held_out", "size", "kind"])
def test_lists_within_lists_are_no_setting(name, depth):
    with pytest.raises(BumplabError, match=r"^[^\n]{1,300}\.$"):
        BumpWorld(**{name: edges.nested(1, depth)})


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "kind": st.sampled_from(["bump", "sos", "bump+stripes"]),
            "size": st.sampled_from([4, 5, 512]),
            "sigma": st.sampled_from([0.05, 1000.0, (0.05, 1000.0)]),
            "spacing": st.one_of(st.sampled_from([5e-324, 0.01, 0.512, 1, 4, 1536]), st.floats(1e-6, 2000)),
            "margin": st.sampled_from([0, 5e-324, 0.5, 512]),
            "periodic": st.booleans(),
            "held_out": EXPRESSIONS,
            "fraction": st.sampled_from([5e-324, 1e-6, 0.5, 1]),
            "subsample_region": EXPRESSIONS,
            "subsample_seed": st.sampled_from([0, 2**32 - 1]),
        },
    )
)
@settings(deadline=5000, max_examples=100)
def test_a_world_at_its_limits_is_drawn_or_refused(changes):
    with edges.one_sentence():
        draw(BumpWorld(**changes))


@given(st.one_of(EXPRESSIONS, edges.TEXTS, edges.VALUES))
@settings(deadline=5000, max_examples=200)
def test_any_text_of_a_region_is_read_or_refused(text):
    with edges.one_sentence():
        region = parse_region(text)
        assert region is None or (parse_region(str(region)) == region and region.shapes <= MAX_SHAPES)


@pytest.mark.parametrize("text", ["box(1_0, 20, 1, 2)", "rim(0x10)", "rim(0b11)", "rim(3j)", "rim(1e400)", "rim(1e7)"])
def test_a_number_that_settings_do_not_know_is_none_in_a_region(text):
    with pytest.raises(BumplabError, match=r"^[^\n]+\.$"):
        parse_region(text)


def test_as_many_shapes_as_allowed_are_read_back_with_numbers_of_any_length():
    region: Region = box(-1 / 3, 1 / 3, -2 / 3, 1e5 / 3)
    for k in range(1, MAX_SHAPES):
        region = region | box(-1 / 3 - k, 1 / 3, -2 / 3, 1e5 / 3)
    assert parse_region(str(region)) == region
    for more in (lambda: region | rim(1), lambda: rim(1) & region, lambda: ~region | rim(1)):
        with pytest.raises(BumplabError, match=r"^A region is made of at most 64 shapes, this one has 65\.$"):
            more()


@given(
    st.sampled_from([0.05, 0.1, 0.3, 1 / 3, 0.7, 1.0]), st.integers(1, 30), st.integers(1, 30), st.integers(0, 20),
    st.integers(1, 20),
)  # fmt: skip
def test_a_lattice_lies_in_a_region_where_its_conditions_do(step, columns, rows, low, width):
    x, y = (torch.arange(count, dtype=torch.float64).mul(step).float() for count in (columns, rows))
    mu = torch.cartesian_prod(y, x).flip(1)
    a, b = low * step, (low + width) * step
    for region in (band_x(a, b), box(a, b, 0, b), rim(b), diagonal(b), ~diagonal(b) & band_x(a, b) | ~rim(b)):
        together, alone = region.contains_lattice(x, y, extent=2.0), region.contains(mu, extent=2.0)
        assert together.shape == (rows, columns) and torch.equal(together.reshape(-1), alone)
