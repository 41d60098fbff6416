"""A chapter's numbers may differ by a unit of their last digit from the committed ones; nothing else may."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval_numbers import agree, decimals, settle, settle_text

from bumplab.chapters.claims import check_claim


@pytest.mark.parametrize(
    "number, places", [("25", 0), ("0.25", 2), ("-1.", 0), ("2.5e-3", 4), ("1e-05", 5), ("3e2", -2)]
)
def test_the_place_of_the_last_digit(number, places):
    assert decimals(number) == places


@pytest.mark.parametrize(
    "one, other, close",
    [
        ("0.25", "0.26", True),
        ("0.25", "0.27", False),
        ("0.8", "0.79", True),  # 0.80, as %g prints it
        ("0.8", "0.78", False),
        ("9.9", "10.0", True),
        ("-0.0", "0.1", True),
        ("−0.05", "-0.04", True),  # a typographic minus
        ("0.05", "-0.05", False),
        ("1e-05", "1.1e-05", True),
        ("1e-05", "1.2e-05", False),
        ("123456789.12", "123456790.12", True),  # a share of 1e-8
        ("5", "6", False),  # a count
        ("5", "5.0", True),
        ("1", "0.99", True),
        ("1", "0.97", False),
    ],
)
def test_numbers_agree_within_a_unit_of_the_last_digit(one, other, close):
    assert agree(one, other) is agree(other, one) is close


def test_a_claim_may_ask_for_more():
    assert agree("0.7", "0.9", tolerance=0.2) and not agree("0.7", "1.0", tolerance=0.2)
    assert not agree("5", "6", tolerance=2)


@pytest.mark.parametrize(
    "test, reference, settled",
    [
        ("R^2 is 0.91, of 5", "R^2 is 0.90, of 5", "R^2 is 0.90, of 5"),
        ("R^2 is 0.93, of 5", "R^2 is 0.90, of 5", "R^2 is 0.93, of 5"),
        ("0.91 and 0.93", "0.90 and 0.90", "0.90 and 0.93"),  # only what is too far is left to be reported
        ("5 seeds", "6 seeds", "5 seeds"),
        ("FAILS: 0.91", "HOLDS: 0.90", "FAILS: 0.91"),
        ("a   9.99\nb  10.00\n", "a  10.00\nb  10.00\n", "a  10.00\nb  10.00\n"),  # aligned by blanks
        ("0.91, 0.92", "0.91", "0.91, 0.92"),
        ("0.91\n0.92", "0.91 0.92", "0.91\n0.92"),
        ("attention2 0.5", "attention3 0.5", "attention2 0.5"),  # a digit of a name is no number
        ("v1.5x", "v1.6x", "v1.5x"),
    ],
)
def test_text_settles_where_only_close_numbers_differ(test, reference, settled):
    assert settle_text(test, reference) == settled


def bundle(values, **options):
    claim = check_claim("a.b", "It holds.", values, kind="paper", source="P1", network="quick", **options)
    return {"output_type": "display_data", "data": claim._repr_mimebundle_()}


def test_a_claim_settles_in_its_words_its_page_and_its_data():
    here, there = bundle([0.96, 0.98, 0.97], at_least=0.9), bundle([0.96, 0.97, 0.97], at_least=0.9)
    assert here["data"] != there["data"] and settle([here], [there]) == [there]


def test_another_verdict_does_not_settle():
    here, there = bundle([0.95] * 3, at_least=0.95), bundle([0.94] * 3, at_least=0.95)
    assert (here["data"]["text/plain"][:4], there["data"]["text/plain"][:4]) == ("HOLD", "FAIL")
    settled = settle(here, there)
    assert all(settled["data"][kind] != there["data"][kind] for kind in there["data"])


def test_a_claim_settles_within_its_own_tolerance():
    values = [0.7, 0.9, 0.95], [0.75, 0.9, 0.95]
    here, there = (bundle(v, at_least=0.8, digits=2, tolerance=0.2) for v in values)
    assert here["data"] != there["data"] and settle(here, there) == there
    strict_here, strict_there = (bundle(v, at_least=0.2, digits=2) for v in values)
    assert settle(strict_here, strict_there) != strict_there


def test_what_is_too_much_or_missing_stays():
    one, two = bundle([0.5], at_least=0), bundle([0.5], at_least=0)
    assert settle([one, two], [one]) == [one, two] and settle([one], [one, two]) == [one]
    assert settle({"text": "0.5"}, {"data": {"text/plain": "0.5"}}) == {"text": "0.5"}


def test_durations_are_replaced_before_the_words_are_compared():
    def sanitize(text):
        return text.replace("12 s", "TIME").replace("1 min", "TIME")

    assert settle("0.91 in 12 s", "0.90 in 1 min", sanitize) == "0.90 in TIME"


#: What a cell prints, what is committed as its output, and whether that passes.
CELLS = [
    ("print(0.91)", ["0.90\n"], True),
    ("print(0.93)", ["0.90\n"], False),
    ("print('right', 0.9)", ["wrong 0.9\n"], False),
    ("print(4)", ["5\n"], False),
    ("None", ["0.9\n"], False),  # an output that is missing
    ("print(0.9)", [], False),  # and one that nobody knows of
    ("display(0.91); display(0.92)", [0.9], False),
    ("display(0.91); display(0.92)", [0.9, 0.92], True),
]


def test_chapters_are_compared_this_way(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("nbval_numbers")


def test_nbval_passes_close_numbers_and_fails_all_else(tmp_path):
    cells = []
    for source, outputs, _ in CELLS:
        committed = [
            new_output("stream", text=output)
            if isinstance(output, str)
            else new_output("display_data", {"text/plain": str(output)})
            for output in outputs
        ]
        cells.append(new_code_cell(source, outputs=committed, execution_count=1))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    options = ["--nbval", "--nbval-current-env", "-rA", "--color=no", "-c", os.devnull, f"--rootdir={tmp_path}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "nbval_numbers", "-p", "no:cacheprovider", *options, path],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    ended = {line.split("::")[1].split()[1]: line.split()[0] for line in run.stdout.splitlines() if "::Cell" in line}
    assert [ended.get(str(k)) for k in range(len(CELLS))] == ["PASSED" if passes else "FAILED" for *_, passes in CELLS]
