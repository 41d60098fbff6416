"""A Sphinx extension for what stands round every page: buttons, footer, scripts."""

from __future__ import annotations

import datetime
import os
import subprocess
from pathlib import Path
from typing import Any

_DESCRIBE = ["describe", "--always", "--dirty", "--exclude=*"]


def hide_stand_in(app: Any, config: Any) -> None:
    """Take away the buttons that lead to the repository while its address is a stand-in."""
    options = config.html_theme_options
    if "/OWNER/" in options.get("repository_url", ""):
        options |= {"launch_buttons": {}, "use_repository_button": False, "use_issues_button": False}


def say_commit(app: Any, config: Any) -> None:
    """Say in the footer which commit a page was built from, and when."""
    words = describe_build(Path(app.srcdir))
    config.html_theme_options["extra_footer"] = f"{config.html_theme_options.get('extra_footer', '')} {words}".strip()


def describe_build(folder: Path) -> str:
    """Return commit and date of a build; where the folder is no clone of its own only the date.

    The date is that of ``SOURCE_DATE_EPOCH`` where that is a number of seconds.
    """
    epoch, zone = os.environ.get("SOURCE_DATE_EPOCH", ""), datetime.UTC
    now = datetime.datetime.fromtimestamp(int(epoch), zone) if epoch.isdecimal() else datetime.datetime.now(zone)
    try:
        clone, commit = (_ask_git(folder, *question) for question in (["rev-parse", "--show-toplevel"], _DESCRIBE))
    except (OSError, subprocess.CalledProcessError):
        clone, commit = "", ""
    if not clone or Path(clone).resolve() != folder.resolve():
        return f"Built on {now:%Y-%m-%d}."
    return f"Built from commit {commit} on {now:%Y-%m-%d}."


def _ask_git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


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
