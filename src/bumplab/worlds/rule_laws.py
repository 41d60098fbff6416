"""The exact law of panels with rules, one panel after the other: what the best autoregressive model would say.

It is a sum over rules of products, so the chance of the next panel is known. Said with one softmax for each attribute,
as the default head of arXiv:2411.07873 does, it is the best that such a head can be: its ceiling.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from bumplab.common.errors import BumplabError, quote
from bumplab.worlds.rules import ATTRIBUTES, PANELS, ROWS, RULES, VALUES, free_triples, relation_triples, rule_number

Saying = Literal["joint", "separate"]
#: Share of uniform noise in each law, so that panels that no rule allows have a chance and can be continued.
SMOOTHING = 1e-4


@lru_cache
def _triple_laws(smoothing: float, free: tuple[str, ...]) -> list[np.ndarray]:
    """Return the chances of the first m = 0 to 3 values of a row by attribute, relation or none (3, 5, 5, ...)."""
    laws = np.zeros([len(ATTRIBUTES), len(relation_triples())] + [VALUES] * PANELS)
    for attribute, of_attribute in zip(ATTRIBUTES, laws, strict=True):
        allowed = relation_triples() | {"none": free_triples(attribute, free)}
        for law, triples in zip(of_attribute, allowed.values(), strict=True):
            law[tuple(triples.T)] = (1 - smoothing) / len(triples)
    laws += smoothing / VALUES**PANELS
    return [laws.sum(axis=tuple(range(2 + m, 2 + PANELS))) for m in range(PANELS + 1)]


def _relations(rules: Sequence[str]) -> np.ndarray:
    """Return the number of the relation of each attribute under each rule, (rules, 3)."""
    none = len(relation_triples()) - 1
    table = np.full((len(rules), len(ATTRIBUTES)), none)
    for row, rule in zip(table, rules, strict=True):
        attribute, relation = divmod(rule_number(rule), none)
        row[attribute] = relation
    return table


def rule_posterior(
    panels: np.ndarray,
    given: int,
    rules: Sequence[str] = RULES,
    smoothing: float = SMOOTHING,
    free: Sequence[str] = (),
) -> np.ndarray:
    """Return how likely each rule is after the first panels of samples, (n, rules), all being as likely before.

    Parameters
    ----------
    panels : array of int, (n, 3 rows, 3 panels, 3 attributes)
    given : int
        How many panels count, row by row, 0 to 9.
    rules : sequence of str
        Those that there are.
    smoothing : float
    free : sequence of str
        Rules that may hold in a row of other attributes by chance.

    Examples
    --------
    >>> from bumplab.worlds.rules import draw_panels
    >>> panels = draw_panels("size sum", 1)
    >>> [round(rule_posterior(panels, given).max().item(), 2) for given in (0, 3, 9)]  # a row decides
    [0.08, 1.0, 1.0]
    """
    laws, relations = _triple_laws(smoothing, tuple(free)), _relations(rules)
    log = np.zeros((len(panels), len(rules)))
    for row in range(-(-given // PANELS)):
        m = min(given - PANELS * row, PANELS)
        for attribute in range(len(ATTRIBUTES)):
            values = tuple(panels[:, row, :m, attribute].T)
            by_relation = laws[m][attribute][(slice(None), *values)].reshape(-1, len(panels))
            log += np.log(by_relation[relations[:, attribute]]).T
    weight = np.exp(log - log.max(1, keepdims=True))
    return weight / weight.sum(1, keepdims=True)


def next_panel_law(
    panels: np.ndarray,
    given: int,
    rules: Sequence[str] = RULES,
    smoothing: float = SMOOTHING,
    free: Sequence[str] = (),
) -> np.ndarray:
    """Return the chances of all panels that may come next, (n, 5, 5, 5): by shape, size and colour.

    Parameters
    ----------
    panels : array of int, (n, 3 rows, 3 panels, 3 attributes)
        Of which those after the first `given` are not looked at.
    given : int
        0 to 8.
    rules, smoothing, free
        See :func:`rule_posterior`.

    Examples
    --------
    >>> from bumplab.worlds.rules import draw_panels
    >>> panels = draw_panels("size constant", 1)
    >>> law = next_panel_law(panels, given=8)[0]
    >>> bool(law.sum((0, 2)).argmax() == panels[0, 2, 1, 1])  # the size goes on
    True
    """
    laws, relations = _triple_laws(smoothing, tuple(free)), _relations(rules)
    row, m = divmod(given, PANELS)
    parts = []
    for attribute in range(len(ATTRIBUTES)):
        values = tuple(panels[:, row, :m, attribute].T)
        after = laws[m + 1][attribute][(slice(None), *values)].reshape(laws[0].shape[1], -1, VALUES)  # a row if m is 0
        after = np.broadcast_to(after, (len(after), len(panels), VALUES))
        parts.append((after / after.sum(2, keepdims=True))[relations[:, attribute]])
    posterior = rule_posterior(panels, given, rules, smoothing, free)
    return np.einsum("nr,rna,rnb,rnc->nabc", posterior, *parts, optimize=True)


def say_separately(law: np.ndarray) -> np.ndarray:
    """Return the law with the same chances of each attribute, (n, 5, 5, 5), that takes attributes to be independent.

    Examples
    --------
    >>> law = np.zeros((1, 5, 5, 5)); law[0, 0, 0, 0] = law[0, 1, 1, 1] = 0.5
    >>> float(say_separately(law)[0, 0, 0, 0])
    0.125
    """
    a, b, c = (law.sum(axes) for axes in ((2, 3), (1, 3), (1, 2)))
    return np.einsum("na,nb,nc->nabc", a, b, c)


def panel_log_likelihood(
    panels: np.ndarray,
    saying: Saying = "joint",
    rules: Sequence[str] = RULES,
    smoothing: float = SMOOTHING,
    free: Sequence[str] = (),
) -> np.ndarray:
    """Return the logarithm, in nats, of the chance of each panel after those before it, (n, 9).

    Parameters
    ----------
    panels : array of int, (n, 3 rows, 3 panels, 3 attributes)
    saying : {"joint", "separate"}
        With or without what attributes tell about each other.
    rules, smoothing, free
        See :func:`rule_posterior`; without smoothing an impossible panel has minus infinity.

    Examples
    --------
    >>> from bumplab.worlds.rules import draw_panels, num_samples
    >>> total = panel_log_likelihood(draw_panels("size sum", 1), smoothing=1e-12).sum()
    >>> bool(abs(total + np.log(12 * num_samples("size sum"))) < 1e-6)  # 12 rules, and so many samples of each
    True
    """
    say = _saying(saying)
    n, flat = np.arange(len(panels)), panels.reshape(len(panels), -1, len(ATTRIBUTES))
    laws = (say(next_panel_law(panels, k, rules, smoothing, free)) for k in range(ROWS * PANELS))
    chances = [law[(n, *flat[:, k].T)] for k, law in enumerate(laws)]
    with np.errstate(divide="ignore"):
        return np.log(np.stack(chances, 1))


def draw_by_law(
    n: int, saying: Saying = "joint", rules: Sequence[str] = RULES, seed: int = 0, smoothing: float = SMOOTHING
) -> np.ndarray:
    """Return n samples that the exact law makes up, panel after panel, (n, 3 rows, 3 panels, 3 attributes).

    Examples
    --------
    >>> from bumplab.worlds.rules import rules_of
    >>> [round(float(rules_of(draw_by_law(500, saying)).any(1).mean()), 1) for saying in ("joint", "separate")]
    [1.0, 0.7]
    """
    say, rng = _saying(saying), np.random.default_rng([968, seed])
    panels = np.zeros((n, ROWS, PANELS, len(ATTRIBUTES)), dtype=np.int64)
    for k in range(ROWS * PANELS):
        chances = say(next_panel_law(panels, k, rules, smoothing)).reshape(n, -1).cumsum(1)
        place = (chances < rng.random((n, 1)) * chances[:, -1:]).sum(1)
        panels[:, k // PANELS, k % PANELS] = np.stack(np.unravel_index(place, [VALUES] * len(ATTRIBUTES)), 1)
    return panels


def _saying(saying: str):
    if saying not in get_args(Saying):
        raise BumplabError(f"A law is said jointly or separately: joint or separate, got {quote(saying)}.")
    return say_separately if saying == "separate" else lambda law: law


def complete_by_law(
    panels: np.ndarray,
    rules: Sequence[str] = RULES,
    given: int = ROWS * PANELS - 1,
    smoothing: float = SMOOTHING,
    free: Sequence[str] = (),
) -> np.ndarray:
    """Return samples (n, 3, 3, 3) with the likeliest panel after those that are given, ties by lot; the rest stays.

    Parameters
    ----------
    panels : array of int, (n, 3 rows, 3 panels, 3 attributes)
    given : int
        0 to 8, row by row.
    rules, smoothing, free
        See :func:`rule_posterior`. Where the panels given follow none of these rules, what is likeliest is decided by
        the smoothing.

    Examples
    --------
    >>> from bumplab.worlds.rules import completes_rule, draw_panels
    >>> panels = draw_panels("size sum", 50)
    >>> float(completes_rule(complete_by_law(panels), "size sum").mean())
    1.0
    """
    law = next_panel_law(panels, given, rules, smoothing, free)
    lots = 1 + 1e-6 * np.random.default_rng(len(panels)).random(law.shape)
    likeliest = (law * lots).reshape(len(panels), -1).argmax(1)
    completed = panels.copy()
    completed[:, given // PANELS, given % PANELS] = np.stack(np.unravel_index(likeliest, law.shape[1:]), 1)
    return completed


def memory_survival(panels: np.ndarray) -> np.ndarray:
    """Return how likely a learner by heart whose heads are separate has said nothing new after each panel, (9,).

    Its law is that of the training samples, each as likely; so where it ends is the share of copies that it draws. Said
    jointly, it would be 1.

    Parameters
    ----------
    panels : array of int, (n, 3 rows, 3 panels, 3 attributes)
        What it was trained on.

    Examples
    --------
    >>> pair = np.stack([np.zeros((3, 3, 3), int), np.ones((3, 3, 3), int)])
    >>> memory_survival(pair)[[0, 8]].tolist()  # of eight first panels two are no mixture; the rest is then certain
    [0.25, 0.25]
    """
    cells = panels.reshape(len(panels), ROWS * PANELS, len(ATTRIBUTES))
    prefixes, shares = [(1.0, cells)], []
    for k in range(ROWS * PANELS):
        longer = []
        for chance, members in prefixes:
            said, place = np.unique(members[:, k], axis=0, return_inverse=True)
            values = (np.bincount(members[:, k, a], minlength=VALUES)[said[:, a]] for a in range(len(ATTRIBUTES)))
            chances = chance * np.prod(list(values), 0) / len(members) ** len(ATTRIBUTES)
            longer += [(chances[j], members[place.ravel() == j]) for j in range(len(said))]
        prefixes = longer
        shares.append(sum(chance for chance, _ in prefixes))
    return np.array(shares)
