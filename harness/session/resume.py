"""Resume a run: find it, load its plan, merge its options, select a part of it."""

from __future__ import annotations

import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock, read_lock, resolve_cells
from harness.errors import ConfigError, NothingSelectedError
from harness.matrix.paths import ScenarioFile, near_hint
from harness.matrix.schema import Matrix
from harness.session.plan import Plan, PlannedCell, is_selected, read_scenarios, select_cells
from harness.store.records import CellRecord, RunKind, RunOptions, function_of
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
        ConfigError: there is no such run, or ``name`` is no run of ``harness run``.
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


def load_plan(folder: RunFolder, cache_dir: CacheDir) -> Plan:
    """Return the plan of a run with its own locks; only cells without a lock are resolved again.

    Raises:
        ConfigError: the run was written by a version that stored no pins.
    """
    record = folder.read_record()
    matrix = Matrix.model_validate({**record.matrix, "raw": record.matrix, "path": Path(record.matrix_file)})
    files, infos = read_scenarios(matrix, record.selection)
    cells = tuple(_planned(cell, folder, cache_dir) for cell in record.cells)
    return Plan(matrix, cells, files, infos)


def merge_options(stored: RunOptions, given: Mapping[str, Any]) -> RunOptions:
    """Return the options of a resumed run: those given now take precedence over the stored ones.

    ``given`` maps fields of ``RunOptions`` to values of the command line; None and False are not given. An isolation
    ends the comparison of both isolations.
    """
    named = {name: value for name, value in given.items() if value is not None and value is not False}
    one_isolation = {"check_isolation": False} if "isolation" in named else {}
    return stored.model_copy(update=one_isolation | named)


def select_part(plan: Plan, *, cells: Sequence[str] = (), scenarios: Sequence[str] = ()) -> Plan:
    """Return a plan with the selected cells and scenarios, all if none is given; its files are still collected.

    Raises:
        ConfigError: a scenario entry has no file.
        NothingSelectedError: a cell or a scenario is not in the plan.
    """
    chosen = {cell.id for cell in select_cells([one.cell for one in plan.cells], cells)}
    planned = tuple(one for one in plan.cells if one.cell.id in chosen)
    if not scenarios:
        return replace(plan, cells=planned)
    only = tuple(file for entry in scenarios for file in _files_of_run(entry, plan))
    # A plan knows functions, only pytest knows their parameters.
    functions = tuple(replace(file, test=file.test and function_of(file.test)) for file in only)
    infos = tuple(info for info in plan.scenarios if is_selected(info, functions))
    return replace(plan, cells=planned, scenarios=infos, only=only)


def _files_of_run(entry: str, plan: Plan) -> tuple[ScenarioFile, ...]:
    """Return the files of a scenario entry or scenario id, at least one scenario of which is in the plan."""
    ids = {info.id: info.nodeid.partition("::")[0] for info in plan.scenarios}
    file = ids.get(entry.split("[", 1)[0])
    if file is not None:
        return (ScenarioFile(Path(file), entry.partition("::")[2]),)
    files, infos = read_scenarios(plan.matrix, [entry])
    known = {info.nodeid for info in plan.scenarios}
    if not any(info.nodeid in known for info in infos):
        hint = near_hint(infos[0].id, ids)
        raise NothingSelectedError(f"--scenarios {entry} is not a scenario of the run{hint}")
    return files


def _planned(cell: CellRecord, folder: RunFolder, cache_dir: CacheDir) -> PlannedCell:
    if cell.planned is None:
        raise ConfigError(f"{folder.record_file} has no pins for {cell.id}, so the run cannot be resumed")
    lock = _stored_lock(cell, folder) or resolve_cells([cell.planned], cache=cache_dir.locks, jobs=1)[cell.id]
    return PlannedCell(cell.planned, lock)


def _stored_lock(cell: CellRecord, folder: RunFolder) -> Lock | None:
    """Read a lock of the run folder; None if it is missing or was changed."""
    path = folder.cell(cell.id) / "lock.txt"
    if not path.exists() or cell.planned is None:
        return None
    lock = read_lock(
        path.read_text(encoding="utf-8"),
        cell.python,
        cell.lock_base,
        sysconfig.get_platform(),
    )
    return lock if lock.hash == cell.lock else None
