from .layers import (
    Attention as Attention,
    Block as Block,
    DoubleConv as DoubleConv,
    Down as Down,
    GroupNorm as GroupNorm,
    LayerNorm as LayerNorm,
    Up as Up,
    sinusoidal_encoding as sinusoidal_encoding,
)
from .penalties import (
    activity_noise as activity_noise,
    activity_penalty as activity_penalty,
    l1_penalty as l1_penalty,
    l2_penalty as l2_penalty,
    power as power,
    weighted_activity_penalty as weighted_activity_penalty,
)
from .perceptrons import (
    ACTIVATIONS as ACTIVATIONS,
    block_masks as block_masks,
    init_perceptron as init_perceptron,
    num_layers as num_layers,
    perceptron as perceptron,
    solo as solo,
)
from .resampling import (
    halve as halve,
    halve_by_windows as halve_by_windows,
    interpolation_matrix as interpolation_matrix,
    stretch as stretch,
    stretch_by_matrices as stretch_by_matrices,
)
from .unet import MAX_FEATURE_VALUES as MAX_FEATURE_VALUES, UNet as UNet, UNetSettings as UNetSettings, Width as Width
