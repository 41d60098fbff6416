"""Half and back: max-pooling and bilinear stretching, each in two forms.

PyTorch's own operators are what the CPU is fastest with. On CUDA their gradients add up in an order that changes from
run to run, or are slow where they may not. The other forms are a maximum over 2 x 2 windows and products with two
small matrices, whose gradients are sums in a fixed order.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def halve(x: torch.Tensor) -> torch.Tensor:
    """Return the maxima of 2 x 2 windows: (n, c, H, W) to (n, c, ceil(H / 2), ceil(W / 2)).

    Examples
    --------
    >>> halve(torch.arange(9.0).view(1, 1, 3, 3)).tolist()
    [[[[4.0, 5.0], [7.0, 8.0]]]]
    """
    return halve_by_windows(x) if x.device.type == "cuda" else F.max_pool2d(x, 2, ceil_mode=True)


def halve_by_windows(x: torch.Tensor) -> torch.Tensor:
    """Do as :func:`halve` on every device. Equal maxima of a window share its gradient.

    Examples
    --------
    >>> halve_by_windows(torch.arange(9.0).view(1, 1, 3, 3)).tolist()
    [[[[4.0, 5.0], [7.0, 8.0]]]]
    """
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2), value=-torch.inf)
    return x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).amax((-3, -1))


def stretch(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Interpolate (n, c, h, w) bilinearly to ``(n, c, *size)``, corners on corners.

    Examples
    --------
    >>> stretch(torch.tensor([[[[0.0, 2.0]]]]), (2, 3)).tolist()
    [[[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]]
    """
    if x.device.type == "cuda":
        return stretch_by_matrices(x, size)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def stretch_by_matrices(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Do as :func:`stretch` on every device.

    Examples
    --------
    >>> stretch_by_matrices(torch.tensor([[[[0.0, 2.0]]]]), (2, 3)).tolist()
    [[[[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]]
    """
    rows, columns = (
        interpolation_matrix(before, after, x.device).to(x.dtype)
        for before, after in zip(x.shape[-2:], size, strict=True)
    )
    return rows @ (x @ columns.T)


def interpolation_matrix(before: int, after: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return the matrix (after, before) of linear interpolation from `before` to `after` places, ends on ends.

    Parameters
    ----------
    before, after : int
        1 or more.
    device : torch.device or str

    Returns
    -------
    torch.Tensor, (after, before), float32
        At most two entries of a row are not 0; they sum to 1.

    Examples
    --------
    >>> interpolation_matrix(2, 3).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    places = torch.linspace(0, before - 1, after, dtype=torch.float32, device=device)
    return (1 - (places[:, None] - torch.arange(before, device=device)).abs()).clamp(min=0)
