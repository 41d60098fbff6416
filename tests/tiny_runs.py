"""Runs that train in a blink, and processes that ask for them."""

import multiprocessing
import time

from bumplab.runs.store import load_or_train
from bumplab.training.settings import preset

#: Processes forked from one that has imported the package already: each starts in milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["bumplab.__main__", "pytest", "torch._dynamo"])


def tiny(last=10, **changes):
    """Return the smoke preset on 8 x 8 pixels: milliseconds a step."""
    small = preset("smoke", world={"size": 8}, model={"patch": 1})
    return small.replace(training={"steps": last, "snapshots": (0, last // 2), "evaluate_every": 5}).replace(**changes)


def get(settings, store, **options):
    return load_or_train(settings, store=store, device="cpu", progress=False, **options)


def wait_for(happened, dead=lambda: None):
    """Wait until `happened()`; fail if `dead()` is not None before, or after a minute."""
    end = time.monotonic() + 60
    while not happened():
        assert dead() is None and time.monotonic() < end
        time.sleep(0.002)
