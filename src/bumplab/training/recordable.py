"""What a CUDA graph has to know of whatever trains: where its numbers lie, and what draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch


class Recordable(Protocol):
    """What of a learner the recording of its step needs, see :mod:`bumplab.training.cuda_graph`.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> from bumplab.training.step import Learner
    >>> learner: Recordable = Learner.of(init_state(preset("smoke"), "cpu"))
    >>> learner.device
    device(type='cpu')
    """

    scaler: torch.amp.GradScaler

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Of the weights."""
        ...

    @property
    def generators(self) -> Sequence[torch.Generator]:
        """Of whatever a step draws."""
        ...

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        ...

    def changing_tensors(self) -> list[torch.Tensor]:
        """Return all tensors that a step changes."""
        ...

    def cached_tensors(self) -> list[torch.Tensor]:
        """Return what a step reads out of a cache."""
        ...
