"""Orthogonality, parallelism and the scores: exact values on the ideal codes, brute force, and noise."""

import itertools

import numpy as np
import pytest

from bumplab.analysis import ideal_codes
from bumplab.analysis.factorization import factorization_scores
from bumplab.analysis.geometry import participation_ratio
from bumplab.analysis.steps import orthogonality, parallelism, parallelism_along
from bumplab.common.errors import BumplabError

SIZES = [(4, 4), (5, 9), (16, 12), (32, 32)]
CODES = {
    "torus3d": ideal_codes.torus3d,
    "clifford": ideal_codes.clifford,
    "one_hot": ideal_codes.one_hot,
    "conjunctive": ideal_codes.conjunctive,
}


def disguised(r, seed=0, noise=0.0, dimensions=256):
    """Rotate a code into many dimensions, scale and shift it, add noise of `noise` times its length (rms)."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(max(dimensions, r.shape[-1]), r.shape[-1])))[0]
    turned = 7 * r @ rotation.T
    length = np.sqrt(turned.var(axis=(0, 1)).sum())
    turned += noise * length / np.sqrt(turned.shape[-1]) * rng.normal(size=turned.shape)
    return turned + 10 * rng.normal(size=len(rotation))


# ---------------------------------------------------------------- distributions


def cosine(u, v):
    return u @ v / np.sqrt(u @ u * (v @ v))


def every_cosine(r, name):
    """All cosines of a distribution, from their definition."""
    n_x, n_y = r.shape[:2]
    pairs = itertools.permutations
    if name == "x-on-y":
        for (a, b, c), (d, e, f) in itertools.product(pairs(range(n_x), 3), pairs(range(n_y), 3)):
            yield cosine(r[b, d] - r[a, d], r[c, f] - r[c, e])
    elif name == "x-on-x":
        for (a, b, c, d), y in itertools.product(pairs(range(n_x), 4), range(n_y)):
            if a < b and c < d:
                yield cosine(r[b, y] - r[a, y], r[d, y] - r[c, y])
    elif name == "y-on-y":
        yield from every_cosine(r.swapaxes(0, 1), "x-on-x")
    elif name == "x across y":
        for (a, b), (c, d) in itertools.product(pairs(range(n_x), 2), pairs(range(n_y), 2)):
            yield cosine(r[b, c] - r[a, c], r[b, d] - r[a, d])
    elif name == "x along x":
        for (a, b), y, k in itertools.product(pairs(range(n_x), 2), range(n_y), range(1, n_x)):
            if max(a, b) + k < n_x and abs(a - b) != k:
                yield cosine(r[a + k, y] - r[a, y], r[b + k, y] - r[b, y])
    else:
        yield from every_cosine(r.swapaxes(0, 1), {"y across x": "x across y", "y along y": "x along x"}[name])


@pytest.mark.parametrize("code", [ideal_codes.torus3d(5, 6), np.random.default_rng(0).normal(size=(5, 6, 4))])
def test_draws_follow_the_definitions(code):
    drawn = (
        orthogonality(code, tuples=40_000) | parallelism(code, tuples=40_000) | parallelism_along(code, tuples=40_000)
    )
    assert list(drawn) == ["x-on-y", "x-on-x", "y-on-y", "x across y", "y across x", "x along x", "y along y"]
    for name, cosines in drawn.items():
        every = np.array(list(every_cosine(code, name)))
        assert np.abs(cosines).max() <= 1 and cosines.shape == (40_000,)
        for power in (1, 2, 3, 4):
            error = (every**power).std() / 200
            assert (cosines**power).mean() == pytest.approx((every**power).mean(), abs=5 * error + 1e-9), name


@pytest.mark.parametrize("n", [5, 8, 32])
def test_distributions_of_the_ideals(n):
    ring = 1 / 2 + 1 / ((n - 1) * (n - 2))  # mean square on a ring, from sums over roots of unity
    clifford = orthogonality(disguised(ideal_codes.clifford(n, n))) | parallelism(disguised(ideal_codes.clifford(n, n)))
    assert np.abs(clifford["x-on-y"]).max() < 1e-6
    for name in ("x-on-x", "y-on-y"):
        assert (clifford[name] ** 2).mean() == pytest.approx(ring, abs=0.02)
        turns = np.arccos(clifford[name]) * n / np.pi  # angles between chords are multiples of pi / n
        np.testing.assert_allclose(turns, turns.round(), atol=1e-4)
    for name in ("x across y", "y across x"):
        np.testing.assert_allclose(clifford[name], 1, atol=1e-6)
    one_hot = orthogonality(disguised(ideal_codes.one_hot(n, n)))
    conjunctive = orthogonality(disguised(ideal_codes.conjunctive(n, n))) | parallelism(
        disguised(ideal_codes.conjunctive(n, n))
    )
    for cosines in [*one_hot.values(), *conjunctive.values()]:
        assert np.abs(cosines).max() < 1e-6
    for cosines in parallelism(disguised(ideal_codes.one_hot(n, n))).values():
        np.testing.assert_allclose(cosines, 1, atol=1e-6)
    torus = parallelism(disguised(ideal_codes.torus3d(n, n)), tuples=100_000)
    np.testing.assert_allclose(torus["x across y"], 1, atol=1e-6)
    assert torus["y across x"].mean() == pytest.approx((n / 2 - 1) / (n - 1), abs=0.015)


def test_steps_along_an_axis_of_the_ideals():
    line = np.stack(np.broadcast_arrays(np.arange(16.0)[:, None], np.arange(16.0)), axis=2)
    for cosines in parallelism_along(disguised(line)).values():
        np.testing.assert_allclose(cosines, 1, atol=1e-6)
    for code in (ideal_codes.one_hot(16, 16), ideal_codes.conjunctive(16, 16)):
        for cosines in parallelism_along(disguised(code)).values():
            np.testing.assert_allclose(cosines, 0, atol=1e-6)
    places = itertools.product(range(32), range(32), range(1, 32))
    valid = [(a, b) for a, b, k in places if a != b and abs(a - b) != k and max(a, b) + k < 32]
    expected = np.mean([np.cos(2 * np.pi * (b - a) / 32) for a, b in valid])
    assert expected == pytest.approx(0.10, abs=0.01)
    for cosines in parallelism_along(disguised(ideal_codes.clifford(32, 32)), 100_000).values():
        turns = np.arccos(cosines) * 16 / np.pi  # equal chords are turned by multiples of the angle between two values
        np.testing.assert_allclose(turns, turns.round(), atol=1e-4)
        assert cosines.mean() == pytest.approx(expected, abs=0.01)
    for seed in range(20):  # a single draw is one, too
        assert parallelism_along(line[:4, :4], tuples=1, seed=seed)["x along x"] == pytest.approx(1)


def test_noise_is_orthogonal_up_to_chance_and_not_parallel():
    noise = np.random.default_rng(0).normal(size=(32, 32, 64))
    for cosines in orthogonality(noise).values():
        assert (cosines**2).mean() == pytest.approx(1 / 64, rel=0.1)
    for cosines in parallelism(noise).values():
        assert cosines.mean() == pytest.approx(0, abs=0.01)


def test_draws_repeat_under_their_seed():
    code = ideal_codes.torus3d(8, 8)
    first, again, other = (orthogonality(code, 100, seed)["x-on-x"] for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


# ---------------------------------------------------------------- scores


def brute_force(r):
    """The scores from their definition as averages over steps and pairs of codes."""
    n_x, n_y, _ = r.shape
    d_x = [r[b, y] - r[a, y] for y in range(n_y) for a in range(n_x) for b in range(n_x)]
    d_y = [r[x, b] - r[x, a] for x in range(n_x) for a in range(n_y) for b in range(n_y)]
    square = lambda a, b: np.mean((np.array(a) @ np.array(b).T) ** 2)  # noqa: E731
    overlap = square(d_x, d_y) / np.sqrt(square(d_x, d_x) * square(d_y, d_y))
    cosines = []
    for moved in (r, r.swapaxes(0, 1)):
        z = moved - moved.mean(axis=0)
        pairs = list(itertools.permutations(range(z.shape[1]), 2))
        gram = np.mean([z[:, a] @ z[:, b].T for a, b in pairs], axis=0)
        cosines.append(min(1, (gram**2).sum() / np.trace(gram) ** 2))
    return overlap, cosines


@pytest.mark.parametrize("code", ["torus3d", "clifford", "one_hot", "mixed"])
def test_scores_are_averages_over_steps(code):
    rng = np.random.default_rng(0)
    r = rng.normal(size=(5, 6, 3)) + 2 * rng.normal(size=(5, 1, 3)) if code == "mixed" else CODES[code](5, 6)
    found = factorization_scores(disguised(r))
    overlap, cosines = brute_force(r)
    assert found.overlap == pytest.approx(overlap, abs=1e-9)
    assert (found.cosine_x, found.cosine_y) == pytest.approx(cosines, abs=1e-9)


@pytest.mark.parametrize("n_x, n_y", SIZES)
@pytest.mark.parametrize("radii", [(2, 1), (5, 0.5), (1.1, 1)])
def test_every_torus_in_3d_is_the_zero_of_factorization(n_x, n_y, radii):
    big, small = radii
    found = factorization_scores(disguised(ideal_codes.torus3d(n_x, n_y, big, small)))
    assert found.factorization == pytest.approx(0, abs=1e-6) and found.overlap == pytest.approx(1 / np.sqrt(3))
    assert (found.cosine_x, found.cosine_y) == pytest.approx((1 / 2, 1))
    # Within a row x moves R + r cos y; what all rows share is R^2 and the products r^2 cos y cos y' of different rows.
    expected = (big**2 - small**2 / 2 / (n_y - 1)) / (big**2 + small**2 / 2)
    assert found.parallelism_x == pytest.approx(expected, abs=1e-6)
    assert found.parallelism_y == pytest.approx((n_x / 2 - 1) / (n_x - 1), abs=1e-6)


@pytest.mark.parametrize("n_x, n_y", SIZES)
def test_fixed_points_of_the_scores(n_x, n_y):
    clifford = factorization_scores(disguised(ideal_codes.clifford(n_x, n_y)))
    assert (clifford.factorization, clifford.hyperfactorization) == pytest.approx((1, 0), abs=1e-6)
    one_hot = factorization_scores(disguised(ideal_codes.one_hot(n_x, n_y)))
    assert (one_hot.factorization, one_hot.hyperfactorization) == pytest.approx((1, 1), abs=1e-6)
    assert (one_hot.cosine_x, one_hot.cosine_y) == pytest.approx((1 / (n_x - 1), 1 / (n_y - 1)))
    for found in (clifford, one_hot):
        assert (found.parallelism_x, found.parallelism_y) == pytest.approx((1, 1), abs=1e-6)


@pytest.mark.parametrize("n_x, n_y", SIZES)
def test_codes_below_zero(n_x, n_y):
    lowest = np.mean([(1 / 2 - 1) / (1 / 2 - 1 / (n - 1)) for n in (n_x, n_y)])
    assert lowest == pytest.approx(np.mean([-1 - 2 / (n - 3) for n in (n_x, n_y)]))
    conjunctive = factorization_scores(disguised(ideal_codes.conjunctive(n_x, n_y)))
    overlap = np.sqrt((n_x - 1) * (n_y - 1) / (n_x * n_y))
    assert conjunctive.factorization == pytest.approx(1 - np.sqrt(3) * overlap, abs=1e-6)
    assert (conjunctive.parallelism_x, conjunctive.parallelism_y) == pytest.approx((0, 0), abs=1e-6)
    x, y = np.meshgrid(np.arange(n_x), np.arange(n_y), indexing="ij")
    lines = factorization_scores(disguised(np.stack([x, y], axis=2)))
    assert lines.factorization == pytest.approx(1)
    same_line = factorization_scores(disguised((x + y)[:, :, None]))
    assert same_line.factorization == pytest.approx(1 - np.sqrt(3))  # additive, yet not factorized
    for found in (conjunctive, lines, same_line):
        assert found.hyperfactorization == pytest.approx(lowest, abs=1e-6)


@pytest.mark.parametrize("dimensions", [16, 256])
def test_pure_noise_scores_like_the_conjunctive_code(dimensions):
    for seed in range(5):
        found = factorization_scores(np.random.default_rng(seed).normal(size=(32, 32, dimensions)))
        assert 1 - np.sqrt(3) <= found.factorization < -0.67
        assert found.hyperfactorization == pytest.approx(-1 - 2 / 29)
        assert found.parallelism_x == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_noise_of_a_third_of_the_length_hardly_moves_the_scores(seed):
    expected = {"torus3d": (0, None), "clifford": (1, 0), "one_hot": (1, 1)}
    for name, (factorization, hyper) in expected.items():
        found = factorization_scores(disguised(CODES[name](32, 32), seed, noise=1 / 3))
        assert found.factorization == pytest.approx(factorization, abs=0.1)
        assert hyper is None or found.hyperfactorization == pytest.approx(hyper, abs=0.01)
    loud = factorization_scores(disguised(ideal_codes.clifford(32, 32), seed, noise=1))
    assert loud.factorization > 0.85 and loud.hyperfactorization == pytest.approx(0, abs=0.02)
    assert loud.parallelism_x == pytest.approx(1 / 3, abs=0.02)  # half the signal is of y: noise is twice that of x


def test_hyperfactorization_rises_as_bumps_of_activity_narrow():
    found = [factorization_scores(ideal_codes.population(32, 32, width)) for width in (30, 2, 1, 0.5, 0.2, 0.05)]
    hyper = [each.hyperfactorization for each in found]
    assert hyper == sorted(hyper) and hyper[0] == pytest.approx(0, abs=1e-3) and hyper[-1] == pytest.approx(1, abs=1e-3)
    assert [each.factorization for each in found] == pytest.approx([1] * 6)


def test_the_squared_cosine_is_the_inverse_effective_dimension_of_a_features_code():
    code = ideal_codes.population(16, 20, 0.5)
    found = factorization_scores(disguised(code))
    assert 1 / found.cosine_x == pytest.approx(participation_ratio(code[:, 0]), rel=1e-6)
    assert 1 / found.cosine_y == pytest.approx(participation_ratio(code[0]), rel=1e-6)


def test_factorization_falls_as_the_codes_of_x_and_y_turn_into_one_plane():
    ring_x, ring_y = np.split(ideal_codes.clifford(16, 16), 2, axis=2)
    found = []
    for angle in (0, np.pi / 8, np.pi / 4, np.pi / 2):
        turned = np.concatenate([ring_x + np.sin(angle) * ring_y, np.cos(angle) * ring_y], axis=2)
        found.append(factorization_scores(turned).factorization)
    # Squared projections of one plane on the other: o = sin^2 of the angle between them.
    expected = 1 - np.sqrt(3) * np.sin([0, np.pi / 8, np.pi / 4, np.pi / 2]) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_swapping_the_features_swaps_their_numbers():
    r = ideal_codes.torus3d(9, 7)
    one, other = factorization_scores(r), factorization_scores(r.swapaxes(0, 1))
    assert one.factorization == pytest.approx(other.factorization)
    assert (one.cosine_x, one.parallelism_x) == pytest.approx((other.cosine_y, other.parallelism_y))


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize("measure", [factorization_scores, orthogonality, parallelism, parallelism_along])
def test_mistakes_are_named(measure):
    code = ideal_codes.clifford(8, 8)
    for wrong in (code[:3], code.reshape(64, 4)):
        with pytest.raises(BumplabError, match="x first"):
            measure(wrong)
    with pytest.raises(BumplabError, match="does not change with one of its features"):
        measure(np.broadcast_to(code[:1], code.shape))


def test_no_draws_are_refused():
    with pytest.raises(BumplabError, match="at least 1 tuple"):
        orthogonality(ideal_codes.clifford(8, 8), tuples=0)
