"""Noise schedules: alpha_bar over timesteps."""

from __future__ import annotations

import functools
import math

import torch


def linear_alpha_bar(timesteps: int) -> torch.Tensor:
    """Return alpha_bar (T,) float64 for beta rising linearly from 1e-4 to 0.02 (Ho et al. 2020, sec. 4)."""
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64), 0)


def cosine_alpha_bar(timesteps: int) -> torch.Tensor:
    """Return alpha_bar (T,) float64 of the cosine schedule, beta capped at 0.999 (Nichol & Dhariwal 2021, eq. 17)."""
    t = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return torch.cumprod((f[1:] / f[:-1]).clamp(min=1 - 0.999), 0)


@functools.lru_cache(maxsize=32)
def log_alpha_bar_table(schedule: str, timesteps: int, device: torch.device) -> torch.Tensor:
    """Log alpha_bar at t = -1, 0, .. T-1, float32 (T + 1,)."""
    alpha_bar = (linear_alpha_bar if schedule == "linear" else cosine_alpha_bar)(timesteps)
    return torch.cat([torch.zeros(1, dtype=torch.float64), alpha_bar.log()]).float().to(device)
