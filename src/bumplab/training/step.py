"""One step of training, of one network or of a stack of them.

Everything that a step reads and writes is a tensor that keeps its place in memory, the learning rate included, and
nothing in it waits for the device. So one function serves the plain loop, the ensemble, and the CUDA graph that
:mod:`~bumplab.training.cuda_graph` records of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.schedules import log_alpha_bar_table
from bumplab.training.device import DTYPES
from bumplab.training.mixed_precision import cast_weights
from bumplab.training.recordable import Recordable

if TYPE_CHECKING:
    from bumplab.training.settings import Settings
    from bumplab.training.state import TrainState

#: The parameters of a network by name, or those of M equal networks, each (M, ...).
Weights = Mapping[str, torch.Tensor]
#: (x0, mu, t, eps) -> loss, see :func:`draw_batch`.
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Learner:
    """What a step reads and writes, for M networks: one, or those of a stack.

    Attributes
    ----------
    settings : Settings
        Common to all; their worlds may differ in what is shown, and in sigma.
    loss : callable
        Takes a batch as :func:`draw_batch` returns it; returns the loss of one network (), or of each (M,).
    parameters, averages : dict of str to torch.Tensor
        The weights that train, and their moving averages; of a stack each (M, ...).
    optimizer : torch.optim.AdamW
        Of the parameters, all in one group. Its learning rate becomes :attr:`learning_rate`.
    scaler : torch.amp.GradScaler
        Of the loss in fp16; disabled otherwise.
    generators : sequence of torch.Generator
        Of the batches, timesteps and noise of each network.
    conditions : sequence of torch.Tensor, (n, 2)
        What training shows to each network.
    loss_sum : torch.Tensor, () or (M,)
        Sum of the losses.
    sigma : torch.Tensor, (M * batch, 2), optional
        Width of each bump of a batch, instead of the world's.
    learning_rate, ema_weight : torch.Tensor, ()
        The learning rate of the next step, and the share of the new weights in the averages after it.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> learner = Learner.of(init_state(preset("smoke"), "cpu"))
    >>> learner.set_rates(learning_rate=1e-3, ema_weight=0.25)
    >>> learner.ema_weight
    tensor(0.2500)
    """

    settings: Settings
    loss: Loss
    parameters: Weights
    averages: Weights
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    generators: Sequence[torch.Generator]
    conditions: Sequence[torch.Tensor]
    loss_sum: torch.Tensor
    sigma: torch.Tensor | None = None
    learning_rate: torch.Tensor = field(init=False)
    ema_weight: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        # AdamW reads the rate in double precision on the CPU, and in single precision on other devices.
        exact = torch.float64 if self.device.type == "cpu" else torch.float32
        self.learning_rate = torch.zeros((), dtype=exact, device=self.device)
        self.ema_weight = next(iter(self.averages.values())).new_zeros(())

    @classmethod
    def of(cls, state: TrainState) -> Learner:
        """Return the learner of one training state, which it changes in place."""
        return cls(
            state.settings, network_loss(state.model, state.settings.diffusion, DTYPES[state.precision]),
            dict(state.model.named_parameters()), dict(state.ema_model.named_parameters()),
            state.optimizer, state.scaler, [state.generator], [state.conditions], state.loss_sum,
        )  # fmt: skip

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.loss_sum.device

    def changing_tensors(self) -> list[torch.Tensor]:
        """Return all tensors that a step changes, but for the scale of a loss in fp16.

        Examples
        --------
        >>> from bumplab.training import init_state, preset
        >>> state = init_state(preset("smoke"), "cpu")
        >>> len(Learner.of(state).changing_tensors()) == 5 * len(list(state.model.parameters())) + 1
        True
        """
        moments = [self.optimizer.state[parameter].values() for parameter in self.parameters.values()]
        parts = self.parameters.values(), self.averages.values(), *moments, [self.loss_sum]
        return [tensor for part in parts for tensor in part]

    def cached_tensors(self) -> list[torch.Tensor]:
        """Return the table of signal and noise, which every step reads.

        Examples
        --------
        >>> from bumplab.training import init_state, preset
        >>> [len(table) for table in Learner.of(init_state(preset("smoke"), "cpu")).cached_tensors()]
        [1001]
        """
        diffusion = self.settings.diffusion
        return [log_alpha_bar_table(diffusion.schedule, diffusion.timesteps, self.device)]

    def set_rates(self, learning_rate: float, ema_weight: float) -> None:
        """Set the learning rate, and the weight of the moving average, of the next step."""
        self.learning_rate.fill_(learning_rate)
        self.ema_weight.fill_(ema_weight)


@contextmanager
def restore_after(learner: Recordable) -> Iterator[None]:
    """Set everything that a step changes back to what it was, in place, whatever happens meanwhile.

    Parameters
    ----------
    learner : Recordable

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> with restore_after(Learner.of(state)):
    ...     take_step(Learner.of(state))
    >>> float(state.loss_sum)
    0.0
    """
    tensors = learner.changing_tensors()
    before = [tensor.detach().clone() for tensor in tensors]
    states = [generator.get_state() for generator in learner.generators]
    scale = learner.scaler.state_dict()
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(tensors, before)  # pyright: ignore[reportPrivateImportUsage]
        for generator, state in zip(learner.generators, states, strict=True):
            generator.set_state(state)
        learner.scaler.load_state_dict(scale)


def take_step(learner: Learner) -> None:
    """Draw a batch, predict, back-propagate, update, average: the method of the paper.

    Parameters
    ----------
    learner : Learner
        It is changed in place.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> learner = Learner.of(state)
    >>> learner.set_rates(learning_rate=1e-3, ema_weight=0.1)
    >>> take_step(learner)
    >>> bool(state.loss_sum > 0)
    True
    """
    losses = learner.loss(*draw_batch(learner))
    learner.optimizer.zero_grad()
    learner.scaler.scale(losses.sum()).backward()
    learner.optimizer.param_groups[0]["lr"] = learner.learning_rate
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    with torch.no_grad():
        averages, parameters = list(learner.averages.values()), list(learner.parameters.values())
        weights = [learner.ema_weight] * len(averages)
        torch._foreach_lerp_(averages, parameters, weights)  # pyright: ignore[reportPrivateImportUsage, reportCallIssue, reportArgumentType]
        learner.loss_sum += losses.detach()


def draw_batch(learner: Learner) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return clean images, conditions, timesteps and noise, of each network from its own generator.

    Returns
    -------
    x0 : torch.Tensor, (M, n, 1, N, N)
    mu : torch.Tensor, (M, n, 2)
        Drawn with replacement from what training shows.
    t : torch.Tensor, (M, n)
    eps : torch.Tensor, (M, n, 1, N, N)

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> [tuple(part.shape) for part in draw_batch(Learner.of(init_state(preset("smoke"), "cpu")))]
    [(1, 16, 1, 32, 32), (1, 16, 2), (1, 16), (1, 16, 1, 32, 32)]
    """
    settings, n = learner.settings, learner.settings.training.batch
    generators = learner.generators
    mu = torch.stack([
        shown[torch.randint(len(shown), (n,), generator=generator, device=shown.device)]
        for shown, generator in zip(learner.conditions, generators, strict=True)
    ])  # fmt: skip
    x0 = settings.world.render(mu.flatten(0, 1), learner.sigma).unflatten(0, mu.shape[:2])
    draws = [settings.diffusion.sample_timesteps_and_noise(own, g) for own, g in zip(x0, generators, strict=True)]
    t, eps = (torch.stack(parts) for parts in zip(*draws, strict=True))
    return x0, mu, t, eps


def network_loss(model: nn.Module, diffusion: Diffusion, dtype: torch.dtype | None = None) -> Loss:
    """Return the loss () of one network as a function of a batch with M = 1.

    Parameters
    ----------
    model : torch.nn.Module
    diffusion : Diffusion
    dtype : torch.dtype, optional
        What it computes in, see :func:`~bumplab.training.mixed_precision.cast_weights`.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> state = init_state(preset("smoke"), "cpu")
    >>> network_loss(state.model, state.settings.diffusion)(*draw_batch(Learner.of(state))).shape
    torch.Size([])
    """
    weights = dict(model.named_parameters())

    def predict(*inputs: torch.Tensor) -> torch.Tensor:
        return functional_call(model, dict(cast_weights(model, weights, dtype)), inputs)

    return lambda *batch: diffusion.loss(model if dtype is None else predict, *(part[0] for part in batch))


def stack_loss(model: nn.Module, weights: Weights, diffusion: Diffusion, dtype: torch.dtype | None = None) -> Loss:
    """Return the losses (M,) of networks like `model` with these weights (M, ...), as a function of a batch.

    Parameters
    ----------
    model : torch.nn.Module
    weights : dict of str to torch.Tensor, (M, ...)
    diffusion, dtype
        See :func:`network_loss`.

    Examples
    --------
    >>> from bumplab.training import Ensemble, init_state, preset
    >>> ensemble = Ensemble([init_state(preset("smoke", seed=seed), "cpu") for seed in (0, 1)])
    >>> loss = stack_loss(ensemble.states[0].model, ensemble.parameters, ensemble.settings.diffusion)
    >>> loss(*draw_batch(ensemble.learner)).shape
    torch.Size([2])
    """

    def loss(own: Weights, *batch: torch.Tensor) -> torch.Tensor:
        return diffusion.loss(lambda *inputs: functional_call(model, dict(own), inputs), *batch)

    return lambda *batch: over_stack(loss)(cast_weights(model, weights, dtype), *batch)


def over_stack(one: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Map a function of one network's weights, and of more tensors, over a stack of M networks.

    Examples
    --------
    >>> several = over_stack(lambda weights, x: weights["a"] * x)
    >>> several({"a": torch.tensor([2.0, 3.0])}, torch.ones(2, 4)).tolist()
    [[2.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 3.0]]
    """

    def mapped(weights: Weights, *inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs[0]) == 1:  # vmap has no rule for the group norm of a stack of one
            return one({name: stack[0] for name, stack in weights.items()}, *(part[0] for part in inputs))[None]
        # The plain form of attention is the one that vmap maps on every device.
        with sdpa_kernel(SDPBackend.MATH):
            return vmap(one)(weights, *inputs)

    return mapped
