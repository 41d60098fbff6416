"""Two objects in a relation, on a grid of cells: every scene can be listed.

The smallest version of the data of Wang, Fan and Pan, "Circuit mechanisms for spatial relation generation in diffusion
transformers" (arXiv:2601.06338): one red and one blue object of different shapes, in one of eight relations, all of
them equally often. Which of the two a prompt (:mod:`bumplab.worlds.prompts`) names first is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError, join_names, quote
from bumplab.worlds.prompts import COLOURS, RELATIONS, SHAPES, Prompt, all_prompts, prompts_with_same_words


class RelationWorld(FrozenConfig):
    """A grid of cells with a red and a blue object, each in one cell.

    An image has five channels: red, blue, disc, ring, cross; +1 in the cell of an object that is so, -1 elsewhere.

    Attributes
    ----------
    size : int
        Cells along each side, 2 to 16.
    subject : {"either", "red"}
        Which object a prompt names first. Where it is always the red one, a relation says which of the two is where
        without the order of words: a control.

    Examples
    --------
    >>> world = RelationWorld(size=4)
    >>> world.num_places("left"), world.num_places("upper-left"), world.num_scenes
    (24, 36, 1440)
    """

    size: Annotated[int, Field(ge=2, le=16)] = 8
    subject: Literal["either", "red"] = "either"

    def prompts(self) -> tuple[Prompt, ...]:
        """Return the prompts of this world.

        Examples
        --------
        >>> len(RelationWorld().prompts()), len(RelationWorld(subject="red").prompts())
        (96, 48)
        """
        return tuple(each for each in all_prompts() if self.subject in ("either", each.colour))

    def prompts_with_same_words(self, prompt: Prompt) -> list[Prompt]:
        """Return the prompts of this world that are made of the same words, in any order.

        Examples
        --------
        >>> from bumplab.worlds.prompts import parse_prompt
        >>> world, prompt = RelationWorld(subject="red"), parse_prompt("red disc left of blue ring")
        >>> [str(each) for each in world.prompts_with_same_words(prompt)]
        ['red disc left blue ring', 'red ring left blue disc']
        """
        return [each for each in prompts_with_same_words(prompt) if each in self.prompts()]

    def num_places(self, relation: str) -> int:
        """Return for how many pairs of cells a relation holds."""
        dx, dy = _signs(relation)
        line, side = self.size * (self.size - 1) // 2, self.size
        return line**2 if dx and dy else line * side

    @property
    def num_scenes(self) -> int:
        """How many images there are: pairs of cells, and six pairs of shapes."""
        cells = self.size**2
        return cells * (cells - 1) * len(SHAPES) * (len(SHAPES) - 1)

    def places(self, relation: str) -> torch.Tensor:
        """Return all pairs of cells in a relation: column and row of the first object, then of the other, (k, 4).

        Examples
        --------
        >>> RelationWorld(size=2).places("above").tolist()
        [[0, 0, 0, 1], [1, 0, 1, 1]]
        """
        return torch.from_numpy(_places(self.size, _signs(relation)))

    def render(self, prompt: Prompt, places: torch.Tensor) -> torch.Tensor:
        """Return images (n, 5, size, size) of a prompt's objects at places (n, 4)."""
        image = -torch.ones(len(places), len(COLOURS) + len(SHAPES), self.size, self.size)
        rows, first, other = torch.arange(len(places)), places[:, :2], places[:, 2:]
        for cell, words in ((first, prompt.words()[:2]), (other, prompt.words()[3:])):
            for word in words:
                image[rows, (*COLOURS, *SHAPES).index(word), cell[:, 1], cell[:, 0]] = 1
        return image

    def images(self, prompt: Prompt) -> torch.Tensor:
        """Return all images that a prompt asks for, (k, 5, size, size).

        Examples
        --------
        >>> from bumplab.worlds.prompts import parse_prompt
        >>> RelationWorld(size=4).images(parse_prompt("red disc left of blue ring")).shape
        torch.Size([24, 5, 4, 4])
        """
        return self.render(prompt, self.places(prompt.relation))

    def draw_scenes(self, n: int, seed: int = 0) -> tuple[list[Prompt], torch.Tensor]:
        """Return n prompts, all equally likely, and an image (n, 5, size, size) of each, places being uniform.

        Raises
        ------
        BumplabError
            Unless n is 1 to a million.

        Examples
        --------
        >>> prompts, images = RelationWorld(size=4).draw_scenes(3)
        >>> RelationWorld(size=4).score(images, prompts)["all"].tolist()
        [True, True, True]
        """
        if not 1 <= n <= 1_000_000:
            raise BumplabError(f"Draw 1 to 1,000,000 scenes, got {quote(n)}.")
        rng = np.random.default_rng([2601, self.size, seed])
        prompts = self.prompts()
        which, luck = rng.integers(len(prompts), size=n), rng.random(n)
        images = torch.empty(n, len(COLOURS) + len(SHAPES), self.size, self.size)
        for number, prompt in enumerate(prompts):
            rows = np.flatnonzero(which == number)
            places = self.places(prompt.relation)
            images[rows] = self.render(prompt, places[(luck[rows] * len(places)).astype(int)])
        return [prompts[number] for number in which], images

    def find_objects(self, images: torch.Tensor) -> torch.Tensor:
        """Return shape, column and row of the red object and of the blue one, (n, 2, 3); -1 unless one each is there.

        A channel is there where it is above 0. An object is a cell with one colour and one shape.

        Examples
        --------
        >>> from bumplab.worlds.prompts import parse_prompt
        >>> world, prompt = RelationWorld(size=4), parse_prompt("red disc left of blue ring")
        >>> world.find_objects(world.images(prompt)[:1]).tolist()
        [[[0, 0, 0], [1, 1, 0]]]
        """
        there = (images.flatten(2) > 0).long()
        colours, shapes = there[:, : len(COLOURS)], there[:, len(COLOURS) :]
        cell = colours.argmax(2)
        shape = shapes.argmax(1).gather(1, cell)
        single = (colours.sum(2) == 1).all(1) & (colours.sum(1) == shapes.sum(1)).all(1) & (cell[:, 0] != cell[:, 1])
        found = torch.stack([shape, cell % self.size, cell // self.size], 2)
        return torch.where(single[:, None, None], found, -1)

    def score(self, images: torch.Tensor, prompts: Sequence[Prompt]) -> dict[str, torch.Tensor]:
        """Return what of their prompts images (n, 5, size, size) show, each (n,) bool.

        Returns
        -------
        dict of str to torch.Tensor
            ``"binding"``: one red and one blue object, each of the shape that the prompt gives to it. ``"relation"``:
            these colours lie as they should, whatever their shapes. ``"loose"``: they lie in the direction that the
            prompt names, or in both, whatever the other direction is. ``"all"``: binding and relation.

        Examples
        --------
        >>> from bumplab.worlds.prompts import parse_prompt
        >>> world, prompt = RelationWorld(size=4), parse_prompt("red disc left of blue ring")
        >>> other = parse_prompt("red ring left of blue disc")
        >>> {name: each.tolist() for name, each in world.score(world.images(other)[:1], [prompt]).items()}
        {'binding': [False], 'relation': [True], 'loose': [True], 'all': [False]}
        """
        found = self.find_objects(images)
        rows, first = torch.arange(len(found)), torch.tensor([COLOURS.index(each.colour) for each in prompts])
        one, other = found[rows, first], found[rows, 1 - first]
        shapes = torch.tensor([[SHAPES.index(each.shape), SHAPES.index(each.other_shape)] for each in prompts])
        signs = torch.tensor([RELATIONS[each.relation] for each in prompts])
        single = one[:, 0] >= 0
        binding = single & (one[:, 0] == shapes[:, 0]) & (other[:, 0] == shapes[:, 1])
        right = (one - other)[:, 1:].sign() == signs
        relation, loose = single & right.all(1), single & (right | (signs == 0)).all(1)
        return {"binding": binding, "relation": relation, "loose": loose, "all": binding & relation}

    def mixture(self, prompts: Sequence[Prompt]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return all images of prompts, (K, 5 size^2), and how likely each is, (K,), where each prompt is as likely.

        With :func:`~bumplab.diffusion.bit_posteriors.memorised_mean` they are the exact denoiser of someone who knows
        that it is one of these prompts. Images that two of them share stand there twice.

        Examples
        --------
        >>> images, share = RelationWorld(size=4).mixture(all_prompts())
        >>> images.shape, round(share.sum().item(), 6)
        (torch.Size([2880, 80]), 1.0)
        """
        parts = [self.images(prompt).flatten(1) for prompt in prompts]
        shares = [torch.full((len(part),), 1 / len(part) / len(parts), dtype=torch.float64) for part in parts]
        return torch.cat(parts), torch.cat(shares)


@lru_cache(maxsize=256)
def _places(size: int, signs: tuple[int, int]) -> np.ndarray:
    cells = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1).reshape(-1, 2)
    first, other = (each.reshape(-1, 2) for each in np.broadcast_arrays(cells[:, None], cells[None]))
    holds = (np.sign(first - other) == signs).all(1)
    return np.concatenate([first[holds], other[holds]], 1)


def _signs(relation: str) -> tuple[int, int]:
    if relation not in RELATIONS:
        raise BumplabError(f"A relation is one of {join_names(RELATIONS, most=8)}, got {quote(relation)}.")
    return RELATIONS[relation]
