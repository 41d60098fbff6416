"""Rates of right images by a whole number, against pandas."""

import numpy as np
import pandas
import pytest
import torch

from bumplab.analysis.accuracy import CATEGORIES, score_images
from bumplab.common.errors import BumplabError
from bumplab.worlds.bumps import BumpWorld


@pytest.fixture(scope="module")
def evaluation():
    world = BumpWorld(size=16)
    mu = world.lattice()
    off = torch.randint(-2, 3, mu.shape, generator=torch.Generator().manual_seed(0))
    return score_images(world.render((mu + off).clamp(0, 15)), mu, world)


def test_right_is_the_category_of_that_name(evaluation):
    assert [CATEGORIES[code] == "right" for code in evaluation.category] == evaluation.right.tolist()
    assert 0 < evaluation.right.sum() < len(evaluation.right)


@pytest.mark.parametrize("most, least", [(4, 1), (9, 1), (6, 30)])
def test_rates_are_group_means(evaluation, most, least):
    key = torch.randint(0, 9, (256,), generator=torch.Generator().manual_seed(1)) ** 2 // 9
    groups = pandas.Series(evaluation.right.numpy(), dtype=float).groupby(key.clamp(max=most).numpy())
    expected = groups.mean().where(groups.size() >= least).reindex(range(most + 1)).to_numpy()
    rates = evaluation.rate_by(key, most, least)
    np.testing.assert_array_equal(rates, expected)
    assert np.isnan(rates).any() and np.isfinite(rates).any()


def test_as_many_images_as_asked_for_are_enough(evaluation):
    key = (torch.arange(256) >= 20).long()  # 20 zeros
    assert np.isnan(evaluation.rate_by(key, 1, 20)).tolist() == [False, False]
    assert np.isnan(evaluation.rate_by(key, 1, 21)).tolist() == [True, False]


@pytest.mark.parametrize("key", [torch.zeros(255, dtype=int), torch.zeros(256), torch.full((256,), -1)])
def test_keys_that_are_no_whole_numbers_are_refused(evaluation, key):
    with pytest.raises(BumplabError, match="a whole number from 0 on for each of 256 images"):
        evaluation.rate_by(key, 3)
