"""One finished run, and what can be asked of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from bumplab.analysis.accuracy import CATEGORIES, Evaluation
from bumplab.analysis.detection import Detections
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNet
from bumplab.training.checkpoints import snapshot_name
from bumplab.training.outcomes import MAX_EVALUATIONS, evaluate_final, layer_embedding
from bumplab.training.settings import Settings

WEIGHTS_FILE, VERDICTS_FILE, EMBEDDING_FILE = "weights.safetensors", "verdicts.safetensors", "code.safetensors"


class StoreError(BumplabError):
    """A file in the store is missing, damaged, foreign or of other settings."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    folder : Path
    settings : Settings
    accuracy : dict
        ``seen`` and, where the world has any, ``unseen``: shares after training, see
        :meth:`bumplab.analysis.accuracy.Evaluation.to_record`.
    provenance : dict
        Versions, device, precision, threads, how many runs trained as one, seconds of training for each, and date.
    """

    folder: Path
    settings: Settings
    accuracy: dict[str, dict[str, float]]
    provenance: dict[str, Any]
    files: dict[str, str]

    @property
    def id(self) -> str:
        """Name of the run."""
        return self.settings.id

    @cached_property
    def history(self) -> dict[str, list]:
        """Loss and accuracy through training, see :class:`bumplab.training.state.TrainState`."""
        return json.loads(self._read("history.json"))

    @property
    def snapshots(self) -> list[int]:
        """Steps for which weights were kept."""
        return [step for step in self.settings.training.snapshots if self._weights(step) in self.files]

    def model(self, step: int | None = None, device: str | torch.device = "cpu") -> UNet:
        """Return the network with its final weights, or with those after `step`, ready for use."""
        if step is not None and step not in self.snapshots:
            raise BumplabError(f"Run {self.id} kept no weights after step {step}; it has {self.snapshots or 'none'}.")
        name = self._weights(step)
        if name not in self.files:
            raise StoreError(f"Run {self.id} was recorded without its weights; retrain=True trains it again.")
        model = UNet(self.settings.model)
        try:
            model.load_state_dict(load_tensors(self._read(name)))
        except (RuntimeError, SafetensorError):
            raise StoreError(f"{self.folder / name} does not fit the network of its settings.") from None
        return model.to(device).eval().requires_grad_(False)

    def _weights(self, step: int | None) -> str:
        return WEIGHTS_FILE if step in (None, self.settings.training.steps) else snapshot_name(step)

    @cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        """What the trained network drew for the conditions ``seen`` in training and, where there are any, ``unseen``.

        As recorded, centres to a thousandth of their error; runs recorded without it draw again from their weights.
        """
        if VERDICTS_FILE not in self.files:
            return evaluate_final(self.model(), self.settings)
        tensors, world = load_tensors(self._read(VERDICTS_FILE)), self.settings.world
        found = {}
        for part, mu in world.condition_splits(MAX_EVALUATIONS).items():
            error, verdict = tensors[f"{part}/error"].float(), tensors[f"{part}/code"].long()
            count, axis = verdict // len(CATEGORIES), verdict % len(CATEGORIES)
            centre = mu + error
            if world.periodic:
                centre = centre.remainder(world.size)
            found[part] = Evaluation(world, mu, Detections(count, centre), error, axis)
        return found

    def embedding(self, moment: str) -> np.ndarray:
        """Return what layer 4 says, at a moment, of each condition whose centre is in the window.

        See :func:`~bumplab.training.outcomes.layer_embedding`.

        As recorded, in half precision; runs recorded without it are asked again.
        """
        if EMBEDDING_FILE in self.files and moment in (kept := load_tensors(self._read(EMBEDDING_FILE))):
            return kept[moment].float().numpy()
        return layer_embedding(self.model(), self.settings, moment)

    def _read(self, name: str) -> bytes:
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError:
            raise StoreError(f"{path} is missing; train the run again with retrain=True.") from None
        if hashlib.sha256(content).hexdigest() != self.files.get(name):
            raise StoreError(f"{path} is not the file that was recorded; train the run again with retrain=True.")
        return content

    def check_files(self) -> None:
        """Raise :class:`StoreError` unless every file of the run is there and as recorded."""
        for name in self.files:
            self._read(name)
