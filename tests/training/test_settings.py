"""Settings name a run: equal ones are the same run, different ones are not, impossible ones are refused."""

import json

import pytest
from hypothesis import given, settings, strategies as st

from bumplab.common.config import FrozenConfig
from bumplab.common.errors import BumplabError
from bumplab.training.settings import PRESETS, Settings, Training, preset
from bumplab.worlds.bumps import BumpWorld
from bumplab.worlds.regions import cross

every_preset = pytest.mark.parametrize("name", PRESETS)

# ---------------------------------------------------------------- names of runs


@pytest.mark.parametrize(
    "one, other",
    [
        (preset("smoke"), preset("smoke").replace()),
        (preset("smoke"), preset("smoke", seed=0, world={"sigma": 1, "spacing": (1, 1)})),
        (preset("smoke"), Settings(**preset("smoke").model_dump())),
        (preset("smoke"), Settings(**json.loads(json.dumps(preset("smoke").model_dump(mode="json"))))),
        (preset("quick", world={"sigma": 2}), preset("quick", world={"sigma": [2.0, 2.0]})),
        (preset("quick", world={"sigma": 2}), preset("quick").replace(world=BumpWorld(sigma=2))),
        (preset("quick", world={"held_out": cross(1, 3)}), preset("quick", world={"held_out": "cross(1,3.0)"})),
        (preset("paper", seed=3), Settings(seed=3, training=preset("paper").training)),
    ],
)
def test_equal_settings_have_the_same_name_by_whatever_route(one, other):
    assert one == other and hash(one) == hash(other) and one.id == other.id


def leaves(model, prefix=()):
    """Yield (path, value) of every setting."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, FrozenConfig):
            yield from leaves(value, (*prefix, name))
        elif (*prefix, name) not in (("model", "kind"), ("diffusion", "kind")):  # another kind has settings of its own
            yield (*prefix, name), value


#: Another possible value of each setting of the smoke preset.
OTHER = {
    "world.kind": "sos", "world.size": 64, "world.sigma": (1, 2), "world.spacing": (1, 2), "world.periodic": True,
    "world.margin": 6, "world.held_out": "cross(13, 19)", "world.fraction": 0.5, "world.subsample_region": "rim(2)",
    "world.subsample_seed": 1,
    "model.widths": (8, 8, 16, 20), "model.bottleneck_channels": 20, "model.depth": 2, "model.patch": 2,
    "model.heads": 2, "model.encoding": 18, "model.mu_frequency": 2, "model.base": 100,
    "diffusion.timesteps": 500, "diffusion.schedule": "cosine", "diffusion.prediction_type": "v",
    "training.steps": 61, "training.batch": 17, "training.learning_rate": 1e-4, "training.weight_decay": 0.1,
    "training.warmup_steps": 1, "training.lr_schedule": "constant", "training.ema_decay": 0.5,
    "training.snapshots": (0, 31), "training.evaluate_every": 20, "training.evaluate_on": 17,
    "training.sampler_steps": 3, "training.sampler_eta": 1.0, "seed": 1,
}  # fmt: skip


def changed(path, value):
    """Return the change of one setting, nested as `but` takes it."""
    *groups, last = path.split(".")
    return {groups[0]: {last: value}} if groups else {last: value}


def test_the_list_of_other_values_names_every_setting():
    assert set(OTHER) == {".".join(path) for path, _ in leaves(preset("smoke"))}


@pytest.mark.parametrize("path", OTHER)
def test_every_setting_is_part_of_the_name(path):
    smoke = preset("smoke")
    other = smoke.replace(**changed(path, OTHER[path]))
    assert other != smoke and other.id != smoke.id
    back = dict((".".join(key), value) for key, value in leaves(smoke))[path]
    assert other.replace(**changed(path, back)).id == smoke.id


@given(
    one=st.fixed_dictionaries(
        {"seed": st.integers(0, 9), "sigma": st.floats(0.1, 4), "ema_decay": st.floats(0, 0.999)}
    ),
    other=st.fixed_dictionaries(
        {"seed": st.integers(0, 9), "sigma": st.floats(0.1, 4), "ema_decay": st.floats(0, 0.999)}
    ),
)
@settings(deadline=None, max_examples=50)
def test_names_agree_exactly_where_settings_do(one, other):
    first, second = (
        preset("smoke", seed=v["seed"], world={"sigma": v["sigma"]}, training={"ema_decay": v["ema_decay"]})
        for v in (one, other)
    )
    assert (first.id == second.id) == (first == second) == (one == other)


def test_a_name_is_twelve_hexadecimal_digits():
    assert len(preset("smoke").id) == 12 and int(preset("smoke").id, 16) >= 0


def test_the_version_of_the_trainer_is_part_of_the_name(monkeypatch):
    before = preset("smoke").id
    monkeypatch.setattr(Settings, "trainer_version", 999)
    assert preset("smoke").id != before


# ---------------------------------------------------------------- presets and changes


@every_preset
def test_a_preset_is_frozen_and_hashable(name):
    one = preset(name)
    assert {one: 1}[preset(name)] == 1
    with pytest.raises(ValueError, match="frozen"):
        one.seed = 1
    with pytest.raises(ValueError, match="frozen"):
        one.world.size = 64


def test_presets_are_different_runs():
    assert len({preset(name).id for name in PRESETS}) == len(PRESETS) == 6


@every_preset
def test_presets_share_the_world_and_the_encoding_frequencies(name):
    one = preset(name)
    assert one.world == BumpWorld() and (one.model.mu_frequency, one.model.base) == (1, 10_000)


def test_but_changes_what_it_is_told_and_nothing_else():
    before = preset("smoke")
    after = before.replace(world={"sigma": 2}, seed=5)
    assert before == preset("smoke")
    assert after.world.sigma == (2, 2) and after.seed == 5
    assert after.replace(world={"sigma": 1}, seed=0) == before
    assert after.world.replace(sigma=1) == before.world


def test_but_checks_the_result():
    with pytest.raises(BumplabError, match="spacing 40 is larger than the label space"):
        BumpWorld().replace(spacing=40)
    with pytest.raises(BumplabError, match="after the last step 10"):
        preset("smoke").training.replace(steps=10)


def test_snapshots_may_be_the_first_and_the_last_step():
    assert Training(steps=5, snapshots=(0, 5)).snapshots == (0, 5)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"nope": 1}, "There is no setting 'nope' in Settings."),
        ({"name": "x"}, "There is no setting 'name' in Settings."),
        ({"self": 1}, "There is no setting 'self' in Settings."),
        ({"world": {"self": 1}}, "There is no setting 'self' in BumpWorld."),
        ({"world": {"sigmaa": 1}}, "There is no setting 'sigmaa' in BumpWorld."),
        ({"model": {"width": 1}}, "There is no setting 'width' in UNetSettings."),
        ({"world": {"size": 0}}, "BumpWorld: size: input should be greater than or equal to 4 (got 0)."),
        ({"world": {"sigma": -1}}, "BumpWorld: sigma.0: input should be greater than or equal to 0.05 (got -1)."),
        ({"world": {"size": 30}}, "A UNet with patch 4 needs a size divisible by 4, got 30."),
        ({"world": 3}, "Settings: world: input should be a valid dictionary or instance of BumpWorld (got 3)."),
        ({"seed": -1}, "Settings: seed: input should be greater than or equal to 0 (got -1)."),
        ({"training": {"steps": 0}}, "Training: steps: input should be greater than or equal to 1 (got 0)."),
        (
            {"training": {"snapshots": [500]}},
            "Training: a snapshot at step 500 lies after the last step 60.",
        ),
        (
            {"training": {"learning_rate": float("nan")}},
            "Training: learning_rate: input should be a finite number (got nan).",
        ),
        (
            {"diffusion": {"prediction_type": "x"}},
            "Diffusion: prediction_type: input should be 'eps', 'v' or 'x0' (got 'x').",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_mistake_is_one_sentence(changes, sentence):
    with pytest.raises(BumplabError) as error:
        preset("smoke", **changes)
    assert str(error.value) == sentence


@pytest.mark.parametrize("name", ["nope", "Smoke", ""])
def test_an_unknown_preset_is_refused(name):
    with pytest.raises(
        BumplabError, match=r"^There is no preset .*: use one of smoke, quick, laptop, laptop-v, laptop-eps, paper\.$"
    ):
        preset(name)


def test_settings_need_a_training():
    with pytest.raises(BumplabError, match=r"^Settings: training: field required\.$"):
        Settings()


def test_a_mistake_shows_in_a_notebook_without_a_traceback():
    with pytest.raises(BumplabError) as error:
        preset("nope")
    assert error.value._render_traceback_() == [f"BumplabError: {error.value}"]
