"""The geometry of a code in a few numbers, for every layer of a network: a depth profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from bumplab.analysis.activations import lattice_activations, to_grid
from bumplab.analysis.factorization import factorization_scores
from bumplab.analysis.geometry import additive_fit, participation_ratio, pca
from bumplab.analysis.readout import linear_probe_r2, new_values_r2
from bumplab.analysis.steps import orthogonality, parallelism
from bumplab.analysis.topology import betti_numbers
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


@dataclass(frozen=True)
class HolesAndPlaces:
    """What a code r(x, y) has of the shape of its world, and how well places are read out of it.

    Attributes
    ----------
    betti : tuple of int
        Betti numbers of H0, H1 and H2, counted in four principal components with 500 landmarks as in chapter 3; a
        torus has (1, 2, 1). See :func:`bumplab.analysis.topology.betti_numbers`.
    pairs : float
        R^2 of linear probes of x and of y, their mean, on a random half of the conditions, fitted to the other. See
        :func:`bumplab.analysis.readout.linear_probe_r2`.
    values : float
        The same where whole blocks of values are held out. See :func:`bumplab.analysis.readout.new_values_r2`.

    Examples
    --------
    >>> HolesAndPlaces((1, 2, 1), 1.0, 0.97).is_torus
    True
    """

    betti: tuple[int, ...]
    pairs: float
    values: float

    @property
    def is_torus(self) -> bool:
        """Whether the Betti numbers are those of a torus."""
        return tuple(self.betti) == (1, 2, 1)


def holes_and_places(r: np.ndarray, world: BumpWorld) -> HolesAndPlaces:
    """Return the holes of one code of a world's lattice, and how well places are read out of it.

    Parameters
    ----------
    r : array, (n_x, n_y, D)
        One vector for each condition of :meth:`bumplab.worlds.bumps.BumpWorld.lattice`; takes seconds.
    world : BumpWorld
        In a periodic one, sine and cosine of the places are read out.

    Raises
    ------
    BumplabError
        If the shape is another one, or a number is not finite.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> found = holes_and_places(clifford(16, 16), BumpWorld(size=16, periodic=True))
    >>> found.betti, round(found.pairs, 2), round(found.values, 2)
    ((1, 2, 1), 1.0, 1.0)
    """
    mu = to_grid(world.lattice(), world).numpy()
    period = float(world.size) if world.periodic else None
    return HolesAndPlaces(
        betti=betti_numbers(r, components=4, landmarks=500),
        pairs=float(linear_probe_r2(r, mu, period, folds=2).mean()),
        values=float(new_values_r2(r, mu, period).mean()),
    )


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
