"""What pages say beyond their notebooks: read ``book/pages.yml``, and put the numbers of claims into its sentences."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml

from bumplab.chapters.claim_pages import chip
from bumplab.chapters.claims import Claim
from bumplab.chapters.measurements import Measurement, join_words
from bumplab.chapters.networks import TOY
from bumplab.chapters.scoreboard import Scoreboard, collect_claims

BOOK = Path(__file__).resolve().parents[1]
#: How a network is named on a first screen.
_BY_NAME = '<a href="models.html">{}</a>'
_NAMES = {TOY: "small networks that were trained for this question"}
_CLAIM = re.compile(r"\{([\w.-]+)(?: on ([\w-]+))?\}")
#: The end of a sentence: not the point of an abbreviation.
_SENTENCE = re.compile(r"(?<=[^.\s][^.\s][.!?])\s(?=[A-Z])")


@cache
def read_pages(path: Path = BOOK / "pages.yml") -> dict[str, dict[str, Any]]:
    """Return what ``pages.yml`` says of each page."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def read_board(book: Path = BOOK) -> Scoreboard:
    """Return the claims in the outputs of the chapters, see :func:`~bumplab.chapters.scoreboard.collect_claims`."""
    return collect_claims(book)


def answer_html(sentences: list[str], board: Scoreboard) -> str:
    """Return sentences with the numbers of the claims that they name, each with its network where there are several.

    Parameters
    ----------
    sentences : list of str
        ``{claim}`` stands for the headline of a claim, ``{claim on quick}`` for what was measured on a network.
    board : Scoreboard

    Raises
    ------
    BumplabError
        If a claim is not in the outputs of the chapters, or there is no such network.
    """
    uses = [match.groups() for sentence in sentences for match in _CLAIM.finditer(sentence)]
    networks = name_networks([find_measurement(board[name], network) for name, network in uses])

    def number(match: re.Match) -> str:
        claim = board[match[1]]
        return _number_html(claim, find_measurement(claim, match[2]), len(networks) > 1)

    body = "".join(f"<li>{_CLAIM.sub(number, escape(sentence, quote=False))}</li>" for sentence in sentences)
    note = f"Means over seeds with 95 % intervals, of {join_words(networks)}. " if networks else ""
    verdicts = "The underlined word says what becomes of the claim behind a number, which may be the paper's or ours."
    return f'<div class="first-screen"><ul>{body}</ul><p>{note}{verdicts}</p></div>'


def find_measurement(claim: Claim, network: str | None) -> Measurement | None:
    """Return what was measured for a claim on a network, None for nothing; the headline where none is named."""
    return claim.on(network) if network else claim.headline


def name_networks(measurements: Sequence[Measurement | None]) -> list[str]:
    """Return each network behind measurements once, with its numbers of seeds, as HTML."""
    seeds: dict[str, set[int]] = {}
    for one in measurements:
        if one and one.network:
            seeds.setdefault(one.label, set()).add(one.seeds)
    return [f"{_NAMES.get(label, _BY_NAME.format(label))} ({_count(counts)})" for label, counts in seeds.items()]


def _count(seeds: set[int]) -> str:
    words = join_words([str(count) for count in sorted(seeds)])
    return f"{words} seed{'s' * (seeds != {1})}"


def _number_html(claim: Claim, one: Measurement | None, several: bool) -> str:
    if one is None or one.value is None:
        return "(not measured)"
    title = f"{claim.statement} We ask for {claim.prediction()}. {', '.join(filter(None, [one.label, one.layer]))}."
    place = f" on {one.label}" if several and one.network else ""
    value = f"{one.value:g} {one.ends()}".strip() + escape(place)
    link = f'<a href="#claims" title="{escape(title)}">{value}</a>'
    return f"{link} ({chip(one.verdict, 'claim ' + one.verdict)})"


def caption_sentence(text: str, most: int = 200) -> str:
    """Return the first sentence of a caption, cut at a word where it is long, without marks of formulas.

    Examples
    --------
    >>> caption_sentence("Accuracy at 0.5 pixels, e.g. in x. Dots are seeds.")
    'Accuracy at 0.5 pixels, e.g. in x.'
    >>> caption_sentence("Bumps with \\\\sigma = 0.1 and N^{2} of them.")
    'Bumps with sigma = 0.1 and N^2 of them.'
    """
    sentence = _SENTENCE.split(" ".join(text.split()), maxsplit=1)[0]
    sentence = re.sub(r"[\\{}$]", "", sentence)
    return sentence if len(sentence) <= most else sentence[:most].rsplit(" ", 1)[0] + " ..."


def png_size(path: Path) -> tuple[int, int] | None:
    """Return width and height of a PNG in pixels; None for another file."""
    with path.open("rb") as file:
        head = file.read(24)
    return struct.unpack(">II", head[16:]) if head.startswith(b"\x89PNG") and len(head) == 24 else None
