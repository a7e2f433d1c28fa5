"""The one reader of a run's attempts: every result that the run was to have, also those that are missing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from harness.store.journal import Attempt, JournalContent
from harness.store.records import (
    WHOLE_CELL,
    AttemptRecord,
    AttemptSummary,
    CellRecord,
    HostRecord,
    Reason,
    RunRecord,
    Status,
    fallback_ids,
    function_of,
    series_names,
)
from harness.store.run_folder import RunFolder
from harness.verdict.result import NOT_PASSED, ResultKey, ScenarioResult, counting
from harness.verdict.signature import recognise

Results = dict[ResultKey, ScenarioResult]
Recorded = Mapping[tuple[str, str], Sequence[AttemptSummary]]  # (cell, scenario) -> attempts, in their order
SECONDS = "seconds"  # of the whole attempt


def read_results(folder: RunFolder) -> Results:
    """Return every result of a run by its key.

    Raises:
        ConfigError: the folder is not a run, or its plan cannot be read.
    """
    return results_of(*folder.read(AttemptRecord))


def results_of(run: RunRecord, journal: JournalContent[Attempt], gpu: str | None = None) -> Results:
    """Return every result of a run from its records.

    Expected in a cell is what it listed, and each planned scenario of which it listed nothing; in a cell that listed
    nothing, what the other cells have. A cell of which no scenario is known has one result for its whole, unless it
    listed none.

    Args:
        run: the plan.
        journal: what happened.
        gpu: only what ran on this model of GPU (empty: on a CPU); all where it is None.
    """
    models = GpuModels(run)
    attempts = [one for one in journal.attempts if gpu is None or models.of_attempt(one) == gpu]
    recorded = _by_scenario(current(attempts))
    everywhere = {*(name for names in journal.listed.values() for name in names)}
    everywhere |= {one.scenario for one in journal.attempts if "::" in one.scenario}
    series, sources = series_names(run.cells, run.name), {info.id: info.source for info in run.scenarios}
    found: Results = {}
    for cell in run.cells:
        for scenario in _expected(run, cell.id, journal.listed, recorded, everywhere):
            name, mine = _recorded_as(recorded, cell.id, scenario)
            key = ResultKey(series[cell.id], scenario)
            reason = _why_missing(cell.id, scenario, journal)
            source = sources.get(function_of(scenario), "") if scenario != WHOLE_CELL else ""
            where = gpu if gpu is not None else models.of_attempts(mine) if mine else models.host
            found[key] = _result(key, cell, name, mine, reason=reason, source=source, gpu=where)

    return found


def current(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Leave out rows for a whole cell or file (attempt 0) where a later row of that cell or file replaces them."""
    kept: list[Attempt] = []
    replaced: set[tuple[str, str]] = set()
    for one in reversed(attempts):
        file = one.scenario.partition("::")[0]
        if one.attempt or (one.cell, one.scenario) not in replaced:
            kept.append(one)
        replaced |= {(one.cell, WHOLE_CELL), (one.cell, file)}
    return kept[::-1]


class GpuModels:
    """On which model of GPU each attempt ran; several are joined by commas, a CPU is empty."""

    def __init__(self, run: RunRecord) -> None:
        """Take the machines of a run and of its parts."""
        hosts = {part.run: part.host for part in run.parts}
        self.host = _models(run.host)
        self._parts = {name: _models(host) for name, host in hosts.items()}
        self._names = {gpu.uuid: gpu.name for host in (run.host, *hosts.values()) for gpu in host.gpus}

    def of_attempts(self, attempts: Iterable[AttemptSummary]) -> str:
        """Return the models of the GPUs of some attempts; those of its machine where one names none."""
        found = {gpu for one in attempts for gpu in self.of_attempt(one).split(", ")}
        return ", ".join(sorted(found - {""}))

    def of_attempt(self, attempt: AttemptSummary) -> str:
        """Return the models of an attempt's GPUs; those of its machine where it names none."""
        names = {self._names[gpu.uuid] for gpu in attempt.gpus_before if gpu.uuid in self._names}
        return ", ".join(sorted(names)) or self.of_part(attempt.part)

    def of_part(self, part: str) -> str:
        """Return the models of a part's machine; of the run's where it names none."""
        return self._parts.get(part, self.host)


def _models(host: HostRecord) -> str:
    return ", ".join(sorted({gpu.name for gpu in host.gpus}))


def _by_scenario(attempts: Iterable[AttemptSummary]) -> Recorded:
    """Group attempts by cell and scenario, in the order of their numbers; a record that was written twice counts once.

    Two different records with one number are two attempts.
    """
    found: dict[tuple[str, str], list[AttemptSummary]] = {}
    for one in attempts:
        mine = found.setdefault((one.cell, one.scenario), [])
        if one not in mine:
            mine.append(one)
    return {key: sorted(mine, key=lambda one: one.attempt) for key, mine in found.items()}


def _recorded_as(recorded: Recorded, cell: str, scenario: str) -> tuple[str, Sequence[AttemptSummary]]:
    """Return the id whose attempts count for a scenario in a cell, and the attempts; its own id if there are none."""
    found = ((name, recorded[cell, name]) for name in fallback_ids(scenario) if (cell, name) in recorded)
    return next(found, (scenario, ()))


def _expected(
    run: RunRecord, cell: str, listed: Mapping[str, Collection[str]], recorded: Recorded, everywhere: Collection[str]
) -> Sequence[str]:
    own = {scenario for of, scenario in recorded if of == cell and "::" in scenario}
    names = own | set(listed.get(cell, everywhere)) | {info.id for info in run.scenarios}
    split = {function_of(name) for name in names if "[" in name}
    return sorted(names - split) or ([] if cell in listed else [WHOLE_CELL])


def _result(
    key: ResultKey,
    cell: CellRecord,
    name: str,
    attempts: Sequence[AttemptSummary],
    *,
    reason: str,
    source: str,
    gpu: str,
) -> ScenarioResult:
    counted = [attempts[index] for index in counting([one.outcome for one in attempts])]
    measured = [one for one in counted if one.outcome.status is not Status.MISS]
    decisive = [*counted, *(one for one in counted if one.outcome.status in NOT_PASSED)][-1:]
    names = dict.fromkeys(figure for one in measured for figure in one.figures)
    return ScenarioResult(
        key=key,
        cell=cell.id,
        recorded_as=name,
        outcomes=tuple(one.outcome for one in attempts if one.outcome.reason is not Reason.INTERRUPTED),
        signatures=tuple(text for one in decisive for text in failure_names(one)),
        values={figure: tuple(one.figures[figure] for one in measured if figure in one.figures) for figure in names},
        versions={"python": cell.python, **cell.versions} if cell.versions else {},
        built=cell.built,
        lock=cell.lock or "",
        source=source,
        gpu=gpu,
        reason=decisive[0].detail if decisive else reason,
        attempts=tuple(attempts),
    )


def failure_names(attempt: AttemptSummary) -> Iterator[str]:
    """Yield the names of an attempt's failure: its signature, else its outcome; then its rule's."""
    if attempt.outcome.status in NOT_PASSED:
        yield attempt.signature or str(attempt.outcome)
        rule = recognise(attempt.failure) if attempt.failure else None
        if rule:
            yield rule.name


def _why_missing(cell: str, scenario: str, journal: JournalContent[Attempt]) -> str:
    """Return why there is no result, as far as the journal tells."""
    ended = {"run_finished": "", "run_interrupted": "; the run was interrupted"}.get(
        journal.end, "; the run has no end: it was killed, lost its disk or machine, or goes on"
    )
    if cell not in journal.listed:
        begun = "it got no further than its environment" if cell in journal.begun else "the cell never began"
        return f"{begun}{ended}"
    if scenario not in journal.listed[cell]:
        return f"planned, but the cell did not list it{ended}"
    started = "began and never ended" if (cell, scenario) in journal.started else "was never attempted"
    return f"{started}{ended}"
