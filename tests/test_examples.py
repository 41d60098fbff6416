"""Every example in a docstring runs and gives what it says; what has none is listed, and the list only shrinks.

``python tests/test_examples.py`` takes out of the list what has an example now.
"""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import bumplab

SOURCE = Path(bumplab.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py") and path.parent.name != "cli"  # commands have their help
)
LIST = Path(__file__).with_name("without_examples.txt")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


def without_examples():
    """Return the dotted names of public functions and classes whose docstring shows no use of them."""
    return sorted(
        f"{name}.{node.name}"
        for name in MODULES
        if "._" not in name
        for node in ast.parse((SOURCE.parent / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"
        if ">>>" not in (ast.get_docstring(node) or "")
    )


def test_what_has_no_example_is_listed_and_nothing_else():
    assert without_examples() == LIST.read_text(encoding="utf-8").split()


if __name__ == "__main__":
    held = set(LIST.read_text(encoding="utf-8").split()) if LIST.exists() else set(without_examples())
    LIST.write_text("".join(f"{name}\n" for name in without_examples() if name in held), encoding="utf-8")
