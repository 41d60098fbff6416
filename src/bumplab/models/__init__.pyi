from .attention import TokenAttention as TokenAttention, token_perceptron as token_perceptron
from .decoder import (
    DecoderSettings as DecoderSettings,
    Depth as Depth,
    Encoding as Encoding,
    Units as Units,
    condition_indices as condition_indices,
    encode_conditions as encode_conditions,
)
from .dit import (
    DiT as DiT,
    DiTBlock as DiTBlock,
    cut_patches as cut_patches,
    grid_positions as grid_positions,
    join_patches as join_patches,
)
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
from .renderer import (
    LEAK as LEAK,
    CoordinateSettings as CoordinateSettings,
    RendererSettings as RendererSettings,
    continue_stripes as continue_stripes,
    cut_rank as cut_rank,
    pixel_variance as pixel_variance,
    rank_entropy as rank_entropy,
)
from .resampling import (
    halve as halve,
    halve_by_windows as halve_by_windows,
    interpolation_matrix as interpolation_matrix,
    stretch as stretch,
    stretch_by_matrices as stretch_by_matrices,
)
from .text_codes import TextEncoder as TextEncoder
from .transformer import CausalBlock as CausalBlock, CellTransformer as CellTransformer, Head as Head
from .unet import MAX_FEATURE_VALUES as MAX_FEATURE_VALUES, UNet as UNet, UNetSettings as UNetSettings, Width as Width
