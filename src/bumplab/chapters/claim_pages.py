"""A claim in words and as HTML: what a chapter shows under its code."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from bumplab.chapters.measurements import Measurement, join_words

if TYPE_CHECKING:
    from bumplab.chapters.claims import Claim


def claim_text(claim: Claim) -> str:
    """Return a claim in sentences: its verdict, what we ask for, and each measurement.

    Examples
    --------
    >>> from bumplab.chapters.claims import check_claim
    >>> values = {("quick", "attention2"): [0.1, 0.2, 0.1], ("quick", "up1"): [0.3]}
    >>> print(claim_text(check_claim("a.b", "It is so.", values, kind="own", source="ours", at_most=0.5)))
    HOLDS on quick, attention2: It is so. We ask for at most 0.5. quick, attention2: 0.13 [-0.01, 0.28] (3 seeds),
    holds; quick, up1: 0.3 (1 seed), undecided. Not measured on laptop or paper.
    """
    if claim.is_untested:
        return f"NOT TESTED: {claim.statement} {claim.note}"
    head = claim.verdict.upper() + (f" on {_place(claim.headline)}" if claim.headline.seeds else "")
    if claim.kind == "mathematics":
        head = claim.verdict.upper()
    numbers = "; ".join(f"{_place(one)}: {one.words()}, {one.verdict}" for one in claim.measurements if one.seeds)
    parts = [f"{head}: {claim.statement} We ask for {claim.prediction()}.", f"{numbers}." if numbers else ""]
    return " ".join(filter(None, [*parts, _foot(claim)]))


def claim_page(claim: Claim) -> str:
    """Return a claim as HTML: a card with one row for each measurement.

    Examples
    --------
    >>> from bumplab.chapters.claims import check_claim
    >>> card = claim_page(check_claim("a.b", "0 < 1", [1, 1, 1], kind="mathematics", source="ours", at_least=1))
    >>> card[:103]
    '<div class="claim claim-holds"><p><strong>holds</strong> <em>ours</em> <code>a.b</code><br>0 &lt; 1</p>'
    """
    if claim.is_untested:
        return (
            f'<div class="claim claim-undecided"><p><strong>not tested</strong> <em>{escape(claim.source)}</em> '
            f"<code>{escape(claim.name)}</code><br>{escape(claim.statement)}</p><p>{escape(claim.note)}</p></div>"
        )
    layers = any(one.layer for one in claim.measurements)
    rows = "".join(_row(one, layers) for one in claim.measurements)
    return (
        f'<div class="claim claim-{claim.verdict}"><p><strong>{claim.verdict}</strong> <em>{escape(claim.source)}</em> '
        f"<code>{escape(claim.name)}</code><br>{escape(claim.statement)}</p><table><tbody>{rows}</tbody></table>"
        f"<p>We ask for {claim.prediction()}. {escape(_foot(claim))}</p></div>"
    )


def chip(verdict: str, words: str = "") -> str:
    """Return a verdict, or other words about it, as a small coloured label in HTML.

    Examples
    --------
    >>> chip("holds")
    '<span class="verdict claim-holds">holds</span>'
    """
    return f'<span class="verdict claim-{verdict}">{escape(words or verdict)}</span>'


def _place(one: Measurement) -> str:
    return ", ".join(filter(None, [one.label, one.layer]))


def _row(one: Measurement, layers: bool) -> str:
    depth = f"<td>{escape(one.layer)}</td>" if layers else ""
    verdict = chip(one.verdict) if one.seeds else ""
    return f"<tr><th>{escape(one.label)}</th>{depth}<td>{one.words()}</td><td>{verdict}</td></tr>"


def _foot(claim: Claim) -> str:
    """Return what there is to say beside the numbers."""
    wheres: dict[str, list[str]] = {}
    for one in claim.measurements:
        if one.where and one.label not in wheres.setdefault(one.where, []):
            wheres[one.where].append(one.label)
    several = len(wheres) > 1
    runs = [f"{join_words(labels)}: {where}." if several else f"Runs: {where}." for where, labels in wheres.items()]
    if claim.kind == "mathematics":
        runs = [f"{where[0].upper()}{where[1:]}." for where in wheres]
    methods = sorted({one.interval for one in claim.measurements if one.interval not in ("", "Student")})
    cut = [f"Interval: {join_words(methods)}."] if methods else []
    missing = [f"Not measured on {join_words(claim.missing, 'or')}."] if claim.missing else []
    confounded = [f"Confounded: {claim.confounded}"] if claim.confounded else []
    return " ".join([*confounded, *missing, *runs, *cut, *filter(None, [claim.note])])
