"""Where training runs and in which precision."""

from __future__ import annotations

import platform

import torch

from bumplab.common.errors import BumplabError, quote

#: What networks compute in, see :mod:`bumplab.training.mixed_precision`; None for the precision of their weights.
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """Return a device: the one named, or CUDA, then MPS, then CPU.

    Parameters
    ----------
    name : str
        ``"auto"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"cpu"``.

    Raises
    ------
    BumplabError
        If the device named is unknown or absent.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    kind, colon, index = name.partition(":")
    if not present.get(kind):
        there = ", ".join(kind for kind, there in present.items() if there)
        raise BumplabError(f"There is no device {quote(name)} here: use auto or {there}.")
    indices = map(str, range(torch.cuda.device_count() if kind == "cuda" else 1))
    if colon and index not in indices:  # torch takes others, too, and fails when they are used
        raise BumplabError(f"There is no device {quote(name)}: write {kind}, or {kind}:0 for the first one.")
    return torch.device(name)


def pick_precision(device: torch.device, name: str = "auto") -> str:
    """Return ``"bf16"``, ``"fp16"`` or ``"fp32"``: the one named, or what the device does natively.

    CUDA devices of compute capability 8.0 and later take bf16, earlier ones (a T4 is 7.5) fp16 with a scaled
    loss, everything else fp32.

    Parameters
    ----------
    device : torch.device
    name : {"auto", "fp32", "bf16", "fp16"}

    Raises
    ------
    BumplabError
        If the precision is unknown, or not possible on the device.

    Examples
    --------
    >>> pick_precision(torch.device("cpu"))
    'fp32'
    >>> pick_precision(torch.device("cpu"), "fp16")
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: Precision 'fp16' is not possible on cpu, where it takes some 20 times as long as
    fp32: use auto, fp32 or bf16 (fp16 on CUDA).
    """
    if name == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if name not in DTYPES or (name == "fp16" and device.type != "cuda"):
        cost = ", where it takes some 20 times as long as fp32" if (name, device.type) == ("fp16", "cpu") else ""
        raise BumplabError(
            f"Precision {quote(name)} is not possible on {device.type}{cost}: use auto, fp32 or bf16 (fp16 on CUDA)."
        )
    return name


def warn_of_emulation(device: torch.device, precision: str) -> str | None:
    """Return in a sentence what a precision costs on a device that has to emulate it; None where it does not.

    Parameters
    ----------
    device : torch.device
    precision : {"fp32", "bf16", "fp16"}
        One that :func:`pick_precision` returns for the device.

    Examples
    --------
    >>> warn_of_emulation(torch.device("cpu"), "fp32") is None
    True
    """
    if precision != "bf16":
        return None
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return "This GPU emulates bf16, which is slower than fp32: precision fp16, its own, is what auto would use."
    if device.type == "cpu" and not _computes_in_bf16():
        return "This CPU emulates bf16: matrix products take up to 400 times as long as with precision fp32; use that."
    return None


def _computes_in_bf16() -> bool:
    """Return whether this CPU has instructions for bf16, or does not say what it has."""
    instructions = getattr(torch.cpu, "get_capabilities", dict)()
    return not instructions or any(instructions.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def device_name(device: torch.device) -> str:
    """Return a device in words, for example ``"cuda (Tesla T4)"`` or ``"cpu (x86_64)"``.

    Examples
    --------
    >>> device_name(torch.device("cpu")).startswith("cpu (")
    True
    """
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()})"
