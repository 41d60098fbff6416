"""One run = one frozen, validated set of settings, named by its content.

Settings come from a preset (``smoke``, ``quick``, ``laptop``, ``paper`` and others) and changes to it. Two runs with
equal settings are the same run, whichever preset they came from.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import FailFast, Field, model_validator

from bumplab.common.config import FrozenConfig, tagged_union
from bumplab.common.errors import BumplabError, quote
from bumplab.common.run_settings import FIRST_FAMILY, RunSettings
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.regression import Regression
from bumplab.models.unet import UNetSettings
from bumplab.training.presets import PRESETS
from bumplab.worlds.bumps import MAX_CONDITIONS, BumpWorld

#: A number of steps, 0 or more.
Steps = Annotated[int, Field(ge=0, le=100_000_000)]


class Training(FrozenConfig):
    """How the network is trained.

    Attributes
    ----------
    steps : int
        Optimiser steps, 1 to 100 million.
    batch : int
        Images per step, 1 to 65,536, drawn with replacement from the training conditions.
    learning_rate, weight_decay : float
        Of AdamW, up to 1.
    warmup_steps : int
        Steps over which the learning rate rises linearly from 0, up to 100 million.
    lr_schedule : {"constant", "cosine"}
        What the learning rate does after the warm-up; ``"cosine"`` ends at 0.
    ema_decay : float
        Decay of the exponential moving average of the weights, the weights that are kept. Early on it is
        (1 + step) / (10 + step), if that is smaller.
    snapshots : tuple of int
        Steps after which a copy of the averaged weights is kept, at most 1,000 of them; 0 is before training.
    evaluate_every : int
        Steps between two measurements of accuracy during training; 0 for none.
    evaluate_on : int
        Conditions of each such measurement, evenly spread over the lattice, 1 to a million.
    sampler_steps : int
        Steps of the sampler in every measurement of accuracy, during training and at its end, 1 to 1,000.
    sampler_eta : float
        Its fresh noise: 0 for none (DDIM), 1 for that of ancestral sampling (DDPM).

    Examples
    --------
    >>> Training(steps=400, snapshots=(500,))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Training: a snapshot at step 500 lies after the last step 400.
    """

    steps: Annotated[int, Field(ge=1, le=100_000_000)]
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    warmup_steps: Steps = Field(default=50, alias="warmup")
    lr_schedule: Literal["constant", "cosine"] = Field(default="cosine", alias="decay")
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.995, alias="ema")
    snapshots: Annotated[tuple[Steps, ...], FailFast(), Field(max_length=1000)] = ()
    evaluate_every: Steps = 0
    evaluate_on: Annotated[int, Field(ge=1, le=MAX_CONDITIONS)] = 256
    sampler_steps: Annotated[int, Field(ge=1, le=1000)] = 10
    sampler_eta: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _possible(self) -> Training:
        if any(step > self.steps for step in self.snapshots):
            raise BumplabError(
                f"Training: a snapshot at step {max(self.snapshots)} lies after the last step {self.steps}."
            )
        return self

    def for_steps(self, steps: int, evaluations: int = 6, evaluate_on: int = 256, **changes: Any) -> Training:
        """Return a copy that trains for so many steps and measures accuracy some times on the way.

        Parameters
        ----------
        steps : int
        evaluations : int
            One every steps // `evaluations`, at least one step apart; the last step is always measured.
        evaluate_on : int
            Conditions of each.
        **changes
            Other settings, such as ``snapshots=()`` where those of a preset lie beyond the last step.

        Raises
        ------
        BumplabError
            For fewer than one evaluation, or an impossible value.

        Examples
        --------
        >>> training = Training(steps=400).for_steps(600)
        >>> training.steps, training.evaluate_every, training.evaluate_on
        (600, 100, 256)
        """
        if evaluations < 1:
            raise BumplabError(
                f"Training: measure accuracy once or more on the way, got {quote(evaluations)} evaluations."
            )
        every = max(1, steps // evaluations)
        return self.replace(steps=steps, evaluate_every=every, evaluate_on=evaluate_on, **changes)


#: Settings of the families of networks, and how images are made with them: later ones join here.
Model = tagged_union(UNetSettings)
Process = tagged_union(Diffusion, Regression)


class Settings(RunSettings):
    """Everything that decides what a run of bumps becomes.

    The model has to take the world's images, a batch of them at a time, see
    :meth:`bumplab.models.unet.UNetSettings.check_size`.

    Attributes
    ----------
    world : BumpWorld
    model : UNetSettings
    diffusion : Diffusion or Regression
    training : Training
    seed : int
        Seed of the initial weights, the batches and the noise (not of the world's random subset).

    Examples
    --------
    >>> settings = Settings(training=Training(steps=400))
    >>> settings.world.size, settings.diffusion.prediction_type, settings.seed
    (32, 'eps', 0)
    """

    family: ClassVar[str] = FIRST_FAMILY
    trainer_version: ClassVar[int] = 1
    #: 53 runs were recorded before a random subset could be drawn from a region; None draws from the whole lattice.
    #: All of them were recorded before there was a second kind of networks; 1,012 of all runs, before there was the
    #: control, and while every measurement was DDIM's.
    later_fields: ClassVar[frozenset[str]] = frozenset(
        {"world.thinned", "model.kind", "diffusion.kind", "training.sampler_eta"}
    )

    world: BumpWorld = BumpWorld()
    model: Model = UNetSettings()  # pyright: ignore[reportInvalidTypeForm]
    diffusion: Process = Diffusion()  # pyright: ignore[reportInvalidTypeForm]
    training: Training
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        self.model.check_size(self.world.size, self.training.batch)
        return self


def preset(name: str, /, **changes: Any) -> Settings:
    """Return the settings of a preset with changes.

    Parameters
    ----------
    name : {"smoke", "quick", "laptop", "laptop-v", "laptop-eps", "paper"}
        ``smoke`` trains for a second and learns nothing; it is for tests. ``quick`` reaches at least 0.99
        accuracy on two idle CPU cores within half a minute, on patches of 4 x 4 pixels. ``laptop`` is the bridge to
        the paper: patches of 2 x 2 pixels, 0.69 million parameters, an accuracy of at least 0.99 in five recorded
        seeds within minutes of one core. ``laptop-v`` and ``laptop-eps`` train the same network to predict velocity and
        noise, for five and fifteen times as long, and measure it by DDPM. ``paper`` is our reading of the published
        setting, for a GPU: it predicts noise, from pixels. We did not find the paper's schedule, optimiser and
        widths, and no run of ours has tested it yet.
    **changes
        Settings to change; a nested group takes a dictionary: ``preset("quick", world={"sigma": 2}, seed=1)``.

    Returns
    -------
    Settings

    Raises
    ------
    BumplabError
        For an unknown preset or setting, or an impossible value.

    Examples
    --------
    >>> preset("quick", world={"sigma": 2}, seed=1).world.sigma
    (2.0, 2.0)
    >>> preset("fast")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: There is no preset 'fast': use one of smoke, quick, laptop, laptop-v,
    laptop-eps, paper.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise BumplabError(f"There is no preset {quote(name)}: use one of {', '.join(PRESETS)}.")
    return Settings(**PRESETS[name]).replace(**changes)
