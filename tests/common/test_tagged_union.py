"""Families of networks share no id, and files of before there were families keep their meaning."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from bumplab.common.config import FrozenConfig, tagged_union
from bumplab.common.errors import BumplabError
from bumplab.models.unet import UNetSettings
from bumplab.training.settings import Settings


class Tiny(FrozenConfig):
    """A second family whose settings are among those of the first."""

    kind: Literal["tiny"]
    heads: Annotated[int, Field(ge=1)] = 4
    hidden_width: int = Field(8, alias="hidden")

    def check_size(self, size, batch):
        pass


class Both(Settings):
    """Settings of runs of either family."""

    model: tagged_union(UNetSettings, Tiny) = UNetSettings()


STEPS = {"steps": 7}


def test_equal_settings_of_two_families_have_two_ids():
    unet, tiny = (Both(training=STEPS, model={"heads": 2, **kind}) for kind in ({}, {"kind": "tiny"}))
    assert type(unet.model) is UNetSettings and type(tiny.model) is Tiny and unet.id != tiny.id


def test_ids_of_the_first_family_are_what_they_were_before_there_was_a_second():
    for model in ({}, {"heads": 2}, {"heads": 2, "kind": "unet"}, {"middle": 64}):
        assert Both(training=STEPS, model=model).id == Settings(training=STEPS, model=model).id
    assert Settings(training=STEPS).id == Settings(training=STEPS, model={"kind": "unet"}).id


def test_a_record_of_either_family_is_read_back_and_one_without_kind_is_of_the_first():
    for model in ({"heads": 2}, {"kind": "tiny", "heads": 2}):
        settings = Both(training=STEPS, model=model)
        assert Both.from_record(settings.to_record()) == settings
    old = Both(training=STEPS).to_record()
    del old["model"]["kind"]
    assert type(Both.from_record(old).model) is UNetSettings


def test_changes_stay_in_the_family_unless_they_name_another():
    unet = Both(training=STEPS, model={"heads": 2})
    assert unet.replace(model={"depth": 1}).model == UNetSettings(heads=2, depth=1)
    tiny = unet.replace(model={"kind": "tiny", "hidden_width": 3})
    assert tiny.model == Tiny(kind="tiny", hidden_width=3) and tiny.replace(model={"heads": 1}).model.hidden_width == 3
    with pytest.raises(BumplabError, match="hidden_width"):
        unet.replace(model={"hidden_width": 3})


@pytest.mark.parametrize("model", [{"kind": "other"}, {"kind": None}, 3, {"kind": "tiny", "depth": 2}])
def test_an_unknown_kind_or_foreign_setting_is_one_sentence(model):
    with pytest.raises(BumplabError, match=r"^[^\n]+\.$"):
        Both(training=STEPS, model=model)


def test_families_that_could_share_ids_are_refused():
    class Careless(FrozenConfig):
        kind: Literal["careless"] = "careless"

    class Nameless(FrozenConfig):
        heads: int = 1

    for others in ((Careless,), (Nameless,), (Tiny, Tiny)):
        with pytest.raises(BumplabError, match="kind"):
            tagged_union(UNetSettings, *others)
    with pytest.raises(BumplabError, match="default in the first family"):
        tagged_union(Tiny)
