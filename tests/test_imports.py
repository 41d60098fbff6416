"""The package is light to start, and its public names are those of its modules."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import bumplab

SOURCE = Path(bumplab.__file__).parent
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.pyi"))
HEAVY = ("torch", "scipy", "sklearn", "pandas", "matplotlib", "numba", "umap", "pyarrow", "papermill", "joblib")


def run_python(code, **environment):
    """Run code in a fresh process; return what it printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


COMMANDS = [f"bumplab.cli.{path.stem}" for path in (SOURCE / "cli").glob("[a-z]*.py")]


@pytest.mark.parametrize("names", [["bumplab"], ["bumplab", *COMMANDS]], ids=["bumplab", "its command line"])
def test_importing_it_imports_nothing_heavy(names):
    code = f"import json, sys, {', '.join(names)}; print(json.dumps(sorted(set(sys.modules) & set({HEAVY!r}))))"
    assert run_python(code) == []


def test_what_is_common_imports_nothing_heavy():
    names = [f"bumplab.common.{path.stem}" for path in (SOURCE / "common").glob("[a-z]*.py")]
    code = f"import json, sys, {', '.join(names)}; print(json.dumps(sorted(set(sys.modules) & set({HEAVY!r}))))"
    assert run_python(code) == []


def test_every_name_can_be_imported_at_once():
    code = "import json, sys, bumplab; print(json.dumps([name for name in bumplab.__all__ if name in vars(bumplab)]))"
    assert run_python(code, EAGER_IMPORT="1") == sorted(bumplab.__all__)


def test_the_console_script_is_the_command_line():
    from bumplab.cli.app import run

    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text())["project"]
    assert EntryPoint("bumplab", project["scripts"]["bumplab"], "console_scripts").load() is run


# ---------------------------------------------------------------- the stubs, which lazy_loader reads


def modules(package):
    """Return each module of a package, folders inside of it included, by its dotted name."""
    folder = SOURCE / package
    paths = [path for path in folder.rglob("*.py") if path.name[0] != "_"]
    return {".".join(path.relative_to(folder).with_suffix("").parts): path for path in paths}


def defined(path):
    """Return the public names that a module defines: functions and classes, and other values."""
    acts, values = set(), set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                acts.add(name)
            case ast.Assign(targets=targets):
                values |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                values.add(name)
    return {name for name in acts if name[0] != "_"}, {name for name in values if name[0] != "_"}


def listed(package):
    """Return the (module, name) pairs of a stub."""
    tree = ast.parse((SOURCE / package / "__init__.pyi").read_text(encoding="utf-8"))
    return [(node.module, alias.name) for node in tree.body for alias in node.names]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_stub_lists_what_the_modules_of_its_package_define(package):
    acts = {(module, name) for module, path in modules(package).items() for name in defined(path)[0]}
    values = {(module, name) for module, path in modules(package).items() for name in defined(path)[1]}
    there = listed(package)
    assert len(there) == len(set(there))
    assert acts - set(there) == set(), "public, and missing in the stub"
    assert set(there) - acts - values == set(), "in the stub, and defined nowhere"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_modules_define_one_name_and_none_has_the_name_of_a_module(package):
    names = [name for _, name in listed(package)]
    assert sorted(names) == sorted(set(names))
    assert set(names) & {module.split(".")[0] for module in modules(package)} == set()


def test_every_name_of_the_packages_resolves():
    for package in PACKAGES:
        module = getattr(bumplab, package)
        for _, name in listed(package):
            assert getattr(module, name) is not None, f"{package}.{name}"
