"""Packs of recorded runs: what goes in comes back bit for bit, and nothing damaged is handed out."""

import json
import random
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings, strategies
from hypothesis.extra import numpy as arrays_of

from bumplab.common.digests import seal
from bumplab.common.errors import BumplabError
from bumplab.runs.fingerprints import describe_record
from bumplab.runs.pack import read_pack
from bumplab.runs.pack_store import PackedRun, PackStore
from bumplab.runs.packing import hold_pack, merge, write_pack
from bumplab.runs.recording import complete_record
from bumplab.runs.records import DTYPES, PackError, Record, ReplacedError
from bumplab.runs.run_file import read_run, run_bytes
from bumplab.runs.store import recorded_folder

FILES = (
    "runs.jsonl",
    "curves.parquet",
    "verdicts.parquet",
    "embeddings.safetensors",
    "weights/aaaaaaaaaaaa.safetensors",
)


def record(id="aaaaaaaaaaaa", **changes):
    """Return a small run of no family in particular."""
    numbers = np.random.default_rng(list(id.encode()))
    plain = {
        "settings": {"kind": "toy", "seed": 3, "depth": None, "names": ["a", "b"], "rate": 1e-3},
        "trainer": 2,
        "scalars": {"test": {"loss": 0.1 + 0.2, "n": 7, "gap": float("nan")}, "steps": 40},
        "provenance": {"date": "2026-01-01", "seconds": 1.5},
        "curves": {
            "loss": [[10, 0.1], [20, 1 / 3], [30, float("inf")]],
            "accuracy": [{"step": 10, "test": {"n": 4}}, {"step": 20, "test": {"n": 4, "joint": 0.5}}],
            "norm": [1, 2.0, -0.0, float("nan")],
            "none": [],
        },
        "arrays": {
            "verdicts/test/row": np.arange(5, dtype=np.int32)[::-1],
            "verdicts/test/error": numbers.normal(size=(5, 2)).astype(np.float16),
            "verdicts/test/right": numbers.normal(size=5) > 0,
            "verdicts/nobody/row": np.empty(0, np.int32),
            "embeddings/first": numbers.normal(size=(3, 4, 2)).astype(np.float16).transpose(1, 0, 2),
            "embeddings/one": np.array(2.5),
        },
        "weights": {
            "weights": {"0.weight": np.ones((2, 3), np.float32), "0.bias": np.zeros(3, np.float16)},
            "snapshot-00000010": {"0.weight": np.full((2, 3), -0.0, np.float32)},
        },
    }
    return Record(**{"id": id, **plain, **changes})


def text(value):
    """Return JSON in which 1 and 1.0 differ and NaN equals NaN."""
    return json.dumps(value, sort_keys=True)


def bits(arrays):
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def assert_same(first, second):
    for name in ("id", "settings", "trainer", "scalars", "provenance", "curves"):
        assert text(getattr(first, name)) == text(getattr(second, name)), name
    assert bits(first.arrays) == bits(second.arrays)
    assert {stem: bits(w) for stem, w in first.weights.items()} == {stem: bits(w) for stem, w in second.weights.items()}


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_all(folder):
    """Return every record of a pack; all digests are compared on the way."""
    pack = read_pack(folder)
    pack.refuse_problems()
    return {id: pack.record(id) for id in pack.ids()}


@pytest.fixture
def folder(tmp_path):
    """Return a pack of two runs."""
    write_pack(tmp_path / "toy", "toy", [record("bbbbbbbbbbbb"), record()])
    return tmp_path / "toy"


# ---------------------------------------------------------------- round trip


def test_two_runs_come_back_as_they_were(folder):
    pack = read_pack(folder)
    assert pack.ids() == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"] and pack.study == "toy"
    for id in pack.ids():
        assert_same(pack.record(id), record(id))
        assert text(pack.line(id)) == text(describe_record(record(id)))
        assert list(pack.weights(id, "snapshot-00000010")) == ["0.weight"]
    assert {path for path in contents(folder)} == {*FILES, "weights/bbbbbbbbbbbb.safetensors"}


def test_a_study_of_nothing_and_a_run_of_nothing(tmp_path):
    assert read_all(write_pack(tmp_path / "a", "none", []).folder) == {}
    bare = record(curves={}, arrays={}, weights={}, scalars={}, settings={}, provenance={})
    assert_same(read_all(write_pack(tmp_path / "b", "bare", [bare]).folder)[bare.id], bare)
    assert list(contents(tmp_path / "b")) == ["runs.jsonl"]


NAMES = strategies.text("abAB_.-", min_size=1, max_size=4).filter(lambda name: name[0] not in ".-")
NUMBERS = strategies.floats() | strategies.integers(-(2**63), 2**63 - 1)
NESTED = strategies.recursive(
    NUMBERS, lambda inner: strategies.dictionaries(NAMES, inner, min_size=1, max_size=3), max_leaves=6
)
ROWS = strategies.lists(NESTED | strategies.lists(NUMBERS, min_size=1, max_size=3), max_size=6)
JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | NUMBERS.filter(lambda n: abs(n) != 2**63) | strategies.text(),
    lambda inner: (
        strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=100), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS = strategies.sampled_from(sorted(DTYPES)).map(np.dtype)


@strategies.composite
def verdicts(draw):
    """Draw the columns of a few parts; each part has its number of rows, columns any type and shape behind it."""
    found = {}
    for part in draw(strategies.lists(NAMES, max_size=2, unique=True)):
        length = draw(strategies.integers(0, 4))
        for column in draw(strategies.lists(NAMES, min_size=1, max_size=3, unique=True)):
            shape = (length, *draw(strategies.lists(strategies.integers(0, 3), max_size=2)))
            found[f"verdicts/{part}/{column}"] = draw(arrays_of.arrays(draw(KINDS), shape))
    return found


EMBEDDINGS = arrays_of.arrays(KINDS, arrays_of.array_shapes(min_dims=0, min_side=0, max_side=3))
RECORDS = strategies.builds(
    lambda arrays, others, **rest: Record(arrays=arrays | {f"embeddings/{n}": a for n, a in others.items()}, **rest),
    id=strategies.text("0123456789abcdef", min_size=12, max_size=12),
    settings=strategies.dictionaries(strategies.text(max_size=100), JSON, max_size=3),
    trainer=strategies.integers(0, 9),
    scalars=strategies.dictionaries(NAMES, NESTED, max_size=3),
    provenance=strategies.dictionaries(strategies.text(max_size=100), JSON, max_size=3),
    curves=strategies.dictionaries(NAMES, ROWS, max_size=3),
    arrays=verdicts(),
    others=strategies.dictionaries(NAMES, EMBEDDINGS, max_size=2),
    weights=strategies.dictionaries(NAMES, strategies.dictionaries(NAMES, EMBEDDINGS, min_size=1), max_size=2),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(strategies.lists(RECORDS, max_size=4, unique_by=lambda record: record.id))
def test_any_records_come_back_bit_for_bit(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("pack") / "odd"
    write_pack(folder, "odd", records)
    found = read_all(folder)
    assert sorted(found) == sorted(record.id for record in records)
    for record in records:
        assert_same(found[record.id], record)
    shutil.rmtree(folder.parent)


def test_floats_keep_bits_that_compare_equal(tmp_path):
    odd = np.array([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000002, 0x8000000000000000, 0, 1], np.uint64)
    runs = record(arrays={"verdicts/test/error": odd.view(np.float64)})
    found = read_all(write_pack(tmp_path / "nan", "nan", [runs]).folder)[runs.id]
    assert found.arrays["verdicts/test/error"].view(np.uint64).tolist() == odd.tolist()


def test_runs_lie_in_many_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("bumplab.runs.parquet.ROWS_PER_GROUP", 7)
    records = [record(f"{number:012x}") for number in range(20)]
    pack = write_pack(tmp_path / "many", "many", records)
    assert pq.ParquetFile(pack.folder / "verdicts.parquet").metadata.num_row_groups > 5
    for one in random.Random(0).sample(records, 20):
        assert_same(pack.record(one.id), one)


def test_the_same_records_give_the_same_bytes(folder, tmp_path):
    before = contents(folder)
    write_pack(tmp_path / "again", "toy", [record(), record("bbbbbbbbbbbb"), record()])
    assert contents(tmp_path / "again") == before
    write_pack(folder, "toy", merge(read_pack(folder)))
    assert contents(folder) == before and [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []


def test_others_can_read_the_tables(folder):
    table = pq.read_table(folder / "verdicts.parquet")
    assert table.column_names == ["id", "part", "row", "error/0", "error/1", "right"]
    of_one = table.filter(pa.compute.equal(table["id"], "bbbbbbbbbbbb"))
    assert of_one["row"].to_pylist() == [4, 3, 2, 1, 0]
    assert "loss/0" in pq.read_table(folder / "curves.parquet").column_names


def test_reading_needs_neither_torch_nor_pandas(folder):
    code = (
        "import sys; from bumplab.runs.pack import read_pack; p = read_pack(sys.argv[1]);"
        "[p.check(i) for i in p.ids()];"
        "print([name for name in ('torch', 'pandas', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# ---------------------------------------------------------------- what is refused

DEEP = {"a": 1}
for _ in range(20):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": "x"}, "12 hexadecimal digits"),
        ({"id": "AAAAAAAAAAAA"}, "12 hexadecimal digits"),
        ({"trainer": True}, "whole number"),
        ({"settings": {"a": (1, 2)}}, "settings.a holds .1, 2., a tuple"),
        ({"settings": {1: 2}}, "a name is text"),
        ({"settings": DEEP}, "deeper than 16"),
        ({"settings": []}, "settings is a dict, got list"),
        ({"provenance": {"n": 2**70}}, "JSON would not give back"),
        ({"provenance": {"n": np.float64(1)}}, "JSON would not give back"),
        ({"scalars": {"a": "0.5"}}, "a is an int of 64 bits"),
        ({"scalars": {"a": {}}}, "not empty"),
        ({"scalars": {"a": DEEP}}, "a/a/a"),
        ({"curves": {"loss": [[1, None]]}}, "curve loss, row 0"),
        ({"curves": {"loss": [[1, [2]]]}}, "a list within a row"),
        ({"curves": {"loss": [[1, 2], []]}}, "row 1"),
        ({"curves": {"loss": [True]}}, "bool"),
        ({"curves": {"loss": [np.float64(1)]}}, "float64"),
        ({"curves": {"loss": [2**63]}}, "64 bits"),
        ({"curves": {"loss": [{"a": {}}]}}, "not empty"),
        ({"curves": {"loss": ((1, 2),)}}, "list of rows"),
        ({"curves": {"a/b": []}}, "a name begins with a letter"),
        ({"curves": {"a": [{"0": 1}]}}, "a name begins with a letter"),
        ({"curves": {"id": [1]}}, "none of id, curve, part"),
        ({"arrays": {"error": np.zeros(2)}}, "called verdicts/<part>/<column> or"),
        ({"arrays": {"verdicts/a": np.zeros(2)}}, "called verdicts/<part>/<column> or"),
        ({"arrays": {"verdicts/a/part": np.zeros(2)}}, "none of id, curve, part"),
        ({"arrays": {"verdicts/a/b": np.array(2)}}, "has no rows"),
        ({"arrays": {"verdicts/a/b": np.zeros(2), "verdicts/a/c": np.zeros(3)}}, "has 3 rows, others of a 2"),
        ({"arrays": {"embeddings/a": np.array(["x"])}}, "holds <U1"),
        ({"arrays": {"embeddings/a": np.array([None])}}, "holds object"),
        ({"arrays": {"embeddings/a": np.zeros(2, complex)}}, "holds complex128"),
        ({"arrays": {"embeddings/a": np.zeros(2, np.dtype(float).newbyteorder())}}, "it may hold"),
        ({"arrays": {"embeddings/a": [1.0]}}, "is a numpy array, got list"),
        ({"weights": {"weights": {}}}, "at least one"),
        ({"weights": {"../x": {"a": np.zeros(1)}}}, "a name begins with a letter"),
        ({"weights": {"weights": {"": np.zeros(1)}}}, "cannot be called"),
    ],
)
def test_records_that_would_not_come_back_are_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        record(**changes)


def refused(folder, *words):
    with pytest.raises(PackError) as caught:
        read_all(folder)
    message = str(caught.value)
    assert message.startswith(str(folder)) and message.endswith(".") and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 0.01, 0.5, 0.9, -1])
def test_a_file_that_was_cut_is_refused(folder, name, left):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: left if left < 0 else int(left * len(data))])
    refused(folder, name)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, name, "it has no" if name == "runs.jsonl" else "is missing")


@pytest.mark.parametrize("name", FILES)
def test_no_flipped_bit_hands_out_another_number(folder, name):
    data, whole, caught = (folder / name).read_bytes(), read_all(folder), 0
    places = random.Random(name).sample(range(len(data)), 60)
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        (folder / name).write_bytes(flipped)
        try:
            found = read_all(folder)
        except PackError as error:
            assert str(folder / name) in str(error)
            caught += 1
        else:  # Parquet has bytes without meaning, such as its maker's name
            assert name.endswith(".parquet")
            for id, one in found.items():
                assert_same(one, whole[id])
    assert caught == 60 if not name.endswith(".parquet") else caught > 20


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"loss":0.30000000000000004', '"loss":0.3', ["line 2", "edited by hand"]),
        ('"seed":3', '"seed":4', ["line 2"]),
        ('"study":"toy"', '"study":"joy"', ["line 1"]),
        ('"format":"bumplab pack"', '"format":"else"', ["does not begin like a pack"]),
        ('"version":1', '"version":2', ["format 2", "update bumplab"]),
        ('"version":1', '"version":"1"', ["does not begin like a pack"]),
        ("{", "[", ["does not begin like a pack"]),
        ("\n", "\n\n", ["cut short or was added to"]),
        ("2026-01-01", "2026-01-0é", ["no text"]),
    ],
)
def test_an_edited_index_is_refused(folder, old, new, words):
    path = folder / "runs.jsonl"
    path.write_text(path.read_text().replace(old, new, 1), encoding="utf-8")
    refused(folder, "runs.jsonl", *words)


def test_lines_of_the_index_that_do_not_belong_are_refused(folder):
    path = folder / "runs.jsonl"
    header, first, second, _ = path.read_text().split("\n")
    for lines, words in [
        ([first, first], ["line 3", "run aaaaaaaaaaaa a second time"]),
        ([second, first], ["line 3", "out of order"]),
        ([first], ["cut short", "1 whole lines for 2 runs"]),
        ([first, second, second], ["added to"]),
        ([first, seal({**read_pack(folder).line("bbbbbbbbbbbb"), "extra": 1})], ["line 3", "other fields", "extra"]),
        ([first, seal({**read_pack(folder).line("bbbbbbbbbbbb"), "curves": []})], ["line 3", "curves"]),
        ([first, "[]"], ["line 3"]),
    ]:
        path.write_text("\n".join([header, *lines]) + "\n")
        refused(folder, "runs.jsonl", *words)
        path.write_text("\n".join([header, first, second]) + "\n")
    read_all(folder)


@pytest.mark.parametrize("bad", ["aaaaaaaaaaaa", "bbbbbbbbbbbb"])
@pytest.mark.parametrize("change", ["edited", "unreadable", "of another shape"])
def test_one_bad_line_leaves_the_other_runs_there(folder, bad, change):
    path = folder / "runs.jsonl"
    lines = path.read_text().split("\n")
    number = 1 if bad == "aaaaaaaaaaaa" else 2
    lines[number] = {
        "edited": lines[number].replace('"seed":3', '"seed":4'),
        "unreadable": "{" * 5000,
        "of another shape": seal({**read_pack(folder).line(bad), "arrays": {"embeddings/a": [[[[1]]]]}}),
    }[change]
    path.write_text("\n".join(lines))
    pack = read_pack(folder)
    (good,) = pack.ids()
    assert good != bad and len(pack.problems) == 1 and f"line {number + 1}" in str(pack.problems[0])
    assert_same(pack.record(good), record(good))
    if change != "unreadable":
        with pytest.raises(PackError, match=f"line {number + 1}"):
            PackStore(folder.parent).get(bad)
        assert PackStore(folder.parent).get("cccccccccccc") is None  # it cannot be the one of the bad line
    else:
        with pytest.raises(PackError, match=f"line {number + 1}"):
            PackStore(folder.parent).get("cccccccccccc")


@pytest.mark.parametrize("name", ["curves.parquet", "verdicts.parquet"])
@pytest.mark.parametrize("change", ["number", "rows", "column", "type", "owner", "null"])
def test_a_table_with_other_numbers_is_refused(folder, name, change):
    table = pq.read_table(folder / name)
    column = {"curves.parquet": "loss/1", "verdicts.parquet": "row"}[name]
    place = table.column_names.index(column)
    values = table[column].to_pylist()
    if change == "rows":
        table = table.slice(1)
    elif change == "column":
        table = table.drop_columns([column])
    elif change == "type":
        table = table.set_column(place, column, table[column].cast(pa.float32()))
    elif change == "owner":
        table = table.set_column(0, "id", pa.array(["bbbbbbbbbbbb"] * len(table)))
    else:
        values[1] = None if change == "null" else values[1] + 1
        table = table.set_column(place, column, pa.array(values, table[column].type))
    pq.write_table(table, folder / name)
    refused(folder, name)


@pytest.mark.parametrize("name", FILES[3:])
def test_tensors_with_other_numbers_are_refused(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 64]))
    refused(folder, name, "is not what was recorded", {FILES[3]: "array embeddings/first of run"}.get(name, "weights"))


def test_unknown_runs_snapshots_and_folders_are_named(folder, tmp_path):
    pack = read_pack(folder)
    with pytest.raises(PackError, match="There is no run cccccccccccc in"):
        pack.curves("cccccccccccc")
    with pytest.raises(PackError, match="kept no weights 'last'; it has snapshot-00000010, weights"):
        pack.weights("aaaaaaaaaaaa", "last")
    for place in (tmp_path / "nowhere", tmp_path, folder / "runs.jsonl"):
        with pytest.raises(PackError, match="is not a pack of runs"):
            read_pack(place)


# ---------------------------------------------------------------- writing and merging


def test_one_run_with_other_numbers_is_refused_and_nothing_is_lost(folder):
    before = contents(folder)
    for changes, what in [
        ({"curves": {"loss": [[10, 0.2]]}}, "curves loss"),
        ({"curves": {"loss": [[10.0, 0.1], [20, 1 / 3], [30, float("inf")]]}}, "curves loss"),
        ({"scalars": {"test": 1}}, "scalars"),
        ({"settings": {}}, "settings"),
        ({"trainer": 3}, "trainer"),
        ({"arrays": {"embeddings/one": np.array(2.5, np.float32)}}, "arrays embeddings/one"),
        ({"weights": {"weights": {"0.weight": np.ones((3, 2), np.float32)}}}, "weights weights"),
    ]:
        with pytest.raises(PackError, match=f"Run aaaaaaaaaaaa is not the same .* differ in {what};"):
            write_pack(folder, "toy", [record(), record(**changes)])
    assert contents(folder) == before


def test_packs_are_merged(folder, tmp_path):
    lean = record(weights={}, provenance={"seconds": 9.0})
    other = write_pack(tmp_path / "other", "other", [lean, record("cccccccccccc")])
    merged = write_pack(tmp_path / "both", "both", merge(read_pack(folder), other))
    assert merged.ids() == ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"]
    assert_same(merged.record("aaaaaaaaaaaa"), record())
    assert_same(
        write_pack(tmp_path / "both", "both", merge(other, merged)).record(lean.id),
        replace(record(), provenance=lean.provenance),
    )
    contrary = write_pack(tmp_path / "contrary", "contrary", [record(scalars={"test": 0.5})])
    with pytest.raises(
        PackError, match=r"aaaaaaaaaaaa is not the same in .*toy and in .*contrary: they differ in scalars"
    ):
        merge(read_pack(folder), contrary)


def test_only_a_pack_of_the_same_study_is_replaced(folder, tmp_path):
    before = contents(folder)
    with pytest.raises(PackError, match="holds study 'toy', not 'joy'; nothing was written"):
        write_pack(folder, "joy", [])
    with pytest.raises(BumplabError, match="A study has a name"):
        write_pack(tmp_path / "new", "", [])
    for name in ("notes.txt", "weights/notes.txt"):
        (folder / name).write_text("mine")
        with pytest.raises(PackError, match=f"holds {name}, which is no part of a pack"):
            write_pack(folder, "toy", [])
        (folder / name).unlink()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "weights").mkdir()
    with pytest.raises(PackError, match="not empty and not a pack"):
        write_pack(tmp_path / "home", "home", [])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PackError, match="is not a folder"):
        write_pack(tmp_path / "file", "file", [])
    newer = (folder / "runs.jsonl").read_text().replace('"version":1', '"version":2', 1)
    (folder / "runs.jsonl").write_text(newer)
    with pytest.raises(PackError, match="update bumplab"):
        write_pack(folder, "toy", [])
    assert {**contents(folder), "runs.jsonl": before["runs.jsonl"]} == before


@pytest.mark.parametrize("moment", ["fsync", "replace", "check"])
def test_an_interrupted_write_leaves_the_old_pack(folder, monkeypatch, moment):
    before = contents(folder)

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    place = {"fsync": "os.fsync", "replace": "os.replace", "check": "bumplab.runs.pack.Pack.check"}[moment]
    with monkeypatch.context() as patch:
        patch.setattr(place, stop)
        with pytest.raises(KeyboardInterrupt):
            write_pack(folder, "toy", [record("cccccccccccc")])
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["toy"]


def test_a_crash_between_the_two_renames_leaves_the_old_pack_to_readers_and_the_next_writer(folder):
    before, old = contents(folder), folder.with_name(".toy.old")
    folder.rename(old)
    folder.with_name(".toy.4711").mkdir()
    assert_same(read_pack(folder).record("aaaaaaaaaaaa"), record())
    assert PackStore(folder.parent).ids() == ["aaaaaaaaaaaa", "bbbbbbbbbbbb"]
    with hold_pack(folder):
        assert contents(folder) == before
        assert sorted(path.name for path in folder.parent.iterdir()) == [".toy.lock", ".toy.lock.holder", "toy"]


def test_a_pack_that_is_replaced_while_it_is_in_use_says_so(folder):
    pack = read_pack(folder)
    write_pack(folder, "toy", [record(curves={"loss": [[10, 0.5]]})])
    with pytest.raises(ReplacedError, match="was replaced while it was in use; load the run again"):
        pack.curves("aaaaaaaaaaaa")
    assert read_pack(folder).curves("aaaaaaaaaaaa") == {"loss": [[10, 0.5]]}


# ---------------------------------------------------------------- recorded runs


def recorded_sample():
    """Return recorded runs, two of each set of what is kept and of parts."""
    kinds, store = defaultdict(list), PackStore(recorded_folder())
    for id in store.ids():
        run = store.get(id)
        kinds[(*sorted(run.kept), *run.scalars)].append(run)
    return [run for kind in kinds.values() for run in kind[:2]]


def test_recorded_runs_come_back_bit_for_bit_from_files_and_from_another_pack(tmp_path):
    sample = recorded_sample()
    assert {"history", "weights", "verdicts", "embeddings"} <= {name for run in sample for name in run.kept}
    pack = write_pack(tmp_path / "pack", "sample", [run.record() for run in sample])
    for run in sample:
        path = tmp_path / f"{run.id}.safetensors"
        path.write_bytes(run_bytes(run.record()))
        assert_same(read_run(path).record(), run.record())
        assert_same(pack.record(run.id), run.record())
        if "verdicts" in run.kept:
            lattice = run.settings.world.lattice()
            for part, evaluation in run.evaluations.items():
                rows = torch.from_numpy(run.arrays[f"verdicts/{part}/row"])
                assert rows.dtype == torch.int32 and torch.equal(lattice[rows.long()], evaluation.mu)


def test_rows_are_added_to_verdicts_that_lack_them():
    run = next(run for run in recorded_sample() if "verdicts" in run.kept)
    kept = {name: array for name, array in run.arrays.items() if not name.endswith("/row")}
    bare = replace(run, source=Copy(run, kept))
    assert not any(name.endswith("/row") for name in bare.record().arrays)
    assert_same(complete_record(bare), run.record())


class Copy:
    """The source of a run, with other arrays."""

    def __init__(self, run, arrays):
        self.line, self.curves, self.weights, self.kept = run.source.line, run.source.curves, run.weights, run.kept
        self.arrays = lambda: arrays


# ---------------------------------------------------------------- what a write that was cut off has left


def test_an_empty_folder_in_the_place_of_a_pack_gives_way_to_the_old_one(folder):
    before = contents(folder)
    folder.rename(folder.with_name(".toy.old"))
    folder.mkdir()
    with hold_pack(folder):
        pass
    assert contents(folder) == before and not folder.with_name(".toy.old").exists()


def test_what_other_studies_have_left_stays_when_one_is_mended(folder):
    names = [".toy.3.old", ".toy.3.lock", ".toys.old", ".toy.31.part", ".t*.7"]
    for name in [*names, ".toy.77"]:
        folder.with_name(name).mkdir()
    with hold_pack(folder):
        pass
    assert {path.name for path in folder.parent.iterdir()} == {*names, "toy", ".toy.lock"}
    with hold_pack(folder.with_name("t*")):
        pass
    assert {path.name for path in folder.parent.iterdir()} == {*names[:-1], "toy", ".toy.lock", ".t*.lock"}


def test_the_weights_of_a_pack_that_was_replaced_are_not_called_absent(folder):
    run = PackedRun(read_pack(folder), "aaaaaaaaaaaa")
    assert run.kept > {"weights"}
    write_pack(folder, "toy", [record("bbbbbbbbbbbb")])
    for ask in (lambda: run.weights("weights"), lambda: PackedRun(run.pack, run.run_id).kept, run.check):
        with pytest.raises(ReplacedError, match="was replaced while it was in use"):
            ask()
    assert run.kept > {"weights"}
