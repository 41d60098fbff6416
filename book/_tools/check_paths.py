"""Fail, naming file and line, where a file of the repository holds an absolute path of one computer.

Looks at every text file that git tracks or would track, notebooks with their outputs included.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Written in parts, so that this file does not find itself.
FOLDERS = "|".join(("home", "Users", "root", "work", "tmp", "private", "mnt", "opt", "var/folders"))
PATH = re.compile(rf"(?:(?<![\w.~/*$}}-])|(?<=file://))/(?:{FOLDERS})/[\w.]|\b[A-Za-z]:[\\/]+Users[\\/]+\w")
# In the JSON of a notebook the letter of an escape stands before the path: \n/..., \u001b[0m/...
ESCAPES = re.compile(r"\\u001b\[[\d;]*[A-Za-z]|\\[nrt\"]")


def repository_files(root: Path) -> list[Path]:
    """Return the files that git tracks, and new ones it does not ignore."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [root / name for name in sorted(set(listed.split("\0"))) if name and (root / name).is_file()]


def find_paths(text: str, notebook: bool = False) -> list[tuple[int, str]]:
    """Return line number and path for every absolute path in `text`."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if notebook:
            if '"image/' in line:
                continue
            line = ESCAPES.sub(" ", line)
        found += [(number, re.match(r"[^\s\"'`)<>]*", line[hit.start() :])[0]) for hit in PATH.finditer(line)]
    return found


def main() -> int:
    """Check the repository; return the exit code."""
    root = Path(__file__).resolve().parents[2]
    try:
        files = repository_files(root)
    except (OSError, subprocess.CalledProcessError):
        print("check_paths needs git and a clone of the repository.", file=sys.stderr)
        return 2
    count = 0
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, found in find_paths(text, path.suffix == ".ipynb"):
            print(f"{path.relative_to(root).as_posix()}:{number}: absolute path {found}")
            count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
