"""Runs of toys: how they are kept and proved, and how a stack of them trains into the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import numpy as np
import torch

from bumplab.common import histories
from bumplab.common.errors import BumplabError
from bumplab.runs.families import Family, provenance, register_family
from bumplab.runs.file_store import FileStore
from bumplab.runs.records import Record, StoreError
from bumplab.runs.run import FINAL_WEIGHTS, Run
from bumplab.runs.store import find
from bumplab.runs.toy_schema import ToySchema, check_toy_contents, snapshot_stem
from bumplab.runs.verification import Recomputation
from bumplab.toys.denoising import DenoisingSettings
from bumplab.toys.modular_rendering import ModularRenderingSettings
from bumplab.toys.modularity import ModularitySettings
from bumplab.toys.parity import ParitySettings
from bumplab.toys.parity_images import ParityImageSettings
from bumplab.toys.parity_sequences import ParitySequenceSettings
from bumplab.toys.relations import RelationSettings
from bumplab.toys.rendering import RenderingSettings
from bumplab.toys.rule_denoisers import RuleDenoiserSettings
from bumplab.toys.rules import RuleSettings
from bumplab.toys.scores import ScoreSettings
from bumplab.toys.settings import ToySettings
from bumplab.toys.states import ToyState
from bumplab.toys.toy_checkpoints import load_or_init_toy, save_toy
from bumplab.toys.trainer import toy_stacks, train_toys
from bumplab.toys.wedge import WedgeSettings
from bumplab.training.device import device_name, pick_device

#: How far numbers computed again from weights may lie from the recorded ones, on another processor.
TOY_TOLERANCE = 1e-3
#: Kinds of toys. A new one joins here.
TOYS: tuple[type[ToySettings], ...] = (
    DenoisingSettings,
    ModularitySettings,
    ModularRenderingSettings,
    ParityImageSettings,
    ParitySettings,
    ParitySequenceSettings,
    RelationSettings,
    RenderingSettings,
    RuleDenoiserSettings,
    RuleSettings,
    ScoreSettings,
    WedgeSettings,
)


class ToyRun(Run):
    """A finished run of a toy; :attr:`settings` are :class:`~bumplab.toys.settings.ToySettings`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> small = ModularitySettings(width=4, num_samples=20, batch=10, steps=4, measure_every=2)
    >>> with TemporaryDirectory() as folder:
    ...     run = load_or_train_toys([small], Path(folder), device="cpu", progress=False)[small.id]
    ...     run.parameters()["w1"].shape, run.curve("test.mse")[0].tolist()
    (torch.Size([4, 4]), [2, 4])
    """

    settings: ToySettings

    @property
    def snapshots(self) -> list[int]:
        """Steps for which weights were kept."""
        return [step for step in self.settings.snapshots if snapshot_stem(step) in self.kept]

    def parameters(self, step: int | None = None) -> dict[str, torch.Tensor]:
        """Return the weights at the end, or those after `step`.

        Raises
        ------
        BumplabError
            If they were not kept, or are not those of such a network.
        """
        stem = FINAL_WEIGHTS if step is None else snapshot_stem(step)
        if stem not in self.kept:
            raise BumplabError(f"Run {self.id} kept no weights after step {step}; it has {self.snapshots or 'none'}.")
        weights = {name: torch.from_numpy(array) for name, array in self.weights(stem).items()}
        expected = {name: value.shape for name, value in self.settings.init_weights().items()}
        if {name: value.shape for name, value in weights.items()} != expected:
            raise StoreError(f"The weights of run {self.id} in {self.path} do not fit its network.")
        return weights

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return steps and values of one quantity through training: ``"loss"``, ``"test.mse"``."""
        return histories.curve({"loss": self.curves["loss"], "accuracy": self.curves["measurements"]}, name)

    @property
    def steps(self) -> int:
        """The last step of training, which ends early where the settings say so."""
        return int(self.curves["loss"][-1][0])


def toy_record(state: ToyState, keep: str) -> Record:
    """Return what is recorded of a finished toy.

    Parameters
    ----------
    state : ToyState
    keep : {"all", "none"}
        Weights and snapshots, or neither.

    Examples
    --------
    >>> from bumplab.toys import train_toy
    >>> small = ModularitySettings(width=4, num_samples=20, batch=10, steps=4, measure_every=2)
    >>> sorted(toy_record(train_toy(small, "cpu", progress=False), "all").weights["weights"])
    ['b1', 'b2', 'b3', 'b4', 'w1', 'w2', 'w3', 'w4']
    """
    settings = state.settings
    weights: dict[str, dict[str, np.ndarray]] = {}
    if keep == "all":
        weights[FINAL_WEIGHTS] = _arrays(state.weights)
        weights |= {snapshot_stem(step): _arrays(kept) for step, kept in state.snapshots.items()}
    measured = {name: value for name, value in state.history["measurements"][-1].items() if name != "step"}
    return Record(
        settings.id, settings.to_record(), settings.trainer_version, measured,
        provenance(
            torch=str(torch.__version__), device=device_name(torch.device(state.device)), precision="fp32",
            threads=torch.get_num_threads(), members=state.members, keep=keep, seconds=round(state.seconds, 2),
        ),
        state.history, {}, weights,
    )  # fmt: skip


def _arrays(weights: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in weights.items()}


def load_or_train_toys(
    settings: Iterable[ToySettings],
    store: Path,
    retrain: bool = False,
    device: str = "auto",
    progress: bool = True,
    keep: Mapping[str, str] | None = None,
) -> dict[str, ToyRun | BumplabError]:
    """Return toys by their ids, training those that are not known, in stacks, and storing each when it is finished.

    Parameters
    ----------
    settings : iterable of ToySettings
        Of any kinds.
    store : Path
    retrain : bool
        Train all of them, but for those that another process finishes meanwhile.
    device, progress
        See :func:`~bumplab.toys.trainer.train_toys`.
    keep : mapping of str to str, optional
        Id to what a run keeps of its weights, "all" or "none"; all unless given.

    Returns
    -------
    dict
        Id to run, or to the error that ended it.

    Raises
    ------
    Interrupted
        On Ctrl-C; the same call goes on from the checkpoints.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> base = ModularitySettings(width=4, num_samples=20, batch=10, steps=4)
    >>> with TemporaryDirectory() as folder:
    ...     pair = [base.replace(seed=seed) for seed in (0, 1)]
    ...     runs = load_or_train_toys(pair, Path(folder), device="cpu", progress=False)
    >>> [run.provenance["members"] for run in runs.values()]
    [2, 2]
    """
    wanted, place, kind = {each.id: each for each in settings}, FileStore(store), pick_device(device).type
    results: dict[str, ToyRun | BumplabError] = {}
    before = {id: _stamp(place.path(id)) for id in wanted}
    for id, each in () if retrain else wanted.items():
        if run := find(each, store):
            results[id] = cast(ToyRun, run)
    for stack in toy_stacks([each for id, each in wanted.items() if id not in results], device):
        with ExitStack() as locks:
            states = []
            for each in stack:
                locks.enter_context(place.hold(each.id))
                run = place.adopt(each.id)
                if not run and not retrain:
                    run = find(each, store)
                elif not run and _stamp(place.path(each.id)) != before[each.id]:
                    run = place.get_whole(each.id)
                if run:  # another process was faster
                    results[each.id] = cast(ToyRun, run)
                    continue
                try:
                    states.append(load_or_init_toy(each, place.make_work_folder(each.id), kind))
                except BumplabError as error:
                    results[each.id] = error
            for state in train_toys(states, device, progress, lambda state: _save(place, state)):
                id = state.settings.id
                record = None if state.error else toy_record(state, (keep or {}).get(id, "all"))
                results[id] = cast(ToyRun, place.save(record)) if record else BumplabError(state.error)
    return results


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return what differs once a file is written anew, or None where there is none."""
    try:
        return path.stat().st_ino, path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _save(place: FileStore, state: ToyState) -> None:
    save_toy(state, place.make_work_folder(state.settings.id))


def train_toy_record(
    settings: ToySettings, folder: Path, device: str, precision: str, progress: bool, keep: str, compile: bool | None
) -> Record:
    """Train one toy, or go on from the checkpoint in its folder, and return its record.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> small = ModularitySettings(width=4, num_samples=20, batch=10, steps=4)
    >>> with TemporaryDirectory() as folder:
    ...     record = train_toy_record(small, Path(folder), "cpu", "auto", False, "none", None)
    >>> record.scalars.keys() >= {"test", "jacobian"}
    True
    """
    if precision not in ("auto", "fp32"):
        raise BumplabError(f"Toys train in fp32, got the precision {precision!r}.")
    state = load_or_init_toy(settings, folder, pick_device(device).type)
    for each in train_toys([state], device, progress, lambda each: save_toy(each, folder)):
        if each.error:
            raise BumplabError(each.error)
    return toy_record(state, keep)


def recompute_toy(run: ToyRun) -> Iterator[Recomputation]:
    """Yield the numbers of a toy, measured again on the weights that it kept.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> small = ModularitySettings(width=4, num_samples=20, batch=10, steps=4)
    >>> with TemporaryDirectory() as folder:
    ...     run = load_or_train_toys([small], Path(folder), device="cpu", progress=False)[small.id]
    ...     [each.scalars == run.scalars for each in recompute_toy(run)]
    [True]
    """
    if FINAL_WEIGHTS in run.kept:
        yield Recomputation("weights", run.settings.measure(run.parameters()), TOY_TOLERANCE)


def register_toy(kind: type[ToySettings]) -> Family:
    """Make runs of a kind of toys known to the store, and return their family.

    Examples
    --------
    >>> register_toy(ModularitySettings).keep
    ('all', 'none')
    """
    family = Family(kind, train_toy_record, recompute_toy, ToyRun, ("all", "none"), None, ToySchema, check_toy_contents)
    return register_family(family)


for _kind in TOYS:
    register_toy(_kind)
