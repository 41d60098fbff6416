"""A sweep does every cell once, whatever happens to it, and says what became of each."""

import contextlib
import json
import math
import multiprocessing
import os
import re
import signal
import sys
import threading
import time

import pandas
import pytest
from hypothesis import given, strategies as st

from bumplab.chapters.sweeps import forecast_chapter, sweep_chapter
from bumplab.cli.app import main, run
from bumplab.common.errors import BumplabError
from bumplab.common.parsing import flatten
from bumplab.runs.estimate import _images, estimate_seconds, format_estimate
from bumplab.runs.executor import dask_client, run_tasks
from bumplab.runs.grids import grid_settings, parse_grid
from bumplab.runs.run_file import read_run
from bumplab.runs.store import load_or_train, recorded_folder
from bumplab.runs.sweep import forecast_runs, load_or_train_all, sweep_settings
from bumplab.training import loop
from patching import replace_everywhere

SMALL = {"world": {"size": 8}, "model": {"patch": 1}, "training": {"steps": 10, "snapshots": (), "evaluate_every": 5}}
#: Processes forked from one that has imported the package already: each starts in milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["bumplab.__main__", "pytest"])


def small(*axes):
    return grid_settings("smoke", SMALL, parse_grid(axes))


def get(settings, store, jobs=1, **options):
    return sweep_settings(settings, jobs, store=store, device="cpu", progress=False, **options)


def one_sentence(error):
    assert re.fullmatch(r"[^\n]+\.", str(error.value))
    return str(error.value)


def finished(store):
    """Return which file each finished run is: a run that is made again has another one."""
    stats = {path.stem: path.stat() for path in store.glob("*.safetensors")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


# ---------------------------------------------------------------- grids

GRIDS = {
    "seed=0:5": [0, 1, 2, 3, 4],
    "seed=-2:1": [-2, -1, 0],
    "world.sigma=0.5,1,2": [0.5, 1, 2],
    "world.sigma= 0.5 , 1e-3": [0.5, 0.001],
    "world.fraction=0.1:1.0:10": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    "world.fraction=1:.5:2": [1.0, 0.5],
    "seed=0:10:3": [0, 5, 10],
    "seed=10:0:3": [10, 5, 0],
    "sigma=0:1:3": [0.0, 0.5, 1.0],
    "world.sigma=[1,2],[2,1]": [[1, 2], [2, 1]],
    "training.snapshots=[],[0, 30]": [[], [0, 30]],
    "world.held_out=cross(13, 19),rim(2)": ["cross(13, 19)", "rim(2)"],
    "world.held_out=null,(box(1, 2, 3, 4) | rim(2)) & ~interior(4)": [
        None,
        "(box(1, 2, 3, 4) | rim(2)) & ~interior(4)",
    ],
    "world.periodic=true,false": [True, False],
    "diffusion.prediction_type=x0": ["x0"],
}


@pytest.mark.parametrize("text", GRIDS)
def test_an_axis_is_read(text):
    ((name, values),) = parse_grid([text]).items()
    assert name == text.split("=")[0]
    assert list(values) == GRIDS[text] and list(map(type, values)) == list(map(type, GRIDS[text]))


WRONG = {
    "seed": "write name=values",
    "seed=": "write name=values",
    "=1,2": "write name=values",
    "seed=0:0": "is empty",
    "seed=5:0": "is empty",
    "world.fraction=0:1:0": "is empty",
    "world.fraction=0:1:1": "is empty",
    "world.fraction=1:1:5": "is empty",
    "world.fraction=0:1:-3": "is empty",
    "seed=0.5:2": "Cannot read the range",
    "seed=0:1:2.5": "Cannot read the range",
    "seed=0:1:2:3": "Cannot read the range",
    "seed=0:": "Cannot read the range",
    "seed=0:1e999:3": "Cannot read the range",
    "seed=1,,2": "Cannot read the values",
    "seed=1,": "Cannot read the values",
    "seed=0:2,5": "Cannot read the values",
    "seed=0:10000000": "10,000,000 cells",
    "world.fraction=0:1:10000000": "10,000,000 cells",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_axis_is_refused_in_one_sentence(text):
    with pytest.raises(BumplabError) as error:
        parse_grid([text])
    assert WRONG[text] in one_sentence(error)


def test_many_cells_have_to_be_asked_for_twice():
    axes = ["seed=0:101", "world.fraction=0.01:1:100"]
    with pytest.raises(
        BumplabError, match=r"^The grid has 10,100 cells, more than 10,000: add --yes if you mean it\.$"
    ):
        parse_grid(axes)
    assert math.prod(map(len, parse_grid(axes, yes=True).values())) == 10_100
    with pytest.raises(BumplabError, match=r"^The grid has 1,000,000,000,000 cells, more than 100,000\.$"):
        parse_grid(["seed=0:1000000000000"], yes=True)


def test_an_axis_is_given_once():
    with pytest.raises(BumplabError, match="two axes 'seed'"):
        parse_grid(["seed=0:2", "seed=3"])
    with pytest.raises(BumplabError, match="'world.size' is both set and an axis"):
        small("world.size=8,16")


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e6), st.integers(2, 50))
def test_a_range_has_its_count_its_ends_and_even_steps(start, width, count):
    start, stop = float(f"{start:.6g}"), float(f"{start + width:.6g}")
    if start == stop:
        return
    (values,) = parse_grid([f"a={start!r}:{stop!r}:{count}"]).values()
    assert len(values) == count and (values[0], values[-1]) == (start, stop)
    steps = [after - before for before, after in zip(values, values[1:], strict=False)]
    assert steps == pytest.approx([(stop - start) / (count - 1)] * (count - 1), abs=1e-9 * max(abs(start), abs(stop)))


@given(st.lists(st.one_of(st.integers(), st.booleans(), st.lists(st.integers(), max_size=3)), min_size=1, max_size=6))
def test_a_list_gives_back_its_values(values):
    assert list(parse_grid([f"a={','.join(map(json.dumps, values))}"])["a"]) == values


@given(st.text(alphabet="0123456789:.,-+e[]()=ax ", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        assert all(len(values) for values in parse_grid([text]).values())
    except BumplabError as error:
        assert "\n" not in str(error)


def test_the_last_axis_runs_fastest_and_every_cell_is_checked():
    cells = small("world.fraction=0.5,1", "seed=0:3")
    assert [(cell.world.fraction, cell.seed) for cell in cells] == [(f, s) for f in (0.5, 1) for s in range(3)]
    assert {cell.world.size for cell in cells} == {8}
    for axis, sentence in {
        "world.sgima=1": "There is no setting 'sgima' in BumpWorld.",
        "wrld.sigma=1": "There is no setting 'wrld' in Settings.",
        "world.fraction=0.5,0": "BumpWorld: fraction: input should be greater than 0 (got 0).",
    }.items():
        with pytest.raises(BumplabError) as error:
            small(axis)
        assert one_sentence(error) == sentence


# ---------------------------------------------------------------- tables


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return the store, the folder and the table of a small sweep in processes."""
    folder = tmp_path_factory.mktemp("sweep")
    settings = small("world.held_out=null,band_x(2, 5)", "world.sigma=1,[1, 2]", "seed=0:2")
    return settings, folder, get(settings, folder / "store", jobs=2, out=folder / "out")


def test_the_table_has_a_row_for_every_run_with_every_setting_and_every_accuracy(swept):
    settings, folder, table = swept
    assert list(table["id"]) == [each.id for each in settings] and set(table["status"]) == {"trained"}
    for (_, row), each in zip(table.iterrows(), settings, strict=True):
        run = read_run(folder / "store" / f"{each.id}.safetensors")
        for part in ("seen", "unseen"):
            for name, value in run.accuracy.get(part, dict.fromkeys(run.accuracy["seen"], math.nan)).items():
                assert row[f"{part}.{name}"] == pytest.approx(value, nan_ok=True)
        assert (row["world.sigma.x"], row["world.sigma.y"]) == each.world.sigma
        assert row["world.sigma"] == pytest.approx(1 if each.world.sigma == (1, 1) else math.nan, nan_ok=True)
        assert (row["seed"], row["training.steps"], row["model.widths"]) == (each.seed, 10, "[8, 8, 16, 16]")
        assert (row["seconds"], row["precision"]) == (run.provenance["seconds"], "fp32") and row["threads"] == 1
    names = set(flatten(settings[0].model_dump()))
    assert names <= set(table) and not set(table["error"].dropna())
    assert list(table["world.held_out"].dropna()) == ["band_x(2, 5)"] * 4


def test_regions_are_columns_of_the_table(tmp_path):
    cells = small("seed=0,1")
    for status in ("trained", "known"):
        table = get(cells, tmp_path, regions={"left": "band_x(-1, 3.5)", "all": "band_x(-1, 99)", "none": "rim(0.5)"})
        assert list(table.status) == [status] * 2
        assert list(table["left.n"]) == [32] * 2 and list(table["all.joint"]) == list(table["seen.joint"])
        found = load_or_train(cells[0], store=tmp_path).evaluations["seen"].in_region("band_x(-1, 3.5)")
        assert table["left.x"][0] == found.accuracy("x").value


@pytest.mark.parametrize("read", [pandas.read_parquet, pandas.read_csv])
def test_the_files_hold_the_table(read, swept):
    _, folder, table = swept
    (path,) = (folder / "out").glob(f"table.{read.__name__.removeprefix('read_')}")
    assert read is pandas.read_csv or list(read(path).dtypes) == list(table.dtypes)
    pandas.testing.assert_frame_equal(read(path).astype(table.dtypes), table)
    assert {path.name for path in (folder / "out").iterdir()} == {"table.parquet", "table.csv"}


def test_a_second_call_trains_nothing(swept, monkeypatch):
    settings, folder, table = swept
    before = finished(folder / "store")
    replace_everywhere(monkeypatch, "bumplab.training.loop.train", lambda *_: pytest.fail("it trained"))
    again = get(settings + settings[:2], folder / "store")  # equal settings are one run
    assert set(again["status"]) == {"known"} and finished(folder / "store") == before
    same = [name for name in table if name != "status"]
    pandas.testing.assert_frame_equal(again[same], table[same])


def test_the_forecast_counts_what_is_there(swept, capsys):
    settings, folder, _ = swept
    store = folder / "store"
    assert forecast_runs(settings, store=store) == "8 runs, all of them known."
    more = settings + small("seed=5:7")
    told = forecast_runs(more, jobs=2, store=store)
    assert re.fullmatch(r"10 runs, 8 of them known; 2 to go, 2 at a time: about \d+ seconds\.", told)


def test_the_forecast_goes_by_known_runs_else_by_a_few_steps(monkeypatch):
    one, two, three = small("training.batch=16,32,48")
    by_known = estimate_seconds([one], {one.replace(seed=1): 10.0}, 1, "cpu", "auto")
    assert 10 < by_known < 30  # measuring comes on top
    replace_everywhere(monkeypatch, "bumplab.runs.estimate._time", lambda group, *_: float(group[0].training.batch))
    assert estimate_seconds([one, one], {}, 1, "cpu", "auto") == 2 * 16 * _images(one)
    monkeypatch.undo()
    assert 0 < estimate_seconds([two, three], {}, 1, "cpu", "auto") < math.inf


@pytest.mark.parametrize(
    "seconds, words",
    [(0.2, "1 seconds"), (119, "119 seconds"), (121, "3 minutes"), (8000, "3 hours"), (1e6, "12 days")],
)
def test_the_forecast_is_in_words(seconds, words):
    assert format_estimate(1, 1, 2, seconds, "run") == "1 run, known."
    assert format_estimate(3, 1, 2, seconds, "run") == f"3 runs, 1 of them known; 2 to go, 2 at a time: about {words}."


# ---------------------------------------------------------------- failures


def spoil(settings, store):
    """Make a run fail: its checkpoint is not one."""
    path = store / f"{settings.id}.part" / "checkpoint-00000001.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    return f"{path} is damaged or foreign; delete it to train from the start."


def test_a_failed_run_is_reported_and_the_others_go_on(tmp_path, capsys):
    settings = small("seed=0:3")
    error = spoil(settings[1], tmp_path)
    table = sweep_settings(settings, 1, store=tmp_path, device="cpu", out=tmp_path / "out")
    assert list(table["status"]) == ["trained", "failed", "trained"] and table["error"][1] == error
    assert math.isnan(table["seen.joint"][1]) and not math.isnan(table["seen.joint"][2])
    assert list(pandas.read_csv(tmp_path / "out" / "table.csv")["status"]) == list(table["status"])
    (tmp_path / f"{settings[1].id}.part" / "checkpoint-00000001.safetensors").unlink()
    assert list(get(settings, tmp_path)["status"]) == ["known", "trained", "known"]


def test_a_damaged_run_has_failed(tmp_path):
    settings = small("seed=0:2")
    get(settings, tmp_path)
    (tmp_path / f"{settings[0].id}.safetensors").write_bytes(b"")
    table = get(settings, tmp_path)
    assert list(table["status"]) == ["failed", "known"] and "is damaged or no run of bumplab" in table["error"][0]


def test_the_runs_behind_a_chapter_are_gathered_trained_afresh_or_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    cells = small("seed=0,1")
    first = load_or_train_all([*cells, *cells], device="cpu")  # equal ones are one run
    assert list(first) == cells and all(run.settings == each for each, run in first.items())
    assert capsys.readouterr().out.startswith("2 runs, 0 of them known; 2 to go")
    assert load_or_train_all(cells, device="cpu") == first
    assert capsys.readouterr().out == "2 runs, all of them known.\n"
    written = {each: run.path.stat().st_mtime_ns for each, run in first.items()}
    afresh = load_or_train_all(cells, True, "cpu")
    assert capsys.readouterr().out.startswith("2 runs, 0 of them known; 2 to go")
    for each, again in afresh.items():  # the same results, of another training
        assert again.accuracy == first[each].accuracy and again.path.stat().st_mtime_ns > written[each]
    (tmp_path / f"{cells[1].id}.safetensors").write_bytes(b"")
    with pytest.raises(BumplabError, match=r"^1 of 2 runs failed; the first one: .* is damaged or no run of bumplab"):
        load_or_train_all(cells, device="cpu")


def test_a_recorded_run_that_is_trained_afresh_is_the_new_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    (asked,) = grid_settings("smoke", {}, {})
    assert load_or_train_all([asked])[asked].path.parent == recorded_folder()
    assert load_or_train_all([asked], True)[asked].path.parent == tmp_path


def test_a_cell_that_takes_its_process_down_is_found_and_the_others_go_on():
    def work(cell):
        if cell == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"status": "trained", "cell": 1 / (cell - 4)}

    outcomes = run_tasks(work, {str(cell): cell for cell in range(8)}, {}, 2, progress=False)
    assert len(outcomes) == 8
    assert {name for name, outcome in outcomes.items() if outcome["status"] == "failed"} == {"2", "4"}
    assert outcomes["2"]["error"] == "Its process died, perhaps for want of memory."
    assert outcomes["4"]["error"] == "ZeroDivisionError: division by zero"


# ---------------------------------------------------------------- interruptions


def test_ctrl_c_stops_a_sweep_that_goes_on_later(tmp_path, monkeypatch):
    settings = small("seed=0:3")

    def train(each, *options):
        if each == settings[1]:
            signal.raise_signal(signal.SIGINT)
        return trained(each, *options)

    trained = loop.train
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as error:
            replace_everywhere(patch, "bumplab.training.loop.train", train)
            get(settings, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert one_sentence(error) == "Stopped after 1 of 3 runs; the same call goes on from there."
    assert list(get(settings, tmp_path)["status"]) == ["known", "trained", "trained"]


def command_line(store, out):
    """Run `python -m bumplab sweep` in a child process with a group of its own."""
    os.setsid()
    options = ["world.size=8", "model.patch=1", "training.snapshots=[]", "training.steps=20"]
    options = [word for option in options for word in ("--set", option)]
    options += ["--preset", "smoke", "--grid", "seed=0:8", "--device", "cpu", "--jobs", "2"]
    sys.argv = ["bumplab", "sweep", *options, "--store", str(store), "--out", str(out)]
    try:
        run()
    except SystemExit as stop:
        os._exit(stop.code)  # a forked process would wait until its own ones have idled long enough


def test_a_sweep_killed_twice_completes_and_repeats_nothing(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    groups, before = [], {}
    for number, kill in ((2, os.kill), (5, os.killpg)):  # the sweep alone, then it and its processes
        process = CONTEXT.Process(target=command_line, args=(store, out))
        process.start()
        groups.append(process.pid)

        def exitcode(process=process):
            return process.exitcode

        # Processes of a killed sweep end what they were at, so five runs may be there before the next one has a group.
        wait_for(lambda process=process: os.getpgid(process.pid) == process.pid, exitcode)
        wait_for(lambda number=number: len(finished(store)) >= number, exitcode)
        kill(process.pid, signal.SIGKILL)
        process.join()
        before |= finished(store)
        assert process.exitcode == -signal.SIGKILL and len(before) < 8 and not (out / "table.csv").exists()
    process = CONTEXT.Process(target=command_line, args=(store, out))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    for group in (*groups, process.pid):  # processes outlive the sweep that was killed
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    table = pandas.read_parquet(out / "table.parquet")
    assert sorted(table["seed"]) == list(range(8)) and set(table["status"]) == {"known", "trained"}
    after = finished(store)
    assert len(after) == 8 and before.items() <= after.items() and len(before) >= 5
    assert set(before) <= set(table["id"][table["status"] == "known"])
    assert not list(store.glob("*.part"))


def wait_for(happened, dead=lambda: None):
    """Wait until `happened()`; fail if `dead()` is not None before, or after a minute."""
    end = time.monotonic() + 60
    while not happened():
        assert dead() is None and time.monotonic() < end
        time.sleep(0.01)


# ---------------------------------------------------------------- Dask


@pytest.fixture(scope="module")
def cluster():
    """Return a Dask cluster of two worker processes on loopback."""
    from distributed import LocalCluster

    options = {"host": "127.0.0.1", "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=2, threads_per_worker=1, **options) as cluster:
        yield cluster


def test_a_sweep_on_a_cluster_that_loses_a_worker_is_complete_and_repeats_nothing(cluster, tmp_path):
    settings = [each.replace(training={"steps": 30}) for each in small("seed=0:8")]
    seen, pids = {}, [worker.pid for worker in cluster.workers.values()]

    def kill():
        wait_for(lambda: seen.update(finished(tmp_path)) or len(seen) >= 2)
        os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    table = sweep_settings(settings, dask=cluster.scheduler_address, store=tmp_path, device="cpu", progress=False)
    killer.join()
    assert list(table["id"]) == [each.id for each in settings] and set(table["status"]) <= {"trained", "known"}
    after = finished(tmp_path)
    assert len(after) == 8 and 2 <= len(seen) < 8 and seen.items() <= after.items()
    assert set(table["threads"]) == {1}


@pytest.fixture
def scheduler():
    """Return a Dask scheduler without workers, on loopback."""
    from distributed import LocalCluster

    options = {"host": "127.0.0.1", "protocol": "tcp", "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(n_workers=0, threads_per_worker=1, processes=False, **options) as cluster:
        yield cluster


def test_workers_may_start_after_the_scheduler(scheduler, monkeypatch, capsys):
    monkeypatch.setattr("bumplab.runs.executor.CONNECT_TIMEOUT", 1)
    late = threading.Timer(3, scheduler.scale, [1])
    late.start()
    with dask_client(scheduler.scheduler_address, wait=60) as client:
        assert run_tasks(lambda cell: {"status": cell}, {"1": "done"}, {}, 1, client, progress=False) == {
            "1": {"status": "done"}
        }
    late.join()
    where = scheduler.scheduler_address
    assert capsys.readouterr().out == f"The Dask scheduler at '{where}' has no workers yet; waiting up to 60 s.\n"


@pytest.mark.parametrize("wait, came", [(0, ""), (0.5, ", and none came within 0.5 s")])
def test_workers_that_never_come_are_one_sentence(wait, came, scheduler, monkeypatch, capsys, tmp_path):
    where = scheduler.scheduler_address
    options = ["--grid", "seed=0:2", "--dask", where, "--wait", wait, "--out", tmp_path / "out"]
    assert run_command(monkeypatch, *options) == 2
    out, error = capsys.readouterr()
    sentence = f"The Dask scheduler at '{where}' has no workers{came}: start some, or wait longer (--wait)."
    assert error == f"Error: {sentence}\n"
    assert ("waiting up to 0.5 s" in out) == bool(wait) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("wait", [-1, math.inf, math.nan])
def test_an_impossible_wait_is_refused(wait):
    with pytest.raises(BumplabError, match="takes 0 to 604,800 seconds"), dask_client("tcp://127.0.0.1:9", wait):
        pass


def test_a_worker_of_another_version_that_comes_later_does_nothing(scheduler, monkeypatch):
    scheduler.scale(1)
    with dask_client(scheduler.scheduler_address, wait=60) as client:
        versions = iter(["9.9 with trainer 9", "0.1 with trainer 1"])  # of here, then of the worker
        monkeypatch.setattr("bumplab.runs.executor._version", lambda: next(versions, "0.1 with trainer 1"))
        outcomes = run_tasks(lambda cell: pytest.fail("it ran"), {"1": 1}, {}, 1, client, progress=False)
    assert outcomes["1"]["error"] == "The worker has 0.1 with trainer 1 of bumplab: 9.9 with trainer 9 is needed."


def test_a_cell_that_takes_its_workers_down_has_failed(cluster):
    cluster.scheduler.allowed_failures = 0  # the default asks for four deaths

    def work(cell):
        if cell == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"status": "trained"}

    with dask_client(cluster.scheduler_address) as client:
        outcomes = run_tasks(work, {"1": 1}, {}, 2, client, progress=False)
        assert outcomes["1"]["error"] == "Its process died, perhaps for want of memory."
        assert len(run_tasks(work, {str(cell): cell for cell in (2, 3)}, {}, 2, client, progress=False)) == 2


@pytest.mark.parametrize(
    "address, sentence",
    [
        ("tcp://127.0.0.1:9", "No Dask scheduler answers at 'tcp://127.0.0.1:9'"),
        ("tcp://127.0.0.1", "No Dask scheduler answers"),
        ("127.0.0.1:9", "There is no Dask scheduler file '127.0.0.1:9'"),
        ("scheduler.json", "There is no Dask scheduler file 'scheduler.json'"),
        ("broken.json", "No Dask scheduler answers at 'broken.json'"),
    ],
)
def test_a_cluster_that_is_not_there_is_refused(address, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bumplab.runs.executor.CONNECT_TIMEOUT", 1)
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(BumplabError) as error:
        sweep_settings(small("seed=0:3"), dask=address, store=tmp_path / "store")
    assert sentence in one_sentence(error) and not (tmp_path / "store").exists()


# ---------------------------------------------------------------- chapters


def chapter(folder):
    """Write a chapter: it draws its parameters, and fails for bad = 2."""
    cells = {
        "parameters": "sigma: float = 1.0\nname: str = 'a'\nbad: int = 0",
        "validation": "from bumplab import BumplabError\nif sigma <= 0:\n    raise BumplabError('No sigma.')",
        "story": "if bad == 2:\n    raise ValueError('Bad.')\nprint(sigma, name, bad)",
    }
    notebook = {
        "cells": [
            {"cell_type": "code", "id": tag, "metadata": {"tags": [tag]}, "source": source, "outputs": []}
            | {"execution_count": None}
            for tag, source in cells.items()
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / "01-small.ipynb"
    path.write_text(json.dumps(notebook))
    return path


def test_a_chapter_is_swept(tmp_path, capsys):
    path, out = chapter(tmp_path), tmp_path / "out"
    axes = parse_grid(["bad=0,2", "name=a b/c"], str)
    assert "2 to go, 2 at a time: time unknown." in forecast_chapter(path, axes, out, {"sigma": 2}, jobs=2)
    table = sweep_chapter(path, axes, out, {"sigma": 2}, jobs=2)
    assert list(table["status"]) == ["finished", "failed"] and list(table["bad"]) == [0, 2]
    assert list(table["sigma"]) == [2.0, 2.0] and list(table["name"]) == ["a b/c"] * 2
    good, bad = table["notebook"]
    assert re.fullmatch(r"01-small_sigma=2\.0_bad=0_name=a-b-c_[0-9a-f]{8}\.ipynb", good)
    assert "2.0 a b/c 0" in (out / good).read_text() and not (out / bad).exists()
    assert "ValueError: Bad." in table["error"][1] and bad.replace(".ipynb", ".part.ipynb") in table["error"][1]
    pandas.testing.assert_frame_equal(pandas.read_parquet(out / "table.parquet"), table)
    assert "2 notebooks, 0 of them known" in capsys.readouterr().out

    before = (out / good).stat()
    axes["bad"] = [0]
    again = sweep_chapter(path, axes, out, {"sigma": 2}, progress=False)
    assert list(again["status"]) == ["known"] and (out / good).stat() == before
    assert again["seconds"][0] == table["seconds"][0] > 0
    path.write_text(path.read_text().replace("print(", "print('new', "))
    assert forecast_chapter(path, axes, out, {"sigma": 2}).startswith("1 notebook, 0 of them known")


def test_every_parameter_is_checked_before_a_chapter_starts(tmp_path):
    path, out = chapter(tmp_path), tmp_path / "out"
    for axis, sentence in {
        "sigma=1,2,0": "No sigma.",
        "sgima=1": "did you mean 'sigma'",
        "bad=0,1.5": "Parameter 'bad' must be a whole number, got 1.5.",
    }.items():
        with pytest.raises(BumplabError, match=sentence):
            sweep_chapter(path, parse_grid([axis], str), out)
    assert not out.exists()


# ---------------------------------------------------------------- the command line


def run_command(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["bumplab", "sweep", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        run()
    return stop.value.code


TINY = ["--preset", "smoke", "--device", "cpu", "--jobs", "1", "--set", "world.size=8", "--set", "model.patch=1"]
TINY += ["--set", "training.snapshots=[]", "--set", "training.steps=2"]


def test_the_command_writes_the_table_and_says_how_it_went(tmp_path, monkeypatch, capsys):
    options = [*TINY, "--store", tmp_path / "store", "--out", tmp_path / "out", "--grid"]
    main(["sweep", *map(str, options), "seed=0:2", "--dry-run"], standalone_mode=False)
    assert "2 runs, 0 of them known; 2 to go, 1 at a time: about " in capsys.readouterr().out
    assert not (tmp_path / "store").exists() and not (tmp_path / "out").exists()
    assert run_command(monkeypatch, *options, "seed=0:2") == 0
    assert "2 finished, 0 failed: " in capsys.readouterr().out
    table = pandas.read_csv(tmp_path / "out" / "table.csv")
    (tmp_path / "store" / f"{table['id'][0]}.safetensors").write_bytes(b"")
    assert run_command(monkeypatch, *options, "seed=0:3") == 1
    assert "2 finished, 1 failed: " in capsys.readouterr().out
    assert list(pandas.read_csv(tmp_path / "out" / "table.csv")["status"]) == ["failed", "known", "trained"]


REFUSED = {
    "unknown name": ["--grid", "world.sgima=1,2"],
    "empty range": ["--grid", "seed=3:3"],
    "impossible value": ["--grid", "world.fraction=0:1:5"],
    "too many cells": ["--grid", "seed=0:1000", "--grid", "world.fraction=0.0001:1:10000"],
    "no cluster": ["--grid", "seed=0:3", "--dask", "tcp://127.0.0.1:9"],
    "no device": ["--grid", "seed=0:3", "--device", "abacus"],
    "no jobs": ["--grid", "seed=0:3", "--jobs", "0"],
    "unknown chapter": ["99-none", "--grid", "seed=0:3"],
    "a preset for a chapter": ["01-worlds", "--preset", "quick"],
    "no folder": ["--grid", "seed=0:3", "--out", __file__],
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_a_bad_sweep_is_refused_in_one_sentence(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bumplab.runs.executor.CONNECT_TIMEOUT", 1)
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path / "store"))
    assert run_command(monkeypatch, *options) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"Error: [^\n]+[.?]\n", err) and list(tmp_path.iterdir()) == []
