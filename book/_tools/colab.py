"""Run chapters as on Colab: in an empty folder, beside the versions that Colab brings, the set-up cell first.

Usage: ``make colab``, or ``python -m book._tools.colab [--python NAME] [--torch VERSION] [CHAPTER ...]`` with any
Python from 3.11 on. A virtual environment, made anew each time, gets what ``tests/colab-constraints.txt`` names; only
torch is the one of ``constraints.txt`` unless said otherwise, since Colab's build for GPUs has gigabytes. Then the
set-up cell runs, then the chapters, two at a time, and a table says which versions were asked for, which were there,
and what the set-up cell added. It may change nothing that was there before.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-colab"
COLAB = ROOT / "tests" / "colab-constraints.txt"
CHAPTERS = ["01-worlds", "02-training"]
#: What of the runtime itself the table shows, beside what ``requirements.txt`` names.
RUNTIME = ["Python", "pip", "ipython", "ipykernel", "traitlets", "tornado"]
_PIN = re.compile(r"^([\w.-]+)==(\S+)$", re.MULTILINE)


def normalize(name: str) -> str:
    """Return the name by which an index knows a package.

    Examples
    --------
    >>> normalize("Typing_Extensions")
    'typing-extensions'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(text: str) -> dict[str, str]:
    """Return the exact version of each package in a file of constraints.

    Examples
    --------
    >>> read_pins("# Versions.\\nPyYAML==6.0.3\\n")
    {'pyyaml': '6.0.3'}
    """
    return {normalize(name): version for name, version in _PIN.findall(text)}


def read_asked(text: str) -> dict[str, str]:
    """Return what Colab brings: packages, and its Python, which the first line of the file names."""
    python = re.search(r"Python (\d+\.\d+\.\d+)", text)
    if python is None:
        raise ValueError("The first line of the file says which Python Colab has.")
    return {"python": python[1]} | read_pins(text)


def is_same(asked: str, there: str) -> bool:
    """Return whether two versions are one, but for the build: ``2.11.0`` and ``2.11.0+cu128``.

    Examples
    --------
    >>> is_same("2.11.0", "2.11.0+cu128"), is_same("2.11.0", "2.11.1")
    (True, False)
    """
    return asked.partition("+")[0] == there.partition("+")[0]


def compare(asked: dict[str, str], there: dict[str, str], shown: list[str]) -> list[str]:
    """Return a table: the packages named, and all others that differ.

    Examples
    --------
    >>> print(*compare({"numpy": "2.1.3", "tqdm": "1.0"}, {"numpy": "2.4.6", "tqdm": "1.0"}, ["numpy"]), sep="\\n")
    package          Colab          here
    numpy            2.1.3          2.4.6          differs
    1 more as on Colab
    """
    rows, same = [f"{'package':16} {'Colab':14} here"], 0
    named = list(map(normalize, shown))
    for name in sorted(asked, key=lambda name: (named.index(name) if name in named else len(named), name)):
        got = there.get(name, "none")
        differs = not is_same(asked[name], got)
        if differs or name in named:
            rows.append(f"{name:16} {asked[name]:14} {got:14} {'differs' if differs else ''}".rstrip())
        else:
            same += 1
    return [*rows, f"{same} more as on Colab"]


def merge_constraints(ours: str, colab: dict[str, str]) -> str:
    """Return constraints under which Colab's versions are Colab's, and those of all other packages ours.

    setuptools is free: each torch asks for its own.
    """
    pins = read_pins(ours) | colab
    pins.pop("setuptools", None)
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


class Runtime:
    """A virtual environment with what Colab brings, and a folder in which nothing lies.

    Parameters
    ----------
    python : str
        The Python to make it from.
    torch : str
        Its version.
    folder : Path
        Where chapters run.
    index : str
        Where else pip may look for torch; empty for nowhere.
    """

    def __init__(self, python: str, torch: str, folder: Path, index: str = "") -> None:
        self.folder = folder
        pins = read_asked(COLAB.read_text(encoding="utf-8"))
        self.asked = pins.copy()
        del pins["python"]
        pins["torch"] = torch
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([python, "-m", "venv", FOLDER], check=True)
        self.python = FOLDER / ("Scripts" if os.name == "nt" else "bin") / "python"
        constraints = folder / "constraints.txt"
        constraints.write_text(merge_constraints((ROOT / "constraints.txt").read_text(encoding="utf-8"), pins))
        outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.environment = outside | {
            "BUMPLAB_SOURCE": os.environ.get("BUMPLAB_SOURCE", str(ROOT)),
            "BUMPLAB_STORE": str(folder / "store"),
            "PIP_COMPILE": "no",  # only to be quicker
            "PIP_CONSTRAINT": str(constraints),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "OMP_NUM_THREADS": "1",  # beside other work a second thread costs a factor, see the Makefile
            "TQDM_DISABLE": "1",
        }
        self.run("-m", "pip", "install", "--quiet", f"pip=={pins.pop('pip')}")
        if index:
            self.environment["PIP_EXTRA_INDEX_URL"] = index
        self.run("-m", "pip", "install", "--quiet", *(f"{name}=={version}" for name, version in pins.items()))

    def run(self, *arguments: str) -> str:
        """Run the environment's Python and return what it prints; end with all of it where that fails."""
        options = {"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True}
        done = subprocess.run([self.python, *arguments], **options)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)[:200]} failed:\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
        return done.stdout

    def versions(self) -> dict[str, str]:
        """Return what is installed, and which Python."""
        listed = json.loads(self.run("-m", "pip", "list", "--format=json"))
        python = self.run("-c", "import platform; print(platform.python_version())").strip()
        return {"python": python} | {normalize(item["name"]): item["version"] for item in listed}

    def execute(self, chapter: str, only: tuple[str, ...] = ()) -> None:
        """Run a copy of a chapter in the folder; where tags are given, only its cells that have one of them."""
        notebook = json.loads((ROOT / "book" / f"{chapter}.ipynb").read_text(encoding="utf-8"))
        if only:
            cells = notebook["cells"]
            notebook["cells"] = [cell for cell in cells if set(only) & set(cell["metadata"].get("tags", ()))]
        copy = self.folder / f"{chapter}{'-'.join(only)}.ipynb"
        copy.write_text(json.dumps(notebook), encoding="utf-8")
        self.run("-m", "jupyter", "execute", "--timeout=900", str(copy))


def main(arguments: list[str]) -> int:
    """Make the environment, run the chapters, print the table."""
    pinned = read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))["torch"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the Python to make the environment from")
    parser.add_argument("--torch", default=pinned, help=f"its version, {pinned} unless given")
    parser.add_argument("--index", default="", help="where else pip may look for torch")
    parser.add_argument("chapters", nargs="*", default=CHAPTERS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(options.python, options.torch, Path(folder), options.index)
        before = runtime.versions()
        named = re.findall(r"^[\w-]+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
        print(*compare(runtime.asked, before, RUNTIME + named), sep="\n", flush=True)
        runtime.execute(options.chapters[0], ("setup", "parameters", "validation"))
        print("The set-up cell ran, and the parameters were found.", flush=True)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(runtime.execute, options.chapters))
        print(f"{' and '.join(options.chapters)} ran.", flush=True)
        after = runtime.versions()
    changed = [f"{name} {before[name]} -> {after.get(name)}" for name in before if after.get(name) != before[name]]
    print("The set-up cell added", ", ".join(sorted(set(after) - set(before))) + ".")
    if changed:
        print("It changed what was there:", ", ".join(changed), file=sys.stderr)
    return int(bool(changed) or "bumplab" not in after)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
