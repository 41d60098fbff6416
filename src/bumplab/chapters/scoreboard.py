"""All claims of the book together: as a table, as comma-separated values, and as figures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from bumplab.chapters.catalogue import chapter_paths, read_cells
from bumplab.chapters.claim_pages import chip
from bumplab.chapters.claims import CLAIM_MIME, KINDS, Claim
from bumplab.chapters.measurements import VERDICTS, Measurement
from bumplab.chapters.networks import NETWORKS, TOY
from bumplab.chapters.papers import PAPERS, paper_of
from bumplab.common.errors import BumplabError, quote
from bumplab.figures.style import BLUE, GREY, ORANGE, SKY, VERMILION

VERDICT_COLOURS: dict[str, str] = dict(zip(VERDICTS, (BLUE, GREY, VERMILION, ORANGE), strict=True))
#: The columns of :meth:`Scoreboard.to_csv`, and what each means: a row is one claim on one network in one layer.
COLUMNS: dict[str, str] = {
    "chapter": "file of the chapter",
    "claim": "unique name",
    "kind": "paper, own, or mathematics (no network)",
    "source": "paper and figure, or this book",
    "statement": "the claim in one sentence",
    "network": "preset: quick, laptop, paper",
    "variant": "what differs from the preset: target, or a control",
    "layer": "where in the network, and in which reading",
    "seeds": "number of values",
    "value": "mean over seeds, or over repetitions where there is no network",
    "low": "lower end of the 95 % interval",
    "high": "upper end of the 95 % interval",
    "interval": "Student or Wilson, and where it is cut",
    "at_least": "lower bound of what we ask for",
    "at_most": "upper bound of what we ask for",
    "verdict": "holds, undecided, fails or confounded",
    "headline": "yes if this row gives the claim its verdict",
    "values": "one for each seed",
    "where": "device and settings",
    "note": "what the value is",
}
#: How to cite the table.
CITATION = "bumplab authors: bumplab, an executable book on how diffusion models learn to factorize and compose (2026)"


@dataclass(frozen=True)
class Scoreboard:
    """Claims with the chapters they stand in, shown as a table; with a title, folded under it."""

    rows: list[tuple[str, Claim]]
    title: str = ""

    def __getitem__(self, name: str) -> Claim:
        """Return the claim of a name."""
        for _, claim in self.rows:
            if claim.name == name:
                return claim
        raise BumplabError(f"There is no claim {quote(name)} in the outputs of the chapters.")

    def count(self, verdict: str) -> int:
        """Return how many claims have a verdict."""
        return sum(claim.verdict == verdict for _, claim in self.rows)

    def of_kind(self, kind: str) -> Scoreboard:
        """Return the claims of one kind: ``"paper"``, ``"own"`` or ``"mathematics"``."""
        if kind not in KINDS:
            raise BumplabError(f"There is no kind {quote(kind)}: use one of {', '.join(KINDS)}.")
        return replace(self, rows=[row for row in self.rows if row[1].kind == kind])

    def filter(self, verdict: str) -> Scoreboard:
        """Return the part with one verdict; ``"all"`` keeps everything."""
        if verdict != "all" and verdict not in VERDICTS:
            raise BumplabError(f"There is no verdict {quote(verdict)}: use all or one of {', '.join(VERDICTS)}.")
        return replace(self, rows=[row for row in self.rows if verdict in ("all", row[1].verdict)])

    def under(self, title: str) -> Scoreboard:
        """Return the same claims, folded under a title."""
        return replace(self, title=title)

    def by_paper(self) -> dict[str, Scoreboard]:
        """Return the claims of the papers in one board for each that has any, under its short name and in its order.

        Raises
        ------
        BumplabError
            If a claim comes from a paper that :data:`~bumplab.chapters.papers.PAPERS` does not know.
        """
        rows = self.of_kind("paper").rows
        parts = {key: [row for row in rows if paper_of(row[1].source) == paper] for key, paper in PAPERS.items()}
        return {key: replace(self, rows=part, title=f"{key}: {PAPERS[key]}") for key, part in parts.items() if part}

    def tally(self) -> str:
        """Return in words how many claims there are, and how many have which verdict."""
        counts = {verdict: self.count(verdict) for verdict in VERDICTS}
        counts["not tested"] = sum(claim.is_untested for _, claim in self.rows)
        counts["undecided"] -= counts["not tested"]
        words = [f"{n} {verdict if n == 1 else verdict.removesuffix('s')}" for verdict, n in counts.items() if n]
        return f"{len(self.rows)}: {', '.join(words)}" if words else "none"

    def to_records(self) -> list[dict[str, Any]]:
        """Return every measurement of every claim as plain data, by the names of :data:`COLUMNS`."""
        records = []
        for chapter, claim in self.rows:
            for one in claim.measurements:
                names = {"chapter": chapter, "claim": claim.name, "headline": "yes" if one == claim.headline else "no"}
                record = claim.to_record() | one.to_record() | names
                records.append({column: record.get(column) for column in COLUMNS})
        return records

    def to_csv(self) -> str:
        """Return every measurement of every claim as a line of comma-separated values, under a line of names."""
        text = io.StringIO()
        table = csv.DictWriter(text, list(COLUMNS), lineterminator="\n")
        table.writeheader()
        for record in self.to_records():
            table.writerow(record | {"values": " ".join(f"{value:g}" for value in record["values"])})
        return text.getvalue()

    def to_json(self) -> str:
        """Return the same as JSON: how to cite it, what each column means, and the rows."""
        content = {"citation": CITATION, "license": "MIT", "columns": COLUMNS, "rows": self.to_records()}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        return "\n".join(f"{chapter}  {claim.name}: {claim}" for chapter, claim in self.rows)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        head = "".join(f"<th>{name}</th>" for name in ("Claim", "We ask for", *NETWORKS))
        body = "".join(f"<tr>{_cells(chapter, claim)}</tr>" for chapter, claim in self.rows)
        table = f'<div class="scoreboard"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        if self.title:
            table = f"<details><summary>{escape(self.title)}, {self.tally()}</summary>{table}</details>"
        return {"text/plain": str(self), "text/html": table}


def _cells(chapter: str, claim: Claim) -> str:
    """Return one row of the table: the claim, what we ask for, and what each network says."""
    confounded = f"<br>Confounded: {escape(claim.confounded)}" if claim.confounded else ""
    link = f'<a href="{chapter}.html#claims">chapter {chapter.partition("-")[0]}</a>'
    names = f"<em>{escape(claim.source)}</em>, <code>{escape(claim.name)}</code>, {link}"
    first = f'<td class="claim-{claim.verdict}">{escape(claim.statement)}{confounded}<br>{names}</td>'
    columns = []
    toys = [_line(one) for one in claim.measurements if one.network == TOY]
    if claim.is_untested:
        return (
            f'{first}<td colspan="{len(NETWORKS) + 1}" data-column="not tested">not tested: {escape(claim.note)}</td>'
        )
    if toys:
        columns.append(f'<td colspan="{len(NETWORKS)}" data-column="toy"><div>toy: {"<br>".join(toys)}</div></td>')
    for network in () if toys else NETWORKS:
        lines = [_line(one) for one in claim.measurements if one.network == network and one.seeds]
        columns.append(f'<td data-column="{network}"><div>{"<br>".join(lines) or "not measured"}</div></td>')
    return f'{first}<td data-column="we ask for">{claim.prediction()}</td>{"".join(columns)}'


def _line(one: Measurement) -> str:
    """Return what was measured on one network in one layer, in HTML."""
    place = ", ".join(filter(None, [one.variant, one.layer]))
    return f"{chip(one.verdict)} {one.words()}" + (f"<br><small>{escape(place)}</small>" if place else "")


def collect_claims(book: Path) -> Scoreboard:
    """Return every claim in the outputs of the chapters of a folder, in reading order.

    Notebooks that are no chapters, such as copies made by hand, are left out: see
    :func:`~bumplab.chapters.catalogue.chapter_paths`.

    Raises
    ------
    BumplabError
        If two claims have the same name, a chapter is no notebook, or another version of bumplab wrote its claims.
    """
    rows = [
        (path.stem, _read_claim(path, output["data"][CLAIM_MIME]))
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


def _read_claim(path: Path, record: Any) -> Claim:
    try:
        return Claim.from_record(record)
    except BumplabError as error:
        raise BumplabError(f"{path.name}: {error}") from None


def plot_claims(rows: Sequence[tuple[str, Claim]], title: str) -> None:
    """Draw headline intervals beside the ranges that we ask for, a row and scale for each claim; or the range alone.

    Claims that were not tested have no row.
    """
    rows = [row for row in rows if not row[1].is_untested]
    figure, axes = plt.subplots(len(rows), 1, figsize=(6.4, 0.62 * len(rows) + 0.3), squeeze=False)
    axes[0, 0].set_title(title, loc="left")
    for axis, (_, claim) in zip(axes[:, 0], rows, strict=True):
        one, colour = claim.headline, VERDICT_COLOURS[claim.verdict]
        ends = [v for v in (one.value, one.low, one.high, claim.at_least, claim.at_most) if v is not None]
        pad = 0.25 * (max(ends) - min(ends)) or 0.5 * abs(ends[0]) or 1.0
        low, high = min(ends) - pad, max(ends) + pad
        band = (low if claim.at_least is None else claim.at_least, high if claim.at_most is None else claim.at_most)
        axis.axvspan(*band, color=SKY, alpha=0.35, lw=0)
        if one.seeds:
            axis.plot([one.value, one.value] if one.low is None else [one.low, one.high], [0, 0], color=colour)
            axis.plot(one.value, 0, "o", color=colour)
        axis.set(xlim=(low, high), ylim=(-1, 1), yticks=[])
        axis.set_ylabel(claim.name, rotation=0, ha="right", va="center", fontsize=8.5)
        axis.tick_params(labelsize=7.5)
        axis.grid(False)
        axis.spines["left"].set_visible(False)
    plt.show()
