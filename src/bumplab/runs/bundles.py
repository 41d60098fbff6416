"""Many files as a few of bounded size, to be carried by hand from one computer to another.

A bundle is up to 8 parts, files ``bundle-DIGEST-KofN.bumplab`` in one folder::

    line     a Manifest, sealed (:func:`~bumplab.common.digests.seal`): which part this is, and of the whole bundle all
             files and all parts, with sizes and SHA-256
    payload  a piece of the files' contents, one after the other in the order of the manifest

Each part says everything, so what is whole in the others can be taken when one is lost. There are no paths in it: a
file has one of the three names that a store knows. Reading one trusts nothing, and writes nothing.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bumplab.common.digests import MAX_LINE, digest_json, seal, unseal
from bumplab.common.errors import BumplabError, quote
from bumplab.common.files import atomic_write, disk_errors, is_file

BUNDLE_SUFFIX = ".bumplab"
#: Parts of a bundle, and bytes of a part, its line included.
MAX_PARTS, MAX_PART_BYTES = 8, 16 * 2**20
#: Files of a bundle.
MAX_FILES = 2000

_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{12}(\.checkpoint-\d{8,9}|\.snapshot-\d{8,9})?\.safetensors$")
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BundledFile(_Strict):
    """What a manifest says of a file: its name, size and SHA-256.

    Examples
    --------
    >>> BundledFile(name="0123456789ab.safetensors", size=5, sha256="0" * 64).size
    5
    """

    name: _Name
    size: Annotated[int, Field(ge=0, le=MAX_PARTS * MAX_PART_BYTES)]
    sha256: _Digest


class _Part(_Strict):
    size: Annotated[int, Field(ge=0, le=MAX_PART_BYTES)]
    sha256: _Digest


class _Manifest(_Strict):
    format: Literal["bumplab bundle"] = "bumplab bundle"
    version: Literal[1] = 1
    part: Annotated[int, Field(ge=1, le=MAX_PARTS)]
    files: list[BundledFile] = Field(min_length=1, max_length=MAX_FILES)
    parts: list[_Part] = Field(min_length=1, max_length=MAX_PARTS)

    @property
    def bundle(self) -> str:
        """Digest of what all parts of a bundle say alike."""
        return digest_json(self.model_dump(exclude={"part"}))

    def is_possible(self) -> bool:
        names = {file.name for file in self.files}
        sizes = (sum(each.size for each in these) for these in (self.files, self.parts))
        return len(names) == len(self.files) and len(set(sizes)) == 1 and self.part <= len(self.parts)


@dataclass
class Bundle:
    """What was whole of a bundle; see :func:`read_bundles`.

    Attributes
    ----------
    files : dict
        Name to content, of the files that are whole.
    lost : tuple of str
        Names of the files that are not whole.
    """

    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    lost: tuple[str, ...] = ()


def bundle_room(names: Sequence[str]) -> int:
    """Return how many bytes files of these names may have together in one bundle.

    Examples
    --------
    >>> bundle_room(["0123456789ab.safetensors"])  # 8 parts of 16 MiB, less the 8 lines
    134209456
    """
    return MAX_PARTS * _capacity(names)


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files as a bundle into a folder and return the paths of its parts.

    Parameters
    ----------
    folder : Path
        It is made where it is missing.
    files : mapping
        Name to content; at least one.

    Raises
    ------
    BumplabError
        If a name is none of a store's files, there are more files or bytes than a bundle can hold, or the disk refuses.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> name = "0123456789ab.safetensors"
    >>> with TemporaryDirectory() as folder:
    ...     paths = write_bundle(Path(folder), {name: b"whole"})
    ...     bundle, problems = next(read_bundles(Path(folder)))
    >>> bundle.files, problems
    ({'0123456789ab.safetensors': b'whole'}, [])
    """
    whole = b"".join(files.values())
    if len(files) > MAX_FILES or len(whole) > bundle_room(list(files)):
        raise BumplabError(f"A bundle holds at most {MAX_FILES} files and {MAX_PARTS} x 16 MiB; write a second one.")
    room = _capacity(list(files))
    pieces = [whole[start : start + room] for start in range(0, len(whole) or 1, room)]
    try:
        listed = [BundledFile(name=name, size=len(content), sha256=_sha256(content)) for name, content in files.items()]
        parts = [_Part(size=len(piece), sha256=_sha256(piece)) for piece in pieces]
        manifests = [_Manifest(part=number, files=listed, parts=parts) for number in range(1, len(parts) + 1)]
    except ValidationError:
        raise BumplabError("A bundle holds runs, checkpoints and snapshots under the names of a store.") from None
    paths = []
    for manifest, piece in zip(manifests, pieces, strict=True):
        path = folder / f"bundle-{manifest.bundle[:8]}-{manifest.part}of{len(parts)}{BUNDLE_SUFFIX}"
        with disk_errors(path, other="name another folder"):
            atomic_write(path, f"{seal(manifest.model_dump())}\n".encode("ascii") + piece)
        paths.append(path)
    return paths


def read_bundles(folder: Path) -> Iterator[tuple[Bundle, list[str]]]:
    """Yield the bundles in a folder one at a time, each with what is wrong with it in sentences.

    Parts are told by their suffix and by what they say of themselves; other files are not looked at. A damaged or
    foreign part is a problem of the first bundle, or of an empty one where there is no other.

    Raises
    ------
    BumplabError
        If the folder cannot be read or holds no part of any bundle.

    Examples
    --------
    >>> next(read_bundles(Path("/")))
    Traceback (most recent call last):
    bumplab.common.errors.BumplabError: / holds no part of a bundle, a file ending in .bumplab; name another folder.
    """
    with disk_errors(folder, "read", "name another folder"):
        paths = sorted(path for path in Path(folder).iterdir() if path.name.endswith(BUNDLE_SUFFIX))
    if not paths:
        raise BumplabError(
            f"{quote(folder)} holds no part of a bundle, a file ending in {BUNDLE_SUFFIX}; name another folder."
        )
    bundles: dict[str, tuple[_Manifest, dict[int, list[Path]]]] = {}
    problems: list[str] = []
    for path in paths:
        try:
            manifest, _ = _read_part(path)
            found = bundles.setdefault(manifest.bundle, (manifest, {}))[1]
            found.setdefault(manifest.part, []).append(path)
        except BumplabError as error:
            problems.append(f"{quote(path)} {error}.")
    for manifest, found in bundles.values():
        yield _read_bundle(manifest, found, problems)
        problems = []
    if problems:
        yield Bundle(), problems


def _read_bundle(
    manifest: _Manifest, found: Mapping[int, list[Path]], problems: Sequence[str]
) -> tuple[Bundle, list[str]]:
    problems, pieces = list(problems), []
    for number in range(1, len(manifest.parts) + 1):
        paths = found.get(number, [])
        if not paths:
            problems.append(f"Part {number} of {len(manifest.parts)} of bundle {manifest.bundle[:8]} is missing.")
        piece = None
        for path in paths:
            try:
                content = _read_part(path)[1]
            except BumplabError as error:  # it was one a moment ago
                problems.append(f"{quote(path)} {error}.")
                continue
            if content is None:
                problems.append(f"{quote(path)} is damaged; fetch it again.")
            elif piece is not None:
                problems.append(f"{quote(path)} is part {number} once more; another copy was read.")
            piece = content if piece is None else piece
        pieces.append(piece)
    ends = list(itertools.accumulate((part.size for part in manifest.parts), initial=0))
    spans = [(start, end, piece) for start, end, piece in zip(ends, ends[1:], pieces, strict=False)]
    bundle, start = Bundle(), 0
    for file in manifest.files:
        end = start + file.size
        touched = [(a, b, piece) for a, b, piece in spans if a < end and b > start]
        cuts = [piece and piece[max(start - a, 0) : end - a] for a, _, piece in touched]
        content = b"".join(cut or b"" for cut in cuts)
        if None in cuts or _sha256(content) != file.sha256:
            bundle.lost = (*bundle.lost, file.name)
        else:
            bundle.files[file.name] = content
        start = end
    return bundle, problems


def _read_part(path: Path) -> tuple[_Manifest, bytes | None]:
    """Return what a part says and its payload, None where that is damaged; or raise an error that lacks its subject."""
    if not is_file(path):
        raise BumplabError("is no regular file")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_PART_BYTES + 1)
    except OSError as error:
        raise BumplabError(f"cannot be read ({error.strerror})") from None
    if len(content) > MAX_PART_BYTES:
        raise BumplabError(f"has more than {MAX_PART_BYTES:,} bytes, which no part has")
    line, _, payload = content.partition(b"\n")
    try:
        said = unseal(line[: MAX_LINE + 1].decode("ascii"))
    except (BumplabError, UnicodeDecodeError):
        raise BumplabError("is damaged or no part of a bundle") from None
    if said.get("format") == "bumplab bundle" and type(said.get("version")) is int and said["version"] != 1:
        raise BumplabError(f"is of format {quote(said['version'])}, this bumplab reads 1; update bumplab")
    try:
        manifest = _Manifest.model_validate(said)
    except ValidationError:
        raise BumplabError("says what no part of a bundle can") from None
    if not manifest.is_possible():
        raise BumplabError("says what no part of a bundle can")
    part = manifest.parts[manifest.part - 1]
    whole = len(payload) == part.size and _sha256(payload) == part.sha256
    return manifest, payload if whole else None


def _capacity(names: Sequence[str]) -> int:
    """Return how many bytes of payload a part has room for beside the longest line that it can begin with."""
    size = MAX_PARTS * MAX_PART_BYTES
    files = [{"name": name, "size": size, "sha256": "0" * 64} for name in names]
    parts = [{"size": size, "sha256": "0" * 64}] * MAX_PARTS
    head = {"format": "bumplab bundle", "version": 1, "part": 1, "files": files, "parts": parts}
    return MAX_PART_BYTES - len(seal(head)) - 1


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
