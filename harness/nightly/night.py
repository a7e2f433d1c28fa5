"""The life of a nightly run: begin or resume it, run its cells, confirm what is new, end it."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.errors import ConfigError
from harness.matrix.paths import short_path
from harness.matrix.schema import Matrix
from harness.nightly import record as files
from harness.nightly.baseline import BaselineResults, describe_differences, read_baseline
from harness.nightly.claim import exit_code
from harness.nightly.conclude import Conclusion, NightEvidence, conclude, reruns_needed
from harness.nightly.control import compare_control, first_and_last
from harness.nightly.ledger import MAX_FAILURES_FLAKY, Ledger
from harness.nightly.machine import MachineSnapshot, read_machine
from harness.nightly.record import LEDGER, REPORT, STATE, NightlyReport, NightlyState, SearchSummary, read_ledger
from harness.nightly.searches import Budget, SearchContext, Searcher, plan_searches, write_drafts
from harness.nightly.selection import PlannedSeries, Selection, select_cells
from harness.nightly.stages import Stages, read_run_results
from harness.nightly.summary import markdown, verdict
from harness.redact.text import redact_value
from harness.report.write import known_issues, write_views
from harness.reporter import Reporter, counted
from harness.session.attempt_record import not_started
from harness.session.begin import begin as begin_run
from harness.session.begin import describe_host
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell, make_plan
from harness.session.private import private_of
from harness.session.resume import load_plan
from harness.store.files import write_text
from harness.store.journal import Journal, Listener
from harness.store.records import WHOLE_CELL, Outcome, Reason, RunKind, Stage, Status, series_names
from harness.store.run_folder import RunFolder, claimed, folder_name, held
from harness.verdict.result import ResultKey, ScenarioResult

MARKDOWN = "nightly.md"
CUT_OFF = Outcome(Status.MISS, Stage.RUN, Reason.INTERRUPTED)
HOOK_SECONDS = 300.0
STANDARD_ERROR = 2  # the descriptor of the process, whatever sys.stderr is
Rerun = Callable[[Mapping[ResultKey, int]], Mapping[ResultKey, ScenarioResult]]


@dataclass(frozen=True)
class NightlyOptions:
    """How a nightly run goes, or the evaluation of a run.

    Attributes:
        reports: The folder of run folders.
        today: The day with which ``review_by`` is compared.
        bisect_budget: Seconds for searches.
        attempts: How attempts are run.
        run_all: Run every cell, also unchanged ones.
        strict: Let changed signatures and news of known issues fail the run.
    """

    reports: Path
    today: date
    bisect_budget: float
    attempts: Options
    run_all: bool = False
    strict: bool = False


@dataclass
class NightlyRun:
    """A nightly run in its run folder.

    Attributes:
        plan: The cells that are run.
        state: What is needed to resume it; it has every planned cell.
        machine: The machine at the end.
    """

    plan: Plan
    folder: RunFolder
    state: NightlyState
    ledger: Ledger | None
    baseline: BaselineResults
    options: NightlyOptions
    stages: Stages
    report: Reporter
    machine: MachineSnapshot = field(default_factory=MachineSnapshot)

    def complete(self) -> NightlyReport:
        """Run everything that is left, and end the nightly run.

        Raises:
            ConfigError: Another process runs in the folder.
            Interrupted: The user stopped it.
            OSError: A file cannot be written; the run then counts as interrupted.
        """
        cells, reused = counted(len(self.plan.cells), "cell"), counted(len(self.selection.reused), "result")
        self.report(f"{cells} to run, {reused} reused → {short_path(self.folder.path)}")
        with claimed(self.folder):
            record_cut_off_attempts(self.folder)
            evidence = self.run()
            conclusion = conclude(evidence)
            context = SearchContext(
                plan=self.plan,
                cache_dir=self.stages.cache_dir,
                reports=self.options.reports,
                run=self.folder.path.name,
                options=self.options.attempts,
                report=self.report,
                on_start=lambda name, run: self._save(searches={**self.state.searches, name: run}),
                earlier=self.state.searches,
            )
            planned = plan_searches(conclusion.regressions, self.plan.matrix.packages)
            searches = Searcher(context, self.stages.listener).run_all(planned, Budget(self.options.bisect_budget))
            drafts, problems = write_drafts(
                self.folder, conclusion.regressions, searches, self.stages.cache_dir, self.options.reports
            )
            about = Ending(
                previous=self.state.previous,
                strict=self.options.strict,
                reasons=self.selection.reasons,
                searches=searches,
                drafts=drafts,
                notes=(*([self.stages.problem] if self.stages.problem else []), *problems),
            )
            return end(self.folder, evidence, conclusion, about)

    @cached_property
    def selection(self) -> Selection:
        """What is run and what is reused."""
        return select_cells(self.state.planned, self.ledger, run_all=self.state.run_all)

    @property
    def control(self) -> PlannedCell | None:
        """The control cell."""
        ids = {one.cell for one in self.state.planned if one.control}
        return next((one for one in self.plan.cells if one.cell.id in ids), None)

    def run(self) -> NightEvidence:
        """Run the control cell, the other cells, the reruns and the control cell again, and return the evidence.

        The control cell and the reruns run serially. Attempts of an interrupted run are not repeated.

        Raises:
            Interrupted: The user stopped it.
        """
        control = self.control
        if control is not None:
            self.stages.run_cells([control.cell.id], serially=True)
        self.stages.run_cells([one.cell.id for one in self.plan.cells if one is not control])
        confirm(self.evidence(), self._rerun)
        if control is not None:
            self._rerun_control(control)
        self.machine = read_machine()
        return self.evidence()

    def _rerun(self, needed: Mapping[ResultKey, int]) -> Mapping[ResultKey, ScenarioResult]:
        attempts = counted(sum(needed.values()), "attempt")
        self.report(f"{counted(len(needed), 'result')} to confirm by isolated reruns: {attempts}")
        return {key: self._with_problem(result) for key, result in self.stages.rerun(needed).items()}

    def _rerun_control(self, control: PlannedCell) -> None:
        """Run the control cell once more, after its attempts so far were counted."""
        if self.state.attempts_before_last is None:
            results = read_run_results(self.folder).results
            mine = {key.scenario: one for key, one in results.items() if one.cell == control.cell.id}
            counts = {name: len(one.outcomes) for name, one in mine.items() if name != WHOLE_CELL}
            self._save(attempts_before_last=counts)
        self.stages.rerun_control(control, self.state.attempts_before_last or {})

    def _save(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)
        files.write(self.state, self.folder.path / STATE)

    def evidence(self) -> NightEvidence:
        """Return what the folder now has as evidence."""
        found, control = read_run_results(self.folder), self.control
        name = next((name for name, cell in found.cells.items() if control and cell.id == control.cell.id), None)
        counts = self.state.attempts_before_last or {}
        pairs = {
            key.scenario: first_and_last(one, counts.get(key.scenario))
            for key, one in found.results.items()
            if key.series == name
        }
        first, last = ({scenario: pair[index] for scenario, pair in pairs.items()} for index in (0, 1))
        evidence = NightEvidence(
            run=self.folder.path.name,
            today=self.state.today,
            results={key: self._with_problem(one) for key, one in found.results.items()},
            reused=self.selection.reused,
            ledger=self.ledger,
            series=frozenset(one.series for one in self.state.planned),
            issues=known_issues(self.folder),
            control=compare_control(first, last, self.ledger, (self.state.machine, self.machine)),
            control_results=last,
            machine=self.machine,
        )
        return replace(evidence, baseline=self.baseline.aligned(evidence.every_result))

    def _with_problem(self, result: ScenarioResult) -> ScenarioResult:
        """Return a missing result with the reason why its whole stage could not run."""
        if result.outcomes or not self.stages.problem:
            return result
        return replace(result, reason=f"{result.reason}: {self.stages.problem}".strip(": "))


def confirm(evidence: NightEvidence, rerun: Rerun) -> NightEvidence:
    """Rerun every result that needs it until none does.

    The first time once: a result that then differs drops out. After that as often as is still needed. A result without
    a new attempt is not rerun again.
    """
    stuck: set[ResultKey] = set()
    for number in range(MAX_FAILURES_FLAKY):
        needed = {key: count for key, count in reruns_needed(evidence).items() if key not in stuck}
        if not needed:
            break
        found = rerun(needed if number else dict.fromkeys(needed, 1))
        stuck |= {
            key for key in needed if key not in found or len(found[key].outcomes) <= len(evidence.results[key].outcomes)
        }
        evidence = replace(evidence, results={**evidence.results, **found})

    return evidence


def begin(
    matrix: Matrix, options: NightlyOptions, cache_dir: CacheDir, listener: Listener, report: Reporter
) -> NightlyRun:
    """Plan a nightly run, select its cells, and make its folder.

    Raises:
        ConfigError: The plan has no cell, or the last nightly run or the baseline cannot be read.
    """
    interrupted = files.interrupted_run(options.reports, matrix.name)
    if interrupted is not None:
        report(f"note: {short_path(interrupted.path)} was interrupted and is ignored; continue it with --resume")
    plan = make_plan(matrix, cache_dir)
    for warning in plan.warnings:
        report(f"note: {warning}")
    previous = files.previous_report(options.reports, matrix.name, [gpu.name for gpu in describe_host().gpus])
    ledger = read_ledger(options.reports, previous.run if previous else "")
    baseline = read_baseline(options.reports, matrix.name)
    planned = planned_series(plan)
    selection = select_cells(planned, ledger, run_all=options.run_all)
    plan = replace(plan, cells=tuple(one for one in plan.cells if one.cell.id in selection.run))
    folder = begin_run(plan, options.reports, kind=RunKind.NIGHT)
    state = NightlyState(
        matrix=matrix.name,
        today=options.today,
        previous=previous.run if previous else "",
        planned=planned,
        run_all=options.run_all,
        machine=read_machine(),
    )
    files.write(state, folder.path / STATE)
    stages = Stages(plan, folder, cache_dir, options.attempts, listener)
    return NightlyRun(plan, folder, state, ledger, baseline, options, stages, report)


def resume(
    matrix: Matrix, options: NightlyOptions, cache_dir: CacheDir, listener: Listener, report: Reporter
) -> NightlyRun:
    """Return the last nightly run of a matrix, which was interrupted.

    Raises:
        ConfigError: None was interrupted, or it, its ledger or the baseline cannot be read.
    """
    folder = files.interrupted_run(options.reports, matrix.name)
    state = files.read(folder.path / STATE, NightlyState) if folder is not None else None
    if folder is None or state is None:
        raise ConfigError(f"there is no interrupted nightly run of {matrix.name} below {options.reports}")
    plan = load_plan(folder, cache_dir)
    ledger, baseline = read_ledger(options.reports, state.previous), read_baseline(options.reports, state.matrix)
    stages = Stages(plan, folder, cache_dir, options.attempts, listener)
    return NightlyRun(plan, folder, state, ledger, baseline, options, stages, report)


def planned_series(plan: Plan) -> tuple[PlannedSeries, ...]:
    """Return the series of every planned cell; the reference cell, else the first, is the control cell."""
    series = series_names([planned.record() for planned in plan.cells], plan.matrix.name)
    control = next((one for one in plan.cells if one.cell.reference), plan.cells[0])
    sources = {info.id: info.source for info in plan.scenarios}
    return tuple(
        PlannedSeries(
            cell=one.cell.id,
            series=series[one.cell.id],
            lock=one.lock.hash if isinstance(one.lock, Lock) else "",
            sources=sources,
            control=one is control,
        )
        for one in plan.cells
    )


def record_cut_off_attempts(folder: RunFolder) -> None:
    """Record every attempt that began and never ended, so that the next one gets a folder of its own.

    A process that outlived a killed nightly run may still write into the folder of its attempt.
    """
    ended = {(one.cell, one.scenario, one.attempt) for one in folder.attempts()}
    started = [(one["cell"], one["scenario"], one["attempt"]) for one in folder.events("attempt_started")]
    cut_off = [key for key in dict.fromkeys(started) if key not in ended]
    if not cut_off:
        return
    with closing(Journal(folder.journal_file)) as journal:
        for cell, scenario, attempt in cut_off:
            row = not_started(cell, scenario, CUT_OFF, "the nightly run was killed during this attempt")
            journal.attempt(row.model_copy(update={"attempt": attempt}))


@dataclass(frozen=True)
class Ending:
    """What a report has besides the claims.

    Attributes:
        previous: The nightly run that it is compared with.
        reasons: Cell → why it was run.
    """

    previous: str
    strict: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)
    searches: tuple[SearchSummary, ...] = ()
    drafts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def end(folder: RunFolder, evidence: NightEvidence, conclusion: Conclusion, about: Ending) -> NightlyReport:
    """Write the views, ``nightly.md``, the ledger and, last of all, ``nightly.json``.

    Raises:
        OSError: A file cannot be written; the run then counts as interrupted.
    """
    write_views(folder)
    report = _make_report(folder, evidence, conclusion, about)
    write_text(folder.path / MARKDOWN, markdown(report))
    if conclusion.ledger is not None:
        files.write(conclusion.ledger, folder.path / LEDGER)
    files.write(report, folder.path / REPORT)
    return report


def _make_report(folder: RunFolder, evidence: NightEvidence, conclusion: Conclusion, about: Ending) -> NightlyReport:
    """Return the report with every text redacted: it is sent to a hook and shown on pages."""
    record = folder.read_record()
    series = series_names(record.cells, record.name)
    code = exit_code(conclusion.claims, evidence.control, strict=about.strict)
    report = NightlyReport(
        run=folder.path.name,
        matrix=record.name,
        title=record.title,
        started=record.started,
        finished=datetime.now(UTC),
        previous=about.previous,
        baseline=evidence.baseline.run,
        code=code,
        verdict=verdict(code, evidence.control.state, conclusion.claims),
        gpus=tuple(gpu.name for gpu in record.host.gpus),
        control=evidence.control.state,
        drift=evidence.control.drift,
        changes=evidence.control.changes,
        counts=dict(sorted(Counter(one.status.value for one in evidence.results.values()).items())),
        reused=files.count_reused(evidence.reused),
        resolved={
            series[cell.id]: {
                name: cell.built.get(name) or cell.versions.get(name, label) for name, label in cell.pins.items()
            }
            for cell in record.cells
        },
        reasons={series[cell.id]: about.reasons.get(cell.id, "") for cell in record.cells},
        claims=conclusion.claims,
        against_baseline=describe_differences(evidence.baseline, evidence.every_result, evidence.issues),
        searches=about.searches,
        drafts=about.drafts,
        notes=(*about.notes, *conclusion.notes),
    )
    redacted = redact_value(report.model_dump(mode="json"), private_of(record, folder.path))
    return NightlyReport.model_validate(redacted)


def exclusive(reports: Path, matrix: str) -> AbstractContextManager[None]:
    """Keep every other process from starting a nightly run of a matrix.

    Raises:
        ConfigError: Another nightly run of it is in progress, or ``reports`` is not a folder.
    """
    if reports.exists() and not reports.is_dir():
        raise ConfigError(f"--reports {reports} is not a folder")
    reports.mkdir(parents=True, exist_ok=True)
    lock = FileLock(reports / f".{folder_name(matrix)}.night.lock")
    return held(lock, f"a nightly run of {matrix} is already in progress below {reports}")


def call_hook(command: str, text: str, seconds: float = HOOK_SECONDS) -> str:
    """Run a shell command with ``text`` on its standard input; return what went wrong, or nothing.

    Its output goes to the standard error of this process: standard output belongs to the JSON of the report.
    """
    try:
        done = subprocess.run(  # noqa: S602 - a command line of the user's own, as in a crontab
            command, input=text.encode(), shell=True, stdout=STANDARD_ERROR, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the hook did not finish within {seconds:g} s"
    except OSError as error:
        return f"the hook could not be started: {error}"

    return f"the hook exited with {done.returncode}" if done.returncode else ""
