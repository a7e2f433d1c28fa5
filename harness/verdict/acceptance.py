"""What a person accepted against a baseline: made from a difference, and whether it covers another. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from harness.errors import ExitCode
from harness.store.baseline import Acceptance, Kept
from harness.verdict.box import Answer, Box, Entry, Kind
from harness.verdict.known_issues import State
from harness.verdict.measures import moved
from harness.verdict.noise import Spread

ACCEPTABLE = {
    Kind.NEW_FAILURE,
    Kind.CHANGED,
    Kind.MEMORY_UP,
    Kind.MEMORY_DOWN,
    Kind.DISAPPEARED,
    Kind.FLAKY,
    Kind.APPEARED,
}


def acceptable(entry: Entry) -> bool:
    """Tell whether a person can accept an entry: a hole in the results is nothing that could be."""
    green = entry.kind is Kind.APPEARED and entry.after is not None and entry.after.answer is not Answer.FAIL
    return entry.kind in ACCEPTABLE and not entry.incomplete and not green


def acceptance(entry: Entry, *, reason: str, run: str, date: datetime) -> Acceptance:
    """Write down a difference as it was seen."""
    outcomes, signatures = _seen_after(entry.after)
    figures = {one.name: Kept(**vars(one.after)) for one in entry.shifts}
    return Acceptance(
        line=entry.line,
        scenario=entry.scenario,
        kind=entry.kind.value,
        reason=reason,
        run=run,
        date=date,
        outcomes=outcomes,
        signatures=signatures,
        figures=figures,
    )


def with_accepted(entries: Iterable[Entry], accepted: Sequence[Acceptance]) -> tuple[Entry, ...]:
    """Give each entry the reason for which it was accepted, where it was."""
    return tuple(
        replace(entry, accepted=next((one.reason for one in reversed(accepted) if covers(one, entry)), ""))
        for entry in entries
    )


def covers(accepted: Acceptance, entry: Entry) -> bool:
    """Tell whether a difference is the accepted one, never by its name alone.

    =========== =========================================================================
    kind        is the accepted one where
    =========== =========================================================================
    memory      every figure that moved was accepted, and has not moved from there since
    anything    the outcomes are among the accepted ones, and the failures share a name
    else
    =========== =========================================================================
    """
    same = (accepted.line, accepted.scenario, accepted.kind) == (entry.line, entry.scenario, entry.kind.value)
    if not same or not acceptable(entry):
        return False
    if entry.shifts:
        then = {name: Spread(**value.model_dump()) for name, value in accepted.figures.items()}
        return all(one.name in then and not moved(one.name, then[one.name], one.after) for one in entry.shifts)
    outcomes, signatures = _seen_after(entry.after)
    named = bool(set(signatures) & set(accepted.signatures)) or not (signatures or accepted.signatures)
    return named and set(outcomes) <= set(accepted.outcomes) and bool(outcomes) == bool(accepted.outcomes)


def _seen_after(after: Box | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (tuple(map(str, after.outcomes.outcomes)), after.signatures) if after is not None else ((), ())


RED = {Answer.FAIL, Answer.ERROR, Answer.FLAKY}


def _now(entry: Entry, *answers: Answer) -> bool:
    return entry.after is not None and entry.after.answer in answers


def _new(entry: Entry) -> bool:
    return entry.kind is Kind.NEW_FAILURE or (entry.kind is Kind.APPEARED and _now(entry, Answer.FAIL))


def _newly_flaky(entry: Entry) -> bool:
    before = entry.before is not None and entry.before.answer is Answer.FLAKY
    return _now(entry, Answer.FLAKY) and not before


FAIL_ON: Mapping[str, Callable[[Entry], bool]] = {
    "new": _new,
    "changed": lambda entry: entry.kind is Kind.CHANGED,
    "memory": lambda entry: entry.kind is Kind.MEMORY_UP,
    "flaky": lambda entry: _now(entry, Answer.FLAKY),
    "disappeared": lambda entry: entry.kind is Kind.DISAPPEARED,
    "unknown": lambda entry: entry.kind is Kind.UNKNOWN,
    "any": lambda entry: (
        _new(entry)
        or _newly_flaky(entry)
        or entry.kind in {Kind.CHANGED, Kind.MEMORY_UP, Kind.DISAPPEARED, Kind.UNKNOWN}
    ),
    "red": lambda entry: _now(entry, *RED),
}


LOUD = {"red"}  # counts what is known or accepted too


def is_expected(entry: Entry) -> bool:
    """Tell whether somebody expects this: red as a known issue says, or accepted against the baseline."""
    return bool(entry.accepted) or (entry.known is not None and entry.known.state is State.KNOWN)


def counted(entries: Sequence[Entry], asked: Collection[str]) -> tuple[Entry, ...]:
    """Return the entries that ``--fail-on`` asks for; ``asked`` are keys of ``FAIL_ON``."""
    return tuple(
        entry
        for entry in entries
        if any(FAIL_ON[word](entry) and (word in LOUD or not is_expected(entry)) for word in asked)
    )


def exit_code(entries: Sequence[Entry], compared: int, asked: Collection[str]) -> ExitCode:
    """Return the exit code of a comparison.

    ============================================================================ ===
    a result is missing, infrastructure stood in the way, or no place has an     4
    answer (pass, fail, flaky) on both sides
    ``--fail-on`` asked for it, and there is one that is neither known nor       1
    accepted
    else                                                                         0
    ============================================================================ ===
    """
    if not compared or any(entry.incomplete for entry in entries):
        return ExitCode.INCOMPLETE
    return ExitCode.REGRESSION if counted(entries, asked) else ExitCode.COMPLETE
