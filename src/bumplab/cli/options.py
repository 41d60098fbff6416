"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from bumplab.common.errors import BumplabError, quote
from bumplab.training.presets import PRESETS


class PathType(click.Path):
    """A path that a file system can hold: parts of 255 bytes at most, 4,000 in all, nothing that does not print.

    Examples
    --------
    >>> PathType()("sweep/table.csv").name
    'table.csv'
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value as a :class:`pathlib.Path`, or raise :class:`BumplabError`.

        Examples
        --------
        >>> PathType().convert("sweep", None, None).name
        'sweep'
        """
        name = os.fspath(value)
        lengths = [len(os.fsencode(part)) for part in name.split(os.sep)]
        if not name.isprintable() or max(lengths) > 255 or sum(lengths) > 4000:
            raise BumplabError(
                f"{quote(name)} is no path: names are of at most 255 printable characters, 4,000 in all."
            )
        return Path(name)


PRESET_NAMES = ", ".join(PRESETS)

device_option = click.option("--device", default="auto", show_default=True, help="auto, cuda, mps or cpu.")
precision_option = click.option("--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16.")
jobs_option = click.option(
    "--jobs", type=int, help="Runs or chapters at a time, one thread each [one for every core; 1 on a GPU]."
)
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A setting, e.g. world.sigma=0.8."
)
store_option = click.option("--store", type=PathType(), help="Folder for new runs instead of the user's cache.")
