"""The papers whose claims the book tests, by the short names that stand before a claim."""

from __future__ import annotations

from typing import NamedTuple

from bumplab.common.errors import BumplabError, quote


class Paper(NamedTuple):
    """A paper, as it is cited: who, when, what, and its number on arXiv.

    Examples
    --------
    >>> print(PAPERS["LLF24"])
    Liang, Liu and Fiete (2024), Do Diffusion Models Learn Semantically Meaningful and Efficient Representations?
    """

    authors: str
    year: int
    title: str
    arxiv: str

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}), {self.title}"


#: In the order of the book.
PAPERS: dict[str, Paper] = {
    "LLF24": Paper(
        "Liang, Liu and Fiete",
        2024,
        "Do Diffusion Models Learn Semantically Meaningful and Efficient Representations?",
        "2402.03305",
    ),
    "LLOF24": Paper(
        "Liang, Liu, Ostrow and Fiete", 2024, "How Diffusion Models Learn to Factorize and Compose", "2408.13256"
    ),
    "LQZF25": Paper(
        "Liang, Qian, Ziyin and Fiete",
        2025,
        "Compositional Generalization via Forced Rendering of Disentangled Latents",
        "2501.18797",
    ),
    "QLF25": Paper(
        "Qian, Liang and Fiete",
        2025,
        "Modular Connectivity in Neural Networks Emerges from Poisson Noise-Motivated Regularisation, and Promotes "
        "Robustness and Compositional Generalisation",
        "2512.13707",
    ),
    "WP25": Paper(
        "Wang and Pehlevan",
        2025,
        "An Analytical Theory of Spectral Bias in the Learning Dynamics of Diffusion Models",
        "2503.03206",
    ),
    "WV23": Paper(
        "Wang and Vastola",
        2023,
        "Diffusion Models Generate Images Like Painters: an Analytical Theory of Outline First, Details Later",
        "2303.02490",
    ),
    "WV23b": Paper(
        "Wang and Vastola",
        2023,
        "The Hidden Linear Structure in Score-Based Models and Its Application",
        "2311.10892",
    ),
    "WV24": Paper(
        "Wang and Vastola",
        2024,
        "The Unreasonable Effectiveness of Gaussian Score Approximation for Diffusion Models and Its Applications",
        "2412.09726",
    ),
    "WFL26": Paper(
        "Wang, Finn and Liu",
        2026,
        "The Two Clocks and the Innovation Window: When and How Generative Models Learn Rules",
        "2605.10019",
    ),
    "WSS24": Paper(
        "Wang, Shang and Sompolinsky",
        2024,
        "Diverse Capability and Scaling of Diffusion and Auto-Regressive Models When Learning Abstract Rules",
        "2411.07873",
    ),
    "WFP26": Paper(
        "Wang, Fan and Pan",
        2026,
        "Circuit Mechanisms for Spatial Relation Generation in Diffusion Transformers",
        "2601.06338",
    ),
}


def paper_of(source: str) -> Paper:
    """Return the paper that the source of a claim, ``"LLOF24, Fig. 2"``, names first.

    Raises
    ------
    BumplabError
        If :data:`PAPERS` has no such short name.

    Examples
    --------
    >>> paper_of("LLOF24, Fig. 2; LLF24").arxiv
    '2408.13256'
    """
    key = source.partition(",")[0].partition(";")[0]
    if key not in PAPERS:
        raise BumplabError(f"There is no paper {quote(key)}: use one of {', '.join(PAPERS)}, or add it.")
    return PAPERS[key]
