"""What a search asks and how it ended, as kept in the run folder: ``search.json``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, ValidationError

from harness.errors import ConfigError, ExitCode
from harness.matrix.cell import Cell, Pin
from harness.matrix.git import Commit
from harness.runner.isolation import Isolation
from harness.search.criterion import WORDS, Cause, Criterion, Evaluation
from harness.session.context import BUSY_BYTES, Options
from harness.store.files import write_text
from harness.store.records import Record, RunKind
from harness.store.run_folder import RunFolder

SEARCH_FILE = "search.json"
OLD_BISECT, OLD_RESULT = "bisect.json", "result.json"  # what older versions wrote instead
OLD_SOURCE, OLD_COMMITS = "into.json", "commits.json"
OLD_BLAME, OLD_BLAME_RESULT = "blame.json", "blame-result.json"


class Ending(StrEnum):
    """How a search ended."""

    FOUND = "found"
    NOT_REPRODUCED = "not reproduced"
    INCONCLUSIVE = "inconclusive"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a command that ends so."""
        return EXIT_CODES[self]


EXIT_CODES = {
    Ending.FOUND: ExitCode.COMPLETE,
    Ending.NOT_REPRODUCED: ExitCode.REGRESSION,
    Ending.INCONCLUSIVE: ExitCode.INCOMPLETE,
    Ending.INTERRUPTED: ExitCode.INTERRUPTED,
}


class SearchQuestion(Criterion):
    """What every search asks: a scenario, a criterion, and how to run attempts.

    ``timeout`` (seconds), ``busy_bytes`` and ``isolation`` are those of ``harness run``.
    """

    kind: ClassVar[RunKind] = RunKind.BISECT

    scenario: str
    matrix: str
    assume_ends: bool = False
    confirm: int = 1
    jobs: int = 1
    timeout: float | None = None
    busy_bytes: int = BUSY_BYTES
    isolation: Isolation = Isolation.FORK
    reuse: bool = True

    def command(self) -> tuple[str, ...]:
        """Return the command that asks the same."""
        raise NotImplementedError

    def options(self) -> Options:
        """Return how attempts are run."""
        return Options(
            timeout=self.timeout,
            jobs=self.jobs,
            isolation=self.isolation,
            busy_bytes=self.busy_bytes,
        )

    def run_words(self) -> tuple[str, ...]:
        """Return the command-line options that say how attempts are run."""
        words = ["--timeout", f"{self.timeout:g}"] if self.timeout is not None else []
        words += ["--gpu-busy", str(self.busy_bytes)] if self.busy_bytes != BUSY_BYTES else []
        words += ["--isolation", self.isolation] if self.isolation is not Isolation.FORK else []
        return tuple(words)


class CommitSource(Record):
    """The repository of ``--into``, with ``--tags`` and ``--all-parents`` as they were typed."""

    repository: str
    tags: str | None = None
    all_parents: bool = False

    def words(self) -> tuple[str, ...]:
        """Return the command-line options that say the same."""
        tags = ("--tags", self.tags) if self.tags else ()
        return ("--into", self.repository, *tags, *(("--all-parents",) if self.all_parents else ()))


class PackageQuestion(SearchQuestion):
    """A search of one package: between an older end and a newer one, for a regression or for a fix."""

    package: str
    find_fix: bool = False

    @property
    def before(self) -> str:
        """What candidates before the change are: good, or bad if a fix is searched."""
        return "bad" if self.find_fix else "good"

    @property
    def after(self) -> str:
        """What candidates after the change are."""
        return "good" if self.find_fix else "bad"

    def _command(self, older: str | None, newer: str | None, *flags: str) -> tuple[str, ...]:
        good, bad = (newer, older) if self.find_fix else (older, newer)
        words = ["harness", "bisect", self.package]
        words += [word for flag, end in (("--good", good), ("--bad", bad)) if end for word in (flag, end)]
        words += ["--scenario", self.scenario, "--matrix", self.matrix, *self.words()]
        words += ["--find-fix"] if self.find_fix else []
        return (*words, *flags)


class ReleaseQuestion(PackageQuestion):
    """Which release broke the scenario, or fixed it.

    Attributes:
        releases: All releases between the ends, ascending. Without ``find_fix`` the first is good and the last bad.
        open_end: No older end was named: the first release is the oldest one, and the search looks for an end.
        scan: Run every release.
        source: Where to continue among the commits between the two releases found.
    """

    axis: Literal["releases"] = "releases"
    releases: tuple[str, ...]
    open_end: bool = False
    scan: bool = False
    source: CommitSource | None = None

    @property
    def good(self) -> str:
        """The good end."""
        return self.releases[-1 if self.find_fix else 0]

    @property
    def bad(self) -> str:
        """The bad end."""
        return self.releases[0 if self.find_fix else -1]

    def command(self, older: str | None = None, newer: str | None = None) -> tuple[str, ...]:
        """Return the command that asks the same, between two other releases if they are given."""
        if newer is None:
            older, newer = None if self.open_end else self.releases[0], self.releases[-1]
        scan = ("--scan",) if self.scan else ()
        source = self.source.words() if self.source else ()
        return self._command(older, newer, *scan, *self.run_words(), *source)


class CommitQuestion(PackageQuestion):
    """Which commit broke the scenario, or fixed it; ``older`` and ``newer`` are full hashes."""

    axis: Literal["commits"] = "commits"
    older: str
    newer: str
    source: CommitSource

    def command(self, older: str | None = None, newer: str | None = None) -> tuple[str, ...]:
        """Return the command that asks the same, between two other commits if they are given."""
        return self._command(
            older or self.older, newer or self.newer, *self.run_words(), *self.source.words(), "--commits"
        )


class PackageChange(Record):
    """One package that differs between two environments; None on the side that lacks it."""

    package: str
    old: Pin | None
    new: Pin | None

    def words(self) -> str:
        """Return ``accelerate 1.13.0 → 1.15.0`` or ``torchao 0.15.0 added``."""
        if self.old is not None and self.new is not None:
            return f"{self.package} {self.old.label} → {self.new.label}"
        old = self.old.label if self.old else ""
        return f"{self.package} {self.new.label} added" if self.new else f"{self.package} {old} removed"


class BlameQuestion(SearchQuestion):
    """Which package changes between two environments turn good into bad.

    Attributes:
        good: The good end as it was typed.
        bad: The bad end as it was typed.
        shared: A cell with everything that both ends have.
        changes: What differs.
        followers: Packages of one end alone that another package requires. They come and go with it.
        needs: The index of a change → the indexes of the changes that it cannot be applied without.
    """

    kind: ClassVar[RunKind] = RunKind.BLAME

    axis: Literal["changes"] = "changes"
    good: str
    bad: str
    shared: Cell
    changes: tuple[PackageChange, ...]
    followers: tuple[PackageChange, ...] = ()
    needs: dict[int, tuple[int, ...]] = Field(default_factory=dict)

    def command(self) -> tuple[str, ...]:
        """Return the command that asks the same."""
        words = ("harness", "blame", "--good", self.good, "--bad", self.bad, "--scenario", self.scenario)
        return (*words, "--matrix", self.matrix, "--python", self.shared.python, *self.words(), *self.run_words())


class FailedEnd(Record):
    """The end that stopped a search, because it is not what it was said to be.

    Attributes:
        side: Which end.
        evaluation: What it gave.
        other_failure: The bad end failed, but with another signature than the one asked for.
        swapped: The bad end is good, and the good one bad.
    """

    side: Literal["good", "bad"]
    evaluation: Evaluation
    other_failure: bool = False
    swapped: bool = False


class SearchResult(Record):
    """How a search ended, whatever it searched.

    Attributes:
        reason: Of an ending without an answer.
        failed_end: The end that stopped the search.
        unconfirmed: The evaluation that confirmation gave instead of the expected one.
        deadline_passed: The search was interrupted by its deadline.
    """

    ending: Ending
    reason: str = ""
    failed_end: FailedEnd | None = None
    unconfirmed: Evaluation | None = None
    deadline_passed: bool = False


class ReleaseChange(Record):
    """A change between two releases that a scan found.

    Attributes:
        before: The last release before it.
        after: The first release after it.
        bad: What the answer became; None if only the metric changed.
        between: Undecided releases, each of which may be the first after the change.
        figures: The median of the metric before and after, if one was asked for.
    """

    before: str
    after: str
    bad: bool | None
    between: tuple[str, ...] = ()
    figures: tuple[float, float] | None = None


class OrderedResult(SearchResult):
    """How a search over an ordered list ended.

    Attributes:
        before: The last candidate before the change.
        suspects: The candidates of which one is the first after the change.
        evaluations: The candidates that were probed, in their order.
        find_fix: The change is a fix.
    """

    unit: ClassVar[str]

    package: str
    before: str
    suspects: tuple[str, ...]
    evaluations: dict[str, Evaluation]
    find_fix: bool = False

    def name(self, candidate: str) -> str:
        """Return the full name of a candidate."""
        return f"{self.package} {candidate}"

    def short(self, candidate: str) -> str:
        """Return the short name of a candidate."""
        return candidate


class ReleaseResult(OrderedResult):
    """How a search over releases ended; ``before`` is empty if no older end was found.

    ``changes`` are those that a scan found.
    """

    unit: ClassVar[str] = "release"

    axis: Literal["releases"] = "releases"
    evaluations: dict[str, Evaluation] = Field(alias="releases")
    changes: tuple[ReleaseChange, ...] = ()


class CommitResult(OrderedResult):
    """How a search over commits ended; they are named by their full hashes.

    ``suspects`` is empty if the change lies on the older branch, before the two branches part.

    Attributes:
        address: The repository, as people know it.
        older: The tag or commit at the older end, as it was named.
        newer: The tag or commit at the newer end.
        commits: All commits that are named in this record.
    """

    unit: ClassVar[str] = "commit"

    axis: Literal["commits"] = "commits"
    address: str
    older: str
    newer: str
    commits: dict[str, Commit]
    evaluations: dict[str, Evaluation] = Field(alias="judged")

    def name(self, candidate: str) -> str:
        """Return a commit with its date, pull request and subject."""
        return self.commits[candidate].summary()

    def short(self, candidate: str) -> str:
        """Return the first characters of a commit."""
        return self.commits[candidate].short


class ProbedSet(Record):
    """One set of applied changes, its cell and its answer; without a cell it was not run."""

    applied: tuple[str, ...]
    cell: str | None
    bad: bool | None
    reason: str
    cause: Cause | None = None

    @property
    def word(self) -> str:
        """Return ``good``, ``bad`` or ``undecided``."""
        return WORDS[self.bad]


class BlameResult(SearchResult):
    """The smallest set of changes that turns good into bad.

    Attributes:
        changes: Package → its change in words.
        members: The set; while nothing is found, the changes that are left.
        proven: Groups of members. Without any one of them the scenario is good again.
        apart: A member that cannot be removed alone → why there is no such environment.
        unsure: A member → why the environment without it is undecided.
        followers: What comes and goes with the members.
        probes: Every set that was asked for.
    """

    axis: Literal["changes"] = "changes"
    changes: dict[str, str]
    members: tuple[str, ...]
    proven: tuple[tuple[str, ...], ...] = ()
    apart: dict[str, str] = Field(default_factory=dict)
    unsure: dict[str, str] = Field(default_factory=dict)
    followers: tuple[str, ...] = ()
    probes: tuple[ProbedSet, ...] = ()

    @property
    def heads(self) -> dict[str, tuple[str, ...]]:
        """The packages that the answer is named after, each with those that only move with it."""
        found: dict[str, tuple[str, ...]] = {}
        for group in self.proven:
            if not any(set(group) & {name, *others} for name, others in found.items()):
                found[group[0]] = group[1:]
        first = [name for name in self.members if name in found] or list(self.members[:1])
        return {name: found.get(name, ()) for name in first}

    @property
    def ran(self) -> int:
        """How many environments were run, both ends included."""
        return sum(one.cell is not None for one in self.probes)


BisectQuestion = ReleaseQuestion | CommitQuestion
Question = Annotated[BisectQuestion | BlameQuestion, Field(discriminator="axis")]
BisectResult = ReleaseResult | CommitResult
Result = Annotated[BisectResult | BlameResult, Field(discriminator="axis")]
Asked = TypeVar("Asked", bound=SearchQuestion)


NAMES: dict[type[SearchQuestion], str] = {
    PackageQuestion: "a bisect",
    ReleaseQuestion: "a bisect of releases",
    CommitQuestion: "a bisect of commits",
    BlameQuestion: "a blame",
}


class SearchRecord(Record):
    """The content of ``search.json``; ``commits`` is the second search of a bisect with ``--into``."""

    question: Question
    result: Result | None = None
    commits: CommitResult | None = None

    def write(self, folder: RunFolder) -> Self:
        """Write it into a run folder; return it."""
        write_text(folder.path / SEARCH_FILE, self.model_dump_json(indent=1))
        return self


def read_search(folder: RunFolder) -> SearchRecord | None:
    """Read the search of a run folder, also of one that an older version wrote; None if the run is no search.

    Raises:
        ConfigError: The file is damaged.
    """
    path = folder.path / SEARCH_FILE
    try:
        if path.exists():
            return SearchRecord.model_validate_json(path.read_bytes())
        found = _read_old(folder)
        return None if found is None else SearchRecord.model_validate(found)
    except ValidationError as error:
        where = path if path.exists() else folder.path
        raise ConfigError(f"the search in {where} cannot be read: {error.errors()[0]['msg']}") from None


def read_question(folder: RunFolder, kind: type[Asked]) -> Asked:
    """Read the question of a search of one kind.

    Raises:
        ConfigError: The run is no such search, or its file is damaged.
    """
    found = read_search(folder)
    if found is None or not isinstance(found.question, kind):
        raise ConfigError(f"{folder.path} is not {NAMES[kind]}")
    return found.question


def _read_old(folder: RunFolder) -> dict[str, Any] | None:
    """Read what older versions kept in up to four files, as the content of a ``search.json``."""
    bisect, blame = _load(folder, OLD_BISECT), _load(folder, OLD_BLAME)
    if blame is not None:
        result = _load(folder, OLD_BLAME_RESULT)
        return {"question": {"axis": "changes", **blame}, "result": result and {"axis": "changes", **result}}
    if bisect is None:
        return None
    source, result, commits = (_load(folder, name) for name in (OLD_SOURCE, OLD_RESULT, OLD_COMMITS))
    alone = source.pop("commits", False) if source else False
    found = commits and {"axis": "commits", **commits, "failed_end": _failed_commit(commits)}
    if alone:
        older, newer = bisect.pop("releases")
        bisect = {key: value for key, value in bisect.items() if key not in {"open_end", "scan"}}
        question = {"axis": "commits", "older": older, "newer": newer, "source": source, **bisect}
        return {"question": question, "result": found}

    question = {"axis": "releases", "source": source, **bisect}
    result = result and {"axis": "releases", **result, "failed_end": _failed_release(bisect, result)}
    return {"question": question, "result": result, "commits": found}


def _load(folder: RunFolder, name: str) -> dict[str, Any] | None:
    path = folder.path / name
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _failed_release(question: dict[str, Any], result: dict[str, Any]) -> dict[str, Any] | None:
    """Return the end at which an old bisect stopped: it gave the answer of that end as its reason."""
    if question.get("assume_ends") or result["ending"] not in {Ending.NOT_REPRODUCED, Ending.INCONCLUSIVE}:
        return None
    ends = (result["releases"].get(question["releases"][place]) for place in (0, -1))
    answers = [one if one and one["reason"] == result["reason"] else None for one in ends]
    return _failed_end(answers, result["ending"], find_fix=question.get("find_fix"))


def _failed_commit(result: dict[str, Any]) -> dict[str, Any] | None:
    """Return the end at which an old search among commits stopped, by the answers of its ends."""
    if result["ending"] not in {Ending.NOT_REPRODUCED, Ending.INCONCLUSIVE} or not result["suspects"]:
        return None
    answers = [result["judged"].get(sha) for sha in (result["before"], result["suspects"][-1])]
    return _failed_end(answers, result["ending"], find_fix=result.get("find_fix"))


def _failed_end(answers: list[Any], ending: str, *, find_fix: bool | None) -> dict[str, Any] | None:
    """Return the first end, bad before good, with another answer than expected; ``answers``: older, newer."""
    bad, good = answers if find_fix else answers[::-1]
    for side, found, expected in (("bad", bad, True), ("good", good, False)):
        if found is not None and found["bad"] is not expected:
            other = found["bad"] is None and ending == Ending.NOT_REPRODUCED
            return {"side": side, "evaluation": found, "other_failure": other}
    return None
