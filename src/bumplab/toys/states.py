"""Toys in training: each has a state of its own; a stack holds several of them in tensors with one more dimension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from bumplab.toys.settings import ToySettings

#: Added to the seed of the generator for batches and noise, which would begin like the one for weights otherwise.
_OTHER_STREAM = 2**32


@dataclass(eq=False)
class ToyState:
    """One toy between two steps.

    Attributes
    ----------
    settings : ToySettings
    weights, exp_avg, exp_avg_sq : dict of str to torch.Tensor
        Parameters, and the moments of Adam, on the CPU.
    generator : torch.Tensor, uint8
        State of the generator of batches and noise, on such a :attr:`device`; empty before the first step.
    device : str
    step : int
    loss_sum : float
        Since the last entry of the history.
    history : dict
        ``loss``, pairs (step, mean loss since the pair before), and ``measurements``, rows of ``step`` and what
        :meth:`~bumplab.toys.settings.ToySettings.measure` returned.
    snapshots : dict of int to dict
        Step to weights.
    seconds : float
        Of training, its share of a stack's.
    members : int
        Most networks of a stack in which it trained.
    finished : bool
    error : str
        Why it cannot go on.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> state = init_toy(ModularitySettings())
    >>> state.step, state.weights["w1"].shape
    (0, torch.Size([4, 32]))
    """

    settings: ToySettings
    weights: dict[str, torch.Tensor]
    exp_avg: dict[str, torch.Tensor]
    exp_avg_sq: dict[str, torch.Tensor]
    generator: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))
    device: str = "cpu"
    step: int = 0
    loss_sum: float = 0.0
    history: dict[str, list] = field(default_factory=lambda: {"loss": [], "measurements": []})
    snapshots: dict[int, dict[str, torch.Tensor]] = field(default_factory=dict)
    seconds: float = 0.0
    members: int = 1
    finished: bool = False
    error: str = ""


def init_toy(settings: ToySettings) -> ToyState:
    """Return a toy before its first step.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> init_toy(ModularitySettings(snapshots=(0, 10))).snapshots.keys()
    dict_keys([0])
    """
    weights = settings.init_weights()
    first, second = ({name: torch.zeros_like(value) for name, value in weights.items()} for _ in range(2))
    state = ToyState(settings, weights, first, second)
    if 0 in settings.snapshots:
        state.snapshots[0] = {name: value.clone() for name, value in weights.items()}
    return state


class ToyStack:
    """Toys that train together: everything that a step reads and writes, in its place.

    Parameters
    ----------
    states : sequence of ToyState, M
        Of one :meth:`~bumplab.toys.settings.ToySettings.stack_key`, all at the same step.
    device : torch.device

    Attributes
    ----------
    weights : dict of str to torch.Tensor, (M, ...)
    optimizer : torch.optim.Adam
    scaler : torch.amp.GradScaler
        Disabled: networks as small as these compute in fp32.
    generators : list of torch.Generator, M
    samples : tuple of torch.Tensor, (M, n, ...), or (1, n, ...) where all members have the same
    loss_sum : torch.Tensor, (M,)

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> stack = ToyStack([init_toy(ModularitySettings(seed=seed)) for seed in (0, 1)], torch.device("cpu"))
    >>> take_toy_step(stack)
    >>> stack.loss_sum.shape, float(stack.counter)
    (torch.Size([2]), 1.0)
    """

    def __init__(self, states: Sequence[ToyState], device: torch.device) -> None:
        self.states, self.device = list(states), device
        members = [state.settings for state in states]
        self.settings, step = members[0], states[0].step
        self.loss = type(self.settings).stack_loss(members, device)
        self.weights = {name: value.requires_grad_() for name, value in self._stacked("weights").items()}
        # Adam reads a rate in double precision on the CPU, and in single precision on other devices.
        exact = torch.float64 if device.type == "cpu" else torch.float32
        self.learning_rate = torch.tensor(self.settings.learning_rate, dtype=exact, device=device)
        self.optimizer = torch.optim.Adam(self.weights.values(), lr=self.learning_rate, fused=device.type != "mps")
        moments = self._stacked("exp_avg"), self._stacked("exp_avg_sq")
        for name, weight in self.weights.items():
            self.optimizer.state[weight] = {
                "step": torch.tensor(float(step), device=device if device.type != "mps" else "cpu"),
                "exp_avg": moments[0][name], "exp_avg_sq": moments[1][name],
            }  # fmt: skip
        self.scaler = torch.amp.GradScaler(device.type, enabled=False)
        self.generators = [torch.Generator(device) for _ in states]
        for generator, state in zip(self.generators, states, strict=True):
            if len(state.generator):
                generator.set_state(state.generator)
            else:
                generator.manual_seed(state.settings.seed + _OTHER_STREAM)
        self.samples = _common_samples([each.samples() for each in members], device)
        self.loss_sum = torch.tensor([state.loss_sum for state in states], device=device)
        self.counter = torch.tensor(step, device=device)
        n = self.samples[0].shape[1]
        self.batch = 0 if self.settings.batch >= n else self.settings.batch
        self._places = torch.arange(self.batch, device=device)
        self._span = n // self.batch * self.batch if self.batch else n
        self._members = torch.arange(len(states), device=device)[:, None]

    def _stacked(self, name: str) -> dict[str, torch.Tensor]:
        parts = [getattr(state, name) for state in self.states]
        return {key: torch.stack([part[key] for part in parts]).to(self.device) for key in parts[0]}

    def changing_tensors(self) -> list[torch.Tensor]:
        """Return all tensors that a step changes."""
        moments = [tensor for weight in self.weights.values() for tensor in self.optimizer.state[weight].values()]
        return [*self.weights.values(), *moments, self.loss_sum, self.counter]

    def cached_tensors(self) -> list[torch.Tensor]:
        """Return what a step reads out of a cache: nothing."""
        return []

    def draw_batch(self) -> tuple[torch.Tensor, ...]:
        """Return the samples of the next step, each (M, batch, ...)."""
        size = len(self.generators)
        if not self.batch:
            return tuple(part.expand(size, *part.shape[1:]) for part in self.samples)
        if self.settings.order == "cycle":
            rows = (self.counter * self.batch + self._places) % self._span
            return tuple(part[:, rows].expand(size, self.batch, *part.shape[2:]) for part in self.samples)
        n = self.samples[0].shape[1]
        draws = [torch.randint(n, (self.batch,), generator=g, device=self.device) for g in self.generators]
        rows = torch.stack(draws)
        return tuple(part[0][rows] if len(part) == 1 < size else part[self._members, rows] for part in self.samples)

    def unstack(self, step: int) -> None:
        """Write everything back into the states, which are at this step."""
        with torch.no_grad():
            sums = self.loss_sum.tolist()
            for name, weight in self.weights.items():
                moments = self.optimizer.state[weight]
                parts = {"weights": weight, "exp_avg": moments["exp_avg"], "exp_avg_sq": moments["exp_avg_sq"]}
                for attribute, stacked in parts.items():
                    for state, own in zip(self.states, stacked.detach().cpu().clone(), strict=True):
                        getattr(state, attribute)[name] = own
        for state, generator, total in zip(self.states, self.generators, sums, strict=True):
            state.generator, state.device = generator.get_state(), self.device.type
            state.step, state.loss_sum, state.members = step, total, max(state.members, len(self.states))


def take_toy_step(stack: ToyStack) -> None:
    """Take a step of Adam, in place.

    Examples
    --------
    >>> from bumplab.toys import ModularitySettings
    >>> stack = ToyStack([init_toy(ModularitySettings())], torch.device("cpu"))
    >>> take_toy_step(stack)
    >>> bool(stack.loss_sum > 0)
    True
    """
    losses = stack.loss(stack.weights, stack.draw_batch(), stack.generators)
    stack.optimizer.zero_grad()
    losses.sum().backward()
    stack.optimizer.step()
    with torch.no_grad():
        stack.loss_sum += losses.detach()
        stack.counter += 1


def _common_samples(parts: Sequence[tuple[torch.Tensor, ...]], device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return the samples of all members, (M, n, ...) each, or (1, n, ...) where all have the same."""
    first = parts[0]
    same = all(all(torch.equal(a, b) for a, b in zip(first, other, strict=True)) for other in parts[1:])
    if same:
        return tuple(part.unsqueeze(0).to(device) for part in first)
    return tuple(torch.stack(column).to(device) for column in zip(*parts, strict=True))
