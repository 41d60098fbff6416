"""Checks of a chapter's parameters that are text: choices, regions, devices."""

from __future__ import annotations

from types import SimpleNamespace

from bumplab.chapters.checks import Check
from bumplab.training.device import pick_device
from bumplab.worlds.regions import parse_region


def choice(*options: str) -> Check:
    """Allow one of some words; an empty one among them stands for leaving the parameter open.

    Examples
    --------
    >>> choice("", "x0", "v").words
    'one of empty, x0, v'
    """
    words = ", ".join(option or "empty" for option in options)
    return Check(lambda value, _: value in options, f"one of {words}")


def region_text(required: bool = True) -> Check:
    """Allow text that :func:`bumplab.worlds.regions.parse_region` reads; with `required`, not an empty one.

    Examples
    --------
    >>> region_text().words
    "a region such as 'cross(13, 19)'"
    """

    def holds(value: str, _: SimpleNamespace) -> bool:
        return parse_region(value) is not None or not required

    return Check(holds, "a region such as 'cross(13, 19)'")


def device_name() -> Check:
    """Allow auto and the devices of this machine.

    Examples
    --------
    >>> device_name().words
    'a device'
    """

    def holds(value: str, _: SimpleNamespace) -> bool:
        return bool(pick_device(value))

    return Check(holds, "a device")
