"""What one place (cell-line × scenario) showed, tonight or in the night in which it was last seen: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.store.records import Outcome, Reason, Stage, Status
from harness.verdict.compare import Result, result_of
from harness.verdict.noise import Spread, spread

Place = tuple[str, str]  # cell-line, scenario
ABSENT = {Reason.NO_GPU, Reason.INTERRUPTED}  # skipped for want of a card, or cut off: a result that is not there
NEVER_RUN = {Stage.RESOLVE, Stage.INSTALL, Stage.COLLECT}


class Word(StrEnum):
    """What a place shows, in one word."""

    GREEN = "green"
    RED = "red"
    FLAKY = "flaky"
    SKIP = "skip"
    ERROR = "error"  # the scenario, the harness, the network or a busy card: no answer about the software
    MISSING = "missing"


@dataclass(frozen=True)
class Mark:
    """What decides an answer as far as anybody can know: the lock of the cell and the source of the scenario."""

    lock: str = ""
    source: str = ""

    @property
    def whole(self) -> bool:
        """Tell whether both are known, so that two equal marks mean that nothing changed."""
        return bool(self.lock and self.source)


@dataclass(frozen=True)
class Look:
    """One place as it was seen: every attempt that counts in its order, the figures of these, and where.

    ``signatures`` are the names that the last failure goes by, ``reason`` says what there is where there is no answer.
    ``built`` has the address of each package that is built from a commit or a folder, beside its version.
    """

    line: str
    scenario: str
    cell: str
    attempts: tuple[Outcome, ...] = ()
    signatures: tuple[str, ...] = ()
    figures: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    mark: Mark = Mark()
    gpu: str = ""
    reason: str = ""
    built: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        """Where it was seen."""
        return (self.line, self.scenario)

    @property
    def exact(self) -> dict[str, str]:
        """Return the versions, with the address of what was built: two commits may call themselves one version."""
        return {**self.versions, **self.built} if self.versions else {}

    @property
    def result(self) -> Result:
        """What the attempts say together."""
        return result_of(self.attempts)

    @property
    def word(self) -> Word:
        """What the place shows; two failures that differ are red, only a pass beside something else is flaky."""
        return word_of(self.attempts)

    def spreads(self) -> dict[str, Spread]:
        """Return each figure over the attempts."""
        return {name: spread(values) for name, values in self.figures.items() if values}

    def letters(self) -> str:
        """Write the answers of the attempts in their order: ``G`` for green, ``R`` for red; others are left out."""
        return letters(self.attempts)


def word_of(attempts: Iterable[Outcome]) -> Word:
    """Reduce attempts to one word.

    ========================================= =======
    no attempt, all cut off, or no card       missing
    a pass, and anything that is not          flaky
    every answer a pass                       green
    a fail and no pass                        red
    skips alone                               skip
    else                                      error
    ========================================= =======
    """
    outcomes = [one for one in attempts if one.reason not in ABSENT]
    statuses = {one.status for one in outcomes} - {Status.MISS}
    if not statuses:
        return Word.MISSING
    if statuses == {Status.PASS}:
        return Word.GREEN
    if Status.PASS in statuses and Status.FAIL in statuses:
        return Word.FLAKY
    if Status.ERROR in statuses or len(statuses) > 1:
        return Word.RED if statuses == {Status.FAIL, Status.ERROR} else Word.ERROR
    return Word.RED if Status.FAIL in statuses else Word.SKIP


def letters(attempts: Iterable[Outcome]) -> str:
    """Write answers in their order: ``G`` for a pass, ``R`` for a fail."""
    words = {Status.PASS: "G", Status.FAIL: "R"}
    return "".join(words.get(one.status, "") for one in attempts)
