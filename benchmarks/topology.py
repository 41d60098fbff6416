"""Betti numbers by the book's rule on shapes whose Betti numbers are known: how often are they right?

Each draw is 1,000 random points of a shape in 256 dimensions, randomly rotated, with isotropic Gaussian noise.
Run ``python benchmarks/topology.py``; with ``--noise`` it shows where the rule breaks.
"""

from __future__ import annotations

import os
import resource
import sys
import time

import click
import numpy as np

from bumplab.analysis.topology import betti_numbers


def circle(n, rng):
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def sphere(n, rng):
    points = rng.normal(size=(n, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def torus(n, rng):
    """Major radius 2, minor radius 1, evenly over the surface (by rejection)."""
    x, y, keep = rng.uniform(size=(3, 4 * n))
    x, y = 2 * np.pi * x, 2 * np.pi * y
    x, y = (angle[keep < (2 + np.cos(y)) / 3][:n] for angle in (x, y))
    return np.stack([(2 + np.cos(y)) * np.cos(x), (2 + np.cos(y)) * np.sin(x), np.sin(y)], axis=1)


def clifford(n, rng):
    return np.concatenate([circle(n, rng), circle(n, rng)], axis=1)


def two_circles(n, rng):
    return circle(n, rng) + np.where(np.arange(n) % 2, 1.5, -1.5)[:, None] * [1, 0]


def figure_eight(n, rng):
    return circle(n, rng) + np.where(np.arange(n) % 2, 1, -1)[:, None] * [1, 0]


def klein_bottle(n, rng):
    """A tube of radius 1 round a circle of radius 2, turned over half way round in a fourth dimension."""
    x, y = rng.uniform(0, 2 * np.pi, (2, n))
    ring = 2 + np.cos(y)
    return np.stack([ring * np.cos(x), ring * np.sin(x), np.sin(y) * np.cos(x / 2), np.sin(y) * np.sin(x / 2)], axis=1)


def blob(n, rng):
    return rng.normal(size=(n, 3))


#: Name: sampler, prime of the coefficient field, Betti numbers. The smallest radius of each shape is 1.
SHAPES = {
    "circle": (circle, 2, (1, 1, 0)),
    "sphere": (sphere, 2, (1, 0, 1)),
    "torus in 3D": (torus, 2, (1, 2, 1)),
    "Clifford torus": (clifford, 2, (1, 2, 1)),
    "two circles": (two_circles, 2, (2, 2, 0)),
    "figure eight": (figure_eight, 2, (1, 2, 0)),
    "Klein bottle, Z/2": (klein_bottle, 2, (1, 2, 1)),
    "Klein bottle, Z/3": (klein_bottle, 3, (1, 1, 0)),
    "Gaussian blob": (blob, 2, (1, 0, 0)),
}


def draw(name: str, seed: int, noise: float) -> np.ndarray:
    """Return 1,000 points (1000, 256) of a shape; `noise` is the root mean square length of the noise vectors."""
    rng = np.random.default_rng(seed)
    points = SHAPES[name][0](1000, rng)
    rotation = np.linalg.qr(rng.normal(size=(256, points.shape[1])))[0]
    return points @ rotation.T + noise / 16 * rng.normal(size=(1000, 256))


def betti(name: str, seed: int, noise: float) -> tuple[int, ...]:
    return betti_numbers(draw(name, seed, noise), coefficients=SHAPES[name][1])


@click.command()
@click.option("--draws", default=100, show_default=True)
@click.option(
    "--noise", default=0.5, show_default=True, help="Length of noise vectors; each shape's least radius is 1."
)
def main(draws: int, noise: float) -> None:
    """Count how often the Betti numbers are right."""
    print(f"{draws} draws of 1,000 points in 256 dimensions, noise {noise:g}")
    print("shape              expected    right  mean (s)  slowest (s)  else")
    good = True
    for name, (_, _, expected) in SHAPES.items():
        found, seconds = [], []
        for seed in range(draws):
            start = time.perf_counter()
            found.append(betti(name, seed, noise))
            seconds.append(time.perf_counter() - start)
        wrong = sorted({betti for betti in found if betti != expected}, key=found.count, reverse=True)
        right = found.count(expected)
        good &= right >= 0.95 * draws
        other = ", ".join(f"{betti} x {found.count(betti)}" for betti in wrong)
        print(
            f"{name:18s} {str(expected):10s}  {right:5d}  {np.mean(seconds):8.2f}  {max(seconds):11.2f}  {other}",
            flush=True,
        )
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    print(f"peak memory {peak:.2f} GiB, {os.cpu_count()} cores")
    print(f"at least 95 % right for every shape: {good}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
