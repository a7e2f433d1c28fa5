"""Whether the machine can be trusted tonight: the control cell first and last, and against its own history. Pure.

A scenario of the control cell was green when the machine was last trusted, and is red tonight, first and last:

============================================ =========== ==================================================
what of it changed since                     the machine the red
============================================ =========== ==================================================
nothing: one lock, source and model of GPU   moved       not claimed tonight. Where it stays, the machine
                                                         has settled in the next night, and the red is then
                                                         *red without a change*; where it goes, it is over
nothing, and it was green only once          moved       the same: once is an answer
the lock                                     steady      a new regression, seen as often as any
the source                                   steady      *scenario changed*; a new regression that names
                                                         the edit where the lock changed too
it is new                                    steady      *appeared*
nothing, but it disagreed with itself before steady      flaky until it is red often enough, then
                                                         *red without a change*
============================================ =========== ==================================================

*Steady* stands where the other scenarios, and what memory it measures itself, say nothing else. Red first or last alone
is a machine that moved, whatever changed since, unless the scenario disagreed with itself before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.nightly.flakiness import rate
from harness.nightly.ledger import LastResult, Ledger, by_scenario
from harness.nightly.machine import MachineSnapshot, changes
from harness.nightly.memory import moves, watched
from harness.nightly.results import same_inputs
from harness.store.records import Stage, Status
from harness.verdict.figures import human_bytes
from harness.verdict.result import ScenarioResult

Looks = Mapping[str, ScenarioResult]  # scenario -> what the control cell showed
WITHIN = ("first", "last")
NEVER_RUN = {Stage.RESOLVE, Stage.INSTALL, Stage.COLLECT}
WAVERS = "this scenario disagrees with itself in the control cell"
ANOTHER = "no earlier night had its lock, source and model of GPU"
ANSWERS = {Status.PASS, Status.FAIL, Status.FLAKY}


class State(StrEnum):
    """What the control cell says about the machine."""

    STEADY = "steady"
    SETTLED = "settled"  # it moved in an earlier night and stays where it is: the machine is trusted from now on
    MOVED = "moved"
    SILENT = "silent"  # no control, or not a result of it


@dataclass(frozen=True)
class Control:
    """The answer, what moved, and what else is not as it was."""

    state: State
    moved: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def trusted(self) -> bool:
        """Tell whether anything may be claimed."""
        return self.state in {State.STEADY, State.SETTLED}


def compare_control(
    first: Looks, last: Looks, ledger: Ledger | None, facts: tuple[MachineSnapshot, MachineSnapshot]
) -> Control:
    """Judge the machine.

    ================================================ =========
    no scenario of the control cell ran, first or    silent
    last, or none of them passed or failed
    first and last differ                            moved
    there was no trusted night before                steady
    as when the machine was last trusted             steady
    as in the night before, in which it had moved    settled
    it had moved in the night before, and nothing    settled
    of then or earlier can be compared
    nothing earlier can be compared                  steady
    else                                             moved
    ================================================ =========

    A scenario that disagreed with itself within an earlier night is flaky: where its outcomes differ, it says nothing
    about the machine.
    Earlier nights count only where lock and source of the control cell are the same: where they are not, first and last
    alone are compared, and that is said; so is it where no outcome is left that speaks.

    Args:
        first: what the control cell showed before everything else.
        last: what it showed after.
        ledger: the last night's.
        facts: the machine at the beginning and the end of the night.
    """
    within = changes(*facts)
    if not any(map(answers, first.values())) or not any(map(answers, last.values())):
        return Control(State.SILENT, (_silence(first, last),), within)
    flaky = {one.scenario for one in (*ledger.control, *ledger.moved_control) if _wavers(one)} if ledger else set()
    drift = _differences(first, last, flaky, *WITHIN)
    if ledger is None:
        return Control(State.MOVED, drift, within) if drift else Control(State.STEADY)
    told = (*within, *changes(ledger.facts, facts[0]), *_unheard(last, ledger, flaky))
    state, moved = (State.MOVED, drift) if drift else _held(last, ledger, flaky)
    return Control(state, moved, told)


def _held(last: Looks, ledger: Ledger, flaky: set[str]) -> tuple[State, tuple[str, ...]]:
    """Hold the control cell, which agrees with itself tonight, against earlier nights."""
    trusted, moved = _comparable(ledger.control, last), _comparable(ledger.moved_control, last)
    since_trusted = _differences(trusted, last, flaky, "the last trusted night", "tonight")
    if ledger.settled or not ledger.control or (trusted and not since_trusted):
        return (State.MOVED if since_trusted else State.STEADY), since_trusted
    since_moved = _differences(moved, last, flaky, "the night before", "tonight")
    if moved and not since_moved:
        return State.SETTLED, since_trusted
    if not trusted and not moved:
        return State.SETTLED, (f"the machine moved in {ledger.night}; whether it moved back cannot be told: {ANOTHER}",)
    return State.MOVED, since_trusted or since_moved


def _unheard(last: Looks, ledger: Ledger, flaky: set[str]) -> tuple[str, ...]:
    """Say which part of the control cell says nothing about the machine tonight."""
    said = [
        f"{name} disagreed with itself in the control cell before: its outcome is left out"
        for name in sorted(flaky & last.keys())
    ]
    speaking = {name: result for name, result in last.items() if answers(result)}
    if speaking and speaking.keys() <= flaky:
        measured = any(watched(name) for result in speaking.values() for name in result.values)
        rest = "only the memory of the control cell" if measured else "nothing, for the control cell measures no memory"
        said.append(f"no outcome is left that speaks for the machine: {rest} does")
    if not _comparable(ledger.control, last) and not _comparable(ledger.moved_control, last):
        said.append(f"the control cell is held against itself alone, first and last: {ANOTHER}")
    return tuple(said)


def _wavers(one: LastResult) -> bool:
    return rate(one.tallies).flaky


def answers(result: ScenarioResult) -> bool:
    """Tell whether a look says anything about the machine: a scenario ran, and passed or failed."""
    ran = (one for one in result.outcomes if one.stage not in NEVER_RUN)
    return result.status in ANSWERS and any(one.status in {Status.PASS, Status.FAIL} for one in ran)


def _comparable(earlier: tuple[LastResult, ...], now: Looks) -> dict[str, ScenarioResult]:
    """Return the earlier answers that were given under the same lock and source, on the same model of GPU."""
    return {
        name: one.result
        for name, one in by_scenario(earlier).items()
        if name in now and same_inputs(now[name], one.result) and one.gpu == now[name].gpu
    }


def _differences(old: Looks, new: Looks, flaky: set[str], before: str, after: str) -> tuple[str, ...]:
    """Say in which scenarios two looks at the control cell differ; what is known to be flaky may."""
    said = []
    for name in sorted(old.keys() & new.keys()):
        one, other = old[name], new[name]
        if {one.status, other.status} <= ANSWERS:
            if one.status is not other.status:
                if name not in flaky:
                    itself = (before, after) == WITHIN and same_inputs(one, other)
                    wavers = f"; {WAVERS}" if itself else ""
                    said.append(f"{name}: {before} {one.text}, {after} {other.text}{wavers}")
                continue  # figures of a pass and of a fail are not one thing
            said += [
                f"{name}: {move.figure} {before} {human_bytes(move.before)}, {after} {human_bytes(move.now)}"
                for move in moves(one.values, other.values)
            ]
        elif one.status is not other.status:
            said.append(f"{name}: {before} {one.status}, {after} {other.status} {other.reason}".rstrip())
    return tuple(said)


def _silence(first: Looks, last: Looks) -> str:
    if not first and not last:
        return "there is no control cell, or it never ran"
    when = "first" if not any(map(answers, first.values())) else "last"
    results = (first if when == "first" else last).values()
    reasons = sorted({result.reason or str(result.text) for result in results if result.reason or result.outcomes})
    return f"the control cell has no answer when it ran {when}{': ' if reasons else ''}{'; '.join(reasons[:3])}"
