"""Compare what a chapter prints as numbers, not as text, so that it may run on another processor than its author's.

A plugin of pytest, beside nbval. In every output, text and data, a number may differ from the committed one by the
tolerance below; whatever stands between numbers must be equal, and so must the kind and the count of outputs. nbval
still compares and reports: here only numbers that agree are settled before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import zip_longest

from nbval.plugin import IPyNbCell

#: A number with a point may move by one unit of its last printed digit, which is what rounding can do to it.
UNITS = 1.0
#: One with many digits may move by this share of itself.
RELATIVE = 1e-6
#: One without a point is a count: it may not move at all.
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w|\.\d)")
CLAIM = "application/vnd.bumplab.claim+json"


def decimals(number: str) -> int:
    """Return the place of the last digit after the point: 2 for ``0.25``, 4 for ``2.5e-3``, 0 for ``25``."""
    digits, _, exponent = number.lower().partition("e")
    return len(digits.partition(".")[2]) - int(exponent or 0)


def agree(one: str, other: str, tolerance: float = 0.0) -> bool:
    """Return whether two printed numbers are equal, or both have a point or exponent and are close.

    `tolerance` is what a claim states for itself, where that is more than a unit of the last digit.
    """
    if one == other:
        return True
    if not (re.search("[.eE]", one) or re.search("[.eE]", other)):
        return False
    a, b = (float(number.replace("−", "-")) for number in (one, other))
    unit = 10.0 ** -max(decimals(one), decimals(other))  # 0.8 is also how some print 0.80
    return abs(a - b) <= 1.000001 * max(UNITS * unit, tolerance, RELATIVE * max(abs(a), abs(b)))


def settle_text(test: str, reference: str, tolerance: float = 0.0) -> str:
    """Return a text with the reference's numbers where they agree; unchanged where other than numbers differs.

    How many blanks align two numbers is no difference: `` 9.99`` may become ``10.00``.
    """
    between = [re.sub(" +", " ", NUMBER.sub("#", text)).replace(" #", "#") for text in (test, reference)]
    if between[0] != between[1]:
        return test
    numbers = iter(NUMBER.findall(test))

    def settled(match: re.Match) -> str:
        number = next(numbers)
        return match[0] if agree(number, match[0], tolerance) else number

    return NUMBER.sub(settled, reference)


def settle(test, reference, sanitize: Callable = lambda text: text, tolerance: float = 0.0):
    """Return outputs, or a part of them, with the reference's numbers where they agree.

    Parameters
    ----------
    test, reference : list of outputs, mapping, text or number
    sanitize : callable
        Replaces what is not to be compared in a text, such as durations.
    tolerance : float
        See :func:`agree`.
    """
    if isinstance(test, str) and isinstance(reference, str):
        return settle_text(sanitize(test), sanitize(reference), tolerance)
    if isinstance(test, float) and isinstance(reference, float):  # of data: their digits are those of JSON
        return reference if agree(repr(test), repr(reference), tolerance) else test
    if isinstance(test, Mapping) and isinstance(reference, Mapping):
        tolerance = max(tolerance, reference.get(CLAIM, {}).get("tolerance", 0.0))
        both = test.keys() & reference.keys()
        changes = {key: settle(test[key], reference[key], sanitize, tolerance) for key in both}
        return type(test)({**test, **changes})
    if isinstance(test, list) and isinstance(reference, list):
        pairs = zip_longest(test, reference[: len(test)])
        return [settle(one, other, sanitize, tolerance) for one, other in pairs]
    return test


def pytest_itemcollected(item) -> None:
    """Let a cell of a notebook settle its numbers before nbval compares it."""
    if isinstance(item, IPyNbCell):
        compare = item.compare_outputs
        item.compare_outputs = lambda test, ref: compare(settle(test, ref, item.sanitize), ref)
