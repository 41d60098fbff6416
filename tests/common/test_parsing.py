"""Values typed on a command line are what their writer typed, or refused."""

import json
import math

import pytest
import yaml
from hypothesis import example, given, strategies as st

from bumplab.common.errors import BumplabError, quote
from bumplab.common.parsing import flatten, parse_assignments, parse_literal

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="0123456789:._-+eExobyTZ ,[]'\"~#&", max_size=12),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)


@pytest.mark.parametrize(
    "text, value",
    [
        ("3", 3),
        ("-2", -2),
        ("+3", 3),
        ("0", 0),
        ("0.8", 0.8),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.5e3", 1500.0),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("true", True),
        ("True", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("[1, 2]", [1, 2]),
        ("[[1, 2e0], true, a, '3']", [[1, 2.0], True, "a", "3"]),
        ("[]", []),
        ("'017'", "017"),
        ('"yes"', "yes"),
        ("abc", "abc"),
        ("x0", "x0"),
        ("a#b", "a#b"),
        ("-a", "-a"),
        ("a:b", "a:b"),
        ("cross(13, 19)", "cross(13, 19)"),
        ("~interior(4) & rim(2)", "~interior(4) & rim(2)"),
        ("'{a: 1}'", "{a: 1}"),
        ("inf", "inf"),
        ("nan", "nan"),
    ],
)
def test_a_typed_value_is_read_as(text, value):
    read = parse_literal(text)
    assert read == value and type(read) is type(value)


REFUSED = {
    "is not a number": [
        "1:5", "1:30", "1:30.5", "017", "-017", "0o17", "0x10", "0b11", "1_000", "1_0.5", "2026-01-02", "2026-13-45",
        "3abc", "1e", "1.2.3", "1,000", "3 000", "1e999", "9" * 301, "١٢", "[1, 1:30]", "[[017]]",
        ".inf", "-.INF", ".nan", "[.NaN]",
    ],
    "can mean more than text": [
        "a # b", "# a", "- 5", "a: b", "a:", "{a: 1}", "!!python/object:os.system x", "!!str 3", "&a 3", "*a", "? a",
        "---", "%a", "a\nb", "a\x00", "@", "| a",
    ],
    "can mean two things": ["yes", "no", "on", "off", "nO", "Yes", "NO", "[yes]"],
    "Cannot read": ["[1, 2", "[1, 2] 3", "'a", "'a' b", "[cross(13, 19), rim(2)]", "[1, *a]", "[@]",
        "[&a [1], *a]", "[&a [*a]]", "[&a 1, 2]", "[!!str 1]", "['a', !!int '3']", "'a' !!str",
        '"\\U00110000"', '"\\UFFFFFFFF"', "[1]\n---\n[2]",
    ],
    "half of a character": ['"\\ud800"', '["a", "\\udfff"]'],
    "at most 20 lists": ["[" * 21 + "]" * 21, "[" * 9_000, "{" * 9_000, "[1, " + "{a: [" * 1_000],
    "at most 10,000 characters": ["[" * 100_000, "1" * 10_001, "a" * 300_000, "'" + "a" * 10_000 + "'"],
    "not names with values": ["[a: 1]", "[{a: 1}]"],
}  # fmt: skip


@pytest.mark.parametrize("words, text", [(words, text) for words, texts in REFUSED.items() for text in texts])
def test_what_can_be_misread_is_refused(words, text):
    with pytest.raises(BumplabError) as error:
        parse_literal(text)
    assert words in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)
    assert len(str(error.value)) < 180


@given(TEXTS)
@example("1_000")
@example("0o17")
@example("1:30")
@example("1e400")
@example("'1'")
def test_a_number_is_what_python_makes_of_the_same_text(text):
    try:
        value = parse_literal(text)
    except BumplabError as error:
        assert "\n" not in str(error)
        return
    if isinstance(value, int) and not isinstance(value, bool):
        assert value == int(text, 10) and "_" not in text
    elif isinstance(value, float):
        assert value == float(text) and math.isfinite(value) and "_" not in text
    elif isinstance(value, str) and not text.strip(" \t\r\n").startswith(("'", '"')):
        assert value == text.strip(" \t\r\n")


@given(TEXTS)
def test_a_whole_number_a_truth_and_nothing_are_the_same_to_yaml_1_1(text):
    try:
        value = parse_literal(text)
    except BumplabError:
        return
    if value is None or isinstance(value, int):
        assert yaml.safe_load(text) == value


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.floats(allow_nan=False))
JSON = st.recursive(
    SCALARS.filter(lambda value: value not in (math.inf, -math.inf)), lambda of: st.lists(of, max_size=4)
)


@given(st.lists(JSON, max_size=4))
def test_lists_of_json_are_read_back(value):
    assert repr(parse_literal(json.dumps(value))) == repr(value)


def test_assignments_nest_and_the_last_one_wins():
    texts = "world.sigma=0.8", "seed=3", "world.kind=sos", "training.snapshots=[0, 30]", "seed = 4"
    changes = parse_assignments(texts)
    assert changes == {"world": {"sigma": 0.8, "kind": "sos"}, "training": {"snapshots": [0, 30]}, "seed": 4}
    assert flatten(changes) == {"world.sigma": 0.8, "world.kind": "sos", "training.snapshots": [0, 30], "seed": 4}


def test_a_value_may_contain_an_equals_sign():
    assert parse_assignments(["world.kind=a=b"]) == {"world": {"kind": "a=b"}}


@pytest.mark.parametrize("text", ["", "seed", "=3", " = 3", "world.sigma"])
def test_an_assignment_without_a_name_or_value_is_refused(text):
    with pytest.raises(BumplabError, match=r"^Cannot read .*: write name=value, for example world.sigma=0.8\.$"):
        parse_assignments([text])


def test_an_assignment_below_a_value_is_refused():
    with pytest.raises(BumplabError, match=r"^Cannot set 'world.sigma': 'world' was already given as a value\.$"):
        parse_assignments(["world=3", "world.sigma=1"])


def test_a_value_that_cannot_be_read_is_named_by_its_setting():
    with pytest.raises(BumplabError, match=r"^'seed': '1:5' is not a number: write one like 3, "):
        parse_assignments(["seed=1:5"])


@given(st.text(max_size=300))
def test_a_quote_is_at_most_80_characters(text):
    assert len(quote(text)) <= 80
    assert quote(text) == repr(text) or quote(text)[:38] == repr(text)[:38]
