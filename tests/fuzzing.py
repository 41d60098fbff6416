"""Files and values that are nearly right, drawn by hypothesis."""

import json
import signal
import struct
from contextlib import contextmanager

from hypothesis import strategies as st

from bumplab.common.digests import digest_text

#: Placeholders for what json does not write, see :func:`to_text`.
_RAW = {
    '"@deep"': "[" * 5000 + "]" * 5000,
    '"@digits"': "9" * 5000,
    '"@long"': '"' + "x" * 200_000 + '"',
    '"@pairs"': '{"a":1,"a":2}',
}
#: Texts that mean something to a terminal, a file system, a shell or a parser of another language.
_TEXTS = ["\x1b[2J", "a\nb", "\ud800", "e\u0301", "../../x", "/dev/zero", "true", "0.5", "CON", "a\0b", "id", "x" * 120]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([*_TEXTS, *map(json.loads, _RAW), 10**400, 2**63, -0.0, 1e300, 4, 8, 2048]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_NAMES = st.sampled_from([*_TEXTS, "loss", "weights", "seen", "unseen", "joint"]) | st.text(max_size=5)


def change(data, value, label):
    """Draw another value for some entry of a JSON value, at any depth; or one entry more, less, or twice."""
    if isinstance(value, (dict, list)) and value and data.draw(st.integers(0, 3), label=f"{label} deeper"):
        key = data.draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))), label=label)
        copy = value.copy()
        what = data.draw(st.integers(0, 9), label="what")
        if what == 0:
            del copy[key]
        elif what == 1 and isinstance(value, dict):
            copy[data.draw(_NAMES, label="name")] = copy.pop(key)
        elif what == 2 and isinstance(value, dict):
            copy[data.draw(_NAMES, label="more")] = copy[key]
        elif what == 2:
            copy += [copy[key]] * 2
        else:
            copy[key] = change(data, value[key], label)
        return copy
    return data.draw(VALUES, label=f"{label} is")


def to_text(value):
    """Return JSON as seals are made over; what stands for text that json would not write becomes that text."""
    text = json.dumps(value, separators=(",", ":"))
    for name, raw in _RAW.items():
        text = text.replace(name, raw)
    return text


def seal_text(text):
    """Seal a text that ends in a brace, whatever it is."""
    return f'{text[:-1]},"sha256":"{digest_text(text)}"}}'


def draw_bytes(data, one, other):
    """Draw a file that is nearly one of two: bytes flipped, cut, doubled, or swapped between them."""
    at = data.draw(st.integers(0, len(one) - 1) | st.integers(0, 2000), label="at")
    size = data.draw(st.integers(1, 5000), label="size")
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "remove", "swap", "append"]), label="kind")
    if kind == "flip" and at < len(one):
        return one[:at] + bytes([one[at] ^ data.draw(st.integers(1, 255))]) + one[at + 1 :]
    if kind == "swap":
        return one[:at] + other[at : at + size] + one[at + size :]
    return {
        "flip": b"",
        "cut": one[:at],
        "insert": one[:at] + one[at : at + size] + one[at:],
        "remove": one[:at] + one[at + size :],
        "append": one + bytes(size),
    }[kind]


def draw_header(data, content):
    """Draw a safetensors file in whose header a type, shape, place or name is another one."""
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    metadata = header.pop("__metadata__", None)
    if header:
        name = data.draw(st.sampled_from(sorted(header)), label="tensor")
        kind = data.draw(st.sampled_from(["dtype", "shape", "offsets", "any"]), label="header")
        if kind == "dtype":
            header[name]["dtype"] = data.draw(
                st.sampled_from("BF16 F8_E4M3 F4 C64 U8 I64 U64 BOOL F64 F32 F16 E5M2".split()), label="dtype"
            )
        elif kind == "shape":
            header[name]["shape"] = data.draw(
                st.lists(st.sampled_from([0, 1, 2, 8, 64, 2**40, 2**63, 2**64 - 1]), max_size=4), label="shape"
            )
        elif kind == "offsets":
            begin, end = header[name]["data_offsets"]
            header[name]["data_offsets"] = [
                begin + data.draw(st.integers(-9, 9)), end + data.draw(st.integers(-9, 9) | st.just(2**62))
            ]  # fmt: skip
        else:
            header = change(data, header, "header")
    if metadata is not None and isinstance(header, dict):
        header = {"__metadata__": metadata, **header}
    text = to_text(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


@contextmanager
def within(seconds):
    """Raise TimeoutError within a ``with`` block that lasts longer, also where it waits for the system."""

    def stop(*_):
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
