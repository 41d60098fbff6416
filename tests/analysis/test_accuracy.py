"""The estimator finds what is there, and accuracy means what the book says."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.stats import binomtest

from bumplab.analysis.accuracy import CATEGORIES, concatenate, evaluate, score_images
from bumplab.analysis.baselines import baseline_evaluations
from bumplab.analysis.detection import _Axis, detect
from bumplab.common.errors import BumplabError
from bumplab.common.statistics import wilson_interval
from bumplab.diffusion.process import Diffusion
from bumplab.worlds.bumps import BumpWorld
from bumplab.worlds.regions import rim

both_kinds = pytest.mark.parametrize("kind", ["bump", "sos"])
EDGES = {"plain": {}, "periodic": {"periodic": True}, "margin": {"margin": 6}}
every_edge = pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)


def points(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def names(codes):
    return [CATEGORIES[code] for code in codes.flatten().tolist()]


def shown(world, mu):
    """Return, per axis, whether a centre shows clearly more than half of its brightness in the window."""
    peak = torch.stack([world.profile(mu[:, k], k).amax(1) for k in (0, 1)], 1)
    if world.kind == "bump":
        peak = peak.prod(1, keepdim=True).expand(-1, 2)
    return peak > 0.55


# ---------------------------------------------------------------- the estimator


@both_kinds
@every_edge
@pytest.mark.parametrize("sigma", [0.5, (0.5, 4.0), 1.0, (3.0, 1.0), 4.0], ids=str)
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=3)
def test_centres_of_clean_images_are_exact_to_a_twentieth_of_a_pixel(kind, edges, sigma, seed):
    world = BumpWorld(kind=kind, sigma=sigma, **edges)
    mu = torch.rand(64, 2, generator=torch.Generator().manual_seed(seed)) * world.extent
    mu[:8] = points((0, 0), (0.5, 31), (31, 0.5), (31.5, 16), (16, 31.9), (0.02, 31.98), (8, 8), (15.97, 31.47))
    mu[:8] += world.margin
    result = score_images(world.render(mu), mu, world)
    there = shown(world, mu)
    assert (result.detections.count[there] == 1).all()
    assert result.error[there].abs().max() <= 0.05
    assert set(names(result.category)) == {"right"}


@both_kinds
@given(mu=st.tuples(*[st.floats(0, 32, width=32, exclude_max=True)] * 2))
@settings(deadline=None, max_examples=40)
def test_any_centre_of_a_torus_is_found(kind, mu):
    world = BumpWorld(kind=kind, periodic=True)
    result = score_images(world.render(points(mu)), points(mu), world)
    assert names(result.category) == ["right"] and result.error.abs().max() <= 0.05


@both_kinds
@every_edge
def test_noise_of_a_tenth_is_borne(kind, edges):
    world = BumpWorld(kind=kind, **edges)
    generator = torch.Generator().manual_seed(0)
    mu = torch.rand(512, 2, generator=generator) * world.extent
    images = world.render(mu) + 0.1 * torch.randn(512, 1, 32, 32, generator=generator)
    result = score_images(images, mu, world)
    assert result.category_rates()["right"] >= 0.99
    assert result.error[shown(world, mu)].abs().nanmedian() < 0.1


@both_kinds
@every_edge
def test_a_black_image_holds_nothing(kind, edges):
    world = BumpWorld(kind=kind, **edges)
    mu = points((16, 16), (10, 20))
    black = torch.full((2, 1, 32, 32), -1.0)
    found = detect(black, world)
    assert (found.count == 0).all() and found.centre.isnan().all()
    assert names(score_images(black, mu, world).category) == ["none", "none"]


def test_two_bumps_are_several():
    world = BumpWorld()
    images = torch.maximum(world.render(points((8, 8), (4, 20))), world.render(points((20, 24), (4, 10))))
    result = score_images(images, points((8, 8), (4, 20)), world)
    assert names(result.category) == ["several"] * 2 and (result.detections.count == 2).all()


def test_a_second_stripe_counts_on_its_own_axis():
    world = BumpWorld(kind="sos")
    two_across = world.render(points((8, 20))) + world.render(points((24, -99))) + 1
    result = score_images(two_across, points((8, 20)), world)
    assert result.detections.count.tolist() == [[2, 1]]
    assert names(result.axis_category) == ["several", "right"] and names(result.category) == ["several"]


@both_kinds
@pytest.mark.parametrize(
    "shift, expected",
    [((0.9, -0.9), "right"), ((1.2, 0), "misplaced"), ((0, -1.2), "misplaced"), ((9, 9), "misplaced")],
)
def test_more_than_a_pixel_away_on_some_axis_is_misplaced(kind, shift, expected):
    world, mu = BumpWorld(kind=kind), points((12, 14))
    result = score_images(world.render(mu + torch.tensor(shift)), mu, world)
    assert names(result.category) == [expected]
    torch.testing.assert_close(result.error, points(shift), atol=0.05, rtol=0)
    by_axis = ["right" if abs(s) < 1 else "misplaced" for s in shift]
    assert names(result.axis_category) == by_axis


def test_the_tolerance_is_a_parameter():
    world, mu = BumpWorld(), points((12, 14))
    image = world.render(mu + 0.5)
    assert names(score_images(image, mu, world, tolerance=0.4).category) == ["misplaced"]
    assert names(score_images(image, mu, world, tolerance=0.6).category) == ["right"]


@both_kinds
def test_on_a_torus_errors_go_the_short_way_round(kind):
    world = BumpWorld(kind=kind, periodic=True)
    result = score_images(world.render(points((31.8, 0.3))), points((0.2, 31.9)), world)
    assert names(result.category) == ["right"]
    torch.testing.assert_close(result.error, points((-0.4, 0.4)), atol=0.05, rtol=0)


def test_a_faint_bump_does_not_count():
    world, mu = BumpWorld(), points((12, 14))
    faint = 0.4 * (world.render(mu) + 1) - 1
    assert names(score_images(faint, mu, world).category) == ["none"]


def test_in_the_extended_frame_a_stripe_in_the_margin_must_be_absent():
    world = BumpWorld(kind="sos", margin=6)
    mu = points((22, 22), (22, 1), (1, 22), (1, 43))  # 2D, two 1D, 0D
    images = world.render(mu)
    result = score_images(images, mu, world)
    assert result.detections.count.tolist() == [[1, 1], [1, 0], [0, 1], [0, 0]]
    assert names(result.category) == ["right"] * 4
    swapped = score_images(images[[1, 0, 3, 2]], mu, world)
    assert names(swapped.axis_category[:, 1]) == ["none", "several", "none", "several"]


def test_a_stripe_is_right_on_one_axis_and_wrong_on_the_other():
    world, mu = BumpWorld(kind="sos"), points((12, 14))
    result = score_images(world.render(points((12, 20))), mu, world)
    assert names(result.axis_category) == ["right", "misplaced"]
    assert result.accuracy("x").value == 1 and result.accuracy("y").value == result.accuracy().value == 0


# ---------------------------------------------------------------- accuracy


@given(n=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
@settings(deadline=None)
def test_wilson_intervals_equal_those_of_scipy(n, share, confidence):
    successes = round(share * n)
    ours = wilson_interval(successes, n, confidence)
    theirs = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.value == successes / n and ours.n == n


def test_no_cases_say_nothing():
    share = wilson_interval(0, 0)
    assert share.value != share.value and (share.low, share.high) == (0, 1)


def test_a_share_prints_with_its_interval():
    assert str(wilson_interval(99, 100)) == "0.990 [0.946, 0.998]"


@both_kinds
@every_edge
@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0, 2))
@settings(deadline=None, max_examples=5)
def test_every_image_falls_into_one_category(kind, edges, seed, noise):
    world = BumpWorld(kind=kind, **edges)
    generator = torch.Generator().manual_seed(seed)
    mu = torch.rand(32, 2, generator=generator) * world.extent
    images = world.render(mu) + noise * torch.randn(32, 1, 32, 32, generator=generator)
    result = score_images(images, mu, world)
    shares = result.category_rates()
    assert tuple(shares) == CATEGORIES and sum(shares.values()) == pytest.approx(1)
    assert shares["right"] == pytest.approx(result.accuracy().value)
    assert result.accuracy().value <= min(result.accuracy("x").value, result.accuracy("y").value)


@pytest.mark.parametrize("predicts", ["eps", "v", "x0"])
@both_kinds
@every_edge
def test_a_denoiser_that_knows_the_image_is_always_right(predicts, kind, edges):
    world, diffusion = BumpWorld(kind=kind, spacing=4, **edges), Diffusion(prediction_type=predicts)

    def all_knowing(x, t, mu):
        x0 = world.render(mu)
        signal, noise = diffusion.signal_and_noise_scale(t)
        return diffusion.target(x0, (x - signal * x0) / noise, t)

    mu = world.lattice()
    result = evaluate(all_knowing, world, diffusion, mu, steps=4, batch=50)
    assert result.accuracy().value == 1 and torch.equal(result.mu, mu)
    assert evaluate(all_knowing, world, diffusion, mu + 2, steps=4).accuracy().value == 1
    shifted = score_images(world.render(mu + 2), mu, world)
    assert "right" not in names(shifted.category[shown(world, mu).all(1)])


def test_an_evaluation_repeats_under_its_seed():
    world, diffusion = BumpWorld(spacing=8), Diffusion()

    def errors(seed):
        result = evaluate(lambda x, t, mu: 0.9 * x, world, diffusion, world.lattice(), 3, 1.0, seed)
        return result.detections.centre.nan_to_num(-1)

    assert torch.equal(errors(0), errors(0)) and not torch.equal(errors(0), errors(1))


def test_a_part_of_an_evaluation_is_the_evaluation_of_a_part():
    world = BumpWorld(size=16)
    mu = world.lattice()[::7]
    images = world.render(mu.flip(0))
    whole, rows = score_images(images, mu, world), slice(3, 20)
    part = score_images(images[rows], mu[rows], world)
    assert whole[rows].category_rates() == part.category_rates() and whole[rows].accuracy("x") == part.accuracy("x")
    assert torch.equal(whole[rows].detections.count, part.detections.count) and torch.equal(whole[rows].mu, part.mu)
    assert torch.equal(
        whole[mu[:, 0] < 8].category, score_images(images[mu[:, 0] < 8], mu[mu[:, 0] < 8], world).category
    )


# ---------------------------------------------------------------- mixed worlds, parts, baselines


def test_a_world_of_bumps_and_stripes_is_judged_by_what_a_condition_asks_for():
    world = BumpWorld(kind="bump+stripes", margin=6)
    mu = points((22, 20), (22, 1), (43, 22), (1, 1))
    images = world.render(mu)
    assert names(score_images(images, mu, world).category) == ["right"] * 4
    moved = score_images(world.render(mu + torch.tensor([-2.0, 0.0])), mu, world)
    assert names(moved.axis_category[:, 0]) == ["misplaced", "misplaced", "right", "right"]
    turned = score_images(images[[1, 0, 3, 2]], mu, world)  # a stripe for a bump, a bump for a stripe
    assert "right" not in names(turned.category[:3])


def test_whole_lattices_of_bumps_and_stripes_are_right():
    world = BumpWorld(kind="bump+stripes", margin=6)
    assert score_images(world.render(world.lattice()), world.lattice(), world).accuracy().value == 1


def test_parts_of_an_evaluation_join_again():
    world = BumpWorld()
    whole = score_images(world.render(world.lattice()), world.lattice(), world)
    parts = [whole.in_region(where) for where in ("band_x(13, 19)", "~band_x(13, 19)")]
    assert len(parts[0].mu) == 5 * 32 and ((parts[0].mu[:, 0] - 16).abs() <= 2).all()
    again = concatenate(parts)
    order = torch.argsort(again.mu[:, 1] * 32 + again.mu[:, 0])
    for one, other in (
        (again[order].detections.centre, whole.detections.centre),
        (again[order].category, whole.category),
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("edges", [{"size": 16}, {"size": 16, "margin": 4}])
def test_a_region_is_one_of_the_evaluations_own_label_space(edges):
    world = BumpWorld(**edges)
    whole = score_images(world.render(world.lattice()), world.lattice(), world)
    side = 16 + 2 * edges.get("margin", 0)
    edge = [pair for pair in whole.mu.tolist() if min(pair) <= 3 or max(pair) >= side - 3]
    assert whole.in_region("rim(3)").mu.tolist() == edge and whole.in_region(rim(3)).world == world
    middle = [pair for pair in whole.mu.tolist() if all(side / 2 - 2 < v < side / 2 + 2 for v in pair)]
    assert whole.in_region("interior(4)").mu.tolist() == middle and len(middle) == 9
    with pytest.raises(BumplabError, match=r"^Give a region"):
        whole.in_region("")


def wrong_in_half(world, mu):
    """Return an evaluation with a mistake of two pixels to the right in every second image."""
    shift = torch.zeros_like(mu)
    shift[::2, 0] = 2
    return score_images(world.render(mu + shift), mu, world)


def test_evaluations_of_a_study_whose_seeds_show_other_subsets_make_one():
    worlds = [BumpWorld(fraction=0.3, subsample_seed=k, held_out="cross(13, 19)") for k in range(3)]
    worlds += [BumpWorld().showing("band_x(3, 9)")]
    parts = [wrong_in_half(world, world.seen()) for world in worlds]
    whole = concatenate(iter(parts))
    assert whole.mu.tolist() == [row for world in worlds for row in world.seen().tolist()]
    assert whole.right.tolist() == [right for part in parts for right in part.right.tolist()]
    assert whole.world == BumpWorld() and len(whole.world.unseen()) == 0
    assert concatenate(parts[:1]).world == concatenate([parts[0], parts[0]]).world == worlds[0]


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"size": 24}, r"another size \(16, 24\)"),
        ({"margin": 4}, r"another margin \(0\.0, 4\.0\)"),
        ({"periodic": True}, r"another periodic \(False, True\)"),
        ({"kind": "sos"}, r"another kind \(bump, sos\)"),
        ({"sigma": 2}, r"another sigma \(\(1\.0, 1\.0\), \(2\.0, 2\.0\)\)"),
        ({"spacing": 2}, r"another spacing"),
    ],
)
def test_evaluations_of_worlds_with_other_labels_or_images_do_not_make_one(changes, told):
    worlds = BumpWorld(size=16), BumpWorld(size=16).replace(**changes)
    parts = [wrong_in_half(world, world.lattice()) for world in worlds]
    with pytest.raises(BumplabError, match=rf"^Evaluations of worlds with {told}"):
        concatenate(parts)


def test_nothing_makes_no_evaluation():
    with pytest.raises(BumplabError, match="give one or more"):
        concatenate([])


def test_a_record_counts_what_is_right():
    world = BumpWorld(kind="sos")
    mu = world.lattice()[::5]
    images = world.render(mu + torch.tensor([0.0, 3.0]) * (torch.arange(len(mu)) % 3 == 0)[:, None])
    images[1::7] = -1  # black
    result = score_images(images, mu, world)
    axes = [tuple(CATEGORIES[code] for code in row) for row in result.axis_category.tolist()]
    worst = Counter(min(pair, key=CATEGORIES.index) for pair in axes)
    n = len(mu)
    assert len(worst) >= 3  # black, misplaced and right
    assert result.to_record() == {
        "joint": round(worst["right"] / n, 6),
        "x": round(sum(x == "right" for x, _ in axes) / n, 6),
        "y": round(sum(y == "right" for _, y in axes) / n, 6),
        **{name: pytest.approx(worst[name] / n, abs=5e-7) for name in CATEGORIES},
        "n": n,
    }
    assert list(result.to_record()) == ["joint", "x", "y", *CATEGORIES, "n"]


@both_kinds
def test_chance_is_the_share_of_neighbours_and_black_is_never_right(kind):
    world = BumpWorld(kind=kind)
    mu = world.lattice().repeat(8, 1)
    found = baseline_evaluations(world, mu, ("chance", "blank"))
    distance = torch.cdist(world.lattice(), world.lattice(), p=float("inf"))
    hit, near = (distance.le(reach).float().mean() for reach in (0, 1))
    assert 0.8 * hit < found["chance"].accuracy().value < 1.2 * near  # a pixel away is right or just not
    assert found["blank"].accuracy().value == 0


def test_black_is_right_where_nothing_is_to_be_seen():
    world = BumpWorld(kind="bump+stripes", margin=6)
    result = baseline_evaluations(world, points((1, 1), (22, 1), (22, 22)))["blank"]
    assert names(result.category) == ["right", "none", "none"]


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_no_template_has_numbers_that_are_slow_to_multiply(sigma):
    templates = _Axis(BumpWorld(sigma=sigma), 0, 0.05, torch.device("cpu")).templates
    assert templates.max() == 1 and not ((templates != 0) & (templates.abs() < 1e-30)).any()
