"""Two clocks: a small denoiser learns the rule of its training strings, and later the strings themselves.

The smallest version of Wang, Finn and Liu (arXiv:2605.10019): a perceptron hears noisy bits and how noisy they are. Its
samples are counted as valid and as copies, and what it predicts is compared with three exact denoisers: one that knows
the rule, one that has memorised the training set, one that takes the bits for independent.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field, model_validator

from bumplab.common.errors import BumplabError
from bumplab.diffusion.analytic import timestep_at
from bumplab.diffusion.bit_posteriors import (
    bit_evidence,
    independent_mean,
    memorised_mean,
    parity_mean,
)
from bumplab.diffusion.process import Diffusion
from bumplab.toys.denoisers import DenoiserSettings
from bumplab.toys.settings import Weights
from bumplab.worlds.parity import ParityWorld, decode_bits, find_copies

#: How many samples each measurement draws, from new noise.
SAMPLES = 1024
#: Noise over signal at which predictions are compared with the exact ones, on so many strings each.
SIGMAS, STRINGS_PER_SIGMA = (0.5, 0.7, 1.0, 1.4, 2.0), 256


class ParitySettings(DenoiserSettings):
    """A denoiser of strings of bits, and the strings that it learns from.

    Attributes
    ----------
    world : ParityWorld
        The rule, or none.
    num_train : int
        N, training strings, 1 to the number of valid ones.
    data_seed, width, depth, diffusion
        See :class:`~bumplab.toys.denoisers.DenoiserSettings`.

    Examples
    --------
    >>> settings = ParitySettings(world={"bits": 16, "group": 4}, num_train=128, width=32)
    >>> sorted(settings.measure(settings.init_weights()))
    ['new', 'samples', 'train']
    >>> ParitySettings(world={"group": 2}, num_train=300)
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Of 256 valid strings at most 256 can be learned, got num_train 300.
    """

    family: ClassVar[str] = "parity"
    trainer_version: ClassVar[int] = 1
    stop_measure: ClassVar[str] = "train.copy"

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    world: ParityWorld = ParityWorld()
    num_train: Annotated[int, Field(ge=1, le=2**16)] = 128

    @model_validator(mode="after")
    def _check_fit(self) -> Self:
        if self.num_train > self.world.num_valid:
            valid = f"{self.world.num_valid:,}"
            raise BumplabError(
                f"Of {valid} valid strings at most {valid} can be learned, got num_train {self.num_train}."
            )
        return self

    @property
    def numbers(self) -> int:
        """How many bits it hears."""
        return self.world.bits

    def training_strings(self) -> torch.Tensor:
        """Return the strings that it learns from, (N, D).

        Examples
        --------
        >>> ParitySettings().training_strings().shape
        torch.Size([128, 16])
        """
        return self.world.draw_strings(self.num_train, self.data_seed)

    def samples(self) -> tuple[torch.Tensor]:
        """Return the training strings, each as many times: a step has as many rows, however few they are."""
        return (self.training_strings().repeat(max(self.batch, 1) // self.num_train + 1, 1),)

    def measure(self, weights: Weights) -> dict[str, dict[str, float]]:
        """Return what its samples are, and how far its predictions lie from the exact ones.

        Of the samples: what :func:`count_samples` says of bits decided by sign, and the share that is ``decided``
        within 0.1 and valid. New noise each time: the weights make its seed.

        Of predictions on noisy training strings (``train``) and on other valid ones (``new``): the squared ``error`` of
        a bit, and the squared distance to the denoisers that know the ``rule``, ``copy``, and take bits to be
        ``independent``; means over :data:`SIGMAS`.
        """
        seed = zlib.crc32(weights["b1"].numpy().tobytes()) + self.seed
        x = self.draw(weights, SAMPLES, seed)
        decided = self.world.is_valid(decode_bits(x, 0.1)).float().mean()
        counts = count_samples(self.world, decode_bits(x), self.training_strings())
        measured = {"samples": {**counts, "decided": float(decided)}}
        settings: Any = self.world, self.num_train, self.data_seed, self.diffusion  # frozen, so hashable
        for part, (clean, noisy, t, exact) in _questions(*settings).items():
            said = self.denoise(weights, noisy, t)
            truths = {"error": clean, **exact}
            measured[part] = {name: float((said - truth).square().mean()) for name, truth in truths.items()}
        return measured

    def oracle_distances(self, part: str = "new") -> list[list[float]]:
        """Return the squared distances between three exact denoisers on the questions of :meth:`measure`, 3 x 3.

        Parameters
        ----------
        part : {"train", "new"}

        Returns
        -------
        list
            Rows and columns are ``rule``, ``copy`` and ``independent``; for :mod:`bumplab.analysis.oracle_plane`.

        Examples
        --------
        >>> rule, copy, independent = ParitySettings(world={"group": 4}, num_train=64).oracle_distances()
        >>> rule[0], rule[1] > rule[2] > 0  # on new strings copying is wrong by more than knowing nothing
        (0.0, True)
        """
        settings: Any = self.world, self.num_train, self.data_seed, self.diffusion
        exact = _questions(*settings)[part][3]
        means = [exact[name] for name in ("rule", "copy", "independent")]
        return [[float((one - other).square().mean()) for other in means] for one in means]


def count_samples(world: ParityWorld, bits: torch.Tensor, training: torch.Tensor) -> dict[str, float]:
    """Return what samples of bits (n, D) are, after training on strings (N, D).

    Returns
    -------
    dict of str to float
        The shares of ``"valid"`` ones and of ``"copies"``; the ``"excess"`` of copies over N / valid strings, as many
        as one who knows the rule alone would draw; and the share of valid ones among those that are no copies,
        ``"rule"``, 0 if there are none.

    Examples
    --------
    >>> world = ParityWorld(bits=4, group=2)
    >>> strings = world.all_valid()
    >>> count_samples(world, strings, strings[:1])
    {'valid': 1.0, 'copies': 0.25, 'excess': 0.0, 'rule': 1.0}
    """
    valid, copies = world.is_valid(bits), find_copies(bits, training)
    share = float(copies.float().mean())
    return {
        "valid": float(valid.float().mean()),
        "copies": share,
        "excess": share - len(training) / world.num_valid,
        "rule": float((valid & ~copies).sum()) / max(int((~copies).sum()), 1),
    }


@lru_cache(maxsize=64)
def _questions(
    world: ParityWorld, num_train: int, data_seed: int, diffusion: Diffusion
) -> dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]]:
    """Return training and new strings: clean, noisy, the timesteps of the noise, and what exact denoisers say."""
    n = STRINGS_PER_SIGMA * len(SIGMAS)
    training = world.draw_strings(num_train, data_seed)
    generator = torch.Generator().manual_seed(2605)
    t = timestep_at(diffusion, torch.tensor(SIGMAS)).repeat_interleave(STRINGS_PER_SIGMA)
    others = world.draw_strings(min(world.num_valid, 2 * num_train + n), data_seed + 1)
    others = others[~find_copies(others, training)]
    parts = {"train": training, "new": others} if len(others) else {"train": training}
    questions = {}
    for part, strings in parts.items():
        clean = strings[torch.randint(len(strings), (n,), generator=generator)]
        eps = torch.randn(n, world.bits, generator=generator)
        noisy = diffusion.add_noise(clean[:, None, None], eps[:, None, None], t).view_as(clean)
        evidence = bit_evidence(diffusion, noisy, t)
        exact = {
            "rule": parity_mean(evidence, world.group),
            "copy": memorised_mean(evidence, training),
            "independent": independent_mean(evidence),
        }
        questions[part] = clean, noisy, t, {name: value.float() for name, value in exact.items()}
    return questions
