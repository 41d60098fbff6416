"""Six findings are answered with the numbers and verdicts of named claims, on each network."""

import re

import pytest

from bumplab.chapters.answers import Answer, answer_findings, answer_successors, keeps_verdict
from bumplab.chapters.claims import check_claim
from bumplab.chapters.findings import FINDINGS, SUCCESSORS, Finding
from bumplab.chapters.networks import NETWORKS
from bumplab.chapters.scoreboard import Scoreboard
from bumplab.common.errors import BumplabError


def claim(name, values, **options):
    return check_claim(name, "It is so.", values, **{"kind": "paper", "source": "P1", "at_least": 0.5, **options})


def answer(**claims):
    made = {name: claim(name, values) for name, values in claims.items()}
    return Answer(Finding("It works.", "one {a}, other {b}.", ("a", "b")), made)


HOLDS, FAILS, BOTH = [0.9, 0.9, 0.9], [0.1, 0.1, 0.1], [0.1, 0.9, 0.5]


@pytest.mark.parametrize(
    "a, b, verdict",
    [
        (HOLDS, HOLDS, "holds"),
        (HOLDS, BOTH, "undecided"),
        (HOLDS, FAILS, "fails"),
        (BOTH, FAILS, "fails"),
        ([], FAILS, "fails"),
        (HOLDS, [], "not measured"),
        ([0.9], HOLDS, "undecided"),
    ],
    ids=str,
)
def test_a_finding_is_as_good_as_the_worst_of_its_claims(a, b, verdict):
    assert answer(a={"laptop": a}, b={"laptop": b}).verdict("laptop") == verdict


def test_numbers_come_from_one_network_the_nearest_to_the_papers_with_three_seeds():
    both = answer(
        a={"quick": HOLDS, "laptop": FAILS, "paper": HOLDS}, b={"quick": HOLDS, "laptop": HOLDS, "paper": [1]}
    )
    assert both.network == "laptop"
    assert both.sentence() == "On laptop, 3 seeds: one 0.1 [0.1, 0.1] (fails), other 0.9 [0.9, 0.9] (holds)."
    assert str(both).endswith(" quick: holds; laptop: fails; laptop-eps: not measured; paper: undecided.")
    assert 'class="answer claim-fails"' in both.to_html()


def test_what_was_not_measured_is_said():
    none = answer(a={"quick": []}, b={"quick": [0.6]})
    assert none.sentence() == "On quick, 1 seed: one not measured, other 0.6 (undecided)."
    chip = '<span class="verdict claim-not-measured">not measured</span>'
    assert f"quick, laptop, laptop-eps, paper: {chip}" in none.to_html()


def test_only_the_headline_layer_answers():
    deep = answer(a={("quick", "attention2"): FAILS, ("quick", "up1"): HOLDS}, b={"quick": HOLDS})
    assert deep.verdict("quick") == "fails"


def test_a_control_answers_nothing():
    both = answer(a={"quick": [0.9], "paper, regression": FAILS}, b={"quick": HOLDS, "paper, regression": FAILS})
    assert [both.verdict(name) for name in NETWORKS] == ["undecided", "not measured", "not measured"]
    assert both.network == "quick"


@pytest.mark.parametrize(
    "values, bounds, keeps",
    [
        ([0.9, 0.91, 0.92], {"at_least": 0.5}, True),
        ([0.6, 0.7, 0.8], {"at_least": 0.5}, False),  # holds, or not: the interval is wider than the lead
        ([0.1, 0.11, 0.12], {"at_least": 0.5}, True),  # fails, and far below
        ([7.0, 7.1, 7.2], {"at_least": 6, "at_most": 8}, True),
        ([7.6, 7.7, 7.8], {"at_least": 6, "at_most": 8}, False),  # near one bound of two
        ([0.5, 0.5, 0.5], {"at_least": 0.5}, False),  # on the bound, without any scatter
        ([0.9, 0.9, 0.9], {"at_least": 0.5}, True),
        ([], {"at_least": 0.5}, False),
    ],
)
def test_a_verdict_that_would_survive_is_far_from_every_bound(values, bounds, keeps):
    one = check_claim("a.b", "It is so.", {"quick": values}, kind="own", source="ours", **bounds)
    assert keeps_verdict(one) is keeps


def every_claim(values=HOLDS):
    names = sorted({name for finding in FINDINGS for name in finding.names})
    return [("01-worlds", claim(name, {"quick": values})) for name in names]


def every_claim_of_successors(values=HOLDS):
    pairs = sorted({(finding.chapter, name) for finding in SUCCESSORS for name in finding.names})
    return [(chapter, claim(name, {"toy": values})) for chapter, name in pairs]


def test_six_findings_are_answered_and_the_networks_described():
    found = answer_findings(Scoreboard(every_claim()))
    assert len(found.answers) == len(FINDINGS) == 6
    assert all(each.verdict("quick") == "holds" for each in found.answers)
    count = len(every_claim())
    assert found.networks.startswith(
        f"Of {count} claims of the papers, {len(every_claim())} on quick (0.4 M weights, patches"
    )
    assert re.search(r"and 0 on paper \(17\.\d M weights, pixels, eps\) are measured\. ", found.networks)
    clear = [keeps_verdict(one) for _, one in every_claim()]
    survive = f" {sum(clear)} of {len(clear)} verdicts would survive a mean that is off by the width of its interval."
    assert found.networks.endswith(survive)
    page = found._repr_mimebundle_()
    assert page["text/html"].count('<div class="answer ') == 6 and all(name in page["text/plain"] for name in NETWORKS)


def test_the_findings_of_later_papers_are_answered_on_toys_and_lead_to_their_chapters():
    rows = every_claim_of_successors()
    found = answer_successors(Scoreboard([*every_claim(FAILS), *rows]))
    page = found._repr_mimebundle_()
    assert len(found.answers) == len(SUCCESSORS) and found.networks.endswith(f", {len(rows)}: {len(rows)} hold.")
    for each in found.answers:
        assert each.sentence().startswith("On toys, 3 seeds: ") and str(each).endswith(" toy: holds.")
        assert f'<a href="{each.finding.chapter}.html">chapter {int(each.finding.chapter[:2])}</a>' in page["text/html"]
        assert each.to_markdown().endswith(f" *toy: holds.* {{doc}}`{each.finding.chapter}`")
    with pytest.raises(BumplabError, match=r"^There is no claim '.+' in the outputs"):
        answer_successors(Scoreboard(every_claim()))


def test_no_number_of_an_answer_is_typed():
    for finding in (*FINDINGS, *SUCCESSORS):
        words = re.sub(r"\{[^}]*\}", "", finding.sentence)
        assert not re.search(r"\d", words.replace("layer 4", "").replace("layer 11", "")), words


def test_a_claim_that_is_missing_is_named():
    rows = [row for row in every_claim() if row[1].name != "fig4.both"]
    with pytest.raises(BumplabError, match=r"^There is no claim 'fig4.both' in the outputs"):
        answer_findings(Scoreboard(rows))
