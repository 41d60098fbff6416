"""The networks of the book, what each predicts, and how a measurement names one."""

from __future__ import annotations

from collections.abc import Mapping

from bumplab.common.errors import BumplabError, quote
from bumplab.training.presets import PRESETS

#: The networks of the book, from the smallest to the paper's: the columns of the scoreboard.
NETWORKS = ("quick", "laptop", "paper")
#: Whose verdicts answer the papers' findings side by side: these, and the bridge trained for the paper's target.
ANSWERING = ("quick", "laptop", "laptop-eps", "paper")
#: What a network may predict, the paper's target last.
TARGETS = ("x0", "v", "eps")
#: Other experiments on a network, shown beside its targets: they are no measurement of it and decide no verdict.
CONTROLS = ("regression", "pixels")
#: What chapters are tried on: it learns nothing, is in no column of the scoreboard, and decides beside no other.
TRIAL = "smoke"
#: The small networks of chapters about other papers, each trained for what it is asked: in no column either.
TOY = "toy"


def normalise_label(label: str) -> str:
    """Return the one label of a network, perhaps with a variant: what it predicts, or a control.

    Parameters
    ----------
    label : str
        ``"laptop"``, ``"laptop, eps"``, ``"laptop, regression"``, or the name of a preset, ``"laptop-eps"``.

    Returns
    -------
    str
        What the network's preset predicts anyway is left out.

    Raises
    ------
    BumplabError
        If there is no such network or variant.

    Examples
    --------
    >>> normalise_label("laptop-eps"), normalise_label("laptop, x0"), normalise_label("paper, eps")
    ('laptop, eps', 'laptop', 'paper')
    """
    parts = label.split("-" if label in PRESETS else ", ") if isinstance(label, str) else []
    network, variant = (*parts, "")[:2] if len(parts) in (1, 2) else ("", "")
    variants = TARGETS + CONTROLS
    if network not in (*NETWORKS, TRIAL, TOY) or (len(parts) == 2 and variant not in variants):
        raise BumplabError(
            f"there is no network {quote(label)}: use one of {', '.join(NETWORKS)}, "
            f"or such a name, a comma and one of {', '.join(variants)}."
        )
    return network if variant in ("", target_of(network)) else f"{network}, {variant}"


def normalise_place(place: str | tuple[str | None, str] | None, layer: str = "") -> tuple[str | None, str]:
    """Return the label of a place, see :func:`normalise_label`, None for no network; and its layer.

    Parameters
    ----------
    place : str, (str, str) or None
        A network, or a network and a layer.
    layer : str
        The layer of a place that names none.

    Raises
    ------
    BumplabError
        If the place is something else, or there is no such network.

    Examples
    --------
    >>> normalise_place("laptop-v", "up1"), normalise_place(("quick", "attention2"), "up1")
    (('laptop, v', 'up1'), ('quick', 'attention2'))
    """
    label, depth = place if isinstance(place, tuple) and len(place) == 2 else (place, layer)
    if not isinstance(label, str | None) or not isinstance(depth, str):
        raise BumplabError(f"name a network, or a network and a layer, not {quote(place)}.")
    return None if label is None else normalise_label(label), depth


def normalise_remarks(remarks: Mapping[str, str]) -> dict[str | None, str]:
    """Return what there is to say of the runs on each network, by its label, see :func:`normalise_label`.

    Raises
    ------
    BumplabError
        If this is no mapping, there is no such network, or one is named twice.

    Examples
    --------
    >>> normalise_remarks({"quick": "400 steps", "laptop-v": "2,000 steps"})
    {'quick': '400 steps', 'laptop, v': '2,000 steps'}
    """
    if not isinstance(remarks, Mapping):
        raise BumplabError(f"say of the runs a text, or one for each network, not {quote(remarks)}.")
    by_label: dict[str | None, str] = {normalise_label(label): text for label, text in remarks.items()}
    if len(by_label) < len(remarks):
        raise BumplabError(f"say one thing of the runs on each network, got {quote(list(remarks))}.")
    return by_label


def target_of(network: str, variant: str = "") -> str | None:
    """Return what a network predicts: the variant, if it is a target, without one what its preset says.

    Examples
    --------
    >>> target_of("laptop"), target_of("paper"), target_of("laptop", "v"), target_of("laptop", "regression")
    ('x0', 'eps', 'v', None)
    """
    variant = variant or PRESETS.get(network, {}).get("diffusion", {}).get("prediction_type", "eps")
    return variant if variant in TARGETS else None
