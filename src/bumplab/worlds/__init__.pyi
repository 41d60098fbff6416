from .bit_images import BitImages as BitImages
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
from .prompts import (
    COLOURS as COLOURS,
    FILLERS as FILLERS,
    PROMPT_WORDS as PROMPT_WORDS,
    RELATIONS as RELATIONS,
    SHAPES as SHAPES,
    VOCABULARY as VOCABULARY,
    Prompt as Prompt,
    all_prompts as all_prompts,
    parse_prompt as parse_prompt,
    prompts_with_same_words as prompts_with_same_words,
    tokenize as tokenize,
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
from .relations import RelationWorld as RelationWorld
from .rule_laws import (
    SMOOTHING as SMOOTHING,
    Saying as Saying,
    complete_by_law as complete_by_law,
    draw_by_law as draw_by_law,
    memory_survival as memory_survival,
    next_panel_law as next_panel_law,
    panel_log_likelihood as panel_log_likelihood,
    rule_posterior as rule_posterior,
    say_separately as say_separately,
)
from .rules import (
    ATTRIBUTES as ATTRIBUTES,
    PANELS as PANELS,
    ROWS as ROWS,
    RULE_RELATIONS as RULE_RELATIONS,
    RULES as RULES,
    VALUES as VALUES,
    chance_of_rule as chance_of_rule,
    completes_rule as completes_rule,
    draw_panels as draw_panels,
    free_triples as free_triples,
    num_samples as num_samples,
    relation_triples as relation_triples,
    remaining_rules as remaining_rules,
    row_relations as row_relations,
    rule_number as rule_number,
    rules_of as rules_of,
)
