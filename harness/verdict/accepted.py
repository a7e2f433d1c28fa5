"""What a person accepted against a baseline: made from a difference, and whether it covers another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from harness.store.baseline import Acceptance, Kept
from harness.verdict.box import Answer, Box, Entry, Kind
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
    outcomes, signatures = _seen(entry.after)
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
    outcomes, signatures = _seen(entry.after)
    named = bool(set(signatures) & set(accepted.signatures)) or not (signatures or accepted.signatures)
    return named and set(outcomes) <= set(accepted.outcomes) and bool(outcomes) == bool(accepted.outcomes)


def _seen(after: Box | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (tuple(map(str, after.outcomes.outcomes)), after.signatures) if after is not None else ((), ())
