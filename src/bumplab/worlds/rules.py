"""Panels of attributes, in rows that obey an abstract rule: a Raven test small enough to count.

A sample has three rows of three panels, a panel one object with three attributes of five values each. A rule is a
relation on one attribute, and holds in all three rows; in the other attributes no relation holds in any row. The
smallest version of GenRAVEN (Wang, Shang, Sompolinsky, arXiv:2411.07873).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from bumplab.common.errors import BumplabError, join_names, quote

#: What a panel has, and how many values each of it may take, from 0.
ATTRIBUTES, VALUES = ("shape", "size", "colour"), 5
#: Relations among the three values of a row. Ambiguous triples are of the first that holds.
RULE_RELATIONS = ("constant", "+1", "-1", "sum")
#: All rules by name, relation after attribute.
RULES = tuple(f"{attribute} {relation}" for attribute in ATTRIBUTES for relation in RULE_RELATIONS)
#: Rows of a sample, and panels of a row.
ROWS, PANELS = 3, 3
_MAX_SAMPLES = 1_000_000


@lru_cache
def relation_triples() -> dict[str, np.ndarray]:
    """Return the triples of values of each relation, (k, 3), and of ``"none"``: together all 125, each once.

    Examples
    --------
    >>> {name: len(triples) for name, triples in relation_triples().items()}
    {'constant': 5, '+1': 3, '-1': 3, 'sum': 13, 'none': 101}
    """
    triples: dict[str, list] = {name: [] for name in (*RULE_RELATIONS, "none")}
    for a, b, c in itertools.product(range(VALUES), repeat=3):
        holds = {
            "constant": a == b == c,
            "+1": (b - a, c - b) == (1, 1),
            "-1": (b - a, c - b) == (-1, -1),
            "sum": a + b == c,
        }
        triples[next((name for name in RULE_RELATIONS if holds[name]), "none")].append((a, b, c))
    return {name: np.array(each) for name, each in triples.items()}


@lru_cache
def _relation_table() -> np.ndarray:
    """Return the number of the relation of every triple, (5, 5, 5); 4 for none."""
    table = np.zeros([VALUES] * PANELS, dtype=np.int64)
    for number, triples in enumerate(relation_triples().values()):
        table[tuple(triples.T)] = number
    return table


def rule_number(rule: str) -> int:
    """Return the place of a rule in :data:`RULES`.

    Raises
    ------
    BumplabError
        For an unknown rule.

    Examples
    --------
    >>> rule_number("size sum")
    7
    >>> rule_number("size product")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A rule is an attribute (shape, size, colour) and a relation (constant, +1, -1, \
sum), such as 'size sum', got 'size product'.
    """
    if rule not in RULES:
        raise BumplabError(
            f"A rule is an attribute ({join_names(ATTRIBUTES)}) and a relation ({join_names(RULE_RELATIONS)}), such as "
            f"'size sum', got {quote(rule)}."
        )
    return RULES.index(rule)


def remaining_rules(held_out: Sequence[str]) -> tuple[str, ...]:
    """Return all rules but those that are held out of training.

    Raises
    ------
    BumplabError
        For an unknown rule, or if none is left.

    Examples
    --------
    >>> len(remaining_rules(["shape sum", "colour +1"]))
    10
    """
    out = {rule_number(rule) for rule in held_out}
    if len(out) == len(RULES):
        raise BumplabError("All rules are held out: leave at least one to learn from.")
    return tuple(rule for number, rule in enumerate(RULES) if number not in out)


def num_samples(rule: str) -> int:
    """Return how many different samples obey a rule, and no other: (k 101^2)^3 with k triples of the relation.

    Examples
    --------
    >>> num_samples("size +1") == (3 * 101**2) ** 3
    True
    """
    relation = RULES[rule_number(rule)].split()[1]
    triples = relation_triples()
    return (len(triples[relation]) * len(triples["none"]) ** (len(ATTRIBUTES) - 1)) ** ROWS


def free_triples(attribute: str, free: Sequence[str] = ()) -> np.ndarray:
    """Return the triples of values that an attribute may have where the rule is about another one, (k, 3).

    Parameters
    ----------
    attribute : str
    free : sequence of str
        Rules that may hold there by chance; the others never do.

    Examples
    --------
    >>> len(free_triples("size")), len(free_triples("size", ["size sum", "colour +1"]))
    (101, 114)
    """
    pairs = [RULES[rule_number(rule)].split() for rule in dict.fromkeys(free)]
    names = ["none", *(relation for of, relation in pairs if of == attribute)]
    return np.concatenate([relation_triples()[name] for name in names])


def draw_panels(rule: str, n: int, seed: int = 0, free: Sequence[str] = ()) -> np.ndarray:
    """Return n samples of a rule, (n, 3 rows, 3 panels, 3 attributes) of 0 to 4, independent and uniform.

    Parameters
    ----------
    rule : str
        One of :data:`RULES`.
    n : int
        1 to a million. Two are the same with a chance of 1 in :func:`num_samples`.
    seed : int
    free : sequence of str
        Rules that may hold in a row of other attributes by chance, see :func:`free_triples`.

    Raises
    ------
    BumplabError
        For an unknown rule, or another number of samples.

    Examples
    --------
    >>> panels = draw_panels("shape constant", 2)
    >>> panels.shape, (panels[..., 0] == panels[..., :1, 0]).all().item()
    ((2, 3, 3, 3), True)
    """
    number = rule_number(rule)
    if not 1 <= n <= _MAX_SAMPLES:
        raise BumplabError(f"Draw 1 to {_MAX_SAMPLES:,} samples of a rule, got {quote(n)}.")
    which, relation = divmod(number, len(RULE_RELATIONS))
    triples, rng = relation_triples(), np.random.default_rng([2411, number, seed])
    columns = []
    for attribute in range(len(ATTRIBUTES)):
        of = triples[RULE_RELATIONS[relation]] if attribute == which else free_triples(ATTRIBUTES[attribute], free)
        columns.append(of[rng.integers(len(of), size=(n, ROWS))])
    return np.stack(columns, -1)


def row_relations(panels: np.ndarray) -> np.ndarray:
    """Return the relation of each row in each attribute: a place in :data:`RULE_RELATIONS`, or 4 for none.

    Parameters
    ----------
    panels : array of int, (n, R rows, 3 panels, 3 attributes)
        A value outside of 0 to 4 is in no relation.

    Returns
    -------
    array of int, (n, R, 3)

    Examples
    --------
    >>> row_relations(np.array([[[[0, 0, 3], [0, 1, 1], [0, 2, 4]]]]))  # constant, +1, sum
    array([[[0, 1, 3]]])
    """
    panels = np.asarray(panels)
    inside = ((panels >= 0) & (panels < VALUES)).all(2)
    a, b, c = np.moveaxis(panels.clip(0, VALUES - 1), 2, 0)
    return np.where(inside, _relation_table()[a, b, c], len(RULE_RELATIONS))


def rules_of(panels: np.ndarray, rows: int = ROWS) -> np.ndarray:
    """Return which rules hold in at least so many rows of a sample, (n, 12) bool, in the order of :data:`RULES`.

    Parameters
    ----------
    panels : array of int, (n, 3 rows, 3 panels, 3 attributes)
    rows : int
        1 to 3; with 3, a sample with any of them counts for the paper's C3, with 2 for its C2.

    Examples
    --------
    >>> [RULES[k] for k in np.flatnonzero(rules_of(draw_panels("colour -1", 1))[0])]
    ['colour -1']
    """
    relations = row_relations(panels)
    count = (relations[..., None] == np.arange(len(RULE_RELATIONS))).sum(1)
    return (count >= rows).reshape(len(relations), len(RULES))


def chance_of_rule() -> float:
    """Return the share of samples with a rule in all three rows (C3) where all values are uniform noise.

    Examples
    --------
    >>> round(chance_of_rule(), 5)
    0.00365
    """
    counts = [len(triples) / VALUES**PANELS for name, triples in relation_triples().items() if name != "none"]
    return 1 - (1 - sum(share**ROWS for share in counts)) ** len(ATTRIBUTES)


def completes_rule(panels: np.ndarray, rule: str) -> np.ndarray:
    """Return whether the last row obeys a rule in samples (n, 3, 3, 3), (n,) bool, as its last panel decides.

    Examples
    --------
    >>> panels = draw_panels("size sum", 3)
    >>> panels[0, 2, 2, 1] += 1
    >>> completes_rule(panels, "size sum").tolist()
    [False, True, True]
    """
    attribute, relation = divmod(rule_number(rule), len(RULE_RELATIONS))
    return row_relations(panels[:, -1:])[:, 0, attribute] == relation
