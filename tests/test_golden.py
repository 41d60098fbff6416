"""Runs and chapters say what they said before: ids, arrays, numbers, verdicts."""

import difflib
import json

import numpy as np
import pytest

import golden

HELD = json.loads(golden.FILE.read_text(encoding="utf-8"))
CHAPTERS = golden.chapters()


def test_every_recorded_run_is_bit_for_bit_what_it_was():
    now = golden.recorded_runs()
    assert len(now) == 1850
    changed = [name for name in HELD["runs"].keys() | now.keys() if HELD["runs"].get(name) != now.get(name)]
    assert changed == []


def test_no_chapter_is_missing():
    assert CHAPTERS.keys() == HELD["chapters"].keys()


@pytest.mark.parametrize("name", HELD["chapters"])
def test_a_chapter_prints_the_numbers_that_it_printed(name):
    then, now = (source[name]["numbers"].split() for source in (HELD["chapters"], CHAPTERS))
    matcher = difflib.SequenceMatcher(None, then, now, autojunk=False)
    assert [(then[a:b], now[c:d]) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"] == []


@pytest.mark.parametrize("name", HELD["chapters"])
def test_a_chapter_claims_what_it_claimed(name):
    """Compared are range, verdict, and value, interval, seeds and verdict of every network and layer: no word else."""
    assert CHAPTERS[name]["claims"] == HELD["chapters"][name]["claims"]


def test_a_changed_bit_changes_the_digest():
    assert golden.digest("a", b"bc") != golden.digest("ab", b"c")
    array = np.arange(4, dtype=np.float16)
    other = array.copy()
    other[2] = np.nextafter(other[2], np.float16(9))
    assert golden.digest(array.tobytes()) != golden.digest(other.tobytes())


def test_numbers_are_read_from_text_without_durations():
    assert golden._NUMBER.findall(golden._TIMES.sub("", "0.98 [0.97, 1e-3] of 12 in 3.5 s, x2 = -4")) == [
        "0.98", "0.97", "1e-3", "12", "-4",
    ]  # fmt: skip
