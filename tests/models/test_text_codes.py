"""Codes of words: what a bag cannot tell, and what a causal code has not heard."""

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.models.text_codes import TextEncoder

TOKENS = torch.tensor([[0, 2, 5, 1, 3], [1, 3, 5, 0, 2], [1, 2, 6, 0, 3]])


@pytest.mark.parametrize("mixing", ["none", "both", "causal"])
@pytest.mark.parametrize("positions", [True, False])
def test_without_places_a_permutation_of_words_permutes_codes_and_with_them_not(positions, mixing):
    encoder = TextEncoder(width=32, positions=positions, mixing=mixing)
    order = torch.tensor([3, 0, 4, 2, 1])
    bag = torch.allclose(encoder(TOKENS[:, order]), encoder(TOKENS)[:, order], atol=1e-5)
    assert bag == (not positions and mixing != "causal")


@pytest.mark.parametrize("mixing, hears", [("none", (2, 2)), ("both", (0, 4)), ("causal", (2, 4))])
def test_a_changed_word_is_heard_where_it_should_be(mixing, hears):
    encoder = TextEncoder(width=32, mixing=mixing)
    other = TOKENS.clone()
    other[:, 2] += 1
    changed = (encoder(other) - encoder(TOKENS)).abs().amax((0, 2)) > 1e-4
    first, last = hears
    assert changed.tolist() == [first <= place <= last for place in range(5)]


def test_codes_are_frozen_and_of_their_seed():
    encoder = TextEncoder(width=32, mixing="both")
    assert torch.equal(encoder(TOKENS), encoder(TOKENS))
    assert not torch.allclose(encoder(TOKENS), encoder.replace(seed=1)(TOKENS))
    torch.testing.assert_close(encoder(TOKENS).square().mean(2), torch.ones(3, 5))
    same = TextEncoder(width=32, positions=False)(TOKENS)
    assert torch.equal(same[0, 0], same[1, 3]) and abs(torch.cosine_similarity(same[0, 0], same[0, 1], 0)) < 0.7


def test_random_attention_picks_some_words_rather_than_all_alike():
    encoder = TextEncoder(width=64, mixing="both")
    base = encoder(TOKENS)
    moves = []
    for place in range(5):
        other = TOKENS.clone()
        other[:, place] = 9
        moves.append((encoder(other) - base).square().mean(2)[:, [k for k in range(5) if k != place]].flatten())
    moves = torch.stack(moves)
    assert moves.max() > 4 * moves.median()


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: TextEncoder(width=5), "multiple of 2"),
        (lambda: TextEncoder(mixing="some"), "got 'some'"),
        (lambda: TextEncoder()(torch.tensor([[1000]])), "Tokens are 0 to 999, got 1000 to 1000"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()
