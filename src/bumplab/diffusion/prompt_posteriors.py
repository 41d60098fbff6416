"""What it is worth to hear a prompt, exactly: the best denoisers of those who hear all of it, parts, or nothing.

Scenes of two objects can be listed (:mod:`bumplab.worlds.relations`), so the law of images given any knowledge of the
prompt is a finite mixture, and the mean of a clean image a weighted sum. The difference of two errors is what a piece
of knowledge is worth at a level of noise: a prediction of what pays first, without any network. The task is that of
arXiv:2601.06338.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch

from bumplab.diffusion.bit_posteriors import memorised_mean
from bumplab.worlds.prompts import COLOURS, RELATIONS, Prompt
from bumplab.worlds.relations import RelationWorld


def _shape_of(prompt: Prompt, colour: str) -> str:
    return prompt.shape if prompt.colour == colour else prompt.other_shape


def _from_red(prompt: Prompt) -> str:
    return prompt.relation if prompt.colour == COLOURS[0] else prompt.turned().relation


#: What one may know of a prompt, to what is the same for two prompts that one cannot tell apart.
KNOWLEDGE: dict[str, Callable[[Prompt], Hashable]] = {
    "nothing": lambda prompt: (),
    "shapes": lambda prompt: frozenset((prompt.shape, prompt.other_shape)),
    "binding": lambda prompt: tuple(_shape_of(prompt, colour) for colour in COLOURS),
    "relation": _from_red,
    "words": lambda prompt: tuple(sorted(prompt.words())),
    "prompt": lambda prompt: (*(_shape_of(prompt, colour) for colour in COLOURS), _from_red(prompt)),
}


def prompt_mean(
    world: RelationWorld, prompts: Sequence[Prompt], noisy: torch.Tensor, sigma: float, knowledge: str = "prompt"
) -> torch.Tensor:
    """Return the mean of clean images, given noisy ones and what is known of their prompts.

    Parameters
    ----------
    world : RelationWorld
    prompts : sequence of Prompt, n
    noisy : torch.Tensor, (n, 5 size^2)
        Clean images plus noise of standard deviation sigma.
    sigma : float
    knowledge : str
        One of :data:`KNOWLEDGE`: ``"nothing"``; which two ``"shapes"``; also which of them is red, ``"binding"``; where
        red lies from blue, ``"relation"``; all ``"words"``, but not their order; or the whole ``"prompt"``.

    Returns
    -------
    torch.Tensor, (n, 5 size^2), float64

    Examples
    --------
    >>> world = RelationWorld(size=2)
    >>> prompts, images = world.draw_scenes(1)
    >>> prompt_mean(world, prompts, images.flatten(1), sigma=0.1).round().equal(images.flatten(1).double())
    True
    """
    same = KNOWLEDGE[knowledge]
    rows: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompts):
        rows.setdefault(same(prompt), []).append(row)
    mean = torch.empty(noisy.shape, dtype=torch.float64)
    for known, group in rows.items():
        images, shares = world.mixture([each for each in world.prompts() if same(each) == known])
        mean[group] = memorised_mean(noisy[group].double() / sigma**2, images, shares)
    return mean


def prompt_errors(world: RelationWorld, sigma: float, scenes: int = 480, seed: int = 0) -> dict[str, float]:
    """Return the squared error of an image, a sum over its numbers, for each of :data:`KNOWLEDGE`.

    Parameters
    ----------
    world : RelationWorld
    sigma : float
        Noise over signal.
    scenes : int
        Over so many, the same ones at each sigma.
    seed : int

    Examples
    --------
    >>> errors = prompt_errors(RelationWorld(size=2), sigma=1.0, scenes=50)
    >>> errors["prompt"] < errors["words"] < errors["nothing"]
    True
    """
    prompts, images = world.draw_scenes(scenes, seed)
    clean = images.flatten(1).double()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noisy = clean + sigma * noise
    return {
        name: float((prompt_mean(world, prompts, noisy, sigma, name) - clean).square().sum(1).mean())
        for name in KNOWLEDGE
    }


def prompt_scores(world: RelationWorld, knowledge: str) -> dict[str, float]:
    """Return what images score, exactly, that are drawn from the law of those who know so much of the prompt.

    For one who knows all words but not their order, this is as well as any network can draw that hears no order.

    Parameters
    ----------
    world : RelationWorld
    knowledge : str
        One of :data:`KNOWLEDGE`.

    Returns
    -------
    dict of str to float
        Means over the prompts, of ``"shapes"``: both are those that the prompt names; and of what
        :meth:`~bumplab.worlds.relations.RelationWorld.score` counts.

    Examples
    --------
    >>> prompt_scores(RelationWorld(size=3), "words")
    {'shapes': 1.0, 'binding': 0.5, 'relation': 0.5, 'loose': 0.5, 'all': 0.25}
    """
    same, prompts = KNOWLEDGE[knowledge], world.prompts()
    images = torch.cat([world.images(each)[:1] for each in prompts])
    totals: dict[str, float] = {}
    for prompt in prompts:
        rows = [row for row, each in enumerate(prompts) if same(each) == same(prompt)]
        pairs = [KNOWLEDGE["shapes"](prompts[row]) == KNOWLEDGE["shapes"](prompt) for row in rows]
        scores = {"shapes": torch.tensor(pairs), **world.score(images[rows], [prompt] * len(rows))}
        for name, each in scores.items():
            totals[name] = totals.get(name, 0.0) + float(each.double().mean()) / len(prompts)
    return {name: round(total, 9) for name, total in totals.items()}


def apart_scores(world: RelationWorld, knowledge: str = "prompt") -> dict[str, dict[str, float]]:
    """Return what whole scenes score, exactly, whose objects are put each by itself.

    Each goes where what is known of the prompt allows it, as often as in the world, but neither knows where the other
    one is.

    Parameters
    ----------
    world : RelationWorld
    knowledge : str
        One of :data:`KNOWLEDGE`, such as the whole ``"prompt"``, or its ``"words"`` without their order.

    Returns
    -------
    dict of str to dict
        Relation to the share of whole scenes in which it holds, ``"relation"`` strictly and ``"loose"``.

    Examples
    --------
    >>> scores = apart_scores(RelationWorld(size=3))
    >>> {name: round(share, 2) for name, share in scores["left"].items()}
    {'relation': 0.31, 'loose': 0.92}
    >>> apart_scores(RelationWorld(size=3), "words")["left"]["relation"]
    0.125
    """
    same, cells = KNOWLEDGE[knowledge], torch.cartesian_prod(torch.arange(world.size), torch.arange(world.size))
    between = (cells[:, None] - cells[None]).sign()
    scores: dict[str, dict[str, float]] = {}
    for name, prompt in {each.relation: each for each in world.prompts() if each.colour == COLOURS[0]}.items():
        laws = torch.zeros(2, len(cells), dtype=torch.float64)
        for each in world.prompts():
            if same(each) == same(prompt):
                pairs = world.places(each.relation) @ torch.tensor([[world.size, 0], [1, 0], [0, world.size], [0, 1]])
                red = COLOURS.index(each.colour)
                for law, column in zip(laws, (pairs[:, red], pairs[:, 1 - red]), strict=True):
                    law += torch.bincount(column, minlength=len(cells)) / len(pairs)
        joint = torch.outer(*laws).fill_diagonal_(0)
        signs = torch.tensor(RELATIONS[name])
        right = between == signs
        loose = right | (signs == 0)
        for kind, holds in (("relation", right), ("loose", loose)):
            scores.setdefault(name, {})[kind] = float(joint[holds.all(2)].sum() / joint.sum())
    return scores
