"""A Sphinx extension: give the pages where the network lives its script and style; see ``_static/network-page.js``."""

from __future__ import annotations

from typing import Any


def add_files(app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Add both to a page that has the network."""
    if '<div class="network-in-page"' in context.get("body", ""):
        app.add_js_file("network-page.js", loading_method="defer")
        app.add_css_file("network-page.css")


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
