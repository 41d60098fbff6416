"""The findings of the papers in a few words each, and the claims that decide them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bumplab.chapters.networks import ANSWERING, TOY

#: The name of a claim in a sentence, between braces.
CLAIM_NAME = re.compile(r"\{([\w.-]+)\}")


@dataclass(frozen=True)
class Finding:
    """A finding of a paper, and the claims that stand for it.

    Attributes
    ----------
    title : str
        The finding in a few words.
    sentence : str
        What was measured; ``{name}`` stands for the number of a claim.
    deciding : tuple of str
        Names of the claims that must hold.
    networks : tuple of str
        The networks that can answer, from the smallest to the paper's.
    chapter : str
        File of the chapter that a page leads to, ``"11-rendering"``; empty where the sentence is enough.

    Examples
    --------
    >>> Finding("It composes.", "after pairs {fig4.both}, after stripes {fig4.1d}.", ("fig4.both",)).names
    ('fig4.both', 'fig4.1d')
    """

    title: str
    sentence: str
    deciding: tuple[str, ...]
    networks: tuple[str, ...] = ANSWERING
    chapter: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all its claims."""
        return tuple(dict.fromkeys((*self.deciding, *CLAIM_NAME.findall(self.sentence))))


FINDINGS = (
    Finding(
        "The code is factorized, even hyper-factorized.",
        "in layer 4, cos² of x and y {fig3.x-on-y}; factorization {fig3.factorization}; "
        "hyper-factorization {fig3.hyper}.",
        ("fig3.x-on-y", "fig3.factorization", "fig3.hyper"),
    ),
    Finding(
        "A periodic world becomes a torus.",
        "share with a torus's holes in layer 4: {fig2.betti}, in layer 11: {fig2.betti.later}.",
        ("fig2.betti",),
    ),
    Finding(
        "It composes.",
        "unseen pairs right after pairs and single stripes {fig4.both}, after single stripes alone {fig4.1d}.",
        ("fig4.both", "fig4.2d.compose"),
    ),
    Finding(
        "It interpolates badly.",
        "accuracy lost from narrow to wide gaps {fig11.fall}; lead over a copier in wide ones {fig11.wide}.",
        ("fig11.fall", "fig11.wide"),
    ),
    Finding(
        "Stripes make a need of N² images one of N.",
        "exponent of the need over N, bumps alone {fig5c.alone}, with stripes {fig5c.both.bumps}.",
        ("fig5c.alone", "fig5c.both.bumps"),
    ),
    Finding(
        "Accuracy sets in where images percolate.",
        "lead of the threshold over the better of two plainer laws, in ln(share): {fig6e.rivals}.",
        ("fig6e.percolation",),
    ),
)

#: What later papers find, which Parts II and III of the book take up.
SUCCESSORS = (
    Finding(
        "Knowing x and y apart is not enough to compose; rendering each is.",
        "error inside the square never shown, in blank images: perceptrons {render.depth}, a renderer with the "
        "paper's penalties {render.forced}, without {render.free}.",
        ("render.depth", "render.forced", "render.free"),
        (TOY,),
        "11-rendering",
    ),
    Finding(
        "A price on weighted activity makes modules.",
        "what it sorts beyond weight decay {modules.sorting}; noise as of spikes, beyond constant noise "
        "{modules.noise}.",
        ("modules.sorting", "modules.noise"),
        (TOY,),
        "12-modules",
    ),
    Finding(
        "The waves of an image are learned in the order of their variance, and in proportion to it.",
        "rank correlation of the order, in a perceptron {waves.order}; exponent on Gaussian images {waves.mlp}, in a "
        "UNet on bumps {waves.unet}.",
        ("waves.order", "waves.mlp"),
        (TOY,),
        "13-learned-first",
    ),
    Finding(
        "A diffusion model begins with mean and covariance, the outline of an image.",
        "what the Gaussian explains beyond the mean, earlier minus later in training {gauss.first}; slope of the time "
        "at which waves appear {gauss.outline}; share of the guess explained at moderate noise {gauss.range}.",
        ("gauss.first", "gauss.outline", "gauss.range"),
        (TOY,),
        "14-mean-and-covariance",
    ),
    Finding(
        "A generator learns a rule first and copies later; more data widen the window.",
        "seeds in which the window opens with the data {clocks.window}; in which a rule of more bits comes later "
        "{clocks.complexity}; in which a late rule is copies {clocks.late}.",
        ("clocks.window", "clocks.complexity"),
        (TOY,),
        "15-two-clocks",
    ),
    Finding(
        "Thousands of samples teach an abstract rule, a few hundred do not.",
        "last panels completed by the rule with many samples {rules.many}, with few {rules.few}; what few gain over "
        "many in drawing samples with a rule {rules.worse}.",
        ("rules.many", "rules.few"),
        (TOY,),
        "16-abstract-rules",
    ),
    Finding(
        "The relation in a prompt is learned last, and one head carries it.",
        "steps to the relation over steps to the binding {relations.order}; relations that turn with one head "
        "{relations.head}; scenes all right without places in the text {relations.bag.all}.",
        ("relations.order", "relations.head"),
        (TOY,),
        "17-relations",
    ),
)
