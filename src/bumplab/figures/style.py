"""Colours with fixed meanings, and the book's Matplotlib style."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt

from bumplab.analysis.accuracy import CATEGORIES

#: Colours of Okabe and Ito, which stay apart with the common kinds of colour blindness.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
#: Further ones of the same palette, black, and a grey.
ORANGE, SKY, BLACK, GREY = "#E69F00", "#56B4E9", "#000000", "#BBBBBB"

#: What each category of a generated image looks like, everywhere in the book.
CATEGORY_COLOURS = dict(zip(CATEGORIES, (GREY, ORANGE, SKY, BLUE), strict=True))


def use_style() -> None:
    """Switch Matplotlib to the book's style for the rest of the session.

    Examples
    --------
    >>> with plt.rc_context():
    ...     use_style()
    ...     plt.rcParams["image.cmap"]
    'gray'
    """
    plt.style.use(Path(__file__).with_name("book.mplstyle"))
