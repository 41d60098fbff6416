"""The recorded holes and places of chapter 10 are about its networks, and what the package measures of them."""

from dataclasses import fields

import pytest

from book._tools import layer_table
from bumplab import runs, training
from bumplab.analysis import HolesAndPlaces
from bumplab.chapters.catalogue import chapter_path
from bumplab.chapters.studies import study_of

TABLE = layer_table.read()
STUDY = {settings.id: settings for settings in study_of(chapter_path("10"))}


def test_every_network_of_the_chapter_is_recorded_with_every_layer():
    before = [f"{name}, untrained" for name, each in STUDY.items() if each.world.periodic and each.seed == 0]
    assert set(TABLE["networks"]) == {*STUDY, *before}
    for row in TABLE["networks"].values():
        assert tuple(row) == layer_table.LAYERS
        assert all(set(layer) == {field.name for field in fields(HolesAndPlaces)} for layer in row.values())
    assert TABLE["machine"]["torch"] and TABLE["machine"]["date"]


@pytest.mark.parametrize(
    "target, trained, layer",
    [("x0", True, "middle"), ("x0", True, "attention5"), ("x0", False, "down3"), ("eps", True, "up1")],
)
def test_an_entry_is_measured_again(target, trained, layer):
    torus = [each for each in STUDY.values() if each.world.periodic and each.seed == 0]
    settings = next(each for each in torus if each.diffusion.prediction_type == target)
    model = runs.load_or_train(settings).model() if trained else training.init_state(settings, "cpu").ema_model
    again = layer_table.measure(settings, model, (layer,))[layer]
    recorded = TABLE["networks"][settings.id if trained else f"{settings.id}, untrained"][layer]
    assert tuple(again["betti"]) == tuple(recorded["betti"])
    assert (again["pairs"], again["values"]) == pytest.approx((recorded["pairs"], recorded["values"]), abs=0.02)
