"""Changes to the file of a run that its own checks may or may not notice."""

import json
from contextlib import contextmanager

from safetensors import safe_open
from safetensors.numpy import save_file

from bumplab.common.digests import seal


@contextmanager
def tampered(path, sealed=True):
    """Yield line, curves and tensors of a run's file, and write what became of them; `sealed` with a seal that fits."""
    with safe_open(path, framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    line, curves = map(json.loads, metadata["run"].split("\n"))
    digest = line.pop("sha256")
    yield line, curves, tensors
    text = seal(line) if sealed else json.dumps(line | {"sha256": digest}, separators=(",", ":"))
    save_file(tensors, path, {"run": f"{text}\n{json.dumps(curves)}"})


def contents(path):
    """Return all that training makes of a run, without how it was made."""
    with safe_open(path, framework="numpy") as file:
        line = json.loads(file.metadata()["run"].split("\n")[0])
        names = sorted(file.keys())
        assert any(name.startswith("weights/weights/") for name in names) and line["curves"]
        return line | {"provenance": None, "sha256": None}, {name: file.get_tensor(name).tobytes() for name in names}
