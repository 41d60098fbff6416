"""An exercise says whether an answer is right, never what is right."""

import numpy as np
import pytest

from bumplab.chapters import check_answer
from bumplab.common.errors import BumplabError


@pytest.mark.parametrize(
    "answer, truth, tolerance, verdict",
    [
        (0.25, 0.25, 0, "Right."),
        (0.26, 0.25, 0.01, "Right."),
        (0.27, 0.25, 0.01, "Not yet."),
        (np.float32(3), 3, 0, "Right."),
        ((1, 2), np.array([1.0, 2.0]), 0, "Right."),
        ([2, 1], [1, 2], 0, "Not yet."),
        (" Copier ", "copier", 0, "Right."),
        ("composer", "copier", 0, "Not yet."),
        (True, False, 0, "Not yet."),
        (float("nan"), 1.0, 9, "Not yet."),
        ([1], [1, 2], 0, "Not yet: the answer is 2 numbers, not [1]."),
        ("much", 1.0, 0, "Not yet: the answer is a number, not 'much'."),
        ("1", 1.0, 0, "Not yet: the answer is a number, not '1'."),
        (1, "copier", 0, "Not yet: the answer is a text, not 1."),
        (None, 1.0, 0, "No answer yet: put yours in place of None and run this cell again."),
    ],
)
def test_an_answer_is_judged(capsys, answer, truth, tolerance, verdict):
    check_answer(answer, truth, tolerance=tolerance)
    assert capsys.readouterr().out == f"{verdict}\n"


def test_nothing_is_computed_before_there_is_an_answer(capsys):
    check_answer(None, lambda: pytest.fail("computed"))
    check_answer(2, lambda: 2)
    assert capsys.readouterr().out.endswith("Right.\n")


def test_a_hint_stands_behind_a_wrong_answer_only(capsys):
    check_answer(1, 2, hint="Count the corners.")
    check_answer(2, 2, hint="Count the corners.")
    assert capsys.readouterr().out == "Not yet. Count the corners.\nRight.\n"


def test_a_negative_tolerance_is_refused():
    with pytest.raises(BumplabError, match="must not be negative, got -1"):
        check_answer(1, 1, tolerance=-1)
