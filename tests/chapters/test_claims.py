"""Claims are judged by their numbers and found again in the notebooks that print them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from bumplab.chapters.claims import CLAIM_MIME, VERDICTS, Checker, check_claim
from bumplab.chapters.scoreboard import collect_claims
from bumplab.common.errors import BumplabError


def claim(values, name="fig2.betti1", **options):
    return check_claim(name, "The bump is found.", values, source="P1, Fig. 2", preset="quick", **options)


@pytest.mark.parametrize(
    "values, prediction, verdict",
    [
        ([0.99, 0.991, 0.99], {"at_least": 0.98}, "reproduced"),
        ([0.97, 1.0, 0.99], {"at_least": 0.98}, "partly"),  # the interval reaches below
        ([0.9, 0.91, 0.9], {"at_least": 0.98}, "not reproduced"),
        ([0.01, 0.012, 0.01], {"at_most": 0.05}, "reproduced"),
        ([0.01, 0.09, 0.01], {"at_most": 0.05}, "partly"),
        ([0.1, 0.12, 0.1], {"at_most": 0.05}, "not reproduced"),
        ([4.0, 4.1, 3.9], {"at_least": 3, "at_most": 5}, "reproduced"),
        ([4.0, 5.1, 3.9], {"at_least": 3, "at_most": 5}, "partly"),
        ([6.0, 6.1, 5.9], {"at_least": 3, "at_most": 5}, "not reproduced"),
        ([1.0], {"at_least": 0.5}, "partly"),  # a single seed proves nothing
        (1.0, {"at_least": 0.5}, "partly"),
        (0.4, {"at_least": 0.5}, "not reproduced"),
        ([1.0, 1.0, 1.0], {"at_least": 1.0}, "reproduced"),
        ([0.9951, 0.9949], {"at_least": 0.99, "digits": 3}, "reproduced"),
        ([0.9949, 0.9949], {"at_least": 0.995, "digits": 2}, "not reproduced"),  # judged as printed
    ],
)
def test_the_verdict_follows_from_the_numbers(values, prediction, verdict):
    assert claim(values, **prediction).verdict == verdict


def test_there_are_four_verdicts():
    assert VERDICTS == ("reproduced", "partly", "not reproduced", "undecided")


@pytest.mark.parametrize("values", [[], [float("nan")], [np.nan, np.inf], np.zeros(0), float("nan")], ids=str)
def test_a_claim_without_data_is_undecided_and_shown(values):
    made = claim(values, at_least=0.5)
    assert made.verdict == "undecided"
    assert (made.value, made.low, made.high, made.seeds) == (None, None, None, 0)
    assert str(made) == "UNDECIDED: The bump is found. Measured no value, claimed at least 0.5; quick."
    page = made._repr_mimebundle_()
    assert "claim-undecided" in page["text/html"] and json.loads(json.dumps(page))[CLAIM_MIME]["value"] is None


@pytest.mark.parametrize(
    "values, prediction, verdict",
    [
        ([0.85, 0.95, 0.9], {"at_least": 0.8, "tolerance": 0.1}, "undecided"),  # 0.90 [0.78, 1.02]
        ([0.85, 0.95, 0.9], {"at_least": 0.8, "tolerance": 0.01}, "partly"),
        ([0.85, 0.95, 0.9], {"at_least": 0.7, "tolerance": 0.05}, "reproduced"),
        ([0.85, 0.95, 0.9], {"at_least": 0.75, "tolerance": 0.05}, "undecided"),  # the lower end may leave the range
        ([0.85, 0.95, 0.9], {"at_least": 0.95, "tolerance": 0.05}, "undecided"),  # or the mean come into it
        ([0.85, 0.95, 0.9], {"at_least": 0.97, "tolerance": 0.05}, "not reproduced"),
        ([0.1, 0.1], {"at_most": 0.05, "tolerance": 0.05}, "undecided"),  # exactly at the tolerance
        ([0.3, 0.3], {"at_most": 0.2, "tolerance": 0.1}, "undecided"),  # 0.2 + 0.1 is above 0.3
        ([0.9, 0.9], {"at_least": 0.8, "tolerance": 0.1}, "undecided"),  # 0.8 + 0.1 is below 0.9
        ([0.1, 0.1], {"at_most": 0.05, "tolerance": 0.04}, "not reproduced"),
        ([4.0, 4.0], {"at_least": 3, "at_most": 5, "tolerance": 0.5}, "reproduced"),
        ([4.0, 4.0], {"at_least": 3, "at_most": 5, "tolerance": 1}, "undecided"),
        ([0.9], {"at_least": 0.5, "tolerance": 0.1}, "partly"),
    ],
)
def test_a_verdict_that_the_tolerance_could_change_is_undecided(values, prediction, verdict):
    assert claim(values, **prediction).verdict == verdict


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=5),
    st.floats(-1, 1),
    st.sampled_from([0, 0.01, 0.1, 0.5]),
    st.floats(-1, 1),
)
@settings(deadline=None)
def test_a_decided_verdict_holds_wherever_the_numbers_move(values, at_least, tolerance, move):
    """Moving a mean and both ends by the same step within the tolerance is moving every value by it."""
    made = claim(values, at_least=at_least, tolerance=tolerance, digits=12)
    moved = claim(np.add(values, move * tolerance), at_least=at_least, digits=12)
    assert made.verdict in ("undecided", moved.verdict)


def test_a_claim_says_what_its_tolerance_is():
    made = claim([0.9, 0.9], at_least=0.8, tolerance=0.1)
    assert (
        made.prediction() == "at least 0.8 (within 0.1 undecided)"
        and made._repr_mimebundle_()[CLAIM_MIME]["tolerance"] == 0.1
    )
    assert "tolerance" not in claim([0.9, 0.9], at_least=0.8)._repr_mimebundle_()[CLAIM_MIME]


@pytest.mark.parametrize("tolerance", [-0.1, float("nan")])
def test_an_impossible_tolerance_is_refused(tolerance):
    with pytest.raises(BumplabError, match=r"^Claim fig2.betti1: a tolerance is at least 0, got"):
        claim([1, 2], at_least=0, tolerance=tolerance)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
@settings(deadline=None)
def test_the_interval_is_students(values):
    made = claim(values, at_least=0, digits=6)
    spread = stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread) if spread else [np.mean(values)] * 2
    assert (made.low, made.high) == pytest.approx((low, high), abs=1e-6)
    assert made.value == pytest.approx(np.mean(values), abs=1e-6) and made.seeds == len(values)


def test_a_single_seed_has_no_interval():
    made = claim(0.123, at_least=0)
    assert made.value == made.low == made.high == 0.12 and made.seeds == 1
    assert made.measured() == "0.12 (1 seed)"


def test_values_are_rounded_and_never_minus_zero():
    assert str(claim([-0.0001, 0.0001], at_least=0).value) == "0.0"
    assert str(claim(-0.001, at_least=0).value) == "0.0"


@pytest.mark.parametrize(
    "prediction, words",
    [
        ({"at_least": 0.99}, "at least 0.99"),
        ({"at_most": 4}, "at most 4"),
        ({"at_least": 1, "at_most": 2}, "between 1 and 2"),
        ({"at_least": 0}, "at least 0"),
    ],
)
def test_the_prediction_in_words(prediction, words):
    assert claim([1, 2], **prediction).prediction() == words


def test_a_claim_prints_its_verdict_and_everything_behind_it():
    text = str(claim([0.99, 0.99], at_least=0.98, note="One note."))
    assert text == (
        "REPRODUCED: The bump is found. Measured 0.99 [0.99, 0.99] (2 seeds), claimed at least 0.98; quick. One note."
    )


@pytest.mark.parametrize("values", [[1, float("inf")], [float("nan"), 1]], ids=str)
def test_data_of_which_a_part_is_missing_are_refused(values):
    with pytest.raises(BumplabError, match=r"^Claim fig2.betti1: leave out values that are not finite and say so, got"):
        claim(values, at_least=0)


def test_a_claim_that_predicts_nothing_is_refused():
    with pytest.raises(BumplabError, match=r"^Claim fig2.betti1: say what is predicted"):
        claim(1.0)


def test_a_checker_holds_what_its_claims_share():
    ours = Checker(source="this book", preset="quick, five seeds")
    made = ours("a.b", "It holds.", [1, 2], at_least=0, note="Note.")
    expected = {"source": "this book", "preset": "quick, five seeds", "at_least": 0, "note": "Note."}
    assert made == check_claim("a.b", "It holds.", [1, 2], **expected)
    assert ours("a.b", "It holds.", [1, 2], at_most=0, preset="paper") == check_claim(
        "a.b", "It holds.", [1, 2], source="this book", preset="paper", at_most=0
    )
    assert ours("a.b", "It holds.", [], at_least=0).verdict == "undecided"


def test_text_in_a_claim_cannot_break_the_page():
    made = check_claim("a", "x < y & z", 1.0, source="<b>", preset="quick", at_least=0)
    page = made._repr_mimebundle_()["text/html"]
    assert "x &lt; y &amp; z" in page and "<b>" not in page


# ---------------------------------------------------------------- the scoreboard


def notebook(path, *claims):
    """Write a notebook that shows claims, as Jupyter saves them, among other cells."""
    shown = [{"output_type": "display_data", "metadata": {}, "data": made._repr_mimebundle_()} for made in claims]
    other = {"output_type": "stream", "name": "stdout", "text": ["12\n"]}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "metadata": {}, "source": [], "outputs": [other, *shown], "execution_count": 1},
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))


def test_claims_are_collected_in_reading_order(tmp_path):
    first, second, third = (claim([1, 2, 3], name=name, at_least=1.5) for name in ("b.one", "a.two", "c.three"))
    notebook(tmp_path / "02-training.ipynb", third)
    notebook(tmp_path / "01-worlds.ipynb", first, second)
    assert collect_claims(tmp_path).rows == [("01-worlds", first), ("01-worlds", second), ("02-training", third)]


def test_a_folder_without_claims_gives_none(tmp_path):
    notebook(tmp_path / "01-worlds.ipynb")
    assert collect_claims(tmp_path).rows == []


def test_two_claims_of_one_name_are_refused(tmp_path):
    notebook(tmp_path / "01-worlds.ipynb", claim(1.0, at_least=0))
    notebook(tmp_path / "02-training.ipynb", claim(2.0, at_least=0))
    with pytest.raises(BumplabError, match=r"^Claims need unique names; fig2.betti1 occurs twice\.$"):
        collect_claims(tmp_path)


def test_the_scoreboard_counts_and_filters_verdicts(tmp_path):
    good, half = claim([1, 1], name="good", at_least=0), claim(1.0, name="half", at_least=0)
    none = claim([], name="none", at_least=0)
    notebook(tmp_path / "01-worlds.ipynb", good, half, none)
    board = collect_claims(tmp_path)
    assert [board.count(verdict) for verdict in VERDICTS] == [1, 1, 0, 1]
    assert board.filter("undecided").rows == [("01-worlds", none)]
    assert board.filter("partly").rows == [("01-worlds", half)] and board.filter("all") == board
    assert board._repr_mimebundle_()["text/html"].count("<tr>") == 4  # the head and one for each claim
    with pytest.raises(BumplabError, match=r"^There is no verdict 'maybe': use all or one of reproduced, partly,"):
        board.filter("maybe")


@pytest.mark.parametrize("values, tolerance", [([1, 2], 0), ([1, 2], 0.5), ([], 0)])
def test_a_claim_travels_in_the_output_as_data(values, tolerance):
    made = claim(values, at_least=1, tolerance=tolerance)
    data = json.loads(json.dumps(made._repr_mimebundle_()))
    assert type(made)(**data[CLAIM_MIME]) == made and data["text/plain"] == str(made)
