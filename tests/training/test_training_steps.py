"""Settings for another length of training, against the changes that chapters made by hand."""

import pytest

from bumplab.common.errors import BumplabError
from bumplab.training.settings import preset


@pytest.mark.parametrize("steps", [1, 5, 600, 1000, 4800])
@pytest.mark.parametrize("evaluations", [1, 6, 8, 12])
@pytest.mark.parametrize("name", ["quick", "paper"])
def test_the_run_has_the_name_of_the_one_with_changes_by_hand(steps, evaluations, name):
    before = preset(name, world={"sigma": 2}, seed=3)
    every = max(1, steps // evaluations)
    by_hand = before.replace(training={"steps": steps, "evaluate_every": every, "evaluate_on": 256})
    assert before.replace(training=before.training.for_steps(steps, evaluations)).id == by_hand.id


def test_a_recorded_run_keeps_its_name():
    before = preset("quick", world={"spacing": (0.5, 1), "held_out": "band_x(15.5, 16.5)"})
    assert before.replace(training=before.training.for_steps(600)).id == "8b9fcfe06748"


def test_other_settings_are_changed_along():
    training = preset("smoke").training
    assert training.snapshots == (0, 30) and training.for_steps(90).snapshots == (0, 30)
    assert training.for_steps(20, snapshots=(), evaluate_on=16).snapshots == ()
    with pytest.raises(BumplabError, match="a snapshot at step 30 lies after the last step 20"):
        training.for_steps(20)


def test_impossible_numbers_are_refused():
    with pytest.raises(BumplabError, match="once or more on the way, got 0"):
        preset("quick").training.for_steps(600, evaluations=0)
    with pytest.raises(BumplabError, match="greater than or equal to 1"):
        preset("quick").training.for_steps(0)
