"""The control cell: whether the machine can be trusted in a nightly run. It runs first and last. Pure.

A scenario of the control cell passed when the machine was last trusted, and fails now, first and last:

================================================ =========== =================================================
what changed since                               the machine the failure
================================================ =========== =================================================
nothing: same lock, source and GPU model         drifted     not claimed in this run. If it stays, the machine
                                                             is re-baselined in the next run, and the failure
                                                             is then *failing without a change*
nothing, and it passed only once                 drifted     the same: one result is enough
the lock                                         steady      a new regression, confirmed like any other
the source                                       steady      *scenario changed*; a new regression that names
                                                             the edit if the lock changed, too
it is new                                        steady      *appeared*
nothing, but it was flaky in the control cell    steady      flaky until it fails often enough, then *failing
                                                             without a change*
================================================ =========== =================================================

The machine counts as steady unless another control scenario, or its memory figures, changed. A failure only first or
only last is a drift whatever changed since, unless the scenario was flaky before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.nightly.ledger import LastResult, Ledger, failure_rate, is_watched, same_inputs, shifts_since
from harness.nightly.machine import MachineSnapshot, describe_changes
from harness.store.records import Stage, Status
from harness.verdict.figures import human_bytes
from harness.verdict.result import ANSWERS, ScenarioResult

ControlResults = Mapping[str, ScenarioResult]  # scenario -> result of the control cell
FIRST_AND_LAST = ("first", "last")
NEVER_RAN = {Stage.RESOLVE, Stage.INSTALL, Stage.COLLECT}
FLAKY_HERE = "the scenario is flaky in the control cell"
NOT_COMPARABLE = "no earlier run had its lock, source and GPU model"


class ControlState(StrEnum):
    """What the control cell shows about the machine, as ``nightly.json`` names it."""

    STEADY = "steady"
    REBASELINED = "settled"  # it drifted in an earlier run and stayed so: trusted from now on
    DRIFTED = "moved"
    NO_RESULT = "silent"  # no control cell, or no result of it

    @property
    def label(self) -> str:
        """The name in ``nightly.md``."""
        return LABELS[self]


LABELS = {
    ControlState.STEADY: "steady",
    ControlState.REBASELINED: "re-baselined",
    ControlState.DRIFTED: "drifted",
    ControlState.NO_RESULT: "no result",
}


@dataclass(frozen=True)
class Control:
    """The state of the machine, what drifted, and what else changed on the machine, each as sentences."""

    state: ControlState
    drift: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def trusted(self) -> bool:
        """Tell whether anything may be claimed."""
        return self.state in {ControlState.STEADY, ControlState.REBASELINED}


def compare_control(
    first: ControlResults, last: ControlResults, ledger: Ledger | None, machine: tuple[MachineSnapshot, MachineSnapshot]
) -> Control:
    """Return whether the machine can be trusted; the first row that fits decides.

    ================================================ ============
    no scenario of the control cell ran, first or    no result
    last, or none of them passed or failed
    first and last differ                            drifted
    there was no trusted run before                  steady
    as when the machine was last trusted             steady
    as in the run before, in which it had drifted    re-baselined
    it drifted in the run before, and no result of   re-baselined
    then or earlier is comparable
    no earlier result is comparable                  steady
    else                                             drifted
    ================================================ ============

    The outcome of a scenario that was flaky in the control cell is ignored. Earlier results are comparable if lock,
    source and GPU model are the same.

    Args:
        first: The results of the control cell before everything else.
        last: Its results after everything else.
        ledger: The ledger of the last nightly run.
        machine: The machine at the beginning and at the end of the run.
    """
    within = describe_changes(*machine)
    if not any(map(has_run, first.values())) or not any(map(has_run, last.values())):
        return Control(ControlState.NO_RESULT, (_why_no_result(first, last),), within)
    earlier = (*ledger.control, *ledger.drifted_control) if ledger else ()
    flaky = {one.scenario for one in earlier if failure_rate(one.history).flaky}
    drift = _differences(first, last, flaky, *FIRST_AND_LAST)
    if ledger is None:
        return Control(ControlState.DRIFTED, drift, within) if drift else Control(ControlState.STEADY)
    changes = (*within, *describe_changes(ledger.machine, machine[0]), *_ignored(last, ledger, flaky))
    state, drift = (ControlState.DRIFTED, drift) if drift else _compare_with_earlier(last, ledger, flaky)
    return Control(state, drift, changes)


def _compare_with_earlier(
    last: ControlResults, ledger: Ledger, flaky: set[str]
) -> tuple[ControlState, tuple[str, ...]]:
    """Compare the control cell, whose first and last results agree, with earlier runs."""
    trusted, drifted = _comparable(ledger.control, last), _comparable(ledger.drifted_control, last)
    since_trusted = _differences(trusted, last, flaky, "last trusted run", "this run")
    if ledger.machine_was_trusted or not ledger.control or (trusted and not since_trusted):
        return (ControlState.DRIFTED if since_trusted else ControlState.STEADY), since_trusted
    since_drift = _differences(drifted, last, flaky, "run before", "this run")
    if drifted and not since_drift:
        return ControlState.REBASELINED, since_trusted
    if not trusted and not drifted:
        unknown = f"the machine drifted in {ledger.run}, and the drift cannot be re-checked: {NOT_COMPARABLE}"
        return ControlState.REBASELINED, (unknown,)
    return ControlState.DRIFTED, since_trusted or since_drift


def _ignored(last: ControlResults, ledger: Ledger, flaky: set[str]) -> tuple[str, ...]:
    """Return which part of the control cell does not count in this run, as sentences."""
    lines = [f"{name} was flaky in the control cell: its outcome is ignored" for name in sorted(flaky & last.keys())]
    counting = {name: result for name, result in last.items() if has_run(result)}
    if counting and counting.keys() <= flaky:
        measured = any(is_watched(name) for result in counting.values() for name in result.values)
        rest = "only its memory is compared" if measured else "nothing is compared, for it measures no memory"
        lines.append(f"every scenario of the control cell was flaky: {rest}")

    if not _comparable(ledger.control, last) and not _comparable(ledger.drifted_control, last):
        lines.append(f"the control cell is compared with itself only, first and last: {NOT_COMPARABLE}")
    return tuple(lines)


def has_run(result: ScenarioResult) -> bool:
    """Tell whether a scenario of the control cell ran, and passed or failed."""
    ran = (one for one in result.outcomes if one.stage not in NEVER_RAN)
    return result.status in ANSWERS and any(one.status in {Status.PASS, Status.FAIL} for one in ran)


def _comparable(earlier: tuple[LastResult, ...], now: ControlResults) -> dict[str, ScenarioResult]:
    """Return the earlier results with the same lock, source and GPU model."""
    return {
        one.scenario: one.result
        for one in earlier
        if one.scenario in now and same_inputs(now[one.scenario], one.result) and one.gpu == now[one.scenario].gpu
    }


def _differences(old: ControlResults, new: ControlResults, flaky: set[str], before: str, after: str) -> tuple[str, ...]:
    """Return where two sets of control results differ, as sentences.

    Only the status counts, not how a scenario fails: the question is whether the machine gives another answer. So the
    rule is not that of :func:`harness.verdict.comparison.compare`, for which two unlike failures differ.
    """
    lines = []
    for name in sorted(old.keys() & new.keys()):
        one, other = old[name], new[name]
        if not {one.status, other.status} <= ANSWERS:
            if one.status is not other.status:
                lines.append(f"{name}: {before} {one.status}, {after} {other.status} {other.reason}".rstrip())
        elif one.status is other.status:  # the memory of a pass and of a failure cannot be compared
            lines += [
                f"{name}: {shift.name} {before} {human_bytes(shift.before.median)}, "
                f"{after} {human_bytes(shift.after.median)}"
                for shift in shifts_since(one.values, other.values)
            ]
        elif name not in flaky:
            within_run = (before, after) == FIRST_AND_LAST and same_inputs(one, other)
            note = f"; {FLAKY_HERE}" if within_run else ""
            lines.append(f"{name}: {before} {one.text}, {after} {other.text}{note}")

    return tuple(lines)


def _why_no_result(first: ControlResults, last: ControlResults) -> str:
    if not first and not last:
        return "no control cell ran"
    when = "first" if not any(map(has_run, first.values())) else "last"
    results = (first if when == "first" else last).values()
    reasons = sorted({result.reason or str(result.text) for result in results if result.reason or result.outcomes})
    return f"the control cell has no result when it ran {when}{': ' if reasons else ''}{'; '.join(reasons[:3])}"


def first_and_last(one: ScenarioResult, before_last: int | None) -> tuple[ScenarioResult, ScenarioResult]:
    """Split a result of the control cell into its first attempt and those after the first ``before_last``."""
    cut = len(one.outcomes) - 1 if before_last is None else before_last
    return _attempts(one, slice(0, 1)), _attempts(one, slice(max(cut, 0), None))


def _attempts(one: ScenarioResult, chosen: slice) -> ScenarioResult:
    values = {name: each[chosen] for name, each in one.values.items() if len(each) == len(one.outcomes)}
    return replace(one, outcomes=one.outcomes[chosen], values=values, attempts=())
