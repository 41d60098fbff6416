from .checkpoint_files import (
    DAMAGED as DAMAGED,
    FORMAT as FORMAT,
    VERSION as VERSION,
    Header as Header,
    Session as Session,
    read_content as read_content,
    read_header as read_header,
    write_checkpoint as write_checkpoint,
)
from .checkpoints import (
    checkpoint_name as checkpoint_name,
    find_checkpoints as find_checkpoints,
    init_or_resume as init_or_resume,
    resume as resume,
    save_checkpoint as save_checkpoint,
)
from .compilation import (
    BACKEND as BACKEND,
    COMPILE_SECONDS as COMPILE_SECONDS,
    SPEEDUP as SPEEDUP,
    choose_compilation as choose_compilation,
    compile_loss as compile_loss,
    is_worth_compiling as is_worth_compiling,
    make_step as make_step,
    time_step as time_step,
)
from .cuda_graph import (
    WARM_UP_STEPS as WARM_UP_STEPS,
    CudaGraphs as CudaGraphs,
    Graphs as Graphs,
    make_executor as make_executor,
    record_step as record_step,
    rehearse as rehearse,
)
from .device import (
    DTYPES as DTYPES,
    device_name as device_name,
    pick_device as pick_device,
    pick_precision as pick_precision,
    warn_of_emulation as warn_of_emulation,
)
from .ensembles import (
    ENSEMBLE_CHECKPOINT_SECONDS as ENSEMBLE_CHECKPOINT_SECONDS,
    MAX_MEMBERS as MAX_MEMBERS,
    Ensemble as Ensemble,
    batching_key as batching_key,
    groups as groups,
    is_worthwhile as is_worthwhile,
)
from .loop import (
    CHECKPOINT_SECONDS as CHECKPOINT_SECONDS,
    CHECKPOINT_SHARE as CHECKPOINT_SHARE,
    ema_decay as ema_decay,
    execute_steps as execute_steps,
    learning_rate as learning_rate,
    run_loop as run_loop,
    train as train,
    training_steps as training_steps,
)
from .mixed_precision import NORMS as NORMS, cast_weights as cast_weights, norm_names as norm_names
from .outcomes import (
    EMBEDDED_LAYER as EMBEDDED_LAYER,
    MAX_EVALUATIONS as MAX_EVALUATIONS,
    MOMENTS as MOMENTS,
    embedding_shape as embedding_shape,
    evaluate_final as evaluate_final,
    evaluate_model as evaluate_model,
    expected_loss as expected_loss,
    layer_embedding as layer_embedding,
    measure as measure,
)
from .presets import PRESETS as PRESETS
from .recordable import Recordable as Recordable
from .resumption import RefusalError as RefusalError, check_rules as check_rules
from .settings import (
    Model as Model,
    Process as Process,
    Settings as Settings,
    Steps as Steps,
    Training as Training,
    preset as preset,
)
from .snapshots import (
    ELSEWHERE as ELSEWHERE,
    load_snapshot as load_snapshot,
    read_snapshot as read_snapshot,
    save_snapshot as save_snapshot,
    snapshot_name as snapshot_name,
)
from .state import (
    Interrupted as Interrupted,
    TrainState as TrainState,
    begin_session as begin_session,
    init_optimizer as init_optimizer,
    init_state as init_state,
    mean_target as mean_target,
)
from .step import (
    Learner as Learner,
    Loss as Loss,
    Weights as Weights,
    draw_batch as draw_batch,
    network_loss as network_loss,
    over_stack as over_stack,
    restore_after as restore_after,
    stack_loss as stack_loss,
    take_step as take_step,
)
from .stopping import catch_interrupt as catch_interrupt, is_stop_due as is_stop_due, stop_when as stop_when
