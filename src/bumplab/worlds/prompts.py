"""Prompts for two objects in a relation: "red disc left of blue ring".

Their words, what they ask for, and which prompts are made of the same words: a network that hears no order cannot tell
those apart. The task is that of "Circuit mechanisms for spatial relation generation in diffusion transformers"
(arXiv:2601.06338), where the object named first is either colour.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import torch

from bumplab.common.errors import BumplabError, join_names, quote

COLOURS, SHAPES = ("red", "blue"), ("disc", "ring", "cross")
#: Relations by the signs of what lies between the objects, columns then rows; rows count downwards.
RELATIONS = {
    "left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1),
    "upper-left": (-1, -1), "upper-right": (1, -1), "lower-left": (-1, 1), "lower-right": (1, 1),
}  # fmt: skip
#: Words of a prompt in its five places; a word's place in :data:`VOCABULARY` is its token.
PROMPT_WORDS = (COLOURS, SHAPES, tuple(RELATIONS), COLOURS, SHAPES)
#: Words that say nothing and may stand between others.
FILLERS = ("is", "of", "the", "a")
VOCABULARY = (*COLOURS, *SHAPES, *RELATIONS, *FILLERS)


@dataclass(frozen=True)
class Prompt:
    """What a prompt asks for: one object, its relation to the other, the other.

    Attributes
    ----------
    colour, shape, relation, other_colour, other_shape : str

    Examples
    --------
    >>> print(Prompt("red", "disc", "left", "blue", "ring"))
    red disc left blue ring
    """

    colour: str
    shape: str
    relation: str
    other_colour: str
    other_shape: str

    def words(self) -> tuple[str, ...]:
        """Return the five words."""
        return self.colour, self.shape, self.relation, self.other_colour, self.other_shape

    def __str__(self) -> str:
        return " ".join(self.words())

    def turned(self) -> Prompt:
        """Return the prompt that names the other object first, and asks for the same."""
        dx, dy = RELATIONS[self.relation]
        relation = next(name for name, signs in RELATIONS.items() if signs == (-dx, -dy))
        return Prompt(self.other_colour, self.other_shape, relation, self.colour, self.shape)


def parse_prompt(text: str) -> Prompt:
    """Return what a text asks for; fillers ("is", "of", "the", "a") are skipped.

    Raises
    ------
    BumplabError
        For an unknown word, a word in another's place, or objects of one colour or one shape.

    Examples
    --------
    >>> parse_prompt("the red disc is left of the blue ring").relation
    'left'
    >>> parse_prompt("red disc beside blue ring")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A relation is one of left, right, above, below, upper-left, upper-right, \
lower-left, lower-right, got 'beside'.
    """
    words = [word for word in text.lower().split() if word not in FILLERS]
    if len(words) != len(PROMPT_WORDS):
        raise BumplabError(f"A prompt is such as 'red disc left of blue ring', got {quote(text)}.")
    kinds = ("colour", "shape", "relation", "colour", "shape")
    for kind, right, word in zip(kinds, PROMPT_WORDS, words, strict=True):
        if word not in right:
            raise BumplabError(f"A {kind} is one of {join_names(right, most=8)}, got {quote(word)}.")
    prompt = Prompt(*words)
    if prompt.colour == prompt.other_colour or prompt.shape == prompt.other_shape:
        raise BumplabError(f"The two objects of a prompt differ in colour and in shape, got {quote(text)}.")
    return prompt


def tokenize(text: str) -> torch.Tensor:
    """Return the words of a text as places in :data:`VOCABULARY`, (L,): fillers are words, too.

    Raises
    ------
    BumplabError
        For an unknown word.

    Examples
    --------
    >>> tokenize("red disc left of blue ring").tolist()
    [0, 2, 5, 14, 1, 3]
    """
    for word in (words := text.lower().split()):
        if word not in VOCABULARY:
            raise BumplabError(f"Prompts are made of {join_names(VOCABULARY, most=20)}, got {quote(word)}.")
    return torch.tensor([VOCABULARY.index(word) for word in words], dtype=torch.int64)


@lru_cache
def all_prompts() -> tuple[Prompt, ...]:
    """Return all prompts: 2 colours for the first object, 6 pairs of shapes, 8 relations.

    Examples
    --------
    >>> len(all_prompts())
    96
    """
    return tuple(
        Prompt(*words) for words in itertools.product(*PROMPT_WORDS) if words[0] != words[3] and words[1] != words[4]
    )


def prompts_with_same_words(prompt: Prompt) -> list[Prompt]:
    """Return the prompts that are made of the same words, in any order: what a bag of words cannot tell apart.

    Examples
    --------
    >>> [str(each) for each in prompts_with_same_words(parse_prompt("red disc left of blue ring"))]
    ['red disc left blue ring', 'red ring left blue disc', 'blue disc left red ring', 'blue ring left red disc']
    """
    return [each for each in all_prompts() if sorted(each.words()) == sorted(prompt.words())]
