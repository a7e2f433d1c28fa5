"""Judge a run that is there already, such as the merged parts of several runners: nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from harness.nightly.baseline import read_baseline
from harness.nightly.control import Control, State, compare_control
from harness.nightly.evidence import NightEvidence
from harness.nightly.ledger import Ledger
from harness.nightly.machine import Card, MachineSnapshot
from harness.nightly.results import first_and_last, night_results
from harness.report.write import known_issues
from harness.store.records import WHOLE_CELL, AttemptRecord, HostRecord, RunRecord
from harness.store.run_folder import RunFolder
from harness.verdict.result import ResultKey, ScenarioResult

LOST = "no part brought this cell: a runner was lost, or its part was not merged"


@dataclass(frozen=True)
class Judged:
    """A run as a night, and what is to be said of its control cells."""

    situation: NightEvidence
    notes: tuple[str, ...]


def judge_run(folder: RunFolder, reports: Path, ledger: Ledger | None, today: date, lines: Iterable[str]) -> Judged:
    """Return a run as a night in which everything was asked for.

    ``lines`` are the cell-lines that were planned: what is expected comes from there and from the last night, so that
    a part that never arrived is missing and not forgotten. Each part that ran the control cell twice or more is held
    against itself; one that ran it once only against its history.

    Raises:
        ConfigError: the folder is not a run.
    """
    record, shown, issues = folder.read_record(), night_results(folder), known_issues(folder)
    expected = frozenset({*lines, *shown.cells, *(one.line for one in (ledger.seen if ledger else ()))})
    results = {**shown.results, **_lost(expected - shown.cells.keys(), ledger)}
    control = next((line for line, cell in shown.cells.items() if cell.reference), "")
    mine = {key[1]: result for key, result in results.items() if key[0] == control}
    facts = _facts(record.host)
    told = [
        (part, compare_control(*_ends(part_looks), ledger, (facts, facts)))
        for part, part_looks in _by_part(mine, record, folder.attempts()).items()
    ]
    baseline = read_baseline(reports, record.name).aligned(results)
    situation = NightEvidence(
        night=folder.path.name,
        today=today,
        results=results,
        ledger=ledger,
        lines=expected,
        baseline=baseline,
        issues=issues,
        control=_together(told),
        control_results=_ends(mine)[1],
        facts=facts,
    )
    return Judged(situation, _notes(told, record))


def _lost(lines: Iterable[str], ledger: Ledger | None) -> dict[ResultKey, ScenarioResult]:
    """Return a missing look for every place that the last night had in a lost line, one where it had none."""
    found: dict[ResultKey, ScenarioResult] = {}
    for line in sorted(lines):
        known = [
            one.scenario for one in (ledger.seen if ledger else ()) if one.line == line and one.scenario != WHOLE_CELL
        ]
        for scenario in known or [WHOLE_CELL]:
            found[ResultKey(line, scenario)] = ScenarioResult(ResultKey(line, scenario), "", scenario, reason=LOST)
    return found


def _ends(results: Mapping[str, ScenarioResult]) -> tuple[dict[str, ScenarioResult], dict[str, ScenarioResult]]:
    pairs = {name: first_and_last(result, None) for name, result in results.items()}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def _by_part(
    results: Mapping[str, ScenarioResult], record: RunRecord, attempts: Sequence[AttemptRecord]
) -> dict[str, dict[str, ScenarioResult]]:
    """Cut the control cell's looks by the part that each attempt was made in; a run that was not merged is one part."""
    if not record.parts:
        return {"": dict(results)}
    found: dict[str, dict[str, ScenarioResult]] = {}
    hosts = {part.run: part.host for part in record.parts}
    for name, result in results.items():
        rows = [one for one in attempts if (one.cell, one.scenario) == (result.cell, name) and one.attempt]
        for part in dict.fromkeys(one.part for one in rows):
            own = [one for one in rows if one.part == part]
            names = {figure for one in own for figure in one.figures}
            gpu = ", ".join(sorted({card.name for card in hosts[part].gpus})) if part in hosts else result.gpu
            found.setdefault(part, {})[name] = replace(
                result,
                outcomes=tuple(one.outcome for one in own),
                values={figure: tuple(one.figures[figure] for one in own if figure in one.figures) for figure in names},
                gpu=gpu,
            )
    return found or {"": {}}


def _together(told: Sequence[tuple[str, Control]]) -> Control:
    """Reduce the parts' controls: one that moved is enough; all have to be silent for silence."""
    by_weight = [State.MOVED, State.SETTLED, State.STEADY, State.SILENT]
    worst = min((one for _, one in told), key=lambda one: by_weight.index(one.state))
    moved = tuple(f"{part}: {text}" if part else text for part, one in told for text in one.moved)
    return Control(worst.state, moved if worst.state in {State.MOVED, State.SETTLED, State.SILENT} else (), worst.facts)


def _notes(told: Sequence[tuple[str, Control]], record: RunRecord) -> tuple[str, ...]:
    heard = {part for part, one in told if one.state is not State.SILENT}
    without = sorted({part.run for part in record.parts} - heard)
    return tuple(f"{part} brought no control cell: its machine is trusted unseen" for part in without)


def _facts(host: HostRecord) -> MachineSnapshot:
    cards = tuple(Card(mark="", name=gpu.name, driver=gpu.driver, total=gpu.memory_bytes, used=0) for gpu in host.gpus)
    return MachineSnapshot(cpus=host.cpus, memory_free=0, cards=cards)
