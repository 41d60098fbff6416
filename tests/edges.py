"""Values at the edge of what anyone could give, and what a refusal of one looks like."""

import contextlib
import re

from hypothesis import strategies as st

from bumplab.common.errors import BumplabError

#: Characters that mean something to a reader of numbers, lists, regions, ranges or YAML, and some that do not print.
SIGNS = "0123456789aeExX:.,-+_'\"[](){}~&|*!#%@?<> \t\n\\\x00\x85\u0661\u2028\ud800"
NUMBERS = st.one_of(
    st.sampled_from([1e30, 1e308, 5e-324, -0.0, 0, 1, -1, 2**31, 2**53 + 1, 10**400, -(10**400), 10**4000]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.integers(),
    st.floats(),
)
WORDS = st.sampled_from(["kind", "bump", "cross(13, 19)", "true", "null", "cpu", "unet", "auto", "x0", "sigma", "02"])
SHORT = st.one_of(st.text(max_size=20), st.text(alphabet=SIGNS, max_size=20), NUMBERS.map(str), WORDS)
#: Short text, and text of up to 300,000 characters that says one thing over and over.
TEXTS = st.one_of(
    SHORT, st.builds(lambda text, times: (text * times)[:300_000], SHORT, st.sampled_from([10, 1_000, 30_000, 300_000]))
)


def nested(value, depth):
    """Return a value within so many lists."""
    for _ in range(depth):
        value = [value]
    return value


SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
#: What JSON could hold, at any depth and length.
VALUES = st.one_of(
    SCALARS,
    st.recursive(
        SCALARS,
        lambda of: st.one_of(st.lists(of, max_size=4), st.dictionaries(st.one_of(WORDS, SHORT), of, max_size=3)),
        max_leaves=8,
    ),
    st.builds(nested, SCALARS, st.sampled_from([2, 25, 1_000, 20_000])),
    st.builds(lambda value, times: [value] * times, NUMBERS, st.sampled_from([2, 4, 1_001, 300_000])),
)


@contextlib.contextmanager
def one_sentence():
    """Swallow a refusal if it is one short sentence, which repeats at most 80 characters of what was given."""
    try:
        yield
    except BumplabError as error:
        text = str(error)
        assert len(text) <= 400 and text.endswith(".") and text.isprintable(), text[:500]
        assert not re.search(r"[^\s,]{90}", text), text
