from .denoisers import SAMPLER_STEPS as SAMPLER_STEPS, DenoiserSettings as DenoiserSettings
from .denoising import (
    COMPARED_SIGMAS as COMPARED_SIGMAS,
    GENERATED as GENERATED,
    GENERATOR_STEPS as GENERATOR_STEPS,
    LEAST_SHARE as LEAST_SHARE,
    DenoisingSettings as DenoisingSettings,
    log_steps as log_steps,
)
from .denoising_networks import (
    DenoisingNetwork as DenoisingNetwork,
    DenoisingUNetSettings as DenoisingUNetSettings,
    FilterSettings as FilterSettings,
    ResidualSettings as ResidualSettings,
    linear_weights as linear_weights,
    noise_range as noise_range,
)
from .mode_shells import (
    BUMP_SHARE as BUMP_SHARE,
    bump_distances as bump_distances,
    shells_of as shells_of,
    transfer_of as transfer_of,
)
from .modular_rendering import ModularRenderingSettings as ModularRenderingSettings
from .modularity import SINES as SINES, TEST_SAMPLES as TEST_SAMPLES, ModularitySettings as ModularitySettings
from .parity import (
    SAMPLES as SAMPLES,
    SIGMAS as SIGMAS,
    STRINGS_PER_SIGMA as STRINGS_PER_SIGMA,
    ParitySettings as ParitySettings,
    count_samples as count_samples,
)
from .parity_images import ParityImageSettings as ParityImageSettings
from .parity_sequences import ParitySequenceSettings as ParitySequenceSettings
from .relations import FILLER_PLACES as FILLER_PLACES, RelationSettings as RelationSettings, put_filler as put_filler
from .rendering import DONUT as DONUT, PIXELS_PER_STEP as PIXELS_PER_STEP, RenderingSettings as RenderingSettings
from .rule_denoisers import RuleDenoiserSettings as RuleDenoiserSettings
from .rules import RuleSettings as RuleSettings, count_panels as count_panels, nearest_distance as nearest_distance
from .scores import PROBE_SIGMAS as PROBE_SIGMAS, ScoreSettings as ScoreSettings
from .settings import StackLoss as StackLoss, ToySettings as ToySettings, Weights as Weights
from .states import ToyStack as ToyStack, ToyState as ToyState, init_toy as init_toy, take_toy_step as take_toy_step
from .toy_checkpoints import load_or_init_toy as load_or_init_toy, save_toy as save_toy
from .trainer import (
    MAX_STACK as MAX_STACK,
    TOY_CHECKPOINT_SECONDS as TOY_CHECKPOINT_SECONDS,
    toy_stacks as toy_stacks,
    train_toy as train_toy,
    train_toys as train_toys,
)
from .wedge import WedgeSettings as WedgeSettings
