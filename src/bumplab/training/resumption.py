"""When training may go on from a checkpoint: silently nowhere but where it would end at the same weights.

Other settings and another kind of device are refused. Another precision, number of threads or members, or another
version of a library, is noted in the run's record, see :func:`~bumplab.training.state.begin_session`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bumplab.common.errors import BumplabError, quote
from bumplab.training.checkpoint_files import DAMAGED, Header
from bumplab.training.state import TrainState


class RefusalError(Exception):
    """A good checkpoint from which training must not go on. The sentence lacks its subject.

    Examples
    --------
    >>> issubclass(RefusalError, BumplabError)  # what is damaged gives way to an older one; what is refused does not
    False
    """


def check_rules(state: TrainState, header: Header) -> None:
    """Refuse to go on where training would end at other weights than those that the run's name stands for.

    Parameters
    ----------
    state : TrainState
        What is to be trained, here and now.
    header : Header
        Of a checkpoint.

    Raises
    ------
    RefusalError
        For other settings, defaults that have changed since included, another version of the trainer, or another kind
        of device.
    BumplabError
        If the header cannot be of such a state. The sentence lacks its subject, like that of the refusal.
    """
    settings, way_out = state.settings, "or delete it to train from the start."
    if header.trainer != settings.trainer_version:
        raise RefusalError(
            f"is of version {header.trainer} of the trainer, this is {settings.trainer_version}: "
            f"finish it with the bumplab that began it, {way_out}"
        )
    if (header.family, header.id) != (settings.family, settings.id):
        raise RefusalError(f"is the checkpoint of run {header.id}, not of {settings.id}; delete it.")
    changes = list(_differences(header.settings, settings.to_record(), settings.later_fields))
    if changes:
        more = f", and {len(changes) - 3} more" if len(changes) > 3 else ""
        raise RefusalError(
            f"is of other settings ({', '.join(changes[:3])}{more}): "
            f"finish it with the bumplab that began it, {way_out}"
        )
    there = {session.device.partition(" ")[0] for session in header.sessions} - {state.device.type}
    if there:
        raise RefusalError(f"is of device {', '.join(sorted(there))}, not {state.device.type}: go on there, {way_out}")
    if header.sessions[-1].precision == state.precision and not _fits(header.scaler, state.scaler.state_dict()):
        raise BumplabError(DAMAGED)


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], later: frozenset[str], prefix: str = ""
) -> Iterator[str]:
    """Yield in words where the settings in a checkpoint are other than those now; `later` ones it may lack."""
    for name in {**now, **then}:
        label, before, after = f"{prefix}{name}", then.get(name), now.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(before, after, later, f"{label}.")
        elif name not in then:
            if label not in later:
                yield f"{label} absent in the checkpoint, {quote(after)} now"
        elif name not in now:
            yield f"{quote(label)[1:-1]} {quote(before)} in the checkpoint, absent now"
        elif before != after:
            yield f"{label} {quote(before)} in the checkpoint, {quote(after)} now"


def _fits(scaler: Mapping[str, float], fresh: Mapping[str, float]) -> bool:
    """Return whether the state of a loss scaler could be that of one that began as `fresh`."""
    then, now = ({name: type(value) for name, value in each.items()} for each in (scaler, fresh))
    return then == now and scaler.get("scale", 1.0) > 0
