"""Spend one night: run what is to be run, and gather what its claims are made from."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.errors import ConfigError, HarnessError
from harness.matrix.paths import short_path
from harness.matrix.plan import plan_cells
from harness.matrix.schema import Matrix
from harness.nightly import record as records
from harness.nightly import summary
from harness.nightly.baseline import BaselineResults, describe_differences, read_baseline
from harness.nightly.claim import OPEN, REGRESSIONS, STRICT, Claim, Kind
from harness.nightly.conclude import Night, conclude, to_confirm
from harness.nightly.control import Control, compare_control
from harness.nightly.evidence import NightEvidence
from harness.nightly.flakiness import MOST_FLAKY
from harness.nightly.judge_run import judge_run
from harness.nightly.ledger import Ledger
from harness.nightly.machine import MachineSnapshot, read_machine
from harness.nightly.record import BEGUN, ENDED, LEDGER, Begun, CarriedCount, Ended, Searched, last_night
from harness.nightly.results import first_and_last, night_results
from harness.nightly.searches import Budget, SearchContext, Searcher, not_searched, suspects, write_drafts
from harness.nightly.selection import Selection, Wanted, select_cells
from harness.nightly.stages import Stages
from harness.redact.private import Private
from harness.redact.values import redact_value
from harness.report.write import known_issues, write_views
from harness.reporter import Reporter
from harness.session.attempt_record import not_started
from harness.session.begin import begin, describe_host
from harness.session.context import Options
from harness.session.plan import Plan, PlannedCell
from harness.session.private import private_of
from harness.session.resume import load_plan
from harness.store.journal import Journal, Listener
from harness.store.records import WHOLE_CELL, Outcome, Reason, RunKind, RunRecord, Stage, Status, series_names
from harness.store.run_folder import RunFolder, folder_name
from harness.verdict.result import ResultKey, ScenarioResult

Again = Callable[
    [Mapping[ResultKey, int]], Mapping[ResultKey, ScenarioResult]
]  # so many more attempts; returns all of them


def confirm(now: NightEvidence, again: Again) -> NightEvidence:
    """Ask for more attempts of each place that needs them until nothing is left to ask.

    One first: a place that answers otherwise drops out. Then all that are still needed. A place that got no new attempt
    is not asked for again.
    """
    stuck: set[ResultKey] = set()
    for number in range(MOST_FLAKY):
        wanted = {key: count for key, count in to_confirm(now).items() if key not in stuck}
        if not wanted:
            break
        found = again(wanted if number else dict.fromkeys(wanted, 1))
        stuck |= {
            key for key in wanted if key not in found or len(found[key].outcomes) <= len(now.results[key].outcomes)
        }
        now = replace(now, results={**now.results, **found})
    return now


@dataclass
class Nightly:
    """One night in its run folder; ``plan`` has the cells that are run, ``begun`` all that were planned."""

    plan: Plan
    folder: RunFolder
    begun: Begun
    ledger: Ledger | None
    baseline: BaselineResults
    stages: Stages
    echo: Reporter
    facts: MachineSnapshot = field(default_factory=MachineSnapshot)

    @property
    def choice(self) -> Selection:
        """What is run and what is carried; the same however often it is asked."""
        return select_cells(self.begun.planned, self.ledger, everything=self.begun.everything)

    @property
    def control(self) -> PlannedCell | None:
        """The control cell."""
        ids = {one.cell for one in self.begun.planned if one.control}
        return next((one for one in self.plan.cells if one.cell.id in ids), None)

    def run(self) -> NightEvidence:
        """Run the night to its last attempt and return how it stands.

        The control cell runs first, alone; then the cells; then, alone, what has to be seen again; then the control
        cell once more. What is there already, from a night that was interrupted, is not run again.

        Raises:
            Interrupted: the user stopped it.
        """
        control = self.control
        if control is not None:
            self.stages.cells([control.cell.id], alone=True)
        others = [one.cell.id for one in self.plan.cells if one is not control]
        self.stages.cells(others)
        confirm(self.situation(), self._again)
        if control is not None:
            self._last(control)
        self.facts = read_machine()
        return self.situation()

    def _again(self, wanted: Mapping[ResultKey, int]) -> Mapping[ResultKey, ScenarioResult]:
        attempts = sum(wanted.values())
        self.echo(f"{len(wanted)} to be seen again, alone: {attempts} attempt{'' if attempts == 1 else 's'}")
        return {key: self._told(result) for key, result in self.stages.again(wanted).items()}

    def _last(self, control: PlannedCell) -> None:
        """Run the control cell once more, remembering where its last attempts begin."""
        if self.begun.before_last is None:
            mine = [result for result in night_results(self.folder).results.values() if result.cell == control.cell.id]
            counts = {result.key.scenario: len(result.outcomes) for result in mine if result.key.scenario != WHOLE_CELL}
            self.keep(before_last=counts)
        self.stages.control_again(control, self.begun.before_last or {})

    def keep(self, **changes: object) -> None:
        """Write down how far the night has come."""
        self.begun = self.begun.model_copy(update=changes)
        records.write(self.begun, self.folder.path / BEGUN)

    def situation(self) -> NightEvidence:
        """Return the night as its folder has it now."""
        shown = night_results(self.folder)
        issues = known_issues(self.folder)
        control = [line for line, cell in shown.cells.items() if self.control and cell.id == self.control.cell.id]
        mine = {result.key.scenario: result for result in shown.results.values() if result.key.series in control}
        cuts = self.begun.before_last or {}
        pairs = {name: first_and_last(result, cuts.get(name)) for name, result in mine.items()}
        first = {name: pair[0] for name, pair in pairs.items()}
        last = {name: pair[1] for name, pair in pairs.items()}
        results = {key: self._told(result) for key, result in shown.results.items()}
        now = NightEvidence(
            night=self.folder.path.name,
            today=self.begun.today,
            results=results,
            carried=self.choice.carried,
            ledger=self.ledger,
            lines=frozenset(one.line for one in self.begun.planned),
            issues=issues,
            control=compare_control(first, last, self.ledger, (self.begun.facts, self.facts)),
            control_results=last,
            facts=self.facts,
        )
        return replace(now, baseline=self.baseline.aligned(now.every_result))

    def _told(self, result: ScenarioResult) -> ScenarioResult:
        """Add what went wrong with a whole stage to what is missing."""
        if result.outcomes or not self.stages.trouble:
            return result
        return replace(result, reason=f"{result.reason}: {self.stages.trouble}".strip(": "))


CUT_OFF = Outcome(Status.MISS, Stage.RUN, Reason.INTERRUPTED)


@dataclass(frozen=True)
class How:
    """What the command line says about a night."""

    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    everything: bool = False


def start(plan: Plan, reports: Path, stages: Callable[[Plan, RunFolder], Stages], echo: Reporter, how: How) -> Nightly:
    """Begin a night: decide what is run, make its folder, and write down what it goes by.

    Raises:
        ConfigError: the plan has no cell, or the last night cannot be read.
    """
    host = describe_host()
    previous = last_night(reports, plan.matrix.name, [gpu.name for gpu in host.gpus])
    ledger = read_ledger(reports, previous.night if previous else "")
    baseline = read_baseline(reports, plan.matrix.name)
    planned = wanted(plan)
    choice = select_cells(planned, ledger, everything=how.everything)
    chosen = replace(plan, cells=tuple(one for one in plan.cells if one.cell.id in choice.run))
    folder = begin(chosen, reports, kind=RunKind.NIGHT)
    begun = Begun(
        matrix=plan.matrix.name,
        today=how.today,
        previous=previous.night if previous else "",
        planned=planned,
        everything=how.everything,
        facts=read_machine(),
    )
    records.write(begun, folder.path / BEGUN)
    return Nightly(chosen, folder, begun, ledger, baseline, stages(chosen, folder), echo)


def take_up(plan: Plan, folder: RunFolder, reports: Path, stages: Stages, echo: Reporter) -> Nightly:
    """Return a night that was interrupted, to go on with.

    Raises:
        ConfigError: the folder is no night, or the night before it is gone.
    """
    begun = records.read(folder.path / BEGUN, Begun)
    if begun is None:
        raise ConfigError(f"{folder.path} is no night: it has no {BEGUN}")
    close_cut_off(folder)
    ledger, baseline = read_ledger(reports, begun.previous), read_baseline(reports, begun.matrix)
    return Nightly(plan, folder, begun, ledger, baseline, stages, echo)


def close_cut_off(folder: RunFolder) -> None:
    """Give every attempt that began and never ended its row, so that the next one gets a folder of its own.

    A process that outlived a killed night may still write into the folder of its attempt.
    """
    ended = {(one.cell, one.scenario, one.attempt) for one in folder.attempts()}
    journal = Journal(folder.journal_file)
    try:
        for event in folder.events("attempt_started"):
            key = (event["cell"], event["scenario"], event["attempt"])
            if key not in ended:
                row = not_started(*key[:2], CUT_OFF, "the night was killed while it ran")
                journal.attempt(row.model_copy(update={"attempt": key[2]}))
                ended.add(key)
    finally:
        journal.close()


def wanted(plan: Plan) -> tuple[Wanted, ...]:
    """Return what is decided about: every planned cell; the reference cell, else the first, is the control."""
    lines = series_names([planned.record() for planned in plan.cells], plan.matrix.name)
    control = next((one for one in plan.cells if one.cell.reference), plan.cells[0])
    sources = {info.id: info.source for info in plan.scenarios}
    return tuple(
        Wanted(
            cell=one.cell.id,
            line=lines[one.cell.id],
            lock=one.lock.hash if isinstance(one.lock, Lock) else "",
            sources=sources,
            control=one is control,
        )
        for one in plan.cells
    )


def read_ledger(reports: Path, night: str) -> Ledger | None:
    """Return what a night left; None where there was none.

    Raises:
        ConfigError: it cannot be read.
    """
    return records.read(reports.absolute() / night / LEDGER, Ledger) if night else None


def exit_code(claims: Sequence[Claim], control: Control, *, strict: bool = False) -> int:
    """Reduce a night to its exit code; ``accepted`` and known ones count for nothing.

    What still differs from the baseline counts night after night, until it is accepted or gone.

    ================================================ ===
    the machine moved, or its control has no answer  4
    a new regression, confirmed                      1
    a place still differs from the baseline          1
    a result is missing, open or without an answer   4
    ``strict``, and a signature changed, a known     1
    issue is gone, changed or overdue, or a place
    fails otherwise than the baseline
    else                                             0
    ================================================ ===
    """
    if not control.trusted:
        return 4
    fresh, kinds = {claim.kind for claim in claims if claim.fresh}, {claim.kind for claim in claims}
    if fresh & REGRESSIONS or Kind.DIFFERS in kinds:
        return 1
    if kinds & OPEN:
        return 4
    return 1 if strict and (fresh & STRICT or Kind.OTHERWISE in kinds) else 0


MARKDOWN = "nightly.md"


@dataclass(frozen=True)
class Closing:
    """What is known of a night beside its claims. ``why`` maps a cell to the reason why it was run."""

    previous: str
    strict: bool = False
    why: dict[str, str] | None = None
    searches: tuple[Searched, ...] = ()
    drafts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def claims_of(now: NightEvidence) -> tuple[Night, list[Claim]]:
    """Return what a night claims, and the new regressions among it."""
    night = conclude(now)
    return night, [claim for claim in night.claims if claim.regression] if now.control.trusted else []


def close(folder: RunFolder, now: NightEvidence, night: Night, about: Closing) -> Ended:
    """Render the run's views, then write ``nightly.md``, the ledger and, last of all, ``nightly.json``.

    Raises:
        OSError: the disk does not take it; the night then counts as torn.
    """
    write_views(folder)
    record = folder.read_record()
    ended = _redacted(_ended(record, folder, now, night, about), private_of(record, folder.path))
    (folder.path / MARKDOWN).write_text(summary.markdown(ended), encoding="utf-8")
    if night.ledger is not None:
        records.write(night.ledger, folder.path / LEDGER)
    records.write(ended, folder.path / ENDED)
    return ended


def _ended(record: RunRecord, folder: RunFolder, now: NightEvidence, night: Night, about: Closing) -> Ended:
    code = exit_code(night.claims, now.control, strict=about.strict)
    lines = series_names(record.cells, record.name)
    words = Counter(result.status.value for result in now.results.values())
    tested = {line: cell for cell in record.cells for line in [lines[cell.id]]}
    return Ended(
        night=folder.path.name,
        matrix=record.name,
        title=record.title,
        started=record.started,
        finished=datetime.now(UTC),
        previous=about.previous,
        baseline=now.baseline.run,
        code=code,
        verdict=summary.verdict(code, now.control.state, night.claims),
        gpus=tuple(gpu.name for gpu in record.host.gpus),
        control=now.control.state,
        moved=now.control.moved,
        machine=now.control.facts,
        counts=dict(sorted(words.items())),
        carried=_carried(now),
        resolved={
            line: {name: cell.built.get(name) or cell.versions.get(name, label) for name, label in cell.pins.items()}
            for line, cell in tested.items()
        },
        ran={line: (about.why or {}).get(cell.id, "") for line, cell in tested.items()},
        claims=night.claims,
        against_baseline=describe_differences(now.baseline, now.every_result, now.issues),
        searches=about.searches,
        drafts=about.drafts,
        notes=(*about.notes, *night.notes),
    )


def _carried(now: NightEvidence) -> tuple[CarriedCount, ...]:
    """Group what was carried by the night in which it was seen."""
    nights = sorted({one.night for one in now.carried.values()})
    groups = {night: sorted(key for key, one in now.carried.items() if one.night == night) for night in nights}
    return tuple(CarriedCount(night=night, count=len(mine), places=tuple(mine)) for night, mine in groups.items())


def _redacted(ended: Ended, private: Private) -> Ended:
    """Redact every text: the record is sent to a hook and shown on pages."""
    return Ended.model_validate(redact_value(ended.model_dump(mode="json"), private))


def end_lines(folder: RunFolder, ended: Ended) -> Sequence[str]:
    """Return where the night lies, and its summary, the verdict last."""
    views = [f"HTML      {short_path(folder.path / 'matrix.html')}", f"Markdown  {short_path(folder.path / MARKDOWN)}"]
    said = summary.lines(ended)
    return [*said[:-1], *views, said[-1]]


@dataclass(frozen=True)
class Finish:
    """How nights are finished; ``budget`` is the seconds for searches."""

    reports: Path
    cache_dir: CacheDir
    echo: Reporter
    budget: float
    strict: bool = False

    def night(self, night: Nightly, how: Options, listener: Listener) -> Ended:
        """Run a night and finish it.

        Raises:
            Interrupted: the user stopped it.
            OSError: the disk does not take it; the night then counts as torn.
        """
        now = night.run()
        claimed, fresh = claims_of(now)
        ground = SearchContext(
            plan=night.plan,
            cache_dir=self.cache_dir,
            reports=self.reports,
            night=night.folder.path.name,
            options=how,
            echo=self.echo,
            begun=lambda key, run: night.keep(searches={**night.begun.searches, key: run}),
            earlier=night.begun.searches,
        )
        found = suspects(fresh, night.plan.matrix.packages)
        searches = Searcher(ground, listener).all(found, Budget(self.budget))
        drafts, undrafted = write_drafts(night.folder, fresh, searches, self.cache_dir, self.reports)
        about = Closing(
            previous=night.begun.previous,
            strict=self.strict,
            why=dict(night.choice.why),
            searches=searches,
            drafts=drafts,
            notes=(*([night.stages.trouble] if night.stages.trouble else []), *undrafted),
        )
        return close(night.folder, now, claimed, about)

    def judged(self, folder: RunFolder, today: date, how: Options, listener: Listener) -> Ended:
        """Judge a run as one night of its matrix; nothing is run but, within the budget, its searches.

        Raises:
            ConfigError: it is no run, or the last night cannot be read.
            Interrupted: the user stopped a search.
        """
        record = folder.read_record()
        previous = last_night(self.reports, record.name, [gpu.name for gpu in record.host.gpus], but=folder)
        name = previous.night if previous else ""
        lines, notes = self._lines(record)
        judged = judge_run(folder, self.reports, read_ledger(self.reports, name), today, lines)
        claimed, fresh = claims_of(judged.situation)
        searches = self._search_here(folder, fresh, how, listener)
        drafts, undrafted = write_drafts(folder, fresh, searches, self.cache_dir, self.reports)
        about = Closing(
            previous=name,
            strict=self.strict,
            searches=searches,
            drafts=drafts,
            notes=(*notes, *judged.notes, *undrafted),
        )
        return close(folder, judged.situation, claimed, about)

    def _search_here(
        self, folder: RunFolder, fresh: Sequence[Claim], how: Options, listener: Listener
    ) -> tuple[Searched, ...]:
        """Search what a judged run claims, on this machine; nothing where it lacks the run's cards or scenarios."""
        if not fresh or not self.budget:
            return ()
        record = folder.read_record()
        found = suspects(fresh, _matrix_of(record).packages)
        lacking = {gpu.name for gpu in record.host.gpus} - {gpu.name for gpu in describe_host().gpus}
        if lacking:
            why_not = f"this machine has no {' and no '.join(sorted(lacking))}"
            return tuple(not_searched(one, why_not) for one in found)
        try:
            plan = load_plan(folder, self.cache_dir)
        except HarnessError as error:  # the parts may come from a machine that has what this one lacks
            return tuple(not_searched(one, str(error)) for one in found)
        ground = SearchContext(plan, self.cache_dir, self.reports, folder.path.name, how, self.echo)
        return Searcher(ground, listener).all(found, Budget(self.budget))

    def _lines(self, record: RunRecord) -> tuple[list[str], tuple[str, ...]]:
        """Return the cell-lines that a run's matrix has, as of its day: a release that came since was not expected."""
        try:
            cells = plan_cells(_matrix_of(record), cache=self.cache_dir.releases).cells
        except HarnessError as error:
            return [], (f"the matrix could not be expanded, so only what the last night had is expected: {error}",)
        return [cell.series() or record.name for cell in cells], ()


def _matrix_of(record: RunRecord) -> Matrix:
    """Return the matrix of a run, as of the run's day where it names no other."""
    raw = {"as_of": record.started.date(), **record.matrix}
    return Matrix.model_validate({**raw, "raw": raw, "path": Path(record.matrix_file)})


@contextmanager
def alone(reports: Path, matrix: str) -> Iterator[None]:
    """Hold the nights of a matrix; the system lets go of them when this process ends, however it ends.

    Raises:
        ConfigError: another night of it is running, or ``reports`` is no folder.
    """
    if reports.exists() and not reports.is_dir():
        raise ConfigError(f"--reports {reports} is not a folder")
    reports.mkdir(parents=True, exist_ok=True)
    lock = FileLock(reports / f".{folder_name(matrix)}.night.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"a night of {matrix} is running below {reports} already") from None
    try:
        yield
    finally:
        lock.release()


HOOK_SECONDS = 300.0


STANDARD_ERROR = 2  # the system's, whatever stands for sys.stderr: what the hook prints passes through no pipe of ours


def call_hook(command: str, text: str, seconds: float = HOOK_SECONDS) -> str:
    """Run the command by the shell with ``text`` on its standard input; return what went wrong, or nothing.

    What it prints, to either stream, goes to this process's standard error as it is printed: standard output belongs
    to the night's JSON.
    """
    try:
        done = subprocess.run(  # noqa: S602 - a command line of the user's own, as in a crontab
            command, input=text.encode(), shell=True, stdout=STANDARD_ERROR, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the hook did not end within {seconds:g} s"
    except OSError as error:
        return f"the hook could not be run: {error}"
    return f"the hook ended with {done.returncode}" if done.returncode else ""
