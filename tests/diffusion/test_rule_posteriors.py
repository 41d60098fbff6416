"""The posterior of samples with rules against a list of all rows, and what the book's sampler makes of it."""

import itertools

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import as_network
from bumplab.diffusion.rule_posteriors import rule_theory, value_posterior
from bumplab.toys.rule_denoisers import RuleDenoiserSettings
from bumplab.worlds.rules import RULES, rules_of

RELATIONS = {
    "constant": lambda a, b, c: a == b == c,
    "+1": lambda a, b, c: b == a + 1 and c == a + 2,
    "-1": lambda a, b, c: b == a - 1 and c == a - 2,
    "sum": lambda a, b, c: c == a + b and not a == b == c,
}


def triples_of(relation):
    every = list(itertools.product(range(5), repeat=3))
    if relation == "none":
        return [each for each in every if not any(holds(*each) for holds in RELATIONS.values())]
    return [each for each in every if RELATIONS[relation](*each)]


def rows_of(rule):
    """Return all rows that obey a rule, (k, 3 panels, 3 attributes)."""
    about, relation = rule.split()
    sets = [torch.tensor(triples_of(relation if name == about else "none")) for name in ("shape", "size", "colour")]
    grid = torch.cartesian_prod(*[torch.arange(len(each)) for each in sets])
    return torch.stack([each[grid[:, a]] for a, each in enumerate(sets)], -1)


def test_it_is_the_posterior_of_a_list_of_all_rows():
    rules = ("size +1", "colour constant", "shape -1")
    evidence = 2 * torch.randn(1, 3, 3, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logs, means = [], []
    for rule in rules:
        rows = rows_of(rule)
        picked = torch.nn.functional.one_hot(rows, 5).double()  # (k, 3, 3, 5)
        log = torch.einsum("rpav,kpav->rk", evidence[0], picked)
        logs.append((log.logsumexp(1) - torch.tensor(len(rows)).log()).sum())
        means.append(torch.einsum("rk,kpav->rpav", log.softmax(1), picked))
    expected = torch.einsum("r,rmpav->mpav", torch.stack(logs).softmax(0), torch.stack(means))
    torch.testing.assert_close(value_posterior(evidence, rules)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("code", ["ordinal", "one-hot"])
def test_a_code_hears_noise_as_it_is(code):
    settings = RuleDenoiserSettings(code=code)
    x0 = settings.encode(settings.panels(2, seed=3))
    noisy = x0 + 0.7 * torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    levels = settings.encode(torch.arange(5).numpy()[:, None, None, None].repeat(27, 1).reshape(5, 3, 3, 3))
    numbers = levels.view(5, 27, -1)  # what stands for each value, in each place
    log = -((noisy.view(len(x0), 1, 27, -1) - numbers) ** 2).sum(3) / (2 * 0.7**2)  # (n, 5, 27)
    chances = value_posterior(log.transpose(1, 2).reshape(-1, 3, 3, 3, 5)).flatten(1, 3)
    expected = torch.einsum("ndv,vdk->ndk", chances, numbers.double()).flatten(1)
    torch.testing.assert_close(rule_theory(code)(noisy, 0.7).double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("code", ["ordinal", "one-hot"])
def test_the_sampler_draws_rules_with_it(code):
    settings = RuleDenoiserSettings(code=code)
    network = as_network(rule_theory(code, RULES[:5]), settings.diffusion)
    noise = torch.randn(128, 1, 1, settings.numbers, generator=torch.Generator().manual_seed(0))
    x = settings.diffusion.sample(network, torch.zeros(128, 2), settings.numbers, steps=20, noise=noise).flatten(1)
    obeyed = rules_of(settings.decode(x))
    assert obeyed.any(1).mean() > 0.95 and not obeyed[:, 5:].any(1).mean() > 0.05


def test_an_unknown_code_or_rule_is_refused():
    with pytest.raises(BumplabError, match="ordinal or one-hot, got 'binary'"):
        rule_theory("binary")
    with pytest.raises(BumplabError, match="got 'size xor'"):
        rule_theory("ordinal", ["size xor"])(torch.zeros(1, 1, 1, 27), 1.0)
