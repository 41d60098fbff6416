"""The geometry of a code in a few numbers, for every layer of a network: a depth profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bumplab.analysis.activations import lattice_activations
from bumplab.analysis.factorization import factorization_scores
from bumplab.analysis.geometry import additive_fit, participation_ratio, pca
from bumplab.analysis.steps import orthogonality, parallelism
from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet
from bumplab.worlds.bumps import BumpWorld


@dataclass(frozen=True)
class CodeGeometry:
    """What Figs. 2 and 3 of the paper measure of a code r(x, y), each as one number.

    Attributes
    ----------
    dimension : float
        Effective dimension, see :func:`bumplab.analysis.geometry.participation_ratio`; 1 or more.
    factorization, hyperfactorization : float
        F and H, see :class:`bumplab.analysis.factorization.FactorizationScores`; at most 1.
    x_on_y : float
        Mean squared cosine between steps of x and steps of y, 0 (orthogonal) to 1.
    x_on_x : float
        That between steps of one feature, the mean of x-on-x and y-on-y, 0 to 1; see
        :func:`bumplab.analysis.steps.orthogonality`.
    parallelism : float
        Mean cosine between the same step at two values of the other feature, the mean of both features, -1 to 1.
    additive : float
        Share of the variance that a sum f(x) + g(y) explains, 0 to 1.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> geometry = code_geometry(clifford(8, 8))
    >>> round(geometry.dimension, 2), round(geometry.factorization, 2), round(geometry.parallelism, 2)
    (4.0, 1.0, 1.0)
    """

    dimension: float
    factorization: float
    hyperfactorization: float
    x_on_y: float
    x_on_x: float
    parallelism: float
    additive: float


#: Names of the numbers of a :class:`CodeGeometry`, in their order.
GEOMETRY_MEASURES = tuple(field.name for field in fields(CodeGeometry))


def code_geometry(r: np.ndarray, tuples: int = 20_000, seed: int = 0) -> CodeGeometry:
    """Return the geometry of one code.

    Parameters
    ----------
    r : array, (n_x, n_y, D)
        At least 4 values of each feature.
    tuples, seed : int
        Of the steps that are drawn at random, see :func:`bumplab.analysis.steps.orthogonality`.

    Raises
    ------
    BumplabError
        If the shape is another one, a number is not finite, or a feature leaves the code unchanged.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import one_hot
    >>> geometry = code_geometry(one_hot(8, 8))
    >>> geometry.dimension, geometry.x_on_y, geometry.x_on_x  # two times seven equal components; all steps orthogonal
    (14.0, 0.0, 0.0)
    """
    if np.ndim(r) == 3:
        r = pca(r, None)  # all angles and distances stay, in at most as many dimensions as there are conditions
    scores, angles = factorization_scores(r), orthogonality(r, tuples, seed)
    squares = {kind: float((cosines**2).mean()) for kind, cosines in angles.items()}
    return CodeGeometry(
        dimension=round(participation_ratio(r), 12),
        factorization=scores.factorization,
        hyperfactorization=scores.hyperfactorization,
        x_on_y=round(squares["x-on-y"], 12),
        x_on_x=round((squares["x-on-x"] + squares["y-on-y"]) / 2, 12),
        parallelism=float(np.mean([cosines.mean() for cosines in parallelism(r, tuples, seed).values()])),
        additive=1 - additive_fit(r).interaction,
    )


def depth_profile(
    model: UNet, world: BumpWorld, diffusion: Diffusion, layers: Iterable[int | str] | None = None, **options: Any
) -> dict[str, CodeGeometry]:
    """Return the geometry of the code in every layer of a network that hears the condition.

    Parameters
    ----------
    model, world, diffusion
        As for :func:`bumplab.analysis.activations.record_activations`.
    layers : iterable of int or str, optional
        All but the stem, which hears no condition, and the head, unless given.
    **options
        Of :func:`bumplab.analysis.activations.record_activations`, such as ``t=0.0`` or ``steps=3``.

    Returns
    -------
    dict of str to CodeGeometry
        In order of execution.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> settings = preset("smoke", world={"spacing": 4})
    >>> model = UNet(settings.model)
    >>> list(depth_profile(model, settings.world, settings.diffusion, ["attention2", "up1"], steps=1))
    ['attention2', 'up1']
    """
    layers = UNet.layer_names[1:-1] if layers is None else list(layers)
    codes = lattice_activations(model, world, diffusion, layers, **options)
    return {name: code_geometry(code) for name, code in codes.items()}


def profile_table(profiles: Iterable[Mapping[str, CodeGeometry]], measure: str) -> np.ndarray:
    """Return one number of several profiles as a table, (networks, layers).

    Raises
    ------
    BumplabError
        For another measure, or profiles of different layers.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> profile_table(2 * [{"up1": code_geometry(clifford(8, 8))}], "additive").round(3).tolist()
    [[1.0], [1.0]]
    """
    if measure not in GEOMETRY_MEASURES:
        raise BumplabError(f"There is no measure {quote(measure)}: use one of {', '.join(GEOMETRY_MEASURES)}.")
    rows = list(profiles)
    if len({tuple(row) for row in rows}) > 1:
        raise BumplabError("The profiles of a table are about the same layers, in the same order.")
    return np.array([[getattr(geometry, measure) for geometry in row.values()] for row in rows])
