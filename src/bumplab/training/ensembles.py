"""Many small models trained as one batched program, which is what a GPU is good at.

A network of this book is too small to keep a GPU busy: starting its hundreds of operations takes longer than
doing them. An ensemble stacks the weights of M networks and maps one network over the stack (``torch.func.vmap``), so
that every operation serves all of them. Each member keeps its own data, seed and noise, and ends where it would
have ended alone, but for rounding. The weights of a member are views into the stack: whatever works
on a training state works on a member.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from bumplab.analysis.accuracy import Evaluation, score_images
from bumplab.training.device import DTYPES
from bumplab.training.loop import execute_steps
from bumplab.training.outcomes import evaluate_model
from bumplab.training.settings import Settings
from bumplab.training.state import TrainState, init_optimizer
from bumplab.training.step import Learner, Weights, over_stack, stack_loss

#: Most members of one ensemble: a GPU is busy with fewer, and an interruption should cost little.
MAX_MEMBERS = 128
#: Time between the checkpoints of an ensemble, which are a file for each member.
ENSEMBLE_CHECKPOINT_SECONDS = 120.0
_IMAGES = 8192  # generated at a time, over all members


def is_worthwhile(device: torch.device) -> bool:
    """Return whether ensembles are faster than single runs: on a GPU. One CPU core gains nothing worth having.

    Examples
    --------
    >>> is_worthwhile(torch.device("cpu"))
    False
    """
    return device.type == "cuda"


def batching_key(settings: Settings) -> Settings:
    """Return what members of one ensemble must share: all but the seed, sigma, and which conditions are shown.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> batching_key(preset("smoke", world={"sigma": 2}, seed=1)) == batching_key(preset("smoke"))
    True
    """
    common = {"sigma": 1, "spacing": 1, "held_out": None, "fraction": 1, "subsample_region": None, "subsample_seed": 0}
    return settings.replace(seed=0, world=common)


def groups(settings: Iterable[Settings], most: int = MAX_MEMBERS) -> list[list[Settings]]:
    """Sort settings into ensembles of at most `most` members; what fits with no other is left out.

    Parameters
    ----------
    settings : iterable of Settings
    most : int
        2 or more.

    Returns
    -------
    list of lists of Settings
        Two or more in each.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> [len(group) for group in groups([preset("smoke", seed=seed) for seed in range(3)], most=2)]
    [2]
    """
    alike: dict[Settings, list[Settings]] = {}
    for each in settings:
        alike.setdefault(batching_key(each), []).append(each)
    return [part for group in alike.values() for part in _split(group, most) if len(part) > 1]


class Ensemble:
    """Training states, all of one shape and at the same step, that advance together.

    Parameters
    ----------
    states : sequence of TrainState
        Two or more. From here on their weights, averaged weights, moments and sums of losses are views into stacks.

    Attributes
    ----------
    states : sequence of TrainState
    parameters, ema_parameters : dict of str to torch.Tensor, (M, ...)
        Weights and averaged weights of all members.
    learner : Learner
        All members as one.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> ensemble = Ensemble([init_state(preset("smoke", seed=seed), "cpu") for seed in (0, 1)])
    >>> ensemble.parameters["head.weight"].shape  # of both members
    torch.Size([2, 16, 8, 1, 1])
    """

    def __init__(self, states: Sequence[TrainState]) -> None:
        self.states, first = states, states[0]
        self.settings, self.device = first.settings, first.device
        self.parameters = _stack([state.model for state in states])
        self.ema_parameters = _stack([state.ema_model for state in states])
        for stacked in self.parameters.values():
            stacked.requires_grad_()
        optimizer = init_optimizer(self.parameters.values(), self.settings.training)
        for name, stacked in self.parameters.items():
            parts = [state.optimizer.state[state.model.get_parameter(name)] for state in states]
            _stack_moments(optimizer.state[stacked], parts)
        self.loss_sum = torch.stack([state.loss_sum for state in states])
        for state, total in zip(states, self.loss_sum, strict=True):
            state.loss_sum, state.ensemble_size = total, len(states)
        sigma = torch.tensor([state.settings.world.sigma for state in states], device=self.device)
        loss = stack_loss(first.model, self.parameters, self.settings.diffusion, DTYPES[first.precision])
        self.learner = Learner(
            self.settings, loss, self.parameters, self.ema_parameters,
            optimizer, first.scaler, [state.generator for state in states], [state.conditions for state in states],
            self.loss_sum, sigma.repeat_interleave(self.settings.training.batch, 0),
        )  # fmt: skip

    def predict(self, weights: Weights, x: torch.Tensor, t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        """Map images (M, n, 1, N, N), timesteps (M, n) and conditions (M, n, 2) through M networks.

        Parameters
        ----------
        weights : dict of str to torch.Tensor, (M, ...)
        x, t, mu : torch.Tensor, (M, n, 1, N, N), (M, n) and (M, n, 2)

        Returns
        -------
        torch.Tensor, (M, n, 1, N, N)

        Examples
        --------
        >>> from bumplab.training import init_state, preset
        >>> ensemble = Ensemble([init_state(preset("smoke", seed=seed), "cpu") for seed in (0, 1)])
        >>> x, t, mu = torch.zeros(2, 3, 1, 32, 32), torch.zeros(2, 3), torch.zeros(2, 3, 2)
        >>> ensemble.predict(ensemble.parameters, x, t, mu).shape
        torch.Size([2, 3, 1, 32, 32])
        """
        one = self.states[0].model
        return over_stack(lambda own, *inputs: functional_call(one, own, inputs))(weights, x, t, mu)

    def steps(self, compile: bool | None = None) -> Iterator[Sequence[TrainState]]:
        """Train, yielding the states after every step: :func:`~bumplab.training.loop.training_steps` for all.

        Examples
        --------
        >>> from bumplab.training import init_state, preset
        >>> ensemble = Ensemble([init_state(preset("smoke", seed=seed), "cpu") for seed in (0, 1)])
        >>> [state.step for state in next(ensemble.steps())]
        [1, 1]
        """
        return execute_steps(self.learner, self.states, compile)

    @torch.no_grad()
    def evaluate(self, states: Sequence[TrainState], most: int) -> list[dict[str, Evaluation]]:
        """Evaluate averaged weights of some states, for at most `most` conditions of ``seen`` and of ``unseen``.

        The images are those that :func:`bumplab.training.outcomes.evaluate_model` would make for each alone.

        Returns
        -------
        list of dicts of str to Evaluation
            For each state ``seen`` and, where its world has any, ``unseen``.

        Examples
        --------
        >>> from bumplab.training import init_state, preset
        >>> ensemble = Ensemble([init_state(preset("smoke", seed=seed), "cpu") for seed in (0, 1)])
        >>> [evaluations["seen"].mu.shape for evaluations in ensemble.evaluate(ensemble.states, most=4)]
        [torch.Size([4, 2]), torch.Size([4, 2])]
        """
        evaluations: list[dict[str, Evaluation]] = [{} for _ in states]
        if self.settings.training.sampler_eta > 0:  # each step draws noise of each one's own
            for parts, state in zip(evaluations, states, strict=True):
                for name, mu in state.settings.world.condition_splits(most).items():
                    parts[name] = evaluate_model(state.ema_model, state.settings, mu.to(self.device))
            return evaluations
        splits = [state.settings.world.condition_splits(most) for state in states]
        for name in ("seen", "unseen"):
            rows = [k for k, split in enumerate(splits) if name in split]
            longest = max((len(splits[k][name]) for k in rows), default=1)
            for some in _split(rows, max(1, _IMAGES // longest)):
                results = self._evaluate_conditions([states[k] for k in some], [splits[k][name] for k in some])
                for k, result in zip(some, results, strict=True):
                    evaluations[k][name] = result
        return evaluations

    def _evaluate_conditions(self, states: Sequence[TrainState], mu: Sequence[torch.Tensor]) -> list[Evaluation]:
        """Evaluate some states for conditions (n_k, 2), one set for each."""
        diffusion, world, training = self.settings.diffusion, self.settings.world, self.settings.training
        size, longest = world.size, max(map(len, mu))
        chosen = [index for index, state in enumerate(self.states) if any(state is other for other in states)]
        weights = {name: stacked[chosen] for name, stacked in self.ema_parameters.items()}
        # Sets differ in length: the last condition of the short ones gets several images, of which the first is kept.
        padded = torch.stack([own[torch.arange(longest).clamp(max=len(own) - 1)] for own in mu]).to(self.device)
        noise = torch.zeros(len(mu), longest, 1, size, size)
        for own, condition in zip(noise, mu, strict=True):
            generator = torch.Generator().manual_seed(0)
            own[: len(condition)] = torch.randn(len(condition), 1, size, size, generator=generator)

        def model(x: torch.Tensor, t: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            several = padded.shape[:2]
            return self.predict(weights, x.unflatten(0, several), t.unflatten(0, several), padded).flatten(0, 1)

        images = diffusion.sample(
            model, padded.flatten(0, 1), size, training.sampler_steps, noise=noise.flatten(0, 1)
        ).unflatten(0, padded.shape[:2])
        worlds = [state.settings.world for state in states]
        results: dict[int, Evaluation] = {}
        for sigma in {world.sigma for world in worlds}:  # one search for all of one sigma
            same = [k for k, world in enumerate(worlds) if world.sigma == sigma]
            conditions = torch.cat([mu[k] for k in same]).to(self.device)
            together = score_images(torch.cat([images[k, : len(mu[k])] for k in same]), conditions, worlds[same[0]])
            start = 0
            for k in same:
                own = together[start : start + len(mu[k])]
                results[k] = dataclasses.replace(own, world=worlds[k])
                start += len(mu[k])
        return [results[k] for k in range(len(states))]

    def measure(self, states: Sequence[TrainState]) -> list[dict[str, Any]]:
        """Return what :func:`bumplab.training.outcomes.measure` returns, for some of the states."""
        evaluations = self.evaluate(states, self.settings.training.evaluate_on)
        return [
            {"step": state.step} | {name: evaluation.to_record() for name, evaluation in parts.items()}
            for state, parts in zip(states, evaluations, strict=True)
        ]


def _stack(modules: Sequence[nn.Module]) -> dict[str, torch.Tensor]:
    """Return the parameters of equal modules, stacked; theirs become views into it."""
    stacks = {}
    for name, _ in modules[0].named_parameters():
        parts = [module.get_parameter(name) for module in modules]
        stacks[name] = torch.stack([part.detach() for part in parts])
        for part, view in zip(parts, stacks[name], strict=True):
            part.data = view
    return stacks


def _stack_moments(stacked: dict[str, torch.Tensor], parts: Sequence[dict[str, torch.Tensor]]) -> None:
    """Give the ensemble's optimiser the moments of its members for one parameter, and them views."""
    for key in ("exp_avg", "exp_avg_sq"):
        stacked[key].copy_(torch.stack([part[key] for part in parts]))
        for part, view in zip(parts, stacked[key], strict=True):
            part[key] = view
    stacked["step"].copy_(parts[0]["step"])
    for part in parts:
        part["step"] = stacked["step"]


def _split(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[k : k + size] for k in range(0, len(items), size))
