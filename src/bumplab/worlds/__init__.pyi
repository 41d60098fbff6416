from .bumps import (
    MAX_CONDITIONS as MAX_CONDITIONS,
    BumpWorld as BumpWorld,
    Pair as Pair,
    Positive as Positive,
    RegionField as RegionField,
    Sigma as Sigma,
    Width as Width,
    subsample_evenly as subsample_evenly,
)
from .parity import (
    MAX_STRINGS as MAX_STRINGS,
    ParityWorld as ParityWorld,
    decode_bits as decode_bits,
    find_copies as find_copies,
)
from .region import MAX_SHAPES as MAX_SHAPES, Region as Region, Shape as Shape
from .regions import (
    MAX_PIXELS as MAX_PIXELS,
    band_x as band_x,
    band_y as band_y,
    box as box,
    cross as cross,
    diagonal as diagonal,
    exterior as exterior,
    interior as interior,
    parse_region as parse_region,
    rim as rim,
    single_stripes as single_stripes,
)
