"""Runs of bumps: what they keep, what can be asked of them, and how their accuracy is computed again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch

from bumplab.analysis.accuracy import CATEGORIES, Evaluation
from bumplab.analysis.detection import Detections
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet, UNetSettings
from bumplab.runs.bump_schema import BumpSchema, check_contents, lattice_rows
from bumplab.runs.families import Family, provenance, register_family
from bumplab.runs.records import Record, StoreError
from bumplab.runs.run import FINAL_WEIGHTS, VERDICT_ARRAYS, Run
from bumplab.runs.verification import Recomputation
from bumplab.training.device import device_name
from bumplab.training.loop import train
from bumplab.training.outcomes import MAX_EVALUATIONS, MOMENTS, evaluate_final, layer_embedding
from bumplab.training.settings import Settings
from bumplab.training.snapshots import load_snapshot, snapshot_name
from bumplab.training.state import TrainState

#: What a run may keep of its weights.
WEIGHT_POLICIES = ("all", "half", *MOMENTS, "none")
#: One condition in 200: on another processor, an image at the edge of what is right may fall on its other side.
WEIGHTS_TOLERANCE = 0.005


class BumpRun(Run):
    """A finished run of bumps; :attr:`settings` are :class:`~bumplab.training.settings.Settings`."""

    settings: Settings

    @property
    def accuracy(self) -> dict[str, dict[str, float]]:
        """Shares after training for ``seen`` and, where there are any, ``unseen`` conditions.

        See :func:`bumplab.analysis.accuracy.Evaluation.to_record`.
        """
        return self.scalars

    @property
    def history(self) -> dict[str, list]:
        """Loss and accuracy through training, see :class:`bumplab.training.state.TrainState`."""
        return self.curves

    @property
    def snapshots(self) -> list[int]:
        """Steps for which weights were kept."""
        return [step for step in self.settings.training.snapshots if self._stem(step) in self.kept]

    def model(self, step: int | None = None, device: str | torch.device = "cpu") -> UNet:
        """Return the network with its final weights, or with those after `step`, ready for use."""
        if step is not None and step not in self.snapshots:
            raise BumplabError(f"Run {self.id} kept no weights after step {step}; it has {self.snapshots or 'none'}.")
        parameters = self.weights(self._stem(step))
        if {name: array.shape for name, array in parameters.items()} != _parameter_shapes(self.settings.model) or any(
            array.dtype not in (np.float32, np.float16) for array in parameters.values()
        ):
            raise StoreError(f"The weights of run {self.id} in {self.path} do not fit its network.")
        model = UNet(self.settings.model)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in parameters.items()})
        return model.to(device).eval().requires_grad_(False)

    def _stem(self, step: int | None) -> str:
        return FINAL_WEIGHTS if step in (None, self.settings.training.steps) else Path(snapshot_name(step)).stem

    @cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        """What the trained network drew for the conditions ``seen`` in training and, where there are any, ``unseen``.

        As recorded, centres to a thousandth of their error; runs recorded without it draw again from their weights.
        """
        if VERDICT_ARRAYS not in self.kept:
            return evaluate_final(self.model(), self.settings)
        world, found = self.settings.world, {}
        rows = lattice_rows(world)
        for part, mu in world.condition_splits(MAX_EVALUATIONS).items():
            error, verdict, row = (self.arrays.get(f"verdicts/{part}/{name}") for name in ("error", "code", "row"))
            expected = error is not None and verdict is not None and len(error) == len(mu)
            if not expected or (row is not None and not np.array_equal(row, rows[part])):
                raise StoreError(f"The verdicts of run {self.id} in {self.path} are not about its {part} conditions.")
            offset, code = torch.from_numpy(error).float(), torch.from_numpy(verdict).long()
            if code.lt(0).any() or code.ge(3 * len(CATEGORIES)).any():
                raise StoreError(f"The verdicts of run {self.id} in {self.path} are of no category.")
            count, axis = code // len(CATEGORIES), code % len(CATEGORIES)
            centre = mu + offset
            if world.periodic:
                centre = centre.remainder(world.size)
            found[part] = Evaluation(world, mu, Detections(count, centre), offset, axis)
        return found

    def embedding(self, moment: str) -> np.ndarray:
        """Return what layer 4 says, at a moment, of each condition whose centre is in the window.

        As recorded, in half precision; runs recorded without it are asked again. See
        :func:`~bumplab.training.outcomes.layer_embedding`.
        """
        kept = self.arrays.get(f"embeddings/{moment}")
        return layer_embedding(self.model(), self.settings, moment) if kept is None else kept.astype(np.float32)

    def describe(self) -> str:
        """Return one line about the run."""
        world, process = self.settings.world, self.settings.diffusion
        how = f"predicts {process.prediction_type}" if process.kind == "diffusion" else "regression"
        parts = ", ".join(f"{part} {shares['joint']:.3f}" for part, shares in self.accuracy.items())
        return (
            f"{self.id}  {world.kind} {world.size}, {how}, "
            f"seed {self.settings.seed}: accuracy {parts}; "
            f"{self.provenance['seconds']:.1f} s on {self.provenance['device']}"
        )


@lru_cache
def _parameter_shapes(settings: UNetSettings) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's parameters, without the network: settings can ask for billions of them."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in UNet(settings).state_dict().items()}


def make_record(state: TrainState, evaluations: Mapping[str, Evaluation], folder: Path, keep: str = "all") -> Record:
    """Return what is recorded of a finished training.

    Parameters
    ----------
    state : TrainState
        At its last step.
    evaluations : mapping
        See :func:`~bumplab.training.outcomes.evaluate_final`.
    folder : Path
        Where training left its snapshots.
    keep : {"all", "half", "first", "last", "none"}
        See :func:`bumplab.runs.store.load_or_train`.

    Raises
    ------
    BumplabError
        If a snapshot is not the one that training wrote.
    """
    settings, arrays, rows = state.settings, {}, lattice_rows(state.settings.world)
    for part, result in evaluations.items():
        code = len(CATEGORIES) * result.detections.count + result.axis_category  # a count is 0, 1 or 2
        arrays[f"verdicts/{part}/error"] = result.error.to("cpu", torch.float16).numpy()
        arrays[f"verdicts/{part}/code"] = code.to("cpu", torch.int8).numpy()
        arrays[f"verdicts/{part}/row"] = rows[part]
    weights = {}
    if keep in MOMENTS:
        arrays[f"embeddings/{keep}"] = layer_embedding(state.ema_model, settings, keep).astype(np.float16)
    if keep in ("all", "half"):
        dtype = torch.float16 if keep == "half" else torch.float32
        whole = state.ema_model.state_dict()
        weights[FINAL_WEIGHTS] = {name: value.detach().to("cpu", dtype).numpy() for name, value in whole.items()}
    for step in settings.training.snapshots if keep == "all" else ():
        if step < settings.training.steps:
            weights[Path(snapshot_name(step)).stem] = load_snapshot(state, folder, step)
    return Record(
        id=settings.id,
        settings=settings.to_record(),
        trainer=settings.trainer_version,
        scalars={part: result.to_record() for part, result in evaluations.items()},
        provenance=provenance(
            torch=str(torch.__version__),
            device=device_name(state.device),
            precision=state.precision,
            execution=state.execution,
            threads=torch.get_num_threads(),
            members=state.ensemble_size,
            keep=keep,
            seconds=round(state.seconds, 2),
            **({"sessions": state.sessions} if len(state.sessions) > 1 else {}),
        ),
        curves=state.history,
        arrays=arrays,
        weights=weights,
    )


def train_record(
    settings: Settings, folder: Path, device: str, precision: str, progress: bool, keep: str, compile: bool | None
) -> Record:
    """Train a run of bumps, or go on from the checkpoint in its folder, and return its record."""
    state = train(settings, folder, device, precision, progress, compile)
    return make_record(state, evaluate_final(state.ema_model, settings, state.device), folder, keep)


def recompute(run: BumpRun) -> Iterator[Recomputation]:
    """Yield the accuracies of a run, from the verdicts on what it drew and from its weights, where it kept them.

    Verdicts are the categories of the very images that were counted: all six digits have to agree. Weights draw again,
    on the CPU, and have to come within :data:`WEIGHTS_TOLERANCE`.
    """
    if VERDICT_ARRAYS in run.kept:
        yield Recomputation("verdicts", {part: result.to_record() for part, result in run.evaluations.items()})
    if FINAL_WEIGHTS in run.kept:
        again = evaluate_final(run.model(), run.settings)
        yield Recomputation("weights", {part: result.to_record() for part, result in again.items()}, WEIGHTS_TOLERANCE)


BUMPS = register_family(
    Family(
        Settings, train_record, recompute, BumpRun, WEIGHT_POLICIES, lambda settings: lattice_rows(settings.world),
        BumpSchema, check_contents,
    )
)  # fmt: skip
