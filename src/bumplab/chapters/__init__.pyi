from .answers import (
    Answer as Answer,
    Answers as Answers,
    answer_findings as answer_findings,
    answer_successors as answer_successors,
    keeps_verdict as keeps_verdict,
)
from .benchmarks import (
    GPU_LIMIT as GPU_LIMIT,
    TARGET_ACCURACY as TARGET_ACCURACY,
    CensoredTime as CensoredTime,
    Timing as Timing,
    median_time as median_time,
    read_results as read_results,
    time_to as time_to,
    timing_table as timing_table,
)
from .catalogue import (
    chapter_names as chapter_names,
    chapter_path as chapter_path,
    chapter_paths as chapter_paths,
    declared_parameters as declared_parameters,
    listed_notebooks as listed_notebooks,
    read_cells as read_cells,
    stray_notebooks as stray_notebooks,
    tagged_source as tagged_source,
    validate as validate,
)
from .checks import (
    Check as Check,
    above as above,
    at_least as at_least,
    at_most as at_most,
    below as below,
    between as between,
    containing as containing,
    element_of as element_of,
    interval as interval,
    length as length,
    numbers as numbers,
    other_than as other_than,
    shares as shares,
    within as within,
)
from .claim_pages import chip as chip, claim_page as claim_page, claim_text as claim_text
from .claims import (
    CLAIM_MIME as CLAIM_MIME,
    KINDS as KINDS,
    Checker as Checker,
    Claim as Claim,
    Place as Place,
    Values as Values,
    check_claim as check_claim,
)
from .execution import (
    MAX_REASON as MAX_REASON,
    START_TIMEOUT as START_TIMEOUT,
    ChapterFailed as ChapterFailed,
    rerun as rerun,
)
from .exercises import check_answer as check_answer
from .findings import CLAIM_NAME as CLAIM_NAME, FINDINGS as FINDINGS, SUCCESSORS as SUCCESSORS, Finding as Finding
from .kernel import ChapterKernel as ChapterKernel
from .measurements import (
    FEWEST_SEEDS as FEWEST_SEEDS,
    NO_CHANCE as NO_CHANCE,
    VERDICTS as VERDICTS,
    Measurement as Measurement,
    join_words as join_words,
    measure as measure,
)
from .networks import (
    ANSWERING as ANSWERING,
    CONTROLS as CONTROLS,
    NETWORKS as NETWORKS,
    TARGETS as TARGETS,
    TOY as TOY,
    TRIAL as TRIAL,
    normalise_label as normalise_label,
    normalise_place as normalise_place,
    normalise_remarks as normalise_remarks,
    target_of as target_of,
)
from .papers import PAPERS as PAPERS, Paper as Paper, paper_of as paper_of
from .ranges import Range as Range
from .run_table import RUN_COLUMNS as RUN_COLUMNS, runs_as_parquet as runs_as_parquet, tabulate_runs as tabulate_runs
from .scoreboard import (
    CITATION as CITATION,
    COLUMNS as COLUMNS,
    VERDICT_COLOURS as VERDICT_COLOURS,
    Scoreboard as Scoreboard,
    collect_claims as collect_claims,
    plot_claims as plot_claims,
)
from .sources import SourceCode as SourceCode, source_code as source_code
from .studies import (
    TESTS as TESTS,
    all_studies as all_studies,
    limit_weights as limit_weights,
    network_of as network_of,
    select_studies as select_studies,
    study_of as study_of,
)
from .sweeps import forecast_chapter as forecast_chapter, sweep_chapter as sweep_chapter
from .text_checks import choice as choice, device_name as device_name, region_text as region_text
from .validation import (
    MAX_NAME as MAX_NAME,
    MAX_NUMBER as MAX_NUMBER,
    MAX_VALUES as MAX_VALUES,
    ParameterError as ParameterError,
    annotated_names as annotated_names,
    annotated_types as annotated_types,
    parameter_type as parameter_type,
    parameters as parameters,
    reject_unknown as reject_unknown,
    typed as typed,
)
