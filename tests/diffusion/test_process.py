"""The diffusion core against diffusers' schedulers, and against answers known in closed form."""

import diffusers.schedulers.scheduling_ddpm as diffusers_ddpm
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given, settings, strategies as st

from bumplab.common.errors import BumplabError
from bumplab.diffusion.process import Diffusion
from bumplab.diffusion.schedules import cosine_alpha_bar, final_signal, linear_alpha_bar, warn_of_signal

SCHEDULES = {"linear": "linear", "cosine": "squaredcos_cap_v2"}
PREDICTS = {"eps": "epsilon", "v": "v_prediction", "x0": "sample"}
#: (t, the timestep before it in sampling): single steps, long ones, and the last ones to the clean image, -1.
STEPS = [(0, -1), (1, 0), (9, -1), (10, 0), (99, -1), (500, 499), (500, 400), (999, 998), (999, 499), (999, -1)]

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES)
every_target = pytest.mark.parametrize("predicts", PREDICTS)
clipped_or_not = pytest.mark.parametrize("clip", [True, False], ids=["clip", "free"])


def oracle(kind, schedule, predicts, clip=False, **options):
    """Return diffusers' scheduler, its table in float64: in float32 its 1 - alpha_bar has 3 digits at small t."""
    scheduler = kind(beta_schedule=SCHEDULES[schedule], prediction_type=PREDICTS[predicts], clip_sample=clip, **options)
    scheduler.alphas_cumprod = torch.cumprod(1 - scheduler.betas.double(), 0)
    return scheduler


def random_images(count, seed=0):
    return torch.randn(count, 4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def full(t):
    return torch.full((4,), t)


def assert_same(ours, theirs, tolerance=1e-5):
    """Compare to a tolerance relative to the largest value."""
    scale = max(1.0, float(theirs.abs().max()))
    torch.testing.assert_close(ours.double(), theirs.double(), atol=tolerance * scale, rtol=0)


# ---------------------------------------------------------------- against diffusers


@pytest.mark.parametrize("schedule, alpha_bar", [("linear", linear_alpha_bar), ("cosine", cosine_alpha_bar)])
def test_the_schedules_are_those_of_diffusers(schedule, alpha_bar):
    theirs = oracle(DDPMScheduler, schedule, "eps").alphas_cumprod
    torch.testing.assert_close(alpha_bar(1000), theirs, atol=1e-7, rtol=2e-5)
    ours = torch.exp(Diffusion(schedule=schedule).log_alpha_bar(torch.arange(1000)).double()).flatten()
    torch.testing.assert_close(ours, alpha_bar(1000), atol=1e-9, rtol=1e-6)


@every_schedule
def test_adding_noise_equals_diffusers(schedule):
    x0, eps = random_images(2)
    t = torch.tensor([0, 1, 500, 999])
    theirs = oracle(DDPMScheduler, schedule, "eps").add_noise(x0.double(), eps.double(), t)
    assert_same(Diffusion(schedule=schedule).add_noise(x0, eps, t), theirs)


@every_schedule
def test_the_velocity_equals_diffusers(schedule):
    x0, eps = random_images(2)
    t = torch.tensor([0, 1, 500, 999])
    theirs = oracle(DDPMScheduler, schedule, "v").get_velocity(x0.double(), eps.double(), t)
    assert_same(Diffusion(schedule=schedule, prediction_type="v").target(x0, eps, t), theirs)


@every_schedule
@every_target
@clipped_or_not
def test_every_ancestral_step_equals_diffusers_ddpm(schedule, predicts, clip, monkeypatch):
    diffusion = Diffusion(schedule=schedule, prediction_type=predicts)
    for seed, (t, before) in enumerate(STEPS):
        x, output, noise = random_images(3, seed)
        monkeypatch.setattr(diffusers_ddpm, "randn_tensor", lambda *_, noise=noise, **__: noise)
        scheduler = oracle(DDPMScheduler, schedule, predicts, clip)
        scheduler.set_timesteps(timesteps=[t] if before < 0 else [t, before])
        theirs = scheduler.step(output, t, x)
        ours, x0 = diffusion.step(output, x, full(t), full(before), eta=1, noise=noise, clip=clip)
        assert_same(ours, theirs.prev_sample)
        assert_same(x0, theirs.pred_original_sample)


@every_schedule
@every_target
@clipped_or_not
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_every_implicit_step_equals_diffusers_ddim(schedule, predicts, clip, eta):
    diffusion = Diffusion(schedule=schedule, prediction_type=predicts)
    scheduler = oracle(DDIMScheduler, schedule, predicts, clip)
    for seed, (t, before) in enumerate(STEPS):
        x, output, noise = random_images(3, seed)
        scheduler.set_timesteps(1000 // (t - before))  # diffusers steps back by 1000 // this
        drawn = {"eta": eta, "variance_noise": noise} if eta else {"eta": 0.0}
        theirs = scheduler.step(output, t, x, use_clipped_model_output=clip, **drawn)
        ours, x0 = diffusion.step(output, x, full(t), full(before), eta, noise if eta else None, clip)
        assert_same(ours, theirs.prev_sample)
        assert_same(x0, theirs.pred_original_sample)


def network(x, t, mu):
    """Stand in for a trained network: smooth, bounded, and depending on everything."""
    return torch.tanh(0.3 * x + 0.002 * t[:, None, None, None] + 0.1 * mu.sum(1)[:, None, None, None])


@every_schedule
@every_target
@pytest.mark.parametrize("steps", [1, 4, 20, 100])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_whole_sampling_loops_equal_diffusers_with_trailing_timesteps(schedule, predicts, steps, eta):
    mu = torch.arange(8.0).reshape(4, 2)
    sampling = Diffusion(schedule=schedule, prediction_type=predicts).sample_trajectory(
        network, mu, 8, steps, eta, torch.Generator().manual_seed(1)
    )
    *_, (ours, _) = sampling
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 1, 8, 8, generator=generator)
    scheduler = oracle(DDIMScheduler, schedule, predicts, clip=True, timestep_spacing="trailing")
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps.tolist():
        noise = {"variance_noise": torch.randn(x.shape, generator=generator)} if eta else {}
        output = network(x.float(), full(t), mu)
        x = scheduler.step(output, t, x, eta=eta, use_clipped_model_output=True, **noise).prev_sample
    assert_same(ours, x)


def test_a_thousand_ancestral_steps_equal_a_diffusers_ddpm_loop(monkeypatch):
    mu = torch.zeros(4, 2)
    *_, (ours, _) = Diffusion().sample_trajectory(network, mu, 8, 1000, 1.0, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    monkeypatch.setattr(diffusers_ddpm, "randn_tensor", lambda shape, **_: torch.randn(shape, generator=generator))
    x = torch.randn(4, 1, 8, 8, generator=generator)
    scheduler = oracle(DDPMScheduler, "linear", "eps", clip=True)
    for t in range(999, -1, -1):
        x = scheduler.step(network(x.float(), full(t), mu), t, x).prev_sample
    assert_same(ours, x, 1e-4)  # a thousand roundings in float32


# ---------------------------------------------------------------- conversions and time

real_time = st.floats(0, 999, width=32)


@every_schedule
@every_target
@given(t=real_time)
@settings(deadline=None, max_examples=50)
def test_split_undoes_target_at_any_real_time(schedule, predicts, t):
    diffusion = Diffusion(schedule=schedule, prediction_type=predicts)
    x0, eps = random_images(2).double()
    noisy = diffusion.add_noise(x0, eps, full(t))
    x0_again, eps_again = diffusion.to_x0_and_eps(diffusion.target(x0, eps, full(t)), noisy, full(t))
    torch.testing.assert_close(x0_again, x0, atol=1e-6, rtol=0)
    torch.testing.assert_close(eps_again, eps, atol=1e-6, rtol=0)


@every_schedule
@given(t=st.floats(-1, 999, width=32), timesteps=st.sampled_from([10, 1000]))
@settings(deadline=None, max_examples=50)
def test_a_real_time_lies_between_its_neighbours(schedule, t, timesteps):
    t = t * (timesteps - 1) / 999
    diffusion = Diffusion(schedule=schedule, timesteps=timesteps)
    times = torch.tensor([t]).floor(), torch.tensor([t]), torch.tensor([t]).ceil()
    earlier, here, later = (diffusion.log_alpha_bar(time).item() for time in times)
    assert later <= here <= earlier <= 0


@every_schedule
def test_signal_and_noise_keep_the_variance(schedule):
    signal, noise = Diffusion(schedule=schedule).signal_and_noise_scale(torch.linspace(-1, 999, 501))
    torch.testing.assert_close(signal**2 + noise**2, torch.ones_like(signal), atol=1e-6, rtol=0)


def test_the_signal_at_the_end_is_that_of_diffusers():
    for schedule, name in (("linear", "linear"), ("cosine", "squaredcos_cap_v2")):
        for timesteps in (10, 100, 1000):
            theirs = DDPMScheduler(timesteps, beta_schedule=name).alphas_cumprod[-1].sqrt().item()
            assert final_signal(schedule, timesteps) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(
    "timesteps, words", [(2, "leaves 0.99"), (100, "leaves 0.60"), (500, "leaves 0.08"), (600, None), (1000, None)]
)
def test_a_linear_schedule_with_few_timesteps_is_warned_of(timesteps, words):
    sentence = warn_of_signal("linear", timesteps)
    assert (sentence is None) == (words is None)
    assert sentence is None or f"The linear schedule with {timesteps} timesteps {words} of the signal" in sentence


@given(timesteps=st.integers(2, 10_000))
def test_the_schedule_that_a_warning_names_fits_at_any_number_of_timesteps(timesteps):
    assert warn_of_signal("cosine", timesteps) is None


@every_schedule
def test_time_minus_one_is_the_clean_image(schedule):
    x0, eps = random_images(2)
    assert torch.equal(Diffusion(schedule=schedule).add_noise(x0, eps, full(-1)), x0)


@pytest.mark.parametrize("steps", [1, 3, 10, 1000, 2500])
def test_the_grid_goes_evenly_from_noise_to_clean(steps):
    grid = Diffusion().sampling_timesteps(steps)
    assert len(grid) == steps + 1 and grid[0] == 999 and grid[-1] == -1
    torch.testing.assert_close(grid.diff(), torch.full((steps,), -1000 / steps, dtype=torch.float64))


# ---------------------------------------------------------------- sampling, with answers in closed form


def last(diffusion, denoiser, n=64, steps=50, eta=0.0, seed=0, clip=False):
    """Sample with a denoiser (x, t) -> x0, handed over as what the diffusion predicts; return noise and images."""

    def model(x, t, mu):
        x0 = denoiser(x, t)
        signal, noise = diffusion.signal_and_noise_scale(t)
        return diffusion.target(x0, (x - signal * x0) / noise, t)

    generator = torch.Generator().manual_seed(seed)
    *_, (x, _) = diffusion.sample_trajectory(model, torch.zeros(n, 2), 8, steps, eta, generator, clip)
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)), x


@every_target
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_a_distribution_of_one_point_is_sampled_exactly(predicts, eta, steps):
    point = torch.linspace(-1, 1, 64).reshape(1, 1, 8, 8)
    _, x = last(Diffusion(timesteps=20, prediction_type=predicts), lambda x, t: point.expand_as(x), 4, steps, eta)
    torch.testing.assert_close(x, point.expand_as(x), atol=1e-4, rtol=0)


MEAN, SPREAD = 0.3, 0.5


def gaussian_denoiser(diffusion):
    """Return E[x0 | x_t] for pixels drawn from a Gaussian."""

    def denoiser(x, t):
        signal, noise = diffusion.signal_and_noise_scale(t)
        gain = SPREAD**2 * signal / (signal**2 * SPREAD**2 + noise**2)
        return MEAN + gain * (x - signal * MEAN)

    return denoiser


@every_schedule
def test_ddim_converges_to_the_exact_flow_of_a_gaussian(schedule):
    diffusion = Diffusion(schedule=schedule, prediction_type="x0")
    signal, level = diffusion.signal_and_noise_scale(torch.tensor([999]))
    errors = []
    for steps in (10, 50, 250):
        noise, x = last(diffusion, gaussian_denoiser(diffusion), n=8, steps=steps)
        exact = MEAN + SPREAD * (noise - signal * MEAN) / torch.sqrt(signal**2 * SPREAD**2 + level**2)
        errors.append(float((x - exact).abs().max()))
    assert errors[0] > 3 * errors[1] > 9 * errors[2] and errors[2] < 0.03  # first order


def test_ancestral_sampling_gives_a_gaussian_its_mean_and_spread():
    diffusion = Diffusion(prediction_type="x0")
    _, x = last(diffusion, gaussian_denoiser(diffusion), n=128, steps=400, eta=1.0)
    assert x.mean() == pytest.approx(MEAN, abs=0.02)  # 8,192 independent pixels: standard error 0.006
    assert x.std() == pytest.approx(SPREAD, abs=0.02)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_sampling_repeats_under_a_generator(eta):
    def sample(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.stack([x for x, _ in Diffusion().sample_trajectory(network, mu, 8, 5, eta, generator)])

    mu = torch.rand(3, 2)
    torch.manual_seed(0)
    first = sample(1)
    torch.manual_seed(1)  # the global state plays no part
    assert torch.equal(first, sample(1)) and not torch.equal(first, sample(2))
    assert first.shape == (5, 3, 1, 8, 8)


def test_sampling_starts_from_the_noise_given():
    mu, noise = torch.rand(3, 2), torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    drawn = Diffusion().sample(network, mu, 8, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(Diffusion().sample(network, mu, 8, 5, noise=noise), drawn)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_sample_is_the_end_of_its_trajectory(steps):
    mu, noise = torch.rand(3, 2), torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    trajectory = [x for x, _ in Diffusion().sample_trajectory(network, mu, 8, steps, noise=noise)]
    assert len(trajectory) == steps
    assert torch.equal(Diffusion().sample(network, mu, 8, steps, noise=noise), trajectory[-1])


@pytest.mark.parametrize("steps", [0, -3])
def test_a_sampler_without_a_step_is_refused(steps):
    with pytest.raises(BumplabError, match=rf"^A sampler takes 1 to 100,000 steps, got {steps}\.$"):
        Diffusion().sample(network, torch.rand(3, 2), 8, steps)


def test_clipping_keeps_the_predicted_image_in_range():
    sampling = Diffusion().sample_trajectory(lambda x, t, mu: torch.zeros_like(x), torch.zeros(2, 2), 8, 10)
    assert all(x0.abs().max() <= 1 for _, x0 in sampling)


# ---------------------------------------------------------------- the loss


@every_schedule
@every_target
def test_the_loss_is_the_mean_squared_error_of_what_is_predicted(schedule, predicts):
    diffusion = Diffusion(schedule=schedule, prediction_type=predicts)
    x0, mu = random_images(1)[0], torch.zeros(4, 2)
    seen = {}

    def model(x, t, mu):
        seen.update(x=x, t=t)
        return torch.zeros_like(x)

    t, eps = diffusion.sample_timesteps_and_noise(x0, torch.Generator().manual_seed(3))
    loss = diffusion.loss(model, x0, mu, t, eps)
    signal, noise = diffusion.signal_and_noise_scale(seen["t"])
    target = diffusion.target(x0, (seen["x"] - signal * x0) / noise, seen["t"])
    assert float(loss) == pytest.approx(float((target**2).mean()), rel=1e-3)
    assert seen["t"].min() >= 0 and seen["t"].max() <= 999


@pytest.mark.parametrize(
    "changes",
    [
        {"timesteps": 1},
        {"timesteps": "many"},
        {"schedule": "sigmoid"},
        {"prediction_type": "x1"},
        {"beta": 1},
    ],
    ids=str,
)
def test_an_impossible_diffusion_is_refused_in_one_sentence(changes):
    with pytest.raises(BumplabError) as error:
        Diffusion(**changes)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)
