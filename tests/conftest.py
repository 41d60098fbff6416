"""Surroundings of the unit tests: one thread, no progress bars, and a store of their own. In CI nothing is skipped."""

import os

os.environ["TQDM_DISABLE"] = "1"  # before tqdm is imported

import pytest
import torch

#: The only tests that CI leaves out where it lacks what they need.
MAY_SKIP = {
    "test_a_member_equals_the_run_trained_alone_on_a_gpu": "a CUDA device",
}


def refuse_skip(report, name):
    """Turn what was skipped into a failure in CI, where the variable CI is set: nobody would see it there."""
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail") and name not in MAY_SKIP:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{report.nodeid} may not be left out in CI. {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    return refuse_skip((yield), getattr(item, "originalname", item.name))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return refuse_skip((yield), collector.name)


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
