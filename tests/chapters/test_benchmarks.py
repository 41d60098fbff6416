"""Durations with bounds, files of results, and contestants that learn and draw what they are asked to."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from bumplab.analysis.accuracy import score_images
from bumplab.chapters.benchmarks import CensoredTime, median_time, read_results, time_to
from bumplab.common.errors import BumplabError
from bumplab.training.loop import learning_rate
from bumplab.training.state import mean_target

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def peers():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("peers")
    sys.path.remove(str(BENCHMARKS))


# ---------------------------------------------------------------- durations


def curve(*points):
    return [{"seconds": seconds, "accuracy": accuracy} for seconds, accuracy in points]


def test_the_time_is_that_of_the_first_measurement_at_the_target():
    assert time_to(curve((5, 0.2), (10, 0.95), (15, 0.9), (20, 1.0))) == CensoredTime(10, True)
    assert time_to(curve((5, 0.2), (10, 0.94))) == CensoredTime(10, False)
    assert time_to(curve((5, 0.2), (10, 0.94)), target=0.2) == CensoredTime(5, True)
    with pytest.raises(BumplabError, match="without a measurement"):
        time_to([])


def test_a_cap_turns_a_ratio_into_a_bound():
    ours, slow, capped = CensoredTime(10, True), CensoredTime(45, True), CensoredTime(300, False)
    assert slow.ratio_to(ours) == "4.5"
    assert capped.ratio_to(ours) == "at least 30"
    assert ours.ratio_to(capped) == "at most 0.033"
    assert capped.ratio_to(capped) == "unknown"
    assert (str(slow), str(capped)) == ("45.0", "more than 300")


def test_a_median_counts_what_was_not_reached_as_longest():
    reached = [CensoredTime(s, True) for s in (30, 10, 20)]
    assert median_time(reached) == CensoredTime(20, True)
    assert median_time([*reached[:2], CensoredTime(5, False)]) == CensoredTime(30, True)
    assert median_time([reached[0], CensoredTime(9, False), CensoredTime(5, False)]) == CensoredTime(5, False)
    with pytest.raises(BumplabError, match="odd number"):
        median_time(reached[:2])


# ---------------------------------------------------------------- files


def test_results_are_read_by_name(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": {"cores": 2}, "seconds": 1}))
    assert list(read_results(tmp_path)) == ["a", "b"] and read_results(tmp_path)["a"]["seconds"] == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": 2}', '{"machine": {}'])
def test_a_file_that_is_no_result_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BumplabError, match=r"a\.json is damaged or not a result of make bench"):
        read_results(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(BumplabError, match="make bench"):
        read_results(tmp_path / "none")


def test_the_summary_gives_bounds_where_a_contestant_was_capped(peers):
    bench = importlib.import_module("bench")
    common = {"parameters": 1000, "images_per_second": 5.0, "peak_gib": 0.5}
    found = {
        "ours-0": {**common, "sampling": [], "curve": curve((5, 0.5), (10, 0.96))},
        "slow": {**common, "curve": curve((250, 0.1), (300, 0.2))},
        "sweep-1": {"threads": 2, "runs_per_hour": 123.4},
    }
    first, ours, slow, sweep = bench.summary(found).splitlines()
    assert ours.endswith("0.960          10.0  1") and slow.endswith("0.200 more than 300  at least 30")
    assert sweep == "sweep-1: 2 threads a run, 123 runs per hour"


# ---------------------------------------------------------------- percolation


def test_the_pass_and_scipy_find_the_same_clusters(peers):
    percolation = importlib.import_module("percolation")
    found = {"race": percolation.race(48, 1), "growth": percolation.growth_of_time((16, 32), 1), "thresholds": []}
    assert len(found["race"]) == 5 and all(row["equal"] for row in found["race"])
    found |= {"exponent": 1.0, "growth_peak_gib": 0.1, "compiling_seconds": 1.0}
    assert percolation.words(found).count("True") == 5
    for row in found["race"]:
        row["times"] = 60 if row["rival"] == "scipy.sparse.csgraph" else 5
    assert percolation.passed(found)
    found["race"][0]["times"] = 40
    assert not percolation.passed(found)
    found["race"][0] |= {"times": 60, "equal": False}
    assert not percolation.passed(found)


# ---------------------------------------------------------------- contestants


def test_a_class_is_a_row_of_the_lattice(peers):
    lattice = peers.WORLD.lattice()
    assert torch.equal(peers.lattice_row(lattice), torch.arange(len(lattice)))


class Oracle(torch.nn.Module):
    """A network that knows the image of every label, and answers as one trained to perfection would."""

    def __init__(self, peer, alpha_bar, x0):
        super().__init__()
        self.peer, self.alpha_bar, self.x0 = peer, alpha_bar, x0

    def answer(self, x, t, rows):
        a = self.alpha_bar[t.expand(len(x))][:, None, None, None].double()
        clean = self.peer.images[rows]
        return clean if self.x0 else ((x - a.sqrt() * clean) / (1 - a).sqrt()).float()


class DiffusersOracle(Oracle):
    def forward(self, x, t, labels):
        known = self.peer.labels
        rows = labels if known.ndim == 1 else torch.cdist(labels, known).argmin(1)
        return type("Output", (), {"sample": self.answer(x, t, rows)})


@pytest.mark.parametrize("x0", [False, True])
@pytest.mark.parametrize("encoding", [False, True])
def test_diffusers_with_a_perfect_network_has_no_loss_and_draws_every_bump(peers, x0, encoding):
    peer = peers.Diffusers(0, x0=x0, encoding=encoding)
    peer.model = DiffusersOracle(peer, peer.noise.alphas_cumprod, x0)
    peer.ema.copy_to = lambda parameters: None
    check(peers, peer)


@pytest.mark.parametrize("x0", [False, True])
def test_denoising_diffusion_with_a_perfect_network_has_no_loss_and_draws_every_bump(peers, x0):
    if importlib.util.find_spec("denoising_diffusion_pytorch") is None:
        pytest.skip("not the environment that make builds")
    peer = peers.DenoisingDiffusion(0, x0=x0)
    oracle = Oracle(peer, peer.model.alphas_cumprod, x0)
    for model in (peer.model.model, peer.ema.ema_model.model):
        model.forward = lambda x, t, classes, **_: oracle.answer(x, t, classes)
    check(peers, peer)


def check(peers, peer):
    rows = torch.arange(3, 1024, 50)
    assert float(peer.loss(peer.images[rows], rows)) < 1e-6
    images = peer.sample(peer.mu[rows])
    assert images.shape == (len(rows), 1, 32, 32)
    assert score_images(images, peer.mu[rows], peers.WORLD).accuracy().value == 1
    assert (images - peer.images[rows]).abs().max() < 0.02


def test_our_recipe_is_that_of_preset_quick(peers, monkeypatch):
    monkeypatch.setattr(peers, "BATCH", 2)
    peer = peers.Diffusers(0, x0=True, encoding=True, recipe=True)
    assert float(peer.model.conv_out.bias.detach()) == pytest.approx(mean_target(peers.QUICK))
    start, rates = [p.detach().clone() for p in peer.model.parameters()], []
    for _ in range(4):
        rates.append(peer.optimizer.param_groups[0]["lr"])
        peer.step()
    assert rates == pytest.approx([learning_rate(peers.QUICK, step) for step in range(4)])
    live, averaged = (
        sum(float((a.detach() - b).abs().sum()) for a, b in zip(side.parameters(), start, strict=True))
        for side in (peer.model, peer.averaged)
    )
    assert 0 < averaged < live


# ---------------------------------------------------------------- the race


class Stub:
    """A contestant that draws black images until it has taken `needs` steps, then the right ones."""

    library, parameters = "stub 1", 7

    def __init__(self, world, needs):
        self.world, self.needs, self.taken = world, needs, 0

    def step(self):
        self.taken += 1
        torch.rand(1)
        return 1 / self.taken

    def sample(self, mu):
        torch.rand(5)
        images = self.world.render(mu)
        return images if self.taken >= self.needs else torch.full_like(images, -1)


@pytest.fixture
def race(peers, monkeypatch):
    contest = importlib.import_module("contest")
    monkeypatch.setattr(contest, "EVERY", 0.0)

    def run(needs, cap):
        made = peers.Contestant(lambda seed: Stub(peers.WORLD, needs), "words")
        monkeypatch.setitem(contest.CONTESTANTS, "stub", made)
        return contest.contest("stub", 0, cap)

    return run


def test_a_race_ends_at_the_target(race):
    found = race(needs=3, cap=60)
    *before, last = found["curve"]
    assert last["accuracy"] == 1 and last["step"] >= 3 and all(point["accuracy"] == 0 for point in before)
    assert found["seconds"] == last["seconds"] < 60 and found["images_per_second"] > 0
    assert last["shares"] == {"none": 0, "several": 0, "misplaced": 0, "right": 1}
    assert (found["library"], found["words"], found["parameters"], found["cap"]) == ("stub 1", "words", 7, 60)


def test_a_race_ends_at_the_cap_with_a_measurement(race):
    found = race(needs=float("inf"), cap=0.01)
    assert found["curve"][-1]["seconds"] == found["seconds"] >= 0.01
    assert not time_to(found["curve"]).reached


def test_measuring_does_not_disturb_training(peers):
    contest, stub = importlib.import_module("contest"), Stub(peers.WORLD, 0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    contest.score(stub, peers.WORLD.lattice()[:4])
    assert torch.equal(torch.rand(3), expected)


def test_an_unknown_part_is_refused(peers, tmp_path):
    bench = importlib.import_module("bench")
    result = CliRunner().invoke(bench.main, ["--only", "nobody", "--out", str(tmp_path)])
    assert result.exit_code == 2 and "diffusers-x0" in result.output
