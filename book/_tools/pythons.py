"""Check the code on every Python from 3.11 on that is here, where torch need not be: ``make pythons``.

For each one a virtual environment gets what the package needs but torch, at the versions of ``constraints.txt``. Every
file is compiled with warnings as errors, every module that needs no torch is imported, and tests that need none run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
TESTS = ["tests/common", "tests/percolation", "tests/chapters", "tests/cli/test_app.py"]
_IMPORT = """
import importlib, pkgutil, bumplab
names = [module.name for module in pkgutil.walk_packages(bumplab.__path__, "bumplab.") if "__main__" not in module.name]
done, without = 0, 0
for name in names:
    try:
        importlib.import_module(name)
        done += 1
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        without += 1
print(f"{done} modules imported, {without} need torch")
raise SystemExit(0 if done >= 60 else "Too few modules could be imported.")
"""


def find_pythons() -> dict[str, str]:
    """Return version and path of the Pythons that are here: on the path, or among those of pyenv."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    folders += sorted(Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob("versions/*/bin"))
    found: dict[str, str] = {}
    for version in VERSIONS:
        for folder in reversed(folders):
            path = folder / f"python{version}"
            if path.is_file() and version not in found and _answers(path, version):
                found[version] = str(path)
    return found


def _answers(path: Path, version: str) -> bool:
    """Say whether a Python is what it is called, and can make virtual environments."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == version


def requirements(text: str) -> list[str]:
    """Return the lines of ``requirements.txt`` but torch.

    Examples
    --------
    >>> requirements("# Needs.\\ntorch>=2.4\\nnumpy>=1.26\\n")
    ['numpy>=1.26']
    """
    return [line for line in text.splitlines() if re.match(r"\w", line) and not line.startswith("torch")]


def check(python: str, folder: Path) -> None:
    """Check the code on one Python; raises CalledProcessError."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CI")}
    environment |= {
        "BUMPLAB_STORE": str(folder / "store"),
        "PIP_COMPILE": "no",  # only to be quicker
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("src", "", "tests")),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "TQDM_DISABLE": "1",
    }
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
    inside = folder / "venv" / "bin" / "python"

    def run(*arguments: str) -> None:
        subprocess.run([inside, *arguments], check=True, cwd=ROOT, env=environment)

    tools = ["beautifulsoup4", "hypothesis", "nbformat", "nbclient", "pytest", "pyyaml"]
    asked = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    run("-m", "pip", "install", "--quiet", "-c", str(ROOT / "constraints.txt"), *asked, *tools)
    run("-W", "error", "-m", "compileall", "-q", "src", "tests", "book/_tools", "benchmarks")
    run("-c", _IMPORT)
    plugins = ["-p", "without_torch", "-p", "no:cacheprovider", "--noconftest"]
    run("-m", "pytest", "-q", *plugins, *TESTS)


def main() -> int:
    """Check every Python; return 1 where one fails, or there is none."""
    failed, pythons = [], find_pythons()
    for version, python in pythons.items():
        print(f"Python {version}:", flush=True)
        folder = Path(tempfile.mkdtemp())
        try:
            check(python, folder)
        except subprocess.CalledProcessError:
            failed.append(version)
        finally:
            shutil.rmtree(folder)
    missing = [version for version in VERSIONS if version not in pythons]
    print(f"Not here: Python {', '.join(missing)}." if missing else "Every Python was here.")
    if failed:
        print(f"Failed: Python {', '.join(failed)}; why is said above.", file=sys.stderr)
    return int(bool(failed) or not pythons)


if __name__ == "__main__":
    raise SystemExit(main())
