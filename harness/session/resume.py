"""Find the run to go on with, and plan it as it was planned and asked."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, Unsolvable, read_lock, resolve_cells
from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.paths import ScenarioFile, nearest
from harness.matrix.schema import Matrix
from harness.session.collect import covered
from harness.session.plan import Plan, PlannedCell, read_scenarios, select_cells
from harness.store.records import CellRecord, RunKind, RunOptions
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run, kind_of, newest_run

NOT_RESUMED = {
    RunKind.NIGHT: "a nightly run: resume it by `harness nightly --resume` if it was interrupted",
    RunKind.BISECT: "a bisect: continue it with `harness bisect --resume`",
    RunKind.BLAME: "a blame: continue it with `harness blame --resume`",
    RunKind.PROBE: "a probe: run `harness probe` again",
    RunKind.MERGED: "a merged run: resume its parts and merge them again",
}


def run_to_resume(name: str, reports: Path, matrix: str | None) -> RunFolder:
    """Return the run called ``name``, or the newest run of the matrix called ``matrix``.

    Raises:
        ConfigError: there is none, or ``name`` is no run of ``harness run``.
    """
    if matrix is None:
        folder = find_run(name, reports)
        kind = kind_of(folder)
        if kind in NOT_RESUMED:
            raise ConfigError(f"{folder.path.name} is {NOT_RESUMED[kind]}")
        return folder
    newest = newest_run(reports, matrix, RunKind.RUN)
    if newest is None:
        raise ConfigError(f"there is no run of the matrix {matrix} below {reports} to resume")
    return newest


def plan_again(folder: RunFolder, cache_dir: CacheDir) -> Plan:
    """Return the plan of a run with the very locks it had; what had none is resolved anew.

    Raises:
        ConfigError: the run was written by a version that kept no plan.
    """
    record = folder.read_record()
    matrix = Matrix.model_validate({**record.matrix, "raw": record.matrix, "path": Path(record.matrix_file)})
    files, infos = read_scenarios(matrix, record.selection)
    cells = tuple(_planned(cell, folder, cache_dir) for cell in record.cells)
    return Plan(matrix, cells, files, infos)


def ask_again(kept: RunOptions, said: Mapping[str, Any]) -> RunOptions:
    """Return how a run goes on: as it was asked to, save what is said now.

    ``said`` maps fields of ``Asked`` to what the command line has; None and False say nothing. One isolation that is
    named takes the comparison of the two back.
    """
    named = {name: value for name, value in said.items() if value is not None and value is not False}
    one_way = {"check_isolation": False} if "isolation" in named else {}
    return kept.model_copy(update=one_way | named)


def narrowed(plan: Plan, *, cells: Sequence[str] = (), scenarios: Sequence[str] = ()) -> Plan:
    """Return the plan with only what is named of it, all of it where nothing is; the files stay, to be collected.

    Raises:
        ConfigError: a scenario leads nowhere.
        NothingSelectedError: a cell or a scenario is not in the run.
    """
    chosen = {cell.id for cell in select_cells([one.cell for one in plan.cells], cells)}
    kept = tuple(one for one in plan.cells if one.cell.id in chosen)
    if not scenarios:
        return replace(plan, cells=kept)
    only = tuple(file for entry in scenarios for file in _of_run(entry, plan))
    infos = tuple(info for info in plan.scenarios if covered(info, tuple(map(_function, only))))
    return replace(plan, cells=kept, scenarios=infos, only=only)


def _of_run(entry: str, plan: Plan) -> tuple[ScenarioFile, ...]:
    """Return the files of an entry, or the file of an id as the run writes it; the run must have some of it."""
    ids = {info.id: info.nodeid.partition("::")[0] for info in plan.scenarios}
    file = ids.get(entry.split("[", 1)[0])
    if file is not None:
        return (ScenarioFile(Path(file), entry.partition("::")[2]),)
    files, infos = read_scenarios(plan.matrix, [entry])
    known = {info.nodeid for info in plan.scenarios}
    if not any(info.nodeid in known for info in infos):
        near = nearest(infos[0].id, ids)
        hint = f"; the nearest is {near}" if near else ""
        raise NothingSelectedError(f"--scenarios {entry} is not among the scenarios of the run{hint}")
    return files


def _function(file: ScenarioFile) -> ScenarioFile:
    """Leave a parameter out: a plan knows functions, pytest alone knows what parameters they have."""
    return replace(file, test=file.test and file.test.split("[", 1)[0])


def _planned(cell: CellRecord, folder: RunFolder, cache_dir: CacheDir) -> PlannedCell:
    if cell.planned is None:
        raise ConfigError(f"{folder.record_file} has no pins for {cell.id}: it cannot be gone on with")
    return PlannedCell(cell.planned, _stored_lock(cell, folder) or _resolved(cell, cache_dir))


def _stored_lock(cell: CellRecord, folder: RunFolder) -> Lock | None:
    """Read a lock back as planned; None when its text is gone or was changed."""
    path = folder.cell(cell.id) / "lock.txt"
    if not path.exists() or cell.planned is None:
        return None
    lock = read_lock(path.read_text(encoding="utf-8"), cell.python, cell.lock_base, sysconfig.get_platform())
    return lock if lock.hash == cell.lock else None


def _resolved(cell: CellRecord, cache_dir: CacheDir) -> Lock | Unsolvable:
    if cell.planned is None:
        return Unsolvable("no pins were kept")
    return resolve_cells([cell.planned], cache=cache_dir.locks, jobs=1)[cell.id]
