"""Compare two outcomes, and reduce the attempts of one scenario in one cell to a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.store.records import Outcome, Reason, Status


class Change(StrEnum):
    """What became of a scenario between two cells."""

    SAME = "same"
    REGRESSION = "regression"  # passed, fails now
    FIXED = "fixed"  # failed, passes now
    CHANGED_FAILURE = "changed failure"  # fails in another way: "gone" is not "works"
    APPEARED = "appeared"  # did not apply or was not run, now has an answer
    DISAPPEARED = "disappeared"  # had an answer, does not apply or was not run now
    UNKNOWN = "unknown"  # the script or the harness is to blame on one side: nothing is known about the software


def compare(before: Outcome, after: Outcome) -> Change:  # noqa: PLR0911  # one return a box of the table
    """Compare two outcomes.

    ============ ============ ================= ================= ===========
    before/after pass         fail              skip, miss        error
    ============ ============ ================= ================= ===========
    pass         same         regression        disappeared       unknown
    fail         fixed        same or           disappeared       unknown
                              changed failure
    skip, miss   appeared     appeared          same              unknown
    error        unknown      unknown           unknown           unknown
    ============ ============ ================= ================= ===========

    Two equal outcomes are the same, two equal errors included. Two failures are the same when stage and reason are.
    """
    if before == after:
        return Change.SAME
    match _answer(before), _answer(after):
        case ("error", _) | (_, "error"):
            return Change.UNKNOWN
        case "none", "none":
            return Change.SAME
        case "none", _:
            return Change.APPEARED
        case _, "none":
            return Change.DISAPPEARED
        case "pass", "fail":
            return Change.REGRESSION
        case "fail", "pass":
            return Change.FIXED
        case _:
            return Change.CHANGED_FAILURE


def _answer(outcome: Outcome) -> str:
    return "none" if outcome.status in {Status.SKIP, Status.MISS} else outcome.status.value


@dataclass(frozen=True)
class Result:
    """The verdict over the attempts of one scenario in one cell; ``flaky`` when they disagree, in the order seen."""

    outcomes: tuple[Outcome, ...]

    @property
    def flaky(self) -> bool:
        """Tell whether the attempts disagree."""
        return len(self.outcomes) > 1

    @property
    def missing(self) -> bool:
        """Tell whether there was no attempt at all."""
        return not self.outcomes

    @property
    def outcome(self) -> Outcome | None:
        """Return what all attempts agree on, None where they do not or where there is none."""
        return self.outcomes[0] if len(self.outcomes) == 1 else None

    def __str__(self) -> str:
        """Write the outcome, ``flaky(pass:check, fail:run:oom)`` or ``miss``."""
        if self.missing:
            return Status.MISS.value
        return f"flaky({', '.join(map(str, self.outcomes))})" if self.flaky else str(self.outcomes[0])


def result_of(attempts: Sequence[Outcome]) -> Result:
    """Return the result over attempts: what they all say, or ``flaky`` with every distinct outcome.

    An attempt that was interrupted says nothing, nor does one that lacked a GPU which another had (merged runs of
    several machines): they count only when there is no other.
    """
    telling = [one for one in attempts if one.status is not Status.MISS and one.reason is not Reason.NO_GPU]
    telling = telling or [one for one in attempts if one.status is not Status.MISS]
    return Result(tuple(dict.fromkeys(telling or attempts)))


def figure_changed(before: float, after: float, *, absolute: float, relative: float) -> bool:
    """Tell whether a figure moved beyond both bounds: ``absolute`` in its unit, ``relative`` as a share of ``before``.

    Both have to be passed, so that 4 KiB more on 4 KiB and 10 MiB more on 10 GiB are not reported as changes.
    """
    difference = abs(after - before)
    return difference > absolute and difference > relative * abs(before)
