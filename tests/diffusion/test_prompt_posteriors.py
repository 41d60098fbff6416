"""What it is worth to hear a prompt: against sums over all scenes, and in the limits of no noise and of much."""

import pytest
import torch

from bumplab.diffusion.prompt_posteriors import KNOWLEDGE, apart_scores, prompt_errors, prompt_mean, prompt_scores
from bumplab.worlds.prompts import Prompt, all_prompts
from bumplab.worlds.relations import RelationWorld

WORLD = RelationWorld(size=3)
#: Each knows all that the next one knows.
CHAINS = [("prompt", "binding", "shapes", "nothing"), ("prompt", "relation", "nothing"), ("prompt", "words", "nothing")]


@pytest.mark.parametrize("knowledge", KNOWLEDGE)
def test_means_are_those_of_a_sum_over_all_scenes(knowledge):
    prompts, images = WORLD.draw_scenes(5, seed=1)
    noisy = images.flatten(1).double() + 0.9 * torch.randn(5, 45, dtype=torch.float64)
    for prompt, y, mean in zip(prompts, noisy, prompt_mean(WORLD, prompts, noisy, 0.9, knowledge), strict=True):
        total, weight = torch.zeros(45, dtype=torch.float64), 0.0
        for each in all_prompts():
            if KNOWLEDGE[knowledge](each) != KNOWLEDGE[knowledge](prompt):
                continue
            scenes = WORLD.images(each).flatten(1).double()
            likelihood = torch.exp(-(y - scenes).square().sum(1) / 2 / 0.9**2) / len(scenes)
            total, weight = total + likelihood @ scenes, weight + likelihood.sum()
        torch.testing.assert_close(mean, total / weight)


def test_a_prompt_and_its_turn_are_the_same_knowledge_but_not_the_same_words():
    for prompt in all_prompts():
        same = {name for name, key in KNOWLEDGE.items() if key(prompt) == key(prompt.turned())}
        assert same == set(KNOWLEDGE) - {"words"}


def test_each_sort_of_knowledge_has_as_many_cases_as_it_should():
    cases = {name: len({key(each) for each in all_prompts()}) for name, key in KNOWLEDGE.items()}
    assert cases == {"nothing": 1, "shapes": 3, "binding": 6, "relation": 8, "words": 24, "prompt": 48}


def test_who_knows_more_errs_less_and_without_noise_nobody_errs():
    for sigma in (0.3, 1.0, 3.0):
        errors = prompt_errors(WORLD, sigma, scenes=300)
        for chain in (
            ("prompt", "binding", "shapes", "nothing"),
            ("prompt", "relation", "nothing"),
            ("prompt", "words", "nothing"),
        ):
            assert all(errors[one] <= errors[other] + 1e-9 for one, other in zip(chain, chain[1:], strict=False))
    assert max(prompt_errors(WORLD, 0.05, scenes=50).values()) < 1e-6


def test_where_the_subject_is_always_red_the_words_tell_the_relation():
    red = RelationWorld(size=3, subject="red")
    either, always = (prompt_errors(each, 3.0, scenes=400) for each in (WORLD, red))
    for errors in (either, always):
        assert errors["words"] > errors["prompt"]
    gains = [
        (errors["shapes"] - errors["words"]) / (errors["shapes"] - errors["prompt"]) for errors in (either, always)
    ]
    assert gains[1] > 2 * gains[0] > 0


def test_scores_of_a_bag_are_its_ceilings_and_those_of_guesses_are_chance():
    assert prompt_scores(WORLD, "words") == {"shapes": 1, "binding": 0.5, "relation": 0.5, "loose": 0.5, "all": 0.25}
    assert set(prompt_scores(WORLD, "prompt").values()) == {1.0}
    guess = prompt_scores(RelationWorld(size=4), "nothing")
    assert guess == pytest.approx({"shapes": 1 / 3, "binding": 1 / 6, "relation": 1 / 8, "loose": 1 / 4, "all": 1 / 48})
    red = prompt_scores(RelationWorld(size=3, subject="red"), "words")
    assert red == {"shapes": 1, "binding": 0.5, "relation": 1, "loose": 1, "all": 0.5}


@pytest.mark.parametrize("relation", ["left", "lower-right"])
def test_scores_of_objects_that_are_put_apart_are_those_of_a_draw(relation):
    prompt = Prompt("red", "disc", relation, "blue", "ring")
    places, generator = WORLD.places(relation), torch.Generator().manual_seed(0)
    first, other = (places[torch.randint(len(places), (20_000,), generator=generator)] for _ in range(2))
    drawn = torch.cat([first[:, :2], other[:, 2:]], 1)
    drawn = drawn[(drawn[:, :2] != drawn[:, 2:]).any(1)]
    score = WORLD.score(WORLD.render(prompt, drawn), [prompt] * len(drawn))
    exact = apart_scores(WORLD)[relation]
    assert {name: float(score[name].float().mean()) for name in exact} == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize("relation", ["left", "lower-right"])
def test_whoever_hears_no_order_puts_objects_apart_by_the_law_of_both_readings(relation):
    prompt = Prompt("red", "disc", relation, "blue", "ring")
    places, generator = WORLD.places(relation), torch.Generator().manual_seed(0)
    either = torch.cat([places, places[:, [2, 3, 0, 1]]])
    first, other = (either[torch.randint(len(either), (20_000,), generator=generator)] for _ in range(2))
    drawn = torch.cat([first[:, :2], other[:, 2:]], 1)
    drawn = drawn[(drawn[:, :2] != drawn[:, 2:]).any(1)]
    score = WORLD.score(WORLD.render(prompt, drawn), [prompt] * len(drawn))
    exact = apart_scores(WORLD, "words")[relation]
    assert {name: float(score[name].float().mean()) for name in exact} == pytest.approx(exact, abs=0.015)
