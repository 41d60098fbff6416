"""Whatever lies in a store: refused in one sentence, or exactly what was written; and never in the way of others.

What was not sealed again may be accepted only where nothing of it differs from the original. What was sealed again by
somebody who knows how is what its line says, and its numbers are proved only where they follow from what it keeps.
"""

import json
import os
import re
import shutil
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from fuzzing import VALUES, change, draw_bytes, draw_header, seal_text, to_text, within
from hypothesis import HealthCheck, event, given, settings as hypothesis_settings, strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from bumplab.cli.app import main
from bumplab.common.digests import digest_arrays, digest_json
from bumplab.common.errors import BumplabError
from bumplab.common.files import book_folder
from bumplab.common.run_settings import RunSettings
from bumplab.runs import families
from bumplab.runs.families import Family, family_of, provenance, register_family
from bumplab.runs.file_store import FileStore
from bumplab.runs.pack import read_pack
from bumplab.runs.pack_store import PackStore
from bumplab.runs.packing import merge, write_pack
from bumplab.runs.records import Record
from bumplab.runs.run_file import run_bytes
from bumplab.runs.store import find, load_or_train, verify
from bumplab.runs.verification import Recomputation
from bumplab.training.settings import Settings, preset
from patching import replace_everywhere

#: More where somebody looks for what these do not show.
CASES = os.environ.get("BUMPLAB_FUZZ")
SECONDS = 20
SMALL = preset("smoke", world={"size": 8, "held_out": "band_x(2, 5)", "sigma": 3}, model={"patch": 1}).replace(
    training={"snapshots": (0,), "steps": 40, "evaluate_every": 20}
)


def fuzz(cases):
    """Return how many cases are tried, unless the environment says otherwise."""
    return hypothesis_settings(max_examples=int(CASES or cases), deadline=None, suppress_health_check=list(HealthCheck))


class ToySettings(RunSettings):
    family: ClassVar[str] = "toys"
    trainer_version: ClassVar[int] = 3
    names: tuple[str, ...] = ("a",)
    seed: int = 0


def toy(seed=0):
    """Return a record of a family that says nothing of the shape of its numbers."""
    settings, error = ToySettings(seed=seed), np.linspace(0, 1, 7)
    return Record(
        settings.id, settings.to_record(), 3, {"points": {"mean": float(error.mean())}, "n": 7},
        provenance(device="cpu", note=["a", {"b": None}]),
        {"loss": [[1, 0.5], [2, 0.25]], "accuracy": [{"step": 1, "points": {"mean": 0.5}}], "norm": [1, 2.0]},
        {"verdicts/points/error": error, "embeddings/first": np.ones((2, 3), np.float32)},
        {"weights": {"line": np.array([0.5, seed])}},
    )  # fmt: skip


def recompute_toy(run):
    error = run.arrays.get("verdicts/points/error")
    if error is not None:
        yield Recomputation("verdicts", {"points": {"mean": float(error.mean())}, "n": len(error)})


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    """Return the folders of recorded runs and of the cache, and know the family of toys."""
    recorded, cache = tmp_path_factory.mktemp("recorded"), tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        family_of({})  # that of bumps registers itself once
        patch.setattr(families, "_FAMILIES", dict(families._FAMILIES))
        register_family(Family(ToySettings, lambda *_: pytest.fail("it trained"), recompute_toy))
        patch.setenv("BUMPLAB_STORE", str(cache))
        replace_everywhere(patch, "bumplab.runs.store.recorded_folder", lambda: recorded)
        yield recorded, cache


def emptied(folder):
    """Return a folder without anything in it; links in it are not followed."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return folder


# ---------------------------------------------------------------- what is asked, and what may come back


def text(value):
    """Return JSON in which 1 and 1.0 differ and NaN equals NaN."""
    return json.dumps(value, sort_keys=True)


def bits(arrays):
    return {name: (str(array.dtype), array.shape, array.tobytes()) for name, array in arrays.items()}


def content(record):
    facts = [record.id, record.trainer, record.settings, record.scalars, record.provenance, record.curves]
    return text(facts), bits(record.arrays), {stem: bits(weights) for stem, weights in record.weights.items()}


def one_sentence(error):
    sentence = str(error)
    assert re.fullmatch(r"[^\n]+\.", sentence) and len(sentence) < 600 and sentence.isprintable(), sentence
    assert "x" * 81 not in sentence  # what it quotes ends after 80 characters
    return sentence


QUESTIONS = {
    "facts": lambda run: text([run.id, run.settings.to_record(), run.scalars, run.provenance]),
    "check": lambda run: run.check(),
    "record": lambda run: content(run.record()),
    "curves": lambda run: text(run.curves),
    "arrays": lambda run: bits(run.arrays),
    "weights": lambda run: bits(run.weights()),
    "model": lambda run: bits({name: value.numpy() for name, value in run.model().state_dict().items()}),
    "snapshot": lambda run: bits({name: value.numpy() for name, value in run.model(0).state_dict().items()}),
    "evaluations": lambda run: text({part: result.to_record() for part, result in run.evaluations.items()}),
    "first": lambda run: bits({"first": run.embedding("first")}),
    "last": lambda run: bits({"last": run.embedding("last")}),
    "loss": lambda run: bits(dict(enumerate(run.curve("loss")))),
    "joint": lambda run: bits(dict(enumerate(run.curve("unseen.joint")))),
    "no curve": lambda run: run.curve("x.y"),
    "measurements": lambda run: text(run.measurements("seen")[1]),
    "no measurements": lambda run: run.measurements("step"),
    "describe": lambda run: run.describe(),
    "kept": lambda run: sorted(run.kept),
}
OF_TOYS = {
    name: QUESTIONS[name] for name in QUESTIONS if name not in ("model", "snapshot", "evaluations", "last", "first")
}


def answers(run, whole=True):
    """Return what a run answers to every question, or refuses to in one sentence."""
    found = {}
    slow = () if whole else ("evaluations", "first", "last", "model", "snapshot")
    for name, question in (OF_TOYS if isinstance(run.settings, ToySettings) else QUESTIONS).items():
        if name not in slow:
            try:
                found[name] = question(run)
            except BumplabError as error:
                found[name] = one_sentence(error), "refused"
    return found


def is_refusal(answer):
    return isinstance(answer, tuple) and answer[-1] == "refused"


def get(store, id):
    """Return a run, or the sentence with which it is refused."""
    try:
        return store.get(id)
    except BumplabError as error:
        return one_sentence(error)


def call(*words):
    """Call the command line; return exit code and output."""
    result = CliRunner().invoke(main, ["runs", *words])
    if isinstance(result.exception, BumplabError):
        one_sentence(result.exception)
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert all(line.isprintable() for line in result.output.replace("\n", "").splitlines())
    return result.exit_code, result.output


def shares(code):
    """Return the numbers of a record from codes of verdicts, by other means than the package."""
    axis = code.astype(int) % 4
    worst = axis.min(1)
    names = {name: (worst == number).mean() for number, name in enumerate(("none", "several", "misplaced", "right"))}
    x, y = (axis == 3).mean(0)
    return {"joint": (worst == 3).mean(), "x": x, "y": y, **names, "n": len(code)}


def assert_follows(scalars, arrays):
    """Check numbers that were called proved."""
    if "verdicts/points/error" in arrays:
        assert scalars == {"points": {"mean": float(arrays["verdicts/points/error"].mean())}, "n": 7}
        return
    again = {part: shares(arrays[f"verdicts/{part}/code"]) for part in scalars}
    for part, values in scalars.items():
        assert values == pytest.approx(again[part], abs=1e-6)


def assert_neighbours(store, neighbours, seen):
    """Check that other runs are where they were, and say what they said."""
    for run, original in neighbours.items():
        assert content(store.get(run).record()) == original and f"  {run}  " in seen


# ---------------------------------------------------------------- runs as files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return the bytes of small runs by what they keep, those of a neighbour, and what each of them answers."""
    store = tmp_path_factory.mktemp("files")
    made = {}
    for number, keep in enumerate(("all", "half", "first", "none", "all")):
        options = {"device": "cpu", "progress": False, "weights": keep}
        run = load_or_train(SMALL.replace(seed=number), store=store, **options)
        made[f"{keep}{number}"] = run
    for seed in (0, 1):
        (store / f"{toy(seed).id}.safetensors").write_bytes(run_bytes(toy(seed)))
        made[f"toy{seed}"] = FileStore(store).get(toy(seed).id)
    return {name: (run.id, run.path.read_bytes(), answers(run), content(run.record())) for name, run in made.items()}


def draw_tensors(data, tensors):
    """Draw tensors of which one is changed, renamed, reshaped, of another type, exchanged, added or away."""
    if not tensors:
        return tensors
    name, other = (data.draw(st.sampled_from(sorted(tensors)), label="tensor") for _ in range(2))
    kinds = "number nan name shape type exchange copy away none none none none".split()
    kind, value = data.draw(st.sampled_from(kinds), label="tensors"), tensors[name]
    rest = {key: array for key, array in tensors.items() if key != name}
    if kind in ("number", "nan") and value.size:
        value = value.copy().reshape(-1)
        if kind == "nan" and value.dtype.kind == "f":
            value[:] = np.nan
        else:
            value[0] = data.draw(st.sampled_from([0, 1, 77]))
        return rest | {name: value.reshape(tensors[name].shape)}
    dtype = data.draw(st.sampled_from(["float64", "float32", "float16", "int32", "uint16", "bool", "uint64"]))
    return rest | {
        "name": {f"{name}x": value},
        "shape": {name: value[None]},
        "type": {name: value.astype(dtype)},
        "exchange": {name: tensors[other], other: value},
        "copy": {name: value, f"{name}/more": value},
        "away": {},
    }.get(kind, {name: value})


def fit(line, curves, tensors):
    """Make the digests of a line fit, as far as it still has the shape of one."""
    arrays = {name[7:]: array for name, array in tensors.items() if name.startswith("arrays/")}
    line["curves"] = {name: [len(rows), digest_json(rows)] for name, rows in curves.items()}
    line["arrays"] = {
        name: [array.dtype.name, list(array.shape), digest_arrays({name: array})] for name, array in arrays.items()
    }
    for stem in line["weights"]:
        prefix = f"weights/{stem}/"
        mine = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
        line["weights"][stem] = digest_arrays(mine)


def draw_file(data, path):
    """Write a run's file whose line, curves or tensors are others; return whether its seal fits."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    line, curves = map(json.loads, metadata["run"].split("\n"))
    line.pop("sha256")
    tensors = draw_tensors(data, tensors)
    what = data.draw(st.sampled_from(["line", "line", "settings", "number", "curves", "none"]), label="what")
    if what == "line":
        line = change(data, line, "line")
    elif what == "settings":
        line["settings"] = change(data, line["settings"], "settings")
    elif what == "number":
        part = data.draw(st.sampled_from(sorted(line["scalars"])))
        if isinstance(line["scalars"][part], dict):
            name = data.draw(st.sampled_from(sorted(line["scalars"][part])))
            line["scalars"][part][name] = data.draw(st.sampled_from([0, 1, 0.5, 0.25, 48]) | VALUES)
    elif what == "curves":
        curves = change(data, curves, "curves")
    sealed = data.draw(st.sampled_from(["no", "seal", "fit", "fit"]), label="sealed")
    if sealed == "fit":
        try:
            fit(line, curves, tensors)
        except (TypeError, KeyError, AttributeError, RecursionError, ValueError):
            event("no shape in which digests fit")
        if what == "settings":  # and the name, too
            try:
                line["id"] = (
                    (ToySettings if "family" in line["settings"] else Settings).from_record(line["settings"]).id
                )
                path = path.with_name(f"{line['id']}.safetensors")
            except (BumplabError, TypeError, AttributeError):
                event("settings that cannot be")
    body = to_text(line)
    if data.draw(st.integers(0, 9), label="twice") == 0:
        body = body.replace('"scalars":', '"scalars":{"seen":{"joint":1}},"scalars":', 1)
    head = body if sealed == "no" else seal_text(body)
    head = f"{head}\n{to_text(curves)}".encode("utf-8", "replace").decode()
    path.unlink(missing_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path, {"run": head})
    return path, sealed != "no"


def draw_place(data, path, good):
    """Put something that is no regular file in the place of one, or an empty one."""
    path.unlink()
    kind = data.draw(st.sampled_from(["folder", "pipe", "device", "link", "nothing", "loop", "empty"]), label="place")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.symlink_to({"device": "/dev/zero", "link": good, "nothing": "nowhere", "loop": path.name}[kind])


@fuzz(100)
@given(st.data())
def test_whatever_is_in_the_file_of_a_run(surroundings, files, data):
    recorded, cache = map(emptied, surroundings)
    store = FileStore(cache)
    name, other = (data.draw(st.sampled_from(sorted(set(files) - {"all4"})), label="run") for _ in range(2))
    id, whole, original, _ = files[name]
    path, sealed = store.path(id), False
    path.write_bytes(whole)
    kind = data.draw(st.sampled_from(["contents"] * 5 + ["bytes", "bytes", "header", "place"]), label="as")
    if kind == "contents":
        path, sealed = draw_file(data, path)
    elif kind == "bytes":
        path.write_bytes(draw_bytes(data, whole, files[other][1]))
    elif kind == "header":
        path.write_bytes(draw_header(data, whole))
    else:
        good = recorded / "good"
        good.write_bytes(whole)
        draw_place(data, path, good)
    neighbour, content_of_neighbour = files["all4"][0], files["all4"][3]
    store.path(neighbour).write_bytes(files["all4"][1])
    id = path.name.removesuffix(".safetensors")
    with within(SECONDS):
        run = get(store, id)
        code, seen = call("list")
        assert_neighbours(store, {neighbour: content_of_neighbour}, seen)
        assert code == isinstance(run, str) and ("Error: " in seen) == isinstance(run, str)
        call("show", id)
        proof = verify(store, id)
        assert call("verify", id)[0] == (proof.verdict == "refuted")
        if isinstance(run, str):
            assert proof.verdict == "refuted"
            event(f"{'sealed again' if sealed else 'not sealed'}: refused")
            return
        found = answers(run, whole=id == files[name][0])
        if not sealed:
            for question, answer in found.items():
                assert is_refusal(answer) or answer == original[question], question
        refused = is_refusal(found["check"])
        assert not refused or proof.verdict == "refuted"
        try:
            looked_up = find(run.settings)
            assert not refused and text(looked_up.scalars) == text(run.scalars)
        except BumplabError as error:
            one_sentence(error)
            assert refused
        if not is_refusal(found["record"]):
            assert_as_written(path, run.record())
        if proof.verdict == "proved":
            assert_follows(run.scalars, run.arrays)
        event(f"{'sealed again' if sealed else 'not sealed'}: {'refused' if refused else f'whole, {proof.verdict}'}")


def assert_as_written(path, record):
    """Compare a record that was accepted with the file, read by other means."""
    with safe_open(path, framework="numpy") as file:
        line, curves = map(json.loads, file.metadata()["run"].split("\n"))
    tensors = load_file(path)
    for name in ("id", "trainer", "scalars", "provenance"):
        assert text(getattr(record, name)) == text(line[name]), name
    assert text(record.curves) == text(curves)
    arrays = {f"arrays/{name}": array for name, array in record.arrays.items()}
    weights = {f"weights/{stem}/{name}": a for stem, named in record.weights.items() for name, a in named.items()}
    assert bits(arrays | weights) == bits(tensors)
    for name, (dtype, shape, _) in line["arrays"].items():
        assert (dtype, tuple(shape)) == bits(record.arrays)[name][:2]


# ---------------------------------------------------------------- packs

#: Recorded runs of every kind without weights: history alone; verdicts; verdicts and an embedding.
RECORDED = ("03109b4d0c12", "1fff5d3b0cd6", "17fbc71ec436")
TABLES = ("curves.parquet", "verdicts.parquet")


@pytest.fixture(scope="module")
def packs(tmp_path_factory, files):
    """Return a folder of two packs, what each of its runs answers, and what it holds."""
    folder, loose = tmp_path_factory.mktemp("packs"), tmp_path_factory.mktemp("loose")
    records = [PackStore(book_folder() / "runs").get(id).record() for id in RECORDED]
    for name in ("all0", "none3", "toy0"):
        path = loose / f"{files[name][0]}.safetensors"
        path.write_bytes(files[name][1])
        records.append(FileStore(loose).get(path.stem).record())
    write_pack(folder / "study", "study", records)
    write_pack(folder / "other", "other", [toy(1)])
    store = PackStore(folder)
    assert {kind for id in store.ids() for kind in store.get(id).kept} >= {
        "history",
        "verdicts",
        "embeddings",
        "weights",
    }
    return folder, {id: (answers(store.get(id)), content(store.get(id).record())) for id in store.ids()}


def draw_index(data, path):
    """Edit, double, cut or reorder lines of an index; return the ids of runs whose line was sealed again."""
    lines = path.read_text().split("\n")
    number = data.draw(st.integers(0, len(lines) - 2), label="line")
    kind = data.draw(
        st.sampled_from(["edit"] * 4 + ["number"] * 3 + ["double", "drop", "swap", "cut", "text"]), label="kind"
    )
    sealed = set()
    if kind == "edit":
        line = json.loads(lines[number])
        line.pop("sha256")
        before = line.get("id")
        line = change(data, line, "line")
        if data.draw(st.booleans(), label="sealed"):
            lines[number] = seal_text(to_text(line))
            after = line.get("id") if isinstance(line, dict) else None
            sealed = {id for id in (before, after) if isinstance(id, str)}
        else:
            lines[number] = to_text(line)
    elif kind == "number" and number:
        line = json.loads(lines[number])
        line.pop("sha256")
        what = data.draw(st.sampled_from(["scalars", "provenance"]), label="of")
        where = line[what]
        name = data.draw(st.sampled_from(sorted(where)), label="name")
        if isinstance(where[name], dict):
            where, name = where[name], data.draw(st.sampled_from(sorted(where[name])), label="name")
        more = [value for value in where.values() if type(value) is type(where[name])]
        where[name] = data.draw(st.sampled_from([*more, 0, 0.5, 1, 7, "cpu"]), label="value")
        lines[number] = seal_text(to_text(line))
        sealed = {line["id"]}
    elif kind == "double":
        lines.insert(data.draw(st.integers(0, len(lines))), lines[number])
    elif kind == "drop":
        del lines[number]
    elif kind == "swap":
        other = data.draw(st.integers(0, len(lines) - 1))
        lines[number], lines[other] = lines[other], lines[number]
    elif kind == "cut":
        lines[number] = lines[number][: data.draw(st.integers(0, 300))]
    else:
        lines[number] = to_text(data.draw(VALUES))
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    return sealed


def draw_table(data, path):
    """Edit a table with pyarrow: numbers, types, rows, columns, nulls, order, groups, compression, what it says."""
    table = pq.read_table(path)
    name = data.draw(st.sampled_from(table.column_names), label="column")
    place, column = table.column_names.index(name), table[name]
    kinds = "number null type nested drop more rename order shorter longer astray owner written twice".split()
    kind = data.draw(st.sampled_from(kinds), label="table")
    row = data.draw(st.integers(0, len(table) - 1), label="row")
    values = column.to_pylist()
    options = {}
    if kind in ("number", "null"):
        values[row] = None if kind == "null" else values[row + 1 - len(table)]
        table = table.set_column(place, name, pa.array(values, column.type))
    elif kind == "type":
        kinds = [pa.string(), pa.binary(), pa.float32(), pa.int8(), pa.bool_(), pa.large_string(), pa.timestamp("s")]
        try:
            table = table.set_column(place, name, column.cast(data.draw(st.sampled_from(kinds)), safe=False))
        except pa.ArrowException:
            table = table.set_column(place, name, pa.nulls(len(table)))
    elif kind == "nested":
        table = table.set_column(place, name, pa.array([[value] for value in values]))
    elif kind == "drop":
        table = table.drop_columns([name])
    elif kind == "more":
        more = data.draw(
            st.sampled_from(["loss/1/a", "loss/x", "accuracy", "more", "/" * 99, "accuracy/seen/joint/a/b"])
        )
        table = table.append_column(more, pa.array(range(len(table))))
    elif kind == "rename":
        names = data.draw(st.sampled_from(table.column_names)), data.draw(st.text(max_size=3))
        table = table.rename_columns([*table.column_names[:place], data.draw(st.sampled_from(names)),
                                      *table.column_names[place + 1 :]])  # fmt: skip
    elif kind == "order":
        table = table.take([*range(row, len(table)), *range(row)])
    elif kind == "shorter":
        table = table.slice(row)
    elif kind == "longer":
        table = pa.concat_tables([table, table.slice(row)])
    elif kind == "astray":
        table = table.take([row, *range(1, len(table))])
    elif kind == "owner":
        table = table.set_column(0, "id", pa.array([values[row] if place == 0 else "0123456789ab"] * len(table)))
    elif kind == "written":
        options = {"compression": "snappy", "row_group_size": data.draw(st.sampled_from([1 + row, 7, 10**6]))}
        table = table.replace_schema_metadata({"more": "x" * 1000})
    else:
        table = table.append_column(name, column)
    pq.write_table(table, path, **options)


def draw_pack(data, folder, other):
    """Do something to one file of a pack; return the ids of runs whose line was sealed again."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    index = folder / "runs.jsonl"
    path = data.draw(st.sampled_from([*paths, index, index, index, *(folder / name for name in TABLES)]), label="file")
    kind = data.draw(st.sampled_from(["contents"] * 6 + ["bytes", "bytes", "place", "away"]), label="as")
    if kind == "place":
        good = other / "good"
        shutil.copy(path, good)
        draw_place(data, path, good)
    elif kind == "away":
        path.unlink()
    elif kind == "bytes":
        path.write_bytes(draw_bytes(data, path.read_bytes(), data.draw(st.sampled_from(paths)).read_bytes()))
    elif path == index:
        return draw_index(data, path)
    elif path.suffix == ".parquet":
        draw_table(data, path)
    elif data.draw(st.booleans(), label="header"):
        path.write_bytes(draw_header(data, path.read_bytes()))
    else:
        save_file({name: np.ascontiguousarray(a) for name, a in draw_tensors(data, load_file(path)).items()}, path)
    return set()


@fuzz(60)
@given(st.data())
def test_whatever_is_in_a_pack(surroundings, packs, data):
    recorded, cache = map(emptied, surroundings)
    folder, originals = packs
    shutil.copytree(folder, recorded, dirs_exist_ok=True)
    sealed = draw_pack(data, recorded / "study", cache)
    store = PackStore(recorded)
    with within(SECONDS):
        code, seen = call("list")
        refused = {id for id in originals if isinstance(get(store, id), str)}
        assert code == bool(store.problems() or refused & set(store.ids()))
        assert_neighbours(store, {toy(1).id: originals[toy(1).id][1]}, seen)
        for error in store.problems():
            one_sentence(error)
        code, said = call("verify")
        verdicts = {id: verdict for verdict, id in re.findall(r"^(\w+|not provable) +([0-9a-f]{12})  ", said, re.M)}
        assert sorted(verdicts) == store.ids() and code == bool(store.problems() or "refuted" in verdicts.values())
        for id, verdict in verdicts.items():
            run = get(store, id)
            if isinstance(run, str):
                assert verdict == "refuted"
                event(f"{'sealed again' if id in sealed else 'not sealed'}: refused")
                continue
            assert f"  {id}  " in seen
            found = answers(run, whole=id in sealed)
            assert not is_refusal(found["check"]) or verdict == "refuted"
            if verdict == "proved":
                assert_follows(run.scalars, run.arrays)
            for question, answer in found.items() if id not in sealed else ():
                assert is_refusal(answer) or answer == originals[id][0][question] or question == "kept", question
            event(f"{'sealed again' if id in sealed else 'not sealed'}: {verdict}")
        try:
            merged = write_pack(cache / "new", "new", merge(read_pack(recorded / "study")))
            for id in set(merged.ids()) - sealed:
                assert content(merged.record(id)) == originals[id][1]
            event("written again")
        except BumplabError as error:
            one_sentence(error)
            event("not written again")
