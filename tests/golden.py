"""What the book said before its house was rebuilt, held as digests: every recorded run and every printed number.

``python tests/golden.py`` writes golden.json anew. Do that only where a number is meant to change, and say so.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from bumplab.chapters.catalogue import chapter_paths
from bumplab.runs.bump_family import BumpRun
from bumplab.runs.pack_store import PackStore
from bumplab.runs.run import Run
from bumplab.runs.store import recorded_folder

FILE = Path(__file__).with_suffix(".json")
BOOK = Path(__file__).resolve().parents[1] / "book"
CLAIM = "application/vnd.bumplab.claim+json"
#: Durations, which differ from one honest run of a chapter to the next.
_TIMES = re.compile(r"\b\d+(?:[.,]\d+)?(?: |&nbsp;)?(?:ms|µs|us|s|min|seconds|minutes|images/s)\b")
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def digest(*parts: bytes | str) -> str:
    """Return 16 hexadecimal digits for bytes and texts in their order."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()[:16]


def arrays_of(run: Run) -> dict[str, dict]:
    """Return every array behind a run, bit for bit, by the file of the first layout that held it."""
    files: dict[str, dict] = {stem: run.weights(stem) for stem in run.kept - {"history", "verdicts", "embeddings"}}
    for name, array in run.arrays.items():
        kind, _, rest = name.partition("/")
        if not rest.endswith("/row"):  # came with the second layout
            files.setdefault({"verdicts": "verdicts", "embeddings": "code"}[kind], {})[rest] = array
    return files


def digest_of_run(run: Run) -> str:
    """Return one digest for settings, numbers, history and arrays of a run."""
    settings = run.settings.to_record()
    if isinstance(run, BumpRun):
        for group in ("model", "diffusion"):  # came when there was a second kind of them
            settings[group].pop("kind", None)
        if not settings["training"]["sampler_eta"]:  # came when there was a second sampler
            settings["training"].pop("sampler_eta")
    numbers = {
        "settings": settings,
        "accuracy": run.accuracy if isinstance(run, BumpRun) else run.scalars,
        "provenance": run.provenance,
        "history": run.history if isinstance(run, BumpRun) else run.curves,
    }
    parts: list[bytes | str] = [json.dumps(numbers, sort_keys=True)]
    for name, arrays in sorted(arrays_of(run).items()):
        for key, array in sorted(arrays.items()):
            parts += [f"{name}/{key} {array.dtype} {array.shape}", array.tobytes()]
    return digest(*parts)


def recorded_runs() -> dict[str, str]:
    """Return the digest of every recorded run by its id."""
    store = PackStore(recorded_folder())
    return {id: digest_of_run(store.get(id)) for id in store.ids()}


def _outputs(path: Path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            if "nbval-ignore-output" not in cell["metadata"].get("tags", ()):
                yield output


def printed(path: Path) -> list[str]:
    """Return every number that a chapter prints outside its claims, in reading order, durations left out."""
    numbers: list[str] = []
    for output in _outputs(path):
        data = output.get("data", {})
        if CLAIM in data:
            continue
        text = "".join(output.get("text", ())) or "".join(data.get("text/plain", ()))
        text = re.sub(r"<Figure size[^>]*>|0x[0-9a-f]+", "", text)
        numbers += _NUMBER.findall(_TIMES.sub("", text))
    return numbers


def claims_of(path: Path) -> dict[str, dict[str, str]]:
    """Return by the name of each claim of a chapter what a reader sees.

    That is the range that we ask for, the verdict, and for each network and layer value, interval, seeds and verdict.
    """
    found: dict[str, dict[str, str]] = {}
    for output in _outputs(path):
        if claim := output.get("data", {}).get(CLAIM):
            held = {"range": f"{claim['at_least']} {claim['at_most']}", "verdict": claim["verdict"]}
            for one in claim["measurements"]:
                place = ", ".join(filter(None, [one["network"], one["variant"], one["layer"]])) or "no training"
                held[place] = " ".join(str(one[key]) for key in ("value", "low", "high", "seeds", "verdict"))
            found[claim["name"]] = held
    return found


def chapters() -> dict[str, dict]:
    """Return what every chapter prints: numbers outside claims, and claims."""
    return {path.stem: {"numbers": " ".join(printed(path)), "claims": claims_of(path)} for path in chapter_paths(BOOK)}


if __name__ == "__main__":
    FILE.write_text(json.dumps({"runs": recorded_runs(), "chapters": chapters()}, indent=1) + "\n", encoding="utf-8")
