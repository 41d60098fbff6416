"""A decimal in the prose of a chapter is one that its code prints, so that it cannot go stale unseen."""

import re

import pytest

from bumplab.chapters.catalogue import chapter_paths, read_cells

_DECIMAL = re.compile(r"(?<![\w.,/:])\d*\.\d+(?![\w/]|\.\d)")
#: Sections in which numbers of the whole chapter stand, and words of a paragraph that says where its numbers are from.
_WHOLE = re.compile(r"## (What we found|Exercises|Claims|Further|What to read next)|# ")
_SOURCE = re.compile(r"\b(section|chapter|table|list|Fig\.)")
#: What is computed in the prose itself, quoted (from a work that is named, too), or part of a link or a tag.
_NOT_PROSE = re.compile(
    r"<details>.*?</details>|^> [^\n]*$|[\d.]+ \(\[|\]\([^)]*\)|<[^>]*>|= *[\d.]+\$", re.DOTALL | re.MULTILINE
)
_OF_OTHERS = re.compile(r"\b(papers?|forerunner)\b")


def _printed(cell):
    """Return what a cell of code says in words and numbers; interactive figures say nothing."""
    datas = [output.get("data", {}) for output in cell["outputs"]]
    texts = ["".join(data.get(kind, "")) for data in datas for kind in ("text/plain", "text/html")]
    streams = ["".join(output.get("text", "")) for output in cell["outputs"]]
    return "\n".join(text for text in texts + streams if 'class="bumplab-figure' not in text)


def _stands_in(number, text):
    """Return whether a text has the number, or one with more digits that is rounded to it."""
    digits = len(number.split(".")[1])
    others = [other for other in re.findall(r"\d*\.\d+", text) if len(other.split(".")[1]) >= digits]
    return any(abs(float(other) - float(number)) <= 0.5000001 * 10**-digits for other in others)


def find_typed_numbers(cells):
    """Return the decimals of the prose, each with its cell, that the code of their section does not print."""
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    everything = "\n".join(_printed(cell) for cell in cells if cell["cell_type"] == "code")
    sections = [("# ", [], [])]
    for cell in cells:
        if cell["cell_type"] == "code":
            sections[-1][2].append(_printed(cell))
            continue
        prose = _NOT_PROSE.sub(" ", "".join(cell["source"]))
        for part in re.split(r"^(?=#{1,2} )", prose, flags=re.MULTILINE):
            if part.startswith("#"):
                sections.append((part, [], []))
            sections[-1][1].extend((cell["id"], paragraph) for paragraph in part.split("\n\n"))
    typed = []
    for title, paragraphs, printed in sections:
        for name, paragraph in paragraphs:
            whole = _WHOLE.match(title) or _SOURCE.search(paragraph)
            there = "\n".join([code, everything if whole else "\n".join(printed)])
            own = " ".join(part for part in re.split(r"(?<=[.?!]) ", paragraph) if not _OF_OTHERS.search(part))
            typed += [(name, number) for number in _DECIMAL.findall(own) if not _stands_in(number, there)]
    return typed


def _code(source, text):
    return {"cell_type": "code", "id": "code", "source": source, "outputs": [{"text": text}]}


@pytest.mark.parametrize(
    "prose, typed",
    [
        ("Accuracy is 0.43.", []),  # 0.4321 is printed in this section
        ("Accuracy is 0.44.", ["0.44"]),
        ("It falls to 0.7.", ["0.7"]),  # printed in another section
        ("It falls to 0.7, see section 1.", []),
        ("## What we found\n\nIt falls to 0.7.", []),
        ("A bump of 1.5 pixels.", []),  # a literal of the code
        ("That is $4 / 9 = 0.444$ of them.", []),
        ("> We expect 0.9.", []),
        ("The paper says 0.9. We find 0.8.", ["0.8"]),
        ("Theory knows it: 0.5927 ([Ziff](https://a.b)).", []),
        ("<details><summary>Solution</summary>\n\nIt is 0.9.\n\n</details>", []),
        ("[Paper](https://arxiv.org/abs/2408.13256), version 1.2.3", []),
    ],
)
def test_a_number_that_no_code_prints_is_seen(prose, typed):
    words = [{"cell_type": "markdown", "id": "words", "source": source} for source in ("## One", "## Two", prose)]
    cells = [words[0], _code("sigma = 1.5", "0.700"), words[1], words[2], _code("print(a)", "0.4321")]
    assert find_typed_numbers(cells) == [("words", number) for number in typed]


@pytest.mark.parametrize("path", chapter_paths(), ids=lambda path: path.stem)
def test_every_decimal_of_the_prose_is_printed_by_code(path):
    assert find_typed_numbers(read_cells(path)) == []
