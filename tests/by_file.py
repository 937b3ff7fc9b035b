"""Tests are given to workers by file, also after a worker has crashed."""

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Like xdist's loadfile.

    Pytest-xdist 3.8 gives all its files to the others, those that are done, too: a worker that gets such a file waits
    for its tests for ever.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def remove_node(self, node):
            for file, tests in list(self.assigned_work[node].items()):
                if all(tests.values()):
                    del self.assigned_work[node][file]
            return super().remove_node(node)

    return ByFile(config, log)
