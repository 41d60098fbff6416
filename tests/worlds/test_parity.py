"""Strings of even parity against lists of all strings, and what is refused."""

import itertools

import numpy as np
import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.worlds.parity import ParityWorld, decode_bits, find_copies

SIZES = [(4, 2), (6, 2), (6, 3), (8, 4), (6, 6), (12, 3), (5, 0)]


def every_string(bits):
    return np.array(list(itertools.product([-1, 1], repeat=bits)))


def obeys(string, group):
    return not group or all(np.prod(string[k : k + group]) == 1 for k in range(0, len(string), group))


@pytest.mark.parametrize("bits, group", SIZES)
def test_the_valid_strings_are_those_that_a_list_of_all_leaves(bits, group):
    world, strings = ParityWorld(bits=bits, group=group), every_string(bits)
    right = np.array([obeys(string, group) for string in strings])
    assert world.num_valid == right.sum() and world.chance == right.mean()
    np.testing.assert_array_equal(world.is_valid(torch.from_numpy(strings)).numpy(), right)
    listed = {tuple(string) for string in world.all_valid().int().tolist()}
    assert listed == {tuple(string) for string in strings[right].tolist()} and len(listed) == world.num_valid


@pytest.mark.parametrize("bits, group, valid", [(16, 2, 256), (16, 4, 4096), (16, 8, 16384), (36, 36, 2**35)])
def test_counts_of_the_paper(bits, group, valid):
    assert ParityWorld(bits=bits, group=group).num_valid == valid
    assert ParityWorld(bits=36, group=2).num_valid == 262_144


@pytest.mark.parametrize("group", [0, 2, 4, 12, 36])
def test_draws_are_different_valid_and_of_their_seed(group):
    world = ParityWorld(bits=36, group=group)
    strings = world.draw_strings(1000, seed=3)
    assert len(strings.unique(dim=0)) == 1000 and world.is_valid(strings).all()
    assert torch.equal(strings, world.draw_strings(1000, seed=3))
    assert not torch.equal(strings, world.draw_strings(1000, seed=4))
    assert strings.mean(0).abs().max() < 0.15  # five standard errors


def test_all_strings_can_be_drawn():
    world = ParityWorld(bits=8, group=2)
    assert len(world.draw_strings(16).unique(dim=0)) == 16


def test_copies_are_those_that_a_search_finds():
    world, training = ParityWorld(bits=12, group=3), ParityWorld(bits=12, group=3).draw_strings(60)
    strings = torch.from_numpy(every_string(12))
    expected = [any(np.array_equal(string, each) for each in training.numpy()) for string in strings.numpy()]
    assert find_copies(strings, training).tolist() == expected and sum(expected) == 60
    assert world.is_valid(strings[find_copies(strings, training)]).all()


def test_undecided_bits_make_a_string_invalid_and_no_copy():
    world = ParityWorld(bits=4, group=2)
    x = torch.tensor([[0.95, 1.09, -1.0, -0.91], [0.89, 1.0, 1.0, 1.0], [1.0, 1.0, -1.11, -1.0]])
    bits = decode_bits(x, 0.1)
    assert bits.tolist() == [[1, 1, -1, -1], [0, 1, 1, 1], [1, 1, 0, -1]]
    assert world.is_valid(bits).tolist() == [True, False, False]
    assert world.is_valid(decode_bits(x)).tolist() == [True, True, True]
    assert find_copies(bits, world.all_valid()).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: ParityWorld(bits=16, group=3), "Groups of 3 do not divide 16 bits: choose 2, 4, 8, 16, or 0"),
        (lambda: ParityWorld(bits=16, group=1), "Groups of 1 would leave one string"),
        (lambda: ParityWorld(bits=16, group=32), "Groups of 32 do not divide 16 bits"),
        (lambda: ParityWorld(bits=100), "less than or equal to 60"),
        (lambda: ParityWorld(bits="16"), "a number, neither text"),
        (lambda: ParityWorld(bits=8, group=2).draw_strings(17), "Only 16 strings of 8 bits in groups of 2 are valid"),
        (lambda: ParityWorld(bits=3, group=0).draw_strings(9), "Only 8 strings of 3 bits are valid, got 9 to draw"),
        (lambda: ParityWorld().draw_strings(0), "Draw 1 to 1,048,576 strings, got 0"),
        (lambda: ParityWorld(bits=36).replace(group=36).all_valid(), "At most 1,048,576 strings can be written out"),
    ],
)
def test_what_cannot_be_is_refused(make, sentence):
    with pytest.raises(BumplabError, match=sentence):
        make()
