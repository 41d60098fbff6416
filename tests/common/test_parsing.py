"""Values typed on a command line are what their writer typed, or refused."""

import contextlib
import itertools
import json
import math
import re

import edges
import pytest
import yaml
from hypothesis import example, given, settings, strategies as st

from bumplab.common.errors import BumplabError, quote
from bumplab.common.parsing import flatten, parse_assignments, parse_literal

TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="0123456789:._-+eExobyTZ ,[]'\"~#&", max_size=12),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)


#: A decimal number without zeros in front that some readers take for an octal one.
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")


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


class Core(yaml.BaseLoader):
    """The core schema of YAML 1.2.2, section 10.3.2, on PyYAML's scanner, which reads what is around a scalar."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), first)
for tag, construct in {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)),
    "float": lambda text: float(re.sub(r"\.(?=[a-zA-Z])", "", text)),
    "str": str,
}.items():
    Core.add_constructor(
        f"tag:yaml.org,2002:{tag}", lambda loader, node, construct=construct: construct(loader.construct_scalar(node))
    )


def equal(one, other):
    return repr(one) == repr(other)  # tells 1, 1.0 and True apart, 0.0 from -0.0, at any depth


#: Text that must be read: numbers as a decimal is written, truths, words, and lists of them.
DECIMALS = st.one_of(
    st.from_regex(r"[-+]?(0|[1-9][0-9]{0,20})", fullmatch=True),
    st.from_regex(r"[-+]?(\.[0-9]{1,9}|(0|[1-9][0-9]{0,9})\.[0-9]{0,9})([eE][-+]?[0-9]{1,2})?", fullmatch=True),
)
PLAIN = st.one_of(
    DECIMALS.map(str),
    st.sampled_from(["true", "True", "FALSE", "null", "~", "''", '""']),
    st.from_regex(r"[a-z][a-z0-9_+]{0,8}", fullmatch=True).filter(lambda text: text not in ("yes", "no", "on", "off")),
    st.from_regex(r"'[ -&(-~]{0,8}'", fullmatch=True),
).map(lambda text: text.replace("\n", ""))
READABLE = st.recursive(PLAIN, lambda of: st.lists(of, max_size=4).map(lambda items: f"[{', '.join(items)}]"))


@given(READABLE)
def test_a_number_a_word_and_a_list_are_read_as_yaml_1_2_reads_them(text):
    assert equal(parse_literal(text), yaml.load(text, Core))


@given(TEXTS)
@example("1_000")
@example("0o17")
@example("1:30")
@example("1e400")
@example("'1'")
@example("a # b")
@example(".inf")
def test_any_text_is_read_as_yaml_1_2_reads_it_or_refused(text):
    try:
        value = parse_literal(text)
    except BumplabError as error:
        assert "\n" not in str(error)
        return
    assert equal(value, yaml.load(text.strip(" \t\r\n"), Core))


def test_of_all_short_texts_so_many_are_read_and_all_as_yaml_1_2_reads_them():
    texts = ["".join(signs) for n in range(5) for signs in itertools.product("01.-e:x", repeat=n)]
    read = {}
    for text in texts:
        with contextlib.suppress(BumplabError):
            read[text] = parse_literal(text)
    wrong = [text for text, value in read.items() if not equal(value, yaml.load(text, Core))]
    numbers = [text for text in texts if DECIMAL.fullmatch(text)]
    words = [text for text in texts if re.fullmatch(r"[ex][01.ex-]*", text)]
    assert (len(texts), len(numbers), len(words)) == (2801, 124, 518) and wrong == []
    assert set(numbers) | set(words) <= set(read) and len(read) == 1626
    assert all(type(read[text]) in (int, float) for text in numbers)


@given(edges.TEXTS)
@settings(deadline=5000, max_examples=100)
def test_text_of_any_length_is_read_or_refused_in_one_sentence(text):
    for read in (parse_literal, lambda text: parse_assignments([text]), lambda text: parse_assignments([f"a={text}"])):
        with edges.one_sentence():
            read(text)


def test_a_long_list_of_long_numbers_is_quoted_without_writing_it_out():
    written = []

    class Number(int):
        def __repr__(self):
            written.append(self)
            return "1"

    assert len(quote([Number()] * 1000)) <= 80 and len(written) <= 20


@given(edges.VALUES)
@settings(deadline=5000, max_examples=100)
def test_any_value_is_quoted_in_one_line_of_80_characters(value):
    assert len(quote(value)) <= 80 and quote(value).isprintable()


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
