"""Linear denoisers inside of the wrappers of diffusion models: EDM's preconditioning, and eps, v and x0.

A network sees c_in x and its output F makes D = c_skip x + c_out F, with the squared error of F as its loss. For a
linear F this changes the rate at which each mode learns at each noise level, and where it starts; the best denoiser
stays the same. So the exponent of emergence is a matter of the wrapper, too.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from bumplab.diffusion.linear_laws import ExponentialLaw


class Preconditioned(ExponentialLaw):
    """One layer inside of EDM's wrapper: it begins near the data's scale, and learns all modes more nearly at a time.

    D = c_skip x + c_out W c_in x, with the loss weighted by 1/c_out^2 (Karras et al. 2022, table 1). The weight of the
    whole goes from c_skip + c_out c_in Q to its optimum as exp(-2 eta tau (lambda + sigma^2)/(sigma_data^2 + sigma^2)).

    Attributes
    ----------
    start : float
        Q, of the layer inside.
    sigma_data : float
        What the wrapper takes for the standard deviation of the data, above 0.

    Examples
    --------
    >>> Preconditioned(sigma_data=0.5).variances([1.0, 1e-3], [0.0]).round(4).tolist()  # sigma_data^2 for every mode
    [[0.25, 0.25]]
    """

    sigma_data: Annotated[float, Field(gt=0, le=1e6)] = 0.5

    def rates(self, variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return 2 (lambda + sigma^2) / (sigma_data^2 + sigma^2)."""
        return 2 * (variances + squares) / (self.sigma_data**2 + squares)

    def starts(self, squares: np.ndarray) -> np.ndarray:
        """Return c_skip + c_out c_in Q."""
        return (self.sigma_data**2 + self.start * self.sigma_data * np.sqrt(squares)) / (self.sigma_data**2 + squares)


class VariancePreserving(ExponentialLaw):
    """One layer that sees images as the book's process shows them, and predicts what the book's networks predict.

    It sees x_t = x / sqrt(1 + sigma^2), and the loss is the squared error of eps, v or x0 (Ho et al. 2020; Salimans and
    Ho 2022). Derived here: all three learn at the same rate, 2 (lambda + sigma^2)/(1 + sigma^2), and differ only in
    what a layer that returns 0 makes of the image: nothing (x0), 1/(1 + sigma^2) of it (v), or all of it (eps). So v is
    EDM's wrapper with sigma_data 1, and a network of eps has to forget, of x0 to learn.

    Attributes
    ----------
    start : float
        Q, of the layer inside.
    prediction_type : {"eps", "v", "x0"}

    Examples
    --------
    >>> for prediction_type in ("x0", "v", "eps"):
    ...     print(VariancePreserving(prediction_type=prediction_type).variances([0.1], [0.0], (0.01, 100.0)).round(4))
    [[0.0001]]
    [[1.]]
    [[10000.]]
    """

    prediction_type: Literal["eps", "v", "x0"] = "x0"

    def rates(self, variances: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return 2 (lambda + sigma^2) / (1 + sigma^2)."""
        return 2 * (variances + squares) / (1 + squares)

    def starts(self, squares: np.ndarray) -> np.ndarray:
        """Return c_skip + c_out c_in Q."""
        into = 1 / np.sqrt(1 + squares)
        skip, out = {
            "x0": (0.0 * squares, 1.0),
            "v": (into**2, -np.sqrt(squares) * into),
            "eps": (1 + 0.0 * squares, -np.sqrt(squares)),
        }[self.prediction_type]
        return skip + out * into * self.start
