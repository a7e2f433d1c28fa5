"""Find the run to go on with, and plan it as it was planned."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from harness.envs.lock import Lock, Unsolvable, read_lock, resolve_cells
from harness.envs.places import Places
from harness.errors import ConfigError
from harness.matrix.model import Matrix
from harness.session.plan import Plan, PlannedCell, read_scenarios
from harness.store.folder import RunFolder, find
from harness.store.records import CellRecord


def run_to_resume(name: str, reports: Path, matrix: str | None) -> RunFolder:
    """Return the run called ``name``, or the newest run of the matrix called ``matrix``.

    Raises:
        ConfigError: there is none.
    """
    if matrix is None:
        return find(name, reports)
    for path in sorted(reports.absolute().glob("*/run.json"), reverse=True):
        folder = RunFolder(path.parent)
        if folder.read_record().name == matrix:
            return folder
    raise ConfigError(f"there is no run of the matrix {matrix} below {reports} to go on with")


def plan_again(folder: RunFolder, places: Places) -> Plan:
    """Return the plan of a run with the very locks it had; what had none is resolved anew.

    Raises:
        ConfigError: the run was written by a version that kept no plan.
    """
    record = folder.read_record()
    matrix = Matrix.model_validate({**record.matrix, "raw": record.matrix, "path": Path(record.matrix_file)})
    files, infos = read_scenarios(matrix, record.selection)
    cells = tuple(_planned(cell, folder, places) for cell in record.cells)
    return Plan(matrix, cells, files, infos)


def _planned(cell: CellRecord, folder: RunFolder, places: Places) -> PlannedCell:
    if cell.planned is None:
        raise ConfigError(f"{folder.record_file} has no pins for {cell.id}: it cannot be gone on with")
    return PlannedCell(cell.planned, _stored_lock(cell, folder) or _resolved(cell, places))


def _stored_lock(cell: CellRecord, folder: RunFolder) -> Lock | None:
    """Read a lock back as planned; None when its text is gone or was changed."""
    path = folder.cell(cell.id) / "lock.txt"
    if not path.exists() or cell.planned is None:
        return None
    lock = read_lock(path.read_text(encoding="utf-8"), cell.python, cell.lock_base, sysconfig.get_platform())
    return lock if lock.hash == cell.lock else None


def _resolved(cell: CellRecord, places: Places) -> Lock | Unsolvable:
    if cell.planned is None:
        return Unsolvable("no pins were kept")
    return resolve_cells([cell.planned], cache=places.locks, jobs=1)[cell.id]
