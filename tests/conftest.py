"""In CI nothing is skipped: a test that does not run there is a failure."""

import os

import pytest
from hypothesis import settings

from harness.matrix.pip import list_configuration

settings.register_profile("shared-machine", deadline=None)  # a slow moment of the machine is no failure
settings.register_profile("few", deadline=None, max_examples=10)  # where the same tests run a second time
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


@pytest.fixture
def private_machine(monkeypatch, tmp_path):
    """A machine whose user, hosts, package index and secrets are known; none of them belongs to the real machine."""
    variables = {
        "USER": "alice",
        "LOGNAME": "alice",
        "HOSTNAME": "lab-gpu7",
        "SLURM_JOB_NODELIST": "node[3-4]",
        "MY_API_TOKEN": "tok-from-environment",
        "PIP_INDEX_URL": "https://me:pw@wheels.acme.example/simple",
        "HOME": str(tmp_path / "home" / "alice"),
        "HARNESS_CACHE": str(tmp_path / "cache"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    list_configuration.cache_clear()  # another test may have read them
    yield
    list_configuration.cache_clear()
