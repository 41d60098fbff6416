"""Campaigns: training for some minutes on somebody else's computer, and carrying home what came of it.

A campaign trains, in the user's store, what studies lack, and packs it into a bundle (:mod:`bumplab.runs.bundles`):
finished runs as they are, in the precision that their study keeps, and unfinished ones as checkpoints with their
snapshots. What does not fit stays in the store, and the next campaign packs it first.
:mod:`bumplab.runs.arrivals` files a bundle on the other computer.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import Timeout

from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import check_writable, disk_errors, is_file, write_file
from bumplab.common.run_settings import RunSettings
from bumplab.runs.bundles import MAX_FILES, MAX_PART_BYTES, MAX_PARTS, bundle_room, write_bundle
from bumplab.runs.checkpoint_checks import check_checkpoint
from bumplab.runs.deadlines import Deadline, checkpoint_bytes, run_bytes_forecast
from bumplab.runs.executor import Outcome
from bumplab.runs.file_store import FileStore
from bumplab.runs.lacking import has_begun, keeps_enough, train_lacking
from bumplab.runs.pack_store import PackStore
from bumplab.runs.records import StoreError
from bumplab.runs.run_file import read_run
from bumplab.runs.store import cache_folder, recorded_folder
from bumplab.training.checkpoints import find_checkpoints
from bumplab.training.state import Interrupted

#: Longest campaign, in minutes: four weeks.
MAX_MINUTES = 40_320
#: A packed file is read, checked, hashed and written.
_PASSES = 3
_PROBE = bytes(2**20)

Studies = Mapping[str, Mapping[RunSettings, str]]


@dataclass
class Campaign:
    """What a campaign has done.

    Attributes
    ----------
    outcomes : dict
        Id to outcome, see :func:`bumplab.runs.lacking.train_lacking`.
    parts : list of Path
        Of the bundle; empty where there was nothing to pack.
    runs, checkpoints : list of str
        Ids of what is packed, finished and unfinished.
    left : dict
        Id of what is not packed to the reason.

    Examples
    --------
    >>> Campaign().parts
    []
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    parts: list[Path] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def run_campaign(
    studies: Studies,
    out: Path,
    deadline: Deadline | None = None,
    jobs: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    compile: bool | None = None,
) -> Campaign:
    """Train what studies lack in the user's store, and pack it.

    Parameters
    ----------
    studies : mapping
        Name of a study to its runs, settings to what is kept of the weights.
    out : Path
        Folder of the bundle: not there, or empty.
    deadline : Deadline, optional
        See :func:`plan_deadline`.
    jobs, device, precision, compile
        See :func:`bumplab.runs.recording.record_studies`.

    Raises
    ------
    BumplabError
        If `out` holds anything or cannot be written to; nothing was trained then.
    Interrupted
        On Ctrl-C, after what there is by then was packed.
    """
    check_empty(out)
    store = FileStore(cache_folder())
    try:
        outcomes = train_lacking(studies, store.folder, False, jobs, device, precision, deadline, compile)
    except Interrupted as error:
        campaign = pack_campaign(studies, store, out)
        if not campaign.parts:
            raise
        what = f"{len(campaign.runs)} runs and {len(campaign.checkpoints)} checkpoints are packed in {quote(out)}"
        raise Interrupted(f"{error} {what}; the next call needs a new folder.") from None
    campaign = pack_campaign(studies, store, out)
    campaign.outcomes = outcomes
    return campaign


def check_empty(out: Path) -> None:
    """Raise an error unless a folder can be written to, and is not there or empty.

    Examples
    --------
    >>> check_empty(Path("/"))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: / is not empty; name a new folder for the bundle.
    """
    with disk_errors(out, "use", "name another folder"):
        if out.is_dir() and any(out.iterdir()):
            raise BumplabError(f"{quote(out)} is not empty; name a new folder for the bundle.")
    check_writable(out)


def plan_deadline(studies: Studies, minutes: float, out: Path | None, begun: float) -> Deadline:
    """Return when training has to have ended, so that packing it ends in time; how fast a disk writes is measured.

    Parameters
    ----------
    studies : mapping
        See :func:`run_campaign`.
    minutes : float
        That all of it may take; above 0.
    out : Path, optional
        See :func:`run_campaign`; without one, nothing is packed, and the user's store is measured.
    begun : float
        When it began, ``time.time()``.

    Raises
    ------
    BumplabError
        If `minutes` is no such number, or the folder cannot be written to.

    Examples
    --------
    >>> plan_deadline({}, -1, Path("/nowhere"), time.time())
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: A campaign takes more than 0 and at most 40320 minutes, got -1.
    """
    if not (math.isfinite(minutes) and 0 < minutes <= MAX_MINUTES):
        raise BumplabError(f"A campaign takes more than 0 and at most {MAX_MINUTES} minutes, got {quote(minutes)}.")
    folder = cache_folder() if out is None else out
    check_writable(folder)
    probe, start = folder / ".probe", time.perf_counter()
    with disk_errors(probe):
        try:
            write_file(probe, _PROBE)
        finally:
            probe.unlink(missing_ok=True)
    hashlib.sha256(_PROBE).digest()
    speed = len(_PROBE) / (time.perf_counter() - start)
    each = [run_bytes_forecast(settings, kept) for study in studies.values() for settings, kept in study.items()]
    unfinished = max((checkpoint_bytes(settings) for study in studies.values() for settings in study), default=0)
    packing = _PASSES * min(sum(each) + unfinished, MAX_PARTS * MAX_PART_BYTES) / speed if out else 0.0
    return Deadline(begun + 60 * minutes - packing, speed)


def pack_campaign(studies: Studies, store: FileStore, out: Path) -> Campaign:
    """Pack what a store has of the runs that studies ask for and that are not recorded, as much as a bundle holds.

    Finished runs that no earlier call has packed come first, then checkpoints, then the others; in each group, those
    that a study names first.

    Raises
    ------
    BumplabError
        If the disk refuses.
    """
    campaign, files = Campaign(), {}
    recorded = set(PackStore(recorded_folder()).ids())
    for id, paths in _candidates(studies, store, recorded, campaign):
        size = sum(path.stat().st_size for path in paths.values())
        names = [*files, *paths]
        if size > bundle_room(list(paths)):
            campaign.left[id] = f"{size / 2**20:.0f} MiB, more than a bundle holds: carry {store.folder} itself"
        elif len(names) > MAX_FILES or sum(map(len, files.values())) + size > bundle_room(names):
            campaign.left[id] = f"{size / 2**20:.0f} MiB, for which there was no room: the next call packs it"
        else:
            files |= {name: path.read_bytes() for name, path in paths.items()}
            (campaign.runs if f"{id}.safetensors" in paths else campaign.checkpoints).append(id)
    if files:
        campaign.parts = write_bundle(out, files)
        for id in campaign.runs:
            with disk_errors(store.folder):
                _mark(store, id).touch()
    return campaign


def _candidates(
    studies: Studies, store: FileStore, recorded: set[str], campaign: Campaign
) -> Iterator[tuple[str, dict[str, Path]]]:
    """Yield id and the files of each run that could be packed; what is damaged or in use is left."""
    cells = [(each.id, kept, name) for name, study in studies.items() for each, kept in study.items()]
    cells = [cell for cell in cells if cell[0] not in recorded]
    finished = [cell for cell in cells if is_file(store.path(cell[0]))]
    fresh = [cell for cell in finished if not _mark(store, cell[0]).exists()]
    begun = [cell for cell in cells if cell not in finished and has_begun(store, cell[0])]
    for id, kept, study in [*fresh, *begun, *(cell for cell in finished if cell not in fresh)]:
        try:
            with store.hold(id, timeout=0):
                if (id, kept, study) in begun:
                    yield id, _checkpoint_files(store, id)
                    continue
                run = read_run(store.path(id))
                run.check()
                if keeps_enough(run, kept):
                    yield id, {store.path(id).name: store.path(id)}
                else:
                    campaign.left[id] = f"it keeps less of its weights than {kept!r}, which study {study} asks for"
        except Timeout:
            campaign.left[id] = "another process is training it"
        except BumplabError as error:
            campaign.left[id] = str(error).rstrip(".")


def _checkpoint_files(store: FileStore, id: str) -> dict[str, Path]:
    """Return the files of the newest good checkpoint of a run, by the names that a bundle gives them."""
    problem = StoreError(f"Run {id} has no checkpoint.")
    for path in find_checkpoints(store.work_folder(id)).values():
        try:
            _, snapshots = check_checkpoint(path, id)
            return {f"{id}.{name}": path.with_name(name) for name in [path.name, *snapshots]}
        except BumplabError as error:
            problem = error
    raise problem


def _mark(store: FileStore, id: str) -> Path:
    """Return the path of the empty file which says that a run was packed."""
    return store.folder / f"{id}.packed"


def describe_too_large(studies: Studies) -> list[str]:
    """Return, in at most one line, which runs keep more than a bundle can hold: they would never be packed.

    Examples
    --------
    >>> from bumplab.training.settings import preset
    >>> describe_too_large({"tests": {preset("paper", training={"snapshots": (0, 1, 2)}): "all"}})
    ['Runs that keep more than a bundle holds will stay here: 1, of up to 168 MiB; --keep half packs them.']
    """
    sizes = [run_bytes_forecast(settings, kept) for study in studies.values() for settings, kept in study.items()]
    large = [size for size in sizes if size > MAX_PARTS * MAX_PART_BYTES]
    if not large:
        return []
    what = f"{len(large)}, of up to {max(large) / 2**20:.0f} MiB"
    return [f"Runs that keep more than a bundle holds will stay here: {what}; --keep half packs them."]


def describe_campaign(campaign: Campaign, out: Path) -> Sequence[str]:
    """Return what a campaign has done, in lines.

    Examples
    --------
    >>> outcomes = {"0123456789ab": {"status": "waiting"}}
    >>> describe_campaign(Campaign(outcomes), Path("out"))
    ['0 runs trained, 0 stopped with a checkpoint, 1 waiting, 0 failed.', 'There is nothing to pack into out.']
    """
    statuses = [outcome["status"] for outcome in campaign.outcomes.values()]
    trained, stopped, waiting, failed = (statuses.count(s) for s in ("trained", "stopped", "waiting", "failed"))
    lines = [f"{trained} runs trained, {stopped} stopped with a checkpoint, {waiting} waiting, {failed} failed."]
    if campaign.parts:
        size = sum(path.stat().st_size for path in campaign.parts) / 2**20
        what = f"{len(campaign.runs)} runs and {len(campaign.checkpoints)} checkpoints"
        lines.append(f"Packed {what} into {quote(out)}: {len(campaign.parts)} files, {size:.1f} MiB.")
    else:
        lines.append(f"There is nothing to pack into {quote(out)}.")
    return lines + [f"Left out: run {id}, {reason}." for id, reason in campaign.left.items()]
