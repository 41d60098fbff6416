"""Run chapters and commit what they print: ``make outputs``, or ``python -m book._tools.outputs 02-training``.

Outputs are written into the notebooks themselves, without execution times or other machine-made metadata.
Chapters run in reading order, since the scoreboard reads the outputs of those before it. The picture in the
README is the figure of one cell of chapter 02; the scoreboard offers all claims as ``claims.csv`` and ``claims.json``,
and pages without code take numbers from them.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

from book._tools.contents import find_chapters
from book._tools.fill_pages import fill_pages
from bumplab.chapters.catalogue import declared_parameters
from bumplab.chapters.kernel import ChapterKernel
from bumplab.chapters.scoreboard import collect_claims
from bumplab.common.exits import exit_code
from bumplab.common.files import atomic_write

BOOK = Path(__file__).resolve().parents[1]
CLAIMS = BOOK / "_static" / "claims.csv"
PICTURE = ("02-training", "phases", BOOK / "_static" / "phases.png")


def execute(path: Path) -> None:
    """Run one chapter in an empty folder and write its outputs into it."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook, timeout=1800, record_timing=False, coalesce_streams=True, kernel_manager_class=ChapterKernel,
            resources={"metadata": {"path": folder}},
        ).execute()  # fmt: skip
    shrink(notebook)
    notebook.metadata = metadata_of(path)
    atomic_write(path, nbformat.writes(notebook) + "\n")


def metadata_of(path: Path) -> dict[str, Any]:
    """Return the metadata of a chapter; where it can train the paper's network, it asks Colab for a GPU."""
    metadata: dict[str, Any] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    if "preset" in declared_parameters(path):
        metadata |= {"accelerator": "GPU", "colab": {"gpuType": "T4"}}
    return metadata


def shrink(notebook: nbformat.NotebookNode) -> None:
    """Keep the pictures in 256 colours: a third of the room, and what the eye can hardly tell apart."""
    for data in (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())):
        if "image/png" in data:
            full = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
            small = io.BytesIO()
            full.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
            data["image/png"] = base64.b64encode(small.getvalue()).decode()


def picture(chapter: str, cell_id: str) -> bytes:
    """Return the PNG that a cell of a chapter shows."""
    cells = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells
    outputs = next(cell for cell in cells if cell.id == cell_id).outputs
    return base64.b64decode(next(o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})))


def main(names: list[str]) -> None:
    """Run the chapters named, or all of them."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    for path in [BOOK / f"{name}.ipynb" for name in names] or find_chapters(BOOK.parent):
        print(f"{path.stem} ...", flush=True)
        execute(path)
    chapter, cell_id, target = PICTURE
    target.write_bytes(picture(chapter, cell_id))
    board = collect_claims(BOOK)
    atomic_write(CLAIMS, board.to_csv())
    atomic_write(CLAIMS.with_suffix(".json"), board.to_json())
    fill_pages()


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
