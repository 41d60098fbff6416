"""The command line: one sentence for a mistake, and parameters that are checked before a chapter runs."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from bumplab.chapters import execution
from bumplab.chapters.catalogue import chapter_names, chapter_path, validate
from bumplab.chapters.studies import select_studies
from bumplab.chapters.validation import ParameterError, parameters
from bumplab.cli.app import run
from bumplab.cli.runs import runs_group
from bumplab.common.errors import BumplabError, quote
from bumplab.runs.pack import read_pack
from bumplab.runs.packing import write_pack
from bumplab.runs.store import load_or_train
from bumplab.training.settings import preset
from patching import replace_everywhere


@pytest.fixture
def bumplab(monkeypatch, capsys):
    """Return a function that runs the command line and gives (exit code, output, errors)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bumplab", *map(str, words)])
        try:
            run()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return call


def refused(result, *parts):
    """Check for exit code 2, no output, and one sentence with these parts."""
    code, output, errors = result
    assert (code, output) == (2, "")
    assert re.fullmatch(r"Error: [^\n]+\.\n", errors), errors
    for part in parts:
        assert part in errors
    assert max(map(len, re.findall(r"'[^']*'", errors)), default=0) <= 80


@pytest.fixture
def nothing_recorded(monkeypatch, tmp_path):
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path)


# ---------------------------------------------------------------- help

COMMANDS = ([], ["train"], ["runs"], ["runs", "list"], ["runs", "show"], ["runs", "verify"], ["runs", "record"])
COMMANDS += (["rerun"], ["doctor"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_helps(command, option, bumplab):
    code, output, errors = bumplab(*command, option)
    assert code == 0 and output.startswith("Usage: ") and errors == ""
    assert len(output.splitlines()) > 4


def test_the_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "bumplab", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"bumplab, version [\d.]+\n", done.stdout)


@pytest.mark.parametrize("words", [["nope"], ["train", "--nope"], ["train", "3"], ["runs", "nope"], ["rerun"]])
def test_an_unknown_command_or_option_is_refused(words, bumplab):
    code, output, errors = bumplab(*words)
    assert code == 2 and output == "" and "Error: " in errors


# ---------------------------------------------------------------- train


def test_a_dry_run_shows_settings_and_trains_nothing(bumplab, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
    code, output, _ = bumplab("train", "--dry-run", "--set", "world.sigma=0.8", "--set", "seed=3")
    settings = preset("quick", world={"sigma": 0.8}, seed=3)
    run_id, text = output.split("\n", 1)
    assert code == 0 and run_id == settings.id and json.loads(text) == settings.model_dump(mode="json")


@pytest.mark.parametrize(
    "words, part",
    [
        (["--preset", "nope"], "There is no preset 'nope': use one of smoke, quick, laptop, laptop-v, laptop-eps"),
        (["--set", "world.size=0"], "size: input should be greater than or equal to 4 (got 0)"),
        (["--set", "world.sigma=-1"], "sigma.0: input should be greater than or equal to 0.05 (got -1)"),
        (["--set", "world.spacing=33"], "spacing 33 is larger than the label space of 32"),
        (["--set", "world.spacing=0.001"], "spacing 0.001 is too fine"),
        (["--set", "world.held_out=interior(99)"], "nothing is left to train on"),
        (["--set", "world.held_out=ring(3)"], "Cannot read the region 'ring(3)'"),
        (["--set", "world.fraction=0"], "fraction: input should be greater than 0"),
        (["--set", "sigmaa=1"], "There is no setting 'sigmaa' in Settings."),
        (["--set", "world.sigmaa=1"], "There is no setting 'sigmaa' in BumpWorld."),
        (["--set", "name=1"], "There is no setting 'name' in Settings."),
        (["--set", "seed=abc"], "seed: input should be a valid integer"),
        (["--set", "seed"], "Cannot read 'seed': write name=value"),
        (["--set", "=1"], "Cannot read '=1': write name=value"),
        (["--set", "world=3", "--set", "world.sigma=1"], "Cannot set 'world.sigma'"),
        (["--set", "training.steps=0"], "steps: input should be greater than or equal to 1"),
        (["--set", "seed=2026-13-45"], "'seed': '2026-13-45' is not a number: write one like 3, -0.5 or 1e-3"),
        (["--set", "seed=1:5"], "'seed': '1:5' is not a number"),
        (["--set", f"seed=1{'_' * 999}"], "'seed': '1____"),
        (["--set", f"world.held_out={'x' * 999}"], f"Cannot read the region {quote('x' * 999)}: use "),
        (["--preset", "p" * 999], f"There is no preset {quote('p' * 999)}: use one of"),
        (["--device", "tpu"], "There is no device 'tpu' here: use auto or"),
        (["--device", "cpu:x"], "There is no device 'cpu:x'"),
        (["--device", "cpu", "--precision", "fp8"], "Precision 'fp8' is not possible on cpu"),
        (["--store", __file__], "it is not a folder"),
    ],
    ids=lambda value: " ".join(value).replace(__file__, "FILE") if isinstance(value, list) else "",
)
def test_a_bad_input_of_train_is_refused_in_one_sentence(words, part, bumplab, nothing_recorded):
    refused(bumplab("train", "--preset", "smoke", *words), part)


TINY = [("world.size", 8), ("model.patch", 1), ("training.steps", 2), ("training.snapshots", "[0]")]
SET = [word for name, value in TINY for word in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def done(store):
    """Train one run into the store of these tests."""
    tiny = preset("smoke", world={"size": 8}, model={"patch": 1}, training={"steps": 2, "snapshots": (0,)})
    return load_or_train(tiny, device="cpu", progress=False)


def test_train_makes_a_run_and_the_second_time_shows_it(bumplab, tmp_path, monkeypatch):
    words = "train", "--preset", "smoke", *SET, "--store", tmp_path, "--device", "cpu"
    code, output, _ = bumplab(*words)
    summary, path = output.splitlines()
    assert code == 0 and Path(path).parent == tmp_path and summary.startswith(Path(path).stem)
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
    assert bumplab(*words) == (0, output, "")


# ---------------------------------------------------------------- runs


def test_runs_are_listed_shown_and_verified(bumplab, done, nothing_recorded):
    code, output, errors = bumplab("runs", "list")
    assert code == 0 and errors == "" and re.fullmatch(rf"cache +{done.id}  bump 8, .*\n", output)
    code, output, _ = bumplab("runs", "show", done.id[:5])
    shown = json.loads(output)
    assert code == 0 and shown["id"] == done.id and shown["settings"] == done.settings.model_dump(mode="json")
    for words in ([], [done.id[:5]]):
        code, output, _ = bumplab("runs", "verify", *words)
        told = f"proved        {done.id}  from its verdicts and its weights\n1 proved\n0 refuted\n0 not provable\n"
        assert code == 0 and output == told


def test_recorded_runs_come_first(bumplab, done, monkeypatch, tmp_path):
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path)
    write_pack(tmp_path / "study", "study", [done.record()])
    _, output, _ = bumplab("runs", "list")
    assert [line.split()[0] for line in output.splitlines()] == ["recorded", "cache"]


def test_a_damaged_run_fails_and_is_named(bumplab, done, monkeypatch, nothing_recorded, tmp_path):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    path, odd = tmp_path / done.path.name, preset("smoke", seed=7)
    shutil.copy(done.path, path)
    shutil.copy(done.path, tmp_path / f"{odd.id}.safetensors")
    code, output, errors = bumplab("runs", "list")
    assert code == 1 and output.startswith(f"cache     {done.id}  ") and output.count("\n") == 1
    assert f"{odd.id}.safetensors holds the settings of run {done.id}" in errors and errors.count("\n") == 1
    code, output, _ = bumplab("runs", "verify")
    assert code == 1 and output.endswith(f"\n1 proved\n1 refuted: {odd.id}\n0 not provable\n")
    path.write_bytes(done.path.read_bytes()[:-1])
    code, output, errors = bumplab("runs", "list")
    assert (code, output) == (1, "") and f"{path} is damaged" in errors
    refused(bumplab("runs", "show", done.id[:5]), f"{path} is damaged")
    shutil.copy(done.path, tmp_path / f"{done.id[:5]}0000000.safetensors")
    refused(bumplab("runs", "show", done.id[:5]), "More than one run has an id starting with")


@pytest.mark.parametrize("words", [["show", "zzz"], ["verify", "zzz"]])
def test_an_unknown_run_is_refused(words, bumplab, nothing_recorded):
    refused(bumplab("runs", *words), "No run has an id starting with 'zzz'; see 'runs list'.")


def test_an_empty_store_is_no_mistake(bumplab, nothing_recorded, monkeypatch, tmp_path):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "none"))
    assert bumplab("runs", "list") == (0, "", "")
    assert bumplab("runs", "verify") == (0, "0 proved\n0 refuted\n0 not provable\n", "")


def test_a_store_that_cannot_be_one_hides_no_recorded_run(bumplab, done, monkeypatch, tmp_path):
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "book")
    write_pack(tmp_path / "book" / "study", "study", [done.record()])
    (tmp_path / "file").touch()
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "file"))
    said = f"Error: Cannot use {tmp_path / 'file'}: it is not a folder; set BUMPLAB_STORE to another folder.\n"
    code, output, errors = bumplab("runs", "list")
    assert (code, errors) == (1, said) and output.startswith(f"recorded  {done.id}  ") and output.count("\n") == 1
    code, output, errors = bumplab("runs", "verify")
    assert (code, errors) == (1, said) and output.endswith("\n1 proved\n0 refuted\n0 not provable\n")
    assert bumplab("runs", "show", done.id)[0] == bumplab("runs", "verify", done.id)[0] == 0
    code, output, _ = bumplab("doctor", "--device", "cpu")
    assert code == 0 and f"new runs: nowhere. {said[7:]}" in output
    refused(bumplab("runs", "show", "zzz"), said[7:].rstrip())


def test_an_export_clears_what_a_killed_one_has_left(bumplab, done, tmp_path):
    gone, alive = (tmp_path / f".0123456789ab.safetensors.{process}" for process in (2**30, os.getpid()))
    others = [tmp_path / name for name in (".note.txt.1073741824", f".{done.id}.safetensors", "0123456789ab.1")]
    for path in (gone, alive, *others):
        path.touch()
    assert bumplab("runs", "export", done.id, str(tmp_path))[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        alive.name, *(path.name for path in others), f"{done.id}.safetensors"
    }  # fmt: skip


def test_an_impossible_precision_is_one_sentence_wherever_runs_are_trained(bumplab, nothing_recorded, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.chapters.studies.all_studies", lambda network=None: {"02-small": {}})
    for words in (["train"], ["runs", "record"], ["sweep"], ["doctor"]):
        refused(bumplab(*words, "--device", "cpu", "--precision", "fp16"), "Precision 'fp16' is not possible on cpu")


@pytest.mark.parametrize("words, compile", [([], None), (["--compile"], True), (["--no-compile"], False)])
def test_train_and_record_pass_on_whether_to_compile(words, compile, bumplab, nothing_recorded, monkeypatch, done):
    given = []

    def train(*_, **options):
        given.append(options["compile"])
        return done

    replace_everywhere(monkeypatch, "bumplab.runs.store.load_or_train", train)
    replace_everywhere(
        monkeypatch, "bumplab.runs.recording.record_studies", lambda *values: given.append(values[-1]) or {}
    )
    assert bumplab("train", "--preset", "smoke", "--device", "cpu", *words)[0] == 0
    assert bumplab("runs", "record", "--device", "cpu", *words)[0] == 0
    assert given == [compile] * 2


def test_record_trains_what_studies_ask_for_packs_it_and_keeps_what_is_there(bumplab, monkeypatch, tmp_path):
    book = tmp_path / "book" / "runs"
    book.mkdir(parents=True)
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: book)
    changes = {"world": {"size": 8}, "model": {"patch": 1}, "training": {"steps": 2, "snapshots": [0]}}
    one, two = (preset("smoke", seed=seed, **changes) for seed in (0, 1))
    studies = {"02-small": {one: "none"}, "03-small": {two: "half"}}
    replace_everywhere(monkeypatch, "bumplab.chapters.studies.all_studies", lambda network=None: studies)
    words = "runs", "record", "--device", "cpu", "--jobs", "1"
    code, output, _ = bumplab(*words)
    assert code == 0 and output.endswith(f"2 runs recorded in {book}.\n")
    lines = {name: read_pack(book / name).lines for name in studies}
    assert {name: set(study) for name, study in lines.items()} == {"02-small": {one.id}, "03-small": {two.id}}
    assert lines["02-small"][one.id]["weights"] == {} and set(lines["03-small"][two.id]["weights"]) == {"weights"}
    assert {path.name for path in book.iterdir() if path.name[0] != "."} == set(studies)
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
    assert bumplab(*words)[0] == 0


@pytest.fixture
def two_studies(monkeypatch, tmp_path):
    """Let the book ask for two tiny runs, none of which is recorded; return its folder and the runs' settings."""
    book = tmp_path / "book" / "runs"
    book.mkdir(parents=True)
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: book)
    changes = {"world": {"size": 8}, "model": {"patch": 1}, "training": {"steps": 2, "snapshots": [0]}}
    one, two = (preset("smoke", seed=seed, **changes) for seed in (0, 1))
    studies = {"02-small": {one: "half"}, "03-small": {two: "none"}}
    replace_everywhere(monkeypatch, "bumplab.chapters.studies.all_studies", lambda network=None: studies)
    return book, one, two


RECORD = "runs", "record", "--device", "cpu", "--jobs", "1"


def test_a_campaign_is_packed_imported_and_recorded(bumplab, two_studies, monkeypatch, tmp_path):
    book, one, two = two_studies
    out, gpu, home = (tmp_path / name for name in ("out", "gpu", "home"))
    monkeypatch.setenv("BUMPLAB_STORE", str(gpu))
    code, output, _ = bumplab(*RECORD, "--study", "02-small", "--minutes", "1000", "--pack", out)
    assert code == 0 and output.startswith(
        "1 runs trained, 0 stopped with a checkpoint, 0 waiting, 0 failed.\nPacked 1"
    )
    code, output, _ = bumplab(*RECORD, "--minutes", "1e-9", "--pack", tmp_path / "more")
    assert code == 0 and output.startswith("1 runs trained, 0 stopped with a checkpoint, 1 waiting, 0 failed.\n")
    assert not list(book.iterdir())
    monkeypatch.setenv("BUMPLAB_STORE", str(home))
    command = f"bumplab runs pack {one.id} --study 02-small"
    told = f"Run {one.id} is in {home / one.id}.safetensors.\nTo record them with the book: {command}\n"
    assert bumplab("runs", "import", out) == (0, told, "")
    told = told.replace(".safetensors.", ".safetensors already, with the same numbers.")
    assert bumplab("runs", "import", out) == (0, told, "")
    assert bumplab(*command.split()[1:])[0] == 0 and read_pack(book / "02-small").ids() == [one.id]
    code, output, _ = bumplab("runs", "import", out)
    assert code == 0 and output == f"Run {one.id} is in {book / '02-small'} already, with the same numbers.\n"
    (part,) = out.iterdir()
    part.write_bytes(part.read_bytes()[:-1])
    code, output, errors = bumplab("runs", "import", out)
    assert (code, output) == (1, "") and f"{part} is damaged; fetch it again." in errors
    assert all(line.startswith("Error: ") for line in errors.splitlines())


def test_minutes_without_a_pack_record_what_is_finished(bumplab, two_studies, monkeypatch, tmp_path):
    book, _, two = two_studies
    replace_everywhere(monkeypatch, "bumplab.runs.recording.work_folder", lambda: tmp_path / "work")
    code, output, _ = bumplab(*RECORD, "--minutes", "1e-9")
    assert code == 0 and output == f"0 runs recorded in {book}.\n2 runs are left for the next call.\n"
    code, output, _ = bumplab(*RECORD, "--study", "03-small", "--minutes", "1000")
    assert code == 0 and output == f"1 runs recorded in {book}.\n" and read_pack(book / "03-small").ids() == [two.id]


@pytest.mark.parametrize(
    "words, part",
    [
        (["--study", "nope"], "There is no study 'nope': use one of 02-small, 03-small."),
        (["--preset", "nope"], "There is no preset 'nope': use one of smoke, quick, laptop, laptop-v, laptop-eps"),
        (["--study", "02-small", "--preset", "paper"], "asks for no run of network paper, but for 1 of none."),
        (["--minutes", "0"], "A campaign takes more than 0 and at most 40320 minutes, got 0.0."),
        (["--minutes", "nan", "--pack", "OUT"], "A campaign takes more than 0"),
        (["--pack", "/dev/null/out"], "Cannot write to /dev/null/out"),
        (["--pack", "BOOK"], "is not empty; name a new folder for the bundle."),
        (["--keep", "half"], "use --keep with --pack."),
        (["--keep", "first", "--pack", "OUT"], "keep at most none, half or all of their weights, got 'first'."),
        (["--retrain", "--minutes", "1"], "use it without --minutes and --pack."),
        (["--retrain", "--pack", "OUT"], "use it without --minutes and --pack."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_impossible_campaign_is_refused_in_one_sentence(words, part, bumplab, two_studies, monkeypatch, tmp_path):
    replace_everywhere(monkeypatch, "bumplab.runs.store.load_or_train", lambda *_: pytest.fail("it trained"))
    places = {"OUT": tmp_path / "out", "BOOK": tmp_path / "book"}
    refused(bumplab(*RECORD, *(places.get(word, word) for word in words)), part)


def test_the_campaigns_on_the_page_of_running_can_be_started_as_written():
    page = (Path(__file__).parents[2] / "book" / "running.md").read_text(encoding="utf-8")
    commands = re.findall(r"bumplab runs (record|import) ([^'`\n]*-[^'`\n]*)", page)
    assert [name for name, _ in commands].count("record") >= 3 and "import" in dict(commands)
    for name, words in commands:
        given = runs_group.commands[name].make_context(name, words.split()).params
        if name == "record":
            assert select_studies(given["names"], given["network"])


def test_a_run_is_exported_imported_and_packed(bumplab, done, monkeypatch, tmp_path):
    book, other = tmp_path / "book" / "runs", tmp_path / "other"
    book.mkdir(parents=True)
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: book)
    file = tmp_path / "out" / done.path.name
    assert bumplab("runs", "export", done.id[:6], file.parent) == (0, f"{file}\n", "")
    assert file.read_bytes() == done.path.read_bytes()
    refused(bumplab("runs", "export", done.id, file.parent), "is there already")
    monkeypatch.setenv("BUMPLAB_STORE", str(other))
    refused(bumplab("runs", "show", done.id), "No run has an id")
    assert bumplab("runs", "import", file) == (0, f"{other / file.name}\n", "")
    refused(bumplab("runs", "import", file), "already; nothing was written")
    (other / file.name).write_bytes(file.read_bytes()[:-1])  # a damaged one gives way
    assert bumplab("runs", "import", file) == (0, f"{other / file.name}\n", "")
    refused(bumplab("runs", "import", tmp_path / "nowhere"), "nowhere is missing")
    refused(bumplab("runs", "import", file.parent), "holds no part of a bundle")
    refused(bumplab("runs", "pack", done.id, "--study", "../x"), "A study is named like the folder")
    assert bumplab("runs", "pack", done.id, "--study", "tests") == (0, f"1 runs in {book / 'tests'}\n", "")
    refused(bumplab("runs", "pack", done.id, "--study", "more"), "is in study tests already; nothing was written")
    shutil.rmtree(other)
    code, output, _ = bumplab("runs", "verify", done.id)
    assert code == 0 and "from its verdicts and its weights" in output
    shutil.rmtree(book / "tests" / "weights")  # as in an installation without them
    code, output, _ = bumplab("runs", "verify", done.id)
    assert code == 0 and "from its verdicts\n" in output


def test_packs_that_cannot_be_read_are_named_and_the_others_go_on(bumplab, done, monkeypatch, tmp_path):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "none"))
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path)
    write_pack(tmp_path / "good", "good", [done.record()])
    shutil.copytree(tmp_path / "good", tmp_path / "bad")
    index = tmp_path / "bad" / "runs.jsonl"
    whole = index.read_text()
    for text, part in (
        (whole[:-20], "is cut short"),
        (whole.replace('"version":1', '"version":2', 1), "update bumplab"),
        (whole.replace('"joint":0', '"joint":1', 1), "edited by hand"),
    ):
        index.write_text(text)
        code, output, errors = bumplab("runs", "list")
        assert code == 1 and done.id in output and part in errors and str(index) in errors
        assert bumplab("runs", "show", done.id)[0] == 0
        refused(bumplab("runs", "show", "zzz"), str(index))
        assert part in bumplab("doctor", "--device", "cpu")[1]
    index.unlink()
    assert "is not a pack of runs" in bumplab("runs", "list")[2]
    record = read_pack(tmp_path / "good").record(done.id)
    shutil.rmtree(tmp_path / "bad")
    write_pack(tmp_path / "bad", "bad", [replace(record, scalars={"seen": {"joint": 0.5}})])
    refused(bumplab("runs", "show", done.id), f"Run {done.id} is not the same in", "they differ in scalars")


def test_diff_names_what_came_went_and_moved(bumplab, done, monkeypatch, tmp_path):
    book = tmp_path / "book" / "runs"
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: book)
    write_pack(book / "one", "one", [done.record()])

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "Record")
    assert bumplab("runs", "diff", "HEAD") == (0, "", "")
    record = read_pack(book / "one").record(done.id)
    moved = {"seen": record.scalars["seen"] | {"joint": 0.5}}
    write_pack(book / "one", "one", [replace(record, scalars=moved)])
    write_pack(book / "two", "two", [replace(record, id="0123456789ab")])
    code, output, _ = bumplab("runs", "diff", "HEAD")
    assert code == 0 and output.splitlines() == ["+ 0123456789ab", f"! {done.id}  seen.joint 0.0 -> 0.5"]
    refused(bumplab("runs", "diff", "nowhere"), "git cannot read that revision")


# ---------------------------------------------------------------- doctor


def test_doctor_says_what_is_installed_and_in_use(bumplab, store):
    code, output, errors = bumplab("doctor", "--device", "cpu")
    assert code == 0 and errors == ""
    for part in ("bumplab ", "Python ", "torch ", "papermill ", "device: cpu", "precision fp32", "hint: ", str(store)):
        assert part in output
    assert "is missing" not in output


def test_doctor_refuses_an_absent_device(bumplab):
    refused(bumplab("doctor", "--device", "tpu"), "There is no device 'tpu' here")


# ---------------------------------------------------------------- rerun

PARAMETERS = """\
sigma: float = 1.0
seed: int = 0
show: bool = False
kind: str = "bump"
steps: list = [50, 10]
"""
VALIDATION = """\
from bumplab.chapters import parameters
from bumplab.worlds import BumpWorld
p = parameters(globals())
world = BumpWorld(kind=p.kind, sigma=p.sigma)
"""
STORY = "assert p.seed != 13, 'an unlucky number.'\nprint(p.sigma, p.seed, p.show, p.kind, p.steps)"


@pytest.fixture
def chapter(tmp_path):
    """Return the path of a chapter of three cells."""
    cells = [
        {"cell_type": "code", "id": name, "metadata": {"tags": [name]}, "source": source.splitlines(keepends=True)}
        | {"outputs": [], "execution_count": None}
        for name, source in (("parameters", PARAMETERS), ("validation", VALIDATION), ("story", STORY))
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    path = tmp_path / "99-tiny.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def not_run(monkeypatch):
    monkeypatch.setattr(papermill, "execute_notebook", lambda *_, **__: pytest.fail("the chapter ran"))


@pytest.mark.parametrize(
    "words, part",
    [
        (["-p", "sigmaa", "1"], "There is no parameter 'sigmaa': did you mean 'sigma'? This chapter has sigma, seed,"),
        (["-p", "zzz", "1"], "There is no parameter 'zzz': This chapter has"),
        (["-p", "seed", "abc"], "Parameter 'seed' must be a whole number, got 'abc'."),
        (["-p", "seed", "1.5"], "Parameter 'seed' must be a whole number, got 1.5."),
        (["-p", "seed", "true"], "Parameter 'seed' must be a whole number, got True."),
        (["-p", "seed", "1:5"], "'seed': '1:5' is not a number"),
        (["-p", "show", "yes"], "'show': 'yes' can mean two things: write true or false"),
        (["-p", "sigma", "wide"], "Parameter 'sigma' must be a number, got 'wide'."),
        (["-p", "sigma", "false"], "Parameter 'sigma' must be a number, got False."),
        (["-p", "sigma", ""], "Parameter 'sigma' must be a number, got None."),
        (["-p", "show", "1"], "Parameter 'show' must be true or false, got 1."),
        (["-p", "show", "maybe"], "Parameter 'show' must be true or false, got 'maybe'."),
        (["-p", "steps", "5"], "Parameter 'steps' must be a list, got 5."),
        (["-p", "sigma", "-1"], "sigma.0: input should be greater than or equal to 0.05 (got -1.0)"),
        (["-p", "kind", "square"], "kind: input should be 'bump', 'sos' or 'bump+stripes' (got 'square')"),
        (["-o", "out.txt"], "The output 'out.txt' must be a notebook"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_parameter_is_refused_before_the_chapter_runs(words, part, chapter, bumplab, not_run):
    refused(bumplab("rerun", chapter, *words), part)


def test_a_chapter_is_not_overwritten_by_its_own_rerun(chapter, bumplab, not_run):
    before = chapter.read_bytes()
    refused(bumplab("rerun", chapter, "-o", chapter), "is the chapter itself")
    assert chapter.read_bytes() == before


@pytest.mark.parametrize("name", ["42-nothing", "nope.ipynb", ""])
def test_an_unknown_chapter_is_refused(name, bumplab, not_run):
    refused(bumplab("rerun", name), f"There is no chapter {name!r}: use one of ")


def test_a_file_that_is_no_chapter_is_refused(tmp_path, bumplab, not_run):
    path = tmp_path / "other.ipynb"
    path.write_text("not JSON")
    refused(bumplab("rerun", path), f"{path} is not a notebook.")
    path.write_text('{"cells": [{"cell_type": "markdown", "metadata": {}, "source": []}]}')
    refused(bumplab("rerun", path), f"{path} has no cell tagged 'parameters'")


@pytest.mark.parametrize("name", ["02-training", "02"])
def test_chapters_are_known_by_name_and_number(name):
    assert chapter_path(name).name == "02-training.ipynb"


def test_the_parameters_of_a_chapter_are_listed_with_their_defaults(chapter, bumplab, not_run):
    listed = "sigma: float = 1.0\nseed: int = 0\nshow: bool = False\nkind: str = 'bump'\nsteps: list = [50, 10]\n"
    assert bumplab("rerun", chapter, "--list") == (0, listed, "")


def test_parameters_reach_papermill_with_their_types(chapter, bumplab, monkeypatch, tmp_path):
    given = {}

    def execute(path, out, parameters, **_):
        given.update(parameters)
        Path(out).write_text('{"metadata": {"papermill": {}}}')

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    words = "-p sigma 2 -p seed 3 -p show true -p kind sos -p steps".split()
    assert bumplab("rerun", chapter, *words, "[7, 8]", "-o", tmp_path / "o.ipynb")[0] == 0
    assert given == {"sigma": 2.0, "seed": 3, "show": True, "kind": "sos", "steps": [7, 8]}
    assert isinstance(given["sigma"], float) and given["show"] is True


def printed(path):
    """Return what the last cell of a notebook printed."""
    (output,) = json.loads(path.read_text())["cells"][-1]["outputs"]
    return "".join(output["text"])


def test_a_chapter_runs_with_other_parameters_and_keeps_the_original(chapter, bumplab, tmp_path):
    before = chapter.read_bytes()
    out = tmp_path / "new" / "folder" / "out.ipynb"
    code, output, _ = bumplab("rerun", chapter, "-p", "sigma", "2", "-p", "show", "true", "-o", out)
    assert (code, output) == (0, f"{out}\n")
    assert printed(out) == "2.0 0 True bump [50, 10]\n" and chapter.read_bytes() == before


def test_a_chapter_that_fails_has_exit_code_1_and_is_named(chapter, bumplab, tmp_path):
    code, output, errors = bumplab("rerun", chapter, "-p", "seed", "13", "-o", tmp_path / "out.ipynb")
    assert code == 1 and output == ""
    told = "Error: 99-tiny failed: AssertionError: an unlucky number. The notebook so far is "
    assert told in errors and (tmp_path / "out.ipynb").exists()


def with_story(chapter, *stories):
    """Give a chapter other cells after the validation."""
    notebook = json.loads(chapter.read_text())
    blank = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook["cells"][2:] = [blank | {"id": f"story-{n}", "source": story} for n, story in enumerate(stories)]
    chapter.write_text(json.dumps(notebook))


DEATHS = {
    "killed": "import os\nos.kill(os.getpid(), 9)",
    "segmentation fault": "import ctypes\nctypes.string_at(0)",
    "exit": "import os\nos._exit(1)",
}


@pytest.mark.parametrize("story", DEATHS.values(), ids=DEATHS)
def test_a_kernel_that_dies_is_one_sentence_and_the_notebook_so_far_is_kept(story, chapter, bumplab, tmp_path):
    with_story(chapter, "print('so far')", story, "print('never')")
    out = tmp_path / "out.ipynb"
    code, output, errors = bumplab("rerun", chapter, "-o", out)
    assert (code, output) == (1, "") and re.fullmatch(r"Error: [^\n]+\.\n", errors), errors
    first_line = story.splitlines()[0]
    assert f"99-tiny failed in cell [4], {first_line!r}: its kernel died, most often for want of memory; " in errors
    assert f"The notebook so far is {out}." in errors
    *_, before, dead, after = json.loads(out.read_text())["cells"]
    assert [cell["metadata"]["papermill"]["status"] for cell in (before, dead, after)] == [
        "completed", "failed", "pending",
    ]  # fmt: skip
    assert "".join(before["outputs"][0]["text"]) == "so far\n" and dead["outputs"][-1]["evalue"] == "The kernel died."
    assert after["outputs"] == [] and sorted(path.name for path in tmp_path.iterdir()) == [chapter.name, out.name]
    nbformat.validate(nbformat.read(out, as_version=4))


def test_a_kernel_that_dies_in_a_sweep_is_a_failed_cell(chapter, bumplab, tmp_path):
    with_story(chapter, "import os\nif p.seed == 1:\n    os.kill(os.getpid(), 9)")
    out = tmp_path / "out"
    code, output, errors = bumplab("sweep", chapter, "--grid", "seed=0:2", "--jobs", "1", "--out", out)
    assert code == 1 and "1 finished, 1 failed: " in output
    failed = [line for line in (out / "table.csv").read_text().splitlines() if "failed" in line]
    assert len(failed) == 1 and "its kernel died" in failed[0] and ".part.ipynb" in failed[0]


def test_a_kernel_that_never_starts_is_one_sentence(chapter, bumplab, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "bumplab.chapters.kernel.get_kernel_dict",
        lambda _: {"argv": [sys.executable, "-c", "raise SystemExit(3)", "{connection_file}"], "language": "python"},
    )
    refused(bumplab("rerun", chapter, "-o", tmp_path / "out.ipynb"), "No kernel starts for 99-tiny: Kernel died before")
    assert [path.name for path in tmp_path.iterdir()] == [chapter.name]


def test_ctrl_c_ends_a_chapter_and_keeps_the_notebook_so_far(chapter, tmp_path):
    with_story(chapter, "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)")
    start = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # else ignored here
    start += "runpy.run_module('bumplab', run_name='__main__')"
    command = [sys.executable, "-c", start, "rerun", chapter, "-o", tmp_path / "out.ipynb"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(1200):
            if (tmp_path / "begun").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and output == "", errors
    first_line = "import pathlib, time"
    *_, sentence = errors.splitlines()  # the kernel may have complained that it could not answer any more
    assert sentence == f"Stopped 99-tiny in cell [3], {first_line!r}. The notebook so far is {tmp_path / 'out.ipynb'}."
    assert json.loads((tmp_path / "out.ipynb").read_text())["cells"][-1]["outputs"][-1]["evalue"] == "Interrupted."


@pytest.mark.parametrize("kernel", ["python3", None])
def test_a_chapter_runs_in_this_python_whatever_kernel_it_names_and_warns_of_nothing(kernel, chapter, tmp_path):
    """A spec of the name that the chapter gives would be taken by papermill: here it starts something else."""
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["false", "{connection_file}"], "display_name": "Another", "language": "python"}')
    with_story(chapter, "import sys\nprint(sys.executable)")
    notebook = json.loads(chapter.read_text())
    notebook["metadata"] = {"kernelspec": {"name": kernel, "display_name": "?"}} if kernel else {}
    chapter.write_text(json.dumps(notebook))
    done = subprocess.run(
        [sys.executable, "-m", "bumplab", "rerun", chapter, "-p", "seed", "3", "-o", tmp_path / "out.ipynb"],
        env=os.environ | {"JUPYTER_PATH": str(tmp_path / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path / 'out.ipynb'}\n", "")
    assert printed(tmp_path / "out.ipynb") == f"{sys.executable}\n"


def test_no_name_of_a_file_in_the_way_is_taken_for_a_parameter_or_a_module(chapter, bumplab, tmp_path):
    """papermill fills parameters into braces of paths; a notebook imports from its folder before it does elsewhere."""
    folder = tmp_path / "of {seed} {1} {}"
    folder.mkdir()
    for library in ("bumplab", "numpy", "yaml", "random", "code"):
        (folder / f"{library}.py").write_text("raise ImportError('a file of the reader')")
    moved = chapter.rename(folder / chapter.name)
    out = folder / "{seed}.ipynb"
    assert bumplab("rerun", moved, "-p", "seed", "3", "-o", out) == (0, f"{out}\n", "")
    assert json.loads(out.read_text())["metadata"]["papermill"]["input_path"] == str(moved)


def test_figures_reach_the_notebook_whatever_the_environment_draws_with(chapter, bumplab, monkeypatch, tmp_path):
    monkeypatch.setenv("MPLBACKEND", "agg")  # as on servers and in containers
    with_story(chapter, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert bumplab("rerun", chapter, "-o", tmp_path / "out.ipynb")[0] == 0
    outputs = json.loads((tmp_path / "out.ipynb").read_text())["cells"][-1]["outputs"]
    assert [output["output_type"] for output in outputs] == ["display_data"] and "image/png" in outputs[0]["data"]


def test_an_error_of_many_lines_is_one_short_line(chapter, bumplab, tmp_path):
    with_story(chapter, "raise ValueError('x' * 3000 + '\\n\\x1b[2Jand so on')")
    code, _, errors = bumplab("rerun", chapter, "-o", tmp_path / "out.ipynb")
    assert code == 1 and re.fullmatch(r"Error: 99-tiny failed: ValueError: x+\.\.\.[^\n]+\.\n", errors)
    assert "\x1b" not in errors and "and so on. The notebook so far is " in errors and len(errors) < 700


def test_what_a_killed_rerun_left_is_removed_by_the_next_one(chapter, bumplab, tmp_path):
    for process in (2**30, os.getppid()):  # one that cannot be, and one that is at work
        (tmp_path / f".out.{process}.ipynb").write_text("{}")
    (tmp_path / ".out.mine.ipynb").write_text("{}")
    assert bumplab("rerun", chapter, "-o", tmp_path / "out.ipynb")[0] == 0
    hidden = {path.name for path in tmp_path.glob(".*")}
    assert hidden == {f".out.{os.getppid()}.ipynb", ".out.mine.ipynb"}


def test_text_reaches_a_chapter_as_it_is(chapter, bumplab, tmp_path):
    with_story(chapter, "print(ascii(p.kind))")
    notebook = json.loads(chapter.read_text())
    notebook["cells"][1]["source"] = VALIDATION.splitlines(keepends=True)[:3]  # without the world
    chapter.write_text(json.dumps(notebook))
    text = "a=b '\"{y} \\n \\ '''\n# Parameters\tü"
    assert bumplab("rerun", chapter, "-p", "kind", text, "-o", tmp_path / "out.ipynb")[0] == 0
    assert printed(tmp_path / "out.ipynb") == f"{ascii(text)}\n"


def test_a_chapter_saved_by_another_program_runs(chapter, bumplab, tmp_path):
    """Colab writes format 4.0, no ids of cells, and widgets that lack their state."""
    notebook = json.loads(chapter.read_text())
    for cell in notebook["cells"]:
        del cell["id"]
    widgets = {"application/vnd.jupyter.widget-state+json": {"0a": {"model_name": "HBoxModel"}}}
    notebook["metadata"] |= {"widgets": widgets, "colab": {"provenance": []}, "accelerator": "GPU"}
    chapter.write_text(json.dumps(notebook | {"nbformat_minor": 0}))
    out = tmp_path / "out.ipynb"
    assert bumplab("rerun", chapter, "-p", "seed", "3", "-o", out) == (0, f"{out}\n", "")
    nbformat.validate(nbformat.read(out, as_version=nbformat.NO_CONVERT))


def test_a_chapter_runs_where_an_event_loop_does(chapter, tmp_path):
    """As inside of a notebook."""

    async def inside():
        execution.rerun(chapter, {"seed": 3}, tmp_path / "out.ipynb", progress=False)

    asyncio.run(inside())
    assert printed(tmp_path / "out.ipynb") == "1.0 3 False bump [50, 10]\n"


def test_a_kernel_that_dies_under_its_own_processes_leaves_nobody_waiting(chapter, bumplab, tmp_path):
    pool = "with joblib.Parallel(n_jobs=2) as pool:\n    pool(joblib.delayed(abs)(i) for i in range(4))\n"
    with_story(chapter, f"import joblib, os\n{pool}    os.kill(os.getpid(), 9)")
    code, _, errors = bumplab("rerun", chapter, "-o", tmp_path / "out.ipynb")
    assert code == 1 and "its kernel died" in errors


def test_plain_papermill_with_an_unknown_parameter_stops_with_the_sentence(chapter, tmp_path):
    with pytest.raises(PapermillExecutionError) as error:
        papermill.execute_notebook(
            chapter, tmp_path / "out.ipynb", parameters={"sigmaa": 1}, progress_bar=False, cwd=tmp_path
        )
    assert error.value.ename == "ParameterError"
    assert error.value.evalue.startswith("There is no parameter 'sigmaa': did you mean 'sigma'?")


# ---------------------------------------------------------------- the check inside a notebook


def space(injected="", **values):
    """Return the names of a notebook after its parameters cell and what papermill injected."""
    namespace = {"In": ["", PARAMETERS, f"# Parameters\n{injected}"]}
    exec(PARAMETERS, namespace)
    exec(injected, namespace)
    return namespace | values


def lazy(source, names=None):
    """Return what a program leaves behind under Python 3.14: a function in place of the annotations."""
    namespace = {}
    exec(source, namespace)
    kinds = namespace.pop("__annotations__")

    def annotate(form):
        if form != 1:  # the compiler's own do the same for all but values
            raise NotImplementedError
        return {name: kinds[name] for name in names or kinds}

    return namespace | {"__annotate__": annotate}


STRINGIFIED = f"from __future__ import annotations\n{PARAMETERS}"
EVALUATIONS = {
    "a notebook": lambda: space(),
    "a script": lambda: {name: value for name, value in space().items() if name != "In"},
    "stringified, a script": lambda: exec(STRINGIFIED, names := {}) or names,
    "stringified twice, a notebook": lambda: {"In": [PARAMETERS.replace(": int", ": 'int'")]} | lazy(PARAMETERS),
    "lazy, a script": lambda: lazy(PARAMETERS),
    "lazy, a notebook, compiled statement by statement": lambda: {"In": ["", PARAMETERS]} | lazy(PARAMETERS, ["steps"]),
    "lazy, a cell that is no Python": lambda: {"In": ["%time x = 1", PARAMETERS, "x: int = ("]} | lazy(PARAMETERS),
    "lazy, changed and run again": lambda: {"In": [PARAMETERS.replace("int", "list"), PARAMETERS]} | lazy(PARAMETERS),
}


@pytest.mark.parametrize("namespace", EVALUATIONS.values(), ids=EVALUATIONS)
def test_parameters_are_found_however_annotations_are_evaluated(namespace):
    p = parameters(namespace())
    assert vars(p) == {"sigma": 1.0, "seed": 0, "show": False, "kind": "bump", "steps": [50, 10]}
    with pytest.raises(ParameterError, match="Parameter 'seed' must be a whole number, got 'abc'"):
        parameters(namespace() | {"seed": "abc"})


def test_an_annotation_without_a_value_is_no_parameter():
    assert vars(parameters({"In": ["seed: int\nsigma: float = 1.0"], "sigma": 2})) == {"sigma": 2.0}


def test_checked_parameters_are_attributes():
    p = parameters(space("sigma = 2\nkind = 'sos'\n"))
    assert (p.sigma, p.seed, p.show, p.kind, p.steps) == (2.0, 0, False, "sos", [50, 10])
    assert isinstance(p.sigma, float)


@pytest.mark.parametrize(
    "injected, part",
    [
        ("sigmaa = 1", "There is no parameter 'sigmaa': did you mean 'sigma'?"),
        ("seed = 'abc'", "Parameter 'seed' must be a whole number, got 'abc'."),
        ("seed = True", "Parameter 'seed' must be a whole number, got True."),
        ("show = 'true'", "Parameter 'show' must be true or false, got 'true'."),
        ("sigma = None", "Parameter 'sigma' must be a number, got None."),
    ],
)
def test_an_injected_parameter_is_checked_inside_the_notebook(injected, part):
    with pytest.raises(BumplabError) as error:
        parameters(space(injected))
    assert part in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", chapter_names())
def test_the_defaults_of_every_chapter_pass_its_own_validation(name):
    assert validate(chapter_path(name), {}) == {}


# ---------------------------------------------------------------- values at the edge

LONG = "x" * 100_000


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--preset", LONG],
        ["train", "--dry-run", "--device", LONG],
        ["train", "--dry-run", "--device", "cpu:7777"],
        ["train", "--dry-run", "--precision", LONG],
        ["train", "--dry-run", "--set", "world.sigma=1e30"],
        ["train", "--dry-run", "--set", f"world.sigma={'[' * 5_000}"],
        ["train", "--dry-run", "--set", f"{'a.' * 50_000}=1"],
        ["train", "--dry-run", "--set", f"world.held_out={'~' * 9_000}"],
        ["train", "--dry-run", "--set", "world.kind=\udcff"],
        ["sweep", "--dry-run", "--grid", "seed=0:2", "--jobs", 10**12],
        ["sweep", "--dry-run", "--grid", f"seed={'1' * 100_000}"],
        ["sweep", "--dry-run", "--grid", f"seed={'1' * 9_999}"],
        ["sweep", "--dry-run", "--grid", "seed=0:1000000000", "--yes"],
        ["sweep", "--grid", "seed=0:1", "--dask", LONG],
        ["sweep", "--grid", "seed=0:1", "--dask", f"tcp://{LONG}"],
        ["sweep", "--grid", "seed=0:1", "--out", LONG],
        ["runs", "show", LONG],
        ["runs", "verify", LONG],
        ["runs", "diff", LONG],
        ["runs", "diff", "a\nb"],
        ["runs", "export", "0", LONG],
        ["runs", "import", LONG],
        ["rerun", LONG],
        ["rerun", f"{LONG}.ipynb"],
        ["rerun", "02", "-p", LONG, "1"],
        ["rerun", "02", "-p", "size", LONG],
        ["rerun", "02", "-p", "sigma", "1e308"],
        ["rerun", "02", "-p", "kind", "\udcff"],
        ["rerun", "02", "-o", f"{LONG}.ipynb"],
    ],
    ids=lambda words: " ".join(map(str, words))[:30].encode("ascii", "replace").decode(),
)
def test_a_value_at_the_edge_is_refused_in_one_sentence(words, bumplab, not_run):
    result = bumplab(*words)
    refused(result)
    assert len(result[2]) <= 420


@pytest.mark.parametrize("words", [[LONG], ["train", f"--{LONG}"], ["runs", LONG], ["sweep", "--jobs", "9" * 100_000]])
def test_what_click_refuses_is_repeated_in_80_characters(words, bumplab):
    code, output, errors = bumplab(*words)
    assert (code, output) == (2, "") and "Error: " in errors and len(errors) <= 500
    assert not re.search(r"[x9-]{81}", errors)
