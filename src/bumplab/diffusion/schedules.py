"""Noise schedules: alpha_bar over timesteps."""

from __future__ import annotations

import functools
import math

import torch

#: Signal at the last timestep above which sampling, which starts without any, differs from training: Lin et al. (2024,
#: "Common diffusion noise schedules and sample steps are flawed") measure harm at the 0.068 of Stable Diffusion. Linear
#: with T = 1000 leaves 0.006 and with 600 0.048; cosine leaves at most 0.022, with T = 2.
MAX_FINAL_SIGNAL = 0.05


def linear_alpha_bar(timesteps: int) -> torch.Tensor:
    """Return alpha_bar (T,) float64 for beta rising linearly from 1e-4 to 0.02 (Ho et al. 2020, sec. 4).

    Parameters
    ----------
    timesteps : int
        T; the ends of beta do not depend on it, so that fewer than 1,000 leave some signal at the last.

    Examples
    --------
    >>> alpha_bar = linear_alpha_bar(1000)
    >>> f"{alpha_bar[0]:.4f}", f"{alpha_bar[-1]:.0e}"  # from a hardly noisy image to noise
    ('0.9999', '4e-05')
    """
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64), 0)


def cosine_alpha_bar(timesteps: int) -> torch.Tensor:
    """Return alpha_bar (T,) float64 of the cosine schedule, beta capped at 0.999 (Nichol & Dhariwal 2021, eq. 17).

    Parameters
    ----------
    timesteps : int
        T.

    Examples
    --------
    >>> f"{cosine_alpha_bar(1000)[499]:.2f}", f"{linear_alpha_bar(1000)[499]:.2f}"  # halfway
    ('0.49', '0.08')
    """
    t = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return torch.cumprod((f[1:] / f[:-1]).clamp(min=1 - 0.999), 0)


def final_signal(schedule: str, timesteps: int) -> float:
    """Return sqrt(alpha_bar) at the last timestep: how much of the image is left where sampling starts.

    Parameters
    ----------
    schedule : {"linear", "cosine"}
    timesteps : int
        T.

    Examples
    --------
    >>> [round(final_signal(schedule, 100), 4) for schedule in ("linear", "cosine")]
    [0.603, 0.0005]
    """
    return math.exp(_log_alpha_bar_table(schedule, timesteps, torch.device("cpu"))[-1].item() / 2)


def warn_of_signal(schedule: str, timesteps: int) -> str | None:
    """Return in a sentence that a schedule leaves too much of the image at its end; None where it does not.

    Parameters
    ----------
    schedule, timesteps
        See :func:`final_signal`.

    Examples
    --------
    >>> warn_of_signal("linear", 1000) is None
    True
    """
    left = final_signal(schedule, timesteps)
    if left <= MAX_FINAL_SIGNAL:
        return None
    return (
        f"The {schedule} schedule with {timesteps:,} timesteps leaves {left:.2f} of the signal at its end, but images "
        f"are sampled from pure noise: schedule cosine leaves {final_signal('cosine', timesteps):.4f}."
    )


@torch.compiler.assume_constant_result
def log_alpha_bar_table(schedule: str, timesteps: int, device: torch.device) -> torch.Tensor:
    """Return log alpha_bar at t = -1, 0, .. T-1, float32 (T + 1,); tables are made once, also where a step is compiled.

    Parameters
    ----------
    schedule : {"linear", "cosine"}
    timesteps : int
        T.
    device : torch.device

    Examples
    --------
    >>> table = log_alpha_bar_table("cosine", 1000, torch.device("cpu"))
    >>> table.shape, table[0].item()  # t = -1 comes first: a clean image
    (torch.Size([1001]), 0.0)
    """
    return _log_alpha_bar_table(schedule, timesteps, device)


@functools.lru_cache(maxsize=32)
def _log_alpha_bar_table(schedule: str, timesteps: int, device: torch.device) -> torch.Tensor:
    alpha_bar = (linear_alpha_bar if schedule == "linear" else cosine_alpha_bar)(timesteps)
    return torch.cat([torch.zeros(1, dtype=torch.float64), alpha_bar.log()]).float().to(device)
