from .clusters import (
    MAX_DISC_SIDE as MAX_DISC_SIDE,
    MAX_REALISATIONS as MAX_REALISATIONS,
    Growth as Growth,
    fill_lattice as fill_lattice,
    first_wraps as first_wraps,
    first_wraps_of_discs as first_wraps_of_discs,
    label_clusters as label_clusters,
)
from .curves import (
    PercolationCurves as PercolationCurves,
    binomial_weights as binomial_weights,
    percolation_curves as percolation_curves,
)
from .laws import (
    Law as Law,
    LawFit as LawFit,
    distance_law as distance_law,
    distance_to_training as distance_to_training,
    fit_law as fit_law,
    number_law as number_law,
    percolation_law as percolation_law,
)
from .links import (
    MAX_NEIGHBOURS as MAX_NEIGHBOURS,
    MAX_SHELLS as MAX_SHELLS,
    link_radius as link_radius,
    neighbour_offsets as neighbour_offsets,
    offsets_within as offsets_within,
    overlap as overlap,
    rendered_overlap as rendered_overlap,
    shells as shells,
)
from .onset import (
    Onset as Onset,
    component_share as component_share,
    largest_cluster as largest_cluster,
    lattice_accuracy as lattice_accuracy,
    mantel_haenszel_difference as mantel_haenszel_difference,
    onsets as onsets,
)
from .scaling import (
    BETA as BETA,
    GAMMA as GAMMA,
    NU as NU,
    collapse as collapse,
    collapse_error as collapse_error,
    extrapolate as extrapolate,
)
from .thresholds import (
    CRITICAL_DEGREE as CRITICAL_DEGREE,
    CRITICAL_WRAPPING as CRITICAL_WRAPPING,
    Estimate as Estimate,
    WrappingSample as WrappingSample,
    crossing as crossing,
    estimate_threshold as estimate_threshold,
    sample_disc_wrapping as sample_disc_wrapping,
    sample_wrapping as sample_wrapping,
    thresholds_by_reach as thresholds_by_reach,
)
