"""The rules for code in chapters that no linter knows: ``python -m book._tools.lint_notebooks``.

A chapter's code is read by students, so it says one thing a line: no comprehension inside another, no lambda but as a
key, short cells, names that say what a thing is, and in all cells one thing for a name. A cell to fill shows the
answer, a hint and the check; what computes the truth stands in a folded cell before it.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from book._tools.contents import find_chapters

ROOT = Path(__file__).resolve().parents[2]
LONGEST_CELL = 16  # lines
LONGEST_LINE = 88  # columns
#: Names that say how a thing came about, not what it is.
BANNED = {"asked", "found", "said", "known", "shown", "drawn", "told", "wanted"}
#: What every cell with a figure, and every exercise, may bind anew.
PASSING = {"figure", "axes", "axis", "rows", "answer", "_"}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (ast.FunctionDef, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)


def find_bindings(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a cell binds for the cells after it; those of loops and of ``with`` are passing."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (name for target in targets for name in ast.walk(target)):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    yield name.id
        elif not isinstance(node, _SCOPES):
            yield from find_bindings(node)


def _nested(node: ast.AST) -> bool:
    inner = (child for child in ast.walk(node) if child is not node)
    return isinstance(node, _COMPREHENSIONS) and any(isinstance(child, _COMPREHENSIONS) for child in inner)


def _check_tree(tree: ast.AST) -> Iterator[str]:
    """Yield what the syntax of a cell shows: nested comprehensions, lambdas that are no keys, banned names."""
    keys = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "key"}
    for node in ast.walk(tree):
        if _nested(node):
            yield f"line {node.lineno}: a comprehension inside another"
        elif isinstance(node, ast.Lambda) and id(node) not in keys:
            yield f"line {node.lineno}: a lambda that is no key"
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in BANNED:
            yield f"line {node.lineno}: a name that does not say what it holds, {node.id}"
        elif isinstance(node, ast.arg) and node.arg in BANNED:
            yield f"line {node.lineno}: a name that does not say what it holds, {node.arg}"


def _check_answer(tree: ast.Module) -> Iterator[str]:
    """Yield what a cell to fill gives away: what is neither a text nor has to do with the answer, and numbers."""
    if not any(ast.unparse(statement) == "answer = None" for statement in tree.body):
        return
    derived = {"answer"}
    for statement in tree.body:
        uses = derived & {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        if isinstance(statement, ast.Assign) and (uses or _is_text(statement.value)):
            derived |= set(find_bindings(ast.Module([statement], []))) if uses else set()
        elif not (isinstance(statement, ast.Expr) and uses):
            yield f"line {statement.lineno}: code that finds the truth stands beside the answer, not in a folded cell"
        elif isinstance(call := statement.value, ast.Call) and len(call.args) > 1 and _is_literal(call.args[1]):
            yield f"line {statement.lineno}: a truth that can be read, {ast.unparse(call.args[1])}"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_literal(node: ast.AST) -> bool:
    return not any(isinstance(child, ast.Name) for child in ast.walk(node))


def _check_lines(lines: list[str]) -> Iterator[str]:
    if len(lines) > LONGEST_CELL:
        yield f"{len(lines)} lines, at most {LONGEST_CELL}"
    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            yield f"line {number}: {len(line)} columns, at most {LONGEST_LINE}"


def find_problems(path: Path) -> list[str]:
    """Return what breaks the rules in a chapter, one sentence each; its set-up cell is the same in all of them."""
    problems: list[str] = []
    owner: dict[str, str] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code" or "setup" in cell["metadata"].get("tags", ()):
            continue
        source, where = "".join(cell["source"]), f"{path.name}, cell {cell['id']}"
        tree = ast.parse(source)
        broken = (*_check_lines(source.splitlines()), *_check_tree(tree), *_check_answer(tree))
        problems += [f"{where}: {text}" for text in broken]
        for name in sorted(set(find_bindings(tree)) - PASSING):
            if name in owner:
                problems.append(f"{where}: {name} is bound in cell {owner[name]} already")
            owner.setdefault(name, cell["id"])
    return problems


def main() -> int:
    """Print every problem of every chapter; return 1 if there is one."""
    problems = [problem for path in find_chapters(ROOT) for problem in find_problems(path)]
    print("\n".join(problems) or "Every chapter keeps the rules.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
