"""Which logs of old runs may go: those of green attempts first; journals, results and figures never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from harness.errors import ConfigError
from harness.store.records import AttemptRecord, Outcome, Status
from harness.store.run_folder import RunFolder

ATTEMPT_LOGS = ("output.log", "report.json")
CELL_LOGS = ("install.log", "server/server.log", "collect-fork/output.log", "collect-spawn/output.log")
RUN_LOGS = ("checkpoints.log", "checkpoints-install.log")
GREEN = (Status.PASS, Status.SKIP)
NOTE = "trimmed.txt"


@dataclass(frozen=True)
class Tried:
    """One attempt as far as its logs go; ``folder`` is its own, relative to the run, None where nothing was started."""

    run: str
    started: datetime  # of its run
    cell: str
    scenario: str
    outcome: Outcome
    signature: str
    folder: str | None

    @property
    def green(self) -> bool:
        """Whether nobody will ask for its logs; an interrupted one is not green."""
        return self.outcome.status in GREEN


@dataclass(frozen=True)
class Doomed:
    """What may go: attempts' folders, cells and runs, whose logs are named by this module; by run."""

    attempts: frozenset[tuple[str, str]]  # run, folder
    cells: frozenset[tuple[str, str]]  # run, cell
    runs: frozenset[str]


@dataclass(frozen=True)
class Trimmed:
    """What was removed, or would be, and how much of the logs there were stays; bytes."""

    runs: int
    files: int
    bytes: int
    kept_bytes: int


def choose(
    tried: Sequence[Tried], cells: Mapping[str, Mapping[str, str]], *, before: datetime, all_logs: bool
) -> Doomed:
    """Decide: pure. ``cells`` is run → cell → lock; only runs that began before ``before`` lose anything.

    ============================ ================== ==========================================
    an attempt is                its logs go        with ``all_logs``
    ============================ ================== ==========================================
    green (pass, skip)           yes                yes
    red, and there is a newer    no                 yes
    one with its signature in
    its scenario
    the newest of its signature  no                 no
    interrupted, missing         no                 yes
    ============================ ================== ==========================================

    A cell's logs (install, server, collection) go when all attempts of the cells that share its environment lose
    theirs, and the checkpoints' logs of a run when all of its attempts do. A cell in which nothing was attempted is
    not green.
    """
    newest = {
        (each.scenario, each.signature): each for each in sorted(tried, key=lambda each: (each.started, each.run))
    }
    kept = [
        each
        for each in tried
        if not each.green and (not all_logs or (each.signature and newest[each.scenario, each.signature] is each))
    ]
    old = {each.run for each in tried if each.started < before} & cells.keys()
    spared = {(each.run, each.folder) for each in kept}
    locks = {(each.run, cells.get(each.run, {}).get(each.cell)) for each in kept}
    told = {(each.run, each.cell) for each in tried}
    silent = {run for run in old if not all_logs and any((run, cell) not in told for cell in cells[run])}
    return Doomed(
        attempts=frozenset(
            (each.run, each.folder)
            for each in tried
            if each.run in old and each.folder and (each.run, each.folder) not in spared
        ),
        cells=frozenset(
            (run, cell)
            for run in old
            for cell, lock in cells[run].items()
            if (run, lock) not in locks and (all_logs or (run, cell) in told)
        ),
        runs=frozenset(old - silent - {each.run for each in kept}),
    )


def trim(reports: Path, *, now: datetime, days: float, all_logs: bool = False, dry_run: bool = False) -> Trimmed:
    """Remove logs of runs that began more than ``days`` ago, and leave a note in each run that lost some.

    Files are removed one by one, so that an interruption leaves a run that is read as before; logs are nobody's truth.

    Raises:
        ConfigError: there is no such folder.
    """
    if not reports.is_dir():
        raise ConfigError(f"there is no folder {reports}: --reports names the one with the run folders")
    tried, cells = _read(reports)
    doomed = choose(tried, cells, before=now - timedelta(days=days), all_logs=all_logs)
    runs, files, freed, kept = set(), 0, 0, 0
    places: dict[str, list[str]] = {}
    for each in tried:
        if each.folder:
            places.setdefault(each.run, []).append(each.folder)
    for run in sorted(cells):
        folder = RunFolder(reports / run)
        goes = dict(_logs(folder, places.get(run, ()), cells[run], doomed))
        kept += sum(_size(path) for path, going in goes.items() if not going)
        going = [path for path, gone in goes.items() if gone]
        if not going:
            continue
        runs.add(run)
        files += len(going)
        freed += sum(map(_size, going))
        if not dry_run:
            _remove(folder, going, now)
    return Trimmed(len(runs), files, freed, kept)


def _read(reports: Path) -> tuple[list[Tried], dict[str, dict[str, str]]]:
    """Read every run that can be read; another one loses nothing."""
    tried: list[Tried] = []
    cells: dict[str, dict[str, str]] = {}
    for record in sorted(reports.glob("*/run.json")):
        folder = RunFolder(record.parent)
        try:
            plan, journal = folder.read(AttemptRecord)
        except (ConfigError, ValidationError):
            continue
        run = folder.path.name
        cells[run] = {cell.id: cell.lock or cell.id for cell in plan.cells}
        moment = plan.started if plan.started.tzinfo else plan.started.replace(tzinfo=UTC)
        for each in journal.attempts:
            red = each.outcome.status not in {*GREEN, Status.MISS}
            signature = (each.signature or str(each.outcome)) if red else ""
            place = each.folder if each.attempt else None
            tried.append(Tried(run, moment, each.cell, each.scenario, each.outcome, signature, place))
    return tried, cells


def _logs(
    folder: RunFolder, places: Sequence[str], cells: Mapping[str, str], doomed: Doomed
) -> Iterator[tuple[Path, bool]]:
    """Yield the logs there are, each with whether it goes; nothing behind a link or outside the run is touched."""
    run, root = folder.path.name, folder.path.resolve()
    for place in places:
        if (folder.path / place).resolve().is_relative_to(root):
            goes = (run, place) in doomed.attempts
            yield from ((path, goes) for path in _there(folder.path / place, ATTEMPT_LOGS))
    for cell in cells:
        goes = (run, cell) in doomed.cells
        own = [folder.cell(cell), *sorted(folder.cell(cell).glob("parts/*"))]
        yield from ((path, goes) for place in own for path in _there(place, CELL_LOGS))
    yield from ((path, run in doomed.runs) for path in _there(folder.path, RUN_LOGS))


def _there(place: Path, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        path = place / name
        if path.is_file() and not path.is_symlink():
            yield path


def _size(path: Path) -> int:
    return path.lstat().st_size


def _remove(folder: RunFolder, going: Sequence[Path], now: datetime) -> None:
    """Write the note first: whoever misses a log then finds why, also after an interruption."""
    size = sum(map(_size, going))
    with (folder.path / NOTE).open("a", encoding="utf-8") as note:
        note.write(f"{now:%Y-%m-%dT%H:%M:%SZ} harness history trim: {len(going)} logs, {size} bytes\n")
    for path in going:
        path.unlink(missing_ok=True)
