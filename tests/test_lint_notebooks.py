"""The rules for code in chapters see what breaks them, and nothing else."""

import json

import pytest

from book._tools.lint_notebooks import find_problems

BESIDE = "code that finds the truth stands beside the answer, not in a folded cell"


def chapter(folder, *sources):
    cells = [
        {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
        for number, source in enumerate(sources)
    ]
    path = folder / "01-small.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    return path


@pytest.mark.parametrize(
    "sources, problem",
    [
        (["a = [[x for x in y] for y in z]"], "line 1: a comprehension inside another"),
        (["a = sum(max(x for x in y) for y in z)"], "line 1: a comprehension inside another"),
        (["f = lambda x: x"], "line 1: a lambda that is no key"),
        (["sorted(a, lambda x: x)"], "line 1: a lambda that is no key"),
        (["found = 1"], "line 1: a name that does not say what it holds, found"),
        (["def f(asked):\n    return asked"], "line 1: a name that does not say what it holds, asked"),
        (["for said in a:\n    pass"], "line 1: a name that does not say what it holds, said"),
        (["\n".join(["a"] * 17)], "17 lines, at most 16"),
        (["a = 1", "a" * 89], "line 1: 89 columns, at most 88"),
        (["a = 1", "a, b = 2, 3"], "a is bound in cell cell-0 already"),
        (["a = 1", "if b:\n    a = 2"], "a is bound in cell cell-0 already"),
        (["def a():\n    pass", "a = 2"], "a is bound in cell cell-0 already"),
        (["answer = None\na = b.mean()\ncheck(answer, a)"], f"line 2: {BESIDE}"),
        (["answer = None\n\n\ndef a():\n    pass"], f"line 4: {BESIDE}"),
        (["answer = None\nfor a in b:\n    check(answer, a)"], f"line 2: {BESIDE}"),
        (["answer = None\ncheck(answer, 0.5, tolerance=c)"], "line 2: a truth that can be read, 0.5"),
        (["answer = None\ncheck(answer, [1, 2])"], "line 2: a truth that can be read, [1, 2]"),
    ],
)
def test_what_breaks_a_rule_is_named(tmp_path, sources, problem):
    (sentence,) = find_problems(chapter(tmp_path, *sources))
    assert sentence == f"01-small.ipynb, cell cell-{len(sources) - 1}: {problem}"


@pytest.mark.parametrize(
    "sources",
    [
        ["a = sorted(b, key=lambda x: x[0])", "c = {x: len(x) for x in a}"],
        ["figure, axes = draw()", "figure, axes = draw()"],
        ["for x in a:\n    b(x)", "for x in c:\n    b(x)"],
        ["def f():\n    a = 1", "def g():\n    a = 1"],
        ["a = 1\na += 1\na = 2"],
        ["print(a.found, found)"],
        ["answer = None  # a share\nhint = 'Guess.'\ncheck(answer, truth, tolerance=0.1, hint=hint)"],
        ["answer = None\nregion = None if answer is None else make(answer)\ncheck(region, truth)"],
    ],
)
def test_other_code_is_left_alone(tmp_path, sources):
    assert find_problems(chapter(tmp_path, *sources)) == []
