"""The toy of relations: what its measures count, what a bag of words cannot do, stacks, and what is refused."""

from itertools import pairwise

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.bit_posteriors import bit_evidence, memorised_mean
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.prompt_posteriors import prompt_errors
from bumplab.runs.store import load_or_train
from bumplab.toys.relations import FILLER_PLACES, RelationSettings, put_filler
from bumplab.toys.states import init_toy
from bumplab.toys.trainer import toy_stacks, train_toy, train_toys
from bumplab.worlds.prompts import all_prompts, parse_prompt, prompts_with_same_words

SMALL = RelationSettings(
    num_train=40, width=16, depth=1, heads=2, steps=20, measure_every=10, batch=16, text={"width": 8}
)


def draw_exactly(monkeypatch, knows):
    """Let every network draw as the exact denoiser does that knows of a prompt that it is one of some."""

    def draw(self, weights, texts, seed, steps=20):
        diffusion = Diffusion(schedule="cosine", prediction_type="x0")
        mixtures = {text: self.world.mixture(knows(parse_prompt(text))) for text in set(texts)}

        def model(x, t, mu):
            evidence = bit_evidence(diffusion, x, t)
            said = [memorised_mean(each[None], *mixtures[text])[0] for each, text in zip(evidence, texts, strict=True)]
            return torch.stack(said).view_as(x)

        noise = torch.randn(len(texts), 5, 4, 4, generator=torch.Generator().manual_seed(seed))
        return diffusion.sample(model, torch.zeros(len(texts), 2), 4, steps, noise=noise)

    monkeypatch.setattr(RelationSettings, "draw", draw)


def test_the_exact_denoiser_of_a_prompt_measures_as_perfect(monkeypatch):
    draw_exactly(monkeypatch, lambda prompt: [prompt])
    samples = SMALL.measure(SMALL.init_weights())["samples"]
    assert {samples[name] for name in ("objects", "shapes", "binding", "relation", "all")} == {1.0}
    assert samples["copies"] < 0.1 and abs(samples["excess"]) < 0.06  # 40 of 1,440 scenes are training images


def test_the_exact_denoiser_of_a_bag_of_words_measures_as_its_ceilings(monkeypatch):
    draw_exactly(monkeypatch, prompts_with_same_words)
    samples = SMALL.measure(SMALL.init_weights())["samples"]
    assert samples["objects"] == samples["shapes"] == 1
    assert samples["binding"] == pytest.approx(0.5, abs=0.12)
    assert samples["all"] == pytest.approx(0.25, abs=0.1)


def test_one_who_copies_measures_as_such(monkeypatch):
    _, images = SMALL.training_scenes()
    monkeypatch.setattr(
        RelationSettings, "draw", lambda self, weights, texts, seed: images[torch.arange(len(texts)) % 40]
    )
    samples = SMALL.measure(SMALL.init_weights())["samples"]
    distinct = len(images.unique(dim=0))
    assert samples["copies"] == samples["objects"] == 1 and samples["excess"] == pytest.approx(1 - distinct / 1440)
    assert samples["all"] < 0.2


def test_the_best_error_falls_with_what_is_heard_and_is_that_of_the_listed_scenes():
    settings = RelationSettings(world={"size": 3})
    errors = [settings.best_error(name) for name in ("nothing", "shapes", "words", "prompt")]
    assert all(less < more for more, less in pairwise(errors))
    listed = [prompt_errors(settings.world, sigma, scenes=300) for sigma in (0.9, 1.4, 2.0)]
    for name, error in zip(("nothing", "shapes", "words", "prompt"), errors, strict=True):
        assert error == pytest.approx(sum(each[name] for each in listed) / 3 / (5 * 3**2), rel=0.1)
    assert settings.measure(settings.init_weights())["test"]["error"] > errors[0]


def test_an_untrained_network_draws_nothing_and_errs_as_a_blank():
    measured = SMALL.measure(SMALL.init_weights())
    assert measured["samples"]["all"] == 0 and measured["samples"]["objects"] < 0.05
    assert measured["test"]["error"] > 0.3


@pytest.mark.parametrize("positions", [True, False])
def test_without_places_in_its_text_prompts_of_the_same_words_are_the_same_prompt(positions):
    settings = SMALL.replace(text={"positions": positions})
    weights = {name: value + 0.1 * torch.randn_like(value) for name, value in settings.init_weights().items()}
    prompts = [str(each) for each in prompts_with_same_words(all_prompts()[0])]
    images = [settings.draw(weights, [text], seed=0) for text in prompts]
    same = all(torch.allclose(each, images[0], atol=1e-4) for each in images)
    assert same == (not positions)


def test_samples_are_images_and_the_codes_of_their_prompts():
    images, codes = SMALL.samples()
    prompts, same = SMALL.training_scenes()
    assert torch.equal(images, same)
    torch.testing.assert_close(codes, SMALL.encode([str(each) for each in prompts]))
    assert SMALL.world.score(images, prompts)["all"].all()


def test_a_member_of_a_stack_ends_where_it_ends_alone():
    members = [SMALL.replace(seed=seed, data_seed=seed) for seed in (0, 1)]
    assert [len(stack) for stack in toy_stacks(members)] == [2]
    together = list(train_toys([init_toy(each) for each in members], "cpu", progress=False))
    for each, state in zip(members, together, strict=True):
        alone = train_toy(each, "cpu", progress=False)
        assert alone.history["loss"][-1][1] == pytest.approx(state.history["loss"][-1][1], rel=1e-3)
        assert alone.history["loss"][-1][1] < alone.history["loss"][0][1]
        assert alone.history == train_toy(each, "cpu", progress=False).history


def test_the_store_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BUMPLAB_STORE", str(tmp_path))
    run = load_or_train(SMALL, device="cpu", progress=False)
    assert RelationSettings.from_record(run.settings.to_record()) == run.settings == SMALL
    assert run.settings.measure(run.parameters()) == run.scalars


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"width": 6}, "multiple of 4, got 6"),
        ({"heads": 3}, "heads of attention divide its width"),
        ({"world": {"size": 1}}, "greater than or equal to 2"),
        ({"text": {"mixing": "some"}}, "got 'some'"),
        ({"positions": "learned"}, "got 'learned'"),
    ],
)
def test_what_cannot_be_is_refused(changes, sentence):
    with pytest.raises(BumplabError, match=sentence):
        RelationSettings(**changes)


def test_a_filler_at_the_end_moves_no_word_and_one_in_the_middle_moves_two():
    prompt = all_prompts()[0]
    plain = SMALL.encode([str(prompt)])[0]
    middle, end = (SMALL.encode([put_filler(prompt, place)])[0] for place in FILLER_PLACES.values())
    assert torch.equal(end[:5], plain)
    assert torch.equal(middle[:3], plain[:3]) and not torch.allclose(middle[4:], plain[3:])


def test_where_red_is_always_first_training_and_measures_know_no_other_prompt():
    settings = SMALL.replace(world={"subject": "red"})
    prompts, _ = settings.training_scenes()
    assert {each.colour for each in prompts} == {"red"}
    images, codes = settings.samples()
    torch.testing.assert_close(codes, settings.encode([str(each) for each in prompts]))
    assert settings.measure(settings.init_weights())["samples"]["objects"] < 0.05
