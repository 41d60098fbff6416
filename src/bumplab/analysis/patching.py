"""Networks with a layer's output changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from bumplab.models.unet import UNet


@contextmanager
def patch_activations(
    model: UNet, changes: Mapping[int | str, Callable[[torch.Tensor], torch.Tensor]]
) -> Iterator[UNet]:
    """Change what layers put out, within a ``with`` block; no hook is left behind.

    Parameters
    ----------
    model : UNet
    changes : mapping
        Layer, by number or name, to a function of its output (n, c, H, W) that returns what goes on instead.

    Yields
    ------
    UNet
        The same network.

    Raises
    ------
    BumplabError
        If a layer does not exist.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> model = UNet(preset("smoke").model)
    >>> with patch_activations(model, {"head": torch.zeros_like}):
    ...     print(model(torch.ones(1, 1, 32, 32), torch.zeros(1), torch.zeros(1, 2)).unique().tolist())
    [0.0]
    """
    named = {model.layer_name(layer): change for layer, change in changes.items()}
    hooks = []
    try:
        for name, change in named.items():
            hook = lambda _module, _inputs, output, change=change: change(output)  # noqa: E731
            hooks.append(getattr(model, name).register_forward_hook(hook))
        yield model
    finally:
        for hook in hooks:
            hook.remove()
