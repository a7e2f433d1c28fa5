"""In CI nothing is skipped: a test that does not run there is a failure."""

import os
import subprocess
from pathlib import Path

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


class GitRepository:
    """A repository that a test writes commit by commit; dates ascend by one day from 2026-01-01."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._day = 0
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = {f"GIT_{role}_{what}": "a@b.invalid" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        when = {f"GIT_{role}_DATE": f"2026-01-{self._day + 1:02}T12:00:00+0000" for role in ("AUTHOR", "COMMITTER")}
        alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **who, **when, **alone},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, subject: str, *, tag: str | None = None) -> str:
        """Add a commit to the branch that is checked out and return its name."""
        self._day += 1
        changes = self.folder / "changes.txt"
        before = changes.read_text(encoding="utf-8") if changes.exists() else ""
        changes.write_text(f"{before}{subject}\n", encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        if tag is not None:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str, at: str = "HEAD") -> None:
        """Check out a new branch."""
        self.git("switch", "--quiet", "--create", name, at)

    def switch(self, name: str) -> None:
        self.git("switch", "--quiet", name)

    def merge(self, name: str, subject: str) -> str:
        """Merge a branch into the one that is checked out, ours where both changed, and return the merge."""
        self._day += 1
        self.git("merge", "--quiet", "--no-ff", "--strategy=ours", "-m", subject, name)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def git_repository(tmp_path):
    return GitRepository(tmp_path / "repository")
