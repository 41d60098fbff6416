"""Abstract rules, learned by diffusion of whole samples, whose values are numbers in order or have no order.

The diffusion models of GenRAVEN (arXiv:2411.07873) in small: a perceptron denoises all 27 values at once, or a
transformer whose tokens are the nine panels. That work codes values, which have no order, by real numbers; a code of
one number for each value is the control.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.func import functional_call
from torch.nn import functional as F

from bumplab.diffusion.analytic import timestep_at
from bumplab.models.dit import DiT
from bumplab.toys.denoisers import DenoiserSettings
from bumplab.toys.rules import count_panels
from bumplab.toys.settings import Weights
from bumplab.training.step import over_stack
from bumplab.worlds.rules import ATTRIBUTES, PANELS, ROWS, VALUES, draw_panels, remaining_rules

_SAMPLES, _TEST_PANELS = 512, 32
#: Noise over signal at which errors are measured.
_SIGMAS = (0.3, 0.6, 1.2)
_CELLS = ROWS * PANELS * len(ATTRIBUTES)


class RuleDenoiserSettings(DenoiserSettings):
    """A denoiser of samples with rules.

    Attributes
    ----------
    code : {"ordinal", "one-hot"}
        A value is -1, -1/2, 0, 1/2 or 1; or five numbers, of which one is 1 and the others -1.
    num_train : int
        Training samples of each rule.
    held_out : tuple of str
        Rules of which there are none.
    body : {"perceptron", "transformer"}
        What denoises. The transformer's tokens are the panels; each hears all others, as in
        :class:`~bumplab.models.dit.DiT`.
    heads : int
        Of the transformer.
    data_seed, width, depth, diffusion
        See :class:`~bumplab.toys.denoisers.DenoiserSettings`; for the transformer width and number of blocks.

    Examples
    --------
    >>> settings = RuleDenoiserSettings(num_train=10, width=16)
    >>> sorted(settings.measure(settings.init_weights()))
    ['samples', 'test', 'train']
    >>> settings = settings.replace(body="transformer", depth=2)
    >>> settings.denoise(settings.init_weights(), torch.zeros(4, 135), torch.zeros(4)).shape
    torch.Size([4, 135])
    """

    family: ClassVar[str] = "rule-denoisers"
    trainer_version: ClassVar[int] = 1
    stop_measure: ClassVar[str] = "train.error"
    later_fields: ClassVar[frozenset[str]] = frozenset({"body", "heads"})

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    code: Literal["ordinal", "one-hot"] = "one-hot"
    num_train: Annotated[int, Field(ge=1, le=100_000)] = 1000
    held_out: tuple[str, ...] = ()
    body: Literal["perceptron", "transformer"] = "perceptron"
    heads: Annotated[int, Field(ge=1, le=64)] = 4

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        remaining_rules(self.held_out)
        if self.body == "transformer":
            self._transformer()
        return self

    @property
    def numbers(self) -> int:
        """Numbers of a sample: 27, or 5 for each value."""
        return _CELLS if self.code == "ordinal" else _CELLS * VALUES

    def init_weights(self) -> dict[str, torch.Tensor]:
        """Return the weights before the first step."""
        if self.body == "perceptron":
            return super().init_weights()
        model = _new_transformer(self.seed, self.numbers, self.width, self.depth, self.heads)
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    def predict(self, weights: Weights, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what a stack says of noisy vectors x (M, n, D) at timesteps t (M, n), (M, n, D)."""
        if self.body == "perceptron":
            return super().predict(weights, x, t)
        model = self._transformer()

        def one(weights: Weights, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            grid = x.unflatten(1, (ROWS, PANELS, -1)).permute(0, 3, 1, 2)  # panels are pixels, to it
            return functional_call(model, dict(weights), (grid, t)).permute(0, 2, 3, 1).flatten(1)

        return over_stack(one)(weights, x, t)

    def _transformer(self) -> DiT:
        """Return such a transformer; its own weights are nobody's."""
        return _transformer(self.numbers, self.width, self.depth, self.heads)

    def panels(self, n: int, seed: int) -> np.ndarray:
        """Return n samples of each rule that is not held out, (n rules, 3, 3, 3).

        Examples
        --------
        >>> RuleDenoiserSettings(held_out=["size sum"]).panels(4, seed=0).shape
        (44, 3, 3, 3)
        """
        return np.concatenate([draw_panels(rule, n, seed) for rule in remaining_rules(self.held_out)])

    def samples(self) -> tuple[torch.Tensor]:
        """Return the training samples in their code, (n, D)."""
        return (self.encode(self.panels(self.num_train, self.data_seed)),)

    def encode(self, panels: np.ndarray) -> torch.Tensor:
        """Return samples (n, 3, 3, 3) in their code, (n, D).

        Examples
        --------
        >>> settings = RuleDenoiserSettings(code="ordinal")
        >>> settings.encode(np.full((1, 3, 3, 3), 3)).unique().tolist()
        [0.5]
        """
        values = torch.from_numpy(panels).flatten(1)
        if self.code == "ordinal":
            return 2 * values.float() / (VALUES - 1) - 1
        return 2 * F.one_hot(values, VALUES).flatten(1).float() - 1

    def decode(self, x: torch.Tensor) -> np.ndarray:
        """Return the samples (n, 3, 3, 3) that numbers (n, D) are nearest to.

        Examples
        --------
        >>> settings, panels = RuleDenoiserSettings(), draw_panels("size sum", 2)
        >>> bool((settings.decode(settings.encode(panels) + 0.4) == panels).all())
        True
        """
        if self.code == "ordinal":
            values = ((x + 1) * (VALUES - 1) / 2).round().long().clamp(0, VALUES - 1)
        else:
            values = x.unflatten(1, (_CELLS, VALUES)).argmax(2)
        return values.view(-1, ROWS, PANELS, len(ATTRIBUTES)).numpy()

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what its samples are, and its errors.

        Of ``samples``: :func:`~bumplab.toys.rules.count_panels`; new noise each time, whose seed the weights make. Of
        ``train`` and ``test``: the squared ``error`` of a clean number, over three levels of noise.
        """
        bias = weights["b1" if self.body == "perceptron" else "time.0.bias"]
        seed = zlib.crc32(bias.numpy().tobytes()) + self.seed
        training = self.panels(self.num_train, self.data_seed)
        measured = {"samples": count_panels(self.decode(self.draw(weights, _SAMPLES, seed)), training)}
        test = self.panels(_TEST_PANELS, self.data_seed + 2**31)
        for part, panels in (("train", training[:: max(1, len(training) // len(test))]), ("test", test)):
            measured[part] = {"error": self._error(weights, self.encode(panels))}
        return measured

    def _error(self, weights: Weights, clean: torch.Tensor) -> float:
        generator, errors = torch.Generator().manual_seed(2411), []
        for sigma in _SIGMAS:
            t = timestep_at(self.diffusion, sigma).expand(len(clean))
            eps = torch.randn(clean.shape, generator=generator)
            noisy = self.diffusion.add_noise(clean[:, None, None], eps[:, None, None], t).view_as(clean)
            errors.append(float((self.denoise(weights, noisy, t) - clean).square().mean()))
        return sum(errors) / len(errors)


def _new_transformer(seed: int, numbers: int, width: int, depth: int, heads: int) -> DiT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DiT(ROWS, numbers // (ROWS * PANELS), 1, width, depth, heads)


@lru_cache(maxsize=32)
def _transformer(numbers: int, width: int, depth: int, heads: int) -> DiT:
    return _new_transformer(0, numbers, width, depth, heads)
