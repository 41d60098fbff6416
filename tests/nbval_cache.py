"""A pytest plugin: a chapter that nbval has executed and compared need not be executed again by ``make book``.

When every cell of a chapter has passed, what the cells printed goes into the cache that Jupyter Book renders
from, under the key of the chapter. Nothing goes there when a cell failed or was left out. Other instructions than the
processor's own print other last digits, which no page shall show: what is committed, and was equal, goes there then.
"""

import os
from copy import deepcopy

import nbformat
import pytest
from nbval.plugin import IPyNbCell

from book._tools import execute

KEYS = pytest.StashKey[dict]()
EXECUTED = pytest.StashKey[list]()


def pytest_collection_finish(session):
    """Take the keys before anything is executed: a file changed after that makes another key."""
    if any(isinstance(item, IPyNbCell) for item in session.items):
        with pytest.MonkeyPatch.context() as patch:
            for name in execute.INSTRUCTIONS:  # make book has the processor's own
                patch.delenv(name, raising=False)
            session.stash[KEYS] = execute.chapter_keys(execute.ROOT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, IPyNbCell) and report.when == "call" and report.passed:
        chapter, keys = item.parent, item.session.stash[KEYS]
        executed = chapter.stash.setdefault(EXECUTED, [])
        executed.append((item.test_outputs, call.duration))
        if chapter.path in keys and len(executed) == sum(cell.cell_type == "code" for cell in chapter.nb.cells):
            seconds = sum(duration for _, duration in executed)
            notebook = chapter.nb
            if not any(map(os.environ.get, execute.INSTRUCTIONS)):
                notebook = with_outputs(notebook, [outputs for outputs, _ in executed])
            execute.save(execute.ROOT, chapter.path, notebook, seconds, keys[chapter.path])
    return report


def with_outputs(notebook, outputs):
    """Return a notebook with these outputs of its code cells, numbered as a fresh kernel numbers them."""
    notebook = deepcopy(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, (cell, of_cell) in enumerate(zip(cells, outputs, strict=True), start=1):
        cell.execution_count = number
        cell.outputs = [nbformat.from_dict(output) for output in of_cell]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    return notebook
