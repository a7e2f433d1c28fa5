"""One box of a run, and what is said of two: the values of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.store.records import Reason, Status
from harness.verdict.compare import Result
from harness.verdict.known_issues import Standing
from harness.verdict.noise import Spread
from harness.verdict.shifts import Shift

Place = tuple[str, str]  # cell-line, scenario
INFRASTRUCTURE = {Reason.NETWORK, Reason.GPU_BUSY}


class Kind(StrEnum):
    """What became of a place between two sides."""

    NEW_FAILURE = "new failure"  # passed, fails now
    CHANGED = "changed"  # fails in another way: "gone" is not "works"
    MEMORY_UP = "memory up"
    MEMORY_DOWN = "memory down"
    FIXED = "fixed"
    APPEARED = "appeared"  # was not expected, did not apply or had no result; has an answer now
    DISAPPEARED = "disappeared"  # is not expected any more, or does not apply now
    STILL_RED = "still red"
    FLAKY = "flaky"  # attempts of one side disagree: no change is claimed
    MISSING = "missing"  # expected, and there is no result
    UNKNOWN = "unknown"  # the script, the harness or a hole on one side: nothing is known about the software


class Answer(StrEnum):
    """What one side says of a place."""

    ABSENT = "absent"
    MISSING = "missing"
    SKIP = "skip"
    PASS = "pass"  # noqa: S105  # a colour, not a password
    FAIL = "fail"
    ERROR = "error"
    FLAKY = "flaky"


@dataclass(frozen=True)
class Box:
    """One scenario in one cell of one side.

    ``signatures`` are the names its failure goes by: its own, then its rule's where one knows it. ``figures`` are over
    all attempts, by full name (``cuda_reserved.load``); ``versions`` is the whole lock, ``built`` the address of each
    package that is built from a commit or a folder. ``reason`` is one sentence: why there is no result, or what the
    telling attempt says. ``gpu`` is the model, empty on a CPU.
    """

    line: str
    scenario: str
    cell: str
    outcomes: Result = field(default_factory=lambda: Result(()))
    signatures: tuple[str, ...] = ()
    figures: Mapping[str, Spread] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    gpu: str = ""
    built: Mapping[str, str] = field(default_factory=dict)

    @property
    def exact(self) -> dict[str, str]:
        """Return the versions, with the address of what was built: two commits may call themselves one version."""
        return {**self.versions, **self.built} if self.versions else {}

    @property
    def answer(self) -> Answer:
        """Return what it says; attempts that were all interrupted say nothing."""
        if self.outcomes.flaky:
            return Answer.FLAKY
        if self.outcomes.outcome is None or self.outcomes.outcome.status is Status.MISS:
            return Answer.MISSING
        return Answer(self.outcomes.outcome.status.value)

    @property
    def failure(self) -> str:
        """Return the name its failure is said by: the rule's, its own, else what the attempt says."""
        return self.signatures[-1] if self.signatures else self.reason

    @property
    def stood_in_the_way(self) -> bool:
        """Tell whether the network or a busy card spoilt an attempt."""
        return any(outcome.reason in INFRASTRUCTURE for outcome in self.outcomes.outcomes)


@dataclass(frozen=True)
class Entry:
    """What is to be said of one place; ``shifts`` are the figures of a memory entry, ``accepted`` a person's reason."""

    kind: Kind
    line: str
    scenario: str
    before: Box | None
    after: Box | None
    detail: str
    known: Standing | None = None
    shifts: tuple[Shift, ...] = ()
    accepted: str = ""

    @property
    def incomplete(self) -> bool:
        """Tell whether results lack here, so that the comparison proves nothing about the place."""
        holes = (box for box in (self.before, self.after) if box is not None and box.answer is Answer.MISSING)
        spoilt = self.after is not None and self.after.stood_in_the_way
        without = self.kind is Kind.DISAPPEARED and self.after is not None and _lacks_gpu(self.after)
        doubt = self.kind is Kind.UNKNOWN and (any(holes) or (self.before is not None and self.before.stood_in_the_way))
        return self.kind is Kind.MISSING or spoilt or without or doubt


def _lacks_gpu(box: Box) -> bool:
    return any(outcome.reason is Reason.NO_GPU for outcome in box.outcomes.outcomes)
