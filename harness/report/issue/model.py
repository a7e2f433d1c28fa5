"""What an issue draft says, as values; the text is rendered from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.model import Check


@dataclass(frozen=True)
class Target:
    """The repository a draft is for, and why; ``repository`` is empty if it is not known."""

    repository: str  # ``huggingface/accelerate``
    reason: str
    others: tuple[tuple[str, str], ...] = ()  # repository, how it is involved


@dataclass(frozen=True)
class Tracker:
    """An issue that may be the same. ``same``: it tracks the failure itself, not only the scenario."""

    name: str  # ``owner/repo#1``
    reason: str
    same: bool


@dataclass(frozen=True)
class Posting:
    """What the person who posts the draft has to know; none of it is part of the issue's text."""

    title: str
    target: Target
    labels: tuple[str, ...]
    trackers: tuple[Tracker, ...]
    fixed: str = ""  # a newer release passes
    intended: str = ""  # upstream changed it on purpose


@dataclass(frozen=True)
class Symptom:
    """What fails: the scenario, its failure, and the expectations that did not hold."""

    scenario: str
    title: str  # of the scenario
    key: str  # the rule's name, else the whole signature
    signature: str
    actual: str
    checks: tuple[Check, ...]
    frames: tuple[str, ...]


@dataclass(frozen=True)
class MemoryPhase:
    """One figure of one phase in the failing and in the passing cell, as text; empty if not measured."""

    phase: str
    name: str
    failing: str
    passing: str


@dataclass(frozen=True)
class Environment:
    """The failing cell that is described: its system table, its memory, and its lock."""

    cell: str  # id
    system: tuple[tuple[str, str], ...]
    memory: tuple[MemoryPhase, ...]
    lock: tuple[tuple[str, str], ...]  # package, version


@dataclass(frozen=True)
class CellDifference:
    """One thing in which two cells differ. None: not there. ``pinned``: the matrix sets it."""

    kind: str  # package, variable, python, machine
    name: str
    failing: str | None
    passing: str | None
    pinned: bool = True


@dataclass(frozen=True)
class CellComparison:
    """The closest failing and passing cell of one scenario, by their names, and all that differs."""

    failing: str
    passing: str
    differences: tuple[CellDifference, ...]

    @property
    def packages(self) -> tuple[CellDifference, ...]:
        """Return what differs in the locks."""
        return tuple(each for each in self.differences if each.kind == "package")

    @property
    def shown(self) -> tuple[CellDifference, ...]:
        """Return the rows of the table: all but the unpinned packages of one side."""
        return tuple(each for each in self.differences if each.pinned or None not in {each.failing, each.passing})

    @property
    def only_failing(self) -> tuple[str, ...]:
        """Return the unpinned packages of the failing cell that the passing one lacks."""
        return tuple(f"{each.name} {each.failing}" for each in self._unpinned if each.passing is None)

    @property
    def only_passing(self) -> tuple[str, ...]:
        """Return the unpinned packages of the passing cell that the failing one lacks."""
        return tuple(f"{each.name} {each.passing}" for each in self._unpinned if each.failing is None)

    @property
    def _unpinned(self) -> tuple[CellDifference, ...]:
        return tuple(each for each in self.differences if not each.pinned)


@dataclass(frozen=True)
class ScenarioCounts:
    """The cells of one scenario, by name: with the failure, with another one, passing, or neither.

    ``flaky`` cells have attempts that disagree, one of which shows the failure. In ``undecided`` cells the scenario did
    not run, does not apply, or ended in an error of the script, the harness or the machine.
    """

    scenario: str
    title: str
    failing: tuple[str, ...]
    flaky: tuple[str, ...]
    other_failure: tuple[str, ...]
    passing: tuple[str, ...]
    undecided: tuple[str, ...]

    @property
    def decided(self) -> int:
        """Return the number of cells in which it ran to an answer."""
        return len(self.failing) + len(self.flaky) + len(self.other_failure) + len(self.passing)


@dataclass(frozen=True)
class MatrixRow:
    """One cell of the small matrix: its labels, and the result of each scenario as text."""

    cell: str
    labels: tuple[str, ...]
    reference: bool
    results: tuple[str, ...]


@dataclass(frozen=True)
class SmallMatrix:
    """The results of a few scenarios in every cell."""

    axes: tuple[str, ...]
    scenarios: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class Evidence:
    """What the run shows about a failure, and what it does not show."""

    comparison: CellComparison | None
    counts: tuple[ScenarioCounts, ...]  # the described scenario first
    matrix: SmallMatrix
    passing_nearby: tuple[str, ...]  # scenarios that pass in the described cell, the most similar first
    not_tried: tuple[str, ...]  # sentences


@dataclass(frozen=True)
class BlameEvidence:
    """What only a blame has: the changes between its ends and, if it has an answer, what that means for the draft."""

    changes: tuple[str, ...]
    regression: str = ""  # for the title: the upgrades that are needed; empty for a downgrade
    where: str = ""  # for the title: with which versions it shows
    fixed: str = ""  # a newer release passes
    pair: tuple[str, str] | None = None  # failing and passing cell, in a draft of the blame's own run


@dataclass(frozen=True)
class SearchEvidence:
    """The answer of a bisect or blame, as far as it concerns the draft."""

    sentence: str
    unit: str = "release"  # what was probed: release, commit, environment
    package: str = ""
    culprit: str = ""  # the first bad release or commit, if that is the answer
    only_difference: bool = False  # no other package differs between the culprit and the one before
    probed: tuple[tuple[str, str, str], ...] = ()  # candidate, answer, reason
    compare: str = ""  # page with all commits between the two
    links: tuple[str, ...] = ()
    blame: BlameEvidence | None = None

    @property
    def settled(self) -> bool:
        """Tell whether the search proves what makes the difference between the two cells of the draft."""
        return self.blame is not None and self.blame.pair is not None


@dataclass(frozen=True)
class Script:
    """A standalone script that reproduces the failure, or why there is none.

    ``cannot_run`` says why it does not run unchanged.
    """

    text: str = ""
    notes: tuple[str, ...] = ()
    cannot_run: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class IssueContext:
    """Everything that a draft says."""

    posting: Posting
    summary: tuple[str, ...]  # sentences
    symptom: Symptom
    environment: Environment
    evidence: Evidence
    search: SearchEvidence | None
    command: str
    harness_version: str
    script: Script = Script()
    redacted: bool = True
