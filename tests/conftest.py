"""In CI nothing is skipped: a test that does not run there is a failure."""

import os

import pytest
from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)  # a slow moment of the machine is no failure
settings.load_profile("shared-machine")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not os.environ.get("CI"):
        return  # a process of xdist's has no terminal: the one that started it counts
    skipped = terminal.stats.get("skipped", [])
    if skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        names = ", ".join(report.nodeid for report in skipped)
        terminal.write_line(f"\nskipped in CI: {names}", red=True)
