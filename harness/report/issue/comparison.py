"""Compare two cells: the closest failing and passing one of a run, and the last good and first bad one of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.issue.environment import installed, machine_of
from harness.report.issue.evidence import category
from harness.report.issue.model import CellComparison, CellDifference
from harness.report.issue.wording import difference_text
from harness.report.model import Group, ReportContext, Row, TableCell
from harness.reporter import counted, listed
from harness.search.pins import commit_pin
from harness.store.records import AttemptRecord, CellRecord, RunRecord
from harness.verdict.package_diff import package_diff
from harness.verdict.results import failure_names

NO_OTHER_PACKAGE = " No other package differs between these two."
Distance = tuple[int, int]  # packages that differ, other differences


@dataclass(frozen=True)
class Side:
    """One cell of a comparison: on what its result was obtained (empty if unknown), and its column in the report."""

    cell: CellRecord
    machine: str = ""
    column: int = 0


@dataclass(frozen=True)
class Example:
    """One scenario in the failing cell that the draft describes, and in the closest passing cell if there is one."""

    row: Row
    cell: CellRecord
    failing: TableCell
    passing: TableCell | None = None
    comparison: CellComparison | None = None


def select_example(run: RunRecord, report: ReportContext, key: str, wanted: tuple[str, str] | None = None) -> Example:
    """Return the scenario whose failing and passing cell differ least; without a passing cell the first failing one.

    ``wanted`` are the ids of a failing and a passing cell that are preferred.

    Raises:
        ValueError: no scenario shows the failure ``key``.
    """
    found = [example for row in report.rows if (example := _example(run, report, row, key, wanted))]
    if not found:
        raise ValueError(f"no result shows {key}")
    return min(found, key=_example_distance)


def _example_distance(example: Example) -> tuple[bool, Distance]:
    comparison = example.comparison
    return comparison is None, distance(comparison.differences) if comparison else (0, 0)


def _example(
    run: RunRecord, report: ReportContext, row: Row, key: str, wanted: tuple[str, str] | None
) -> Example | None:
    failing, flaky, passing = (
        [result for result in row.table_cells if category(result, key) == name]
        for name in ("failing", "flaky", "passing")
    )
    if not failing and not flaky:
        return None
    if wanted is not None:
        failing = [result for result in failing if result.cell == wanted[0]] or failing
        passing = [result for result in passing if result.cell == wanted[1]] or passing
    cells = {cell.id: cell for cell in run.cells}
    names = {column.id: column.name for column in report.columns}
    columns = list(names)
    sides = [
        [Side(cells[result.cell], machine_of(run, result), columns.index(result.cell)) for result in results]
        for results in (failing, passing)
    ]
    pair = closest_pair(*sides)
    if pair is None:
        first = (failing or flaky)[0]
        return Example(row, cells[first.cell], first)
    one, other = (next(result for result in row.table_cells if result.cell == side.cell.id) for side in pair)
    comparison = CellComparison(names[one.cell], names[other.cell], differences(*pair))
    return Example(row, cells[one.cell], one, other, comparison)


def closest_pair(failing: Sequence[Side], passing: Sequence[Side]) -> tuple[Side, Side] | None:
    """Return the pair with the fewest different packages, then the fewest other differences.

    Among equally close pairs the one with the nearest columns is taken, then the first. None without a pair of cells
    that both have a lock.
    """
    pairs = [(one, other) for one in failing for other in passing if one.cell.versions and other.cell.versions]

    def apart(pair: tuple[Side, Side]) -> tuple[int, int, int]:
        return *distance(differences(*pair)), abs(pair[0].column - pair[1].column)

    return min(pairs, key=apart, default=None)


def distance(found: Sequence[CellDifference]) -> Distance:
    """Count what differs: packages, and everything else."""
    packages = sum(each.kind == "package" for each in found)
    return packages, len(found) - packages


def differences(failing: Side, passing: Side) -> tuple[CellDifference, ...]:
    """Return all that differs: packages (pinned ones first, then those that both have), variables, Python, machine."""
    here, there = failing.cell, passing.cell
    pinned = {*here.pins, *there.pins}
    packages = sorted(
        package_diff(installed(there), installed(here)),
        key=lambda each: (each.package not in pinned, None in {each.before, each.after}, each.package),
    )
    found = [
        CellDifference("package", each.package, each.after, each.before, pinned=each.package in pinned)
        for each in packages
    ]
    variables = package_diff(there.variables, here.variables)
    found += [CellDifference("variable", each.package, each.after, each.before) for each in variables]
    if here.python != there.python:
        found.append(CellDifference("python", "Python", here.python, there.python))
    if failing.machine and passing.machine and failing.machine != passing.machine:
        found.append(CellDifference("machine", "machine", failing.machine, passing.machine))
    return tuple(found)


# The last good and the first bad cell of a search


def other_changes_sentence(package: str, before: str, found: str, cells: Sequence[CellRecord]) -> str:
    """Return a sentence on what else differs between the last good and the first bad release or commit."""
    good, bad = (_cell_of(package, name, cells) for name in (before, found))
    if good is None or bad is None or not good.versions or not bad.versions:
        return ""
    others = [each for each in differences(Side(bad), Side(good)) if each.name != package]
    if not others:
        return NO_OTHER_PACKAGE
    changed = [each for each in others if each.failing and each.passing] or others
    named = listed([difference_text(each) for each in changed], 1, len(others))
    return f" With {found} {counted(len(others), 'other package')} resolved otherwise ({named})."


def other_failure_sentence(
    package: str, release: str, cells: Sequence[CellRecord], attempts: Sequence[AttemptRecord], group: Group
) -> str:
    """Return a sentence if the first bad release or commit fails, but not with the failure of the draft."""
    cell = _cell_of(package, release, cells)
    names = [list(failure_names(one)) for one in attempts if cell is not None and one.cell == cell.id]
    keys = {own[-1] for own in names if own}
    if not keys or group.key in keys:
        return ""
    return f" At {release} it fails differently: {'; '.join(sorted(keys))}."


def _cell_of(package: str, name: str, cells: Sequence[CellRecord]) -> CellRecord | None:
    """Return the cell of a release or of a commit; a cell pins a commit by its first eight digits."""
    names = {name, commit_pin(package, "", name).label}
    return next((cell for cell in cells if cell.pins.get(package, cell.versions.get(package)) in names), None)
