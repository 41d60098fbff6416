"""A Sphinx extension for the pages made from docstrings: import the package before autodoc does.

Autodoc imports modules with ``typing.TYPE_CHECKING`` set. Pydantic, imported that way, leaves classes half defined.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import bumplab


def setup(app: Any) -> dict[str, bool]:
    """Import every module of the package, as a reader does."""
    for module in pkgutil.walk_packages(bumplab.__path__, "bumplab."):
        if module.name != "bumplab.__main__":
            importlib.import_module(module.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
