from .config import (
    FrozenConfig as FrozenConfig,
    format_validation_error as format_validation_error,
    tagged_union as tagged_union,
)
from .curves import PowerLaw as PowerLaw, fit_log_log as fit_log_log, level_crossing as level_crossing
from .digests import (
    MAX_LINE as MAX_LINE,
    digest_arrays as digest_arrays,
    digest_json as digest_json,
    digest_text as digest_text,
    seal as seal,
    unseal as unseal,
)
from .errors import (
    BumplabError as BumplabError,
    join_names as join_names,
    printable as printable,
    quote as quote,
    shorten as shorten,
)
from .exits import FAILED as FAILED, INTERRUPTED as INTERRUPTED, MISTAKE as MISTAKE, exit_code as exit_code
from .files import (
    atomic_write as atomic_write,
    book_folder as book_folder,
    check_writable as check_writable,
    disk_errors as disk_errors,
    is_file as is_file,
    make_folder as make_folder,
    read_text as read_text,
    refusal as refusal,
    remove as remove,
    sync as sync,
    write_file as write_file,
)
from .histories import curve as curve, measurements as measurements, step_at_level as step_at_level
from .leftovers import remove_leftovers as remove_leftovers
from .locks import hold_lock as hold_lock, holder_path as holder_path
from .parsing import (
    MAX_DEPTH as MAX_DEPTH,
    MAX_TEXT as MAX_TEXT,
    check_length as check_length,
    check_name as check_name,
    flatten as flatten,
    parse_assignments as parse_assignments,
    parse_literal as parse_literal,
    parse_named as parse_named,
    set_nested as set_nested,
)
from .places import resolve_folder as resolve_folder, user_folder as user_folder
from .power_laws import fit_power_law as fit_power_law, fit_power_law_by_seed as fit_power_law_by_seed
from .run_settings import FIRST_FAMILY as FIRST_FAMILY, RunSettings as RunSettings
from .statistics import (
    Proportion as Proportion,
    format_mean_ci as format_mean_ci,
    format_mean_range as format_mean_range,
    print_table as print_table,
    t_interval as t_interval,
    variance_shares as variance_shares,
    wilson_interval as wilson_interval,
)
