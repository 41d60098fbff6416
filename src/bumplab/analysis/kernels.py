"""Two learners without training: kernel regression with the neural tangent kernel of the encoding of a place.

A wide layer of ReLUs trained by small steps is kernel regression with its neural tangent kernel (Jacot et al. 2018).
What the encoding alone lets a learner guess between the places it has seen is then a closed form, to be held
against networks.
"""

from __future__ import annotations

import numpy as np
import torch

from bumplab.common.errors import BumplabError, quote
from bumplab.models.layers import sinusoidal_encoding
from bumplab.models.unet import UNetSettings
from bumplab.worlds.bumps import BumpWorld

#: Added to the diagonal of a kernel, which is 2.
RIDGE = 1e-6
_STEP = 0.1  # pixels between candidate places of a bump in a predicted picture


def relu_tangent_kernel(cosine: np.ndarray) -> np.ndarray:
    """Return the neural tangent kernel of one infinitely wide hidden layer of ReLUs, for inputs of length 1.

    With the angle a = arccos(cosine) it is (sin a + 2 (pi - a) cos a) / pi, the sum of the part of the output weights
    and that of the input weights (Cho and Saul 2009; Jacot et al. 2018).

    Parameters
    ----------
    cosine : array
        Cosines of the angles between inputs; rounding beyond -1 and 1 is cut off.

    Returns
    -------
    array of the same shape: 2 for equal inputs, 1 / pi for orthogonal ones, 0 for opposite ones.

    Examples
    --------
    >>> relu_tangent_kernel(np.array([1.0, 0.0, -1.0])).round(3).tolist()
    [2.0, 0.318, 0.0]
    """
    cosine = np.clip(cosine, -1, 1)
    angle = np.arccos(cosine)
    return (np.sin(angle) + 2 * (np.pi - angle) * cosine) / np.pi


def encoding_kernel(settings: UNetSettings, one: torch.Tensor, other: torch.Tensor) -> np.ndarray:
    """Return the neural tangent kernel between the encodings of places along one axis.

    Parameters
    ----------
    settings : UNetSettings
        Its ``encoding``, ``mu_frequency`` and ``base``.
    one, other : torch.Tensor, (n,) and (m,)
        Places in pixels.

    Returns
    -------
    array (n, m), float64

    Examples
    --------
    >>> encoding_kernel(UNetSettings(), torch.tensor([3.0]), torch.tensor([3.0, 20.0])).round(2).tolist()
    [[2.0, 1.14]]
    """
    codes = [
        sinusoidal_encoding(places, settings.encoding, settings.mu_frequency, settings.base).double().numpy()
        for places in (one, other)
    ]
    # Every encoding has squared length encoding / 2: a sine and a cosine of each angle.
    return relu_tangent_kernel(2 * codes[0] @ codes[1].T / settings.encoding)


def kernel_regression(
    train_kernel: np.ndarray, test_kernel: np.ndarray, targets: np.ndarray, ridge: float = RIDGE
) -> np.ndarray:
    """Predict functions by kernel ridge regression round their mean.

    Parameters
    ----------
    train_kernel : array (m, m)
        Between the training inputs.
    test_kernel : array (n, m)
        Between test inputs and training inputs.
    targets : array (m, k)
        k functions at the training inputs.
    ridge : float
        Added to the diagonal of `train_kernel`.

    Returns
    -------
    array (n, k)

    Raises
    ------
    BumplabError
        If the shapes do not fit each other.

    Examples
    --------
    >>> kernel_regression(np.eye(2), np.eye(2), np.array([[1.0], [3.0]]), ridge=0.0).tolist()
    [[1.0], [3.0]]
    """
    m = len(train_kernel)
    if train_kernel.shape != (m, m) or test_kernel.shape[1:] != (m,) or targets.ndim != 2 or len(targets) != m:
        shapes = train_kernel.shape, test_kernel.shape, targets.shape
        raise BumplabError(f"Kernel regression needs shapes (m, m), (n, m) and (m, k), got {quote(shapes)}.")
    mean = targets.mean(0)
    weights = np.linalg.solve(train_kernel + ridge * np.eye(m), targets - mean)
    return mean + test_kernel @ weights


def predict_places(settings: UNetSettings, world: BumpWorld) -> dict[str, np.ndarray]:
    """Predict where two learners put the bump for each value of mu_x that training never shows.

    Parameters
    ----------
    settings : UNetSettings
        The encoding that the learners hear.
    world : BumpWorld
        With values of mu_x that are not seen at any mu_y.

    Returns
    -------
    dict of str to array (n,), in pixels, in ascending order of the n unseen values
        ``places``: a learner of the number mu_x itself. ``pictures``: a learner of the bump's profile along x, pixel by
        pixel; the place is that of the best-fitting bump, NaN where its peak is below one half.

    Raises
    ------
    BumplabError
        If training shows every value of mu_x.

    Examples
    --------
    >>> world = BumpWorld(held_out="band_x(15, 17)")
    >>> {name: x.round(1).tolist() for name, x in predict_places(UNetSettings(), world).items()}
    {'places': [16.0], 'pictures': [16.0]}
    """
    hidden, seen = unseen_places(world), world.seen()[:, 0].unique()
    train, test = (encoding_kernel(settings, places, seen) for places in (seen, hidden))
    places = kernel_regression(train, test, seen[:, None].double().numpy())[:, 0]
    pictures = kernel_regression(train, test, world.profile(seen.double(), 0).numpy())
    candidates = torch.arange(0, world.size - 0.99, _STEP, dtype=torch.float64)
    bumps = world.profile(candidates, 0)
    fit = pictures @ (bumps / bumps.norm(dim=1, keepdim=True)).T.numpy()
    best = fit.argmax(1)
    peak = fit.max(1) / bumps.norm(dim=1).numpy()[best]
    return {"places": places, "pictures": np.where(peak >= 0.5, candidates[best], np.nan)}


def relative_place_error(places: np.ndarray, world: BumpWorld) -> float:
    """Return the mean error of predicted places over the mean distance to the nearest seen value of mu_x.

    Parameters
    ----------
    places : array (n,)
        As :func:`predict_places` returns them; NaN is left out of both means.
    world : BumpWorld

    Returns
    -------
    float
        0 for perfect interpolation, 1 for drawing the nearest seen place; NaN if there is no place at all.

    Examples
    --------
    >>> relative_place_error(np.array([15.0]), BumpWorld(held_out="band_x(15, 17)"))
    1.0
    """
    hidden, seen = unseen_places(world), world.seen()[:, 0].unique()
    distance = (hidden[:, None] - seen).abs().amin(1).numpy()
    error = np.abs(places - hidden.numpy())
    there = np.isfinite(error)
    return float(error[there].mean() / distance[there].mean()) if there.any() else float("nan")


def unseen_places(world: BumpWorld) -> torch.Tensor:
    """Return the values of mu_x that training shows at no mu_y, ascending, (n,).

    Raises
    ------
    BumplabError
        If there is none.

    Examples
    --------
    >>> unseen_places(BumpWorld(held_out="band_x(14, 17)")).tolist()
    [15.0, 16.0]
    """
    hidden = world.axis(0)[~torch.isin(world.axis(0), world.seen()[:, 0])]
    if not len(hidden):
        raise BumplabError("Training shows every value of mu_x; hold a band out, for example band_x(13, 19).")
    return hidden
