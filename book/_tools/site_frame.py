"""A Sphinx extension for what stands round every page: buttons, footer, scripts."""

from __future__ import annotations

import datetime
import os
import subprocess
from pathlib import Path
from typing import Any


def hide_stand_in(app: Any, config: Any) -> None:
    """Take away the buttons that lead to the repository while its address is a stand-in."""
    options = config.html_theme_options
    if "/OWNER/" in options.get("repository_url", ""):
        options |= {"launch_buttons": {}, "use_repository_button": False, "use_issues_button": False}


def say_commit(app: Any, config: Any) -> None:
    """Say in the footer which commit a page was built from, and when."""
    words = built_from(Path(app.srcdir))
    config.html_theme_options["extra_footer"] = f"{config.html_theme_options.get('extra_footer', '')} {words}".strip()


def built_from(folder: Path) -> str:
    """Return commit and date of a build; without git only the date, that of ``SOURCE_DATE_EPOCH`` where it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = (
        datetime.datetime.now(datetime.UTC)
        if epoch is None
        else datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
    )
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"Built on {now:%Y-%m-%d}."
    return f"Built from commit {commit} on {now:%Y-%m-%d}."


def drop_twins(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Load every script once: one that is there twice declares its constants twice, which is an error."""
    once: dict[tuple, Any] = {}
    for script in context.get("script_files", []):
        once.setdefault((getattr(script, "filename", script) or "", repr(getattr(script, "attributes", ""))), script)
    context["script_files"] = list(once.values())


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", hide_stand_in)
    app.connect("config-inited", say_commit)
    app.connect("html-page-context", drop_twins, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
