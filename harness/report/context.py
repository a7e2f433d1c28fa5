"""Turn the records of a run into what its report shows."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.report.cell_details import Seen, Surroundings, announcements, box, change_between, latest
from harness.report.figures import memory
from harness.report.model import (
    Box,
    Column,
    Difference,
    Group,
    HeaderBox,
    HeaderRow,
    ReportContext,
    Row,
    VersionDifference,
)
from harness.store.records import (
    WHOLE_CELL,
    AttemptRecord,
    CellRecord,
    HostRecord,
    RunRecord,
    ScenarioInfo,
    Status,
    fallback_ids,
    function_of,
)
from harness.verdict.compare import Change
from harness.verdict.figures import human_bytes
from harness.verdict.known_issues import KnownIssue


def ordered_cells(run: RunRecord) -> list[CellRecord]:
    """Sort cells so that equal labels lie together, the first axis outermost; labels keep the matrix's order."""
    places = [labels_of(run, axis) for axis in run.axes]
    return sorted(
        run.cells,
        key=lambda cell: tuple(order.index(label(cell, axis)) for axis, order in zip(run.axes, places, strict=True)),
    )


def labels_of(run: RunRecord, axis: str) -> list[str]:
    """Return the labels of one axis in the order of the cells."""
    return list(dict.fromkeys(label(cell, axis) for cell in run.cells))


def label(cell: CellRecord, axis: str) -> str:
    """Return what a cell has on an axis, empty where it has nothing."""
    return cell.labels.get(axis, "")


def reference_of(cell: CellRecord, run: RunRecord) -> CellRecord | None:
    """Return the reference cell that shares most labels with ``cell``; None for a reference cell itself."""
    candidates = [] if cell.reference else [each for each in run.cells if each.reference]
    return max(candidates, key=lambda each: sum(label(each, a) == label(cell, a) for a in run.axes), default=None)


def columns(run: RunRecord, unavailable: Mapping[str, str]) -> tuple[Column, ...]:
    """Make the columns in their order; ``unavailable`` maps cell ids to why nothing could run there."""
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


def version_differences(cell: CellRecord, reference: CellRecord) -> tuple[VersionDifference, ...]:
    """Return the packages whose versions differ, pinned ones first; empty where one side was never locked."""
    if not cell.versions or not reference.versions:
        return ()
    here, there = cell.versions, reference.versions
    names = sorted({*here, *there}, key=lambda name: (name not in cell.pins, name))
    return tuple(
        VersionDifference(name, here.get(name), there.get(name)) for name in names if here.get(name) != there.get(name)
    )


def pinned_packages(found: Sequence[Column]) -> list[str]:
    """Return what is pinned in any of the columns, in the order of the first that pins it."""
    return list(dict.fromkeys(name for column in found for name, _ in column.pins))


def header(found: Sequence[Column], axes: Sequence[str]) -> tuple[HeaderRow, ...]:
    """Merge neighbouring columns that share a label on an axis and on every axis outside it."""
    rows = []
    for depth, axis in enumerate(axes, start=1):
        runs = itertools.groupby(found, key=lambda column, depth=depth: column.labels[:depth])  # type: ignore[misc]
        boxes = []
        for labels, members in runs:
            run = list(members)
            boxes.append(HeaderBox(labels[-1] or "–", len(run), any(column.reference for column in run)))
        rows.append(HeaderRow(axis, tuple(boxes)))
    return tuple(rows)


TOLD = {Change.REGRESSION, Change.FIXED, Change.CHANGED_FAILURE}


Lookup = Mapping[tuple[str, str], Seen]  # (scenario, cell id) -> what was seen


@dataclass(frozen=True)
class Stretch:
    """Neighbouring labels of an axis that say the same."""

    first: str
    last: str
    seen: Seen


def differences(run: RunRecord, rows: Sequence[Row], seen: Lookup) -> tuple[Difference, ...]:
    """Return every change along every axis, one sentence each; settings of the other axes that agree are merged."""
    found: list[Difference] = []
    for axis in run.axes:
        lines = _lines(run, axis)
        for row in rows:
            per_line = [(where, _changes(axis, row, cells, seen)) for where, cells in lines.items()]
            found += _merge(per_line)
    return tuple(found)


def _lines(run: RunRecord, axis: str) -> dict[tuple[str, ...], list[tuple[str, CellRecord]]]:
    """Return, per setting of the other axes, the cells along ``axis`` in the matrix's order."""
    others = [each for each in run.axes if each != axis]
    order = labels_of(run, axis)
    lines: dict[tuple[str, ...], list[tuple[str, CellRecord]]] = {}
    for cell in sorted(run.cells, key=lambda each: order.index(label(each, axis))):
        where = tuple(f"{other} {label(cell, other) or '–'}" for other in others)
        lines.setdefault(where, []).append((label(cell, axis) or "–", cell))
    return {where: cells for where, cells in lines.items() if len(cells) > 1}


def _changes(axis: str, row: Row, cells: Sequence[tuple[str, CellRecord]], seen: Lookup) -> list[Difference]:
    stretches = _stretches([(name, seen[row.scenario, cell.id]) for name, cell in cells])
    pairs = itertools.pairwise(stretches)
    made = [_difference(axis, row, before, after, lasting=after is stretches[-1]) for before, after in pairs]
    return [each for each in made if each.change in TOLD]


def _stretches(results: Sequence[tuple[str, Seen]]) -> list[Stretch]:
    """Join neighbours that say the same; what gives no answer (skip, miss, error, flaky) is passed over.

    So is a cell in which nothing could be started: it says nothing about the scenario, and is told once, as a cell.
    """
    found: list[Stretch] = []
    for name, seen in results:
        outcome = seen.result.outcome
        if outcome is None or outcome.status not in {Status.PASS, Status.FAIL} or seen.applies_to == "cell":
            continue
        if found and change_between(found[-1].seen, seen) is Change.SAME:
            found[-1] = replace(found[-1], last=name)
        else:
            found.append(Stretch(name, name, seen))
    return found


def _difference(axis: str, row: Row, before: Stretch, after: Stretch, *, lasting: bool) -> Difference:
    change = change_between(before.seen, after.seen)
    culprit = before.seen.signature if change is Change.FIXED else after.seen.signature
    span = f"from {after.first} on" if lasting else f"in {after.first}"
    if not lasting and after.last != after.first:
        span = f"from {after.first} to {after.last}"
    sentence = {
        Change.REGRESSION: f"passes in {before.last}, fails {span}",
        Change.FIXED: f"fails in {before.last}, passes {span}",
        Change.CHANGED_FAILURE: f"fails in {before.last} and in another way {span}",
    }.get(change, str(change))
    return Difference(
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


def _merge(per_line: Sequence[tuple[tuple[str, ...], list[Difference]]]) -> list[Difference]:
    """Say once what holds for every setting of the other axes, else name the settings it holds for."""
    places: dict[Difference, list[str]] = {}
    for where, changes in per_line:
        for change in changes:
            places.setdefault(change, []).append(", ".join(where))
    return [
        change if len(where) == len(per_line) else replace(change, where=tuple(where))
        for change, where in places.items()
    ]


Found = tuple[Row, Box]


def groups(rows: Sequence[Row], total_cells: int) -> tuple[Group, ...]:
    """Return one group per failure, the one seen in most cells first."""
    found: dict[str, list[Found]] = {}
    for row in rows:
        for one in row.boxes:
            if one.signature is not None and one.red:
                found.setdefault(one.signature.key, []).append((row, one))
    made = [_group(key, members, total_cells) for key, members in found.items()]
    return tuple(sorted(made, key=lambda group: (-len(group.cells), -len(group.scenarios), group.key)))


def _group(key: str, members: list[Found], total_cells: int) -> Group:
    known = [box.signature for _, box in members if box.signature is not None]
    trackers = [each.tracker for each in known if each.tracker]
    if not trackers:  # no rule knows it: what the scenarios were written for is the next best pointer
        trackers = [row.tracker for row, box in members if row.tracker and box.applies_to == "scenario"]
    return Group(
        key=key,
        word=members[0][1].word,
        rule=known[0].rule,
        summary=known[0].summary,
        ids=tuple(dict.fromkeys(each.id for each in known)),
        trackers=tuple(dict.fromkeys(trackers)),
        cells=tuple(dict.fromkeys(box.cell for _, box in members)),
        scenarios=tuple(dict.fromkeys(row.scenario for row, _ in members)),
        total_cells=total_cells,
    )


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
    for name, applies_to in zip(fallback_ids(scenario), ("scenario", "scenario", "file", "cell"), strict=True):
        if (name, cell) in recorded:
            return Seen(recorded[name, cell], applies_to)
    return Seen(())


def _rows(run: RunRecord, attempts: Sequence[AttemptRecord]) -> list[ScenarioInfo]:
    """Return the scenarios in the order of the field report's rows: every one that was seen, and every expected one.

    A parametrized function is expected as one and seen as several.
    """
    expected = {info.id: info for info in run.scenarios}
    seen = {each.scenario: each for each in attempts if "::" in each.scenario}
    split = {function_of(scenario) for scenario in seen if "[" in scenario}
    found = {name: info for name, info in expected.items() if name not in split}
    for name, attempt in seen.items():
        if name in split:
            continue  # one record for the function as a whole, in a cell that could not take it apart
        declared = expected.get(function_of(name)) or ScenarioInfo(id=name, nodeid=name, row=attempt.row)
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
