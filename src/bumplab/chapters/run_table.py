"""All recorded runs as one table, a row each, that any reader of Parquet opens without this package."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bumplab import __version__
from bumplab.chapters.scoreboard import CITATION
from bumplab.chapters.studies import network_of
from bumplab.common.errors import BumplabError, join_names
from bumplab.common.parsing import flatten
from bumplab.runs.pack_store import PackStore
from bumplab.runs.run import FINAL_WEIGHTS, Run
from bumplab.runs.store import recorded_folder
from bumplab.runs.tables import lists_as_json
from bumplab.training.settings import Settings

if TYPE_CHECKING:
    import pyarrow

_SHARES = {
    "joint": "drawn right on both axes: one bump, or one stripe an axis, within a pixel of where it was asked for",
    "x": "right in x, whatever y is",
    "y": "right in y, whatever x is",
    "none": "in which nothing is found on an axis",
    "several": "in which more than one thing is found on an axis",
    "misplaced": "in which it is more than a pixel away",
    "right": "right on both axes, as joint",
}
#: What each column of :func:`tabulate_runs` means, and its unit; a text in JSON where a setting is a list.
RUN_COLUMNS: dict[str, tuple[str, str]] = {
    "id": ("name of the run: digest of its settings", "12 hexadecimal digits"),
    "study": ("chapter that first asks for the run, or tests", ""),
    "family": ("bumps for networks of the book's worlds, or the kind of a toy", ""),
    "network": ("preset whose network it is, whatever it predicts; none for others", ""),
    "world.kind": ("bump: one 2D Gaussian; sos: two crossing stripes; bump+stripes: both", ""),
    "world.size": ("side of the image", "pixels"),
    "world.sigma.x": ("width of a bump in x: standard deviation", "pixels"),
    "world.sigma.y": ("the same in y", "pixels"),
    "world.spacing.x": ("step of the lattice of conditions in x", "pixels"),
    "world.spacing.y": ("the same in y", "pixels"),
    "world.periodic": ("whether the image wraps round", ""),
    "world.margin": ("frame of labels around the image", "pixels"),
    "world.held_out": ("region of conditions that training leaves out", "labels"),
    "world.fraction": ("share of the other conditions that training shows", "0 to 1"),
    "world.subsample_region": ("where that share is drawn; the rest is shown whole; null for everywhere", "labels"),
    "world.subsample_seed": ("seed of that draw", ""),
    "model.kind": ("family of the network", ""),
    "model.widths": ("channels of the stem and of three blocks", "JSON"),
    "model.bottleneck_channels": ("channels of the bottleneck", ""),
    "model.depth": ("double convolutions in a block", ""),
    "model.patch": ("side of the patches that the network sees", "pixels"),
    "model.heads": ("heads of attention", ""),
    "model.encoding": ("length of each encoding of time, x and y", ""),
    "model.mu_frequency": ("highest frequency in the encoding of x and y", "radians a pixel"),
    "model.base": ("highest over lowest frequency", ""),
    "diffusion.kind": ("diffusion, or regression without noise as a control", ""),
    "diffusion.timesteps": ("levels of noise", ""),
    "diffusion.schedule": ("schedule of the noise", ""),
    "diffusion.prediction_type": ("what the network predicts: the image x0, the noise eps, or the velocity v", ""),
    "training.steps": ("steps of the optimiser", ""),
    "training.batch": ("images in a step", ""),
    "training.learning_rate": ("step size of AdamW, at its highest", ""),
    "training.weight_decay": ("decay of the weights in AdamW", ""),
    "training.warmup_steps": ("steps in which the learning rate rises from 0", ""),
    "training.lr_schedule": ("what the learning rate does after that", ""),
    "training.ema_decay": ("decay of the moving average of the weights, with which images are drawn", ""),
    "training.snapshots": ("steps whose weights were kept", "JSON"),
    "training.evaluate_every": ("steps between two measurements of accuracy on the way; 0 for none", ""),
    "training.evaluate_on": ("conditions of such a measurement", ""),
    "training.sampler_steps": ("steps in which an image is drawn", ""),
    "training.sampler_eta": ("fresh noise in drawing: 0 for DDIM, 1 for DDPM", "0 to 1"),
    "seed": ("seed of weights, batches and noise", ""),
    **{
        f"{part}.{name}": (f"share of images {words}, of {part} conditions", "0 to 1")
        for part in ("seen", "unseen")
        for name, words in _SHARES.items()
    },
    "toy.settings": ("settings of a toy, which other columns do not hold", "JSON"),
    "toy.numbers": ("what was measured of a toy at its end", "JSON"),
    "seen.n": ("number of seen conditions measured", ""),
    "unseen.n": ("number of unseen conditions measured", ""),
    "loss": ("mean training loss over the last tenth of training", "mean squared error of what is predicted"),
    "weights": ("whether the weights at the end are in the repository, in book/runs/STUDY/weights", ""),
    "provenance.bumplab": ("version of this package", ""),
    "provenance.python": ("version of Python", ""),
    "provenance.torch": ("version of PyTorch", ""),
    "provenance.numpy": ("version of NumPy", ""),
    "provenance.device": ("what it was trained on", ""),
    "provenance.precision": ("of the arithmetic in training", ""),
    "provenance.execution": ("whether a step was compiled, replayed or eager; null in early runs", ""),
    "provenance.threads": ("threads of the processor", ""),
    "provenance.members": ("runs trained together as one program; null in early runs", ""),
    "provenance.seconds": ("time of training; other work ran on the same computer", "seconds"),
    "provenance.date": ("when it was trained", "YYYY-MM-DD"),
}
#: What a record says of keeping; column weights says what came of it.
_LEFT_OUT = frozenset({"provenance.keep"})


def tabulate_runs() -> pyarrow.Table:
    """Return all recorded runs as a table, a row each, with the columns of :data:`RUN_COLUMNS`.

    Returns
    -------
    pyarrow.Table
        What a run lacks is null. Each column's metadata has its ``meaning`` and ``unit``; the table's has ``title``,
        ``version``, ``citation`` and ``license``.

    Raises
    ------
    BumplabError
        If recorded runs are damaged, or have settings that :data:`RUN_COLUMNS` does not explain.

    Examples
    --------
    >>> RUN_COLUMNS["world.size"]
    ('side of the image', 'pixels')
    """
    import pyarrow

    rows = list(_rows())
    if unknown := {name for row in rows for name in row} - RUN_COLUMNS.keys() - _LEFT_OUT:
        raise BumplabError(f"Runs have {join_names(sorted(unknown))}, which RUN_COLUMNS does not explain; add them.")
    fields, columns = [], []
    for name, (meaning, unit) in RUN_COLUMNS.items():
        columns.append(pyarrow.array([row.get(name) for row in rows]))
        fields.append(pyarrow.field(name, columns[-1].type, metadata={"meaning": meaning, "unit": unit}))
    meanings = {name: f"{meaning} [{unit}]" if unit else meaning for name, (meaning, unit) in RUN_COLUMNS.items()}
    metadata = {
        "title": "Recorded runs of bumplab",
        "version": __version__,
        "citation": CITATION,
        "license": "MIT",
        "columns": json.dumps(meanings),
    }
    return pyarrow.table(columns, schema=pyarrow.schema(fields, metadata=metadata))


def runs_as_parquet() -> bytes:
    """Return :func:`tabulate_runs` as a Parquet file."""
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(tabulate_runs(), file, compression="zstd")
    return file.getvalue()


def _rows() -> Iterator[dict[str, Any]]:
    """Yield every recorded run under the names of its columns, by study and id."""
    store = PackStore(recorded_folder())
    for problem in store.problems():
        raise problem
    for pack in store.packs():
        for id in sorted(pack.lines):
            if run := store.get(id):
                yield {"id": id, "study": pack.folder.name, **_facts(run)}


def _facts(run: Run) -> dict[str, Any]:
    """Return settings, numbers and provenance of a run by dotted names."""
    losses = np.array(run.curves["loss"])
    return {
        "family": run.settings.family,
        "network": network_of(run.settings),
        **(_facts_of_bumps(run) if isinstance(run.settings, Settings) else _facts_of_toy(run)),
        "loss": round(float(losses[-max(1, len(losses) // 10) :, 1].mean()), 6),
        "weights": FINAL_WEIGHTS in run.kept,
        **flatten({"provenance": run.provenance}),
    }


def _facts_of_bumps(run: Run) -> dict[str, Any]:
    settings = flatten(run.settings.model_dump(mode="json"))
    for name in ("world.sigma", "world.spacing"):
        settings[f"{name}.x"], settings[f"{name}.y"] = settings.pop(name)
    return {**lists_as_json(settings), **flatten(run.scalars)}


def _facts_of_toy(run: Run) -> dict[str, Any]:
    settings = run.settings.model_dump(mode="json")
    return {"seed": settings.pop("seed"), "toy.settings": json.dumps(settings), "toy.numbers": json.dumps(run.scalars)}
