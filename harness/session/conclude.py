"""What a run amounts to when it is over: what is missing, what failed, what regressed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.store.records import AttemptRecord, CellRecord, Outcome, Reason, Status
from harness.verdict.compare import Change, Result, compare, result_of

INFRASTRUCTURE = {Reason.NETWORK, Reason.GPU_BUSY}
Place = tuple[str, str]  # cell, scenario


@dataclass(frozen=True)
class Conclusion:
    """Places (cell, scenario) by what became of them; ``*`` stands for a whole cell."""

    missing: tuple[Place, ...]
    infrastructure: tuple[Place, ...]
    failed: tuple[Place, ...]
    regressed: tuple[Place, ...]
    flaky: tuple[Place, ...]
    passed: int
    attempts: int

    def exit_code(self, fail_on: str | None, *, whole: bool) -> ExitCode:
        """Return the exit code of the run.

        ==================================================== ===
        interrupted                                          130
        no scenario was selected in any cell                 3
        a result is missing, infrastructure failed, or       4
        nothing passed or failed (everything was skipped)
        ``fail_on`` regression and one was found             1
        ``fail_on`` failure and one was found                1
        else                                                 0
        ==================================================== ===
        """
        if not whole:
            return ExitCode.INTERRUPTED
        if not self.attempts and not self.missing:
            return ExitCode.NOTHING_SELECTED
        if self.missing or self.infrastructure or not (self.passed or self.failed or self.flaky):
            return ExitCode.INCOMPLETE
        asked = {"regression": self.regressed, "failure": (*self.failed, *self.flaky)}
        return ExitCode.REGRESSION if fail_on and asked[fail_on] else ExitCode.COMPLETE


def conclude(
    cells: Sequence[CellRecord], collected: Mapping[str, Collection[str]], attempts: Sequence[AttemptRecord]
) -> Conclusion:
    """Compare what was expected with what there is.

    ``collected`` maps a cell to the scenarios it listed. A cell that listed nothing and has no row for itself is
    missing as a whole; a listed scenario without an attempt that ended is missing.
    """
    results = results_of(standing(attempts))
    missing = [place for cell in cells for place in _missing(cell.id, collected.get(cell.id), results)]
    missing += [place for place, result in results.items() if place[1] != "*" and _is(result, Status.MISS)]
    return Conclusion(
        missing=tuple(dict.fromkeys(missing)),
        infrastructure=tuple(place for place, result in results.items() if _is_infrastructure(place, result)),
        failed=tuple(place for place, result in results.items() if _is(result, Status.FAIL, Status.ERROR)),
        regressed=_regressed(cells, results),
        flaky=tuple(place for place, result in results.items() if result.flaky),
        passed=sum(_is(result, Status.PASS) for result in results.values()),
        attempts=len(attempts),
    )


def lacking(missing: Sequence[Place], rows: Collection[str], misses: int) -> str:
    """Say what is missing as the table beside it counts it: ``7 results missing (3 cells never listed theirs)``.

    Args:
        missing: what :func:`conclude` found, at least one place.
        rows: the scenarios of the table.
        misses: how many of its boxes are a miss, those of a cell that listed nothing among them.
    """
    cells = sum(scenario == "*" for _, scenario in missing)
    unshown = sum("::" in scenario and scenario not in rows for _, scenario in missing)
    results = misses + unshown or len(missing) - cells
    silent = f"{cells} cell{' never listed its scenarios' if cells == 1 else 's never listed theirs'}"
    if not results:
        return silent
    return f"{results} result{'' if results == 1 else 's'} missing{f' ({silent})' if cells else ''}"


def standing(attempts: Sequence[AttemptRecord]) -> list[AttemptRecord]:
    """Leave out rows for a whole cell or file (attempt 0) that a later row of the cell or file has overtaken."""
    kept: list[AttemptRecord] = []
    overtaken: set[Place] = set()
    for attempt in reversed(attempts):
        file = attempt.scenario.partition("::")[0]
        if attempt.attempt or (attempt.cell, attempt.scenario) not in overtaken:
            kept.append(attempt)
        overtaken |= {(attempt.cell, "*"), (attempt.cell, file)}
    return kept[::-1]


def results_of(attempts: Sequence[AttemptRecord]) -> dict[Place, Result]:
    """Reduce attempts to one result a place; interrupted ones count only where there is no other."""
    outcomes: dict[Place, list[Outcome]] = {}
    for attempt in attempts:
        outcomes.setdefault((attempt.cell, attempt.scenario), []).append(attempt.outcome)
    ended = {
        place: [one for one in seen if one.reason is not Reason.INTERRUPTED] or seen for place, seen in outcomes.items()
    }
    return {place: result_of(seen) for place, seen in ended.items()}


def _missing(cell: str, listed: Collection[str] | None, results: Mapping[Place, Result]) -> list[Place]:
    if listed is None:
        return [] if (cell, "*") in results else [(cell, "*")]
    return [(cell, scenario) for scenario in listed if (cell, scenario) not in results]


def _regressed(cells: Sequence[CellRecord], results: Mapping[Place, Result]) -> tuple[Place, ...]:
    """Return the places that are red where a reference cell is green."""
    references = [cell.id for cell in cells if cell.reference]
    found = []
    for (cell, scenario), result in results.items():
        before = [results[place] for place in ((one, scenario) for one in references) if place in results]
        if cell not in references and result.outcome is not None:
            changes = {compare(one.outcome, result.outcome) for one in before if one.outcome is not None}
            if Change.REGRESSION in changes:
                found.append((cell, scenario))
    return tuple(found)


def _is(result: Result, *statuses: Status) -> bool:
    return result.outcome is not None and result.outcome.status in statuses


def _is_infrastructure(place: Place, result: Result) -> bool:
    """Tell whether the network, a busy card, or the harness itself (a whole cell in error) stood in the way."""
    whole_cell = place[1] == "*" and _is(result, Status.ERROR)
    return whole_cell or any(outcome.reason in INFRASTRUCTURE for outcome in result.outcomes)
