"""The best guess of a sample with rules from a noisy one, exactly: what a perfect diffusion model of them would say.

A rule is a product over rows and attributes of laws of three values, so the posterior is a sum over twelve rules of
sums over 125 triples. In the book's sampler it draws samples whose rules hold, whichever numbers stand for the values:
what a diffusion network lacks of them is for its training to explain. The task is that of arXiv:2411.07873.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.analytic import Theory, column
from bumplab.worlds.rules import ATTRIBUTES, PANELS, ROWS, RULE_RELATIONS, RULES, VALUES, relation_triples, rule_number

Code = Literal["ordinal", "one-hot"]


@lru_cache
def _log_laws() -> torch.Tensor:
    """Return the logarithm of the chance of each triple under each relation and none, (5, 5, 5, 5)."""
    laws = torch.zeros(len(relation_triples()), *[VALUES] * PANELS, dtype=torch.float64)
    for law, triples in zip(laws, relation_triples().values(), strict=True):
        law[tuple(torch.from_numpy(triples).T)] = 1 / len(triples)
    return laws.log()


def value_posterior(evidence: torch.Tensor, rules: Sequence[str] = RULES) -> torch.Tensor:
    """Return how likely each value is, (n, 3 rows, 3 panels, 3 attributes, 5), all rules being as likely before.

    Parameters
    ----------
    evidence : torch.Tensor, (n, 3, 3, 3, 5)
        The logarithm of the likelihood of each value of each attribute of each panel, up to a constant.
    rules : sequence of str
        Those that there are.

    Examples
    --------
    >>> evidence = torch.zeros(1, 3, 3, 3, 5)
    >>> evidence[:, 0, :2, 1, 2] = 50.0  # two sizes of 2 in a row; nothing is known of the rest
    >>> chances = value_posterior(evidence, ["size constant"])[0, 0, 2, 1]
    >>> [round(value, 2) for value in chances.tolist()]
    [0.0, 0.0, 1.0, 0.0, 0.0]
    """
    first, second, third = evidence.double().unbind(2)  # (n, rows, attributes, 5) each
    triples = first[..., :, None, None] + second[..., None, :, None] + third[..., None, None, :]
    by_relation = triples[:, :, :, None] + _log_laws()  # (n, rows, attributes, relations, 5, 5, 5)
    totals = by_relation.flatten(4).logsumexp(4)
    held = torch.zeros(len(rules), len(ATTRIBUTES), totals.shape[3], dtype=torch.float64)
    for each, rule in zip(held, rules, strict=True):
        about, relation = divmod(rule_number(rule), len(RULE_RELATIONS))
        each[:, -1] = 1
        each[about, -1], each[about, relation] = 0, 1
    of_rules = torch.softmax(torch.einsum("nak,rak->nr", totals.sum(1), held), 1)
    weights = torch.einsum("nr,rak->nak", of_rules, held)
    laws = torch.einsum("nak,nmakxyz->nmaxyz", weights, (by_relation - totals[..., None, None, None]).exp())
    return torch.stack([laws.sum((4, 5)), laws.sum((3, 5)), laws.sum((3, 4))], 2)


def rule_theory(code: Code, rules: Sequence[str] = RULES) -> Theory:
    """Return the posterior mean of samples in a code as a theory (x, sigma) -> x0, in the shape of x.

    Parameters
    ----------
    code : {"ordinal", "one-hot"}
        See :class:`~bumplab.toys.rule_denoisers.RuleDenoiserSettings`.
    rules : sequence of str

    Examples
    --------
    >>> theory = rule_theory("ordinal", ["size sum"])
    >>> theory(torch.zeros(2, 1, 1, 27), 0.5).shape
    torch.Size([2, 1, 1, 27])
    >>> rule_theory("binary")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A code of values is ordinal or one-hot, got 'binary'.
    """
    if code not in ("ordinal", "one-hot"):
        raise BumplabError(f"A code of values is ordinal or one-hot, got {quote(code)}.")
    levels = torch.linspace(-1, 1, VALUES, dtype=torch.float64)
    shape = ROWS, PANELS, len(ATTRIBUTES)

    def theory(x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        noisy, variance = x.double().flatten(1), column(sigma, x).double() ** 2
        if code == "ordinal":
            evidence = -((noisy[..., None] - levels) ** 2) / (2 * variance[..., None])
            mean = value_posterior(evidence.unflatten(1, shape), rules) @ levels
        else:
            evidence = 2 * noisy / variance
            mean = 2 * value_posterior(evidence.unflatten(1, (*shape, VALUES)), rules) - 1
        return mean.view_as(x).to(x.dtype)

    return theory
