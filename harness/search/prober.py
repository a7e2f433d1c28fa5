"""Run the cells of a search: lock, install and run what its run folder, or an earlier run, does not hold yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.envs.bundle.manifest import opened_bundle
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable, resolve_cells
from harness.matrix.cell import Cell
from harness.search.reuse import reuse_earlier, reuse_query
from harness.session.begin import add_cells
from harness.session.conclude import conclude
from harness.session.context import Options
from harness.session.plan import LOCK_JOBS, Plan, PlannedCell
from harness.session.run import run_plan
from harness.store.journal import Listener
from harness.store.records import RunRecord
from harness.store.run_folder import RunFolder
from harness.verdict.result import ScenarioResult
from harness.verdict.results import read_results

Arrange = Callable[[RunRecord], RunRecord]


@dataclass(frozen=True)
class Prober:
    """One run folder that grows cell by cell.

    Every probe is journalled by the run: a cell that has all its results is not run again, also after an interrupt.

    Attributes:
        plan: The matrix and the scenario; its own cells do not matter.
        reuse: Results of earlier runs beside this one count, too.
    """

    plan: Plan
    folder: RunFolder
    cache_dir: CacheDir
    options: Options
    reuse: bool = True

    def results(self, cell: Cell) -> list[ScenarioResult]:
        """Return the results of a cell."""
        return results_by_cell(self.folder).get(cell.id, [])

    def probed(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that have all their results."""
        record = self.folder.read_record()
        left = conclude(record, self.folder.journal()).missing
        whole = {one.id for one in record.cells} - {cell for cell, _ in left}
        return [cell for cell in cells if cell.id in whole]

    def probe(
        self, cells: Sequence[Cell], listener: Listener, *, repeat: int = 1, arrange: Arrange = lambda record: record
    ) -> bool:
        """Run the cells that lack one of ``repeat`` attempts of a scenario; return False if the user interrupted.

        ``arrange`` orders the run's cells for its report, which compares neighbours.
        """
        wanted = self._lacking(cells, repeat)
        if not wanted:
            return True
        plan = replace(self.plan, cells=lock_cells(wanted, self.cache_dir))
        add_cells(plan, self.folder)
        self.folder.write_record(arrange(self.folder.read_record()))
        if self.reuse:
            reuse_earlier(self.folder, [cell.id for cell in wanted], reuse_query(self.folder, plan, self.options))
            left = self._lacking(wanted, repeat)
            plan = replace(plan, cells=tuple(planned for planned in plan.cells if planned.cell in left))

        if not plan.cells:
            return True
        return run_plan(plan, self.folder, self.cache_dir, replace(self.options, repeat=repeat), listener)

    def _lacking(self, cells: Sequence[Cell], repeat: int) -> list[Cell]:
        """Return the cells that lack a result, or one of ``repeat`` attempts of a scenario that they listed."""
        known = self.probed(cells)
        lacking = self.folder.lacking((cell.id for cell in cells), repeat) if repeat > 1 else set()
        return [cell for cell in cells if cell not in known or cell.id in lacking]


def results_by_cell(folder: RunFolder) -> dict[str, list[ScenarioResult]]:
    """Return cell (id) → its results."""
    found: dict[str, list[ScenarioResult]] = {}
    for one in read_results(folder).values():
        found.setdefault(one.cell, []).append(one)
    return found


def lock_cells(cells: Sequence[Cell], cache_dir: CacheDir) -> tuple[PlannedCell, ...]:
    """Return the cells with their locks."""
    locks = resolve(cells, cache_dir)
    return tuple(PlannedCell(cell, locks[cell.id]) for cell in cells)


def resolve(cells: Sequence[Cell], cache_dir: CacheDir) -> dict[str, Lock | Unsolvable]:
    """Return cell id → lock, resolved against the index, or from the open bundle."""
    bundle = opened_bundle()
    if bundle is None:
        return resolve_cells(cells, cache=cache_dir.locks, jobs=LOCK_JOBS)
    return bundle.locks_by_pins(cells)
