"""Surroundings of the unit tests: one thread, no progress bars, and a store of their own."""

import os

os.environ["TQDM_DISABLE"] = "1"  # before tqdm is imported

import pytest
import torch


# By module, not by session: chapters that nbval runs in the same process keep their caller's environment.
@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    """Return a folder for new runs that is gone after the tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("store")
        patch.setenv("BUMPLAB_STORE", str(folder))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield folder
    torch.set_num_threads(threads)
