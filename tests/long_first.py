"""A pytest plugin: tests that take minutes start first, each in whichever process is free, whatever module it is in.

``make test`` gives each process a module at a time, since tests of a module share what its fixtures make. A module
whose tests take ten minutes, begun when the others are done, leaves all processes but one idle.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

#: They share nothing with the rest of their modules. The longest come first.
LONG = (
    "test_every_recorded_run_is_proved_unless_it_keeps_its_history_alone",
    "test_a_toy_of_each_kind_trains_again_each_day_to_what_it_records",
)


def rank(nodeid):
    """Return the place of a test among the long ones, or their number."""
    name = nodeid.rpartition("::")[2].partition("[")[0]
    return LONG.index(name) if name in LONG else len(LONG)


class LongFirst(LoadScopeScheduling):
    """Units of work are modules, and single tests where those are long."""

    def _split_scope(self, nodeid):
        return nodeid if rank(nodeid) < len(LONG) else super()._split_scope(nodeid)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return LongFirst(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
