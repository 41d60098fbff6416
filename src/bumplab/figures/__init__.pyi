from .architecture import draw_unet as draw_unet
from .clocks import (
    COPY_COLOUR as COPY_COLOUR,
    RULE_COLOUR as RULE_COLOUR,
    SAMPLE_COLOURS as SAMPLE_COLOURS,
    bit_rows as bit_rows,
    clock_curves as clock_curves,
    noise_map as noise_map,
    onset_points as onset_points,
    oracle_triangle as oracle_triangle,
    sample_shares as sample_shares,
    window_bars as window_bars,
)
from .denoisers import (
    DENOISER_STYLES as DENOISER_STYLES,
    denoiser_curves as denoiser_curves,
    noise_axis as noise_axis,
    place_map as place_map,
)
from .depth import depth_axis as depth_axis, halvings as halvings, specification_curve as specification_curve
from .emergence import (
    BEYOND as BEYOND,
    emergence_points as emergence_points,
    front_map as front_map,
    progress as progress,
)
from .image_grids import category_areas as category_areas, image_grid as image_grid
from .interactive.html import (
    base64_text as base64_text,
    controls as controls,
    picture_text as picture_text,
    read_asset as read_asset,
    render as render,
    title as title,
)
from .interactive.image_player import ImagePlayer as ImagePlayer, play_images as play_images
from .interactive.lattice_filling import (
    MAX_SITES as MAX_SITES,
    SMALL as SMALL,
    LatticeFilling as LatticeFilling,
    play_filling as play_filling,
)
from .interactive.point_cloud import (
    PLOTLY_JS as PLOTLY_JS,
    PLOTLY_JS_INTEGRITY as PLOTLY_JS_INTEGRITY,
    PointCloud as PointCloud,
)
from .interactive.scatter import MAX_POINTS as MAX_POINTS, scatter3d as scatter3d
from .maps import (
    accuracy_map as accuracy_map,
    condition_colours as condition_colours,
    condition_map as condition_map,
    link_map as link_map,
)
from .panels import (
    LEVEL_STYLES as LEVEL_STYLES,
    legend_right as legend_right,
    levels as levels,
    plain_log as plain_log,
    seeds as seeds,
)
from .rule_panels import (
    completion_matrix as completion_matrix,
    exact_bars as exact_bars,
    novelty_bars as novelty_bars,
    objects as objects,
    rule_sample as rule_sample,
    said_cells as said_cells,
)
from .scenes import (
    SCORE_COLOURS as SCORE_COLOURS,
    draw_scene as draw_scene,
    place_maps as place_maps,
    score_curves as score_curves,
)
from .style import (
    BLACK as BLACK,
    BLUE as BLUE,
    CATEGORY_COLOURS as CATEGORY_COLOURS,
    GREEN as GREEN,
    GREY as GREY,
    ORANGE as ORANGE,
    PURPLE as PURPLE,
    SKY as SKY,
    VERMILION as VERMILION,
    use_style as use_style,
)
