"""Networks that denoise images without a condition: linear filters, a perceptron, and the book's UNet.

Each kind of settings makes the first weights of one network, and what that network says of noisy images. All begin by
saying one number, whatever they see: so the first images they generate are the same for all, and those of the theory
in :mod:`bumplab.diffusion.linear_wrappers` with a start of 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch.func import functional_call
from torch.nn import functional as F

from bumplab.common.config import FrozenConfig, tagged_union
from bumplab.diffusion.analytic import noise_level, timestep_at
from bumplab.diffusion.linear import generated_variances, quadrature
from bumplab.diffusion.process import Diffusion
from bumplab.models.layers import sinusoidal_encoding
from bumplab.models.perceptrons import init_perceptron
from bumplab.models.unet import UNet, UNetSettings, Width
from bumplab.toys.settings import Weights


class FilterSettings(FrozenConfig):
    """A linear denoiser: at each noise level a circular filter of its own, and a bias.

    A fully connected layer whose data form a periodic lattice, all of it in every step, is such a filter: its gradient
    has the symmetry of the lattice, and so has what Adam makes of it (tested). Between its noise levels a filter is
    read along log sigma.

    Attributes
    ----------
    kind : {"filter"}
    taps : int
        Width of the filter along each axis, 0 for as wide as the image; odd otherwise, so that it has a centre.
    start : float
        The centre of every filter before training, 0 to 10; other taps start at 0.
    levels : int
        Noise levels, those of a quadrature, by which the variance that a filter generates is exact.

    Examples
    --------
    >>> weights = FilterSettings(kind="filter", taps=3).init_weights(16, 0.0, 0)
    >>> {name: tuple(value.shape) for name, value in weights.items()}
    {'filter': (24, 3, 3), 'bias': (24,)}
    """

    kind: Literal["filter"]
    taps: Annotated[int, Field(ge=0, le=512)] = 0
    start: Annotated[float, Field(ge=0, le=10)] = 0.0
    levels: Annotated[int, Field(ge=8, le=256)] = 24

    def init_weights(self, size: int, constant: float, seed: int) -> dict[str, torch.Tensor]:
        """Return the weights before training, in which nothing is random; images have size x size pixels."""
        width = self.taps or size
        centre = torch.zeros(self.levels, width, width)
        centre[:, width // 2, width // 2] = self.start
        return {"filter": centre, "bias": torch.full((self.levels,), float(constant))}

    def gains(self, weights: Weights, size: int) -> torch.Tensor:
        """Return the Fourier transforms of the filters, (levels, N, N), complex."""
        taps = weights["filter"]
        width, centre = taps.shape[-1], taps.shape[-1] // 2
        padded = F.pad(taps, (0, size - width, 0, size - width))
        return torch.fft.fft2(padded.roll((-centre, -centre), (-2, -1)))

    def timesteps(self, diffusion: Diffusion) -> torch.Tensor:
        """Return the timesteps of the noise levels, (levels,)."""
        return _quadrature_timesteps(diffusion, self.levels)  # pyright: ignore[reportArgumentType]  # frozen

    def predict(self, weights: Weights, x: torch.Tensor, t: torch.Tensor, diffusion: Diffusion) -> torch.Tensor:
        """Return what one network says of noisy images x (n, 1, N, N) at timesteps t (n,), like x."""
        size, logs = x.shape[-1], noise_level(diffusion, t).log()
        levels = noise_level(diffusion, self.timesteps(diffusion)).log()
        above = torch.searchsorted(levels, logs).clamp(1, self.levels - 1)
        share = ((logs - levels[above - 1]) / (levels[above] - levels[above - 1])).clamp(0, 1)
        gains, bias = self.gains(weights, size), weights["bias"]
        gain = torch.lerp(gains[above - 1], gains[above], share[:, None, None].to(gains.dtype))
        shift = torch.lerp(bias[above - 1], bias[above], share)
        return torch.fft.ifft2(torch.fft.fft2(x) * gain[:, None]).real + shift[:, None, None, None]

    def variances(self, weights: Weights, size: int, diffusion: Diffusion) -> np.ndarray:
        """Return the variance that filters generate along each wave, (N N,), exactly but for the quadrature.

        Examples
        --------
        >>> filters = FilterSettings(kind="filter")
        >>> filters.variances(filters.init_weights(2, 0.0, 0), 2, Diffusion(prediction_type="x0")).round(6).tolist()
        [0.0001, 0.0001, 0.0001, 0.0001]
        """
        exact = linear_weights(self.gains(weights, size), diffusion, self.timesteps(diffusion))
        return generated_variances(exact, noise_range(diffusion))


class ResidualSettings(FrozenConfig):
    """A perceptron with residual layers, which sees all pixels at once and the timestep in sines and cosines.

    The form of the perceptron in arXiv:2503.03206, appendix: h + relu(W h + b) in each layer but the first and last.

    Attributes
    ----------
    kind : {"mlp"}
    width, depth : int
        Units in each of so many hidden layers.
    encoding : int
        Length of the encoding of the timestep; even.

    Examples
    --------
    >>> weights = ResidualSettings(width=8, depth=2).init_weights(4, -1.0, 0)
    >>> {name: tuple(value.shape) for name, value in weights.items() if name[0] == "w"}
    {'w1': (80, 8), 'w2': (8, 8), 'w3': (8, 16)}
    """

    kind: Literal["mlp"] = "mlp"
    width: Annotated[int, Field(ge=1, le=4096)] = 256
    depth: Annotated[int, Field(ge=1, le=16)] = 5
    encoding: Annotated[int, Field(ge=4, le=1024, multiple_of=2)] = 64

    def init_weights(self, size: int, constant: float, seed: int) -> dict[str, torch.Tensor]:
        """Return the weights before training: those of the last layer are 0, its bias is the constant."""
        widths = [size**2 + self.encoding, *[self.width] * self.depth, size**2]
        weights = init_perceptron(widths, torch.Generator().manual_seed(seed))
        weights[f"w{self.depth + 1}"].zero_()
        weights[f"b{self.depth + 1}"].fill_(constant)
        return weights

    def predict(self, weights: Weights, x: torch.Tensor, t: torch.Tensor, diffusion: Diffusion) -> torch.Tensor:
        """Return what one network says of noisy images x (n, 1, N, N) at timesteps t (n,), like x."""
        inputs = torch.cat([x.flatten(1), sinusoidal_encoding(t, self.encoding)], 1)
        hidden = F.relu(torch.addmm(weights["b1"], inputs, weights["w1"]))
        for layer in range(2, self.depth + 1):
            hidden = hidden + F.relu(torch.addmm(weights[f"b{layer}"], hidden, weights[f"w{layer}"]))
        last = self.depth + 1
        return torch.addmm(weights[f"b{last}"], hidden, weights[f"w{last}"]).view_as(x)


class DenoisingUNetSettings(UNetSettings):
    """The book's UNet, which always hears the condition (0, 0) unless it is given one.

    Attributes
    ----------
    kind, widths, bottleneck_channels, depth, patch, heads, encoding, mu_frequency, base
        See :class:`~bumplab.models.unet.UNetSettings`. The sizes of the preset ``quick`` unless given.

    Examples
    --------
    >>> weights = DenoisingUNetSettings(kind="unet", patch=2).init_weights(16, -1.0, 0)
    >>> weights["head.weight"].unique().tolist(), weights["head.bias"].unique().tolist()
    ([0.0], [-1.0])
    """

    kind: Literal["unet"] = Field()
    widths: tuple[Width, Width, Width, Width] = (16, 32, 48, 64)
    bottleneck_channels: Width = 64
    depth: Annotated[int, Field(ge=1, le=4)] = 1
    patch: Annotated[int, Field(ge=1, le=8)] = 4
    heads: Annotated[int, Field(ge=1, le=16)] = 1

    def init_weights(self, size: int, constant: float, seed: int) -> dict[str, torch.Tensor]:
        """Return the weights before training: those of the head are 0, its bias is the constant."""
        self.check_size(size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = UNet(self)
        model.init_constant_output(constant)
        return {name: value.detach() for name, value in model.named_parameters()}

    def skeleton(self) -> UNet:
        """Return the network without weights; made before it is mapped over a stack, where none can be made."""
        return _skeleton(self)  # pyright: ignore[reportArgumentType]  # frozen, so hashable

    def with_weights(self, weights: Weights) -> UNet:
        """Return the network with its weights, for many calls: :meth:`predict` puts them in at every one.

        Examples
        --------
        >>> small = DenoisingUNetSettings(kind="unet", widths=(4, 4, 4, 4), bottleneck_channels=4, patch=2)
        >>> network = small.with_weights(small.init_weights(16, -1.0, 0))
        >>> network(torch.zeros(1, 1, 16, 16), torch.zeros(1), torch.zeros(1, 2)).unique().tolist()
        [-1.0]
        """
        with torch.device("meta"):
            network = UNet(self)
        network.load_state_dict(dict(weights), assign=True)
        return network.eval().requires_grad_(False)

    def predict(
        self,
        weights: Weights,
        x: torch.Tensor,
        t: torch.Tensor,
        diffusion: Diffusion,
        mu: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return what one network says of noisy images x (n, 1, N, N) at timesteps t (n,), given mu (n, 2)."""
        condition = x.new_zeros(len(x), 2) if mu is None else mu
        return functional_call(self.skeleton(), dict(weights), (x, t, condition))


#: Settings of a network without a condition, told apart by ``kind``; without one it is the perceptron.
DenoisingNetwork = tagged_union(ResidualSettings, FilterSettings, DenoisingUNetSettings)


def noise_range(diffusion: Diffusion) -> tuple[float, float]:
    """Return the least and largest noise level that training shows, sigma at timesteps 0 and T-1.

    Examples
    --------
    >>> [round(sigma, 2) for sigma in noise_range(Diffusion())]
    [0.01, 157.41]
    """
    low, high = noise_level(diffusion, torch.tensor([0.0, diffusion.timesteps - 1.0])).tolist()
    return low, high


def linear_weights(gains: torch.Tensor, diffusion: Diffusion, t: torch.Tensor) -> np.ndarray:
    """Return the weights along Fourier modes of the denoiser that filters make, in the sense of the theory.

    Parameters
    ----------
    gains : torch.Tensor, (levels, N, N)
        Of filters that act on x_t and return what the network predicts; see :meth:`FilterSettings.gains`.
    diffusion : Diffusion
    t : torch.Tensor, (levels,)

    Returns
    -------
    array (N N, levels), float64
        w in D = w x, x = x0 + sigma z; the imaginary part turns waves and changes no variance.

    Examples
    --------
    >>> eps, x0 = (Diffusion(prediction_type=name) for name in ("eps", "x0"))
    >>> nothing, t = torch.zeros(1, 2, 2), torch.tensor([500.0])
    >>> linear_weights(nothing, eps, t).ravel().tolist(), linear_weights(nothing, x0, t).ravel().tolist()
    ([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0])
    """
    signal, noise = (part.double().flatten(1) for part in diffusion.signal_and_noise_scale(t))
    gain = gains.real.double().flatten(1)
    weight = {"x0": signal * gain, "v": signal * (signal - noise * gain), "eps": 1 - noise * gain}
    return weight[diffusion.prediction_type].T.numpy()


@lru_cache(maxsize=8)
def _quadrature_timesteps(diffusion: Diffusion, levels: int) -> torch.Tensor:
    return timestep_at(diffusion, torch.from_numpy(quadrature(noise_range(diffusion), levels)[0]))


@lru_cache(maxsize=4)
def _skeleton(settings: DenoisingUNetSettings) -> UNet:
    with torch.device("meta"):
        return UNet(settings)
