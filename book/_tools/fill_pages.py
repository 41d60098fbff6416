"""Write what pages without code say of runs and claims: ``python -m book._tools.fill_pages``.

That is ``_static/runs.parquet``, and in the pages ``intro.md``, ``data.md`` and ``models.md`` what stands between two
comments, ``<!-- computed: NAME -->`` and ``<!-- end -->``. All else on these pages is written by hand.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas

from book._tools.book_map import draw_map
from book._tools.model_cards import card_texts
from bumplab.chapters.answers import answer_findings
from bumplab.chapters.run_table import RUN_COLUMNS, runs_as_parquet
from bumplab.chapters.scoreboard import collect_claims
from bumplab.common.exits import exit_code
from bumplab.common.files import atomic_write

BOOK = Path(__file__).resolve().parents[1]
RUNS = BOOK / "_static" / "runs.parquet"
PAGES = (BOOK / "data.md", BOOK / "models.md", BOOK / "intro.md")
_COMPUTED = re.compile(r"(<!-- computed: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def computed_texts(runs: pandas.DataFrame) -> dict[str, str]:
    """Return what stands between the comments of all pages, by its name."""
    columns = [f"| `{name}` | {meaning} | {unit} |" for name, (meaning, unit) in RUN_COLUMNS.items()]
    board = collect_claims(BOOK)
    counts = runs.groupby("study").size()
    studies = ", ".join(f"{count} of {study}" for study, count in counts.items())
    return {
        "columns": "\n".join(["| column | meaning | unit |", "|---|---|---|", *columns]),
        "counts": f"{len(runs):,} runs, {studies}; trained from {runs['provenance.date'].min()} "
        f"to {runs['provenance.date'].max()}.",
        "findings": f"\n{answer_findings(board).to_markdown()}\n",
        "map": draw_map(),
        **card_texts(runs, board),
    }


def fill(text: str, texts: dict[str, str]) -> str:
    """Return a page with what is computed between its comments.

    Raises
    ------
    KeyError
        If the page names something that nothing computes.
    """
    return _COMPUTED.sub(lambda match: f"{match[1]}{texts[match[2]]}\n{match[3]}", text)


def fill_pages() -> None:
    """Fill the pages."""
    texts = computed_texts(pandas.read_parquet(RUNS))
    for page in PAGES:
        atomic_write(page, fill(page.read_text(encoding="utf-8"), texts))


def main() -> None:
    """Write the file and fill the pages."""
    atomic_write(RUNS, runs_as_parquet())
    fill_pages()


if __name__ == "__main__":
    sys.exit(exit_code(main))
