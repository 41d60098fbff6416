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
from .unet import MAX_FEATURE_VALUES as MAX_FEATURE_VALUES, UNet as UNet, UNetSettings as UNetSettings, Width as Width
