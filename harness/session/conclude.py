"""What a run amounts to when it is over: what is missing, what failed, what regressed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import ExitCode
from harness.store.journal import JournalContent
from harness.store.records import WHOLE_CELL, AttemptRecord, RunRecord, Status
from harness.verdict.comparison import Change, compare
from harness.verdict.result import ResultKey, ScenarioResult
from harness.verdict.results import results_of

Place = tuple[str, str]  # cell, scenario


@dataclass(frozen=True)
class Conclusion:
    """The results of a run by what became of them, each as its cell and scenario; ``*`` is a whole cell.

    ``unlisted`` are the cells that never listed their scenarios though they could be set up: more may be missing there.
    """

    missing: tuple[Place, ...]
    unavailable: tuple[Place, ...]
    infrastructure: tuple[Place, ...]
    failed: tuple[Place, ...]
    regressed: tuple[Place, ...]
    flaky: tuple[Place, ...]
    passed: int
    attempts: int
    unlisted: tuple[str, ...] = ()

    def exit_code(self, fail_on: str | None, *, whole: bool) -> ExitCode:
        """Return the exit code of the run.

        ==================================================== ===
        interrupted                                          130
        no scenario was selected in any cell                 3
        a result is missing, a cell is unavailable,          4
        infrastructure failed, or nothing passed or failed
        (everything was skipped)
        ``fail_on`` regression and one was found             1
        ``fail_on`` failure and one was found                1
        else                                                 0
        ==================================================== ===
        """
        if not whole:
            return ExitCode.INTERRUPTED
        if not self.attempts and not self.missing:
            return ExitCode.NOTHING_SELECTED
        holes = self.missing or self.unlisted or self.unavailable or self.infrastructure
        if holes or not (self.passed or self.failed or self.flaky):
            return ExitCode.INCOMPLETE
        asked = {"regression": self.regressed, "failure": (*self.failed, *self.flaky)}
        return ExitCode.REGRESSION if fail_on and asked[fail_on] else ExitCode.COMPLETE

    def missing_text(self) -> str:
        """Count what is missing: ``7 results missing (3 cells never listed theirs)``."""
        cells, results = len(self.unlisted), sum(scenario != WHOLE_CELL for _, scenario in self.missing)
        silent = f"{cells} cell{' never listed its scenarios' if cells == 1 else 's never listed theirs'}"
        if not results:
            return silent
        return f"{results} result{'' if results == 1 else 's'} missing{f' ({silent})' if cells else ''}"


def conclude(run: RunRecord, journal: JournalContent[AttemptRecord]) -> Conclusion:
    """Reduce the results of a run to what the caller is told."""
    results = results_of(run, journal)

    def places(chosen: Iterable[ScenarioResult]) -> tuple[Place, ...]:
        return tuple((one.cell, one.key.scenario) for one in chosen)

    def having(*statuses: Status) -> list[ScenarioResult]:
        return [one for one in results.values() if one.status in statuses]

    missing = having(Status.MISS)
    return Conclusion(
        missing=places(missing),
        unavailable=places(having(Status.UNAVAILABLE)),
        infrastructure=places(filter(_is_infrastructure, results.values())),
        failed=places(having(Status.FAIL, Status.ERROR)),
        regressed=places(_regressed(run, results)),
        flaky=places(having(Status.FLAKY)),
        passed=len(having(Status.PASS)),
        attempts=len(journal.attempts),
        unlisted=tuple(dict.fromkeys(one.cell for one in results.values() if _is_unlisted(one, journal))),
    )


def _is_unlisted(result: ScenarioResult, journal: JournalContent[AttemptRecord]) -> bool:
    set_up = result.recorded_as != WHOLE_CELL or not result.attempts
    return set_up and result.cell not in journal.listed


def _is_infrastructure(result: ScenarioResult) -> bool:
    """Tell whether the network, a busy GPU, or the harness itself (a whole cell in error) stood in the way."""
    whole_cell = result.recorded_as == WHOLE_CELL and result.status is Status.ERROR
    return whole_cell or result.is_spoilt


def _regressed(run: RunRecord, results: Mapping[ResultKey, ScenarioResult]) -> Sequence[ScenarioResult]:
    """Return the results that fail where the same scenario passes in a reference cell."""
    references = {cell.id for cell in run.cells if cell.reference}
    before: dict[str, list[ScenarioResult]] = {}
    for one in results.values():
        if one.cell in references:
            before.setdefault(one.key.scenario, []).append(one)
    return [
        one
        for one in results.values()
        if one.cell not in references
        and any(compare(each, one) is Change.NEW_FAILURE for each in before.get(one.key.scenario, ()))
    ]
