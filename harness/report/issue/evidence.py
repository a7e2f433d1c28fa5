"""What a run shows about one failure: the cells of every scenario, a small matrix, and what passes nearby."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.report.html import BADGES, mark
from harness.report.issue.model import MatrixRow, ScenarioCounts, SmallMatrix
from harness.report.model import GLYPHS, Group, ReportContext, Row, TableCell
from harness.store.records import ScenarioInfo, Status, function_of

WIDEST = 6  # scenarios of the small matrix


def failures(groups: Sequence[Group], rows: Sequence[Row]) -> tuple[Group, ...]:
    """Return the failures that a draft can be about: those of a scenario, not of a whole cell."""
    return tuple(each for each in groups if any(row_shows(row, each.key) for row in rows))


def shows(result: TableCell, key: str) -> bool:
    """Tell whether at least one attempt of a result failed with this failure, and not the whole cell."""
    failed = result.status in {Status.FAIL, Status.FLAKY} and result.applies_to != "cell"
    return failed and result.signature is not None and result.signature.key == key


def row_shows(row: Row, key: str) -> bool:
    """Tell whether a scenario shows a failure in any cell."""
    return any(shows(result, key) for result in row.table_cells)


def category(result: TableCell, key: str) -> str:
    """Return the field of :class:`ScenarioCounts` in which a result is counted."""
    if shows(result, key):
        return "flaky" if result.status is Status.FLAKY else "failing"
    if result.applies_to == "cell":
        return "undecided"
    if result.status is Status.PASS:
        return "passing"
    return "other_failure" if result.status in {Status.FAIL, Status.FLAKY} else "undecided"


def count_cells(rows: Sequence[Row], key: str, names: Mapping[str, str]) -> tuple[ScenarioCounts, ...]:
    """Count the cells of every scenario that shows the failure ``key``; ``names`` maps cell ids to names."""
    return tuple(_count(row, key, names) for row in rows if row_shows(row, key))


def _count(row: Row, key: str, names: Mapping[str, str]) -> ScenarioCounts:
    found: dict[str, list[str]] = {name: [] for name in ("failing", "flaky", "other_failure", "passing", "undecided")}
    for result in row.table_cells:
        found[category(result, key)].append(names[result.cell])
    return ScenarioCounts(row.scenario, row.title, **{name: tuple(cells) for name, cells in found.items()})


def small_matrix(report: ReportContext, rows: Sequence[Row], first: Sequence[str]) -> SmallMatrix:
    """Return the results of the first few rows in every cell, the cells ``first`` (ids) at the top."""
    shown = rows[:WIDEST]
    lines = [
        MatrixRow(column.name, column.labels, column.reference, tuple(_result(row.table_cells[index]) for row in shown))
        for index, column in enumerate(report.columns)
    ]
    order = sorted(range(len(lines)), key=lambda index: (report.columns[index].id not in first, index))
    return SmallMatrix(report.axes, tuple(row.scenario for row in shown), tuple(lines[index] for index in order))


def _result(result: TableCell) -> str:
    if result.status is None:
        return result.label
    status, badge = f"{GLYPHS[result.status]} {result.status}", BADGES.get(result.ran_on, "")
    parts = [status, mark(result), badge, result.label]
    return " ".join(part for part in parts if part)


def passing_nearby(
    report: ReportContext, scenario: str, cell: str, infos: Mapping[str, ScenarioInfo]
) -> tuple[str, ...]:
    """Return similar scenarios that pass in the same cell: other parameters, then same checkpoints, then same file."""
    index = next(number for number, column in enumerate(report.columns) if column.id == cell)
    passing = [row.scenario for row in report.rows if row.table_cells[index].status is Status.PASS]
    ranked = [(_distance(each, scenario, infos), each) for each in passing]
    near = [(distance, each) for distance, each in ranked if distance is not None]
    return tuple(each for _, each in sorted(near, key=lambda pair: pair[0]))


def _distance(one: str, other: str, infos: Mapping[str, ScenarioInfo]) -> int | None:
    """Return how unlike two scenarios are, None if they share nothing."""
    if function_of(one) == function_of(other):
        return 0
    if checkpoints_of(one, infos) & checkpoints_of(other, infos):
        return 1
    return 2 if one.partition("::")[0] == other.partition("::")[0] else None


def checkpoints_of(scenario: str, infos: Mapping[str, ScenarioInfo]) -> set[str]:
    """Return the checkpoints that a scenario loads, as far as known."""
    info = infos.get(scenario) or infos.get(function_of(scenario))
    return set(info.checkpoints) if info else set()
