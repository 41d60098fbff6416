"""Whatever is given for a setting makes a run with a name and a network, or is refused in one sentence."""

import edges
import pytest
import torch
from hypothesis import example, given, settings, strategies as st

from bumplab.common.errors import BumplabError
from bumplab.common.parsing import flatten, set_nested
from bumplab.diffusion.process import Diffusion
from bumplab.models.unet import UNet, UNetSettings
from bumplab.training.settings import Settings, Training, preset

PATHS = sorted(flatten(preset("smoke").model_dump()))
#: The least and the most of each number, and one beyond.
LIMITS = {
    "world.size": (4, 512), "world.sigma": (0.05, 1000.0), "world.margin": (0.0, 512.0),
    "world.subsample_seed": (0, 2**32 - 1),
    "model.bottleneck_channels": (4, 1024), "model.depth": (1, 4), "model.heads": (1, 16), "model.encoding": (4, 1024),
    "model.mu_frequency": (1e-4, 1e3), "model.base": (1.001, 1e9), "diffusion.timesteps": (2, 10_000),
    "training.steps": (60, 10**8), "training.batch": (1, 65_536), "training.learning_rate": (1e-9, 1.0),
    "training.weight_decay": (0.0, 1.0), "training.warmup_steps": (0, 10**8), "training.ema_decay": (0.0, 0.999999),
    "training.evaluate_every": (0, 10**8), "training.evaluate_on": (1, 10**6), "training.sampler_steps": (1, 1000),
    "seed": (0, 2**31 - 1),
}  # fmt: skip


def changed(path, value):
    changes = {}
    set_nested(changes, path, value)
    return preset("smoke", **changes)


def use(run):
    """Check that a run has a name, is read back from its record, and has a network of some size."""
    assert len(run.id) == 12 and Settings.from_record(run.to_record()).id == run.id
    with torch.device("meta"):
        assert UNet(run.model).size() > 0


@given(st.sampled_from([*PATHS, "world", "model", "diffusion", "training", "model.kind", "nope"]), edges.VALUES)
@example("world.sigma", 1e30)
@example("diffusion.kind", "\x1f")
@example("training.snapshots", [1] * 300_000)
@example("training.snapshots", list(range(-300_000, 0)))
@settings(deadline=5000, max_examples=150)
def test_any_value_of_a_setting_makes_a_run_or_a_sentence(path, value):
    with edges.one_sentence():
        use(changed(path, value))


@given(st.dictionaries(st.sampled_from(sorted(LIMITS)), st.booleans(), min_size=2, max_size=8))
@settings(deadline=5000, max_examples=60)
def test_settings_at_their_limits_make_a_run_or_a_sentence(ends):
    changes = {}
    for path, top in ends.items():
        set_nested(changes, path, LIMITS[path][top])
    with edges.one_sentence():
        use(preset("smoke", **changes))


@pytest.mark.parametrize("path", sorted(LIMITS))
def test_a_number_may_be_its_least_and_its_most_and_nothing_beyond(path):
    least, most = LIMITS[path]
    room = {"world.margin": {"spacing": 2}, "model.heads": {"widths": (16, 32, 32, 32)}}.get(path, {})
    group, _, name = path.rpartition(".")
    for value in (least, min(most, 4096) if path == "training.batch" else most):  # larger for the smallest images
        use(preset("smoke", **({group: {name: value, **room}} if group else {name: value})))
    with pytest.raises(BumplabError, match=r"^[^\n]+\.$"):
        changed(path, most * 2)


def test_a_batch_fits_into_memory():
    wide = {"widths": (64, 128, 256, 256), "patch": 1}
    assert preset("smoke", model=wide, training={"batch": 4096}).training.batch == 4096
    with pytest.raises(
        BumplabError, match=r"^A batch of 4,097 images of 32 pixels is too large: .* 1,073,741,824 and "
    ):
        preset("smoke", model=wide, training={"batch": 4097})


@pytest.mark.parametrize(
    "changes, right",
    [
        ({"seed": True}, "a number, neither text nor true or false"),
        ({"seed": "3"}, "a number, neither text nor true or false"),
        ({"world": {"fraction": "0.5"}}, "a number, neither text nor true or false"),
        ({"world": {"sigma": [True, 1]}}, "a number, neither text nor true or false"),
        ({"world": {"spacing": ["1", 1]}}, "a number, neither text nor true or false"),
        ({"world": {"periodic": 1}}, "true or false"),
        ({"world": {"periodic": "true"}}, "true or false"),
        ({"training": {"snapshots": ["3"]}}, "a number, neither text nor true or false"),
    ],
)
def test_text_is_no_number_and_a_number_no_truth(changes, right):
    with pytest.raises(BumplabError, match=rf": input should be {right} \(got "):
        preset("smoke", **changes)


def test_the_most_settings_of_a_network_can_be_built():
    with torch.device("meta"):
        most = UNet(UNetSettings(widths=(1024,) * 4, bottleneck_channels=1024, depth=4, encoding=1024, heads=16))
        assert 5e8 < most.size() < 2e9


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("prediction_type", ["eps", "v", "x0"])
def test_images_are_finite_with_the_least_and_the_most_timesteps(schedule, prediction_type):
    for timesteps in (2, 10_000):
        diffusion = Diffusion(timesteps=timesteps, schedule=schedule, prediction_type=prediction_type)
        generator = torch.Generator().manual_seed(0)
        images = diffusion.sample(lambda x, t, mu: x, torch.zeros(2, 2), 4, steps=7, eta=1.0, generator=generator)
        assert images.isfinite().all()


@given(st.integers(), st.integers())
@settings(max_examples=60)
def test_a_training_for_any_number_of_steps_is_one_or_a_sentence(steps, evaluations):
    with edges.one_sentence():
        assert Training(steps=10).for_steps(steps, evaluations).evaluate_every >= 1
