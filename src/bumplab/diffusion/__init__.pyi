from .process import (
    MAX_FINAL_SIGNAL as MAX_FINAL_SIGNAL,
    MAX_SAMPLER_STEPS as MAX_SAMPLER_STEPS,
    Denoiser as Denoiser,
    Diffusion as Diffusion,
)
from .regression import Regression as Regression
from .schedules import (
    cosine_alpha_bar as cosine_alpha_bar,
    linear_alpha_bar as linear_alpha_bar,
    log_alpha_bar_table as log_alpha_bar_table,
)
