"""In CI nothing is skipped: a test that does not run there is a failure."""

import os

import pytest
from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)  # a slow moment of the machine is no failure
settings.load_profile("shared-machine")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    skipped = session.config.pluginmanager.get_plugin("terminalreporter").stats.get("skipped", [])
    if os.environ.get("CI") and skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        names = ", ".join(report.nodeid for report in skipped)
        session.config.pluginmanager.get_plugin("terminalreporter").write_line(f"skipped in CI: {names}", red=True)
