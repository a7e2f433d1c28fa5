"""Build what a report shows from the records of a run."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from harness.report.cell_details import RunFacts, announcements, known_failure, records, table_cell, unlisted
from harness.report.figures import memory
from harness.report.model import (
    AxisChange,
    Column,
    Group,
    HeaderCell,
    HeaderRow,
    ReportContext,
    Row,
    TableCell,
)
from harness.store.journal import JournalContent
from harness.store.records import (
    WHOLE_CELL,
    AttemptRecord,
    CellRecord,
    HostRecord,
    RunRecord,
    ScenarioInfo,
    Status,
    function_of,
)
from harness.verdict.comparison import Change, compare
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import KnownIssue
from harness.verdict.package_diff import PackageChange, package_diff
from harness.verdict.result import ScenarioResult
from harness.verdict.results import results_of

SHOWN = {Change.NEW_FAILURE, Change.FIXED, Change.CHANGED}
UNCHANGED = {Change.SAME, Change.STILL_FAILING}
Lookup = Mapping[tuple[str, str], ScenarioResult]  # (scenario, cell id) -> result
Member = tuple[Row, TableCell]


def ordered_cells(run: RunRecord) -> list[CellRecord]:
    """Sort cells by their labels in the matrix's order, the first axis outermost."""
    orders = [labels_of(run, axis) for axis in run.axes]
    return sorted(
        run.cells,
        key=lambda cell: tuple(order.index(label(cell, axis)) for axis, order in zip(run.axes, orders, strict=True)),
    )


def labels_of(run: RunRecord, axis: str) -> list[str]:
    """Return the labels of one axis in the order of the cells."""
    return list(dict.fromkeys(label(cell, axis) for cell in run.cells))


def label(cell: CellRecord, axis: str) -> str:
    """Return the label of a cell on an axis, empty without one."""
    return cell.labels.get(axis, "")


def reference_of(cell: CellRecord, run: RunRecord) -> CellRecord | None:
    """Return the reference cell with the most labels of ``cell``; None for a reference cell."""
    candidates = [] if cell.reference else [each for each in run.cells if each.reference]
    return max(candidates, key=lambda each: sum(label(each, a) == label(cell, a) for a in run.axes), default=None)


def columns(run: RunRecord, unavailable: Mapping[str, str]) -> tuple[Column, ...]:
    """Return the columns in their order; ``unavailable`` maps the ids of unavailable cells to the reason."""
    return tuple(_column(cell, run, unavailable.get(cell.id)) for cell in ordered_cells(run))


def _column(cell: CellRecord, run: RunRecord, unavailable: str | None) -> Column:
    reference = reference_of(cell, run)
    return Column(
        id=cell.id,
        labels=tuple(label(cell, axis) for axis in run.axes),
        name=" · ".join(f"{axis} {label(cell, axis) or '–'}" for axis in run.axes) or cell.id,
        reference=cell.reference,
        compared_with=reference.id if reference else None,
        unavailable=unavailable or cell.unsolvable,
        pins=tuple({**cell.pins, "python": cell.python, **cell.variables}.items()),
        differences=version_differences(cell, reference) if reference else (),
    )


def version_differences(cell: CellRecord, reference: CellRecord) -> tuple[PackageChange, ...]:
    """Return how a cell differs from its reference, pinned packages first; empty if one has no lock."""
    if not cell.versions or not reference.versions:
        return ()
    return package_diff(reference.versions, cell.versions, first=cell.pins)


def pinned_packages(found: Sequence[Column]) -> list[str]:
    """Return the packages that any column pins, in the order of the columns."""
    return list(dict.fromkeys(name for column in found for name, _ in column.pins))


def header(found: Sequence[Column], axes: Sequence[str]) -> tuple[HeaderRow, ...]:
    """Merge neighbouring columns that share a label on an axis and on every axis outside it."""
    rows = []
    for depth, axis in enumerate(axes, start=1):
        runs = itertools.groupby(found, key=lambda column, depth=depth: column.labels[:depth])  # type: ignore[misc]
        cells = []
        for labels, members in runs:
            run = list(members)
            cells.append(HeaderCell(labels[-1] or "–", len(run), any(column.reference for column in run)))
        rows.append(HeaderRow(axis, tuple(cells)))

    return tuple(rows)


@dataclass(frozen=True)
class Stretch:
    """Neighbouring labels of an axis with the same result."""

    first: str
    last: str
    result: ScenarioResult


def axis_changes(run: RunRecord, rows: Sequence[Row], results: Lookup) -> tuple[AxisChange, ...]:
    """Return every change along every axis; equal changes for several settings of the other axes are merged."""
    found: list[AxisChange] = []
    for axis in run.axes:
        settings = _settings(run, axis)
        for row in rows:
            found += _merge([(where, _changes(axis, row, cells, results)) for where, cells in settings.items()])
    return tuple(found)


def _settings(run: RunRecord, axis: str) -> dict[tuple[str, ...], list[tuple[str, CellRecord]]]:
    """Return setting of the other axes → cells along ``axis``, releases in ascending order."""
    others = [each for each in run.axes if each != axis]
    order = _ascending(labels_of(run, axis))
    found: dict[tuple[str, ...], list[tuple[str, CellRecord]]] = {}
    for cell in sorted(run.cells, key=lambda each: order.index(label(each, axis))):
        where = tuple(f"{other} {label(cell, other) or '–'}" for other in others)
        found.setdefault(where, []).append((label(cell, axis) or "–", cell))
    return {where: cells for where, cells in found.items() if len(cells) > 1}


def _ascending(labels: Sequence[str]) -> list[str]:
    """Return releases in ascending order, then the other labels (``dev``, a commit) in their order."""
    releases: dict[str, Version] = {}
    for each in labels:
        with suppress(InvalidVersion):
            releases[each] = Version(each)
    return [*sorted(releases, key=lambda each: releases[each]), *(each for each in labels if each not in releases)]


def _changes(axis: str, row: Row, cells: Sequence[tuple[str, CellRecord]], results: Lookup) -> list[AxisChange]:
    here = [(name, results[row.scenario, cell.id]) for name, cell in cells if (row.scenario, cell.id) in results]
    stretches = _stretches(here)
    pairs = itertools.pairwise(stretches)
    made = [_axis_change(axis, row, before, after, lasting=after is stretches[-1]) for before, after in pairs]
    return [each for each in made if each.change in SHOWN]


def _stretches(results: Sequence[tuple[str, ScenarioResult]]) -> list[Stretch]:
    """Join neighbours with the same result; results other than pass and fail are skipped."""
    found: list[Stretch] = []
    for name, result in results:
        if result.status not in {Status.PASS, Status.FAIL}:
            continue
        if found and compare(found[-1].result, result) in UNCHANGED:
            found[-1] = replace(found[-1], last=name)
        else:
            found.append(Stretch(name, name, result))

    return found


def _axis_change(axis: str, row: Row, before: Stretch, after: Stretch, *, lasting: bool) -> AxisChange:
    change = compare(before.result, after.result)
    culprit = known_failure(before.result if change is Change.FIXED else after.result)
    span = f"from {after.first} on" if lasting else f"in {after.first}"
    if not lasting and after.last != after.first:
        span = f"from {after.first} to {after.last}"
    sentence = {
        Change.NEW_FAILURE: f"passes in {before.last}, fails {span}",
        Change.FIXED: f"fails in {before.last}, passes {span}",
        Change.CHANGED: f"fails in {before.last} and differently {span}",
    }.get(change, str(change))
    return AxisChange(
        axis=axis,
        scenario=row.scenario,
        report_row=row.report_row,
        before=before.last,
        after=after.first,
        change=change,
        sentence=sentence,
        cause=culprit.key if culprit else "",
        tracker=culprit.tracker if culprit else None,
    )


def _merge(per_setting: Sequence[tuple[tuple[str, ...], list[AxisChange]]]) -> list[AxisChange]:
    """Merge equal changes; one that does not hold for every setting of the other axes names its settings."""
    settings: dict[AxisChange, list[str]] = {}
    for where, changes in per_setting:
        for change in changes:
            settings.setdefault(change, []).append(", ".join(where))
    return [
        change if len(where) == len(per_setting) else replace(change, where=tuple(where))
        for change, where in settings.items()
    ]


def groups(rows: Sequence[Row], total_cells: int) -> tuple[Group, ...]:
    """Return the red results by failure, the failure of most cells first."""
    found: dict[str, list[Member]] = {}
    for row in rows:
        for one in row.table_cells:
            if one.signature is not None and one.is_red:
                found.setdefault(one.signature.key, []).append((row, one))
    made = [_group(key, members, total_cells) for key, members in found.items()]
    return tuple(sorted(made, key=lambda group: (-len(group.cells), -len(group.scenarios), group.key)))


def _group(key: str, members: list[Member], total_cells: int) -> Group:
    known = [each.signature for _, each in members if each.signature is not None]
    trackers = [each.tracker for each in known if each.tracker]
    if not trackers:  # no rule knows it: those of the scenarios are the next best
        trackers = [row.tracker for row, each in members if row.tracker and each.applies_to == "scenario"]
    return Group(
        key=key,
        status=members[0][1].status or Status.FAIL,
        rule=known[0].rule,
        summary=known[0].summary,
        ids=tuple(dict.fromkeys(each.id for each in known)),
        trackers=tuple(dict.fromkeys(trackers)),
        cells=tuple(dict.fromkeys(each.cell for _, each in members)),
        scenarios=tuple(dict.fromkeys(row.scenario for row, _ in members)),
        total_cells=total_cells,
    )


def build(run: RunRecord, journal: JournalContent[AttemptRecord], issues: Sequence[KnownIssue] = ()) -> ReportContext:
    """Return the context of a report; ``issues`` are the known issues as of the start of the run."""
    results = lookup(run, journal)
    infos = _rows(run, results)
    cells = columns(run, _unavailable(results))
    facts = RunFacts(tuple(issues), {gpu.uuid: gpu.name for gpu in run.host.gpus})
    rows = tuple(_row(run, info, results, facts) for info in infos)
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
        axis_changes=axis_changes(run, rows, results),
        memory=memory(rows),
        announcements=announcements(rows, cells),
    )


def lookup(run: RunRecord, journal: JournalContent[AttemptRecord]) -> Lookup:
    """Return the results of a run by scenario and cell id."""
    return {(one.key.scenario, one.cell): one for one in results_of(run, journal).values()}


def _unavailable(results: Lookup) -> dict[str, str]:
    """Return the ids of the unavailable cells in which nothing ran, with the reason."""
    ran = {cell for (_, cell), one in results.items() if one.attempts and one.recorded_as != WHOLE_CELL}
    found = {cell: one.reason for (_, cell), one in results.items() if one.attempts and one.recorded_as == WHOLE_CELL}
    return {cell: reason for cell, reason in found.items() if cell not in ran}


def _rows(run: RunRecord, results: Lookup) -> list[ScenarioInfo]:
    """Return the scenarios of all results in the order of the field report's rows."""
    declared = {info.id: info for info in run.scenarios}
    found = []
    for name in dict.fromkeys(scenario for scenario, _ in results if scenario != WHOLE_CELL):
        rows = (each.row for (scenario, _), one in results.items() if scenario == name for each in records(one))
        info = declared.get(function_of(name)) or ScenarioInfo(id=name, nodeid=name, row=next(rows, None))
        found.append(info.model_copy(update={"id": name}))
    return sorted(found, key=lambda info: (*_report_order(info.row), info.id))


def _report_order(row: str | None) -> tuple[str, int, str]:
    """Sort A2 before A10, and scenarios without a row last."""
    parts = re.fullmatch(r"([A-Za-z]*)(\d*)(.*)", row or "~")
    letters, number, rest = parts.groups() if parts else ("", "", row or "")
    return (letters or "~", int(number or 0), rest)


def _row(run: RunRecord, info: ScenarioInfo, results: Lookup, facts: RunFacts) -> Row:
    found = []
    for cell in ordered_cells(run):
        result, reference = results.get((info.id, cell.id)), reference_of(cell, run)
        compared = results.get((info.id, reference.id)) if reference else None
        found.append(unlisted(cell) if result is None else table_cell(info.id, cell, result, compared, facts))
    return Row(info.id, info.row, info.title, info.tracker, tuple(found))


def _machine(host: HostRecord) -> tuple[tuple[str, str], ...]:
    gpus = [f"{gpu.name}, {human_bytes(gpu.memory_bytes)}, driver {gpu.driver}" for gpu in host.gpus]
    return (
        ("platform", host.platform),
        ("cores", str(host.cpus)),
        ("memory", human_bytes(host.memory_bytes)),
        ("GPU", "; ".join(gpus) or "none"),
    )
