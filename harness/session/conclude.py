"""Conclude a run: what is missing, failed or regressed, and what depends on the isolation. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.errors import ExitCode
from harness.reporter import counted
from harness.store.journal import JournalContent
from harness.store.records import WHOLE_CELL, AttemptRecord, RunRecord, Status
from harness.verdict.comparison import Change, compare
from harness.verdict.result import ResultKey, ScenarioResult
from harness.verdict.results import results_of
from harness.verdict.statistics import exceeds

CellScenario = tuple[str, str]  # cell id, scenario id; ``*`` is a whole cell

# How far figures of forked attempts may differ from those in fresh interpreters.
ABSOLUTE_BYTES = 128 * 1024 * 1024  # the largest of 66 pairs on a 2-core CPU host differed by 67 MiB
RELATIVE = 0.05  # transformers 5 loads with threads: CUDA reserved memory varies by up to 4 %
COMPARED = re.compile(r"cuda\d*_|x\.|host_anon_added\.")  # seconds and total host memory differ by design
NOT_COMPARED = re.compile(r"device_used|process_used|seconds$")  # other processes, CUDA contexts, times
ALLOCATOR = re.compile(r"cuda\d*_(allocated|reserved|active)")  # equal to the byte if repeated attempts are


@dataclass(frozen=True)
class Conclusion:
    """The results of a run by status, each as the ids of its cell and scenario.

    ``regressed`` are those that fail while the scenario passes in a reference cell. ``unlisted`` are cells that could
    be set up but whose scenarios were not collected, so that more results may be missing.
    """

    missing: tuple[CellScenario, ...]
    unavailable: tuple[CellScenario, ...]
    infrastructure: tuple[CellScenario, ...]
    failed: tuple[CellScenario, ...]
    regressed: tuple[CellScenario, ...]
    flaky: tuple[CellScenario, ...]
    passed: int
    attempts: int
    unlisted: tuple[str, ...] = ()

    def exit_code(self, fail_on: str | None, *, complete: bool) -> ExitCode:
        """Return the exit code of the run; the first row that applies decides.

        ==================================================== ===
        not ``complete``: the run was interrupted            130
        no scenario was selected in any cell                 3
        a result is missing, a cell is unavailable,          4
        the infrastructure failed, or nothing passed or
        failed (everything was skipped)
        ``fail_on`` regression, and there is one             1
        ``fail_on`` failure, and there is one                1
        otherwise                                            0
        ==================================================== ===
        """
        if not complete:
            return ExitCode.INTERRUPTED
        if not self.attempts and not self.missing:
            return ExitCode.NOTHING_SELECTED
        lacking = self.missing or self.unlisted or self.unavailable or self.infrastructure
        if lacking or not (self.passed or self.failed or self.flaky):
            return ExitCode.INCOMPLETE
        return ExitCode.REGRESSION if fail_on and self.failing(fail_on) else ExitCode.COMPLETE

    def failing(self, fail_on: str) -> tuple[CellScenario, ...]:
        """Return the results that ``--fail-on`` counts: ``regression`` or ``failure``."""
        return self.regressed if fail_on == "regression" else (*self.failed, *self.flaky)

    def missing_text(self) -> str:
        """Return the numbers of missing results and unlisted cells, for display."""
        results = sum(scenario != WHOLE_CELL for _, scenario in self.missing)
        unlisted = f"the scenarios of {counted(len(self.unlisted), 'cell')} are unknown"
        if not results:
            return unlisted
        return f"{counted(results, 'result')} missing{f', and {unlisted}' if self.unlisted else ''}"


def conclude(run: RunRecord, journal: JournalContent[AttemptRecord]) -> Conclusion:
    """Return the conclusion of a run."""
    results = results_of(run, journal)

    def ids(chosen: Iterable[ScenarioResult]) -> tuple[CellScenario, ...]:
        return tuple((one.cell, one.key.scenario) for one in chosen)

    def having(*statuses: Status) -> list[ScenarioResult]:
        return [one for one in results.values() if one.status in statuses]

    return Conclusion(
        missing=ids(having(Status.MISS)),
        unavailable=ids(having(Status.UNAVAILABLE)),
        infrastructure=ids(filter(_is_infrastructure, results.values())),
        failed=ids(having(Status.FAIL, Status.ERROR)),
        regressed=ids(_regressed(run, results)),
        flaky=ids(having(Status.FLAKY)),
        passed=len(having(Status.PASS)),
        attempts=len(journal.attempts),
        unlisted=tuple(dict.fromkeys(one.cell for one in results.values() if _is_unlisted(one, journal))),
    )


def _is_unlisted(result: ScenarioResult, journal: JournalContent[AttemptRecord]) -> bool:
    set_up = result.recorded_as != WHOLE_CELL or not result.attempts
    return set_up and result.cell not in journal.listed


def _is_infrastructure(result: ScenarioResult) -> bool:
    """Return whether the network, a busy GPU or the harness (an error of a whole cell) prevented a result."""
    whole_cell = result.recorded_as == WHOLE_CELL and result.status is Status.ERROR
    return whole_cell or result.is_spoilt


def _regressed(run: RunRecord, results: Mapping[ResultKey, ScenarioResult]) -> Sequence[ScenarioResult]:
    """Return the results that fail while the scenario passes in a reference cell."""
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


def isolation_differences(attempts: Iterable[AttemptRecord]) -> list[str]:
    """Return one sentence per outcome and figure that depends on the isolation, and per incomplete comparison.

    The list is empty only if every scenario ran in both isolations without a difference.
    """
    by_scenario: dict[CellScenario, dict[str, list[AttemptRecord]]] = {}
    for attempt in attempts:
        if attempt.isolation:
            own = by_scenario.setdefault((attempt.cell, attempt.scenario), {})
            own.setdefault(attempt.isolation, []).append(attempt)

    found = []
    for (cell, scenario), ways in by_scenario.items():
        if {"fork", "spawn"} <= ways.keys():
            found += [f"{cell} {scenario}: {text}" for text in _differences(ways["fork"], ways["spawn"])]
    for cell in dict.fromkeys(cell for cell, _ in by_scenario):
        isolations = {scenario: ways.keys() for (of, scenario), ways in by_scenario.items() if of == cell}
        used = {isolation for own in isolations.values() for isolation in own}
        if len(used) == 1:
            found.append(f"{cell}: all attempts ran with {used.pop()}, nothing was compared")
            continue
        single = {scenario: next(iter(own)) for scenario, own in isolations.items() if len(own) == 1}
        found += [
            f"{cell} {scenario}: ran only with {isolation}, nothing was compared"
            for scenario, isolation in single.items()
        ]

    return found or ([] if by_scenario else ["no attempt ran, nothing was compared"])


def _differences(forked: Sequence[AttemptRecord], fresh: Sequence[AttemptRecord]) -> list[str]:
    outcomes = [sorted({str(attempt.outcome) for attempt in side}) for side in (forked, fresh)]
    if outcomes[0] != outcomes[1]:
        return [f"{' and '.join(outcomes[0])} with fork, {' and '.join(outcomes[1])} in a fresh interpreter"]
    found = []
    names = {name for attempt in (*forked, *fresh) for name in attempt.figures}
    for name in sorted(each for each in names if COMPARED.match(each) and not NOT_COMPARED.search(each)):
        before, after = (
            [attempt.figures[name] for attempt in side if name in attempt.figures] for side in (forked, fresh)
        )
        if not before or not after or _differs(name, before, after):
            found.append(f"{name} is {before} with fork, {after} in a fresh interpreter")

    return found


def _differs(name: str, before: Sequence[float], after: Sequence[float]) -> bool:
    """Return whether a figure differs beyond noise; at all, if repeated attempts of each side are equal."""
    repeated = all(len(side) > 1 and len(set(side)) == 1 for side in (before, after))
    if repeated and ALLOCATOR.match(name):
        return before[0] != after[0]
    absolute = ABSOLUTE_BYTES if name.startswith(("cuda", "host_", "x.host_")) else 1e-6
    return exceeds(median(before), median(after), absolute=absolute, relative=RELATIVE)
