"""Claims are judged by their numbers, on every network, and found again in the notebooks that print them."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from bumplab.chapters.claims import CLAIM_MIME, KINDS, Checker, Claim, check_claim
from bumplab.chapters.measurements import VERDICTS, measure
from bumplab.chapters.networks import CONTROLS, NETWORKS, TARGETS, target_of
from bumplab.chapters.ranges import Range
from bumplab.chapters.scoreboard import COLUMNS, Scoreboard, collect_claims
from bumplab.common.errors import BumplabError
from bumplab.training.presets import PRESETS
from bumplab.training.settings import preset


def claim(values, name="fig2.betti1", kind="paper", network="quick", **options):
    if isinstance(values, dict) or kind == "mathematics":
        network = None
    return check_claim(
        name, "The bump is found.", values, source="P1, Fig. 2", kind=kind, network=network, **options
    )  # fmt: skip


# ---------------------------------------------------------------- one measurement


@pytest.mark.parametrize(
    "values, request_, verdict",
    [
        ([0.99, 0.991, 0.99], {"at_least": 0.98}, "holds"),
        ([0.97, 1.0, 0.99], {"at_least": 0.98}, "undecided"),  # the interval reaches below
        ([0.9, 1.0, 0.9], {"at_least": 0.98}, "undecided"),  # the mean is outside, the interval reaches inside
        ([0.9, 0.91, 0.9], {"at_least": 0.98}, "fails"),
        ([0.01, 0.012, 0.01], {"at_most": 0.05}, "holds"),
        ([0.01, 0.09, 0.01], {"at_most": 0.05}, "undecided"),
        ([0.1, 0.12, 0.1], {"at_most": 0.05}, "fails"),
        ([4.0, 4.1, 3.9], {"at_least": 3, "at_most": 5}, "holds"),
        ([4.0, 5.1, 3.9], {"at_least": 3, "at_most": 5}, "undecided"),
        ([1.0, 4.0, 7.0], {"at_least": 3, "at_most": 5}, "undecided"),  # out at both ends
        ([6.0, 6.1, 5.9], {"at_least": 3, "at_most": 5}, "fails"),
        ([1.0], {"at_least": 0.5}, "undecided"),  # fewer than three seeds decide nothing
        (1.0, {"at_least": 0.5}, "undecided"),
        (0.4, {"at_least": 0.5}, "undecided"),
        ([0.4, 0.4], {"at_least": 0.5}, "undecided"),
        ([1.0, 1.0, 1.0], {"at_least": 1.0}, "holds"),
        ([0.9951, 0.9949, 0.995], {"at_least": 0.99, "digits": 3}, "holds"),
        ([0.9949] * 3, {"at_least": 0.995, "digits": 2}, "fails"),  # judged as printed
    ],
)
def test_the_verdict_follows_from_the_numbers(values, request_, verdict):
    assert claim(values, **request_).verdict == verdict


@pytest.mark.parametrize("value, verdict", [(0.5, "holds"), (0.49, "fails")])
def test_one_value_in_which_nothing_is_random_decides(value, verdict):
    theory = claim([value], at_least=0.5, random=False).headline
    assert (theory.verdict, theory.low, theory.high, theory.seeds) == (verdict, value, value, 1)
    assert theory.words() == f"{value} (nothing is random)" and not theory.ends()
    with pytest.raises(BumplabError, match="one value, got"):
        claim([value] * 3, at_least=0.5, random=False)


def test_there_are_four_verdicts_and_three_kinds_of_claims():
    assert VERDICTS == ("holds", "undecided", "fails", "confounded") and KINDS == ("paper", "own", "mathematics")


@given(
    st.lists(st.floats(-1, 1), min_size=0, max_size=5),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted),
    st.sampled_from([0, 0.01, 0.1, 0.5]),
)
@settings(deadline=None)
def test_a_verdict_says_where_the_interval_lies(values, ends, tolerance):
    one = measure("quick", "", values, Range(*ends), tolerance=tolerance)
    if len(values) < 3:
        assert one.verdict == "undecided"
        return
    reaches = one.low <= ends[1] and one.high >= ends[0]
    inside = ends[0] <= one.low and one.high <= ends[1]
    assert (one.verdict != "fails") if reaches else (one.verdict != "holds")
    assert inside or one.verdict != "holds"
    if not tolerance:
        assert one.verdict == ("holds" if inside else "undecided" if reaches else "fails")


@pytest.mark.parametrize("values", [[], [float("nan")], [np.nan, np.inf], np.zeros(0), float("nan")], ids=str)
def test_a_claim_without_data_is_undecided_and_shown(values):
    made = claim(values, at_least=0.5)
    assert made.verdict == "undecided" and made.missing == NETWORKS
    assert (made.headline.value, made.headline.low, made.headline.high, made.headline.seeds) == (None, None, None, 0)
    assert str(made) == (
        "UNDECIDED: The bump is found. We ask for at least 0.5. Not measured on quick, laptop or paper."
    )
    page = made._repr_mimebundle_()
    assert "claim-undecided" in page["text/html"] and "not measured" in page["text/html"]
    assert json.loads(json.dumps(page))[CLAIM_MIME]["measurements"][0]["value"] is None


@pytest.mark.parametrize(
    "values, request_, verdict",
    [
        ([0.85, 0.95, 0.9], {"at_least": 0.7, "tolerance": 0.05}, "holds"),  # 0.90 [0.78, 1.02]
        ([0.85, 0.95, 0.9], {"at_least": 0.75, "tolerance": 0.05}, "undecided"),  # the lower end may leave the range
        ([0.85, 0.95, 0.9], {"at_least": 1.1, "tolerance": 0.05}, "fails"),
        ([0.85, 0.95, 0.9], {"at_least": 1.05, "tolerance": 0.05}, "undecided"),  # the upper end may come into it
        ([0.1] * 3, {"at_most": 0.05, "tolerance": 0.05}, "undecided"),  # exactly at the tolerance
        ([0.3] * 3, {"at_most": 0.2, "tolerance": 0.1}, "undecided"),  # 0.2 + 0.1 is above 0.3
        ([0.9] * 3, {"at_least": 0.8, "tolerance": 0.1}, "undecided"),  # 0.8 + 0.1 is below 0.9
        ([0.1] * 3, {"at_most": 0.05, "tolerance": 0.04}, "fails"),
        ([4.0] * 3, {"at_least": 3, "at_most": 5, "tolerance": 0.5}, "holds"),
        ([4.0] * 3, {"at_least": 3, "at_most": 5, "tolerance": 1}, "undecided"),
        ([0.9], {"at_least": 0.5, "tolerance": 0.1}, "undecided"),
    ],
)
def test_a_verdict_that_the_tolerance_could_change_is_undecided(values, request_, verdict):
    assert claim(values, **request_).verdict == verdict


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
    assert made.prediction() == "at least 0.8 (within 0.1 undecided)" and made.to_record()["tolerance"] == 0.1
    assert "tolerance" not in claim([0.9, 0.9], at_least=0.8).to_record()


def test_what_something_else_explains_is_confounded_and_says_why():
    reason = "Wide bumps are easier to place."
    made = claim({"quick": [1, 1, 1], "laptop": [0, 1, 0], "paper": [0, 0, 0]}, at_least=0.5, confounded=reason)
    assert [one.verdict for one in made.measurements] == ["confounded", "undecided", "fails"]
    assert f"Confounded: {reason}" in str(made) and reason in made._repr_mimebundle_()["text/html"]


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
@settings(deadline=None)
def test_the_interval_is_students(values):
    one = measure("quick", "", values, Range(0), digits=6)
    spread = stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread) if spread else [np.mean(values)] * 2
    assert (one.low, one.high) == pytest.approx((low, high), abs=1e-6) and one.interval == "Student"
    assert one.value == pytest.approx(np.mean(values), abs=1e-6) and one.seeds == len(values)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=30))
@settings(deadline=None)
def test_the_interval_of_yes_or_no_is_wilsons(values):
    one = measure("quick", "", values, Range(0.5), yes_no=True, digits=9)
    ends = stats.binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    assert (one.low, one.high) == pytest.approx((ends.low, ends.high), abs=1e-9) and one.interval == "Wilson"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.sampled_from([(0, 1), (-1, 1), (None, 1), (0, None)]))
@settings(deadline=None)
def test_no_interval_leaves_what_is_possible(values, limits):
    one = measure("quick", "", values, Range(0.5), limits)
    if one.seeds > 1:
        assert limits[0] is None or one.low >= limits[0]
        assert limits[1] is None or one.high <= limits[1]
        assert one.interval == "Student, cut at " + " and ".join(f"{end}" for end in limits if end is not None)


def test_a_single_seed_has_no_interval():
    one = claim(0.123, at_least=0).headline
    assert (one.value, one.low, one.high, one.seeds, one.interval) == (0.12, None, None, 1, "")
    assert one.words() == "0.12 (1 seed)"


def test_values_are_rounded_and_never_minus_zero():
    assert str(claim([-0.0001, 0.0001], at_least=0).headline.value) == "0.0"
    assert str(claim(-0.001, at_least=0).headline.value) == "0.0"
    assert str(claim([-0.0001, 0.123456], at_least=0).headline.values) == "(0.0, 0.12)"


@pytest.mark.parametrize(
    "request_, words",
    [
        ({"at_least": 0.99}, "at least 0.99"),
        ({"at_most": 4}, "at most 4"),
        ({"at_least": 1, "at_most": 2}, "between 1 and 2"),
        ({"at_least": 0}, "at least 0"),
    ],
)
def test_what_we_ask_for_in_words(request_, words):
    assert claim([1, 2], **request_).prediction() == words


# ---------------------------------------------------------------- several networks and layers


def test_the_networks_are_presets_in_their_order():
    assert [name for name in PRESETS if name in NETWORKS] == list(NETWORKS)


@pytest.mark.parametrize(
    "seeds, headline",
    [
        ({"quick": 5, "laptop": 3, "paper": 2}, "laptop"),
        ({"paper": 3, "quick": 5}, "paper"),
        ({"quick": 1, "laptop": 2}, "laptop"),  # no three seeds anywhere: the nearest with data
        ({"quick": 1, "laptop": 0}, "quick"),
        ({"quick": 0, "laptop": 0}, "laptop"),
        ({"laptop, eps": 3, "laptop": 5}, "laptop, eps"),  # nearer to the paper's network
        ({"laptop, v": 3, "laptop": 5}, "laptop, v"),
        ({"laptop, eps": 2, "laptop": 5}, "laptop"),
        ({"quick": 5, "laptop, regression": 5}, "quick"),  # a control decides nothing
        ({"laptop": 1, "paper, regression": 3}, "laptop"),
        ({"quick": 2, "paper, pixels": 5}, "quick"),
        ({"quick": 0, "laptop, regression": 5}, "quick"),  # not measured is no reason to take the control
        ({"laptop, regression": 5, "quick, regression": 5}, "laptop, regression"),  # it is about them alone
        ({"paper": 3, "paper, v": 3, "paper, x0": 5}, "paper"),  # its preset predicts eps
        ({"smoke": 5, "quick": 1}, "quick"),
        ({"smoke": 5}, "smoke"),
        ({"quick, v": 3}, "quick, v"),
    ],
)
def test_the_headline_is_that_of_the_network_nearest_to_the_papers(seeds, headline):
    assert claim({name: [1] * count for name, count in seeds.items()}, at_least=0).headline.label == headline


def test_the_headline_is_in_the_layer_that_is_named_first():
    values = {("quick", "attention2"): [0] * 5, ("quick", "up1"): [1] * 5, ("laptop", "up1"): [1] * 5}
    made = claim(values, at_least=0.5)
    assert (made.headline.label, made.headline.layer, made.verdict) == ("quick", "attention2", "fails")
    assert [one.verdict for one in made.measurements] == ["fails", "holds", "holds"] and made.missing == ("paper",)
    text, page = str(made), made._repr_mimebundle_()["text/html"]
    assert text.startswith("FAILS on quick, attention2: ") and "laptop, up1: 1 [1, 1] (5 seeds), holds" in text
    assert page.count("<tr>") == 3


def test_targets_are_ordered_towards_the_papers():
    assert TARGETS[-1] == "eps" == target_of("paper")


@pytest.mark.parametrize("name", PRESETS)
def test_a_network_predicts_what_the_settings_of_its_preset_say(name):
    target = preset(name).diffusion.prediction_type
    assert target_of(name) == target and target_of(name, "v") == "v" and target_of(name, CONTROLS[0]) is None
    assert measure(name, "", [1], Range(0)).target == target


def test_a_control_is_no_measurement_of_its_network():
    made = claim({"laptop": [0.9], "paper, regression": [0.1] * 3}, at_least=0.5)
    assert made.verdict == "undecided" and made.on("paper") is None and made.on("laptop").value == 0.9
    assert made.missing == ("quick", "paper") and "paper, regression: 0.1 [0.1, 0.1] (3 seeds), fails" in str(made)
    assert claim({"laptop, regression": [1] * 3}, at_least=0.5).missing == NETWORKS


@pytest.mark.parametrize(
    "given, label",
    [
        ("laptop-eps", "laptop, eps"),
        ("laptop, eps", "laptop, eps"),
        ("laptop, x0", "laptop"),
        ("paper, eps", "paper"),
        ("quick, v", "quick, v"),
        ("laptop, regression", "laptop, regression"),
    ],
)
def test_one_place_has_one_label(given, label):
    assert claim({given: [1]}, at_least=0, where={given: "here"}).headline.label == label
    assert claim({given: [1]}, at_least=0, where={label: "here"}).headline.where == "here"
    assert claim({label: [1]}, at_least=0, where={given: "here"}).headline.where == "here"
    with pytest.raises(BumplabError, match=rf"^Claim fig2.betti1: name {label}, up1 once, got it twice\.$"):
        claim({(given, "up1"): [1], label: [1]}, at_least=0, layer="up1")


def test_what_there_is_to_say_of_runs_may_be_shared_with_claims_on_other_networks():
    where = {"quick": "400 steps", "quick, v": "4,000 steps", "laptop-v": "2,000 steps"}
    made = claim({"quick": [1], "laptop": [1]}, at_least=0, where=where)
    assert [one.where for one in made.measurements] == ["400 steps", ""]


def test_a_network_without_values_is_named():
    made = claim({"quick": [1, 1, 1], "laptop": []}, at_least=0)
    assert made.missing == ("laptop", "paper") and "Not measured on laptop or paper." in str(made)
    assert "<th>laptop</th><td>not measured</td>" in made._repr_mimebundle_()["text/html"]


def test_mathematics_has_no_network():
    made = claim([1, 1, 1], kind="mathematics", at_least=1, where="rendered images")
    assert made.missing == () and str(made) == (
        "HOLDS: The bump is found. We ask for at least 1. no training: 1 [1, 1] (3 seeds), holds. Rendered images."
    )
    with pytest.raises(BumplabError, match=r"^Claim a: say on which network it was measured; only one of kind"):
        check_claim("a", "b", [1], kind="mathematics", source="P1", network="quick", at_least=0)
    with pytest.raises(BumplabError, match=r"^Claim a: say on which network it was measured; only one of kind"):
        check_claim("a", "b", [1], kind="paper", source="P1", at_least=0)


def test_what_there_is_to_say_of_runs_is_said_once():
    values = {"quick": [1], "laptop": [1], "paper": [1]}
    assert "Runs: on a CPU." in str(claim(values, at_least=0, where="on a CPU"))
    where = {"quick": "on a CPU", "laptop": "on a CPU", "paper": "on a GPU"}
    assert "quick and laptop: on a CPU. paper: on a GPU." in str(claim(values, at_least=0, where=where))


def test_a_claim_prints_its_verdict_and_everything_behind_it():
    assert str(claim([0.99, 0.99, 0.99], at_least=0.98, note="One note.")) == (
        "HOLDS on quick: The bump is found. We ask for at least 0.98. quick: 0.99 [0.99, 0.99] (3 seeds), holds. "
        "Not measured on laptop or paper. One note."
    )


@pytest.mark.parametrize(
    "values, options, words",
    [
        ([1, float("inf")], {"at_least": 0}, "leave out values that are not finite and say so, got"),
        ([float("nan"), 1], {"at_least": 0}, "leave out values that are not finite and say so, got"),
        (1.0, {}, "say what you ask for, with at_least or at_most"),
        ([1, 2], {"at_least": 0, "tolerance": -0.1}, "a tolerance is at least 0, got"),
        ([1, 2], {"at_least": 0, "tolerance": float("nan")}, "a tolerance is at least 0, got"),
        ([1, 2], {"at_least": 0, "limits": (0, 1)}, "a value cannot be below 0 or above 1, got"),
        ([0, 0.5], {"at_least": 0, "yes_no": True}, "each value answers yes or no, so it is 1 or 0, got"),
        ({"large": [1]}, {"at_least": 0}, "there is no network 'large': use one of quick, laptop, paper"),
        (
            {"laptop, esp": [1]},
            {"at_least": 0},
            "there is no network 'laptop, esp': .*, a comma and one of x0, v",
        ),
        ({"laptop-eps, regression": [1]}, {"at_least": 0}, "there is no network 'laptop-eps, regression'"),
        ({"laptop-esp": [1]}, {"at_least": 0}, "there is no network 'laptop-esp'"),
        ({"laptop, ": [1]}, {"at_least": 0}, "there is no network 'laptop, '"),
        ({"": [1]}, {"at_least": 0}, "there is no network ''"),
        ({3: [1]}, {"at_least": 0}, "name a network, or a network and a layer, not 3"),
        ({("quick", "a", "b"): [1]}, {"at_least": 0}, "name a network, or a network and a layer, not \\('quick'"),
        ({("quick", 4): [1]}, {"at_least": 0}, "name a network, or a network and a layer, not \\('quick', 4"),
        ({"laptop-eps": [1], "laptop, eps": [2]}, {"at_least": 0}, "name laptop, eps once, got it twice"),
        ({"quick": [1], ("quick", ""): [2]}, {"at_least": 0}, "name quick once, got it twice"),
        ([1], {"at_least": 0, "where": {"qiuck": "on a CPU"}}, "there is no network 'qiuck'"),
        (
            [1],
            {"at_least": 0, "where": {"laptop-v": "a", "laptop, v": "b"}},
            "say one thing of the runs on each",
        ),
        ([1], {"at_least": 0, "where": 3}, "say of the runs a text, or one for each network, not 3"),
        (np.ones((5, 4)), {"at_least": 0}, "give one number for each seed, got array"),
        (["x"], {"at_least": 0}, "give one number for each seed, got \\['x'\\]"),
        ([[1, 2], [3]], {"at_least": 0}, "give one number for each seed, got \\[\\[1, 2\\], \\[3\\]\\]"),
        ([10**400], {"at_least": 0}, "give one number for each seed, got"),
        ([1], {"at_least": 0.8, "at_most": 0.2}, "no value is at least 0.8 and at most 0.2"),
        ([1], {"at_least": "x"}, "what you ask for is a number, got 'x'"),
        ([1], {"at_most": float("nan")}, "what you ask for is a number, got nan"),
        ({}, {"at_least": 0}, "name at least one network"),
        ([1], {"at_least": 0, "kind": "rumour"}, "its kind is one of paper, own, mathematics, not 'rumour'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_a_sentence(values, options, words):
    with pytest.raises(BumplabError, match=f"^Claim fig2.betti1: {words}"):
        claim(values, **options)


def test_a_checker_holds_what_its_claims_share():
    shared = {"kind": "own", "source": "this book", "network": "quick", "layer": "up1", "where": "five seeds"}
    ours = Checker(**shared)
    assert ours("a.b", "It holds.", [1, 2], at_least=0, note="Note.") == check_claim(
        "a.b", "It holds.", [1, 2], at_least=0, note="Note.", **shared
    )
    assert ours("a.b", "It holds.", [1, 2], at_most=0, network="paper") == check_claim(
        "a.b", "It holds.", [1, 2], at_most=0, **shared | {"network": "paper"}
    )


def test_text_in_a_claim_cannot_break_the_page():
    options = {"source": "<b>", "kind": "own", "network": "quick", "layer": "<i>", "where": "<u>", "note": "<s>"}
    made = check_claim("a", "x < y & z", 1.0, at_least=0, confounded="<q>", **options)
    page = made._repr_mimebundle_()["text/html"]
    assert "x &lt; y &amp; z" in page and not any(tag in page for tag in ("<b>", "<i>", "<u>", "<s>", "<q>"))


@pytest.mark.parametrize(
    "values, tolerance", [([1, 2], 0), ([1, 2, 3], 0.5), ([], 0), ({"quick": [1], "paper": []}, 0)]
)
def test_a_claim_travels_in_the_output_as_data(values, tolerance):
    made = claim(values, at_least=1, tolerance=tolerance)
    data = json.loads(json.dumps(made._repr_mimebundle_()))
    assert Claim.from_record(data[CLAIM_MIME]) == made and data["text/plain"] == str(made)
    assert data[CLAIM_MIME]["verdict"] == made.verdict


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
    board = collect_claims(tmp_path)
    assert board.rows == [("01-worlds", first), ("01-worlds", second), ("02-training", third)]
    assert board["a.two"] == second
    with pytest.raises(BumplabError, match=r"^There is no claim 'd' in the outputs"):
        board["d"]


def test_a_folder_without_claims_gives_none(tmp_path):
    notebook(tmp_path / "01-worlds.ipynb")
    board = collect_claims(tmp_path)
    assert board.rows == [] and board.tally() == "none" and board.to_csv().count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("measurements"),
        lambda record: record.update(preset="quick"),
        lambda record: record["measurements"][0].pop("seeds"),
        lambda record: record.update(measurements=3),
    ],
)
def test_a_chapter_with_claims_of_another_version_is_named(tmp_path, change):
    path = tmp_path / "01-worlds.ipynb"
    notebook(path, claim(1.0, at_least=0))
    content = json.loads(path.read_text())
    change(content["cells"][1]["outputs"][1]["data"][CLAIM_MIME])
    path.write_text(json.dumps(content))
    words = r"^01-worlds\.ipynb: a claim was written by another version of bumplab: run the chapter again\.$"
    with pytest.raises(BumplabError, match=words):
        collect_claims(tmp_path)


def test_two_claims_of_one_name_are_refused(tmp_path):
    notebook(tmp_path / "01-worlds.ipynb", claim(1.0, at_least=0))
    notebook(tmp_path / "02-training.ipynb", claim(2.0, at_least=0))
    with pytest.raises(BumplabError, match=r"^Claims need unique names; fig2.betti1 occurs twice\.$"):
        collect_claims(tmp_path)


@pytest.fixture
def board(tmp_path):
    """Return a board of a claim that holds, a hypothesis with one seed, and mathematics that fails."""
    good = claim({"quick": [1, 1, 1], ("laptop", "up1"): [1, 2]}, name="good", at_least=0)
    half = claim(1.0, name="half", at_least=0, kind="own")
    bad = claim([0, 0, 0], name="bad", at_least=1, kind="mathematics")
    notebook(tmp_path / "01-worlds.ipynb", good, half, bad)
    return collect_claims(tmp_path)


def test_the_scoreboard_counts_and_filters(board):
    assert [board.count(verdict) for verdict in VERDICTS] == [1, 1, 1, 0]
    assert [claim.name for _, claim in board.filter("undecided").rows] == ["half"] and board.filter("all") == board
    assert [[claim.name for _, claim in board.of_kind(kind).rows] for kind in KINDS] == [["good"], ["half"], ["bad"]]
    assert board.tally() == "3: 1 holds, 1 undecided, 1 fails"
    assert board._repr_mimebundle_()["text/html"].count("<tr>") == 4  # the head and one for each claim
    with pytest.raises(BumplabError, match=r"^There is no verdict 'maybe': use all or one of holds, undecided, fails"):
        board.filter("maybe")
    with pytest.raises(BumplabError, match=r"^There is no kind 'rumour'"):
        board.of_kind("rumour")


def test_the_scoreboard_says_what_was_not_measured(board):
    page = board.of_kind("own")._repr_mimebundle_()["text/html"]
    assert page.count("<div>not measured</div>") == 2


def test_every_measurement_is_a_line_of_the_csv(board):
    lines = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert list(lines[0]) == list(COLUMNS) and len(lines) == 4
    assert [line["headline"] for line in lines] == ["yes", "no", "yes", "yes"]
    record = lines[1]
    assert (record["claim"], record["network"], record["layer"], record["values"]) == ("good", "laptop", "up1", "1 2")
    assert (float(record["value"]), int(record["seeds"]), record["verdict"]) == (1.5, 2, "undecided")


def test_a_claim_about_a_toy_misses_no_network_and_fills_one_cell_of_the_board():
    made = check_claim("a.toy", "It works.", {"toy": [0.9, 0.91, 0.92]}, kind="own", source="ours", at_least=0.5)
    assert made.verdict == "holds" and made.missing == () and made.headline.label == "toy"
    page = Scoreboard([("01-a", made)])._repr_mimebundle_()["text/html"]
    assert page.count("not measured") == 0 and f'colspan="{len(NETWORKS)}"' in page


def test_a_claim_that_was_not_tested_says_so_and_asks_for_nothing():
    papers = Checker(kind="paper", source="QLF25", network="toy")
    claim = papers.untested("modules.images", "A ResNet splits.", "It needs <hours>.")
    assert claim.is_untested and not claim.headline.seeds and Claim.from_record(claim.to_record()) == claim
    tested = papers("a.b", "It works.", [1, 1, 1], at_least=2)
    board = Scoreboard([("12-modules", claim), ("12-modules", tested)])
    assert board.tally() == "2: 1 fails, 1 not tested"
    for html in (board._repr_mimebundle_()["text/html"], claim._repr_mimebundle_()["text/html"]):
        assert "not tested" in html and "It needs &lt;hours&gt;." in html
    assert "ask for" not in claim._repr_mimebundle_()["text/html"] and "ask for" not in str(claim)
    assert not tested.is_untested and "ask for" in str(tested)
