from .bump_family import WEIGHTS_TOLERANCE as WEIGHTS_TOLERANCE, recompute as recompute
from .ensembles import load_or_train_ensemble as load_or_train_ensemble
from .estimate import (
    estimate_ensembles as estimate_ensembles,
    estimate_seconds as estimate_seconds,
    format_estimate as format_estimate,
)
from .executor import (
    CONNECT_TIMEOUT as CONNECT_TIMEOUT,
    IDLE_TIMEOUT as IDLE_TIMEOUT,
    Outcome as Outcome,
    Work as Work,
    dask_client as dask_client,
    num_workers as num_workers,
    run_tasks as run_tasks,
)
from .fingerprints import (
    describe_record as describe_record,
    differences as differences,
    digest_arrays as digest_arrays,
    digest_json as digest_json,
    digest_text as digest_text,
    unite as unite,
)
from .folders import (
    Rows as Rows,
    from_folder as from_folder,
    pack_folders as pack_folders,
    to_folder as to_folder,
    with_rows as with_rows,
    without_rows as without_rows,
)
from .grids import (
    MAX_CELLS as MAX_CELLS,
    grid_cells as grid_cells,
    grid_settings as grid_settings,
    parse_grid as parse_grid,
)
from .pack import (
    ARRAYS as ARRAYS,
    CURVES as CURVES,
    FORMAT as FORMAT,
    INDEX as INDEX,
    PARTS as PARTS,
    VERSION as VERSION,
    WEIGHTS as WEIGHTS,
    Pack as Pack,
    old_folder as old_folder,
    read_header as read_header,
    read_pack as read_pack,
    seal as seal,
)
from .packing import (
    merge as merge,
    staged_folder as staged_folder,
    tensor_bytes as tensor_bytes,
    write_pack as write_pack,
)
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
from .plan import read_plan as read_plan
from .records import (
    DTYPES as DTYPES,
    EMBEDDINGS as EMBEDDINGS,
    KEYS as KEYS,
    VERDICTS as VERDICTS,
    PackError as PackError,
    Record as Record,
    leaves as leaves,
    split_name as split_name,
)
from .run import (
    EMBEDDING_FILE as EMBEDDING_FILE,
    VERDICTS_FILE as VERDICTS_FILE,
    WEIGHTS_FILE as WEIGHTS_FILE,
    Run as Run,
    StoreError as StoreError,
)
from .store import (
    WEIGHT_POLICIES as WEIGHT_POLICIES,
    cache_folder as cache_folder,
    find as find,
    iter_runs as iter_runs,
    load as load,
    load_or_train as load_or_train,
    lock as lock,
    recorded_folder as recorded_folder,
    save as save,
    verify as verify,
    work_folder as work_folder,
)
from .sweep import (
    Regions as Regions,
    forecast_runs as forecast_runs,
    load_or_train_all as load_or_train_all,
    record_plan as record_plan,
    sweep_settings as sweep_settings,
)
from .tables import lists_as_json as lists_as_json, make_table as make_table
from .verification import Proof as Proof, Recomputation as Recomputation, prove as prove
