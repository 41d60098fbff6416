"""Do the papers' findings hold? Each is answered in a sentence with the numbers of named claims."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

from bumplab.chapters.claim_pages import chip
from bumplab.chapters.claims import Claim
from bumplab.chapters.findings import CLAIM_NAME, FINDINGS, SUCCESSORS, Finding
from bumplab.chapters.measurements import FEWEST_SEEDS, Measurement, join_words
from bumplab.chapters.networks import ANSWERING, TOY, normalise_label
from bumplab.chapters.scoreboard import Scoreboard
from bumplab.models.unet import UNet
from bumplab.training.settings import preset

#: From the best to the worst that can become of a finding: it is as good as the worst of the claims that decide it.
_FROM_BEST = ("holds", "confounded", "undecided", "not measured", "fails")

#: The chapters about later papers.
_LATER = {finding.chapter for finding in SUCCESSORS}


@dataclass(frozen=True)
class Answer:
    """What the claims of a board say of a finding, on each network.

    Examples
    --------
    >>> from bumplab.chapters.claims import check_claim
    >>> options = {"kind": "paper", "source": "P1", "at_least": 0.8}
    >>> both = check_claim("both", "It composes.", {"quick": [0.9, 0.91, 0.92], "laptop": [0.7]}, **options)
    >>> answer = Answer(Finding("It composes.", "right {both}.", ("both",)), {"both": both})
    >>> answer.sentence(), answer.verdict("laptop"), answer.verdict("laptop-eps")
    ('On quick, 3 seeds: right 0.91 [0.89, 0.93] (holds).', 'undecided', 'not measured')
    """

    finding: Finding
    claims: dict[str, Claim]

    def on(self, network: str) -> dict[str, Measurement | None]:
        """Return by the name of each claim what was measured on a network, in the headline layer; None for nothing."""
        return {name: claim.on(network) for name, claim in self.claims.items()}

    def verdict(self, network: str) -> str:
        """Return the worst verdict of the deciding claims on a network, or ``"not measured"``."""
        there = [self.on(network)[name] for name in self.finding.deciding]
        return max((one.verdict if one else "not measured" for one in there), key=_FROM_BEST.index)

    @property
    def network(self) -> str:
        """The network nearest to the paper's on which each deciding claim has three seeds; else the first of all."""
        deciding = self.finding.deciding
        networks = self.finding.networks
        full = [name for name in networks if min(self._seeds(name, each) for each in deciding) >= FEWEST_SEEDS]
        return full[-1] if full else networks[0]

    def sentence(self) -> str:
        """Return the sentence with the numbers of that network."""
        there = self.on(self.network)

        def number(match: re.Match) -> str:
            one = there[match[1]]
            return f"{one.value:g} {one.ends()} ({one.verdict})".replace("  ", " ") if one else "not measured"

        seeds = sorted({one.seeds for one in there.values() if one})
        words = " to ".join(map(str, dict.fromkeys(seeds[:1] + seeds[-1:])))
        words = f", {words} seed{'s' * (words != '1')}" if seeds else ""
        network = "toys" if self.network == TOY else self.network
        return f"On {network}{words}: {CLAIM_NAME.sub(number, self.finding.sentence)}"

    def _seeds(self, network: str, name: str) -> int:
        one = self.claims[name].on(network)
        return one.seeds if one else 0

    def __str__(self) -> str:
        verdicts = "; ".join(f"{name}: {self.verdict(name)}" for name in self.finding.networks)
        return f"{self.finding.title} {self.sentence()} {verdicts}."

    def to_markdown(self) -> str:
        """Return the finding, the sentence and the verdicts in one line of Markdown."""
        groups = [(", ".join(names), verdict) for verdict, names in groupby(self.finding.networks, self.verdict)]
        verdicts = "; ".join(f"{names}: {verdict}" for names, verdict in groups)
        chapter = f" {{doc}}`{self.finding.chapter}`" if self.finding.chapter else ""
        return f"**{self.finding.title}** {self.sentence()} *{verdicts}.*{chapter}"

    def to_html(self) -> str:
        """Return the finding, the sentence and the verdicts as HTML."""
        chips = "".join(_chip(list(names), verdict) for verdict, names in groupby(self.finding.networks, self.verdict))
        kind = self.verdict(self.network).replace(" ", "-")
        words = f"<strong>{escape(self.finding.title)}</strong> {escape(self.sentence())}"
        if self.finding.chapter:
            chips += _link(self.finding.chapter)
        return f'<div class="answer claim-{kind}"><p>{words}</p><p>{chips}</p></div>'


@dataclass(frozen=True)
class Answers:
    """The answers to several findings, with a sentence on the networks and claims behind them.

    Examples
    --------
    >>> print(Answers((), "No network was measured."))
    No network was measured.
    """

    answers: tuple[Answer, ...]
    networks: str

    def to_markdown(self) -> str:
        """Return a list of the answers, and the sentence, in Markdown: for what shows no HTML, such as LaTeX."""
        return "\n".join([*(f"- {answer.to_markdown()}" for answer in self.answers), "", self.networks])

    def __str__(self) -> str:
        return "\n".join([*map(str, self.answers), self.networks])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        body = "".join(answer.to_html() for answer in self.answers)
        return {
            "text/plain": str(self),
            "text/markdown": self.to_markdown(),
            "text/html": f'<div class="answers">{body}<p>{escape(self.networks)}</p></div>',
        }


def answer_findings(board: Scoreboard) -> Answers:
    """Return what a board's claims say of the :data:`FINDINGS` of the paper that the book is about.

    Raises
    ------
    BumplabError
        If the board lacks a claim that a finding rests on.

    Examples
    --------
    >>> from bumplab.chapters.scoreboard import collect_claims
    >>> from bumplab.common.files import book_folder
    >>> found = answer_findings(collect_claims(book_folder()))
    >>> [answer.finding.title for answer in found.answers][2:4]
    ['It composes.', 'It interpolates badly.']
    """
    answers = [Answer(finding, {name: board[name] for name in finding.names}) for finding in FINDINGS]
    claims = [claim for chapter, claim in board.of_kind("paper").rows if chapter not in _LATER]
    counts = [sum(_is_measured(claim, name) for claim in claims) for name in ANSWERING]
    parts = [f"{count} on {name} ({_description(name)})" for name, count in zip(ANSWERING, counts, strict=True)]
    words = f"Of {len(claims)} claims of the papers, {join_words(parts)} are measured."
    clear = [keeps_verdict(claim) for claim in claims if claim.headline.low is not None]
    words += f" {sum(clear)} of {len(clear)} verdicts would survive a mean that is off by the width of its interval."
    return Answers(tuple(answers), words)


def answer_successors(board: Scoreboard) -> Answers:
    """Return what a board's claims say of the :data:`SUCCESSORS`, the findings of later papers.

    Raises
    ------
    BumplabError
        If the board lacks a claim that a finding rests on.

    Examples
    --------
    >>> from bumplab.chapters.scoreboard import collect_claims
    >>> from bumplab.common.files import book_folder
    >>> [answer.finding.chapter for answer in answer_successors(collect_claims(book_folder())).answers][:2]
    ['11-rendering', '12-modules']
    """
    answers = [Answer(finding, {name: board[name] for name in finding.names}) for finding in SUCCESSORS]
    rows = [(chapter, claim) for chapter, claim in board.of_kind("paper").rows if chapter in _LATER]
    return Answers(tuple(answers), f"Claims of these papers, {Scoreboard(rows).tally()}.")


def keeps_verdict(claim: Claim) -> bool:
    """Return whether a claim's headline keeps its side of every bound when its mean moves by the interval's width.

    Examples
    --------
    >>> from bumplab.chapters.claims import check_claim
    >>> options = {"kind": "own", "source": "ours", "at_least": 0.5}
    >>> [keeps_verdict(check_claim("a.b", "So.", {"quick": values}, **options)) for values in ([0.9, 0.91], [0.6, 0.7])]
    [True, False]
    """
    one = claim.headline
    if one.value is None or one.low is None or one.high is None:
        return False
    bounds = [bound for bound in (claim.at_least, claim.at_most) if bound is not None]
    return all(abs(one.value - bound) > one.high - one.low for bound in bounds)


def _is_measured(claim: Claim, network: str) -> bool:
    """Return whether there is a measurement of a claim on a network, in any layer."""
    return any(one.label == normalise_label(network) and one.seeds for one in claim.measurements)


def _link(chapter: str) -> str:
    return f'<span class="network"><a href="{chapter}.html">chapter {chapter.partition("-")[0]}</a></span>'


def _chip(networks: list[str], verdict: str) -> str:
    label = chip(verdict.replace(" ", "-"), verdict)
    return f'<span class="network">{", ".join(networks)}: {label}</span>'


def _description(name: str) -> str:
    """Return in words what a preset's network is like."""
    settings = preset(name)
    patch = settings.model.patch
    sight = "pixels" if patch == 1 else f"patches of {patch} x {patch}"
    millions = UNet(settings.model).size() / 1e6
    return f"{millions:.1f} M weights, {sight}, {settings.diffusion.prediction_type}"
