"""Scenes against a list of all, the ceilings of a bag of words, and prompts that nobody understands."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.bit_posteriors import memorised_mean
from bumplab.worlds.prompts import (
    RELATIONS,
    SHAPES,
    VOCABULARY,
    all_prompts,
    parse_prompt,
    prompts_with_same_words,
    tokenize,
)
from bumplab.worlds.relations import RelationWorld

PROMPT = parse_prompt("red disc is left of the blue ring")


def relation_by_words(first, other):
    """Return the relation of two cells (column, row), from words alone."""
    side = "left" if first[0] < other[0] else "right" if first[0] > other[0] else ""
    height = "upper" if first[1] < other[1] else "lower" if first[1] > other[1] else ""
    if side and height:
        return f"{height}-{side}"
    return side or {"upper": "above", "lower": "below"}[height]


@pytest.mark.parametrize("size", [2, 4, 5])
def test_places_are_those_of_a_list_of_all_pairs_of_cells(size):
    world, cells = RelationWorld(size=size), list(itertools.product(range(size), repeat=2))
    listed = {name: set() for name in RELATIONS}
    for first, other in itertools.permutations(cells, 2):
        listed[relation_by_words(first, other)].add((*first, *other))
    for name, pairs in listed.items():
        assert {tuple(each) for each in world.places(name).tolist()} == pairs
        assert world.num_places(name) == len(pairs) == len(world.places(name))
    assert sum(map(len, listed.values())) * 6 == world.num_scenes


def test_all_images_of_all_prompts_are_all_scenes_each_twice():
    images, shares = RelationWorld(size=3).mixture(all_prompts())
    different, counts = images.unique(dim=0, return_counts=True)
    assert len(different) == RelationWorld(size=3).num_scenes and (counts == 2).all()
    assert shares.sum().item() == pytest.approx(1)


def test_a_scene_shows_what_its_prompt_says_and_what_the_turned_prompt_says():
    world = RelationWorld(size=5)
    prompts, images = world.draw_scenes(400, seed=1)
    assert world.score(images, prompts)["all"].all()
    assert world.score(images, [each.turned() for each in prompts])["all"].all()
    assert all(each.turned().turned() == each for each in prompts)
    again, same = world.draw_scenes(400, seed=1)
    assert again == prompts and torch.equal(images, same) and not torch.equal(images, world.draw_scenes(400)[1])


def test_relations_are_drawn_as_often():
    prompts, images = RelationWorld(size=4).draw_scenes(16_000)
    counts = np.unique([each.relation for each in prompts], return_counts=True)[1]
    assert len(counts) == 8 and ((counts - 2000) ** 2 / 2000).sum() < 26  # chi-square, 7 degrees: 0.9995
    of_one = images[[each == PROMPT for each in prompts]]
    assert len(of_one.unique(dim=0)) == 24  # all places of "left" on a grid of 4


def test_an_image_gives_back_its_objects_and_anything_else_gives_none():
    world = RelationWorld(size=4)
    image = world.render(PROMPT, torch.tensor([[0, 2, 3, 2]]))
    assert world.find_objects(image).tolist() == [[[0, 0, 2], [1, 3, 2]]]
    assert world.find_objects(0.4 * image).tolist() == world.find_objects(image).tolist()
    for channel, row, column in itertools.product(range(5), range(4), range(4)):
        broken = image.clone()
        broken[0, channel, row, column] *= -1  # one bit flipped: no two whole objects are left
        assert (world.find_objects(broken) == -1).all()
        assert not any(each.any() for each in world.score(broken, [PROMPT]).values())


def test_a_bag_of_words_leaves_four_scenes_and_its_ceilings():
    world = RelationWorld(size=4)
    for prompt in all_prompts():
        bag = prompts_with_same_words(prompt)
        assert len(bag) == 4
        images = torch.cat([world.images(each) for each in bag])
        scores = world.score(images, [prompt] * len(images))
        assert scores["binding"].float().mean() == 0.5 and scores["all"].float().mean() == 0.25
        assert scores["all"][scores["binding"]].float().mean() == 0.5


def test_knowing_more_of_the_prompt_lowers_the_error_and_the_gains_are_those_of_the_page():
    world, sigma = RelationWorld(size=8), 1.4  # noise over signal of images of -1 and 1; of 0 and 1 it would be 0.7
    prompts, images = world.draw_scenes(60, seed=2)
    clean = images.flatten(1)
    evidence = (clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))) / sigma**2
    first = [each for each in all_prompts() if each.colour == "red"]  # each scene once
    everything, shares = world.mixture(first)
    errors = {"nothing": ((memorised_mean(evidence, everything, shares) - clean) ** 2).sum(1).mean() / 4}
    for name, choose in (("bag", prompts_with_same_words), ("prompt", lambda prompt: [prompt])):
        guesses = [
            memorised_mean(each[None], *world.mixture(choose(prompt)))[0]
            for each, prompt in zip(evidence, prompts, strict=True)
        ]
        errors[name] = ((torch.stack(guesses) - clean) ** 2).sum(1).mean() / 4
    assert errors["prompt"] < errors["bag"] < errors["nothing"]
    assert errors["nothing"] == pytest.approx(3.41, abs=0.25)
    assert errors["nothing"] - errors["prompt"] == pytest.approx(0.17 + 0.16 + 0.41, abs=0.25)


def test_shares_weigh_strings_as_repetition_does():
    strings = torch.tensor([[1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]])
    evidence = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    shares = torch.tensor([0.5, 0.25, 0.25])
    torch.testing.assert_close(
        memorised_mean(evidence, strings, shares), memorised_mean(evidence, strings[[0, 0, 1, 2]])
    )


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: parse_prompt("red disc beside blue ring"), "A relation is one of left, right, .*got 'beside'"),
        (lambda: parse_prompt("green disc left of blue ring"), "A colour is one of red, blue, got 'green'"),
        (lambda: parse_prompt("red star left of blue ring"), "A shape is one of disc, ring, cross, got 'star'"),
        (lambda: parse_prompt("disc red left blue ring"), "A colour is one of red, blue, got 'disc'"),
        (lambda: parse_prompt("red disc left"), "such as 'red disc left of blue ring', got 'red disc left'"),
        (lambda: tokenize("red disc near"), "Prompts are made of red, blue, disc.*got 'near'"),
        (lambda: parse_prompt("red disc left red ring"), "differ in colour and in shape"),
        (lambda: parse_prompt("red disc left blue disc"), "differ in colour and in shape"),
        (lambda: RelationWorld().places("near"), "A relation is one of left.*got 'near'"),
        (lambda: RelationWorld(size=1), "greater than or equal to 2"),
        (lambda: RelationWorld().draw_scenes(0), "Draw 1 to 1,000,000 scenes"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()


def test_there_are_as_many_prompts_as_words_allow():
    assert len(all_prompts()) == 2 * len(SHAPES) * (len(SHAPES) - 1) * len(RELATIONS)
    assert {parse_prompt(str(each)) for each in all_prompts()} == set(all_prompts())


def test_tokens_give_back_the_text():
    text = "the red disc is left of a blue ring"
    assert " ".join(VOCABULARY[token] for token in tokenize(text)) == text and len(set(VOCABULARY)) == len(VOCABULARY)


@pytest.mark.parametrize(
    ("relation", "directions"),
    [
        ("left", {"left", "upper-left", "lower-left"}),
        ("above", {"above", "upper-left", "upper-right"}),
        ("lower-right", {"lower-right"}),
    ],
)
def test_the_loose_score_asks_for_the_direction_that_is_named_and_no_other(relation, directions):
    world = RelationWorld(size=3)
    scenes = {other: world.images(replace(PROMPT, relation=other)) for other in RELATIONS}
    prompt = replace(PROMPT, relation=relation)
    scores = {other: world.score(images, [prompt] * len(images))["loose"] for other, images in scenes.items()}
    assert {other for other, score in scores.items() if score.all()} == directions
    assert {other for other, score in scores.items() if score.any()} == directions


def test_where_red_is_always_first_two_scenes_share_their_words():
    world = RelationWorld(size=3, subject="red")
    assert len(world.prompts()) == 48
    assert all(len(world.prompts_with_same_words(each)) == 2 for each in world.prompts())
