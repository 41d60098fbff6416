"""What a network hears of a place: the components of its encoding, shifted or silenced one by one.

The encoding of mu_x is a clock with many hands, sines and cosines of mu_x at falling frequencies. Changing some hands
and not the others shows which of them the network reads the place from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from bumplab.analysis.accuracy import evaluate
from bumplab.common.errors import BumplabError, quote
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet, UNetSettings
from bumplab.worlds.bumps import BumpWorld


def encoding_frequencies(settings: UNetSettings) -> torch.Tensor:
    """Return the angular frequencies of the encoding of a place, highest first.

    Returns
    -------
    torch.Tensor, (encoding / 2,), float32
        In radians per pixel, as :func:`bumplab.models.layers.sinusoidal_encoding` has them.

    Examples
    --------
    >>> encoding_frequencies(UNetSettings(encoding=4, mu_frequency=0.5, base=100.0))
    tensor([0.5000, 0.0500])
    """
    half = settings.encoding // 2
    return settings.mu_frequency * torch.exp(-math.log(settings.base) / half * torch.arange(half))


def encode_places(settings: UNetSettings, places: torch.Tensor, shift: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Return the encoding of places along one axis, each component read at a place of its own.

    Parameters
    ----------
    settings : UNetSettings
    places : torch.Tensor, (n,)
        mu_x or mu_y in pixels.
    shift : float or torch.Tensor, (encoding / 2,)
        Pixels by which each frequency's place is shifted; 0 is what the network hears.

    Returns
    -------
    torch.Tensor, (n, encoding)
        Sines, then cosines.

    Examples
    --------
    >>> encode_places(UNetSettings(encoding=4), torch.tensor([0.0]))
    tensor([[0., 0., 1., 1.]])
    """
    speed = encoding_frequencies(settings).to(places.device)
    angle = (places.float()[:, None] + shift) * speed
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def mean_ablate_fastest(
    settings: UNetSettings, places: torch.Tensor, count: int, reference: torch.Tensor
) -> torch.Tensor:
    """Return the encoding of places with the fastest frequencies held at their mean over reference places.

    Parameters
    ----------
    settings, places
        As for :func:`encode_places`.
    count : int
        How many frequencies are silenced, from 0 to encoding / 2.
    reference : torch.Tensor, (m,)
        Usually the places seen in training. The mean keeps the network among inputs that it knows, which zeros do not.

    Raises
    ------
    BumplabError
        For another count.

    Examples
    --------
    >>> settings, places = UNetSettings(encoding=4), torch.tensor([3.0, 4.0])
    >>> ablated = mean_ablate_fastest(settings, places, 1, reference=torch.arange(32.0))
    >>> (ablated[0] == ablated[1]).tolist()  # the fast sine and cosine no longer tell places apart
    [True, False, True, False]
    """
    half = settings.encoding // 2
    if not 0 <= count <= half:
        raise BumplabError(f"An encoding of {half} frequencies can silence 0 to {half} of them, got {quote(count)}.")
    audible = (torch.arange(half, device=places.device) >= count).repeat(2)
    mean = encode_places(settings, reference).mean(0).to(places.device)
    return torch.where(audible, encode_places(settings, places), mean)


@contextmanager
def replace_encoding(model: UNet, axis: int, encode: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[UNet]:
    """Let a network hear another encoding of mu_x (axis 0) or mu_y (1) within a ``with`` block.

    Parameters
    ----------
    model : UNet
        Its weights and its encodings of t and of the other axis stay as they are.
    axis : {0, 1}
    encode : callable
        Takes places (n,) and returns their encodings (n, encoding).

    Raises
    ------
    BumplabError
        For another axis.

    Examples
    --------
    >>> model = UNet(UNetSettings(encoding=4))
    >>> with replace_encoding(model, 0, lambda x: torch.full((len(x), 4), 7.0)):
    ...     heard = model.encode(torch.zeros(1), torch.zeros(1, 2))
    >>> heard.tolist()
    [[0.0, 0.0, 1.0, 1.0, 7.0, 7.0, 7.0, 7.0, 0.0, 0.0, 1.0, 1.0]]
    """
    if axis not in (0, 1):
        raise BumplabError(f"The axis of an encoding is 0 for mu_x or 1 for mu_y, got {quote(axis)}.")
    length = model.settings.encoding
    columns = slice((axis + 1) * length, (axis + 2) * length)
    outer = model.__dict__.get("encode")  # set where two replacements are nested
    plain = model.encode

    def heard(t: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
        encoding = plain(t, mu)
        encoding[:, columns] = encode(mu[:, axis])
        return encoding

    model.encode = heard
    try:
        yield model
    finally:
        if outer is None:
            del model.encode
        else:
            model.encode = outer


def shift_response(
    model: UNet,
    world: BumpWorld,
    diffusion: Diffusion,
    mu: torch.Tensor,
    groups: Sequence[torch.Tensor],
    by: float = 0.5,
    steps: int = 5,
) -> torch.Tensor:
    """Return how far the bump follows when only some frequencies of mu_x are shifted.

    Parameters
    ----------
    model, world, diffusion
        Of one run.
    mu : torch.Tensor, (n, 2)
        Conditions.
    groups : sequence of torch.Tensor
        The frequencies shifted together: indices into :func:`encoding_frequencies`.
    by : float
        Pixels of the shift.
    steps : int
        DDIM steps of generation.

    Returns
    -------
    torch.Tensor, (groups, n)
        Displacement of the bump in x over `by`: 1 where the group alone carries the place, 0 where it carries nothing;
        NaN where no bump was drawn with or without the shift.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> smoke = preset("smoke")
    >>> groups = torch.arange(4).split(2)
    >>> shift_response(UNet(smoke.model), smoke.world, smoke.diffusion, torch.ones(3, 2), groups, steps=1).shape
    torch.Size([2, 3])
    """
    frequencies = encoding_frequencies(model.settings)

    def drawn_x(shift: torch.Tensor) -> torch.Tensor:
        shift = shift.to(mu.device)
        with torch.no_grad(), replace_encoding(model, 0, lambda x: encode_places(model.settings, x, shift)):
            return evaluate(model, world, diffusion, mu, steps).detections.centre[:, 0]

    baseline, response = drawn_x(torch.zeros_like(frequencies)), []
    for group in groups:
        shift = torch.zeros_like(frequencies)
        shift[group] = by
        response.append((drawn_x(shift) - baseline) / by)
    return torch.stack(response)
