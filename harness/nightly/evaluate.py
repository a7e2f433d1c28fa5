"""Evaluate an existing run, such as the merged parts of several machines, as a nightly run: no cell is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, HarnessError
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix
from harness.nightly.baseline import read_baseline
from harness.nightly.claim import Claim
from harness.nightly.conclude import NightEvidence, conclude
from harness.nightly.control import Control, ControlResults, ControlState, compare_control, first_and_last
from harness.nightly.ledger import Ledger
from harness.nightly.machine import GpuSnapshot, MachineSnapshot
from harness.nightly.night import Ending, NightlyOptions, end
from harness.nightly.record import NightlyReport, SearchSummary, previous_report, read_ledger
from harness.nightly.searches import Budget, SearchContext, Searcher, not_searched, plan_searches, write_drafts
from harness.nightly.stages import read_run_results
from harness.report.write import known_issues
from harness.reporter import Reporter
from harness.session.begin import describe_host
from harness.session.resume import load_plan
from harness.store.journal import Listener
from harness.store.records import WHOLE_CELL, AttemptRecord, HostRecord, RunKind, RunRecord
from harness.store.run_folder import RunFolder, claimed
from harness.store.runs import find_run, kind_of
from harness.verdict.result import ResultKey, ScenarioResult

LOST = "no part has this cell: a runner was lost, or its part was not merged"
PRECEDENCE = (ControlState.DRIFTED, ControlState.REBASELINED, ControlState.STEADY, ControlState.NO_RESULT)


def find_run_to_evaluate(text: str, reports: Path) -> RunFolder:
    """Return the run to evaluate.

    Raises:
        ConfigError: There is none, or it is a nightly run: only it knows what it needs to be evaluated.
    """
    folder = find_run(text, reports)
    if kind_of(folder) is RunKind.NIGHT:
        raise ConfigError(
            f"{folder.path.name} is a nightly run, which is evaluated when it ends (continue an interrupted one with "
            "--resume); --judge is for runs of harness run and harness merge"
        )
    return folder


def evaluate(
    folder: RunFolder, options: NightlyOptions, cache_dir: CacheDir, listener: Listener, report: Reporter
) -> NightlyReport:
    """Evaluate a run as a nightly run of its matrix; nothing is run except searches within the budget.

    Raises:
        ConfigError: It is not a run, another process runs in it, or the last nightly run cannot be read.
        Interrupted: The user stopped a search.
        OSError: A file cannot be written.
    """
    with claimed(folder):
        record = folder.read_record()
        gpus = [gpu.name for gpu in record.host.gpus]
        previous = previous_report(options.reports, record.name, gpus, evaluated=folder)
        name = previous.run if previous else ""
        series, notes = _planned_series(record, cache_dir)
        ledger = read_ledger(options.reports, name)
        evidence, more = as_nightly_run(folder, options.reports, ledger, options.today, series)
        conclusion = conclude(evidence)
        searches = _search(folder, conclusion.regressions, options, cache_dir, listener, report)
        drafts, problems = write_drafts(folder, conclusion.regressions, searches, cache_dir, options.reports)
        about = Ending(
            previous=name,
            strict=options.strict,
            searches=searches,
            drafts=drafts,
            notes=(*notes, *more, *problems),
        )
        return end(folder, evidence, conclusion, about)


def _planned_series(record: RunRecord, cache_dir: CacheDir) -> tuple[list[str], tuple[str, ...]]:
    """Return the series of a run's matrix as of its day, without later releases; none and a note on an error."""
    try:
        cells = plan_cells(_matrix_of(record), cache=cache_dir.releases).cells
    except HarnessError as error:
        return [], (f"the matrix cannot be expanded, so only results of the last nightly run are expected: {error}",)
    return [cell.series() or record.name for cell in cells], ()


def _matrix_of(record: RunRecord) -> Matrix:
    """Return the matrix of a run, resolved as of the day of the run unless it names another."""
    raw = {"as_of": record.started.date(), **record.matrix}
    return Matrix.model_validate({**raw, "raw": raw, "path": Path(record.matrix_file)})


def _search(
    folder: RunFolder,
    regressions: Sequence[Claim],
    options: NightlyOptions,
    cache_dir: CacheDir,
    listener: Listener,
    report: Reporter,
) -> tuple[SearchSummary, ...]:
    """Search the regressions on this machine, unless it lacks the GPU models or the scenarios of the run."""
    if not regressions or not options.bisect_budget:
        return ()
    record = folder.read_record()
    planned = plan_searches(regressions, _matrix_of(record).packages)
    missing = {gpu.name for gpu in record.host.gpus} - {gpu.name for gpu in describe_host().gpus}
    if missing:
        why_not = f"this machine has no {' and no '.join(sorted(missing))}"
        return tuple(not_searched(one, why_not) for one in planned)
    try:
        plan = load_plan(folder, cache_dir)
    except HarnessError as error:  # the parts may come from a machine that has what this one lacks
        return tuple(not_searched(one, str(error)) for one in planned)

    context = SearchContext(plan, cache_dir, options.reports, folder.path.name, options.attempts, report)
    return Searcher(context, listener).run_all(planned, Budget(options.bisect_budget))


def as_nightly_run(
    folder: RunFolder, reports: Path, ledger: Ledger | None, today: date, series: Iterable[str]
) -> tuple[NightEvidence, tuple[str, ...]]:
    """Return a run as the evidence of a nightly run in which every cell was selected, and notes on its control cells.

    Expected are the series of the matrix and those of the last nightly run, so that a part that never arrived is
    missing and not forgotten. A part that ran the control cell at least twice is compared with itself; one that ran it
    once only with its history.

    Raises:
        ConfigError: The folder is not a run.
    """
    record, found = folder.read_record(), read_run_results(folder)
    earlier = (one.series for one in (ledger.results if ledger else ()))
    expected = frozenset({*series, *found.cells, *earlier})
    results = {**found.results, **_lost_results(expected - found.cells.keys(), ledger)}
    control = next((name for name, cell in found.cells.items() if cell.reference), "")
    mine = {key.scenario: result for key, result in results.items() if key.series == control}
    machine = _machine(record.host)
    parts = {
        part: compare_control(*_first_and_last(results_of_part), ledger, (machine, machine))
        for part, results_of_part in _by_part(mine, record, folder).items()
    }
    evidence = NightEvidence(
        run=folder.path.name,
        today=today,
        results=results,
        ledger=ledger,
        series=expected,
        baseline=read_baseline(reports, record.name).aligned(results),
        issues=known_issues(folder),
        control=_joined(parts),
        control_results=_first_and_last(mine)[1],
        machine=machine,
    )
    return evidence, _notes(parts, record)


def _lost_results(series: Iterable[str], ledger: Ledger | None) -> dict[ResultKey, ScenarioResult]:
    """Return a missing result for each scenario that the last nightly run had in a lost series, else for its cell."""
    last = ledger.results if ledger else ()
    found: dict[ResultKey, ScenarioResult] = {}
    for name in sorted(series):
        known = [one.scenario for one in last if one.series == name and one.scenario != WHOLE_CELL]
        for scenario in known or [WHOLE_CELL]:
            key = ResultKey(name, scenario)
            found[key] = ScenarioResult(key, "", scenario, reason=LOST)
    return found


def _first_and_last(results: ControlResults) -> tuple[dict[str, ScenarioResult], dict[str, ScenarioResult]]:
    pairs = {name: first_and_last(result, None) for name, result in results.items()}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def _by_part(results: ControlResults, record: RunRecord, folder: RunFolder) -> dict[str, dict[str, ScenarioResult]]:
    """Split the results of the control cell by the part that made each attempt; an unmerged run is one part."""
    if not record.parts:
        return {"": dict(results)}
    attempts, hosts = folder.attempts(), {part.run: part.host for part in record.parts}
    found: dict[str, dict[str, ScenarioResult]] = {}
    for name, result in results.items():
        mine = [one for one in attempts if (one.cell, one.scenario) == (result.cell, name) and one.attempt]
        for part in dict.fromkeys(one.part for one in mine):
            gpu = ", ".join(sorted({each.name for each in hosts[part].gpus})) if part in hosts else result.gpu
            found.setdefault(part, {})[name] = _with_attempts(result, [one for one in mine if one.part == part], gpu)

    return found or {"": {}}


def _with_attempts(result: ScenarioResult, attempts: Sequence[AttemptRecord], gpu: str) -> ScenarioResult:
    names = {figure for one in attempts for figure in one.figures}
    values = {figure: tuple(one.figures[figure] for one in attempts if figure in one.figures) for figure in names}
    return replace(result, outcomes=tuple(one.outcome for one in attempts), values=values, gpu=gpu)


def _joined(parts: Mapping[str, Control]) -> Control:
    """Reduce the controls of the parts to one: a single drift counts, and no result only if no part has one."""
    worst = min(parts.values(), key=lambda one: PRECEDENCE.index(one.state))
    drift = tuple(f"{part}: {text}" if part else text for part, one in parts.items() for text in one.drift)
    return Control(worst.state, () if worst.state is ControlState.STEADY else drift, worst.changes)


def _notes(parts: Mapping[str, Control], record: RunRecord) -> tuple[str, ...]:
    checked = {part for part, one in parts.items() if one.state is not ControlState.NO_RESULT}
    unchecked = sorted({part.run for part in record.parts} - checked)
    return tuple(f"{part} has no result of the control cell: its machine was not checked" for part in unchecked)


def _machine(host: HostRecord) -> MachineSnapshot:
    gpus = tuple(
        GpuSnapshot(fingerprint="", name=gpu.name, driver=gpu.driver, total=gpu.memory_bytes, used=0)
        for gpu in host.gpus
    )
    return MachineSnapshot(cpus=host.cpus, memory_free=0, gpus=gpus)
