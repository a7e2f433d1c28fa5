"""Whether the machine can be trusted tonight: the control cell first and last, and against its own history. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.nightly.facts import Facts, changes
from harness.nightly.flakes import rate
from harness.nightly.ledger import Ledger, Seen, by_scenario
from harness.nightly.levels import moves
from harness.nightly.look import NEVER_RUN, Look, Word
from harness.report.figures import human_bytes
from harness.store.outcome import Status

Looks = Mapping[str, Look]  # scenario -> what the control cell showed
WAVERS = "this scenario disagrees with itself in the control cell"
ANSWERS = {Word.GREEN, Word.RED, Word.FLAKY}


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


def compare_control(first: Looks, last: Looks, ledger: Ledger | None, facts: tuple[Facts, Facts]) -> Control:
    """Judge the machine.

    ================================================ =========
    no scenario of the control cell ran, first or    silent
    last, or none of them passed or failed
    first and last differ                            moved
    there was no night before                        steady
    as when the machine was last trusted             steady
    as in the night before, in which it had moved    settled
    else                                             moved
    ================================================ =========

    A scenario that disagreed with itself within an earlier night is flaky: where its outcomes differ, it says nothing
    about the machine.
    Earlier nights count only where lock and source of the control cell are the same: where they are not, first and last
    alone are compared.

    Args:
        first: what the control cell showed before everything else.
        last: what it showed after.
        ledger: the last night's.
        facts: the machine at the beginning and the end of the night.
    """
    within = changes(*facts)
    if not any(map(answers, first.values())) or not any(map(answers, last.values())):
        return Control(State.SILENT, (_silence(first, last),), within)
    earlier = by_scenario(ledger.control) if ledger else {}
    flaky = {one.scenario for one in (*ledger.control, *ledger.moved_control) if _wavers(one)} if ledger else set()
    drift = _differences(first, last, flaky, "first", "last")
    left_out = tuple(
        f"{name} disagreed with itself in the control cell before: its outcome is left out"
        for name in sorted(flaky & last.keys())
    )
    since = (*(changes(ledger.facts, facts[0]) if ledger else ()), *left_out)
    if drift:
        return Control(State.MOVED, drift, (*within, *since))
    if ledger is None:
        return Control(State.STEADY)
    trusted = _differences(_comparable(earlier, last), last, flaky, "the last trusted night", "tonight")
    if not trusted:
        return Control(State.STEADY, (), (*within, *since))
    if not ledger.settled:
        moved = by_scenario(ledger.moved_control)
        if not _differences(_comparable(moved, last), last, flaky, "the night before", "tonight"):
            return Control(State.SETTLED, trusted, (*within, *since))
    return Control(State.MOVED, trusted, (*within, *since))


def _wavers(one: Seen) -> bool:
    return rate(one.tallies).flaky


def answers(look: Look) -> bool:
    """Tell whether a look says anything about the machine: a scenario ran, and passed or failed."""
    ran = (one for one in look.attempts if one.stage not in NEVER_RUN)
    return look.word in ANSWERS and any(one.status in {Status.PASS, Status.FAIL} for one in ran)


def _comparable(earlier: Mapping[str, Seen], now: Looks) -> dict[str, Look]:
    """Return the earlier answers that were given under the same lock and source."""
    return {
        name: one.look
        for name, one in earlier.items()
        if name in now and now[name].mark.whole and one.look.mark == now[name].mark and one.gpu == now[name].gpu
    }


def _differences(old: Looks, new: Looks, flaky: set[str], before: str, after: str) -> tuple[str, ...]:
    """Say in which scenarios two looks at the control cell differ; what is known to be flaky may."""
    said = []
    for name in sorted(old.keys() & new.keys()):
        one, other = old[name], new[name]
        if {one.word, other.word} <= ANSWERS:
            if one.word is not other.word:
                if name not in flaky:
                    wavers = f"; {WAVERS}" if one.mark.whole and one.mark == other.mark else ""
                    said.append(f"{name}: {before} {one.result}, {after} {other.result}{wavers}")
                continue  # figures of a pass and of a fail are not one thing
            said += [
                f"{name}: {move.figure} {before} {human_bytes(move.before)}, {after} {human_bytes(move.now)}"
                for move in moves(one.figures, other.figures)
            ]
        elif one.word is not other.word:
            said.append(f"{name}: {before} {one.word}, {after} {other.word} {other.reason}".rstrip())
    return tuple(said)


def _silence(first: Looks, last: Looks) -> str:
    if not first and not last:
        return "there is no control cell, or it never ran"
    when = "first" if not any(map(answers, first.values())) else "last"
    looks = (first if when == "first" else last).values()
    reasons = sorted({look.reason or str(look.result) for look in looks if look.reason or look.attempts})
    return f"the control cell has no answer when it ran {when}{': ' if reasons else ''}{'; '.join(reasons[:3])}"
