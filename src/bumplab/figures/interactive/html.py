"""What all interactive figures share: their card in HTML, its controls, and text, pictures and arrays in safe form.

An output carries its data, scripts and styles within itself. The scripts are the files in ``assets``: ``card.js`` and
``player.js`` for all figures, and one for each kind, whose ``bringToLife(card, data)`` draws. A script finds its own
card on the page, so the same figure may stand there twice.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image


def render(kind: str, data: dict[str, Any], still: Figure, *, text: str, body: str, style: str = "") -> dict[str, str]:
    """Return one figure as Jupyter shows it: plain text, a living page, and a picture for paper.

    Parameters
    ----------
    kind : {"image_player", "lattice_filling", "point_cloud"}
        Its script and style are the files of this name in ``assets``.
    data : dict
        What the script draws, fit for JSON; see :func:`base64_text` for arrays.
    still : matplotlib.figure.Figure
        Stands in on paper, without JavaScript, and until the figure is alive.
    text : str
        The figure in one line, also read out instead of the still.
    body : str
        HTML of the living part, its texts escaped; see :func:`title` and :func:`controls`.
    style : str
        CSS of this one card.

    Returns
    -------
    dict of str to str
        By MIME type: ``text/plain``, ``text/html``, and ``image/png`` in base64.

    Examples
    --------
    >>> bundle = render("image_player", {}, Figure(), text="A film", body="")
    >>> sorted(bundle)
    ['image/png', 'text/html', 'text/plain']
    """
    buffer = io.BytesIO()
    still.savefig(buffer, format="png", dpi=100)
    picture = Image.open(buffer).convert("RGB")
    # Escaped, so that no text in it can end the script element.
    packet = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    digest = hashlib.sha256(packet.encode()).hexdigest()[:8]
    css = read_asset("card.css") + read_asset(f"{kind}.css")
    code = read_asset("card.js") + read_asset("player.js") + read_asset(f"{kind}.js")
    classes = f"bumplab-figure {kind.replace('_', '-')}"
    page = f"""<div class="{classes}" data-content="{digest}"{f' style="{escape(style)}"' if style else ""}>
<style>{css}</style>
<img class="still" alt="{escape(text)}" src="data:image/webp;base64,{picture_text(picture, "webp")}">
<div class="live" hidden>{body}</div>
<script class="data" type="application/json">{packet}</script>
<script>(() => {{
{code}start("{digest}");
}})();</script>
</div>"""
    return {"text/plain": text, "text/html": page, "image/png": picture_text(picture, "png")}


def title(text: str) -> str:
    """Return the heading of a card.

    Examples
    --------
    >>> title("p < 1")
    '<div class="title">p &lt; 1</div>'
    """
    return f'<div class="title">{escape(text)}</div>'


def controls(
    last: int, value: int, *, label: str, caption: str = "", action: str = "play", choice: str = "", live: bool = False
) -> str:
    """Return the button, the slider and the caption that ``player.js`` works with; hidden if there is one moment.

    Parameters
    ----------
    last, value : int
        The slider runs from 0 to `last` and starts at `value`.
    label : str
        What the slider sets, for those who hear it.
    caption : str
        Of the moment at the start.
    action : str
        What the button does.
    choice : str
        HTML of a further control.
    live : bool
        Have changes of the caption read out, where it says more than the slider.

    Examples
    --------
    >>> '<input class="moment" type="range" min="0" max="9" value="4"' in controls(9, 4, label="moment")
    True
    """
    return f"""<div class="controls"{"" if last else " hidden"}>
<button class="play" type="button">{escape(action)}</button>
<input class="moment" type="range" min="0" max="{last}" value="{value}" aria-label="{escape(label)}">{choice}
<span class="caption"{' aria-live="polite"' if live else ""}>{escape(caption)}</span></div>"""


def read_asset(name: str) -> str:
    """Return a script or a style of this package, also out of a zip archive.

    Examples
    --------
    >>> read_asset("player.js").count("setInterval")
    1
    """
    return (files("bumplab.figures.interactive") / "assets" / name).read_text(encoding="utf-8")


def picture_text(picture: Image.Image, form: str) -> str:
    """Return a picture in base64, as small as its `form`, ``"png"`` or ``"webp"``, allows.

    Examples
    --------
    >>> picture_text(Image.new("L", (2, 2)), "png")[:11]
    'iVBORw0KGgo'
    """
    buffer = io.BytesIO()
    picture.save(buffer, form, optimize=True, quality=80, method=6)
    return base64_text(buffer.getvalue())


def base64_text(data: np.ndarray | bytes) -> str:
    """Return bytes, or those of an array in the order of its last axis, in base64.

    Examples
    --------
    >>> base64_text(np.array([1, 2], dtype="<u2"))
    'AQACAA=='
    """
    return base64.b64encode(data if isinstance(data, bytes) else data.tobytes()).decode()
