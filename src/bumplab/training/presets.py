"""Named settings, as plain data: whoever needs their names alone imports no torch."""

from __future__ import annotations

from typing import Any

#: One network for three targets.
_LAPTOP = {"widths": (32, 32, 64, 64), "bottleneck_channels": 128, "depth": 1, "patch": 2, "heads": 1}

#: What each preset changes in the defaults of :class:`~bumplab.training.settings.Settings`; see
#: :func:`~bumplab.training.settings.preset`.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "model": {"widths": (8, 8, 16, 16), "bottleneck_channels": 16, "depth": 1, "patch": 4, "encoding": 16},
        "diffusion": {"prediction_type": "x0"},
        "training": {
            "steps": 60, "batch": 16, "snapshots": (0, 30),
            "evaluate_every": 30, "evaluate_on": 16, "sampler_steps": 2,
        },
    },
    "quick": {
        "model": {"widths": (16, 32, 48, 64), "bottleneck_channels": 64, "depth": 1, "patch": 4, "heads": 1},
        "diffusion": {"prediction_type": "x0"},
        "training": {
            "steps": 400, "lr_schedule": "constant", "ema_decay": 0.99,
            "evaluate_every": 25, "evaluate_on": 128, "sampler_steps": 5,
        },
    },
    "laptop": {
        "model": _LAPTOP,
        "diffusion": {"prediction_type": "x0"},
        "training": {
            "steps": 400, "learning_rate": 1e-3, "ema_decay": 0.99,
            "evaluate_every": 50, "evaluate_on": 128, "sampler_steps": 10,
        },
    },
    "laptop-v": {
        "model": _LAPTOP,
        "diffusion": {"prediction_type": "v"},
        "training": {
            "steps": 2000, "learning_rate": 1e-3, "ema_decay": 0.99,
            "evaluate_every": 100, "evaluate_on": 128, "sampler_steps": 50, "sampler_eta": 1.0,
        },
    },
    "laptop-eps": {
        "model": _LAPTOP,
        "diffusion": {"prediction_type": "eps"},
        "training": {
            "steps": 6000, "learning_rate": 1e-3, "ema_decay": 0.99,
            "evaluate_every": 300, "evaluate_on": 128, "sampler_steps": 50, "sampler_eta": 1.0,
        },
    },
    "paper": {
        "training": {
            "steps": 12_000, "learning_rate": 5e-4, "weight_decay": 0.01, "warmup_steps": 500, "ema_decay": 0.999,
            "evaluate_every": 500, "evaluate_on": 1024, "sampler_steps": 50, "sampler_eta": 1.0,
        },
    },
}  # fmt: skip
