"""The gates themselves: what is executed again after a change, what a failed chapter says, what CI may leave out."""

import ast
import json
from pathlib import Path

import long_first
import nbformat
import pytest
import yaml

from book._tools import contents, execute, outputs

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "constraints.txt": "numpy==2.0\n",
    "src/small/__init__.py": "one = 1\n",
    "book/runs/a/run.json": "{}\n",
    "book/results/a.json": "{}\n",
    "_config.yml": "execute: {cache: _build/.jupyter_cache, timeout: 60}\n",
    "_toc.yml": "root: book/intro\nparts: [{chapters: [{file: book/01-one}, {file: book/02-two},"
    " {file: book/03-scoreboard}]}]\n",
}

pytest_plugins = ["pytester"]


@pytest.fixture
def book(tmp_path):
    """Return the folder of a book of three small chapters, the last one a scoreboard."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("01-one", "02-two", "03-scoreboard"):
        write(tmp_path, name)
    return tmp_path


def write(book, name, prose="Prose.", code=None, outputs=()):
    code = nbformat.v4.new_code_cell(code or f"print({name!r})", outputs=list(outputs))
    cells = [nbformat.v4.new_markdown_cell(prose), code]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), book / "book" / f"{name}.ipynb")


def changed(book, act):
    """Return which chapters must be executed again after an act."""
    before = execute.chapter_keys(book)
    act()
    return [path.stem for path, key in execute.chapter_keys(book).items() if key != before[path]]


# ---------------------------------------------------------------- what is executed again


def test_other_prose_executes_nothing_again(book):
    assert changed(book, lambda: write(book, "01-one", prose="One other word.")) == []


def test_other_code_executes_the_chapter_and_the_scoreboard_again(book):
    assert changed(book, lambda: write(book, "02-two", code="print(2)")) == ["02-two", "03-scoreboard"]


def test_other_outputs_execute_the_scoreboard_again(book):
    claim = nbformat.v4.new_output("display_data", {"application/vnd.bumplab.claim+json": {"value": 1}})
    assert changed(book, lambda: write(book, "01-one", outputs=[claim])) == ["03-scoreboard"]


@pytest.mark.parametrize("name", ["constraints.txt", "src/small/__init__.py", "book/runs/a/run.json"])
def test_another_package_executes_everything_again(book, name):
    everything = ["01-one", "02-two", "03-scoreboard"]
    assert changed(book, lambda: (book / name).write_text("two = 2\n")) == everything
    assert changed(book, (book / name).unlink) == everything


@pytest.fixture(autouse=True)
def own_instructions(monkeypatch):
    """Take the processor's own instructions, whichever the tests around these take."""
    for name in execute.INSTRUCTIONS:
        monkeypatch.delenv(name, raising=False)


def test_other_instructions_of_the_processor_execute_everything_again(book, monkeypatch):
    assert len(changed(book, lambda: monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem"))) == 3


def test_compiled_files_and_a_page_of_prose_execute_nothing_again(book):
    (book / "src/small/__pycache__").mkdir()
    assert changed(book, lambda: (book / "src/small/__pycache__/a.pyc").write_bytes(b"1")) == []
    assert changed(book, lambda: (book / "book/intro.md").write_text("# Book\n")) == []


def test_the_book_has_one_scoreboard():
    assert len([path for path in contents.find_chapters(ROOT) if path.stem.endswith("scoreboard")]) == 1


def test_only_the_scoreboard_collects_what_other_chapters_printed():
    for path in contents.find_chapters(ROOT):
        source = "".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
        assert ("chapters.collect_claims(" in source) == path.stem.endswith("scoreboard"), path.stem


@pytest.mark.parametrize("store", ["store", "store-sse41"])
def test_runs_trained_by_another_package_are_dropped(book, store):
    kept = book / "_build" / store / "run.json"
    for text in ("one = 1\n", "one = 1\n", "one = 2\n"):
        (book / "src/small/__init__.py").write_text(text)
        there = kept.exists()
        assert execute.main(["--fresh"], book) == 0
        assert kept.exists() == (there and text == "one = 1\n")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text("{}")


# ---------------------------------------------------------------- execution


def test_outputs_are_written_without_a_word_of_the_kernel(book, capfd):
    path = book / "book/01-one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1] |= {"source": "seed: int = 0\nprint(seed)", "metadata": {"tags": ["parameters"]}}
    nbformat.write(notebook, path)
    outputs.execute(path)
    assert nbformat.read(path, as_version=4).cells[1].outputs[0].text == "0\n"
    assert capfd.readouterr() == ("", "")


def test_a_chapter_that_fails_is_named_with_its_error_and_the_others_are_kept(book, capfd):
    write(book, "01-one", code="raise ValueError('No bump here.')")
    assert execute.main([], book) == 1
    said = capfd.readouterr()
    assert "01-one failed" in said.err and "ValueError: No bump here." in said.err
    assert "3 of 3 chapters" in said.out
    write(book, "01-one", prose="Mended.")
    assert execute.main(["--jobs", "1"], book) == 0
    said = capfd.readouterr()
    assert "2 of 3 chapters" in said.out  # the scoreboard, too: what it reads has changed
    assert said.err == ""  # no kernel warns of who else could read along
    write(book, "01-one", prose="Other words.")
    assert execute.main([], book) == 0
    assert "0 of 3 chapters" in capfd.readouterr().out


def test_one_execution_of_each_chapter_is_kept_under_the_hash_that_jupyter_book_looks_for(book):
    path = book / "book/01-one.ipynb"
    for code in ("print(1)", "print(2)"):
        write(book, "01-one", code=code)
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text=code)]
        execute.save(book, path, notebook, 3.0, "key")
    cache = execute.get_cache(book / "_build/.jupyter_cache")
    assert len(cache.list_cache_records()) == 1
    _, merged = cache.merge_match_into_notebook(nbformat.read(path, as_version=4))
    assert merged.cells[0].source == "Prose." and merged.cells[1].outputs[0].text == "print(2)"
    assert execute.read_records(book)[path].data == {"execution_seconds": 3.0, "key": "key"}


def test_the_longest_chapter_starts_first_and_before_it_those_never_timed(book, capsys):
    for name, seconds in (("01-one", 5.0), ("02-two", 9.0)):
        path = book / f"book/{name}.ipynb"
        execute.save(book, path, nbformat.read(path, as_version=4), seconds, "key")
    assert execute.main(["--list"], book) == 0
    assert capsys.readouterr().out.split() == [f"book/{n}.ipynb" for n in ("03-scoreboard", "02-two", "01-one")]


@pytest.mark.parametrize("name", ["01-one copy", "01-one (1)", "01-one.part", "01-one-out"])
def test_a_copy_beside_the_chapters_is_ignored_with_one_sentence(book, capsys, name):
    def act():
        write(book, name, code="broken(")

    assert changed(book, act) == []
    assert execute.main(["--fresh"], book) == 0
    assert capsys.readouterr().err == f"book/{name}.ipynb is ignored: _toc.yml does not name it.\n"
    assert execute.main(["--list"], book) == 0
    assert name not in capsys.readouterr().out


def test_jupyter_book_renders_from_the_cache_and_only_what_the_contents_name():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["execute"]["execute_notebooks"] == "cache" and config["only_build_toc_files"]


# ---------------------------------------------------------------- nbval and the cache


NBVAL = ("-p", "tests.nbval_cache", "--nbval", "--nbval-current-env")


@pytest.mark.parametrize("capability", ["", "default"])
@pytest.mark.parametrize("code, kept", [("print(6 * 7)", True), ("print(41)", False), ("1 / 0", False)])
def test_what_nbval_found_right_is_not_executed_again(book, pytester, monkeypatch, code, kept, capability):
    monkeypatch.setattr(execute, "ROOT", book)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", capability)
    write(book, "01-one", code=code, outputs=[nbformat.v4.new_output("stream", text="42\n")])
    path = book / "book/01-one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].execution_count = 1
    nbformat.write(notebook, path)
    pytester.inline_run(*NBVAL, f"--rootdir={book}", path)
    records = execute.read_records(book)
    assert (path in records) == kept
    if kept:
        monkeypatch.delenv("ATEN_CPU_CAPABILITY")  # make book has none
        assert records[path].data["key"] == execute.chapter_keys(book)[path]
        assert execute.get_cache(book / "_build/.jupyter_cache").match_cache_notebook(notebook)


@pytest.mark.parametrize("capability, rendered", [("", "executed"), ("default", "committed")])
def test_other_instructions_render_what_is_committed(book, pytester, monkeypatch, capability, rendered):
    monkeypatch.setattr(execute, "ROOT", book)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", capability)
    code = "display({'text/plain': '42'}, raw=True, metadata={'who': 'executed'})"  # metadata are not compared
    kept = nbformat.v4.new_output("display_data", {"text/plain": "42"}, metadata={"who": "committed"})
    write(book, "01-one", code=code, outputs=[kept])
    path = book / "book/01-one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].execution_count = 1
    nbformat.write(notebook, path)
    pytester.inline_run(*NBVAL, f"--rootdir={book}", path)
    cache = execute.get_cache(book / "_build/.jupyter_cache")
    record = cache.match_cache_notebook(notebook)
    (output,) = cache.get_cache_bundle(record.pk).nb.cells[-1].outputs
    assert output.metadata == {"who": rendered}


# ---------------------------------------------------------------- nothing is left out in CI


@pytest.mark.parametrize("ci", [True, False])
@pytest.mark.parametrize(
    "code", ["def test_one():\n    pytest.skip('no browser')", "pytest.importorskip('no_browser')"]
)
def test_a_skipped_test_or_file_fails_in_ci(pytester, monkeypatch, code, ci):
    monkeypatch.setenv("CI", "true") if ci else monkeypatch.delenv("CI", raising=False)
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text())
    pytester.makepyfile(f"import pytest\n{code}\n")
    reports = pytester.inline_run().getreports()
    assert [report.outcome for report in reports if not report.passed] == ["failed" if ci else "skipped"]


def test_what_ci_may_leave_out_is_named(pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text())
    name = "test_a_member_equals_the_run_trained_alone_on_a_gpu"
    pytester.makepyfile(f"import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef {name}(x):\n    pytest.skip()\n")
    pytester.inline_run().assertoutcome(skipped=2)


def test_every_test_that_the_gates_name_exists(pytestconfig):
    tests = [node.name for path in (ROOT / "tests").rglob("test_*.py") for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.FunctionDef)]  # fmt: skip
    conftest = next(plugin for plugin in pytestconfig.pluginmanager.get_plugins() if hasattr(plugin, "MAY_SKIP"))
    assert {*conftest.MAY_SKIP, *long_first.LONG} <= set(tests)


def test_long_tests_go_first_and_each_to_a_process_that_is_free(pytester):
    pytester.makeconftest((ROOT / "tests/long_first.py").read_text())
    long = "".join(f"@pytest.mark.parametrize('x', [1, 2])\ndef {name}(x): pass\n" for name in long_first.LONG)
    pytester.makepyfile(test_a="def test_one(): pass\n", test_b=f"import pytest\n{long}def test_two(): pass\n")
    done = pytester.runpytest_subprocess("-n2", "--dist", "loadscope", "--no-loadscope-reorder", "-v")
    done.assert_outcomes(passed=2 + 2 * len(long_first.LONG))
    order = {"[gw0]": [], "[gw1]": []}
    for process, *_, test in (line.split() for line in done.outlines if "PASSED" in line):
        order[process].append(long_first.rank(test))
    assert all(ranks and ranks == sorted(ranks) and ranks[0] == 0 for ranks in order.values())
