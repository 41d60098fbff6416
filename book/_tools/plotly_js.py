"""A Sphinx extension: copy plotly.js out of the Python package plotly, so that pages need no network.

Point clouds of ``bumplab.figures.interactive`` load ``_static/plotly.min.js`` themselves, when they come into view.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def add_copy(app: Any, config: Any) -> None:
    """Add the one file to what goes into ``_static``."""
    config.html_static_path.append(str(files("plotly") / "package_data" / "plotly.min.js"))


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", add_copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
