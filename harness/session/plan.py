"""What a run will do: cells with their locks, scenarios, and what is there already."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.envs.bundle.stored import opened
from harness.envs.lock import Lock, Unsolvable, resolve_cells
from harness.envs.places import Places
from harness.errors import NothingSelectedError
from harness.matrix.cell import Cell
from harness.matrix.model import Matrix
from harness.matrix.places import ScenarioFile, find_scenarios, nearest
from harness.matrix.plan import Expansion, plan_cells
from harness.session.catalogue import read_catalogue
from harness.store.records import CellRecord, ScenarioInfo

LOCK_JOBS = 4


@dataclass(frozen=True)
class PlannedCell:
    """One cell and its resolution."""

    cell: Cell
    lock: Lock | Unsolvable

    def record(self) -> CellRecord:
        """Return what ``run.json`` keeps of it."""
        cell, lock = self.cell, self.lock
        return CellRecord(
            id=cell.id,
            labels={axis: cell.label(axis) for axis in cell.axes},
            pins={pin.package: pin.label for pin in cell.pins if not pin.transitive},
            python=cell.python,
            variables=dict(cell.variables),
            reference=cell.reference,
            lock=lock.hash if isinstance(lock, Lock) else None,
            lock_base=lock.base if isinstance(lock, Lock) else None,
            unsolvable=lock.sentence if isinstance(lock, Unsolvable) else None,
            versions=lock.packages if isinstance(lock, Lock) else {},
            line=cell.line(),
            planned=cell,
        )


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before anything is installed; ``only`` narrows what is run of ``files``."""

    matrix: Matrix
    cells: tuple[PlannedCell, ...]
    files: tuple[ScenarioFile, ...]
    scenarios: tuple[ScenarioInfo, ...]
    warnings: tuple[str, ...] = ()
    only: tuple[ScenarioFile, ...] = ()


def make_plan(matrix: Matrix, places: Places, *, scenarios: Sequence[str] = (), cells: Sequence[str] = ()) -> Plan:
    """Expand, select and lock.

    Args:
        matrix: the matrix as read.
        places: where locks and lists of releases are kept.
        scenarios: scenario entries instead of the matrix's own.
        cells: ids or glob patterns of ids; all where empty.

    Raises:
        ConfigError: the matrix, a scenario or a version is wrong.
        NothingSelectedError: no cell has such an id, or no file has a test.
    """
    files, infos = read_scenarios(matrix, scenarios)
    bundle = opened()
    expansion = plan_cells(matrix, cache=places.releases) if bundle is None else Expansion(bundle.cells())
    chosen = select_cells(expansion.cells, cells)
    locks = resolve_cells(chosen, cache=places.locks, jobs=LOCK_JOBS) if bundle is None else bundle.locks(chosen)
    planned = tuple(PlannedCell(cell, locks[cell.id]) for cell in chosen)
    return Plan(matrix, planned, files, infos, tuple(expansion.warnings))


def read_scenarios(
    matrix: Matrix, instead: Sequence[str] = ()
) -> tuple[tuple[ScenarioFile, ...], tuple[ScenarioInfo, ...]]:
    """Return the scenario files of a matrix (or those named ``instead``) and the tests in them."""
    beside = Path.cwd() / matrix.path.name if instead else matrix.path  # what a person types is looked up from here
    files = find_scenarios(instead or matrix.scenarios, beside)
    return files, read_catalogue(files)


def select_cells(cells: Sequence[Cell], wanted: Sequence[str]) -> tuple[Cell, ...]:
    """Return the cells whose id is named or matches a pattern, reference cells first.

    Raises:
        NothingSelectedError: a name matches no cell; the nearest id is in the sentence.
    """
    for pattern in wanted:
        if not any(matches(cell.id, pattern) for cell in cells):
            ids = [cell.id for cell in cells]
            near = nearest(pattern, ids)
            hint = f"; the nearest is {near}" if near else f"; there are {', '.join(ids[:5])}{' …' if ids[5:] else ''}"
            raise NothingSelectedError(f"no cell is called {pattern}{hint}")
    chosen = [cell for cell in cells if not wanted or any(matches(cell.id, pattern) for pattern in wanted)]
    return tuple(sorted(chosen, key=lambda cell: not cell.reference))


def matches(cell: str, pattern: str) -> bool:
    """Tell whether a cell's id is the pattern, or matches it as a glob."""
    return cell == pattern or fnmatch.fnmatchcase(cell, pattern)
