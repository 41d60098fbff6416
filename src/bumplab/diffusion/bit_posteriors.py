"""The best guess of clean bits from noisy ones, exactly: for a rule, for independent bits, for a training set.

A noisy string enters through its evidence h = x sqrt(alpha_bar) / (1 - alpha_bar), which is y / sigma^2 of Karras
et al. (arXiv:2206.00364): half the logarithm of the odds of +1 against -1. For independent bits the posterior mean is
tanh h. A rule of even parity adds what the others of its group say: the check node of Gallager's decoder (1963). Means
are computed in float64 from logarithms, so that they hold at every noise level. The task is that of arXiv:2605.10019.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from bumplab.diffusion.analytic import Theory, column
from bumplab.diffusion.process import Diffusion

#: Variance of the noise below which it is taken for this: evidence stays finite on a clean string.
_MIN_VARIANCE = 1e-12
#: Numbers that one product of evidence with strings may have, in float64: 64 MB.
_CHUNK = 2**23


def independent_mean(evidence: torch.Tensor) -> torch.Tensor:
    """Return the posterior mean (n, D) of independent bits, -1 or +1 with equal chances.

    Parameters
    ----------
    evidence : torch.Tensor, (n, D)
        See the module.

    Examples
    --------
    >>> independent_mean(torch.tensor([[0.0, 1.0]]))
    tensor([[0.0000, 0.7616]], dtype=torch.float64)
    """
    return evidence.double().tanh()


def parity_mean(evidence: torch.Tensor, group: int) -> torch.Tensor:
    """Return the posterior mean (n, D) of bits that are uniform over all strings with even parity in each group.

    With t = tanh h it is (t_i + P_i) / (1 + t_i P_i), P_i being the product of the other t of the group.

    Parameters
    ----------
    evidence : torch.Tensor, (n, D)
        See the module.
    group : int
        G, a divisor of D; 0 for no rule.

    Examples
    --------
    >>> parity_mean(torch.tensor([[0.0, 1.0]]), 2)  # equal bits: what is known of one is known of the other
    tensor([[0.7616, 0.7616]], dtype=torch.float64)
    """
    if not group:
        return independent_mean(evidence)
    h = evidence.double().unflatten(1, (-1, group))
    before, after = [torch.full_like(h[..., 0], torch.inf)], [torch.full_like(h[..., 0], torch.inf)]
    for k in range(group - 1):
        before.append(_parity_evidence(before[-1], h[..., k]))
        after.append(_parity_evidence(after[-1], h[..., group - 1 - k]))
    others = _parity_evidence(torch.stack(before, -1), torch.stack(after[::-1], -1))
    return (h + others).tanh().flatten(1)


def _parity_evidence(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return artanh(tanh a tanh b), the evidence for the product of two bits; infinity stands for a bit that is +1."""
    smaller = a.sign() * b.sign() * torch.minimum(a.abs(), b.abs())
    rest = (torch.exp(-2 * (a + b).abs()).log1p() - torch.exp(-2 * (a - b).abs()).log1p()) / 2
    return torch.where(a.isinf(), b, torch.where(b.isinf(), a, smaller + rest))


def memorised_mean(evidence: torch.Tensor, strings: torch.Tensor, shares: torch.Tensor | None = None) -> torch.Tensor:
    """Return the posterior mean (n, D) of strings that are one of N: what copying would guess.

    Parameters
    ----------
    evidence : torch.Tensor, (n, D)
        See the module.
    strings : torch.Tensor, (N, D)
        Of -1 and +1.
    shares : torch.Tensor, (N,), optional
        How likely each of them is, above 0; all the same unless given.

    Examples
    --------
    >>> memorised_mean(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, -1.0], [-1.0, -1.0]]))
    tensor([[ 0.7616, -1.0000]], dtype=torch.float64)
    """
    strings = strings.double()
    prior = 0.0 if shares is None else shares.double().log()
    parts = evidence.double().split(max(1, _CHUNK // len(strings)))
    return torch.cat([torch.softmax(part @ strings.T + prior, 1) @ strings for part in parts])


def bit_evidence(diffusion: Diffusion, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Return the evidence (n, D), float64, in noisy strings.

    Parameters
    ----------
    diffusion : Diffusion
    x : torch.Tensor, (n, ...)
        Strings as vectors or as images, D numbers each.
    t : torch.Tensor, (n,)
        Timesteps, -1 to T - 1.

    Examples
    --------
    >>> diffusion = Diffusion()
    >>> h = bit_evidence(diffusion, torch.ones(2, 1, 2, 2), torch.tensor([99.0, 999.0]))
    >>> [round(value, 3) for value in h[:, 0].tolist()]  # a little noise, and hardly anything else
    [9.197, 0.006]
    """
    log = diffusion.log_alpha_bar(t).double().flatten(1)
    return x.double().flatten(1) * torch.exp(log / 2) / (-torch.expm1(log)).clamp(min=_MIN_VARIANCE)


def bit_theory(mean: Callable[[torch.Tensor], torch.Tensor]) -> Theory:
    """Return a posterior mean as a theory (x, sigma) -> x0, in the shape of x: see :mod:`bumplab.diffusion.analytic`.

    Parameters
    ----------
    mean : callable
        Evidence (n, D) to mean (n, D), such as :func:`independent_mean`.

    Examples
    --------
    >>> from bumplab.diffusion.analytic import as_network
    >>> diffusion = Diffusion(schedule="cosine")
    >>> network = as_network(bit_theory(lambda evidence: parity_mean(evidence, group=2)), diffusion)
    >>> x = diffusion.sample(network, torch.zeros(5, 2), size=4, generator=torch.Generator().manual_seed(0))
    >>> x.shape, x.flatten(1).unflatten(1, (8, 2)).sign().prod(2).unique().tolist()  # every pair is equal
    (torch.Size([5, 1, 4, 4]), [1.0])
    """

    def theory(x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        evidence = x.double().flatten(1) / column(sigma, x).double() ** 2
        return mean(evidence).view_as(x).to(x.dtype)

    return theory


def parity_advantage(group: int, sigma: float, log2_draws: int = 14) -> float:
    """Return by how much knowing the rule lowers the squared error of a bit, against independent bits.

    All valid strings are alike, so it is the mean over noise around the string of ones, taken over a Sobol sequence.

    Parameters
    ----------
    group : int
        G, 2 or more.
    sigma : float
        Noise over signal, above 0.
    log2_draws : int
        Logarithm of the number of draws.

    Examples
    --------
    >>> round(parity_advantage(2, 1.0), 3)
    0.219
    """
    from scipy.stats import norm, qmc

    uniform = qmc.Sobol(group, scramble=False).random_base2(log2_draws) + 0.5 ** (log2_draws + 1)
    evidence = torch.from_numpy((1 + sigma * norm.ppf(uniform)) / sigma**2)
    return float((parity_mean(evidence, group) - independent_mean(evidence)).square().mean())
