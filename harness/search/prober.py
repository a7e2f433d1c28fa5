"""Turn cells into attempts: lock, install and run what a run folder does not hold yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.envs.bundle.stored import opened
from harness.envs.lock import Lock, Unsolvable, resolve_cells
from harness.envs.places import Places
from harness.matrix.cell import Cell, Pin
from harness.search.earlier import asked_of, take_over
from harness.session.begin import extend
from harness.session.conclude import conclude, standing
from harness.session.context import Options
from harness.session.plan import LOCK_JOBS, Plan, PlannedCell
from harness.session.run import run_plan
from harness.store.folder import RunFolder
from harness.store.journal import Listener
from harness.store.outcome import Reason
from harness.store.records import AttemptRecord

Order = Callable[[str], int]  # cell id -> its place in the report


@dataclass(frozen=True)
class Prober:
    """One run folder that grows cell by cell; ``plan`` has the matrix and the scenario, its own cells do not matter.

    Every probe is journalled by the run itself: a cell that has all its results is not run again, also after an
    interrupt. With ``reuse`` the results of earlier runs beside this one count too.
    """

    plan: Plan
    folder: RunFolder
    places: Places
    options: Options
    reuse: bool = True

    def attempts(self, cell: Cell) -> list[AttemptRecord]:
        """Return the attempts of a cell that count, in the order they were made."""
        return [one for one in standing(self.folder.attempts()) if one.cell == cell.id]

    def probed(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return those of the cells that have all their results."""
        record = self.folder.read_record()
        left = conclude(record.cells, self.folder.collected(), self.folder.attempts()).missing
        whole = {one.id for one in record.cells} - {cell for cell, _ in left}
        return [cell for cell in cells if cell.id in whole]

    def probe(self, cells: Sequence[Cell], listener: Listener, *, repeat: int = 1, order: Order | None = None) -> bool:
        """Run the cells that lack one of ``repeat`` attempts of a scenario; return False when the user interrupted.

        ``order`` says how the run's cells stand in its report, which compares neighbours.
        """
        wanted = self._lacking(cells, repeat)
        if not wanted:
            return True
        plan = replace(self.plan, cells=locked(wanted, self.places))
        extend(plan, self.folder)
        if order is not None:
            self._sort(order)
        if self.reuse:
            take_over(self.folder, [cell.id for cell in wanted], asked_of(self.folder, plan, self.options))
            left = self._lacking(wanted, repeat)
            plan = replace(plan, cells=tuple(planned for planned in plan.cells if planned.cell in left))
        if not plan.cells:
            return True
        return run_plan(plan, self.folder, self.places, replace(self.options, repeat=repeat), listener)

    def _lacking(self, cells: Sequence[Cell], repeat: int) -> list[Cell]:
        """Return the cells that lack a result, or one of ``repeat`` attempts of a scenario that they listed."""
        known, listed = self.probed(cells), self.folder.collected()
        ended = Counter(
            (one.cell, one.scenario)
            for one in self.folder.attempts()
            if one.attempt and one.outcome.reason is not Reason.INTERRUPTED
        )
        short = {
            cell.id
            for cell in cells
            if repeat > 1
            and not (listed.get(cell.id) and all(ended[cell.id, one] >= repeat for one in listed[cell.id]))
        }
        return [cell for cell in cells if cell not in known or cell.id in short]

    def _sort(self, order: Order) -> None:
        record = self.folder.read_record()
        cells = tuple(sorted(record.cells, key=lambda cell: order(cell.id)))
        self.folder.write_record(record.model_copy(update={"cells": cells}))


def locked(cells: Sequence[Cell], places: Places) -> tuple[PlannedCell, ...]:
    """Return the cells with their locks."""
    locks = locks_of(cells, places)
    return tuple(PlannedCell(cell, locks[cell.id]) for cell in cells)


def locks_of(cells: Sequence[Cell], places: Places) -> dict[str, Lock | Unsolvable]:
    """Return cell id → lock: from the index, or what the bundle that is open holds for the same pins."""
    bundle = opened()
    if bundle is None:
        return resolve_cells(cells, cache=places.locks, jobs=LOCK_JOBS)
    return bundle.locks_by_pins(cells)


def cell_at(base: Cell, package: str, release: str) -> Cell:
    """Return the cell that has one release of a package and everything else as ``base`` has it."""
    return cell_with(base, Pin(package, release, f"{package}=={release}"))


def cell_with(base: Cell, pin: Pin) -> Cell:
    """Return the cell that has ``pin`` and every other package as ``base`` has it; its id names that package alone."""
    held = any(one.package == pin.package for one in base.pins)
    pins = tuple(pin if one.package == pin.package else one for one in base.pins) + (() if held else (pin,))
    ground = base.base_python if any(one.installed for one in pins) else None
    return replace(base, pins=pins, axes=(pin.package,), base_python=ground, reference=False)
