"""What can be read out of a representation: linear probes fitted on part of it, and UMAP's embedding."""

from __future__ import annotations

import warnings

import numpy as np

from bumplab.common.errors import BumplabError

#: Ridge penalties that a probe chooses from, for representations of mean squared length 1.
ALPHAS = np.logspace(-6, 1, 15)


def linear_probe(r: np.ndarray, targets: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Fit targets linearly on some conditions and predict them on all.

    Unlike :func:`bumplab.analysis.geometry.linear_probe_r2`, whose random folds ask for new pairs of known values,
    this asks what
    the probe says of conditions that it was never fitted to, such as those in a gap.

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
        raise BumplabError(f"A probe needs r (n, D), targets (n, ...) and a mask train (n,), got {shapes}.")
    if train.sum() < 2:
        raise BumplabError(f"A probe is fitted on two conditions or more, got {train.sum()}.")
    length = np.sqrt((r**2).sum(axis=1).mean())
    if not (np.isfinite(length) and length > 0):
        raise BumplabError("A probe needs a representation of finite numbers that are not all 0.")
    r = r / length
    return RidgeCV(ALPHAS).fit(r[train], targets[train]).predict(r)


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
    >>> umap(np.random.default_rng(0).normal(size=(6, 8, 4)), n_components=3, n_epochs=5).shape
    (6, 8, 3)
    """
    r = np.asarray(r)
    if r.ndim not in (2, 3) or not np.isfinite(r).all():
        raise BumplabError(f"UMAP needs finite numbers of shape (n_x, n_y, D) or (n, D), got shape {r.shape}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one thread is enough, and that there are no widgets
        from umap import UMAP

        reducer = UMAP(n_components=n_components, n_epochs=n_epochs, random_state=seed, n_jobs=1)
        embedding = reducer.fit_transform(r.reshape(-1, r.shape[-1]))
    return embedding.reshape(*r.shape[:-1], n_components)
