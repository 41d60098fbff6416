"""What a disk refuses is one sentence with path, cause and way out; nothing is lost, and the same call works later."""

import builtins
import contextlib
import ctypes
import errno
import io
import json
import os
import re
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from tampering import contents
from tiny_runs import CONTEXT, get, tiny

from bumplab.chapters import studies
from bumplab.cli import chapters, runs, sweep, train as train_command
from bumplab.cli.app import run
from bumplab.common import places
from bumplab.common.errors import BumplabError
from bumplab.runs import bump_family, recording
from bumplab.runs.packing import write_pack
from bumplab.runs.store import find
from patching import replace_everywhere

#: A child that has become another user can import nothing more.
IMPORTED = chapters, runs, sweep, train_command, bump_family, recording
SETTINGS, OTHER, FRESH = tiny(), tiny(seed=1), tiny(seed=2)
TRAIN = ["train", "--preset", "smoke", "--device", "cpu"]
for change in ("seed=2", "world.size=8", "model.patch=1", "training.steps=10", "training.snapshots=[0, 5]"):
    TRAIN += ["--set", change]
TRAIN += ["--set", "training.evaluate_every=5"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return three runs."""
    store = tmp_path_factory.mktemp("trained")
    return [get(settings, store) for settings in (SETTINGS, OTHER, FRESH)]


@pytest.fixture
def base(trained):
    """Return a folder that everybody can enter: a store of one run, a study of another, and a third as a file."""
    base = Path(tempfile.mkdtemp())
    for name in ("store", "recorded", "exported"):
        (base / name).mkdir()
    shutil.copy(trained[0].path, base / "store")
    write_pack(base / "recorded" / "study", "study", [trained[1].record()])
    shutil.copy(trained[2].path, base)
    for path in [base, *base.rglob("*")]:
        path.chmod(0o755)
    yield base
    for path in [base, *base.rglob("*")]:
        with contextlib.suppress(OSError):
            path.chmod(0o755)
    shutil.rmtree(base)


# ---------------------------------------------------------------- what may be wrong with a disk


class Mounted:
    """A small disk of its own in the place of a folder, with what was there on it; only this process sees it."""

    NEW_MOUNTS, NEW_USER, READ_ONLY, REMOUNT, PRIVATE = 0x20000, 0x10000000, 1, 32, 0x44000

    def __init__(self, folder, size):
        self.folder, self.libc = str(folder).encode(), ctypes.CDLL(None, use_errno=True)
        user, group = os.getuid(), os.getgid()
        self.call("unshare", self.NEW_MOUNTS | (self.NEW_USER if user else 0))
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        self.call("mount", None, b"/", None, self.PRIVATE, None)
        kept = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.call("mount", b"tmpfs", self.folder, b"tmpfs", 0, b"size=64m")
        for name, content in kept.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        used = sum(-(-len(content) // 4096) * 4096 for content in kept.values())
        if size is None:
            self.call("mount", None, self.folder, None, self.REMOUNT | self.READ_ONLY, None)
        else:
            self.call("mount", None, self.folder, None, self.REMOUNT, f"size={used + size}".encode())

    def mend(self):
        self.call("mount", None, self.folder, None, self.REMOUNT, b"size=64m")

    def call(self, name, *arguments):
        if getattr(self.libc, name)(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Full(io.FileIO):
    """Stands in for files on a full disk where no disk can be mounted."""

    def write(self, data):
        if len(data) > 20_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def can_mount(folder):
    """Return whether this process may mount a disk, tried in another: one that may not is no more what it was."""
    process = os.fork()
    if not process:
        with contextlib.suppress(OSError):
            Mounted(folder, None)
            os._exit(0)
        os._exit(1)
    return os.waitpid(process, 0)[1] == 0


def fill(folder):
    """Leave room for a few kilobytes; return what makes room."""
    if can_mount(folder):
        return Mounted(folder, 40_000).mend
    patch, real = pytest.MonkeyPatch(), builtins.open

    def open(file, mode="r", *arguments, **options):
        inside = isinstance(file, str | os.PathLike) and folder in Path(file).parents
        full = inside and "b" in mode and set(mode) & set("wxa")
        return Full(file, mode.replace("b", "")) if full else real(file, mode, *arguments, **options)

    patch.setattr(builtins, "open", open)
    patch.setattr(io, "open", open)
    return patch.undo


def limit(folder):
    """Let no file grow beyond a few kilobytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def make_read_only(folder):
    return Mounted(folder, None).mend if can_mount(folder) else give_away(folder)


def give_away(folder, mode=0o555, also=None):
    """Let nobody write into the folder, be it by becoming nobody."""
    paths = [path for path in [folder, *folder.rglob("*")] if path.is_dir()]
    for path in [*paths, *([also] if also else [])]:
        path.chmod(0 if path == also else mode)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)

    def mend():
        if root:
            os.seteuid(0)
        for path in paths:
            path.chmod(0o755)

    return mend


REFUSALS = {
    "full": (fill, "No space left on device; make room there, or "),
    "limited": (limit, r"File too large; raise the limit on the size of files \(ulimit -f\), or "),
    "read-only": (make_read_only, "(Read-only file system; |Permission denied; ask its owner for permission, or )"),
    "foreign": (give_away, "Permission denied; ask its owner for permission, or "),
}


# ---------------------------------------------------------------- calls in a process of their own


def call(words):
    """Return exit code, output and errors of a command, or of a call of find or load_or_train."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            if words[0] in ("find", "load_or_train"):
                found = find(SETTINGS) if words[0] == "find" else get(FRESH, None)
                print(found.path if found else None)
            else:
                sys.argv = ["bumplab", *map(str, words)]
                run()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BumplabError as error:
            code = 2
            print(f"Error: {error}", file=sys.stderr)
    return code, output.getvalue(), errors.getvalue()


def child(base, spoil, folder, commands, log):
    """Do commands in a folder that was spoilt; "mend" among them makes it usable again."""
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    replace_everywhere(patch, "bumplab.runs.store.recorded_folder", lambda: base / "recorded")
    replace_everywhere(patch, "bumplab.runs.recording.work_folder", lambda: base / "work")
    patch.setattr(studies, "all_studies", lambda *_: {"study": {FRESH: "all"}})
    os.environ["BUMPLAB_STORE"] = str(base / "store")
    get(tiny(3), base / "warm")  # imports what is imported at first use
    for words in (["runs", "list"], ["runs", "verify", "x"], ["runs", "record", "--help"], ["runs", "pack", "--help"]):
        call(words)
    results, mend = [], spoil(base / folder)
    try:
        for words in commands:
            if words == "mend":
                mend()
            else:
                results.append(call(words))
    finally:
        mend()
    if (base / folder).is_dir():
        shutil.copytree(base / folder, base / "after")
    log.write_text(json.dumps(results))


def calls(base, spoil, folder, *commands):
    """Return the results of commands in a process of its own; see :func:`child`."""
    process = CONTEXT.Process(target=child, args=(base, spoil, folder, commands, base / "log"))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    return json.loads((base / "log").read_text())


def refused(result, path, reason, code=2):
    """Check that a result is one sentence with the path and the reason."""
    assert result[0] == code, result
    assert re.fullmatch(rf"Error: [^\n]*{re.escape(str(path))}[^\n]*{reason}[^\n]*\.\n", result[2]), result[2]


def done(result, *words):
    assert result[0] == 0 and result[2] == "", result
    assert all(str(word) in result[1] for word in words), result


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_store_that_takes_nothing(kind, base, trained):
    spoil, reason = REFUSALS[kind]
    store = base / "store"
    importing = ["runs", "import", base / trained[2].path.name]
    commands = [["find"], ["runs", "list"], TRAIN, ["load_or_train"], importing, "mend", TRAIN, ["runs", "list"]]
    find_it, listed, *refusals, again, last = calls(base, spoil, "store", *commands)
    done(find_it, store / trained[0].path.name)
    done(listed, f"recorded  {OTHER.id}", f"cache     {SETTINGS.id}")
    for result in refusals:
        refused(result, store, rf"{reason}set BUMPLAB_STORE to another folder")
    done(again, FRESH.id)
    done(last, OTHER.id, SETTINGS.id, FRESH.id)
    for one in (trained[0], trained[2]):
        assert contents(base / "after" / one.path.name) == contents(one.path)
    assert {path.suffix for path in (base / "after").iterdir()} == {".safetensors", ".lock"}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_folder_that_takes_no_export(kind, base, trained):
    spoil, reason = REFUSALS[kind]
    exporting = ["runs", "export", SETTINGS.id, base / "exported"]
    refusal, again = calls(base, spoil, "exported", exporting, "mend", exporting)
    refused(refusal, base / "exported", rf"{reason}name another folder")
    done(again)
    assert [path.name for path in (base / "after").iterdir()] == [trained[0].path.name]
    assert contents(base / "after" / trained[0].path.name) == contents(trained[0].path)


@pytest.mark.parametrize("kind", REFUSALS)
def test_studies_that_take_no_run(kind, base, trained):
    spoil, reason = REFUSALS[kind]
    packing = [["runs", "pack", SETTINGS.id, "--study", study] for study in ("study", "new")]
    recording = ["runs", "record", "--jobs", "1", "--device", "cpu"]
    listing = ["runs", "verify"]
    (base / "work").mkdir()
    shutil.copy(trained[2].path, base / "work")
    (base / "work" / trained[2].path.name).chmod(0o755)
    commands = [*packing, recording, listing, "mend", recording, *packing[:1], listing]
    *refusals, listed, recorded, packed, last = calls(base, spoil, "recorded", *commands)
    for result in refusals:
        refused(result, base / "recorded", rf"{reason}use a clone of the repository that is yours")
    done(listed, "2 proved", "0 refuted")
    done(recorded, "1 runs recorded")
    done(packed, "3 runs in")
    done(last, "4 proved", "0 refuted")
    assert sorted(path.name for path in (base / "after").iterdir() if not path.name.endswith("lock")) == ["study"]


def hide_store(folder):
    return give_away(folder, 0)


def hide_run(folder):
    return give_away(folder, 0o755, next(folder.glob("*.safetensors")))


@pytest.mark.parametrize("hide", [hide_store, hide_run])
def test_a_store_or_run_that_cannot_be_read_keeps_no_other_from_being_shown(hide, base, trained):
    shows = [["runs", "show", id] for id in (OTHER.id, SETTINGS.id)]
    exporting = ["runs", "export", SETTINGS.id, base / "exported"]
    commands = [["runs", "list"], ["runs", "verify"], *shows, exporting, ["find"], "mend", ["find"]]
    listed, verified, shown, *refusals, again = calls(base, hide, "store", *commands)
    place = base / "store" if hide is hide_store else base / "store" / trained[0].path.name
    reason = "Permission denied; ask its owner for permission, or "
    refused(listed, place, reason, code=1)
    assert listed[1].startswith(f"recorded  {OTHER.id}")
    assert verified[0] == 1 and "1 proved" in verified[1] and f"{place}: Permission" in verified[1] + verified[2]
    done(shown, f'"id": "{OTHER.id}"')
    for result in refusals:
        refused(result, place, reason)
    done(again, base / "store" / trained[0].path.name)


COMMANDS = [["find"], ["load_or_train"], TRAIN, ["runs", "list"], ["runs", "verify"], ["runs", "show", "0"]]
ADDRESSES = {
    "a file": ("file", "it is not a folder; set BUMPLAB_STORE to another folder"),
    "below a file": ("file/below", "Not a directory; set BUMPLAB_STORE to another folder"),
    "a link to nothing": ("link", "it is a link to nothing; set BUMPLAB_STORE to another folder"),
    "too long": ("a" * 300, "File name too long; use a shorter name"),
    "no home": (None, "No home folder is known here: set BUMPLAB_STORE to a folder"),
}


@pytest.mark.parametrize("name, reason", ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_where_no_store_can_be(name, reason, base, trained, monkeypatch, recorded_elsewhere):
    (base / "file").write_text("")
    (base / "link").symlink_to(base / "nothing")
    if name:
        monkeypatch.setenv("BUMPLAB_STORE", str(base / name))
    else:
        monkeypatch.delenv("BUMPLAB_STORE")
        monkeypatch.setattr(places, "user_cache_path", lambda *_, **__: Path("~/.cache"))
    before = sorted(base.rglob("*"))
    ways = [["runs", "import", base / trained[2].path.name], ["runs", "pack", SETTINGS.id, "--study", "study"]]
    ways += [["runs", "export", SETTINGS.id, base / "exported"]]
    for words in [*COMMANDS, *ways]:
        shows_recorded = words in (["runs", "list"], ["runs", "verify"])  # and then says what is wrong with the store
        refused(call(words), (str(base / name)[:20] if name else ""), reason, code=1 if shows_recorded else 2)
    assert sorted(base.rglob("*")) == before


@pytest.fixture
def recorded_elsewhere(base, monkeypatch):
    replace_everywhere(monkeypatch, "bumplab.runs.store.recorded_folder", lambda: base / "recorded")
    argv = sys.argv
    yield
    sys.argv = argv
