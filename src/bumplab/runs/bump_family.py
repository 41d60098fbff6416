"""Runs of bumps: what they keep, and how their accuracy is computed again from it."""

from __future__ import annotations

from collections.abc import Iterator

from bumplab.runs.run import VERDICTS_FILE, WEIGHTS_FILE, Run
from bumplab.runs.verification import Recomputation
from bumplab.training.outcomes import evaluate_final

#: One condition in 200: on another processor, an image at the edge of what is right may fall on its other side.
WEIGHTS_TOLERANCE = 0.005


def recompute(run: Run) -> Iterator[Recomputation]:
    """Yield the accuracies of a run, from the verdicts on what it drew and from its weights, where it kept them.

    Verdicts are the categories of the very images that were counted: all six digits have to agree. Weights draw again,
    on the CPU, and have to come within :data:`WEIGHTS_TOLERANCE`.
    """
    if VERDICTS_FILE in run.files:
        yield Recomputation("verdicts", {part: result.to_record() for part, result in run.evaluations.items()})
    if WEIGHTS_FILE in run.files:
        again = evaluate_final(run.model(), run.settings)
        yield Recomputation("weights", {part: result.to_record() for part, result in again.items()}, WEIGHTS_TOLERANCE)
