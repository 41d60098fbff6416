"""Grids of images: what stands above their columns and left of their rows."""

import matplotlib.pyplot as plt
import pytest
import torch

from bumplab.figures.image_grids import image_grid


@pytest.mark.parametrize("count", [3, 6])
def test_titles_stand_above_columns_or_images_and_names_left_of_rows(count):
    titles = [f"t = {k}" for k in range(count)]
    figure = image_grid(torch.zeros(6, 1, 8, 8), titles, columns=3, row_names=["input", "eps"])
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == titles + [""] * (6 - count)
    names = {text.get_text(): text for axis in figure.axes for text in axis.texts}
    assert list(names) == ["input", "eps"]
    for axis, text in zip(figure.axes[::3], names.values(), strict=True):
        box, image = text.get_window_extent(), axis.get_window_extent()
        assert box.x1 < image.x0 and image.y0 < (box.y0 + box.y1) / 2 < image.y1
    plt.close(figure)


def test_titles_for_the_columns_alone_need_less_room():
    images = torch.zeros(6, 1, 8, 8)
    one, each = (image_grid(images, ["a"] * count, columns=3) for count in (3, 6))
    assert one.get_figheight() < each.get_figheight() and one.get_figwidth() == each.get_figwidth()
    plt.close("all")
