"""A Sphinx extension for the pages made from docstrings: import the package before autodoc does.

Autodoc imports modules with ``typing.TYPE_CHECKING`` set. Pydantic, imported that way, leaves classes half defined.
"""

from __future__ import annotations

import importlib
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Import the package once, as a reader does."""
    importlib.import_module("bumplab.cli.app")
    importlib.import_module("bumplab.figures.interactive.point_cloud")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
