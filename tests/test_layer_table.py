"""The recorded holes and places of chapter 10 are about its networks, and what the package measures of them."""

import pytest

from book._tools import layer_table
from bumplab import runs
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
        measured = [HolesAndPlaces(**layer) for layer in row.values()]
        assert all(
            len(each.betti) == 3 and each.betti[0] >= 1 and max(each.pairs, each.values) <= 1 for each in measured
        )
    assert TABLE["machine"]["torch"] and TABLE["machine"]["date"]


@pytest.mark.parametrize("layer", ["middle", "attention5"])
def test_an_entry_is_measured_again(layer):
    settings = next(each for each in STUDY.values() if each.world.periodic)
    again = layer_table.measure(settings, runs.load_or_train(settings).model(), (layer,))[layer]
    recorded = TABLE["networks"][settings.id][layer]
    assert tuple(again["betti"]) == tuple(recorded["betti"])
    assert (again["pairs"], again["values"]) == pytest.approx((recorded["pairs"], recorded["values"]), abs=0.02)
