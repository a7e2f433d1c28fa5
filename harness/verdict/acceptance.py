"""Accepted differences from a baseline, and the differences that ``--fail-on`` counts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from harness.errors import ExitCode
from harness.store.baseline import Acceptance, Kept
from harness.store.records import Status
from harness.verdict.comparison import Change, Difference
from harness.verdict.known_issues import State
from harness.verdict.result import ScenarioResult
from harness.verdict.statistics import Spread, moved

ACCEPTABLE = {
    Change.NEW_FAILURE,
    Change.CHANGED,
    Change.MEMORY_UP,
    Change.MEMORY_DOWN,
    Change.DISAPPEARED,
    Change.FLAKY,
    Change.APPEARED,
}
RED = {Status.FAIL, Status.ERROR, Status.FLAKY}  # of ``--fail-on red``
COUNTS_EXPECTED = {"red"}  # also counts what is known or accepted


def acceptable(difference: Difference) -> bool:
    """Tell whether a difference can be accepted; a missing result and a new pass cannot."""
    passes = difference.change is Change.APPEARED and not _now(difference, Status.FAIL)
    return difference.change in ACCEPTABLE and not difference.incomplete and not passes


def acceptance(difference: Difference, *, reason: str, run: str, date: datetime) -> Acceptance:
    """Return the record that accepts a difference."""
    outcomes, signatures = _after(difference.after)
    return Acceptance(
        line=difference.key.series,
        scenario=difference.key.scenario,
        kind=difference.change.value,
        reason=reason,
        run=run,
        date=date,
        outcomes=outcomes,
        signatures=signatures,
        figures={shift.name: Kept(**vars(shift.after)) for shift in difference.shifts},
    )


def with_accepted(found: Iterable[Difference], accepted: Sequence[Acceptance]) -> tuple[Difference, ...]:
    """Return the differences, those that were accepted with the reason."""
    return tuple(
        replace(difference, accepted=next((one.reason for one in reversed(accepted) if covers(one, difference)), ""))
        for difference in found
    )


def covers(accepted: Acceptance, difference: Difference) -> bool:
    """Tell whether an acceptance covers a difference at the same key.

    =========== =========================================================================
    kind        covered if
    =========== =========================================================================
    memory      every changed figure was accepted, and has not changed since
    any other   all outcomes were accepted, and the failures share a signature
    =========== =========================================================================
    """
    subject = (accepted.line, accepted.scenario, accepted.kind)
    if subject != (*difference.key, difference.change.value) or not acceptable(difference):
        return False
    if difference.shifts:
        then = {name: Spread(**value.model_dump()) for name, value in accepted.figures.items()}
        return all(one.name in then and not moved(one.name, then[one.name], one.after) for one in difference.shifts)
    outcomes, signatures = _after(difference.after)
    named = bool(set(signatures) & set(accepted.signatures)) or not (signatures or accepted.signatures)
    return named and set(outcomes) <= set(accepted.outcomes) and bool(outcomes) == bool(accepted.outcomes)


def _after(result: ScenarioResult | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (tuple(map(str, result.distinct)), result.signatures) if result is not None else ((), ())


def _now(difference: Difference, *statuses: Status) -> bool:
    return difference.after is not None and difference.after.status in statuses


def _is_new(difference: Difference) -> bool:
    appeared_red = difference.change is Change.APPEARED and _now(difference, Status.FAIL)
    return difference.change is Change.NEW_FAILURE or appeared_red


def _is_newly_flaky(difference: Difference) -> bool:
    before = difference.before is not None and difference.before.status is Status.FLAKY
    return _now(difference, Status.FLAKY) and not before


FAIL_ON: Mapping[str, Callable[[Difference], bool]] = {
    "new": _is_new,
    "changed": lambda one: one.change is Change.CHANGED,
    "memory": lambda one: one.change is Change.MEMORY_UP,
    "flaky": lambda one: _now(one, Status.FLAKY),
    "disappeared": lambda one: one.change is Change.DISAPPEARED,
    "unknown": lambda one: one.change is Change.UNKNOWN,
    "any": lambda one: (
        _is_new(one)
        or _is_newly_flaky(one)
        or one.change in {Change.CHANGED, Change.MEMORY_UP, Change.DISAPPEARED, Change.UNKNOWN}
    ),
    "red": lambda one: _now(one, *RED),
}


def is_expected(difference: Difference) -> bool:
    """Tell whether a difference is expected: a known issue, or accepted."""
    known = difference.known is not None and difference.known.state is State.KNOWN
    return bool(difference.accepted) or known


def matching(found: Sequence[Difference], fail_on: Collection[str]) -> tuple[Difference, ...]:
    """Return the differences that ``--fail-on`` counts; ``fail_on`` has keys of ``FAIL_ON``."""
    return tuple(
        one
        for one in found
        if any(FAIL_ON[name](one) and (name in COUNTS_EXPECTED or not is_expected(one)) for name in fail_on)
    )


def exit_code(found: Sequence[Difference], compared: int, fail_on: Collection[str]) -> ExitCode:
    """Return the exit code of a comparison.

    ============================================================================= ===
    a result is missing, a cell is unavailable, infrastructure failed, or no key  4
    has an answer (pass, fail, flaky) on both sides
    ``--fail-on`` counts a difference                                             1
    else                                                                          0
    ============================================================================= ===
    """
    if not compared or any(one.incomplete for one in found):
        return ExitCode.INCOMPLETE
    return ExitCode.REGRESSION if matching(found, fail_on) else ExitCode.COMPLETE
