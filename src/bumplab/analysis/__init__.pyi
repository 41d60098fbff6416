from .accuracy import (
    CATEGORIES as CATEGORIES,
    TOLERANCE as TOLERANCE,
    Evaluation as Evaluation,
    concatenate as concatenate,
    evaluate as evaluate,
    score_images as score_images,
)
from .activations import (
    Noise as Noise,
    lattice_activations as lattice_activations,
    record_activations as record_activations,
    to_grid as to_grid,
)
from .attention_heads import (
    Head as Head,
    swap_text as swap_text,
    text_attention as text_attention,
    text_heads as text_heads,
)
from .baselines import (
    BASELINES as BASELINES,
    COPY_TOLERANCE as COPY_TOLERANCE,
    baseline_evaluations as baseline_evaluations,
    composer_conditions as composer_conditions,
    coverage as coverage,
    nearest_conditions as nearest_conditions,
)
from .clocks import (
    CensoredTime as CensoredTime,
    MedianTime as MedianTime,
    censored_median as censored_median,
    lasting_onset as lasting_onset,
    survival_curve as survival_curve,
)
from .detection import (
    Detections as Detections,
    detect as detect,
    detect_bumps as detect_bumps,
    detect_stripes as detect_stripes,
)
from .encodings import (
    encode_places as encode_places,
    encoding_frequencies as encoding_frequencies,
    mean_ablate_fastest as mean_ablate_fastest,
    replace_encoding as replace_encoding,
    shift_response as shift_response,
)
from .factor_models import (
    FLOOR as FLOOR,
    additive_prediction as additive_prediction,
    multiplicative_prediction as multiplicative_prediction,
    rank_one_prediction as rank_one_prediction,
)
from .factorization import (
    TORUS3D_OVERLAP as TORUS3D_OVERLAP,
    FactorizationScores as FactorizationScores,
    factorization_scores as factorization_scores,
)
from .geometry import (
    AdditiveFit as AdditiveFit,
    additive_fit as additive_fit,
    explained_variance_ratio as explained_variance_ratio,
    intrinsic_dimension as intrinsic_dimension,
    n_components_for as n_components_for,
    participation_ratio as participation_ratio,
    pca as pca,
    validate_and_center as validate_and_center,
)
from .ideal_codes import (
    clifford as clifford,
    conjunctive as conjunctive,
    one_hot as one_hot,
    population as population,
    torus3d as torus3d,
)
from .interventions import (
    Outputs as Outputs,
    add_displacement as add_displacement,
    arrival_rates as arrival_rates,
    bump_displacements as bump_displacements,
    first_step_outputs as first_step_outputs,
    random_displacement as random_displacement,
    sample_with_outputs as sample_with_outputs,
)
from .kernels import (
    RIDGE as RIDGE,
    encoding_kernel as encoding_kernel,
    kernel_regression as kernel_regression,
    predict_places as predict_places,
    relative_place_error as relative_place_error,
    relu_tangent_kernel as relu_tangent_kernel,
    unseen_places as unseen_places,
)
from .linear_modules import (
    INPUTS as INPUTS,
    draw_inputs as draw_inputs,
    linear_penalty as linear_penalty,
    mixing_cost as mixing_cost,
    mixing_frame as mixing_frame,
    modular_frame as modular_frame,
    random_frame as random_frame,
)
from .modularity import (
    activity_purity as activity_purity,
    input_jacobian as input_jacobian,
    laplacian_eigenvalues as laplacian_eigenvalues,
    live_units as live_units,
    mixing_share as mixing_share,
    network_modularity as network_modularity,
    permuted as permuted,
    pool_rows as pool_rows,
    purity as purity,
    random_weights as random_weights,
    sort_units as sort_units,
)
from .oracle_plane import place_in_plane as place_in_plane, plane_corners as plane_corners
from .patching import patch_activations as patch_activations
from .profiles import (
    GEOMETRY_MEASURES as GEOMETRY_MEASURES,
    CodeGeometry as CodeGeometry,
    HolesAndPlaces as HolesAndPlaces,
    code_geometry as code_geometry,
    depth_profile as depth_profile,
    holes_and_places as holes_and_places,
    profile_table as profile_table,
)
from .readout import (
    ALPHAS as ALPHAS,
    linear_probe as linear_probe,
    linear_probe_r2 as linear_probe_r2,
    new_values_r2 as new_values_r2,
    umap as umap,
)
from .steps import (
    TINY_SHARE as TINY_SHARE,
    lattice_code as lattice_code,
    orthogonality as orthogonality,
    parallelism as parallelism,
    parallelism_along as parallelism_along,
    pullback_orthogonality as pullback_orthogonality,
)
from .superposition import (
    KERNEL_RIDGE as KERNEL_RIDGE,
    MAX_WIDTH as MAX_WIDTH,
    best_superposition as best_superposition,
    blank_error as blank_error,
    exact_images as exact_images,
    kernel_superposition as kernel_superposition,
    pairs_of as pairs_of,
    share_outside_span as share_outside_span,
    span_basis as span_basis,
    span_share as span_share,
)
from .topology import (
    Persistence as Persistence,
    betti_numbers as betti_numbers,
    farthest_points as farthest_points,
    persistence as persistence,
)
from .trajectories import rotation_shares as rotation_shares, wave_onsets as wave_onsets
