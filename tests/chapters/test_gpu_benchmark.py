"""The benchmark of a GPU, rehearsed where there is none: its rows, its file, and what makes it fail."""

import importlib
import json
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from bumplab.chapters.benchmarks import Timing, read_results, timing_table
from bumplab.common.errors import BumplabError
from bumplab.training.ensembles import Ensemble
from bumplab.training.settings import preset
from patching import replace_everywhere

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
BRIEF = preset(
    "smoke", world={"size": 8}, model={"patch": 1}, training={"steps": 1, "snapshots": (), "evaluate_every": 0}
)
MEMBER = "a member against the run alone, 5 steps: mean difference of a weight"
LARGEST = "a member against the run alone, 5 steps: largest difference of a weight"


@pytest.fixture(scope="module")
def gpu():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("gpu")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def rehearsal(gpu, tmp_path_factory):
    """Return what a rehearsal prints, and what it writes."""
    out = tmp_path_factory.mktemp("gpu") / "gpu.json"
    found = CliRunner().invoke(gpu.main, ["--device", "cpu", "--preset", "smoke", "--out", str(out)])
    assert found.exit_code == 0, found.output
    return found.output, json.loads(out.read_text())


def test_a_rehearsal_measures_every_part_and_says_what_it_is(rehearsal, gpu):
    printed, written = rehearsal
    units = {(row["what"], row["precision"]): row["unit"] for row in written["rows"]}
    assert units == {
        ("smoke, one run", "fp32"): "s",
        ("smoke, one run with its measurements and its file", "fp32"): "s",
        ("smoke, joint accuracy", "fp32"): "",
        ("3 runs of smoke as one", "fp32"): "s",
        ("3 runs of smoke as one: times as fast as one after another", "fp32"): "",
        ("3 runs of smoke as one, with measurements and files", "fp32"): "s",
        ("3 runs of smoke as one: peak memory", "fp32"): "GiB",
        ("smoke, a step", "fp32"): "ms",
        ("smoke: peak memory", "fp32"): "GiB",
        (MEMBER, "fp32"): "of the mean change",
        (LARGEST, "fp32"): "",
        (MEMBER, "bf16"): "of the mean change",
        (LARGEST, "bf16"): "",
        ("smoke, a step without a graph", "fp32"): "ms",
        ("smoke, a step as a graph", "fp32"): "ms",
        ("smoke, without a graph against with one", "fp32"): "times as long",
        ("fp16", ""): "",
        ("smoke compiled, a step", "fp32"): "ms",
        ("smoke compiled: before the first step", "fp32"): "s",
        ("smoke compiled: peak memory", "fp32"): "GiB",
    }
    assert [row["what"] for row in written["rows"] if row["value"] is None] == ["fp16"]
    assert all(row["value"] > 0 for row in written["rows"] if row["unit"])
    assert written["rehearsal"] is True and 0 < written["seconds"] < 240
    assert written["machine"]["device"].startswith("cpu (") and written["machine"]["precision"] == "fp32"
    assert written["machine"]["torch"] == torch.__version__ and len(written["machine"]["date"]) == 10
    assert "A rehearsal: these numbers say nothing about a GPU." in printed
    assert "fp16 is not measured. Precision 'fp16' is not possible on cpu" in printed
    targets = {row["what"] for row in written["rows"] if row["target"] is not None}
    assert targets == {MEMBER} and all(row["met"] for row in written["rows"] if row["target"])


def test_what_is_written_is_a_result_that_the_book_shows(rehearsal, tmp_path):
    (tmp_path / "gpu.json").write_text(json.dumps(rehearsal[1]))
    rows = read_results(tmp_path)["gpu"]["rows"]
    table = timing_table(rows)
    assert len(table) == len(rows) and list(table) == ["what", "precision", "measured", "target", "met"]
    assert table.set_index("what")["measured"]["fp16"] == "not measured"


def test_the_targets_are_those_of_the_whole_networks(gpu):
    bench = gpu.Bench(torch.device("cpu"), preset("quick"), preset("paper"), 128, 1.0, rehearsal=False)
    assert bench.target(10) == 10 and bench.names == ("quick", "paper")


def test_the_time_of_an_ensemble_is_not_rounded(gpu, monkeypatch):
    bench = gpu.Bench(torch.device("cpu"), BRIEF, BRIEF, 3, 0.1, rehearsal=True)
    run_loop = gpu.run_loop

    def quick(states, *rest):
        run_loop(states, *rest)
        for state in states:
            state.seconds = 0.0015  # which a run records as 0 seconds

    monkeypatch.setattr(gpu, "run_loop", quick)
    replace_everywhere(monkeypatch, "bumplab.training.loop.run_loop", quick)
    bench.found["single"] = 1.5
    rows = {row.what: row.value for row in gpu.ensemble(bench)}
    assert rows["3 runs of quick as one"] == pytest.approx(0.0045)
    assert rows["3 runs of quick as one: times as fast as one after another"] == pytest.approx(1000)


class Spoilt(Ensemble):
    """Gives a member the noise of another seed."""

    def __init__(self, states):
        super().__init__(states)
        states[1].generator.manual_seed(5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_spoilt_member_misses_the_target(gpu, monkeypatch, precision):
    settings = preset("smoke", world={"size": 8}, model={"patch": 1})
    bench = gpu.Bench(torch.device("cpu"), settings, settings, 2, 0.1, rehearsal=True)
    assert [row.met for row in gpu.members(precision)(bench)] == [True, None]
    monkeypatch.setattr(gpu, "Ensemble", Spoilt)
    assert [row.met for row in gpu.members(precision)(bench)] == [False, None]


def test_a_missed_target_is_the_exit_code(gpu, monkeypatch):
    rows = [Timing("quick, one run", "bf16", 2.5, "s", target=2)]
    monkeypatch.setattr(gpu, "measure", lambda bench, limit: iter(rows))
    found = CliRunner().invoke(gpu.main, ["--device", "cpu", "--preset", "smoke"])
    assert found.exit_code == 1 and "at most 2 s" in found.output


def test_without_a_gpu_nothing_is_measured(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "measure", lambda *_: pytest.fail("it measured"))
    found = CliRunner().invoke(gpu.main, [])
    assert isinstance(found.exception, BumplabError) and "There is no CUDA device here" in str(found.exception)
    found = CliRunner().invoke(gpu.main, ["--device", "cpu"])
    assert isinstance(found.exception, BumplabError) and "name a preset to rehearse with" in str(found.exception)


def test_what_would_go_beyond_the_limit_is_named(gpu, monkeypatch):
    def slow(bench):
        yield Timing("never seen", "", 1.0, "s")
        while True:  # no exception handler of what is measured may take the end of its time for a failure
            try:
                time.sleep(0.01)
            except Exception:
                pass

    def fails(bench):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        yield

    quick = [("first", 0, lambda bench: iter([Timing("done", "", 1.0, "s")])), ("fails", 0, fails)]

    def mistaken(bench):
        yield Timing("never seen", "", 1 / 0, "s")

    parts = [*quick, ("mistaken", 0, mistaken), ("slow", 0, slow), ("long", 100, slow)]
    monkeypatch.setattr(gpu, "PARTS", parts)
    bench = gpu.Bench(torch.device("cpu"), preset("quick"), preset("paper"), 128, 1.0, rehearsal=False)
    rows = list(gpu.measure(bench, 0.5))
    assert [row.what for row in rows] == ["done", "fails", "mistaken", "slow", "long"]
    assert [row.reason for row in rows] == [
        "",
        "CUDA out of memory. Tried to allocate 2 GiB",
        "ZeroDivisionError: division by zero",
        "It would go beyond 0 seconds",
        "It would go beyond 0 seconds",
    ]


@pytest.mark.parametrize(
    "value, at_least, met", [(2, False, True), (2.1, False, False), (2.1, True, True), (1, True, False)]
)
def test_a_target_is_a_bound(value, at_least, met):
    assert Timing("", "", value, "", 2, at_least).met is met


def test_what_is_not_a_number_meets_nothing():
    for at_least in (False, True):
        assert Timing("", "", float("nan"), "", 2, at_least).met is False
    assert Timing("", "", None, "", 2).met is None and Timing("", "", 1.0, "").met is None
