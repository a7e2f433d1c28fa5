"""Real git repositories, made in a folder of the test."""

import os
import subprocess
from pathlib import Path

import pytest


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
