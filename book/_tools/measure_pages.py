"""Measure the built pages in a browser, at the width of a desk and of a phone, and print one table.

Usage: ``python -m book._tools.measure_pages [FOLDER] [--csv FILE]``; FOLDER is the built site, ``_build/html`` unless
given. It needs Chromium, see ``tests/chromium.py``.

=============  =========================================================================================================
column         what it says
=============  =========================================================================================================
kB gzipped     the page and every file that it loads by itself, each compressed as a server would
height, phone  of the page, in CSS pixels, in windows 1,400 and 390 pixels wide
code %         share of the height at 1,400 that open cells of code take
figure         how far down the first picture of the text begins, at 1,400
wide           elements of the text that reach beyond the window of 390 pixels and do not scroll in a box of their own
no alt         pictures without words for those who cannot see them
errors         what the console shows as an error, and files that do not load
=============  =========================================================================================================

A page fails where it is heavier than 2 MB, wider than the phone, without words for a picture, or with an error.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.chromium import Page

DESK, PHONE = 1400, 390
HEAVIEST = 2.0e6  # bytes, gzipped
#: Files that a server sends as they are.
_PACKED = {".png", ".webp", ".woff2", ".jpg", ".gif"}
_MEASURE = """(() => {
    const article = document.querySelector("article") ?? document.body;
    const tall = (boxes) => [...boxes].reduce((sum, box) => sum + box.getBoundingClientRect().height, 0);
    const open = [...article.querySelectorAll(".cell_input")].filter((box) => box.checkVisibility());
    const picture = [...article.querySelectorAll("img, svg:not(.svg-inline--fa), canvas, .bumplab-figure")]
        .find((one) => one.checkVisibility() && one.getBoundingClientRect().height > 80);
    const boxed = (one) => {
        for (let box = one.parentElement; box && box !== document.body; box = box.parentElement)
            if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(box).overflowX)) return true;
        return false;
    };
    const wide = [...article.querySelectorAll("*")].filter((one) => one.checkVisibility()
        && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !boxed(one)
        && getComputedStyle(one).position !== "fixed");
    return {
        height: document.documentElement.scrollHeight,
        code: tall(open) / Math.max(1, article.getBoundingClientRect().height),
        figure: picture ? Math.round(picture.getBoundingClientRect().top + scrollY) : null,
        wide: wide.length + (document.documentElement.scrollWidth > document.documentElement.clientWidth),
        unlabelled: [...article.querySelectorAll("img")].filter((one) => !one.alt.trim()).length,
    };
})()"""


@dataclass(frozen=True)
class Measures:
    """What the table says of one page."""

    page: str
    kilobytes: int
    height: int
    phone: int
    code: float
    figure: int | None
    wide: int
    unlabelled: int
    errors: tuple[str, ...]

    def problems(self) -> list[str]:
        """Return what is wrong with the page, a sentence each."""
        heavy = [f"has {self.kilobytes:,} kB gzipped"] * (self.kilobytes > HEAVIEST / 1000)
        wide = [f"has {self.wide} elements that reach beyond a phone"] * (self.wide > 0)
        unlabelled = [f"has {self.unlabelled} pictures without words"] * (self.unlabelled > 0)
        return [*heavy, *wide, *unlabelled, *(f"shows an error: {text}" for text in self.errors)]


class Listener(Page):
    """A page that writes down what goes wrong in it."""

    def __init__(self, *flags: str) -> None:
        self.errors: list[str] = []
        super().__init__(*flags)
        self("Log.enable")

    def _receive(self) -> dict[str, Any]:
        message = super()._receive()
        match message.get("method"), message.get("params"):
            case "Runtime.exceptionThrown", {"exceptionDetails": details}:
                self.errors.append(details.get("exception", {}).get("description", details["text"]).split("\n")[0])
            case "Runtime.consoleAPICalled", {"type": "error", "args": [first, *_]}:
                self.errors.append(str(first.get("value", first.get("description"))))
            case "Log.entryAdded", {"entry": {"level": "error"} as entry}:
                self.errors.append(f"{entry['text']} {entry.get('url', '')}".strip())
        return message


@cache
def transfer_size(path: Path) -> int:
    """Return the bytes that a server sends for a file: compressed, unless it is already."""
    content = path.read_bytes()
    return len(content) if path.suffix in _PACKED else len(gzip.compress(content, 6))


def loaded_files(requests: list[str]) -> set[Path]:
    """Return the files among the addresses that a page asked for."""
    paths = (Path(unquote(urlsplit(url).path)) for url in requests if url.startswith("file:"))
    return {path for path in paths if path.is_file()}


def measure(tab: Listener, folder: Path, path: Path) -> Measures:
    """Open a page at both widths and return what is seen.

    Parameters
    ----------
    tab : Listener
        A browser.
    folder : Path
        The built site.
    path : Path
        The page.
    """
    tab.requests.clear(), tab.errors.clear()
    seen = {}
    for width in (PHONE, DESK):
        tab("Network.clearBrowserCache")
        tab.open(path, width, 900 if width == DESK else 844)
        tab.until("!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)")
        tab.evaluate("new Promise((done) => setTimeout(done, 300))")
        seen[width] = tab.evaluate(_MEASURE)
        if width == PHONE:  # each width alone: the second one loads nothing new
            bytes_loaded = sum(map(transfer_size, loaded_files(tab.requests)))
    desk = seen[DESK]
    return Measures(
        path.relative_to(folder).with_suffix("").as_posix().removeprefix("book/"),
        round(bytes_loaded / 1000), desk["height"], seen[PHONE]["height"], round(desk["code"], 3), desk["figure"],
        seen[PHONE]["wide"], desk["unlabelled"], tuple(dict.fromkeys(tab.errors)),
    )  # fmt: skip


def table(rows: list[Measures]) -> str:
    """Return the table that people read."""
    lines = [f"{'page':24} kB gzipped  height   phone  code %  figure  wide  no alt  errors"]
    for row in rows:
        figure = "" if row.figure is None else f"{row.figure:,}"
        lines.append(
            f"{row.page:24} {row.kilobytes:10,} {row.height:7,} {row.phone:7,} {100 * row.code:7.1f} {figure:>7} "
            f"{row.wide:5} {row.unlabelled:7} {len(row.errors):7}"
        )
    return "\n".join(lines)


def write_csv(rows: list[Measures], path: Path) -> None:
    """Write the table that programs read."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Measures)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) | {"errors": json.dumps(row.errors)} for row in rows)


def main(arguments: list[str]) -> int:
    """Measure every page of the site; return 1 where something is wrong with one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("_build/html"))
    parser.add_argument("--csv", type=Path, help="write the table to this file, too")
    options = parser.parse_args(arguments)
    with Listener("--allow-file-access-from-files") as tab:  # as a server would
        rows = [measure(tab, options.folder, path) for path in sorted((options.folder / "book").rglob("*.html"))]
    print(table(rows))
    if options.csv:
        write_csv(rows, options.csv)
    problems = [f"{row.page} {problem}." for row in rows for problem in row.problems()]
    print("\n".join(problems) or "No page is heavier than 2 MB, wider than a phone, or shows an error.")
    return int(bool(problems))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
