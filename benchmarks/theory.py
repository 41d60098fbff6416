"""How fast is the exact theory of chapters on linear and analytic denoisers, on one core?

Run ``OMP_NUM_THREADS=1 python benchmarks/theory.py``. Each line is best of three, in seconds of the processor, which
other work on the machine hardly changes, with the peak memory so far.
"""

from __future__ import annotations

import resource
import time

import numpy as np
import torch

from bumplab.diffusion.analytic_sets import LatticeDenoiser, MemorizedSet
from bumplab.diffusion.analytic_spectra import gaussian_of_world
from bumplab.diffusion.linear_convolution import PatchConvolution
from bumplab.diffusion.linear_laws import OneLayer, TwoLayers
from bumplab.diffusion.linear_wrappers import Preconditioned
from bumplab.worlds.bumps import BumpWorld

MODES = np.geomspace(10, 1e-8, 1024)
TIMES = np.geomspace(1e-6, 1e8, 200)


def measure(name, action):
    seconds = []
    for _ in range(3):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<72}{min(seconds):>8.3f} s{memory:>8.0f} MB")


def linear():
    for law in (OneLayer(start=0.1), TwoLayers(start=0.1), Preconditioned(start=0.1)):
        name = f"{type(law).__name__}: variances, 1,024 modes x 200 times"
        measure(name + (" by 64 noise levels" if isinstance(law, Preconditioned) else " (closed form)"),
                lambda law=law: law.variances(MODES, TIMES))  # fmt: skip
    measure(
        "OneLayer: weights, 1,024 modes x 64 noise levels x 200 times",
        lambda: OneLayer().weights(MODES, np.geomspace(0.002, 80, 64), TIMES),
    )
    side = np.minimum(np.arange(32), 32 - np.arange(32))
    spectrum = np.exp(-0.04 * (side[:, None] ** 2 + side**2))
    measure(
        "PatchConvolution: 9 x 9 taps on 32 x 32 pixels, 1,024 modes x 200 times",
        lambda: PatchConvolution(spectrum, 9, 0.1).variances(TIMES),
    )


def analytic():
    periodic, stripes = BumpWorld(periodic=True), BumpWorld(kind="sos")
    images = periodic.render(periodic.lattice())
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))

    def at_all_levels(theory):
        for level in torch.linspace(0.1, 10, 64).tolist():
            theory(images + level * noise, level)

    queries = "1,024 x 64 queries of 32 x 32 pixels"
    measure(f"MemorizedSet: 1,024 images, {queries}", lambda: at_all_levels(MemorizedSet(images)))
    for world in (periodic, BumpWorld(), stripes):
        name = f"LatticeDenoiser: {world.kind}{', periodic' * world.periodic}, {queries}"
        measure(name, lambda world=world: at_all_levels(LatticeDenoiser(world)))
    measure(f"GaussianDenoiser: modes of Fourier, {queries}", lambda: at_all_levels(gaussian_of_world(periodic)))


if __name__ == "__main__":
    analytic()
    linear()
