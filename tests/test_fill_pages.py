"""What a reader without this package gets: one table of all runs, its columns explained, and a card a network."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas
import pytest
from pyarrow import parquet

from book._tools.fill_pages import BOOK, PAGES, RUNS, computed_texts, fill
from book._tools.model_cards import CARDS, runs_of
from bumplab.chapters import run_table
from bumplab.chapters.run_table import RUN_COLUMNS, tabulate_runs
from bumplab.common.errors import BumplabError
from bumplab.runs.pack_store import PackStore
from bumplab.runs.store import recorded_folder
from bumplab.training.settings import preset

TABLE = pandas.read_parquet(RUNS)
_CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_file_is_what_the_recorded_runs_say():
    assert parquet.read_table(RUNS).equals(tabulate_runs(), check_metadata=True), "run book._tools.fill_pages"
    assert RUNS.stat().st_size < 1e6


def test_it_has_a_row_for_every_run_and_their_numbers():
    store = PackStore(recorded_folder())
    packs = store.packs()
    lines = {id: (pack.folder.name, line) for pack in packs for id, line in pack.lines.items()}
    assert list(TABLE["id"]) == sorted(lines, key=lambda id: (lines[id][0], id))
    for row in TABLE.to_dict("records"):
        study, line = lines[row["id"]]
        assert (row["study"], row["seed"]) == (study, line["settings"]["seed"])
        assert row["provenance.date"] == line["provenance"]["date"]
        assert row["weights"] == ("weights" in line["weights"])
        if row["family"] != "bumps":
            assert json.loads(row["toy.numbers"]) == line["scalars"]
            settings = store.get(row["id"]).settings
            assert type(settings)(seed=row["seed"], **json.loads(row["toy.settings"])) == settings
            assert np.isnan(row["seen.joint"])
            continue
        assert row["seen.joint"] == line["scalars"]["seen"]["joint"]
        assert [row["world.sigma.x"], row["world.sigma.y"]] == line["settings"]["world"]["sigma"]
        unseen = line["scalars"].get("unseen")
        assert row["unseen.joint"] == unseen["joint"] if unseen else np.isnan(row["unseen.joint"])


def test_the_loss_is_that_of_the_last_tenth():
    id = TABLE["id"].iloc[0]
    _, losses = PackStore(recorded_folder()).get(id).curve("loss")
    assert len(losses) == 200 and TABLE["loss"].iloc[0] == pytest.approx(sum(losses[-20:]) / 20, abs=1e-6)


def test_every_column_is_explained_and_none_names_a_place_on_a_disk():
    schema = parquet.read_schema(RUNS)
    assert schema.names == list(RUN_COLUMNS)
    for field in schema:
        assert len(field.metadata[b"meaning"]) >= 8 and field.metadata[b"unit"].decode() == RUN_COLUMNS[field.name][1]
    assert set(schema.metadata) == {b"title", b"version", b"citation", b"license", b"columns"}
    assert list(json.loads(schema.metadata[b"columns"])) == schema.names
    texts = TABLE.select_dtypes(exclude="number").astype(str)
    assert not texts.apply(lambda column: column.str.contains(r"/|\\", regex=True)).any().any()


def test_a_setting_that_is_not_explained_is_named(monkeypatch):
    rows = [{"id": "0", "world.colour": 1}]
    monkeypatch.setattr(run_table, "_rows", lambda: iter(rows))
    with pytest.raises(BumplabError, match="world.colour"):
        tabulate_runs()


def test_the_lines_on_the_page_run_where_the_package_is_not(tmp_path):
    alone, described, with_package = _CODE.findall(PAGES[0].read_text(encoding="utf-8"))
    barred = "import sys\nsys.modules['bumplab'] = None\n"
    done = subprocess.run(
        [sys.executable, "-I", "-c", barred + alone + described],
        cwd=BOOK.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "laptop" in done.stdout and "bumplab authors" in done.stdout
    namespace = {"runs": TABLE}
    exec(with_package, namespace)
    assert len(namespace["steps"]) == len(namespace["loss"]) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_computed_on_a_page_is_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    assert fill(text, computed_texts(TABLE)) == text, "run book._tools.fill_pages"
    assert text.count("<!-- computed: ") == text.count("<!-- end -->")


def test_a_page_cannot_ask_for_what_nothing_computes():
    with pytest.raises(KeyError):
        fill("<!-- computed: moon -->\n<!-- end -->", {"sun": ""})
    assert fill("a\n<!-- computed: b -->\nold\n<!-- end -->\n", {"b": "new"}) == (
        "a\n<!-- computed: b -->\nnew\n<!-- end -->\n"
    )


@pytest.mark.parametrize("name", CARDS)
def test_a_card_shows_the_runs_of_its_preset_and_no_others(name):
    mine, store = runs_of(TABLE, name), PackStore(recorded_folder())
    training = {"snapshots": (), "evaluate_every": 0, "evaluate_on": 1}
    for id, periodic, seed in mine[["id", "world.periodic", "seed"]].itertuples(index=False):
        run = store.get(id)
        same = preset(name, world={"periodic": periodic}, seed=seed, training=training)
        assert run.settings.replace(training=training) == same
    assert not mine.duplicated(["world.periodic", "seed"]).any()


@pytest.mark.parametrize("name", CARDS)
def test_the_lines_of_a_card_load_a_recorded_network(name, store):
    card = PAGES[1].read_text(encoding="utf-8").split(f"<!-- computed: {name} -->")[1]
    code = _CODE.findall(card)[0]
    if runs_of(TABLE, name)["weights"].any():
        namespace = {}
        exec(code, namespace)
        assert f"{namespace['model'].size():,} weights" in card and not list(store.iterdir())
    else:
        assert "no run of it is recorded yet" in card.split("<!-- end -->")[0]
