"""What a record costs whoever reads it, and what its texts may do, is bounded, whatever it says of itself."""

import dataclasses
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fuzzing import seal_text, within
from tampering import tampered

from bumplab.cli.app import main
from bumplab.common import histories
from bumplab.common.digests import digest_arrays, seal, unseal
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet
from bumplab.runs.bump_family import BUMPS
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack import read_pack
from bumplab.runs.pack_store import PackStore
from bumplab.runs.packing import write_pack
from bumplab.runs.recording import compare_indices
from bumplab.runs.records import PackError, Record, StoreError
from bumplab.runs.run_file import read_run
from bumplab.runs.store import load_or_train, verify
from bumplab.training.outcomes import layer_embedding
from bumplab.training.settings import preset
from bumplab.worlds import bumps
from bumplab.worlds.bumps import BumpWorld
from patching import replace_everywhere

SMALL = preset("smoke", world={"size": 8}, model={"patch": 1}).replace(training={"snapshots": (), "steps": 10})
ID = "aaaaaaaaaaaa"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    store = tmp_path_factory.mktemp("done")
    return load_or_train(SMALL, store=store, device="cpu", progress=False, weights="half")


def copied(source, target):
    target.write_bytes(source.read_bytes())
    return target


@pytest.fixture
def pack(tmp_path):
    """Return a pack of one run with a curve, verdicts and weights."""
    arrays = {"verdicts/test/row": np.arange(3, dtype=np.int32)}
    weights = {"weights": {"a": np.ones(3)}}
    record = Record(ID, {}, 1, {"a": 1}, {}, {"loss": [[1, 0.5]]}, arrays, weights)
    return write_pack(tmp_path / "book" / "toy", "toy", [record]).folder


def edit_line(folder, change):
    """Change the line of the one run of a pack, with a seal that fits."""
    path = folder / "runs.jsonl"
    header, line, end = path.read_text().split("\n")
    content = json.loads(line)
    content.pop("sha256")
    change(content)
    path.write_text("\n".join([header, seal(content), end]))


# ---------------------------------------------------------------- memory and time


def write_curve(path, rows, id=ID, **more):
    """Write a table of one curve of zeros; it is small, however many rows it has."""
    zeros = np.zeros(rows, np.int8)
    texts = {name: pa.DictionaryArray.from_arrays(zeros, [text]) for name, text in (("id", id), ("curve", "loss"))}
    pq.write_table(pa.table({**texts, "loss": zeros, **more}), path, row_group_size=rows)


@pytest.mark.parametrize("most", [2**26, 5_999_999])
def test_a_table_that_would_decode_to_more_than_a_study_can_have_is_not_decoded(pack, most, monkeypatch):
    monkeypatch.setattr("bumplab.runs.parquet._MOST_ROWS", most)
    monkeypatch.setattr("bumplab.runs.parquet._MOST_ENTRIES", 2**24 if most == 2**26 else 2**25)
    rows = 6_000_000
    write_curve(pack / "curves.parquet", rows)
    edit_line(pack, lambda line: line["curves"].update(loss=[rows, "0" * 64]))
    assert (pack / "curves.parquet").stat().st_size < 200_000
    before = pa.total_allocated_bytes()
    with pytest.raises(PackError, match=r"more rows than are read: 6,000,000, 6,000,000 in one group"):
        read_pack(pack).curves(ID)
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_a_long_text_in_every_row_is_not_decoded_either(pack):
    write_curve(pack / "curves.parquet", 10_000, ID * 10_000)
    edit_line(pack, lambda line: line["curves"].update(loss=[10_000, "0" * 64]))
    most = pa.default_memory_pool().max_memory()
    with pytest.raises(PackError, match="holds other rows than loss of run"):
        read_pack(pack).curves(ID)
    assert pa.default_memory_pool().max_memory() - most < 50_000_000  # 1.2 GB as texts


@pytest.mark.parametrize("kind", [pa.string(), pa.list_(pa.int64()), pa.timestamp("s"), pa.decimal128(9), pa.null()])
def test_a_table_holds_numbers_alone(pack, kind):
    write_curve(pack / "curves.parquet", 1, more=pa.nulls(1, kind))
    with pytest.raises(PackError, match="curves.parquet has other columns than a pack has"):
        read_pack(pack).curves(ID)


def test_entries_of_a_curve_within_entries_of_it_are_refused(pack):
    write_curve(pack / "curves.parquet", 1, **{f"loss{'/a' * depth}": np.zeros(1) for depth in (1, 2, 3, 18)})
    with pytest.raises(PackError, match=r"curves.parquet(: curve loss of run a+ is not what| is damaged)"):
        read_pack(pack).curves(ID)
    write_curve(pack / "curves.parquet", 1, **{f"loss{'/a' * 5000}": np.zeros(1)})
    with pytest.raises(PackError, match="other columns"):
        read_pack(pack).curves(ID)


def test_shapes_that_no_memory_could_hold_are_refused(pack):
    for shape in ([3, 2**40], [0, 2**40, 2**40], [2**40, 0, 2**40]):
        edit_line(pack, lambda line, shape=shape: line["arrays"]["verdicts/test/row"].__setitem__(1, shape))
        with pytest.raises(PackError, match="says what no run's can: array verdicts/test/row is described by"):
            read_pack(pack).refuse_problems()


def test_an_index_is_not_read_beyond_its_bounds(pack):
    os.truncate(pack / "runs.jsonl", 2**33)  # a sparse file
    with within(30), pytest.raises(PackError, match="is longer than the 134,217,728 bytes that an index may have"):
        read_pack(pack)


def test_many_bad_lines_are_read_and_asked_about_in_time(pack):
    path = pack / "runs.jsonl"
    header, line, _ = path.read_text().split("\n")
    bad = [f'{{"id":"{number:012x}",}}' for number in range(90_000)]
    path.write_text("\n".join([header, line, *bad, ""]))
    with within(60):
        store = PackStore(pack.parent)
        assert store.ids() == [ID] and len(store.problems()) == 90_001
        with pytest.raises(PackError, match="is cut short or was added to: 90001 whole lines for 1 runs"):
            store.get("ffffffffffff")


def test_a_file_with_a_long_head_is_not_parsed(tmp_path, pack):
    for path, read in (
        (tmp_path / f"{ID}.safetensors", lambda: read_run(tmp_path / f"{ID}.safetensors")),
        (pack / "weights" / f"{ID}.safetensors", lambda: read_pack(pack).weights(ID)),
    ):
        path.write_bytes((2**26).to_bytes(8, "little"))
        os.truncate(path, 2**26 + 8)
        with within(5), pytest.raises(StoreError, match="its head has 67,108,864 bytes, more than 33,554,432"):
            read()


def test_a_network_is_built_only_where_the_weights_are_there_for_it(done, tmp_path, monkeypatch):
    wide = SMALL.replace(model={"widths": (1024, 1024, 1024, 1024), "bottleneck_channels": 1024, "depth": 4})
    with tampered(copied(done.path, tmp_path / done.path.name)) as (line, _, tensors):
        line["settings"], line["id"] = wide.to_record(), wide.id
    (tmp_path / done.path.name).rename(tmp_path / f"{wide.id}.safetensors")
    built = []

    class Watched(UNet):
        def __init__(self, settings):
            super().__init__(settings)
            built.append(next(self.parameters()).device.type)

    monkeypatch.setattr("bumplab.runs.bump_family.UNet", Watched)
    run = FileStore(tmp_path).get(wide.id)
    with pytest.raises(StoreError, match="do not fit its network"):
        run.model()
    assert verify(FileStore(tmp_path), wide.id).verdict == "refuted"
    assert built == ["meta"]


@pytest.mark.parametrize("dtype", ["int32", "uint64", "bool", "complex64"])
def test_weights_of_other_types_than_a_network_has_are_refused(done, tmp_path, dtype):
    path = copied(done.path, tmp_path / done.path.name)
    with tampered(path) as (line, _, tensors):
        prefix = "weights/weights/"
        for name in [name for name in tensors if name.startswith(prefix)]:
            tensors[name] = tensors[name].astype(dtype)
        mine = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
        line["weights"]["weights"] = digest_arrays(mine)
    with pytest.raises(StoreError, match="do not fit its network|are not what was recorded"):
        FileStore(tmp_path).get(done.id).model()
    assert verify(FileStore(tmp_path), done.id).verdict == "refuted"


def test_large_lattices_are_not_all_kept():
    for size in (96, 97, 98, 99):
        BumpWorld(size=size, spacing=0.25)
    assert bumps._large_lattice_and_mask.cache_info().currsize <= 2


def test_a_region_of_thousands_of_shapes_is_refused():
    with pytest.raises(BumplabError, match=r"A region is made of at most 64 shapes, this one has 90"):
        BumpWorld(held_out=" | ".join(f"({'|'.join(['diagonal(1)'] * 30)})" for _ in range(14)))


def test_an_embedding_has_the_shape_that_its_settings_give_it(done):
    line = {"provenance": {"keep": "first"}, "weights": {}, "arrays": dict(done.source.line["arrays"])}
    shape = list(layer_embedding(done.model(), SMALL, "first").shape)
    BUMPS.check_contents(SMALL, line | {"arrays": line["arrays"] | {"embeddings/first": ["float16", shape, ""]}})
    for wrong in ([8, 8, 9], [8, 9, 8], [8, 8], [2**20, 2**16, 8]):
        with pytest.raises(BumplabError, match=r"of its settings follows float16 \[8, 8, 8\]"):
            BUMPS.check_contents(
                SMALL, line | {"arrays": line["arrays"] | {"embeddings/first": ["float16", wrong, ""]}}
            )


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\u202etxt", "\x00", "\x9b1m", "\ud800"])
def test_what_a_terminal_would_obey_never_gets_there(done, tmp_path, monkeypatch, text):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: tmp_path / "none")
    for place in (
        lambda line: line["provenance"].update(device=text),
        lambda line: line["provenance"].update(sessions=[{text: 1.5}]),
        lambda line: line["settings"].update({text: 1}),
        lambda line: line["settings"]["world"].update({text: {text: [text]}}),
        lambda line: line["settings"]["world"].update(held_out=text),
        lambda line: line["scalars"].update({text: 1}),
        lambda line: line["weights"].update({text: "0" * 64}),
        lambda line: line.update({text: 1}),
    ):
        path = copied(done.path, tmp_path / done.path.name)
        with tampered(path) as (line, _, _):
            place(line)
        result = CliRunner().invoke(main, ["runs", "list"])
        assert result.exit_code == 1 and result.output.startswith(f"Error: {path}")
        assert result.output.endswith(".\n") and result.output[:-1].isprintable() and len(result.output) < 600
        path.unlink()


def test_names_of_folders_are_shown_without_what_a_terminal_would_obey(tmp_path):
    folder = tmp_path / "a\x1b[2J\nb"
    folder.mkdir()
    (folder / "runs.jsonl").write_text("x")
    (error,) = PackStore(tmp_path).problems()
    assert str(error).isprintable() and r"a\x1b[2J\nb" in str(error)


def test_long_lists_of_names_are_cut(done, tmp_path):
    path = copied(done.path, tmp_path / done.path.name)
    for kind, value in (("weights", "0" * 64), ("arrays", ["float16", [8, 8, 8], "0" * 64])):
        with tampered(path) as (line, _, _):
            more = {f"embeddings/{'x' * 90}{n}" if kind == "arrays" else f"{'x' * 90}{n}": value for n in range(500)}
            line[kind].update(more)
        with pytest.raises(StoreError) as error:
            read_run(path)
        assert len(str(error.value)) < 700 and " more" in str(error.value)
        copied(done.path, path)


@pytest.mark.parametrize("name", ["e\u0301", "\u00e9", "\uff41", "\u0660", "a/../b", "", "id", ".a", "a" * 101])
def test_a_name_has_one_spelling(name):
    with pytest.raises(BumplabError, match="a name begins with a letter"):
        Record(ID, {}, 1, {}, {}, {name: []}, {}, {})


def test_only_the_one_spelling_of_an_id_is_a_run(tmp_path):
    for name in (
        "AAAAAAAAAAAA",
        "aaaaaaaaaaaA",
        "\uff10aaaaaaaaaaa",
        "\u0660aaaaaaaaaaa",
        "aaaaaaaaaaaa ",
        "aaaaaaaaaaaa\n",
    ):
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    assert FileStore(tmp_path).ids() == []


def test_what_differs_by_case_alone_stays_apart(tmp_path):
    arrays = {
        f"verdicts/{part}/{column}": np.array([n, n]) for n, (part, column) in enumerate(["ab", "aB", "Ab", "AB"])
    }
    weights = {stem: {name: np.full(2, n) for n, name in enumerate("xX")} for stem in ("w", "W")}
    record = Record(ID, {}, 1, {"a": 1, "A": 2}, {}, {"c": [1], "C": [2]}, arrays, weights)
    back = write_pack(tmp_path / "case", "case", [record]).record(ID)
    assert back.curves == record.curves
    assert {name: array[0] for name, array in back.arrays.items()} == {name: array[0] for name, array in arrays.items()}
    assert [back.weights[stem][name][0] for stem in "wW" for name in "xX"] == [0, 1, 0, 1]


@pytest.mark.parametrize("other", ['{"a":2,"a":1}', '{ "a":1}', '{"a":1.0e0}', '{"\\u0061":1}', '{"a":1,"a":1}'])
def test_a_line_has_one_way_to_be_written(other):
    with pytest.raises(BumplabError, match="is not written as its reader would write it"):
        unseal(seal_text(other))
    assert unseal(seal({"a": 1})) == {"a": 1}


def test_the_id_of_a_line_is_that_of_its_settings(done, tmp_path):
    path = copied(done.path, tmp_path / done.path.name)
    with tampered(path) as (line, _, _):
        line["id"] = ID
    with pytest.raises(StoreError, match=f"holds the settings of run {done.id}, for which it is not called"):
        read_run(path)


def test_an_array_is_what_its_line_says_of_it(done, tmp_path):
    path = copied(done.path, tmp_path / done.path.name)
    with tampered(path) as (line, _, tensors):
        name, wide = "verdicts/seen/error", np.zeros((3, 5))
        tensors[f"arrays/{name}"] = wide
        line["arrays"][name][2] = digest_arrays({name: wide})
    with pytest.raises(StoreError, match="its array verdicts/seen/error are not what was recorded"):
        read_run(path).arrays  # noqa: B018


# ---------------------------------------------------------------- links and pipes


def test_links_in_the_place_of_studies_and_their_folders_are_not_followed(pack, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    pack.rename(tmp_path / "elsewhere" / "toy")
    pack.symlink_to(tmp_path / "elsewhere" / "toy")
    (error,) = PackStore(pack.parent).problems()
    assert str(error) == f"{pack} is a link, which no folder of recorded runs is."
    pack.unlink()
    (tmp_path / "elsewhere" / "toy").rename(pack)
    (pack / "weights").rename(tmp_path / "elsewhere" / "weights")
    (pack / "weights").symlink_to(tmp_path / "elsewhere" / "weights")
    with pytest.raises(PackError, match="weights is a link, which no folder of a pack is"):
        read_pack(pack).check(ID)


def test_a_pipe_in_the_place_of_an_index_is_not_waited_for(pack):
    (pack / "runs.jsonl").unlink()
    os.mkfifo(pack / "runs.jsonl")
    with within(5), pytest.raises(PackError, match="is not empty and not a pack of runs; nothing was written"):
        write_pack(pack, "toy", [])
    with within(5):
        assert len(PackStore(pack.parent).problems()) == 1


# ---------------------------------------------------------------- other families


ODD = (
    {"loss": [1.0, 2.0]},
    {"loss": [[1]]},
    {"loss": [{"step": 1}]},
    {"loss": [], "accuracy": [0.5, [1, 2], {"seen": 1.0}]},
    {"loss": [], "accuracy": [{"step": 1, "seen": 0.5}]},
    {"loss": [], "accuracy": [{"step": 1, "seen": {"a": {"b": 1}}}]},
    {"loss": [], "accuracy": [{"step": {"a": 1}, "seen": {"joint": [1]}}]},
)


@pytest.mark.parametrize("curves", ODD)
def test_curves_of_another_shape_are_no_curves_of_training(curves):
    for name in ("loss", "seen.joint", "seen", "step", ".", "seen.a"):
        with pytest.raises(BumplabError, match=r"^The history has no curve .*\.$"):
            histories.curve({"accuracy": [], **curves}, name)
    with pytest.raises(BumplabError, match=r"^The history has no measurements of 'none': use .*\.$"):
        histories.measurements({"accuracy": [], **curves}, "none")


def test_curves_in_the_file_of_a_run_are_such_as_a_record_may_hold(tmp_path):
    record = Record(ID, {}, 1, {}, {}, {"loss": [[1, 0.5]]}, {}, {})
    for odd in ("abc", [None], [[[1]]], ["a"], [True]):
        with pytest.raises(BumplabError, match="curve loss"):
            dataclasses.replace(record, curves={"loss": odd})


@pytest.mark.parametrize(
    ("then", "now", "change"),
    [
        ({"loss": 0.5}, {"loss": 0.25}, "loss 0.5 -> 0.25"),
        ({"a": {"b": {"c": {"d": 1}}}}, {"a": {"b": {"c": {"d": 2}}}}, "a.b.c.d 1 -> 2"),
        ({"a": 1}, {"a": {"b": 1}}, "scalars"),
        ({"a": {"b": 1}}, {"a": 1}, "scalars"),
        ({}, {"a": {"b": 1}}, "scalars"),
        ({"a": {"b": 1}, "c": 1}, {"a": {"b": 2}}, "a.b 1 -> 2"),
    ],
)
def test_numbers_of_any_depth_are_compared(then, now, change):
    def line(scalars):
        return {"id": ID, "scalars": scalars} | dict.fromkeys(
            ("settings", "trainer", "provenance", "curves", "arrays", "weights")
        )

    assert compare_indices([line(then)], [line(now)]) == [f"! {ID}  {change}"]
    assert compare_indices([line(now)], [line(now)]) == []
