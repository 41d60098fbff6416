"""What is possible, what is not, and what a reader is told."""

import pytest

from bumplab.chapters import checks, text_checks
from bumplab.chapters.validation import ParameterError, parameters
from bumplab.common.errors import BumplabError

TYPES = {int: "int", float: "float", str: "str", list: "list", bool: "bool"}


def check(value, how, **others):
    """Check the parameter `size` of a notebook that has others beside it."""
    values = {"size": value, **others}
    notebook = {"__annotations__": {name: TYPES[type(each)] for name, each in values.items()}, **values}
    return parameters(notebook, size=how).size


@pytest.mark.parametrize(
    "how, right, wrong, words",
    [
        (checks.at_least(16), [16, 17], [15, -1], "at least 16"),
        (checks.at_most(2), [2, 2.0, -5], [2.1, 3], "at most 2"),
        (checks.above(0), [1, 0.01], [0, -1], "above 0"),
        (checks.below(1), [0.99, 0], [1, 1.5], "below 1"),
        (checks.between(2, 10_000), [2, 10_000], [1, 10_001], "from 2 to 10,000"),
        (checks.within(0, 1), [0.5], [0.0, 1.0, 2.0], "above 0 and below 1"),
        (checks.interval(6, 37), [[6, 37], [7.5, 8]], [[5, 8], [8, 8], [9, 8], [6], [6, 7, 8], [6, 38]], "a pair"),
        (
            checks.interval(6, 37, contains_integer=True),
            [[13, 19], [6.5, 7.5], [6, 7.5]], [[6, 7], [6.2, 6.9], ["6", 8], [True, 8]],
            "a pair [a, b] with 6 <= a < b <= 37 and a whole number strictly between",
        ),
        (checks.numbers(), [[0], [1.5, -2]], [[], ["1"], [True], [None]], "a list of numbers"),
        (
            checks.numbers(checks.above(0) & checks.at_most(1)), [[0.5, 1]], [[0, 1], [0.5, 1.1], []],
            "a list of numbers above 0 and at most 1",
        ),
        (
            checks.numbers(checks.between(8, 60), whole=True), [[8, 60]], [[8.0], [7], [61]],
            "a list of whole numbers from 8 to 60",
        ),
        (checks.numbers(least=2), [[1, 2], [1, 1, 2]], [[1], [1, 1]], "a list of 2 different numbers or more"),
        (checks.numbers(ascending=True), [[1], [1, 2]], [[1, 1], [2, 1]], "a list of ascending numbers"),
        (checks.length(1, 2), [[1], ["a", 1.5]], [[], [1, 2, 3], ["a", "a"]], "a list of 1 to 2 different values"),
        (checks.containing(1.0), [[0.5, 1], [1.0]], [[0.5], []], "a list with 1.0 in it"),
        (text_checks.choice("bump", "sos"), ["sos"], ["SOS", "", "bumps"], "one of bump, sos"),
        (text_checks.choice("", "x0"), ["", "x0"], ["v"], "one of empty, x0"),
        (text_checks.region_text(), ["cross(13, 19)"], ["", "  "], "a region such as 'cross(13, 19)'"),
    ],
)  # fmt: skip
def test_a_check_lets_through_what_is_right_and_says_what_would_be(how, right, wrong, words):
    for value in right:
        assert check(value, how) == value
    for value in wrong:
        with pytest.raises(ParameterError) as caught:
            check(value, how)
        assert str(caught.value).startswith(f"Parameter 'size' must be {words}")
        assert str(caught.value).endswith(f", got {value!r}.") and str(caught.value).count(". ") == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, 10**400, -(10**4000), 2**53 + 1])
def test_a_number_that_no_parameter_means_is_refused_alone_and_in_a_list(value):
    for each, how in ((value, checks.at_most(2)), ([1, value], checks.numbers())):
        with pytest.raises(
            ParameterError, match=r"^Parameter 'size' must be finite and between -2\^53 and 2\^53, got "
        ):
            check(each, how)


@pytest.mark.parametrize(
    "value, words",
    [
        ([1] * 1001, "a list of at most 1,000 values, got 1,001"),
        ([[1]], r"a list of numbers or text, got \[1\]"),
        ("a" * 10_001, "of at most 10,000 characters, got 10,001"),
        ("\ud800", "text, got half of a character"),
    ],
)
def test_a_parameter_has_a_size_that_can_be_written_down(value, words):
    with pytest.raises(ParameterError, match=rf"^Parameter 'size' must be {words}[^\n]*\.$"):
        check(value, checks.containing(1))


def test_a_parameter_is_held_against_others():
    assert check(4, checks.other_than("later"), later=11) == 4
    with pytest.raises(ParameterError, match="Parameter 'size' must be other than parameter 'later', got 11."):
        check(11, checks.other_than("later"), later=11)
    assert check(32, checks.element_of("sizes"), sizes=[16, 32]) == 32
    with pytest.raises(ParameterError, match="must be one of parameter 'sizes', got 33."):
        check(33, checks.element_of("sizes"), sizes=[16, 32])
    assert check(41, checks.above("sizes"), sizes=[16, 40]) == 41
    assert check(41, checks.above("least"), least=40) == 41
    with pytest.raises(ParameterError, match="must be above parameter 'sizes', got 40."):
        check(40, checks.above("sizes"), sizes=[16, 40])


def test_shares_are_as_many_numbers_of_sites_on_the_smallest_lattice():
    sizes = [8, 100]  # 64 sites: a step of a share is 1 / 64
    for right in ([0.03, 0.06], [0.03, 0.03, 1], [0.5, 1]):
        assert check(right, checks.shares(2, sizes="sides"), sides=sizes) == right
    assert check([0.1, 0.101], checks.shares(2), sides=sizes) == [0.1, 0.101]
    for wrong in ([0.1, 0.101], [0.001, 0.5]):
        with pytest.raises(ParameterError, match="must be shares that make different numbers of sites, each 1 or more"):
            check(wrong, checks.shares(2, sizes="sides"), sides=sizes)
    for wrong in ([0.1], [0.1, 0.1], [], [0.1, 1.5], [0.0, 0.1], ["a", 0.1]):
        with pytest.raises(ParameterError, match="must be a list of 2 different numbers or more above 0 and at most 1"):
            check(wrong, checks.shares(2, sizes="sides"), sides=sizes)


def test_joined_checks_are_asked_in_their_order():
    how = checks.between(1, 13) & checks.other_than("later") & checks.at_least(4)
    assert check(5, how, later=11) == 5
    for value, words in ((0, "from 1 to 13"), (11, "other than"), (3, "at least 4")):
        with pytest.raises(ParameterError, match=words):
            check(value, how, later=11)


def test_the_sentences_of_regions_and_devices_are_their_own():
    with pytest.raises(ParameterError, match="Parameter 'size': Cannot read the region 'ring': use box, "):
        check("ring", text_checks.region_text())
    with pytest.raises(ParameterError, match="Parameter 'size': box.* is empty"):
        check("box(3, 2, 0, 1)", text_checks.region_text(required=False))
    assert check("", text_checks.region_text(required=False)) == ""
    assert check("cpu", text_checks.device_name()) == "cpu" and check("auto", text_checks.device_name()) == "auto"
    with pytest.raises(ParameterError, match="Parameter 'size': There is no device 'tpu' here: use auto or .*cpu"):
        check("tpu", text_checks.device_name())


def test_types_and_unknown_names_come_first_as_before():
    with pytest.raises(ParameterError, match="Parameter 'size' must be a number, got 'wide'."):
        parameters({"__annotations__": {"size": float}, "size": "wide"}, size=checks.at_most(2))
    injected = {"__annotations__": {"size": int}, "size": 3, "In": ["# Parameters\nsise = 4\n"]}
    with pytest.raises(ParameterError, match="There is no parameter 'sise': did you mean 'size'?"):
        parameters(injected, size=checks.at_most(2))


def test_a_check_of_no_parameter_is_a_mistake_of_the_chapters_author():
    with pytest.raises(BumplabError, match="A check is given for 'sigma'"):
        parameters({"__annotations__": {"size": int}, "size": 3}, sigma=checks.at_most(2))


def test_the_namespace_holds_all_parameters_checked_or_not():
    notebook = {"__annotations__": {"size": int, "sigma": float}, "size": 3, "sigma": 1, "other": 5}
    found = parameters(notebook, size=checks.at_most(3))
    assert vars(found) == {"size": 3, "sigma": 1.0} and isinstance(found.sigma, float)
