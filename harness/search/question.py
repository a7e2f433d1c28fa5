"""What a bisect asks, as it is kept beside its run: the releases, the scenario, and what counts as bad."""

from __future__ import annotations

from harness.errors import ConfigError
from harness.runner.isolation import Isolation
from harness.search.criterion import Criterion
from harness.search.kept import keep, kept
from harness.session.context import BUSY_BYTES, Options
from harness.store.run_folder import RunFolder

FILE = "bisect.json"


class Question(Criterion):
    """One bisect. ``releases`` ascend; the first is green and the last is red, or with ``find_fix`` the other way.

    With ``open_end`` nobody said what the first is: it is the oldest, and the search looks back for an end. A ``scan``
    runs every release. ``timeout`` (seconds), ``busy_bytes`` and ``isolation`` are those of ``harness run``.
    """

    package: str
    releases: tuple[str, ...]
    scenario: str
    matrix: str
    find_fix: bool = False
    open_end: bool = False
    scan: bool = False
    assume_ends: bool = False
    confirm: int = 1
    jobs: int = 1
    timeout: float | None = None
    busy_bytes: int = BUSY_BYTES
    isolation: Isolation = Isolation.FORK
    reuse: bool = True

    @property
    def good(self) -> str:
        """The end that is said to be green."""
        return self.releases[-1 if self.find_fix else 0]

    @property
    def bad(self) -> str:
        """The end that is said to be red."""
        return self.releases[0 if self.find_fix else -1]

    @property
    def told(self) -> bool:
        """Whether anything tells good from bad: a scan of a figure may go without a bound."""
        return self.metric is None or self.factor is not None or self.limit is not None

    def options(self) -> Options:
        """Return how attempts are run."""
        return Options(timeout=self.timeout, jobs=self.jobs, isolation=self.isolation, busy_bytes=self.busy_bytes)

    def command(self, good: str | None, bad: str | None) -> tuple[str, ...]:
        """Return the command that asks the same between two releases; an end that is None is left out."""
        words = ["harness", "bisect", self.package]
        words += [word for flag, end in (("--good", good), ("--bad", bad)) if end for word in (flag, end)]
        words += ["--scenario", self.scenario, "--matrix", self.matrix, *self.words()]
        words += [flag for flag, on in (("--find-fix", self.find_fix), ("--scan", self.scan)) if on]
        words += ["--timeout", f"{self.timeout:g}"] if self.timeout is not None else []
        words += ["--gpu-busy", str(self.busy_bytes)] if self.busy_bytes != BUSY_BYTES else []
        words += ["--isolation", self.isolation] if self.isolation is not Isolation.FORK else []
        return tuple(words)


def write(question: Question, folder: RunFolder) -> None:
    """Keep the question in its run folder."""
    keep(question, folder, FILE)


def read(folder: RunFolder) -> Question:
    """Read the question of a run.

    Raises:
        ConfigError: the run is no bisect, or its file is not one.
    """
    found = kept(folder, FILE, Question)
    if found is None:
        raise ConfigError(f"{folder.path} is no bisect: it has no {FILE}")
    return found
