"""The store keeps runs of which it knows nothing: a straight line fitted by least squares is one, too."""

import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest

from bumplab.common.errors import BumplabError
from bumplab.common.run_settings import RunSettings
from bumplab.runs import families
from bumplab.runs.families import Family, family_of, provenance, register_family
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack_store import PackStore
from bumplab.runs.recording import pack_runs
from bumplab.runs.records import Record, StoreError
from bumplab.runs.run import Run
from bumplab.runs.run_file import read_run, run_bytes
from bumplab.runs.store import find, load_or_train, verify
from bumplab.runs.verification import Recomputation
from bumplab.training.settings import Settings, Training
from patching import replace_everywhere


class LineSettings(RunSettings):
    """A line through noisy points."""

    family: ClassVar[str] = "lines"
    trainer_version: ClassVar[int] = 3
    steps: int = 20
    seed: int = 0


def points(settings):
    noise = np.random.default_rng(settings.seed).normal(size=50)
    x = np.linspace(-1, 1, 50)
    return x, 2 * x + 1 + 0.1 * noise


def train_line(settings, folder, device, precision, progress, keep, compile):
    """Descend the gradient of the squared error."""
    x, y = points(settings)
    slope = offset = 0.0
    losses = []
    for step in range(settings.steps):
        error = slope * x + offset - y
        losses.append([step + 1, float((error**2).mean())])
        slope, offset = slope - 0.5 * float((error * x).mean()), offset - 0.5 * float(error.mean())
    error = slope * x + offset - y
    weights = {"weights": {"line": np.array([slope, offset])}} if keep == "all" else {}
    scalars = {"points": {"loss": float((error**2).mean()), "n": 50}}
    return Record(
        settings.id, settings.to_record(), settings.trainer_version, scalars, provenance(device="cpu"),
        {"loss": losses}, {"verdicts/points/error": error}, weights,
    )  # fmt: skip


def recompute_line(run):
    error = run.arrays["verdicts/points/error"]
    yield Recomputation("verdicts", {"points": {"loss": float((error**2).mean()), "n": len(error)}})
    if "weights" in run.kept:
        x, y = points(run.settings)
        error = run.model()(x) - y
        yield Recomputation("weights", {"points": {"loss": float((error**2).mean()), "n": len(x)}}, 1e-9)


class LineRun(Run):
    def model(self):
        return np.poly1d(self.weights()["line"])


@pytest.fixture(autouse=True)
def lines(monkeypatch):
    monkeypatch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
    return register_family(Family(LineSettings, train_line, recompute_line, LineRun, ("all", "none")))


@pytest.fixture
def book(monkeypatch, tmp_path):
    """Return a folder of recorded runs of our own."""
    folder = tmp_path / "book" / "runs"
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: folder)
    return folder


def test_a_line_is_trained_stored_loaded_and_proved(book, tmp_path):
    settings = LineSettings()
    run = load_or_train(settings, store=tmp_path)
    assert type(run) is LineRun and run.path == tmp_path / f"{settings.id}.safetensors"
    assert run.kept == {"history", "verdicts", "weights"}
    np.testing.assert_allclose(run.model().c, np.polyfit(*points(settings), 1), atol=0.05)
    steps, losses = run.curve("loss")
    assert len(steps) == 20 and losses[-1] < losses[0] / 10
    assert find(settings, tmp_path) == run and load_or_train(settings, store=tmp_path) == run
    assert verify(FileStore(tmp_path), run.id).reason == "from its verdicts and its weights"
    assert {path.name for path in tmp_path.iterdir()} == {run.path.name, f"{settings.id}.lock"}


def test_a_line_is_packed_beside_others_exported_and_read_back(book, tmp_path):
    runs = [load_or_train(LineSettings(seed=seed), store=tmp_path / "a", weights="none") for seed in range(3)]
    pack_runs(runs[:2], "lines")
    pack = pack_runs(runs[2:], "lines")
    assert pack.ids() == sorted(run.id for run in runs)
    for run in runs:
        packed = find(run.settings)
        assert type(packed) is LineRun and packed.path == book / "lines" and packed.scalars == run.scalars
        assert verify(PackStore(book), run.id).verdict == "proved"
        with pytest.raises(StoreError, match="was recorded without its weights"):
            packed.model()
        path = tmp_path / f"{run.id}.safetensors"
        path.write_bytes(run_bytes(packed.record()))
        assert read_run(path).scalars == run.scalars
    full = load_or_train(LineSettings(), retrain=True, store=tmp_path / "b")  # the fullest copy goes first
    assert find(LineSettings(), tmp_path / "b") == full and find(LineSettings()).path == book / "lines"


def test_a_run_with_other_numbers_is_refused_and_nothing_is_lost(book, tmp_path):
    run = load_or_train(LineSettings(), store=tmp_path)
    pack_runs([run], "lines")
    before = (book / "lines" / "runs.jsonl").read_bytes()
    other = LineRun(run.settings, {"points": {"loss": 0.5, "n": 50}}, run.provenance, run.source)
    with pytest.raises(BumplabError, match="they differ in scalars"):
        pack_runs([other], "lines")
    assert (book / "lines" / "runs.jsonl").read_bytes() == before
    pack_runs([other], "lines", replace=True)
    assert verify(PackStore(book), run.id).verdict == "refuted"


def test_each_family_has_ids_and_a_trainer_version_of_its_own(tmp_path, monkeypatch):
    class Same(LineSettings):
        family: ClassVar[str] = "others"

    assert LineSettings().id != Same().id
    before = LineSettings().id, Settings(training=Training(steps=7)).id
    load_or_train(LineSettings(), store=tmp_path)
    monkeypatch.setattr(LineSettings, "trainer_version", 4)
    assert LineSettings().id != before[0] and Settings(training=Training(steps=7)).id == before[1]
    (tmp_path / f"{before[0]}.safetensors").rename(tmp_path / f"{LineSettings().id}.safetensors")
    with pytest.raises(StoreError, match="version 3 of the trainer, this is 4"):
        find(LineSettings(), tmp_path)


def test_an_unknown_family_is_named(tmp_path, book):
    run = load_or_train(LineSettings(), store=tmp_path)
    del families._FAMILIES["lines"]
    with pytest.raises(StoreError, match="Runs of the family 'lines' are not known here"):
        FileStore(tmp_path).get(run.id)
    with pytest.raises(StoreError, match="not known"):
        family_of({"family": ["lines"]})


def test_what_a_family_cannot_keep_is_refused(tmp_path):
    with pytest.raises(BumplabError, match=r"^A run cannot keep 'half' of its weights: use all, none\.$"):
        load_or_train(LineSettings(), store=tmp_path, weights="half")


def test_the_store_imports_no_trainer_network_or_analysis():
    code = "import sys, bumplab.runs.store; print(*(name for name in sys.modules if name.startswith('bumplab.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    layers = {name.split(".")[1] for name in done.stdout.split()}
    assert layers == {"common", "runs"}
