from .arrivals import Arrival as Arrival, import_bundles as import_bundles
from .bump_family import (
    BUMPS as BUMPS,
    WEIGHT_POLICIES as WEIGHT_POLICIES,
    WEIGHTS_TOLERANCE as WEIGHTS_TOLERANCE,
    BumpRun as BumpRun,
    make_record as make_record,
    recompute as recompute,
    train_record as train_record,
)
from .bump_schema import BumpSchema as BumpSchema, check_contents as check_contents, lattice_rows as lattice_rows
from .bundles import (
    BUNDLE_SUFFIX as BUNDLE_SUFFIX,
    MAX_FILES as MAX_FILES,
    MAX_PART_BYTES as MAX_PART_BYTES,
    MAX_PARTS as MAX_PARTS,
    Bundle as Bundle,
    BundledFile as BundledFile,
    bundle_room as bundle_room,
    read_bundles as read_bundles,
    write_bundle as write_bundle,
)
from .campaigns import (
    MAX_MINUTES as MAX_MINUTES,
    Campaign as Campaign,
    Studies as Studies,
    check_empty as check_empty,
    describe_campaign as describe_campaign,
    describe_too_large as describe_too_large,
    pack_campaign as pack_campaign,
    plan_deadline as plan_deadline,
    run_campaign as run_campaign,
)
from .checkpoint_checks import check_checkpoint as check_checkpoint
from .deadlines import (
    Deadline as Deadline,
    checkpoint_bytes as checkpoint_bytes,
    count_parameters as count_parameters,
    run_bytes_forecast as run_bytes_forecast,
)
from .ensembles import (
    MAX_PARAMETERS as MAX_PARAMETERS,
    load_or_train_ensemble as load_or_train_ensemble,
    plan_ensembles as plan_ensembles,
)
from .estimate import (
    count_evaluation_images as count_evaluation_images,
    estimate_ensembles as estimate_ensembles,
    estimate_seconds as estimate_seconds,
    format_estimate as format_estimate,
)
from .executor import (
    CONNECT_TIMEOUT as CONNECT_TIMEOUT,
    IDLE_TIMEOUT as IDLE_TIMEOUT,
    MAX_JOBS as MAX_JOBS,
    MAX_WAIT as MAX_WAIT,
    WORKER_TIMEOUT as WORKER_TIMEOUT,
    Outcome as Outcome,
    Work as Work,
    dask_client as dask_client,
    failure as failure,
    num_workers as num_workers,
    report_interrupts as report_interrupts,
    run_tasks as run_tasks,
)
from .families import (
    Family as Family,
    family_of as family_of,
    make_run as make_run,
    provenance as provenance,
    register_family as register_family,
)
from .file_store import FileStore as FileStore
from .fingerprints import describe_record as describe_record, differences as differences, unite as unite
from .grids import (
    MAX_CELLS as MAX_CELLS,
    MAX_CELLS_ALLOWED as MAX_CELLS_ALLOWED,
    grid_cells as grid_cells,
    grid_settings as grid_settings,
    parse_grid as parse_grid,
)
from .lacking import (
    TOY_SAVING_SECONDS as TOY_SAVING_SECONDS,
    has_begun as has_begun,
    keeps_enough as keeps_enough,
    train_lacking as train_lacking,
)
from .lines import read_line as read_line, read_run_line as read_run_line
from .pack import Pack as Pack, read_index as read_index, read_pack as read_pack
from .pack_files import (
    ARRAYS as ARRAYS,
    CURVES as CURVES,
    INDEX as INDEX,
    MAX_HEAD as MAX_HEAD,
    PARTS as PARTS,
    REMEDY as REMEDY,
    WEIGHTS as WEIGHTS,
    check_head as check_head,
    find_index as find_index,
    look_again as look_again,
    old_folder as old_folder,
    read_tensors as read_tensors,
    stamp_of as stamp_of,
    unless_replaced as unless_replaced,
)
from .pack_index import (
    FORMAT as FORMAT,
    VERSION as VERSION,
    PackIndex as PackIndex,
    parse_index as parse_index,
    read_header as read_header,
    write_index as write_index,
)
from .pack_store import PackedRun as PackedRun, PackStore as PackStore, study_folders as study_folders
from .packing import hold_pack as hold_pack, merge as merge, tensor_bytes as tensor_bytes, write_pack as write_pack
from .parquet import (
    COMPRESSION as COMPRESSION,
    ROWS_PER_GROUP as ROWS_PER_GROUP,
    Block as Block,
    Table as Table,
    curve_block as curve_block,
    curve_rows as curve_rows,
    verdict_array as verdict_array,
    verdict_block as verdict_block,
    write_table as write_table,
)
from .recording import (
    compare_indices as compare_indices,
    complete_record as complete_record,
    pack_runs as pack_runs,
    record_studies as record_studies,
    work_folder as work_folder,
)
from .records import (
    DTYPES as DTYPES,
    EMBEDDINGS as EMBEDDINGS,
    KEYS as KEYS,
    VERDICTS as VERDICTS,
    PackError as PackError,
    Record as Record,
    ReplacedError as ReplacedError,
    StoreError as StoreError,
    check_curves as check_curves,
    check_facts as check_facts,
    check_name as check_name,
    leaves as leaves,
    split_name as split_name,
)
from .run import (
    EMBEDDING_ARRAYS as EMBEDDING_ARRAYS,
    FINAL_WEIGHTS as FINAL_WEIGHTS,
    HISTORY as HISTORY,
    VERDICT_ARRAYS as VERDICT_ARRAYS,
    Run as Run,
    Source as Source,
    kept_in_line as kept_in_line,
)
from .run_file import SUFFIX as SUFFIX, RunFile as RunFile, read_run as read_run, run_bytes as run_bytes
from .store import (
    cache_folder as cache_folder,
    find as find,
    load_or_train as load_or_train,
    recorded_folder as recorded_folder,
    stores as stores,
    usable_stores as usable_stores,
    verify as verify,
)
from .sweep import (
    Regions as Regions,
    forecast_runs as forecast_runs,
    load_or_train_all as load_or_train_all,
    sweep_settings as sweep_settings,
)
from .tables import lists_as_json as lists_as_json, make_table as make_table
from .toy_family import (
    TOY_TOLERANCE as TOY_TOLERANCE,
    TOYS as TOYS,
    ToyRun as ToyRun,
    load_or_train_toys as load_or_train_toys,
    recompute_toy as recompute_toy,
    register_toy as register_toy,
    toy_record as toy_record,
    train_toy_record as train_toy_record,
)
from .toy_schema import ToySchema as ToySchema, check_toy_contents as check_toy_contents, snapshot_stem as snapshot_stem
from .verification import Proof as Proof, Recomputation as Recomputation, prove as prove
