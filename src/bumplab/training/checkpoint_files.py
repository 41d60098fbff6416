"""A checkpoint as a file: tensors in the format safetensors, and in its metadata two texts that bind them.

``checkpoint``
    One sealed line (:func:`~bumplab.common.digests.seal`), a :class:`Header`: what was trained, how far, under what
    circumstances, and the SHA-256 of the tensors and of the other text.
``progress``
    What grows through training, as JSON: ``history`` and ``snapshots``, see
    :class:`~bumplab.training.state.TrainState`.

A file is data from a stranger. What is wrong with one is said in errors that lack their subject: "is damaged or
foreign".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bumplab.common.digests import digest_arrays, digest_text, seal, unseal
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import atomic_write, is_file

FORMAT, VERSION = "bumplab checkpoint", 2
#: What is wrong with a file that is not as it was written.
DAMAGED = "is damaged or foreign"

_Step = Annotated[int, Field(ge=0, le=100_000_000)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]
_Words = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,100}$")]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Number = Annotated[int, Field(ge=0, le=2**53)] | Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Session(_Strict):
    """An entry of the list that :func:`~bumplab.training.state.begin_session` makes.

    Examples
    --------
    >>> from bumplab.training import init_state, preset
    >>> Session(**init_state(preset("smoke"), "cpu").sessions[0]).precision
    'fp32'
    """

    step: _Step
    device: _Words
    precision: Literal["fp32", "bf16", "fp16"]
    execution: Literal["eager", "compiled"] = "eager"  # nothing else before this was written down
    threads: _Count
    members: _Count
    torch: _Words
    bumplab: _Words


class Header(_Strict):
    """What a checkpoint says of itself.

    Attributes
    ----------
    format, version
        What kind of file it is.
    family, trainer, id, settings
        Of the run. The settings are in full, defaults included: a default that changed since would show.
    step, seconds
        See :class:`~bumplab.training.state.TrainState`.
    scaler : dict
        State of the loss scaler; empty unless precision is fp16.
    sessions : list of Session
        The last one says on what device and in which precision the checkpoint was written.
    progress, tensors : str
        The SHA-256 of the other text, and of all tensors with their names.

    Examples
    --------
    >>> [name for name, field in Header.model_fields.items() if not field.is_required()]
    ['format', 'version']
    """

    format: Literal["bumplab checkpoint"] = FORMAT
    version: Literal[2] = VERSION
    family: _Words
    trainer: _Count
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    settings: dict[str, Any]
    step: _Step
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    scaler: dict[str, _Number]
    sessions: list[Session] = Field(min_length=1)
    progress: _Digest
    tensors: _Digest


def write_checkpoint(
    path: Path, header: Mapping[str, Any], progress: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : Path
    header : mapping
        The fields of :class:`Header` from `family` to `sessions`.
    progress : mapping
        ``history`` and ``snapshots``.
    tensors : mapping of str to torch.Tensor
        On any device.

    Raises
    ------
    OSError
        If the disk refuses it.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = json.dumps(progress, separators=(",", ":"))
    whole = Header(**header, progress=digest_text(text), tensors=_digest(tensors))
    atomic_write(path, save(tensors, metadata={"checkpoint": seal(whole.model_dump()), "progress": text}))


def read_header(path: Path) -> Header:
    """Return what a checkpoint says of itself.

    Raises
    ------
    BumplabError
        If there is no file, or it is no checkpoint, of another format, damaged, or impossible in itself.

    Examples
    --------
    >>> read_header(Path("/dev/zero"))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: is no regular file
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
        if "checkpoint" not in metadata:
            raise BumplabError(DAMAGED)
        content = unseal(metadata["checkpoint"])
    version = content.get("version")
    if content.get("format") == FORMAT and type(version) is int and version != VERSION:
        raise BumplabError(f"is of format {quote(version)}, this bumplab reads {VERSION}")
    try:
        header = Header.model_validate(content)
    except ValidationError:
        raise BumplabError(DAMAGED) from None
    steps = [session.step for session in header.sessions]
    if steps != sorted(set(steps)) or steps[0] != 0 or steps[-1] > header.step:
        raise BumplabError(DAMAGED)
    return header


def read_content(
    path: Path, header: Header, expected: Mapping[str, torch.Tensor]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what the checkpoint of that header holds.

    Parameters
    ----------
    path : Path
    header : Header
        Of this file.
    expected : mapping of str to torch.Tensor
        Name to a tensor of the type and shape that the one in the file has to have; ``device="meta"`` will do.

    Returns
    -------
    progress : dict
        ``history`` and ``snapshots``.
    tensors : dict of str to torch.Tensor
        On the CPU.

    Raises
    ------
    BumplabError
        If it is not what the header says, or other tensors than expected.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from bumplab.training import init_state, preset
    >>> header = {"family": "bumps", "trainer": 1, "id": "0123456789ab", "settings": {}, "step": 0, "seconds": 0.0}
    >>> header |= {"scaler": {}, "sessions": init_state(preset("smoke"), "cpu").sessions}
    >>> progress, weights = {"history": {"loss": [], "accuracy": []}, "snapshots": {}}, {"weight": torch.ones(2)}
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "checkpoint.safetensors"
    ...     write_checkpoint(path, header, progress, weights)
    ...     read_content(path, read_header(path), {"weight": torch.zeros(2)})[1]
    {'weight': tensor([1., 1.])}
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get("progress", "")
        if digest_text(text) != header.progress or set(file.keys()) != expected.keys():
            raise BumplabError(DAMAGED)
        tensors = {}
        for name, like in expected.items():  # shapes first: a tensor that was not expected may be of any size
            if file.get_slice(name).get_shape() != list(like.shape):
                raise BumplabError(DAMAGED)
            tensors[name] = file.get_tensor(name).clone()  # off the file: what is checked is what is used
            if tensors[name].dtype != like.dtype:
                raise BumplabError(DAMAGED)
    if _digest(tensors) != header.tensors:
        raise BumplabError(DAMAGED)
    try:
        progress = json.loads(text)
    except (ValueError, RecursionError):
        raise BumplabError(DAMAGED) from None
    if not _is_progress(progress, header.step):
        raise BumplabError(DAMAGED)
    return progress, tensors


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file of safetensors; whatever fails in the block below is an error that lacks its subject."""
    if not is_file(path):
        raise BumplabError("is no regular file")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except BumplabError:
        raise
    except OSError as error:
        raise BumplabError(f"cannot be read ({error.strerror or error})") from None
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError, AttributeError):
        raise BumplabError(DAMAGED) from None


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    return digest_arrays({name: value.numpy() for name, value in tensors.items()})


def _is_progress(value: Any, step: int) -> bool:
    """Return whether a value is a history up to `step`, and a dict of snapshots."""
    if not (type(value) is dict and value.keys() == {"history", "snapshots"} and type(value["snapshots"]) is dict):
        return False
    history = value["history"]
    if not (type(history) is dict and history.keys() == {"loss", "accuracy"}):
        return False
    loss, accuracy = history["loss"], history["accuracy"]
    return (
        type(loss) is type(accuracy) is list
        and all(type(row) is list and len(row) == 2 and type(row[1]) is float and math.isfinite(row[1]) for row in loss)
        and all(type(row) is dict and {"step"} < row.keys() <= {"step", "seen", "unseen"} for row in accuracy)
        and all(_is_rates(row[part]) for row in accuracy for part in row.keys() - {"step"})
        and all(_rise([row[key] for row in rows], step) for key, rows in ((0, loss), ("step", accuracy)))
    )


def _is_rates(value: Any) -> bool:
    return type(value) is dict and all(type(x) in (int, float) and 0 <= x < math.inf for x in value.values())


def _rise(steps: list[Any], last: int) -> bool:
    """Return whether steps are whole numbers that rise from 1 or more to `last` or less."""
    return all(type(step) is int for step in steps) and all(
        before < step for before, step in zip([0, *steps], [*steps, last + 1], strict=True)
    )
