"""Turn the records of a run into what its report shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from harness.report.boxes import Seen, Surroundings, box, latest
from harness.report.columns import columns, header, ordered_cells, reference_of
from harness.report.differences import Lookup, differences
from harness.report.figures import human_bytes
from harness.report.groups import groups
from harness.report.memory import memory
from harness.report.standing import announcements
from harness.report.views import ReportContext, Row
from harness.store.records import AttemptRecord, HostRecord, RunRecord, ScenarioInfo
from harness.store.voices import WHOLE_CELL, function, voices
from harness.verdict.known import KnownIssue


def build(run: RunRecord, attempts: Sequence[AttemptRecord], issues: Sequence[KnownIssue] = ()) -> ReportContext:
    """Make the context of a report; ``issues`` are the known issues as they stood when the run began.

    A scenario without any attempt in a cell is a miss there, never green. Attempts whose scenario is ``*`` speak for
    the whole cell, those whose scenario is a file's stem for every scenario of the file that has none of its own.
    """
    recorded = _recorded(attempts)
    infos = _rows(run, attempts)
    seen = {(info.id, cell.id): _speaking(recorded, info.id, cell.id) for info in infos for cell in run.cells}
    unavailable = {cell: found[-1].detail for (scenario, cell), found in recorded.items() if scenario == WHOLE_CELL}
    cells = columns(run, {cell: why for cell, why in unavailable.items() if not _started(recorded, cell)})
    gpus = {gpu.uuid: gpu.name for gpu in run.host.gpus}
    around = Surroundings(run.matrix_file, tuple(issues), gpus)
    rows = tuple(_row(run, info, seen, around) for info in infos)
    return ReportContext(
        name=run.name,
        title=run.title or run.name,
        started=f"{run.started:%Y-%m-%d %H:%M} UTC",
        command=shlex.join(run.command) or shlex.join(["harness", "run", run.matrix_file]),
        matrix_file=run.matrix_file,
        harness_version=run.harness_version,
        machine=_machine(run.host),
        axes=run.axes,
        header=header(cells, run.axes),
        columns=cells,
        rows=rows,
        groups=groups(rows, len(cells)),
        differences=differences(run, rows, seen),
        memory=memory(rows),
        announcements=announcements(rows, cells),
    )


def _recorded(attempts: Sequence[AttemptRecord]) -> dict[tuple[str, str], tuple[AttemptRecord, ...]]:
    found: dict[tuple[str, str], list[AttemptRecord]] = {}
    for attempt in attempts:
        found.setdefault((attempt.scenario, attempt.cell), []).append(attempt)
    return {place: latest(records) for place, records in found.items()}


def _started(recorded: dict[tuple[str, str], tuple[AttemptRecord, ...]], cell: str) -> bool:
    """Tell whether anything ran in a cell after all, as it does when a run is resumed."""
    return any(place == cell and scenario != WHOLE_CELL for scenario, place in recorded)


def _speaking(recorded: dict[tuple[str, str], tuple[AttemptRecord, ...]], scenario: str, cell: str) -> Seen:
    """Return the attempts that speak for a scenario in a cell: its own, its function's, its file's, the cell's."""
    for name, applies_to in zip(voices(scenario), ("scenario", "scenario", "file", "cell"), strict=True):
        if (name, cell) in recorded:
            return Seen(recorded[name, cell], applies_to)
    return Seen(())


def _rows(run: RunRecord, attempts: Sequence[AttemptRecord]) -> list[ScenarioInfo]:
    """Return the scenarios in the order of the field report's rows: every one that was seen, and every expected one.

    A parametrized function is expected as one and seen as several.
    """
    expected = {info.id: info for info in run.scenarios}
    seen = {each.scenario: each for each in attempts if "::" in each.scenario}
    split = {function(scenario) for scenario in seen if "[" in scenario}
    found = {name: info for name, info in expected.items() if name not in split}
    for name, attempt in seen.items():
        if name in split:
            continue  # one record for the function as a whole, in a cell that could not take it apart
        declared = expected.get(function(name)) or ScenarioInfo(id=name, nodeid=name, row=attempt.row)
        found[name] = declared.model_copy(update={"id": name})
    return sorted(found.values(), key=lambda info: (*_report_order(info.row), info.id))


def _report_order(row: str | None) -> tuple[str, int, str]:
    """Sort A2 before A10, and rows that answer no report last."""
    parts = re.fullmatch(r"([A-Za-z]*)(\d*)(.*)", row or "~")
    letters, number, rest = parts.groups() if parts else ("", "", row or "")
    return (letters or "~", int(number or 0), rest)


def _row(run: RunRecord, info: ScenarioInfo, seen: Lookup, around: Surroundings) -> Row:
    boxes = []
    for cell in ordered_cells(run):
        reference = reference_of(cell, run)
        compared = seen[info.id, reference.id] if reference else None
        boxes.append(box(info.id, cell, seen[info.id, cell.id], compared, around))
    return Row(info.id, info.row, info.title, info.tracker, tuple(boxes))


def _machine(host: HostRecord) -> tuple[tuple[str, str], ...]:
    gpus = [f"{gpu.name}, {human_bytes(gpu.memory_bytes)}, driver {gpu.driver}" for gpu in host.gpus]
    return (
        ("platform", host.platform),
        ("cores", str(host.cpus)),
        ("memory", human_bytes(host.memory_bytes)),
        ("GPU", "; ".join(gpus) or "none"),
    )
