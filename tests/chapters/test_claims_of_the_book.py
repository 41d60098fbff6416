"""The claims that the book prints keep what its verdicts promise."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
from scipy import stats

import bumplab
from bumplab.chapters.findings import FINDINGS, SUCCESSORS
from bumplab.chapters.measurements import NO_CHANCE, measure
from bumplab.chapters.networks import NETWORKS, TOY
from bumplab.chapters.ranges import Range
from bumplab.chapters.scoreboard import collect_claims

BOOK = Path(bumplab.__file__).resolve().parents[2] / "book"
BOARD = collect_claims(BOOK)
CLAIMS = [claim for _, claim in BOARD.rows]
MEASURED = [
    pytest.param(claim, one, id=f"{claim.name}, {one.label} {one.layer}".strip())
    for claim in CLAIMS
    for one in claim.measurements
    if one.seeds
]
every_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
every_measurement = pytest.mark.parametrize("claim, one", MEASURED)

#: What a value can be, by what it is called; each claim falls under one line.
POSSIBLE = {
    # shares, accuracies, squared cosines
    r"p0\.phase-.*|p0\.(disorder|order)|fig2\.(betti.*|top-four)|fig3\.(x-on-y|x-on-x|y-on-y)|fig4\.(2d.*|1d|both)": (
        0,
        1,
    ),
    r"fig10\.rim|fig11\.narrow|fig12\.interior\..*|fig4g\.few|fig6b\..*|fig6c\..*|fig13\..*|fig14b\..*": (0, 1),
    r"ours\.(frame|laptop|betti-control|additive-before|causal.*|product)": (0, 1),
    r"render\.(superposition|free\.placed|coordinates)|ours\.render\.(continued|rank-one)": (0, 1),
    r"modules\.usual|ours\.modular-function": (0, 1),
    # differences of shares, and rank correlations
    r"fig4\.same|fig10\.(gain|loose)|fig12\.exterior\..*|fig11\.(fall|wide)|fig5b\.gain|fig6e\.sudden": (-1, 1),
    r"modules\.(sorting|noise)|ours\.join\.sorted": (-1, 1),
    r"fig2\.together|ours\.(parameterisation|sampler|scattered|geometry|encoding|within)": (-1, 1),
    # shares of variance, and the score F
    r"fig6e\.percolation|fig3\.factorization|ours\.given": (-np.inf, 1),
    # dimensions, distances and ratios
    r"fig2\.dimension.*": (1, np.inf),
    r"ours\.(target|regression)": (0, np.inf),
    r"p0\.surface|ours\.(overlap|estimator|between|half|overfit|copier|saving|discs)": (0, np.inf),
    r"ours\.(onset\.encoding|product\.onset)": (0, np.inf),
    # errors in blanks, and ratios of errors
    r"render\.(depth|encoding|cnn|forced|free|stripes|transformer|warping|digits|encoders)": (0, np.inf),
    r"ours\.render\.(entropy|variance|tied|sums)": (0, np.inf),
    r"modules\.(wedge|samples|images|robust|law|linear)|ours\.(trained-wedge|grid|join\.(bumps|sums|price))": (
        0,
        np.inf,
    ),
    r"render\.rising": (1, np.inf),
    r"ours\.render\.span": (-1, np.inf),
    # steps, exponents, the score H and what is compared of it, openings, percent
    r"p0\.(skew|dense.*|overlap)|fig5c\..*|fig3\.hyper|fig6e\.rivals": (-np.inf, np.inf),
    r"render\.scaling\..*": (-np.inf, np.inf),
    r"ours\.(opening|seam|hyper-lost|reading|turn|alone|shells|narrow)": (-np.inf, np.inf),
    r"waves\.(descent|unet|diagonal|faces|images|patchy)|ours\.waves\.(shuffled|told|smear)": (0, np.inf),
    r"waves\.(alpha|mlp)|ours\.waves\.(adam|predicted|own-end)": (-np.inf, np.inf),
    r"waves\.order": (-1, 1),
    r"waves\.patch": (-np.inf, 1),
    # shares explained, which may be below 0, and shares of bumps
    r"gauss\.(rotation|score|range)|ours\.gauss\.(score|guess)": (-np.inf, 1),
    r"gauss\.skip|ours\.gauss\.(mean|noise)": (0, 1),
    r"gauss\.pushes|ours\.gauss\.(late|latest|told|blind|by-mean)": (-1, 1),
    r"gauss\.dial\..*": (-np.inf, 1.05),
    r"gauss\.(outline.*|first|mixture|fid|images|lpips|solvers|stable)": (-np.inf, np.inf),
    r"ours\.gauss\.(nearer|far|new\..*)": (-np.inf, np.inf),
    r"clocks\.(complexity|window|late|capacity|proportional|peaks)": (0, 1),
    r"ours\.clocks\.(decoding|turning|.*-first|bumps-window)": (0, 1),
    r"clocks\.any-rule": (1, np.inf),
    r"clocks\.(transformer|other-rules|landscape|crashes)": (0, np.inf),
    r"rules\.(few|many|ceiling|denoiser)": (0, 1),
    r"ours\.(held-out|under-ceiling|above-ceiling|joint-above|denoisers|copied|silent)": (0, 1),
    r"rules\.(worse|diffusion|completion|genraven)|ours\.(head|sequence|more-rules|slower)": (-1, 1),
    r"ours\.loss-gap": (-np.inf, np.inf),
    r"relations\.(learned|bag\.binding|bag\.all|head|causal)": (0, 1),
    r"relations\.(word|fragile|fragile\.binding|sturdy)|ours\.relations\.(end|apart|product|sturdy)": (-1, 1),
    r"(ours\.)?relations\.(order|arithmetic|control|mixing|t5|pixart|long|sizes|unet)": (0, np.inf),
    r"ours\.relations\.best": (-np.inf, 1),
    r"relations\.gain": (-np.inf, np.inf),
}
#: Claims about a layer of a network.
GEOMETRY = (
    r"fig2\..*|fig3\..*|p0\.(surface|disorder|order)"
    r"|ours\.(betti-control|opening|given|additive-.*|hyper-lost|causal.*|geometry|reading|target|regression)"
)


def _possible(claim):
    """Return what a value of a claim can be, the lowest and the highest."""
    return next(ends for pattern, ends in POSSIBLE.items() if re.fullmatch(pattern, claim.name))


@every_claim
def test_a_claim_has_one_possible_range(claim):
    assert sum(bool(re.fullmatch(pattern, claim.name)) for pattern in POSSIBLE) == 1


@every_measurement
def test_no_interval_leaves_what_is_possible(claim, one):
    low, high = _possible(claim)
    numbers = [number for number in (*one.values, one.value, one.low, one.high) if number is not None]
    assert all(low <= number <= high for number in numbers)


@every_measurement
def test_no_claim_fails_whose_interval_reaches_what_we_ask_for(claim, one):
    if one.low is None:
        assert one.verdict == "undecided" and one.seeds == 1
        return
    if one.interval == NO_CHANCE:
        assert one.seeds == 1 and one.low == one.high == one.value
    least = -np.inf if claim.at_least is None else claim.at_least
    most = np.inf if claim.at_most is None else claim.at_most
    reaches = one.high >= least and one.low <= most
    inside = least <= one.low and one.high <= most
    assert one.verdict != "fails" or not reaches
    assert one.verdict not in ("holds", "confounded") or inside
    assert one.seeds >= 3 or one.interval == NO_CHANCE or one.verdict == "undecided"
    assert (one.verdict == "confounded") == bool(claim.confounded and inside and one.seeds >= 3)


def _unit(numbers):
    """Return the unit of the last digit with which numbers are printed."""
    return 10.0 ** -max(len(f"{number:g}".partition(".")[2]) for number in numbers)


def _is_students(one, possible):
    """Return whether an interval is Student's, cut at those ends of the possible that it names."""
    half = stats.t.ppf(0.975, one.seeds - 1) * stats.sem(one.values)
    units = [_unit(numbers) for numbers in ((one.value, one.low, one.high), one.values)]  # all are rounded
    slack = (units[0] + units[1] * (1 + stats.t.ppf(0.975, one.seeds - 1))) / 2 + 1e-9
    named = {float(end) for end in re.findall(r"-?[\d.]+", one.interval)}
    least, most = (end if end in named else np.inf * sign for sign, end in zip((-1, 1), possible, strict=True))
    exact = np.clip([np.mean(one.values) - half, np.mean(one.values) + half], least, most)
    return named <= set(possible) and (one.low, one.high) == pytest.approx(tuple(exact), abs=slack)


@every_measurement
def test_an_interval_is_that_of_its_values(claim, one):
    if one.low is None or one.interval == NO_CHANCE:
        return
    if set(one.values) <= {0, 1} and one.interval == "Wilson":
        ends = stats.binomtest(int(sum(one.values)), one.seeds).proportion_ci(method="wilson")
        assert (one.low, one.high) == pytest.approx((ends.low, ends.high), abs=0.006)
        return
    assert one.interval.startswith("Student") and _is_students(one, _possible(claim))


def test_an_end_at_the_possible_is_students_only_where_he_goes_beyond():
    one = measure("quick", "", [0.5, 0.55, 0.6], Range(0), limits=(0, 1))
    assert _is_students(one, (0, 1)) and not _is_students(one, (-1, 1))  # it names an end that is none
    assert not _is_students(replace(one, low=0.0), (0, 1)) and not _is_students(replace(one, high=1.0), (0, 1))
    assert _is_students(measure("quick", "", [0.1, 0.9, 1.0], Range(0), limits=(0, 1)), (0, 1))


@every_claim
def test_a_claim_about_networks_names_network_seeds_and_layer(claim):
    assert claim.kind == "mathematics" or claim.name.startswith("ours.") == (claim.kind == "own")
    for one in claim.measurements:
        assert len(one.values) == one.seeds
        assert (one.network is None) == (claim.kind == "mathematics")
        assert one.network is None or one.network in (*NETWORKS, TOY)
        assert one.network == TOY or bool(one.layer) == bool(re.fullmatch(GEOMETRY, claim.name))


@every_claim
def test_values_of_yes_or_no_are_not_students(claim):
    """A share of seeds is no mean of a bell-shaped number."""
    if re.search(r"\bof the seeds\b", claim.note):
        assert all(one.interval in ("Wilson", "") for one in claim.measurements)


def test_the_answers_rest_on_claims_of_the_papers():
    for finding in (*FINDINGS, *SUCCESSORS):
        assert {BOARD[name].kind for name in finding.names} == {"paper"}


def test_every_chapter_after_part_one_has_its_findings_on_the_first_screen_of_the_scoreboard():
    later = {chapter for chapter, _ in BOARD.rows if chapter > "11"}
    assert {finding.chapter for finding in SUCCESSORS} == later
    chapter_of = {claim.name: chapter for chapter, claim in BOARD.rows}
    for finding in SUCCESSORS:
        assert {chapter_of[name] for name in finding.names} == {finding.chapter}


def test_the_csv_beside_the_scoreboard_holds_the_claims_of_the_notebooks():
    assert (BOOK / "_static" / "claims.csv").read_text(encoding="utf-8") == BOARD.to_csv()
    assert (BOOK / "_static" / "claims.json").read_text(encoding="utf-8") == BOARD.to_json()


def test_the_table_reads_back_without_the_package():
    content = json.loads(BOARD.to_json())
    table = pandas.read_csv(io.StringIO(BOARD.to_csv()))
    assert list(table.columns) == list(content["columns"]) and len(table) == len(content["rows"])
    assert list(table["claim"]) == [row["claim"] for row in content["rows"]]
    np.testing.assert_array_equal(
        table["value"], [np.nan if r["value"] is None else r["value"] for r in content["rows"]]
    )
    assert (table["headline"] == "yes").sum() == len(CLAIMS)
    pairs = [(claim, one) for claim in CLAIMS for one in claim.measurements]
    for row, (claim, one) in zip(content["rows"], pairs, strict=True):
        assert (row["claim"], row["network"], row["layer"]) == (claim.name, one.network, one.layer)
        assert (row["low"], row["high"], row["verdict"]) == (one.low, one.high, one.verdict)
        assert row["values"] == list(one.values)
    words = table["values"].fillna("").astype(str).str.split()
    assert list(words.str.len()) == list(table["seeds"])


def test_nobody_says_what_a_paper_does_not_say():
    """What we could not find in the papers may still be there."""
    pages = [*BOOK.glob("*.ipynb"), *BOOK.glob("*.md"), BOOK.parent / "README.md"]
    words = r"papers?(?:'s text)? (?:does|do) not (?:state|say|define|give|name|specify|spell out)"
    found = {page.name: re.findall(words, page.read_text(encoding="utf-8")) for page in pages}
    assert {name: said for name, said in found.items() if said} == {}


def test_nobody_calls_a_limit_of_ours_claimed():
    for page in BOOK.glob("*.ipynb"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"not reproduced|[Cc]laimed (?:at|between)|REPRODUCED|PARTLY", text), page.name
