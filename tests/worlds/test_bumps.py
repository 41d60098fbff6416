"""Worlds draw what their formulas say, and regions are sets."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from bumplab.common.errors import BumplabError
from bumplab.worlds import bumps
from bumplab.worlds.bumps import BumpWorld, subsample_evenly
from bumplab.worlds.regions import (
    _PRIMITIVES,
    band_x,
    band_y,
    box,
    cross,
    diagonal,
    exterior,
    interior,
    parse_region,
    rim,
)

# ---------------------------------------------------------------- rendering


def drawn_by_hand(world, mu_x, mu_y):
    """Compute an image pixel by pixel from the closed formula, in float64."""

    def gauss(pixel, mu, sigma):
        offset = pixel + world.margin - mu
        if world.periodic:
            offset = (offset + world.size / 2) % world.size - world.size / 2
        return np.exp(-(offset**2) / (2 * sigma**2))

    image = np.empty((world.size, world.size))
    for i in range(world.size):
        for j in range(world.size):
            across, down = gauss(j, mu_x, world.sigma[0]), gauss(i, mu_y, world.sigma[1])
            image[i, j] = 2 * across * down - 1 if world.kind == "bump" else (across + down) - 1
    return image


@pytest.mark.parametrize("kind", ["bump", "sos"])
@pytest.mark.parametrize(
    "edges",
    [{}, {"periodic": True}, {"margin": 6}, {"margin": 2.5}],
    ids=["plain", "periodic", "margin", "half"],
)
@pytest.mark.parametrize("sigma", [1.0, (0.4, 3.0)], ids=["round", "oval"])
def test_images_equal_the_formula_at_every_pixel(kind, edges, sigma):
    world = BumpWorld(kind=kind, size=12, sigma=sigma, **edges)
    mu = torch.tensor([[0.0, 0.0], [5.25, 7.5], [11.9, 0.3], [3.0, 11.0], [world.extent, world.extent / 2]])
    by_hand = np.stack([drawn_by_hand(world, *centre) for centre in mu.double().tolist()])
    np.testing.assert_allclose(world.render(mu)[:, 0].double().numpy(), by_hand, atol=2e-6)


@pytest.mark.parametrize("kind, peak", [("bump", 1), ("sos", 2)])
def test_black_is_minus_one_and_the_brightest_point_is_one(kind, peak):
    world = BumpWorld(kind=kind, margin=6)
    images = world.render(world.lattice())
    assert images.dtype == torch.float32 and images.shape == (44 * 44, 1, 32, 32)
    assert images.min() == -1 and images.max() == 1
    centred = world.render(torch.tensor([[16.0, 20.0]]))[0, 0]
    assert centred[14, 10] == 1 and world.peak == peak


def test_a_single_stripe_has_half_the_brightness_of_the_crossing():
    image = BumpWorld(kind="sos").render(torch.tensor([[8.0, 20.0]]))[0, 0]
    assert image[20, 8] == 1
    assert image[2, 8] == pytest.approx(0) and image[20, 28] == pytest.approx(0)
    assert image[2, 28] == pytest.approx(-1)


@pytest.mark.parametrize("kind", ["bump", "sos"])
def test_brightness_undoes_the_scaling(kind):
    world = BumpWorld(kind=kind)
    profiles = world.profile(torch.tensor([3.3]), 0), world.profile(torch.tensor([9.1]), 1)
    clean = torch.outer(profiles[1][0], profiles[0][0])
    if kind == "sos":
        clean = profiles[1][0][:, None] + profiles[0][0]
    images = world.render(torch.tensor([[3.3, 9.1]]))
    torch.testing.assert_close(world.brightness(images)[0], clean, atol=1e-6, rtol=0)


@given(
    mu=st.tuples(*[st.floats(0, 16, width=32)] * 2),
    shift=st.tuples(*[st.integers(-20, 20)] * 2),
    kind=st.sampled_from(["bump", "sos"]),
)
@settings(deadline=None, max_examples=50)
def test_on_a_torus_moving_the_centre_rolls_the_image(mu, shift, kind):
    world = BumpWorld(kind=kind, size=16, sigma=(1.0, 2.5), periodic=True)
    start = torch.tensor([mu])
    moved = world.render(torch.remainder(start + torch.tensor([shift]), 16))
    rolled = torch.roll(world.render(start), (shift[1], shift[0]), dims=(2, 3))
    torch.testing.assert_close(moved, rolled, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "mu, dimensions", [((22, 22), 2), ((22, 1), 1), ((1, 22), 1), ((1, 43), 0)], ids=["2D", "x", "y", "0D"]
)
def test_the_extended_frame_shows_as_many_stripes_as_lie_in_the_window(mu, dimensions):
    image = BumpWorld(kind="sos", margin=6).render(torch.tensor([mu], dtype=torch.float32))[0, 0]
    assert image.max() == pytest.approx(dimensions - 1, abs=1e-3)  # 1 at a crossing, 0 on a stripe, -1 if black


def test_a_stripe_at_the_rim_is_partly_visible():
    image = BumpWorld(kind="sos", margin=6).render(torch.tensor([[5.0, 1.0]]))[0, 0]
    assert image[10, 0] == pytest.approx(np.exp(-0.5) - 1, abs=1e-5)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 2, 2)])
def test_conditions_of_another_shape_are_refused(shape):
    with pytest.raises(BumplabError, match=r"^Conditions come as \(n, 2\)"):
        BumpWorld().render(torch.zeros(shape))


# ---------------------------------------------------------------- the lattice


@pytest.mark.parametrize(
    "changes, count",
    [
        ({}, 1024),
        ({"spacing": 0.1}, 102_400),
        ({"spacing": (0.1, 1.0)}, 10_240),
        ({"spacing": 0.3}, 107**2),
        ({"spacing": 32}, 1),
        ({"margin": 6}, 44**2),
        ({"margin": 6, "spacing": 0.5}, 88**2),
        ({"size": 64}, 4096),
    ],
)
def test_the_lattice_has_as_many_conditions_as_steps_fit(changes, count):
    world = BumpWorld(**changes)
    lattice = world.lattice()
    assert lattice.shape == (count, 2) and lattice.dtype == torch.float32
    assert lattice.min() == 0 and lattice.max() < world.extent
    assert len(torch.unique(lattice, dim=0)) == count


def test_mu_x_runs_fastest():
    lattice = BumpWorld(spacing=(0.5, 2.0)).lattice()
    assert lattice[:3].tolist() == [[0, 0], [0.5, 0], [1, 0]] and lattice[64].tolist() == [0, 2]


def test_skewed_steps_space_each_axis_by_its_own_step():
    world = BumpWorld(spacing=(0.1, 1.0))
    x, y = world.axis(0), world.axis(1)
    np.testing.assert_allclose(x, np.arange(320) / 10, rtol=1e-6)
    np.testing.assert_array_equal(y, np.arange(32))


def test_a_fine_lattice_costs_megabytes_not_gigabytes():
    with torch.profiler.profile(profile_memory=True) as profile:
        world = BumpWorld(spacing=0.1, held_out="cross(13, 19)", fraction=0.5)
        images = world.render(world.seen()[:64])
    assert images.shape == (64, 1, 32, 32)
    allocated = [event.cpu_memory_usage for event in profile.events()]
    assert 2**19 < max(allocated) < 2**20  # the lattice itself; all its images would take 420 MB


# ---------------------------------------------------------------- regions

POINTS = torch.cartesian_prod(torch.arange(0, 44, 0.5), torch.arange(0, 44, 0.5))
EXTENT = 44.0

number = st.one_of(st.integers(-5, 50), st.floats(-5, 50, allow_nan=False))
width = st.one_of(st.integers(1, 50), st.floats(0.1, 50))
bounds = st.tuples(number, number).map(sorted).filter(lambda pair: pair[0] < pair[1])
shapes = st.one_of(
    st.builds(lambda a, b: box(*a, *b), bounds, bounds),
    st.builds(lambda a: band_x(*a), bounds),
    st.builds(lambda a: band_y(*a), bounds),
    st.builds(lambda a: cross(*a), bounds),
    st.builds(interior, width),
    st.builds(exterior, width),
    st.builds(rim, width),
    st.builds(diagonal, width),
)
regions = st.recursive(
    shapes,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=6,
)


def inside(some):
    return some.contains(POINTS, EXTENT)


@given(regions)
@settings(deadline=None)
def test_a_region_reads_back_from_its_text(some):
    again = parse_region(str(some))
    assert again == some and hash(again) == hash(some) and str(again) == str(some)
    assert torch.equal(inside(again), inside(some))


@given(regions, regions)
@settings(deadline=None)
def test_regions_obey_de_morgan(a, b):
    assert torch.equal(inside(~(a | b)), inside(~a & ~b))
    assert torch.equal(inside(~(a & b)), inside(~a | ~b))


@given(regions, regions)
@settings(deadline=None)
def test_union_intersection_and_complement_are_those_of_sets(a, b):
    assert torch.equal(inside(a | b), inside(a) | inside(b))
    assert torch.equal(inside(a & b), inside(a) & inside(b))
    assert torch.equal(inside(~a), ~inside(a))
    assert torch.equal(inside(~~a), inside(a))
    assert ~~a == a and ~~~a == ~a != a and parse_region(f"~~{a}") == a


def test_regions_that_differ_in_the_seventh_digit_are_different():
    assert band_x(12.3456781, 19) != band_x(12.3456784, 19)
    assert parse_region(str(band_x(0.1 + 0.2, 1))) == band_x(0.1 + 0.2, 1)


def test_bounds_do_not_belong_to_a_band():
    mu = torch.tensor([[12.999, 0], [13, 0], [13.001, 0], [18.999, 0], [19, 0]])
    assert band_x(13, 19).contains(mu, 32).tolist() == [False, False, True, True, False]
    assert band_y(13, 19).contains(mu.flip(1), 32).tolist() == [False, False, True, True, False]


def test_a_cross_is_the_union_of_its_bands():
    assert cross(13, 19) == band_x(13, 19) | band_y(13, 19)
    assert BumpWorld(held_out=cross(13, 19)).held_out == BumpWorld(held_out="cross(13, 19)").held_out


def test_a_box_is_the_intersection_of_its_bands():
    assert torch.equal(inside(box(3, 9, 20, 30)), inside(band_x(3, 9) & band_y(20, 30)))


@given(width)
@settings(deadline=None, max_examples=30)
def test_exterior_is_the_complement_of_interior(side):
    assert torch.equal(inside(exterior(side)), ~inside(interior(side)))
    x, y = POINTS.T
    assert torch.equal(inside(interior(side)), torch.maximum((x - 22).abs(), (y - 22).abs()) < side / 2)


def test_the_rim_is_the_frame_along_the_edge():
    x, y = POINTS.T
    depth = torch.stack([x, y, EXTENT - x, EXTENT - y]).amin(0)
    assert torch.equal(inside(rim(6)), depth <= 6)
    assert inside(rim(22)).all()


def test_held_out_conditions_are_the_region_and_training_sees_the_rest():
    world = BumpWorld(held_out="cross(13, 19)")
    assert len(world.unseen()) == 5 * 32 * 2 - 25 and len(world.seen()) == 27**2
    assert world.held_out.contains(world.unseen(), 32).all()
    assert not world.held_out.contains(world.seen(), 32).any()


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_no_text_is_no_region(nothing):
    assert parse_region(nothing) is None and BumpWorld(held_out=nothing) == BumpWorld()


@pytest.mark.parametrize(
    "text",
    [
        "circle(3)",
        "box(1, 2)",
        "rim(1, 2)",
        "rim(width=1)",
        "rim('a')",
        "rim(True)",
        "rim(1e999)",
        "rim(0)",
        "interior(-3)",
        "band_x(19, 13)",
        "band_x(3, 3)",
        "box(1, 2, 4, 3)",
        "rim(1) - rim(2)",
        "rim(1",
        "rim",
        "3",
        "\0",
        "__import__('os').getcwd()",
        "[rim(1)][0]",
        "~" * 5000 + "rim(1)",
        "rim(1) |" * 5000 + "rim(1)",
        3,
    ],
    ids=lambda text: str(text)[:20].replace("\0", "null"),
)
def test_text_that_is_no_region_is_refused_in_one_sentence(text):
    with pytest.raises(BumplabError) as error:
        parse_region(text)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


# ---------------------------------------------------------------- subsampling


@given(fraction=st.floats(0.01, 1), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_a_fraction_draws_exactly_its_share(fraction, seed):
    world = BumpWorld(fraction=fraction, subsample_seed=seed, held_out="band_x(3, 9)")
    assert len(world.seen()) == round(fraction * 27 * 32)
    assert len(world.seen()) + len(world.unseen()) == 1024


@given(pair=st.tuples(*[st.floats(0.01, 1)] * 2).map(sorted), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=30)
def test_a_larger_fraction_contains_a_smaller_one(pair, seed):
    small, large = (BumpWorld(fraction=f, subsample_seed=seed).seen_mask() for f in pair)
    assert not (small & ~large).any()


def test_a_draw_repeats_under_its_seed_and_differs_under_another():
    first, again, other = (BumpWorld(fraction=0.3, subsample_seed=seed).seen_mask() for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert 0.2 < (first & other).sum() / first.sum() < 0.4  # independent draws share about 0.3


# ---------------------------------------------------------------- the lattice is made once


#: Holds out, subsamples within a region, and has two spacings.
BUSY = {"spacing": (0.5, 2.0), "margin": 2, "held_out": "cross(13, 19)", "fraction": 0.4, "subsample_seed": 5}
TENSORS = [BumpWorld.lattice, BumpWorld.seen_mask, BumpWorld.seen, BumpWorld.unseen, lambda world: world.axis(0)]


@pytest.mark.parametrize("subsample_region", [None, "band_x(-1, 9)"])
def test_the_lattice_and_what_is_seen_are_those_counted_by_hand(subsample_region):
    world = BumpWorld(**BUSY, subsample_region=subsample_region)
    mu = [(x / 2, 2.0 * y) for y in range(18) for x in range(72)]
    left = [k for k, (x, y) in enumerate(mu) if not (13 < x < 19 or 13 < y < 19)]
    thin = [k for k in left if subsample_region is None or mu[k][0] < 9]
    order = np.random.default_rng(5).permutation(len(thin))
    seen = set(left) - {thin[k] for k in order[round(0.4 * len(thin)) :]}
    for again in (world, world.replace(), BumpWorld(**world.model_dump())):
        assert again.lattice().tolist() == [list(pair) for pair in mu]
        assert again.seen_mask().tolist() == [k in seen for k in range(len(mu))]
        assert again.seen().tolist() == [list(mu[k]) for k in sorted(seen)]
        assert len(again.unseen()) == len(mu) - len(seen) and not set(map(tuple, again.unseen().tolist())) & {
            mu[k] for k in seen
        }


@pytest.mark.parametrize("tensor", TENSORS)
@pytest.mark.parametrize("changes", [{}, BUSY])
def test_what_a_world_hands_out_may_be_changed_without_changing_the_world(tensor, changes):
    world = BumpWorld(**changes)
    before = [each(world).tolist() for each in TENSORS]
    tensor(world).zero_()
    for mu in world.condition_splits(10**6).values():
        mu.zero_()
    assert [each(world).tolist() for each in TENSORS] == before
    assert [each(world.replace(sigma=2)).tolist() for each in TENSORS] == before


@pytest.mark.parametrize("changes", [{}, BUSY])
def test_a_world_that_was_looked_at_is_still_the_same_value(changes):
    fresh, used = BumpWorld(**changes), BumpWorld(**changes)
    for tensor in TENSORS:
        tensor(used)
    assert fresh == used and hash(fresh) == hash(used) and repr(fresh) == repr(used)
    assert fresh.model_dump() == used.model_dump() and fresh.model_dump_json() == used.model_dump_json()
    assert len(pickle.dumps(used)) == len(pickle.dumps(fresh)) < 2000 < used.lattice().nbytes
    again = pickle.loads(pickle.dumps(used))
    assert again == used and torch.equal(again.seen_mask(), used.seen_mask())
    assert not torch.equal(used.model_copy(update={"held_out": band_x(1, 5)}).seen_mask(), used.seen_mask())


def test_a_lattice_is_made_once_for_all_that_share_it(monkeypatch):
    bumps._lattice_and_mask.cache_clear()
    world = BumpWorld(held_out="cross(3, 7)", fraction=0.5)
    for other in (world, world.replace(sigma=2), world.replace(kind="sos"), BumpWorld(**world.model_dump())):
        other.seen(), other.unseen(), other.seen_mask(), other.lattice(), other.condition_splits(8)
    assert bumps._lattice_and_mask.cache_info().misses == 1
    changes = [
        {"size": 31}, {"spacing": 0.5}, {"margin": 1}, {"held_out": None}, {"fraction": 0.6}, {"subsample_seed": 1},
        {"subsample_region": "band_x(0, 9)"},
    ]  # fmt: skip
    masks = [world.replace(**change).seen_mask().tolist() for change in changes]
    assert bumps._lattice_and_mask.cache_info().misses == 1 + len(changes)
    assert all(mask != world.seen_mask().tolist() for mask in masks)


# ---------------------------------------------------------------- worlds that show a region


@given(regions)
@settings(deadline=None)
def test_a_world_shows_exactly_a_region(some):
    inside_it = some.contains(BumpWorld().lattice(), 32)
    if not inside_it.any():
        with pytest.raises(BumplabError, match="nothing is left to train on"):
            BumpWorld().showing(some)
        return
    world = BumpWorld(sigma=2).showing(some)
    assert torch.equal(world.seen(), BumpWorld().lattice()[inside_it]) and world.sigma == (2, 2)
    assert world == BumpWorld(sigma=2).showing(str(some)) == BumpWorld(sigma=2, held_out=~some)


def test_showing_what_is_not_held_out_changes_nothing():
    world = BumpWorld(held_out="cross(13, 19)", fraction=0.5)
    assert world.showing(~world.held_out) == world and str(world.held_out) == "(band_x(13, 19) | band_y(13, 19))"


@pytest.mark.parametrize("region", [None, ""])
def test_showing_needs_a_region(region):
    with pytest.raises(BumplabError, match=r"^Give the region to show"):
        BumpWorld().showing(region)


# ---------------------------------------------------------------- impossible worlds


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": -32},
        {"size": 32.5},
        {"size": "abc"},
        {"sigma": -1},
        {"sigma": 0},
        {"sigma": (1, -1)},
        {"sigma": (1, 2, 3)},
        {"sigma": "wide"},
        {"sigma": float("nan")},
        {"sigma": float("inf")},
        {"spacing": 0},
        {"spacing": 33},
        {"spacing": (1, 33)},
        {"spacing": 0.001},
        {"margin": -1},
        {"margin": 1e12},
        {"kind": "square"},
        {"held_out": "interior(100)"},
        {"held_out": "cross(19, 13)"},
        {"held_out": "everything"},
        {"held_out": 7},
        {"fraction": 0},
        {"fraction": 1.1},
        {"fraction": 1e-6},
        {"subsample_seed": -1},
        {"periodic": True, "margin": 6},
        {"periodic": True, "spacing": 0.3},
        {"sigmaa": 1},
        {"sigma\n": 1},
    ],
    ids=str,
)
def test_an_impossible_world_is_refused_in_one_sentence(changes):
    with pytest.raises(BumplabError) as error:
        BumpWorld(**changes)
    message = str(error.value)
    assert message.endswith(".") and "\n" not in message and "pydantic" not in message


def test_a_world_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        BumpWorld().size = 64


def test_every_shape_is_reachable_from_text():
    assert set(_PRIMITIVES) == {"box", "band_x", "band_y", "cross", "interior", "exterior", "rim", "diagonal"}


@pytest.mark.parametrize("kind", ["bump", "sos"])
def test_each_image_may_have_its_own_width(kind):
    mu = torch.tensor([[3.0, 4.5], [6.0, 2.0], [5.5, 5.5]])
    widths = [(1.0, 2.0), (0.5, 0.7), (3.0, 3.0)]
    images = BumpWorld(kind=kind, size=8).render(mu, torch.tensor(widths))
    for image, one, sigma in zip(images, mu, widths, strict=True):
        torch.testing.assert_close(image, BumpWorld(kind=kind, size=8, sigma=sigma).render(one[None])[0])


def test_spread_takes_rows_evenly_and_always_the_same():
    rows = torch.arange(10.0)[:, None]
    assert subsample_evenly(rows, 4)[:, 0].tolist() == [0, 3, 6, 9] and subsample_evenly(rows, 10) is rows


def test_parts_are_what_training_saw_and_what_it_did_not():
    assert list(BumpWorld(size=8).condition_splits(5)) == ["seen"]
    parts = BumpWorld(size=8, held_out="cross(2, 5)").condition_splits(20)
    assert parts["seen"].shape == (20, 2) and parts["unseen"].shape == (20, 2)
    assert not (set(map(tuple, parts["seen"].tolist())) & set(map(tuple, parts["unseen"].tolist())))


# ---------------------------------------------------------------- bumps with stripes in the margin

BOTH = BumpWorld(kind="bump+stripes", margin=6)


def points(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def test_labels_in_the_window_make_a_bump_and_one_in_the_margin_a_stripe():
    bump, stripes = BumpWorld(), BumpWorld(kind="sos", margin=6)
    torch.testing.assert_close(BOTH.render(points((18, 26))), bump.render(points((12, 20))))
    vertical = BOTH.brightness(BOTH.render(points((18, 2))))
    torch.testing.assert_close(vertical, stripes.brightness(stripes.render(points((18, -90)))))
    assert BOTH.brightness(BOTH.render(points((2, 18))))[0].argmax(0).unique().tolist() == [12]
    assert (BOTH.render(points((2, 3), (5, 38))) == -1).all()


def test_the_window_holds_the_labels_of_its_pixels():
    inside = BOTH.in_window(BOTH.lattice())
    assert inside[:, 0].sum() == inside[:, 1].sum() == 32 * 44
    assert BOTH.lattice()[inside.all(1)].unique().tolist() == [6.0 + k for k in range(32)]


def test_stripes_without_a_margin_are_refused():
    with pytest.raises(BumplabError, match="^BumpWorld: bump.stripes needs a margin, .*\\.$"):
        BumpWorld(kind="bump+stripes")


def test_a_fraction_thins_only_its_region():
    whole = BumpWorld(kind="bump+stripes", margin=6)
    thin = whole.replace(fraction=0.25, subsample_region="box(5.5, 37.5, 5.5, 37.5)")
    two = thin.in_window(thin.seen()).all(1)
    assert two.sum() == 256 and (~two).sum() == 44 * 44 - 32 * 32


def test_a_region_to_thin_may_be_empty_of_conditions():
    assert len(BumpWorld(fraction=0.5, subsample_region="box(0.1, 0.2, 0.1, 0.2)").seen()) == 1024


def test_the_diagonal_is_where_both_labels_agree():
    mu = BumpWorld().lattice()
    inside = parse_region("diagonal(1.5)").contains(mu, 32)
    assert (inside == ((mu[:, 0] - mu[:, 1]).abs() < 1.5)).all() and inside.sum() == 32 + 2 * 31
