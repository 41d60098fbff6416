"""A plugin for pytest where there is no torch: ``-p without_torch`` leaves out what needs it, and counts it."""

import pytest

#: Of tests that need no torch; there were 265 when this was written.
FEWEST = 200


def leave_out(call, report):
    """Turn a failure for want of torch into a skip."""
    error = call.excinfo and call.excinfo.value
    while error is not None and not (isinstance(error, ModuleNotFoundError) and error.name == "torch"):
        error = error.__cause__ or error.__context__
    if error is not None and report.failed:
        report.outcome, report.longrepr = "skipped", (str(report.nodeid), 0, "needs torch")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return leave_out(call, (yield))


def pytest_sessionfinish(session):
    """Fail where so few tests passed that nothing was tried."""
    passed = session.config.pluginmanager.get_plugin("terminalreporter").stats.get("passed", ())
    if session.exitstatus == 0 and len(passed) < FEWEST:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.failed and "No module named 'torch'" in str(report.longrepr):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, "needs torch")
    return report
