"""What can be read out of a representation: linear probes fitted on part of it, and UMAP's embedding."""

from __future__ import annotations

import warnings

import numpy as np

from bumplab.analysis.geometry import pca, validate_and_center
from bumplab.common.errors import BumplabError, quote

#: Ridge penalties that a probe chooses from, for representations of mean squared length 1.
ALPHAS = np.logspace(-6, 1, 15)


def linear_probe(r: np.ndarray, targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Fit targets linearly on some conditions and predict them on all.

    Unlike :func:`linear_probe_r2`, whose random folds ask for new pairs of known values,
    this asks what the probe says of conditions that it was never fitted to, such as those in a gap.

    Parameters
    ----------
    r : array (n, D)
        A representation; it is scaled to mean squared length 1 over all n first, so that the ridge means the same
        for every layer.
    targets : array (n,) or (n, k)
    train : array (n,), bool
        Where the probe is fitted. The ridge is chosen by leave-one-out among these.

    Returns
    -------
    array of the shape of `targets`, float64

    Raises
    ------
    BumplabError
        If the shapes do not fit, the representation is zero, or fewer than two conditions are left to fit.

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> linear_probe(x[:, None], 2 * x, train=(x < 3) | (x > 5)).round(3).tolist()
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    """
    from sklearn.linear_model import RidgeCV

    r, targets, train = np.asarray(r, np.float64), np.asarray(targets, np.float64), np.asarray(train)
    if r.ndim != 2 or len(targets) != len(r) or train.shape != (len(r),) or train.dtype != bool:
        shapes = r.shape, targets.shape, train.shape
        raise BumplabError(f"A probe needs r (n, D), targets (n, ...) and a mask train (n,), got {quote(shapes)}.")
    if train.sum() < 2:
        raise BumplabError(f"A probe is fitted on two conditions or more, got {train.sum()}.")
    length = np.sqrt((r**2).sum(axis=1).mean())
    if not (np.isfinite(length) and length > 0):
        raise BumplabError("A probe needs a representation of finite numbers that are not all 0.")
    r = r / length
    return RidgeCV(ALPHAS).fit(r[train], targets[train]).predict(r).reshape(targets.shape)


def linear_probe_r2(
    r: np.ndarray, mu: np.ndarray, period: float | None = None, folds: int | None = 5, seed: int = 0
) -> np.ndarray:
    """Return how well each feature is read out linearly, as R^2.

    Parameters
    ----------
    r : array, (n_x, n_y, D) or (n, D)
    mu : array, (n_x, n_y, k) or (n, k)
        The features of each condition, in the order of `r`: mu_x and mu_y in pixels.
    period : float, optional
        For a periodic world, its size: then sine and cosine of 2 pi mu / period are read out, and R^2 is that of
        the two together.
    folds : int or None
        Ridge regression, cross-validated: each condition is predicted from a fit to the other folds, whose ridge
        is chosen by leave-one-out inside them. None: ordinary least squares judged on the points it was fitted to, as
        in the forerunner's fits to embeddings in 3D; with D >= n that is 1 whatever the representation.
    seed : int
        Of the random folds.

    Returns
    -------
    array (k,): 1 is perfect, 0 no better than the mean; cross-validated it can be negative.

    Raises
    ------
    BumplabError
        If shapes do not fit, a number is not finite, there are too few or too many folds, or a feature does not vary.

    Notes
    -----
    Random folds ask for values of x that other y have shown. They do not ask for new values of x.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford
    >>> mu = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), axis=2)
    >>> linear_probe_r2(clifford(8, 8), mu, period=8).round(3).tolist()  # angles can be read out
    [1.0, 1.0]
    >>> linear_probe_r2(clifford(8, 8), mu, folds=None).round(2).tolist()  # places less: a circle is no line
    [0.65, 0.65]
    """
    from sklearn.linear_model import LinearRegression, RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    points, mu = validate_and_center(r), np.array(mu, dtype=np.float64)
    mu = mu.reshape(-1, mu.shape[-1]) if mu.ndim in (2, 3) else mu
    if mu.ndim != 2 or len(mu) != len(points) or not np.isfinite(mu).all():
        raise BumplabError(f"mu holds finite features for each of the {len(points)} conditions, got shape {mu.shape}.")
    if folds is not None and not 2 <= folds <= len(points):
        raise BumplabError(f"folds is None or 2 to {len(points)}, the number of conditions, got {quote(folds)}.")
    angle = 2 * np.pi * mu / period if period else mu
    targets = np.stack([np.sin(angle), np.cos(angle)] if period else [mu], axis=2)  # (n, k, 2 or 1)
    flat = targets.reshape(len(points), -1)
    if folds is None:
        predicted = LinearRegression().fit(points, flat).predict(points)
    else:
        points = pca(points, None)  # the ridge does not see this rotation, and D becomes at most n
        points /= np.sqrt((points**2).sum(axis=1).mean())
        model = RidgeCV(alphas=len(points) * np.logspace(-10, 1, 23))
        split = KFold(folds, shuffle=True, random_state=seed)
        predicted = np.asarray(cross_val_predict(model, points, flat, cv=split))
    residual = ((targets - predicted.reshape(targets.shape)) ** 2).sum(axis=(0, 2))
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=(0, 2))
    if not total.all():
        raise BumplabError("A feature that is the same in all conditions cannot be read out; leave it away.")
    return 1 - residual / total


def new_values_r2(r: np.ndarray, mu: np.ndarray, period: float | None = None, blocks: int = 4) -> np.ndarray:
    """Return how well values of x, and of y, are read out by a linear probe that was never fitted to them, as R^2.

    Harder than :func:`linear_probe_r2`: a block of neighbouring values of x is left out, at all y, and read by a probe
    that is fitted to the rest; each block in turn. A code that gives every value a direction of its own fails here.

    Parameters
    ----------
    r : array, (n_x, n_y, D)
    mu : array, (n_x, n_y, 2)
        mu_x and mu_y in pixels.
    period : float, optional
        For a periodic world, its size: then sine and cosine of 2 pi mu / period are read out.
    blocks : int
        In how many blocks the values of a feature are left out, 2 or more.

    Returns
    -------
    array (2,): of x and of y; 1 is perfect, 0 no better than the mean, below 0 worse.

    Raises
    ------
    BumplabError
        If the shapes are others, a number is not finite, or a feature has fewer values than there are blocks.

    Examples
    --------
    >>> from bumplab.analysis.ideal_codes import clifford, one_hot
    >>> mu = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), axis=2)
    >>> new_values_r2(clifford(8, 8), mu, period=8).round(2).tolist()  # on a circle, neighbours say it all
    [1.0, 1.0]
    >>> bool((new_values_r2(one_hot(8, 8), mu, period=8) < 0.1).all())  # where each value is alone, they say nothing
    True
    """
    if np.ndim(r) != 3 or np.shape(mu) != (*np.shape(r)[:2], 2):
        shapes = np.shape(r), np.shape(mu)
        raise BumplabError(f"New values are read from r (n_x, n_y, D) for mu (n_x, n_y, 2), got {quote(shapes)}.")
    if not 2 <= blocks <= min(np.shape(r)[:2]):
        raise BumplabError(f"Use 2 to {min(np.shape(r)[:2])} blocks, as a feature has values, got {quote(blocks)}.")
    points = pca(r, None)  # the ridge does not see this rotation, and D becomes at most n_x n_y
    points, scores = points.reshape(-1, points.shape[-1]), []
    for axis in (0, 1):
        value = np.asarray(mu, dtype=np.float64)[..., axis].ravel()
        angle = 2 * np.pi * value / period if period else value
        targets = np.stack([np.sin(angle), np.cos(angle)] if period else [value], axis=1)
        block = np.indices(np.shape(r)[:2])[axis].ravel() * blocks // np.shape(r)[axis]
        predicted = np.empty_like(targets)
        for hidden in range(blocks):
            here = block == hidden
            predicted[here] = linear_probe(points, targets, ~here)[here]
        scores.append(1 - ((targets - predicted) ** 2).sum() / ((targets - targets.mean(axis=0)) ** 2).sum())
    return np.array(scores)


def umap(r: np.ndarray, n_components: int = 2, n_epochs: int = 200, seed: int = 0) -> np.ndarray:
    """Embed a representation by UMAP (McInnes et al. 2018), on one thread, so that the seed decides.

    Parameters
    ----------
    r : array (n_x, n_y, D) or (n, D)
    n_components : int
        Dimensions of the embedding.
    n_epochs : int
        Passes of its optimisation.
    seed : int
        The same seed gives the same embedding on one machine; processors may differ.

    Returns
    -------
    array (n_x, n_y, n_components) or (n, n_components), float32

    Raises
    ------
    BumplabError
        If `r` has another shape or holds NaN or infinity.

    Examples
    --------
    >>> umap(np.zeros(6))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: UMAP needs finite numbers of shape (n_x, n_y, D) or (n, D), got shape (6,).
    """
    r = np.asarray(r)
    if r.ndim not in (2, 3) or not np.isfinite(r).all():
        raise BumplabError(f"UMAP needs finite numbers of shape (n_x, n_y, D) or (n, D), got shape {r.shape}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one thread is enough, and that there are no widgets
        from umap import UMAP

        reducer = UMAP(n_components=n_components, n_epochs=n_epochs, random_state=seed, n_jobs=1)
        embedding = np.asarray(reducer.fit_transform(r.reshape(-1, r.shape[-1])))
    return embedding.reshape(*r.shape[:-1], n_components)
