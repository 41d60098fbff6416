"""A Sphinx extension: let a page load what it uses, and nothing else.

The theme gives every page all two thousand icons of Font Awesome, twice: as a script, which draws them, and as fonts.
Here the pages keep the style sheet, with a font of the icons that they use inside of it, so that it also works where
pages are opened as files. MathJax goes where no formula is. Pictures get by with 256 colours where that is not seen.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image

_SCRIPT = re.compile(r"\s*<script[^>]*vendor/fontawesome/[^>]*></script>")
_PRELOAD = re.compile(r'\s*<link[^>]*rel="preload"[^>]*vendor/fontawesome/[^>]*>')
_FAMILIES = {"solid": ("fa-solid-900", 900), "regular": ("fa-regular-400", 400), "brands": ("fa-brands-400", 400)}
_NAMES = {"solid": "Font Awesome 6 Free", "regular": "Font Awesome 6 Free", "brands": "Font Awesome 6 Brands"}
_RULE = re.compile(r'((?:\.fa-[\w-]+:(?::)?before,?)+)\{content:"(\\?[^"]+)"\}')
_FONT_FACE = re.compile(r"@font-face\{[^}]*\}")
#: How far 256 colours may be off, as a root mean square, in levels of 0 to 255.
_UNSEEN = 2.0
_METHODS = (Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE)


def drop_mathjax(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take MathJax away from a page without a formula: Sphinx counts those of the pages below it, too."""
    if 'class="math' not in context.get("body", ""):
        scripts = context.get("script_files", [])
        context["script_files"] = [one for one in scripts if not _is_mathjax(str(getattr(one, "filename", one) or one))]


def _is_mathjax(text: str) -> bool:
    return "mathjax/" in text


def shrink_style(style: str, classes: set[str], fonts: Path) -> str:
    """Return Font Awesome's style sheet with the icons of these classes alone, and their fonts inside of it.

    Parameters
    ----------
    style : str
        The style sheet of version 6.
    classes : set of str
        What pages use: ``fa-solid``, ``fa-list``, ...
    fonts : Path
        The folder of its fonts.
    """
    characters: list[str] = []

    def keep(rule: re.Match) -> str:
        names = set(re.findall(r"\.(fa-[\w-]+)", rule[1]))
        if not names & classes:
            return ""
        characters.append(_read_character(rule[2]))
        return rule[0]

    style = _FONT_FACE.sub("", _RULE.sub(keep, style))
    return style + "".join(_font_face(family, characters, fonts) for family in _FAMILIES if f"fa-{family}" in classes)


def _read_character(content: str) -> str:
    return chr(int(content[1:], 16)) if content.startswith("\\") else content


def _font_face(family: str, characters: Iterable[str], fonts: Path) -> str:
    """Return the rule of a font that has these characters alone."""
    file, weight = _FAMILIES[family]
    font = TTFont(fonts / f"{file}.ttf")
    options = subset.Options(hinting=False, glyph_names=False, notdef_outline=True)
    worker = subset.Subsetter(options)
    worker.populate(text="".join(characters))
    worker.subset(font)
    font.flavor = "woff"
    file_inside = io.BytesIO()
    font.save(file_inside, reorderTables=False)
    data = base64.b64encode(file_inside.getvalue()).decode()
    source = f'src:url("data:font/woff;base64,{data}") format("woff")'
    return f'@font-face{{font-family:"{_NAMES[family]}";font-style:normal;font-weight:{weight};{source}}}'


def shrink_icons(app: Any, error: Exception | None) -> None:
    """Leave in the built site the icons that its pages and the theme's scripts name."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    pages = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html") if "_static" not in path.parts}
    scripts = [path.read_text(encoding="utf-8") for path in (folder / "_static" / "scripts").glob("*.js")]
    classes = set(re.findall(r"\bfa-[a-z0-9-]+", "".join([*pages.values(), *scripts])))
    for style in (folder / "_static" / "vendor" / "fontawesome").glob("*/css/all.min.css"):
        fonts = style.parents[1] / "webfonts"
        style.write_text(shrink_style(style.read_text(encoding="utf-8"), classes, fonts), encoding="utf-8")
        for unused in [*fonts.iterdir(), *style.parents[1].glob("js/*")]:
            unused.unlink()
    for path, page in pages.items():
        path.write_text(_PRELOAD.sub("", _SCRIPT.sub("", page)), encoding="utf-8")


def shrink_picture(content: bytes) -> bytes:
    """Return a PNG in 256 colours, a third of the bytes, or as it was where that is seen or saves nothing.

    Parameters
    ----------
    content : bytes
        A PNG without transparent parts.
    """
    picture = Image.open(io.BytesIO(content))
    if picture.mode == "P":
        return content
    full = picture.convert("RGB")
    palettes = [full.quantize(256, method, dither=Image.Dither.NONE) for method in _METHODS]
    best = min(palettes, key=lambda palette: _difference(palette, full))
    file = io.BytesIO()
    best.save(file, "PNG", optimize=True)
    small = file.getvalue()
    return small if _difference(best, full) <= _UNSEEN and len(small) < len(content) else content


def _difference(one: Image.Image, other: Image.Image) -> float:
    levels = [np.asarray(image.convert("RGB"), dtype=float) for image in (one, other)]
    return float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))


def shrink_pictures(app: Any, error: Exception | None) -> None:
    """Write the figures of the built site again in 256 colours."""
    if error is None and app.builder.format == "html":
        for path in (Path(app.outdir) / "_images").glob("*.png"):
            path.write_bytes(shrink_picture(path.read_bytes()))


def say_mode(app: Any, config: Any) -> None:
    """Name the theme's mode, which it otherwise reports as an error on a reader's first visit."""
    config.html_context.setdefault("default_mode", "auto")


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", say_mode)
    app.connect("html-page-context", drop_mathjax, priority=950)
    app.connect("build-finished", shrink_icons)
    app.connect("build-finished", shrink_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
