"""No default of the settings changes unnoticed: runs are named by what differs from the defaults."""

import json
from pathlib import Path

import pytest

from bumplab.common.errors import BumplabError
from bumplab.common.parsing import flatten
from bumplab.training.settings import Settings, Training

FILE = Path(__file__).with_name("defaults.json")


def defaults():
    """Return the default of every setting by its recorded name; training.steps has none."""
    values = flatten(Settings(training=Training(steps=1)).to_record())
    del values["training.steps"]
    return json.loads(json.dumps(values))


def test_no_default_has_changed():
    held, now = json.loads(FILE.read_text()), defaults()
    changed = sorted(name for name, value in held["defaults"].items() if now.get(name, "gone") != value)
    assert changed == [] or Settings.trainer_version > held["trainer"], (
        f"The default of {', '.join(changed)} changed: runs that left it alone would bear names of other runs. Raise "
        f"Settings.trainer_version, and write the new defaults into {FILE.name}."
    )
    assert Settings.trainer_version == held["trainer"], f"Write the new version and its defaults into {FILE.name}."


def test_every_new_setting_is_held_and_may_be_missing_from_old_files():
    new = sorted(defaults().keys() - json.loads(FILE.read_text())["defaults"])
    assert new == [], f"Add {', '.join(new)} to {FILE.name}, and to Settings.later_fields if runs were recorded before."


def test_a_file_may_lack_only_what_appeared_later_and_then_means_what_it_meant():
    whole = Settings(training={"steps": 7}, seed=3).to_record()
    assert Settings.later_fields <= flatten(whole).keys()
    for name in flatten(whole):
        content = json.loads(json.dumps(whole))
        inner = content
        *groups, last = name.split(".")
        for group in groups:
            inner = inner[group]
        del inner[last]
        if name in Settings.later_fields:
            assert Settings.from_record(content) == Settings.from_record(whole)
        else:
            with pytest.raises(BumplabError, match=f"lack {name}|Training: steps|: training"):
                Settings.from_record(content)


def test_what_appeared_later_leaves_old_behaviour_as_it_was():
    old = Settings(training={"steps": 7}, world={"fraction": 0.5})
    assert old.world.subsample_region is None
    everywhere = old.replace(world={"subsample_region": "box(-1, 99, -1, 99)"})
    assert old.id != everywhere.id and (old.world.seen_mask() == everywhere.world.seen_mask()).all()


def test_a_file_without_a_kind_of_network_means_a_unet():
    content = Settings(training={"steps": 7}).to_record()
    assert content["model"].pop("kind") == "unet"
    assert Settings.from_record(content).model == Settings(training={"steps": 7}).model
