from .process import MAX_SAMPLER_STEPS as MAX_SAMPLER_STEPS, Denoiser as Denoiser, Diffusion as Diffusion
from .regression import Regression as Regression
from .schedules import (
    MAX_FINAL_SIGNAL as MAX_FINAL_SIGNAL,
    cosine_alpha_bar as cosine_alpha_bar,
    final_signal as final_signal,
    linear_alpha_bar as linear_alpha_bar,
    log_alpha_bar_table as log_alpha_bar_table,
    warn_of_signal as warn_of_signal,
)
