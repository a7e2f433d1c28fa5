"""What a bisect asks, as it is kept beside its run: the releases, the scenario, and what counts as bad."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from harness.errors import ConfigError
from harness.search.criterion import Criterion
from harness.store.folder import RunFolder

FILE = "bisect.json"


class Question(Criterion):
    """One bisect. ``releases`` ascend; the first is green and the last is red, or with ``find_fix`` the other way."""

    package: str
    releases: tuple[str, ...]
    scenario: str
    matrix: str
    find_fix: bool = False
    assume_ends: bool = False
    confirm: int = 1
    jobs: int = 1

    @property
    def good(self) -> str:
        """The end that is said to be green."""
        return self.releases[-1 if self.find_fix else 0]

    @property
    def bad(self) -> str:
        """The end that is said to be red."""
        return self.releases[0 if self.find_fix else -1]

    def command(self, good: str, bad: str) -> tuple[str, ...]:
        """Return the command that asks the same between two releases."""
        words = ["harness", "bisect", self.package, "--good", good, "--bad", bad]
        words += ["--scenario", self.scenario, "--matrix", self.matrix]
        return (*words, *self.words(), *(["--find-fix"] if self.find_fix else []))


def write(question: Question, folder: RunFolder) -> None:
    """Keep the question in its run folder."""
    (folder.path / FILE).write_text(question.model_dump_json(indent=1), encoding="utf-8")


def read(folder: RunFolder) -> Question:
    """Read the question of a run.

    Raises:
        ConfigError: the run is no bisect, or its file is not one.
    """
    path = Path(folder.path / FILE)
    try:
        return Question.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{folder.path} is no bisect: it has no {FILE}") from None
    except ValidationError as error:
        raise ConfigError(f"{path} cannot be read: {error.errors()[0]['msg']}") from None
