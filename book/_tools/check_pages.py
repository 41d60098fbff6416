"""Read the built pages of the chapters as a reader's browser and screen reader would, and say what is wrong.

Usage: ``python -m book._tools.check_pages [FOLDER]`` with the folder of the built site, ``_build/html`` unless given.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from book._tools.first_screens import read_pages

#: Cells of code that a page may show unfolded.
MOST_OPEN = 8
_DIGEST = re.compile(r"[0-9a-f]{20}")


def find_problems(html: str, first_figure: bool = True) -> list[str]:
    """Return what is wrong with a page, a sentence each.

    Parameters
    ----------
    html : str
        The page.
    first_figure : bool
        Whether a figure should stand before the first section.

    Examples
    --------
    >>> find_problems('<article><img src="a.png" alt=""></article>', first_figure=False)
    ['a.png has no text for those who cannot see it', 'a.png has no size']
    """
    soup = BeautifulSoup(html, "html.parser")
    article = soup.find("article") or soup
    problems = []
    for image in article.find_all("img"):
        name, alt = Path(image.get("src", "")).name[-40:], image.get("alt") or ""
        inside = image.get("src", "").startswith("data:")
        if not alt.strip() or _DIGEST.search(alt):
            problems.append(f"{name} has no text for those who cannot see it")
        if not inside and not (image.get("width") and image.get("height")):
            problems.append(f"{name} has no size")
    addresses = Counter(tag["id"] for tag in article.find_all(id=True))
    problems += [f"the address #{name} stands {count} times" for name, count in addresses.items() if count > 1]
    files = article.find_all("img", src=lambda address: address and not address.startswith("data:"))
    texts = Counter(image.get("alt") for image in files if "hero" not in image.get("class", ()))
    problems += [f"{count} pictures have one text, {alt}" for alt, count in texts.items() if alt and count > 1]
    problems += [f"{tag['href']} leads to a stand-in" for tag in soup.find_all("a", href=re.compile("/OWNER/"))]
    shown = [cell for cell in article.select(".cell_input .highlight") if not cell.find_parent("details")]
    if len(shown) > MOST_OPEN:
        problems.append(f"{len(shown)} cells of code are open, at most {MOST_OPEN}")
    if first_figure and not _has_first_figure(article):
        problems.append("no figure stands before the first section")
    return problems


def _has_first_figure(article: Tag) -> bool:
    head, image = article.find("h2"), article.find("img")
    return bool(image and head and image in head.find_all_previous("img"))


def main(arguments: list[str]) -> int:
    """Check every page in the book's folder."""
    folder = Path(arguments[0] if arguments else "_build/html") / "book"
    count = 0
    for path in sorted(folder.glob("*.html")):
        page, html = read_pages().get(path.stem, {}), path.read_text(encoding="utf-8")
        problems = find_problems(html, bool(page.get("figure")))
        if page.get("answer") and 'class="first-screen"' not in html:
            problems.append("the answer is missing")
        for problem in problems:
            print(f"{path.stem}: {problem}")
            count += 1
    print("Every page is whole." if not count else f"{count} problems.")
    return int(count > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
