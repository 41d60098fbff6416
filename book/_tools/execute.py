"""Execute the chapters that changed, some at a time, into the cache that Jupyter Book renders from.

A chapter is executed again when its *key* changes, a digest of all that its outputs depend on: its own code,
the package, the recorded runs and results, the exact versions. Prose is no part of it. The scoreboard reads
what the other chapters have printed, so its key holds their code and their outputs, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import chain
from multiprocessing import active_children, get_context
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.cache.db import NbCacheRecord
from jupyter_cache.executors.utils import single_nb_execution

from book._tools.contents import find_chapters, find_strays
from bumplab.chapters.kernel import ChapterKernel
from bumplab.common.exits import INTERRUPTED, exit_code
from bumplab.common.locks import hold_lock

ROOT = Path(__file__).resolve().parents[2]
INPUTS = ("constraints.txt", ".venv/pyvenv.cfg", "src", "book/runs", "book/results")
#: Which instructions of the processor the numeric libraries may use; other instructions round differently.
INSTRUCTIONS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "NUMBA_CPU_NAME")


# ---------------------------------------------------------------- keys


def _digest(parts: Iterable[str | bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()


def common_key(root: Path) -> str:
    """Return a digest of what the outputs of every chapter depend on: package, versions, recorded runs."""
    tops = [root / name for name in INPUTS]
    files = (path for top in tops for path in ([top] if top.is_file() else top.rglob("*")))
    listed = sorted(path for path in files if path.is_file() and path.suffix != ".pyc")
    parts = (part for path in listed for part in (path.relative_to(root).as_posix(), path.read_bytes()))
    return _digest(chain((os.environ.get(name, "") for name in INSTRUCTIONS), parts))


def _code(path: Path, outputs: bool = False) -> str:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    fields = ("source", "metadata", "outputs") if outputs else ("source", "metadata")
    cells = [[cell[field] for field in fields] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return json.dumps([path.stem, notebook["metadata"].get("kernelspec"), cells], sort_keys=True)


def chapter_keys(root: Path) -> dict[Path, str]:
    """Return the key of every chapter; it changes exactly when the chapter must be executed again."""
    common, chapters = common_key(root), find_chapters(root)
    keys = {}
    for path in chapters:
        others = [other for other in chapters if other != path] if path.stem.endswith("scoreboard") else []
        keys[path] = _digest([common, _code(path), *(_code(other, outputs=True) for other in others)])
    return keys


# ---------------------------------------------------------------- the cache


def _settings(root: Path) -> dict:
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["execute"]


def _open(root: Path) -> JupyterCacheAbstract:
    return get_cache(root / _settings(root)["cache"])


def read_records(root: Path) -> dict[Path, NbCacheRecord]:
    """Return what the cache says of each chapter's last execution: its key, and how long it took."""
    records = _open(root).list_cache_records() if (root / _settings(root)["cache"]).exists() else []
    return {Path(record.uri): record for record in sorted(records, key=lambda record: record.created)}


def save(root: Path, path: Path, notebook: nbformat.NotebookNode, seconds: float, key: str) -> None:
    """Put an executed chapter into the cache, in place of its last execution."""
    folder = root / _settings(root)["cache"]
    folder.parent.mkdir(exist_ok=True)
    with hold_lock(folder.with_name(f"{folder.name}.lock"), "The cache of executed chapters is being written"):
        cache = _open(root)
        for record in cache.list_cache_records():
            if record.uri == str(path):
                cache.remove_cache(record.pk)
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds, "key": key})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def drop_old_runs(root: Path) -> None:
    """Delete the runs that ``make`` has trained for the chapters, unless the package is the one that trained them."""
    stamp, key = root / "_build" / "inputs", common_key(root)
    if not stamp.exists() or stamp.read_text() != key:
        for store in (root / "_build").glob("store*"):  # one for each set of processor instructions
            shutil.rmtree(store)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(key)


# ---------------------------------------------------------------- execution


def longest_first(paths: Iterable[Path], records: Mapping[Path, NbCacheRecord]) -> list[Path]:
    """Return chapters in the order in which to start them, so that no process is idle while a long one ends.

    Those that were never timed come first, the largest file first.
    """

    def seconds(path: Path) -> float:
        return records[path].data.get("execution_seconds", float("inf")) if path in records else float("inf")

    return sorted(paths, key=lambda path: (seconds(path), path.stat().st_size), reverse=True)


def execute(path: Path, timeout: int) -> tuple[nbformat.NotebookNode, float, str | None]:
    """Execute one chapter in its folder, as Jupyter Book does; return it, the seconds, and what went wrong."""
    notebook = nbformat.read(path, as_version=4)
    try:
        result = single_nb_execution(
            notebook, str(path.parent), timeout, allow_errors=False,
            coalesce_streams=True, kernel_manager_class=ChapterKernel,
        )  # fmt: skip
    except RuntimeError as error:  # the kernel died
        return notebook, 0.0, str(error)
    return notebook, result.time, re.sub(r"\x1b\[[\d;]*m", "", str(result.err)) if result.err else None


def execute_changed(root: Path, jobs: int) -> list[str]:
    """Execute every chapter whose key changed, `jobs` at a time; return the names of those that failed."""
    keys, records = chapter_keys(root), read_records(root)
    changed = [path for path in keys if path not in records or records[path].data.get("key") != keys[path]]
    print(f"{len(changed)} of {len(keys)} chapters to execute.", flush=True)
    failed = []
    with ProcessPoolExecutor(max(1, min(jobs, len(changed))), mp_context=get_context("spawn")) as pool:
        timeout = _settings(root)["timeout"]
        tasks = {pool.submit(execute, path, timeout): path for path in longest_first(changed, records)}
        try:
            for task in as_completed(tasks):
                path, (notebook, seconds, error) = tasks[task], task.result()
                if error is None:
                    save(root, path, notebook, seconds, keys[path])
                    print(f"{path.stem}: executed in {seconds:.0f} s", flush=True)
                else:
                    print(f"{path.stem} failed: {error}", file=sys.stderr, flush=True)
                    failed.append(path.stem)
        except KeyboardInterrupt:
            for process in active_children():  # a kernel ends when the process does that started it
                process.kill()
            raise
    return failed


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Execute, or do what is asked instead; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="how many chapters at a time")
    parser.add_argument("--fresh", action="store_true", help="only drop what another package made; name strays")
    parser.add_argument("--list", action="store_true", help="only print the chapters, the longest first")
    options = parser.parse_args(arguments)
    if options.list:
        print(*(path.relative_to(root) for path in longest_first(find_chapters(root), read_records(root))), sep="\n")
        return 0
    if options.fresh:
        for path in find_strays(root):
            print(f"{path.relative_to(root)} is ignored: _toc.yml does not name it.", file=sys.stderr)
        drop_old_runs(root)
        return 0
    failed = sorted(execute_changed(root, options.jobs))
    if failed:
        print(f"Failed: {', '.join(failed)}; why is said above.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    code = exit_code(lambda: main(sys.argv[1:]))
    if code == INTERRUPTED:
        print("Interrupted; the chapters named above are kept.", file=sys.stderr)
    sys.exit(code)
