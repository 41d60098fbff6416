from .analytic import (
    Theory as Theory,
    as_network as as_network,
    as_theory as as_theory,
    column as column,
    explained_variance as explained_variance,
    noise_level as noise_level,
    timestep_at as timestep_at,
)
from .analytic_flow import kick as kick, kick_response as kick_response, teleport as teleport
from .analytic_gaussian import GaussianDenoiser as GaussianDenoiser, MixtureDenoiser as MixtureDenoiser
from .analytic_sets import LatticeDenoiser as LatticeDenoiser, MemorizedSet as MemorizedSet
from .analytic_spectra import (
    fourier_mode as fourier_mode,
    fourier_variances as fourier_variances,
    gaussian_of_images as gaussian_of_images,
    gaussian_of_world as gaussian_of_world,
    mean_only as mean_only,
    mixture_of_tiles as mixture_of_tiles,
    one_variance as one_variance,
    rotate_modes as rotate_modes,
)
from .analytic_sums import OverlappingBumps as OverlappingBumps, gaussian_share as gaussian_share
from .bit_posteriors import (
    bit_evidence as bit_evidence,
    bit_theory as bit_theory,
    independent_mean as independent_mean,
    memorised_mean as memorised_mean,
    parity_advantage as parity_advantage,
    parity_mean as parity_mean,
)
from .linear import (
    EDM_RANGE as EDM_RANGE,
    QUADRATURE_NODES as QUADRATURE_NODES,
    check_modes as check_modes,
    check_noise as check_noise,
    check_times as check_times,
    generated_variances as generated_variances,
    optimal_weights as optimal_weights,
    quadrature as quadrature,
)
from .linear_convolution import PatchConvolution as PatchConvolution
from .linear_denoiser import LinearDenoiser as LinearDenoiser
from .linear_descent import affine_flow as affine_flow, descend as descend
from .linear_emergence import (
    TIMES as TIMES,
    Emergence as Emergence,
    Threshold as Threshold,
    emergence_of_curves as emergence_of_curves,
    emergence_of_law as emergence_of_law,
    halfway as halfway,
)
from .linear_laws import (
    EqualRates as EqualRates,
    ExponentialLaw as ExponentialLaw,
    ModeLaw as ModeLaw,
    OneLayer as OneLayer,
    TwoLayers as TwoLayers,
)
from .linear_wrappers import Preconditioned as Preconditioned, VariancePreserving as VariancePreserving
from .process import MAX_SAMPLER_STEPS as MAX_SAMPLER_STEPS, Denoiser as Denoiser, Diffusion as Diffusion
from .prompt_posteriors import (
    KNOWLEDGE as KNOWLEDGE,
    apart_scores as apart_scores,
    prompt_errors as prompt_errors,
    prompt_mean as prompt_mean,
    prompt_scores as prompt_scores,
)
from .regression import Regression as Regression
from .rule_posteriors import Code as Code, rule_theory as rule_theory, value_posterior as value_posterior
from .schedules import (
    MAX_FINAL_SIGNAL as MAX_FINAL_SIGNAL,
    cosine_alpha_bar as cosine_alpha_bar,
    final_signal as final_signal,
    linear_alpha_bar as linear_alpha_bar,
    log_alpha_bar_table as log_alpha_bar_table,
    warn_of_signal as warn_of_signal,
)
