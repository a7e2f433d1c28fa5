"""What a draft says, as values: the text is rendered from these and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.model import Check


@dataclass(frozen=True)
class Target:
    """The repository a draft is for, and why; ``repository`` is empty where nothing tells."""

    repository: str  # ``huggingface/accelerate``
    reason: str
    others: tuple[tuple[str, str], ...] = ()  # repository, how it is involved


@dataclass(frozen=True)
class Tracker:
    """An issue that may be this one. ``same``: the failure itself is known under it, not only the scenario."""

    tracker: str
    why: str
    same: bool


@dataclass(frozen=True)
class Change:
    """One thing that is not the same in the red and the green cell; None: not there. ``pinned``: the matrix set it."""

    kind: str  # package, variable, python, machine
    name: str
    red: str | None
    green: str | None
    pinned: bool = True


@dataclass(frozen=True)
class Contrast:
    """The closest red and green cell of one scenario, by their names, and all that differs between them."""

    red: str
    green: str
    changes: tuple[Change, ...]

    @property
    def packages(self) -> tuple[Change, ...]:
        """Return what differs in the locks."""
        return tuple(each for each in self.changes if each.kind == "package")

    @property
    def told(self) -> tuple[Change, ...]:
        """Return what a table shows: everything but the packages that one side lacks and nobody pinned."""
        return tuple(each for each in self.changes if each.pinned or None not in {each.red, each.green})

    @property
    def red_alone(self) -> tuple[str, ...]:
        """Return the packages that nobody pinned and only the red cell has."""
        return tuple(f"{each.name} {each.red}" for each in self.changes if not each.pinned and each.green is None)

    @property
    def green_alone(self) -> tuple[str, ...]:
        """Return the packages that nobody pinned and only the green cell has."""
        return tuple(f"{each.name} {each.green}" for each in self.changes if not each.pinned and each.red is None)


@dataclass(frozen=True)
class Evidence:
    """One scenario over the cells: the names of those where it shows the failure, fails otherwise, passes, or neither.

    ``flaky`` cells have attempts that disagree, one of which shows the failure. ``unjudged`` are cells where it did not
    run, does not apply, or where the script, the harness or the machine is to blame.
    """

    scenario: str
    title: str
    red: tuple[str, ...]
    flaky: tuple[str, ...]
    otherwise: tuple[str, ...]
    green: tuple[str, ...]
    unjudged: tuple[str, ...]

    @property
    def ran(self) -> int:
        """Return in how many cells it ran to an answer."""
        return len(self.red) + len(self.flaky) + len(self.otherwise) + len(self.green)


@dataclass(frozen=True)
class Searched:
    """What a bisect or a blame says, in one sentence, with the page that compares the two releases where there is one.

    The fields below ``links`` are a blame's: all ``changes`` between its ends; for the title between what it turned red
    (``regression``), else with what it is seen (``where``); ``settled``: the answer says what makes the difference;
    ``pair``: the cells of its own run that the answer sets against each other, red and green; empty where it has none.
    """

    sentence: str
    culprit: str = ""  # the first bad release or commit, where that is the answer
    package: str = ""
    compare: str = ""  # address
    probed: tuple[tuple[str, str, str], ...] = ()  # release, good | bad | undecided, why
    alone: bool = False  # no other package differs between what was found and the one before
    links: tuple[str, ...] = ()  # the commit that was found, and its pull request; of a blame pages that compare
    kind: str = "bisect"  # or blame
    unit: str = "release"  # what a bisect ran: or commit
    changes: tuple[str, ...] = ()
    regression: str = ""
    where: str = ""
    gone: str = ""  # a newer release with which it passes
    settled: bool = False
    pair: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class MemoryPhase:
    """One figure of one phase in the red and in the green cell, as text; empty: not measured."""

    phase: str
    name: str
    red: str
    green: str


@dataclass(frozen=True)
class MatrixLine:
    """One cell of the small matrix: its labels, and a word for each scenario."""

    cell: str
    labels: tuple[str, ...]
    reference: bool
    words: tuple[str, ...]


@dataclass(frozen=True)
class Script:
    """The script that shows it alone, or why there is none; why it cannot run as it stands, where it cannot."""

    text: str = ""
    notes: tuple[str, ...] = ()
    cannot_run: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class IssueContext:
    """Everything that a draft says."""

    title: str
    key: str  # the rule's name, else the whole signature
    signature: str
    target: Target
    labels: tuple[str, ...]
    trackers: tuple[Tracker, ...]
    scenario: str
    scenario_title: str
    cell: str  # the id of the red cell that is described
    cell_name: str
    summary: tuple[str, ...]  # sentences
    system: tuple[tuple[str, str], ...]
    contrast: Contrast | None
    evidence: tuple[Evidence, ...]
    searched: Searched | None
    frames: tuple[str, ...]
    expected: str
    actual: str
    checks: tuple[Check, ...]  # the expectations that did not hold
    memory: tuple[MemoryPhase, ...]
    axes: tuple[str, ...]
    columns: tuple[str, ...]  # scenarios of the small matrix
    matrix: tuple[MatrixLine, ...]
    green_here: tuple[str, ...]  # scenarios that pass in the same cell, those nearest to this one first
    not_tried: tuple[str, ...]  # sentences
    lock: tuple[tuple[str, str], ...]  # package, version
    script: Script
    command: str
    harness_version: str
    redacted: bool = True
    gone: str = ""  # where a newer release passes: what to ask before posting
    meant: str = ""  # where upstream meant it so: what to do instead
