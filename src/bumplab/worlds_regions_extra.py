"""Regions named by what they show: labels of single stripes."""

from __future__ import annotations

from bumplab.worlds import Region, band_x, band_y


def single_stripes(low: float, high: float, clear_of: tuple[float, float] | None = None) -> Region:
    """Return the labels of images with one stripe: one coordinate in the window, the other one outside of it.

    Parameters
    ----------
    low, high : float
        Ends of the window in label space, in pixels: margin - 0.5 and margin + size - 0.5.
    clear_of : (float, float), optional
        The other coordinate lies outside of these two instead of the window's ends; wider than the window, it leaves
        away labels so near to the window that the second stripe still shows faintly.

    Raises
    ------
    BumplabError
        If an interval is empty.

    Examples
    --------
    >>> single_stripes(5.5, 37.5)
    ((band_x(5.5, 37.5) & ~band_y(5.5, 37.5)) | (band_y(5.5, 37.5) & ~band_x(5.5, 37.5)))
    """
    ends = (low, high) if clear_of is None else clear_of
    return (band_x(low, high) & ~band_y(*ends)) | (band_y(low, high) & ~band_x(*ends))
