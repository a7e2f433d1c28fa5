"""Remove logs of old runs, those of passed attempts first. Journals, results and figures are never removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.errors import ConfigError
from harness.store.records import AttemptRecord, Outcome, Status
from harness.store.run_folder import LOCK, RunFolder, claimed
from harness.store.runs import run_folders

ATTEMPT_LOGS = ("output.log", "report.json")
CELL_LOGS = ("install.log", "server/server.log", "collect-fork/output.log", "collect-spawn/output.log")
RUN_LOGS = ("checkpoints.log", "checkpoints-install.log")
PASSED = (Status.PASS, Status.SKIP)
NOTE = "trimmed.txt"


@dataclass(frozen=True)
class LoggedAttempt:
    """One attempt and the folder of its logs.

    ``started`` is the start of the run. ``folder`` is relative to the run folder, None if no process was started.
    ``signature`` is empty unless the attempt failed.
    """

    run: str
    started: datetime
    cell: str
    scenario: str
    outcome: Outcome
    signature: str
    folder: str | None

    @property
    def passed(self) -> bool:
        """Return whether the attempt passed or was skipped."""
        return self.outcome.status in PASSED


@dataclass(frozen=True)
class Removal:
    """The attempts, cells and runs that lose their logs."""

    attempts: frozenset[tuple[str, str]]  # run, folder
    cells: frozenset[tuple[str, str]]  # run, cell
    runs: frozenset[str]


@dataclass(frozen=True)
class TrimResult:
    """The numbers of runs and files of which logs were removed, and the bytes that were removed and kept."""

    runs: int
    files: int
    bytes: int
    kept_bytes: int


def plan_removal(
    attempts: Sequence[LoggedAttempt], cells: Mapping[str, Mapping[str, str]], *, before: datetime, all_logs: bool
) -> Removal:
    """Return the logs to remove from the runs that started before ``before``; ``cells`` is run → cell → lock.

    ==================================== ================== ================
    an attempt                           loses its logs     with all_logs
    ==================================== ================== ================
    passed, or was skipped               yes                yes
    failed, and a newer attempt of its   no                 yes
    scenario has the same signature
    is the newest with its signature     no                 no
    was interrupted or is missing        no                 yes
    ==================================== ================== ================

    A cell loses its logs (installation, server, collection) if all attempts of the cells with the same lock do, and a
    run loses the logs of its checkpoints if all of its attempts do. A cell without attempts keeps them.
    """
    newest = {
        (each.scenario, each.signature): each for each in sorted(attempts, key=lambda each: (each.started, each.run))
    }
    kept = [
        each
        for each in attempts
        if not each.passed and (not all_logs or (each.signature and newest[each.scenario, each.signature] is each))
    ]
    old = {each.run for each in attempts if each.started < before} & cells.keys()
    kept_folders = {(each.run, each.folder) for each in kept}
    kept_locks = {(each.run, cells.get(each.run, {}).get(each.cell)) for each in kept}
    attempted = {(each.run, each.cell) for each in attempts}
    incomplete = {run for run in old if not all_logs and any((run, cell) not in attempted for cell in cells[run])}
    return Removal(
        attempts=frozenset(
            (each.run, each.folder)
            for each in attempts
            if each.run in old and each.folder and (each.run, each.folder) not in kept_folders
        ),
        cells=frozenset(
            (run, cell)
            for run in old
            for cell, lock in cells[run].items()
            if (run, lock) not in kept_locks and (all_logs or (run, cell) in attempted)
        ),
        runs=frozenset(old - incomplete - {each.run for each in kept}),
    )


def trim(reports: Path, *, now: datetime, days: float, all_logs: bool = False, dry_run: bool = False) -> TrimResult:
    """Remove logs of the runs that started more than ``days`` before ``now``; each such run gets a ``trimmed.txt``.

    A run in progress keeps its logs. An interruption leaves some logs and no other change. With ``dry_run`` nothing is
    removed.

    Raises:
        ConfigError: ``reports`` is not a folder.
    """
    if not reports.is_dir():
        raise ConfigError(f"there is no folder {reports}: name the folder of the runs with --reports")
    attempts, cells = _read_runs(reports)
    removal = plan_removal(attempts, cells, before=now - timedelta(days=days), all_logs=all_logs)
    runs, files, removed, kept = set(), 0, 0, 0
    folders: dict[str, list[str]] = {}
    for each in attempts:
        if each.folder:
            folders.setdefault(each.run, []).append(each.folder)
    for run in sorted(cells):
        folder = RunFolder(reports / run)
        if _is_in_use(folder):
            continue
        logs = dict(_logs(folder, folders.get(run, ()), cells[run], removal))
        kept += sum(_size(path) for path, is_removed in logs.items() if not is_removed)
        paths = [path for path, is_removed in logs.items() if is_removed]
        if not paths:
            continue
        runs.add(run)
        files += len(paths)
        removed += sum(map(_size, paths))
        if not dry_run:
            _remove(folder, paths, now)

    return TrimResult(len(runs), files, removed, kept)


def _is_in_use(folder: RunFolder) -> bool:
    try:
        with claimed(folder) if (folder.path / LOCK).exists() else nullcontext():
            return False
    except ConfigError:
        return True


def _read_runs(reports: Path) -> tuple[list[LoggedAttempt], dict[str, dict[str, str]]]:
    """Return all attempts, and run → cell → lock; a run that cannot be read is left out and keeps its logs."""
    attempts: list[LoggedAttempt] = []
    cells: dict[str, dict[str, str]] = {}
    for folder in run_folders(reports):
        try:
            plan, journal = folder.read(AttemptRecord)
        except ConfigError:
            continue
        run = folder.path.name
        cells[run] = {cell.id: cell.lock or cell.id for cell in plan.cells}
        started = plan.started if plan.started.tzinfo else plan.started.replace(tzinfo=UTC)
        for each in journal.attempts:
            failed = each.outcome.status not in {*PASSED, Status.MISS}
            signature = (each.signature or str(each.outcome)) if failed else ""
            own = each.folder if each.attempt else None
            attempts.append(LoggedAttempt(run, started, each.cell, each.scenario, each.outcome, signature, own))

    return attempts, cells


def _logs(
    folder: RunFolder, attempt_folders: Sequence[str], cells: Mapping[str, str], removal: Removal
) -> Iterator[tuple[Path, bool]]:
    """Yield the logs of a run, each with whether it is removed; links and files outside the run are left out."""
    run, root = folder.path.name, folder.path.resolve()
    for own in attempt_folders:
        if (folder.path / own).resolve().is_relative_to(root):
            is_removed = (run, own) in removal.attempts
            yield from ((path, is_removed) for path in _existing(folder.path / own, ATTEMPT_LOGS))

    for cell in cells:
        is_removed = (run, cell) in removal.cells
        parts = [folder.cell(cell), *sorted(folder.cell(cell).glob("parts/*"))]
        yield from ((path, is_removed) for part in parts for path in _existing(part, CELL_LOGS))

    yield from ((path, run in removal.runs) for path in _existing(folder.path, RUN_LOGS))


def _existing(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            yield path


def _size(path: Path) -> int:
    return path.lstat().st_size


def _remove(folder: RunFolder, paths: Sequence[Path], now: datetime) -> None:
    """Remove files. The note is written first, so that it also explains an interrupted removal."""
    size = sum(map(_size, paths))
    with (folder.path / NOTE).open("a", encoding="utf-8") as note:
        note.write(f"{now:%Y-%m-%dT%H:%M:%SZ} harness history trim: {len(paths)} logs, {size} bytes\n")
    for path in paths:
        path.unlink(missing_ok=True)
