import os
import subprocess
from pathlib import Path

import pytest

from harness.matrix.schema import Matrix, load_matrix

HEAD = """
name = "tried"
scenarios = ["scenarios/load_4bit"]
"""


@pytest.fixture
def write(tmp_path):
    """Write a matrix file; the keys that every matrix needs come first unless `head` says otherwise."""

    def write_matrix(text: str, head: str = HEAD, name: str = "tried.toml") -> Path:
        file = tmp_path / name
        file.write_text(head + text, encoding="utf-8")
        return file

    return write_matrix


@pytest.fixture
def read(write):
    """Write a matrix file and load it."""

    def read_matrix(text: str) -> Matrix:
        return load_matrix(write(text))

    return read_matrix


class Repository:
    """A bare repository and a working copy that pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "upstream.git"
        self.work = folder / "work"
        self._git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self._git(folder, "init", "--quiet", "--initial-branch=main", str(self.work))
        self.git("remote", "add", "origin", str(self.bare))

    def _git(self, folder: Path, *arguments: str) -> str:
        identity = {f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = os.environ | identity | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def git(self, *arguments: str) -> str:
        return self._git(self.work, *arguments)

    def commit(self, text: str, *push: str) -> str:
        """Commit, push to the given references, and return the commit."""
        self.git("commit", "--quiet", "--allow-empty", "-m", text)
        for reference in push:
            self.git("push", "--quiet", "origin", f"HEAD:{reference}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)
