"""All claims of the book in one table, and figures of them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt

from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.chapters.claims import CLAIM_MIME, VERDICTS, Claim
from bumplab.common.errors import BumplabError, quote
from bumplab.figures.style import BLUE, GREY, ORANGE, SKY, VERMILION


@dataclass(frozen=True)
class Scoreboard:
    """Claims with the chapters they stand in, shown as a table."""

    rows: list[tuple[str, Claim]]

    def count(self, verdict: str) -> int:
        """Return how many claims have a verdict."""
        return sum(claim.verdict == verdict for _, claim in self.rows)

    def filter(self, verdict: str) -> Scoreboard:
        """Return the part with one verdict; ``"all"`` keeps everything."""
        if verdict != "all" and verdict not in VERDICTS:
            raise BumplabError(f"There is no verdict {quote(verdict)}: use all or one of {', '.join(VERDICTS)}.")
        return Scoreboard([row for row in self.rows if verdict in ("all", row[1].verdict)])

    def __str__(self) -> str:
        return "\n".join(f"{chapter}  {claim.name}: {claim}" for chapter, claim in self.rows)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        head = "".join(f"<th>{name}</th>" for name in ("Verdict", "Claim", "Measured", "Claimed", "Where"))
        body = "".join(
            f'<tr><td class="claim-{claim.verdict.replace(" ", "-")}"><strong>{claim.verdict}</strong></td>'
            f"<td>{html.escape(claim.statement)} <em>{html.escape(claim.source)}</em></td><td>{claim.measured()}</td>"
            f"<td>{claim.prediction()}</td><td>{chapter}; {html.escape(claim.preset)}</td></tr>"
            for chapter, claim in self.rows
        )
        table = f'<div class="scoreboard"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        return {"text/plain": str(self), "text/html": table}


def collect_claims(book: Path) -> Scoreboard:
    """Return every claim in the outputs of the chapters of a folder, in reading order.

    Notebooks that are no chapters, such as copies made by hand, are left out: see
    :func:`~bumplab.chapters.catalogue.chapter_paths`.

    Raises
    ------
    BumplabError
        If two claims have the same name, or a chapter is no notebook.
    """
    rows = [
        (path.stem, Claim(**output["data"][CLAIM_MIME]))
        for path in chapter_paths(book)
        for cell in read_cells(path)
        for output in cell.get("outputs", ())
        if CLAIM_MIME in output.get("data", {})
    ]
    names = [claim.name for _, claim in rows]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise BumplabError(f"Claims need unique names; {', '.join(sorted(twice))} occurs twice.")
    return Scoreboard(rows)


VERDICT_COLOURS: dict[str, str] = dict(zip(VERDICTS, (BLUE, ORANGE, VERMILION, GREY), strict=True))


def plot_verdict_counts(rows: Sequence[tuple[str, Claim]]) -> None:
    """Draw for each chapter how many of its claims have which verdict."""
    names = sorted({chapter for chapter, _ in rows})
    _, axis = plt.subplots(figsize=(6.4, 0.36 * len(names) + 0.9))
    left = [0] * len(names)
    for verdict, colour in VERDICT_COLOURS.items():
        counts = [sum(where == name and claim.verdict == verdict for where, claim in rows) for name in names]
        axis.barh(names, counts, left=left, color=colour, label=verdict)
        left = [before + count for before, count in zip(left, counts, strict=True)]
    axis.invert_yaxis()
    axis.set_xlabel("claims")
    axis.grid(axis="y", visible=False)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    plt.show()


def plot_claims(rows: Sequence[tuple[str, Claim]], title: str) -> None:
    """Draw measured intervals beside claimed ranges, one row and scale for each claim; the range alone without data."""
    figure, axes = plt.subplots(len(rows), 1, figsize=(6.4, 0.62 * len(rows) + 0.3), squeeze=False)
    axes[0, 0].set_title(title, loc="left")
    for axis, (_, claim) in zip(axes[:, 0], rows, strict=True):
        ends = [v for v in (claim.low, claim.high, claim.at_least, claim.at_most) if v is not None]
        pad = 0.25 * (max(ends) - min(ends)) or 0.5 * abs(ends[0]) or 1.0
        low, high = min(ends) - pad, max(ends) + pad
        band = (low if claim.at_least is None else claim.at_least, high if claim.at_most is None else claim.at_most)
        axis.axvspan(*band, color=SKY, alpha=0.35, lw=0)
        if claim.seeds:
            axis.plot([claim.low, claim.high], [0, 0], color=VERDICT_COLOURS[claim.verdict])
            axis.plot(claim.value, 0, "o", color=VERDICT_COLOURS[claim.verdict])
        axis.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
        axis.set_ylabel(claim.name, rotation=0, ha="right", va="center", fontsize=8.5)
        axis.tick_params(labelsize=7.5)
        axis.grid(False)
        axis.spines["left"].set_visible(False)
    plt.show()
