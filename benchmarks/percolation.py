"""Newman and Ziff's pass beside scipy: a whole curve over the filled share of a lattice, and how its time grows.

Both give the largest cluster and the number of clusters; scipy at 100 shares, the pass at every number of sites and
with the moments at which clusters go round. Both use one thread; the thresholds at the end use all that PyTorch may.
Run ``python benchmarks/percolation.py``.
"""

from __future__ import annotations

import resource
import sys
import time
from importlib.metadata import version
from typing import Any

import click
import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from bumplab.percolation.clusters import fill_lattice, first_wraps_of_discs
from bumplab.percolation.links import shells
from bumplab.percolation.thresholds import CRITICAL_DEGREE, estimate_threshold, sample_disc_wrapping, sample_wrapping

#: Shares of filled sites at which scipy labels the clusters.
SHARES = np.arange(1, 101) / 100
#: Shells of neighbours: 4, 8 and 24 neighbours.
SHELLS = (1, 2, 5)
#: How many times as fast as scipy.sparse.csgraph, which takes any neighbourhood, the pass has to be.
LEAST = 50
SIDES = (256, 512, 1024, 2048, 4096)


def graph_of_lattice(side: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the two ends of every link of a periodic lattice once."""
    y, x = np.divmod(np.arange(side**2, dtype=np.int32), side)
    half = [(dx, dy) for dx, dy in offsets.tolist() if (dy, dx) > (0, 0)]
    ends = [(y + dy) % side * side + (x + dx) % side for dx, dy in half]
    return np.tile(np.arange(side**2, dtype=np.int32), len(half)), np.concatenate(ends).astype(np.int32)


def by_graph(order: np.ndarray, side: int, offsets: np.ndarray) -> list[tuple[int, int]]:
    """Return the largest cluster and the number of clusters at every share, from scipy.sparse.csgraph."""
    a, b = graph_of_lattice(side, offsets)
    found = []
    for share in SHARES:
        filled = np.zeros(side**2, bool)
        filled[order[: round(share * side**2)]] = True
        kept = filled[a] & filled[b]
        graph = coo_array((np.ones(kept.sum(), bool), (a[kept], b[kept])), shape=(side**2, side**2))
        sizes = np.bincount(connected_components(graph, directed=False)[1][filled])
        found.append((int(sizes.max()), int((sizes > 0).sum())))
    return found


def by_image(order: np.ndarray, side: int, offsets: np.ndarray) -> list[tuple[int, int]]:
    """Return the same from scipy.ndimage, which labels images: open edges, and 4 or 8 neighbours."""
    found = []
    for share in SHARES:
        filled = np.zeros(side**2, bool)
        filled[order[: round(share * side**2)]] = True
        labels, number = ndimage.label(filled.reshape(side, side), np.ones((3, 3)) if len(offsets) == 8 else None)
        found.append((int(np.bincount(labels.ravel())[1:].max()), number))
    return found


def timed(call) -> tuple[float, Any]:
    begun = time.perf_counter()
    found = call()
    return time.perf_counter() - begun, found


def race(side: int, repeats: int) -> list[dict[str, Any]]:
    """Return the seconds of both for a curve on one lattice, in every neighbourhood that scipy can label."""
    order, rows = np.random.default_rng(0).permutation(side**2), []
    contests = [(count, True, by_graph) for count in SHELLS] + [(count, False, by_image) for count in (1, 2)]
    for count, periodic, rival in contests:
        offsets = shells(count)
        taken, growth = [], None
        for _ in range(repeats):
            seconds, growth = timed(lambda o=offsets, p=periodic: fill_lattice(order, (side, side), o, p))
            taken.append(seconds)
        theirs, expected = timed(lambda o=offsets, r=rival: r(order, side, o))
        at = [round(share * side**2) for share in SHARES]
        ours = list(zip(growth.largest[at].tolist(), growth.clusters[at].tolist(), strict=True))
        rows.append(
            {
                "rival": "scipy.sparse.csgraph" if rival is by_graph else "scipy.ndimage",
                "neighbours": len(offsets), "periodic": periodic, "side": side,
                "seconds": float(np.median(taken)), "rival_seconds": theirs,
                "times": theirs / float(np.median(taken)), "equal": ours == expected,
            }
        )  # fmt: skip
    return rows


def growth_of_time(sides: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Return the seconds of one pass for lattices of several sides, with 24 neighbours."""
    rows = []
    for side in sides:
        order = np.random.default_rng(0).permutation(side**2)
        taken = [timed(lambda o=order, s=side: fill_lattice(o, (s, s), shells(5)))[0] for _ in range(repeats)]
        rows.append({"side": side, "seconds": float(np.median(taken))})
    return rows


def known_thresholds() -> list[dict[str, Any]]:
    """Return thresholds with their errors, the published values, and the seconds that they took."""
    published = {"4 neighbours": 0.59274605, "8 neighbours": 0.40725395, "discs": CRITICAL_DEGREE}
    calls = {
        "4 neighbours": lambda: sample_wrapping(64, shells(1), 150_000),
        "8 neighbours": lambda: sample_wrapping(64, shells(2), 150_000),
        "discs": lambda: sample_disc_wrapping(64, 4000),
    }
    rows = []
    for name, call in calls.items():
        seconds, found = timed(lambda c=call: estimate_threshold(c()))
        rows.append({"name": name, "value": found.value, "error": found.error, "published": published[name],
                     "seconds": seconds})  # fmt: skip
    return rows


def measure(side: int = 1024, sides: tuple[int, ...] = SIDES, repeats: int = 3) -> dict[str, Any]:
    """Return the race, the growth of time and the thresholds; compiling comes before and is reported by itself."""
    compiling, _ = timed(lambda: fill_lattice(np.arange(64), (8, 8), shells(1)))
    first_wraps_of_discs(8, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    growth = growth_of_time(sides, repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    slope = np.polyfit(*np.log([(row["side"] ** 2, row["seconds"]) for row in growth]).T, 1)[0]
    return {
        "library": ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "scipy")),
        "compiling_seconds": compiling, "race": race(side, repeats), "growth": growth, "exponent": float(slope),
        "growth_peak_gib": peak,
        "thresholds": known_thresholds(),
    }  # fmt: skip


def passed(found: dict[str, Any]) -> bool:
    """Return whether the pass agrees with scipy everywhere and is fast enough beside its graphs."""
    graphs = [row for row in found["race"] if row["rival"] == "scipy.sparse.csgraph"]
    return all(row["equal"] for row in found["race"]) and min(row["times"] for row in graphs) >= LEAST


def words(found: dict[str, Any]) -> str:
    """Return the results as text."""
    lines = ["a whole curve          neighbours  edges        seconds  scipy, 100 shares  times as fast  equal"]
    for row in found["race"]:
        edges = "periodic" if row["periodic"] else "open"
        lines.append(
            f"{row['rival']:22s} {row['neighbours']:10d}  {edges:10s} {row['seconds']:9.2f}"
            f"  {row['rival_seconds']:17.1f}  {row['times']:13.0f}  {row['equal']}"
        )
    for row in found["growth"]:
        each = 1e9 * row["seconds"] / row["side"] ** 2
        lines.append(f"side {row['side']:5d}: {row['seconds']:8.3f} s, {each:5.0f} ns a site")
    lines.append(f"seconds grow as sites^{found['exponent']:.2f}; peak memory {found['growth_peak_gib']:.2f} GiB")
    lines += [
        f"{row['name']:13s} {row['value']:.6f} ± {row['error']:.6f}, published {row['published']:.6f},"
        f" {row['seconds']:.0f} s"
        for row in found["thresholds"]
    ]
    return "\n".join([*lines, f"compiling took {found['compiling_seconds']:.1f} s"])


@click.command()
@click.option("--side", default=1024, show_default=True, help="Side of the lattice in the race.")
@click.option("--largest", default=4096, show_default=True, help="Largest side in the growth of time.")
def main(side: int, largest: int) -> None:
    """Race scipy and print a table."""
    found = measure(side, tuple(each for each in SIDES if each <= largest))
    print(words(found))
    good = passed(found)
    print(f"equal to scipy, and {LEAST} times as fast as its graphs or more: {good}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
