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
from .resampling import (
    halve as halve,
    halve_by_windows as halve_by_windows,
    interpolation_matrix as interpolation_matrix,
    stretch as stretch,
    stretch_by_matrices as stretch_by_matrices,
)
from .unet import MAX_FEATURE_VALUES as MAX_FEATURE_VALUES, UNet as UNet, UNetSettings as UNetSettings, Width as Width
