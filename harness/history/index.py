"""The history's index, kept up to date with the run folders that it is made from."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import ValidationError

from harness.errors import ConfigError, InfrastructureError
from harness.history.model import pack
from harness.history.schema import FILE, INDEXES, create, is_current, open_database, to_microseconds, without_collector
from harness.matrix.cell import display_version
from harness.store.journal import JournalContent
from harness.store.records import AttemptSummary, CellRecord, RunRecord, Status
from harness.store.run_folder import RunFolder
from harness.store.runs import RESULTS, kind_of
from harness.verdict.result import ScenarioResult, counting
from harness.verdict.results import GpuModels, results_of


@dataclass(frozen=True)
class Row:
    """One result of one run on one model of GPU; ``started`` is when the run, or the part that ran it, began."""

    result: ScenarioResult
    gpu: str
    started: datetime


def read_rows(run: RunRecord, journal: JournalContent[AttemptSummary]) -> tuple[Row, ...]:
    """Return every result of a run; one that ran on several models of GPU once for each.

    A machine that had a cell and made nothing of it has missing results.
    """
    models = GpuModels(run)
    ran = _machines(run, journal, models)
    gpus = {gpu for machines in ran.values() for gpu in machines}
    found: list[Row] = []
    for gpu in sorted(gpus):
        results = results_of(run, journal, gpu if len(gpus) > 1 else None).values()
        found += [Row(one, gpu, ran[one.cell][gpu]) for one in results if gpu in ran[one.cell]]
    return tuple(found)


def _machines(
    run: RunRecord, journal: JournalContent[AttemptSummary], models: GpuModels
) -> dict[str, dict[str, datetime]]:
    """Return cell → the models of GPU it ran on, or was to run on, each with the moment that run began."""
    parts = {part.run: part.started for part in run.parts}
    ran: dict[str, dict[str, datetime]] = {cell.id: {} for cell in run.cells}
    for one in journal.attempts:
        if one.cell in ran:
            ran[one.cell].setdefault(models.of_attempt(one), parts.get(one.part, run.started))
    for cell, seen in ran.items():
        planned = {models.of_part(part.run): part.started for part in reversed(run.parts) if cell in part.cells}
        planned = planned or {models.host: run.started}
        lost = {gpu: when for gpu, when in planned.items() if not seen or ", " not in gpu}  # of several, one was seen
        ran[cell] = {**lost, **seen}
    return ran


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: runs read, runs that are gone, whether everything was read, and what a person should know."""

    read: int
    gone: int
    rebuilt: bool
    notes: tuple[str, ...] = ()


def refresh(reports: Path, *, rebuild: bool = False) -> Refreshed:
    """Read what is new or changed below ``reports`` into its index; several processes may do so at once.

    With ``rebuild``, or where the index is damaged or of another version, everything is read again: beside the old
    index, which serves its readers until the new one is whole.

    Raises:
        ConfigError: there is no such folder.
        InfrastructureError: the index cannot be written.
    """
    if not reports.is_dir():
        raise ConfigError(f"there is no folder {reports}: --reports names the one with the run folders")
    path = reports / FILE
    try:
        with FileLock(f"{path}.lock"):
            note = "" if rebuild or not path.exists() or is_current(path) else _note_of_rebuild(path)
            if rebuild or note or not path.exists():
                return _rebuild(reports, path, note)
            try:
                with open_database(path, write=True) as connection:
                    return _update(connection, reports)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                return _rebuild(reports, path, f"{path.name} was damaged and has been made anew")
    except (OSError, sqlite3.OperationalError) as error:
        raise InfrastructureError(f"{path} cannot be written: {error}") from error


def _note_of_rebuild(path: Path) -> str:
    return f"{path.name} was damaged or of another version and has been made anew"


def _rebuild(reports: Path, path: Path, note: str) -> Refreshed:
    scratch = path.with_name(f".{path.name}.part")
    scratch.unlink(missing_ok=True)
    with open_database(scratch, write=True) as connection, without_collector():
        create(connection)
        done = _update(connection, reports)
        connection.executescript(INDEXES)
    os.replace(scratch, path)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # of the file that was there before
    return Refreshed(done.read, 0, rebuilt=True, notes=((note,) if note else ()) + done.notes)


def _update(connection: sqlite3.Connection, reports: Path) -> Refreshed:
    found = list_stamps(reports)
    known = {name: (stamp, run) for run, name, stamp in connection.execute("SELECT id, name, stamp FROM runs")}
    gone = [name for name in known if name not in found]
    stale = [name for name, stamp in found.items() if name not in known or known[name][0] != stamp]
    if gone or stale:
        connection.execute("BEGIN IMMEDIATE")
        for name in (*gone, *(name for name in stale if name in known)):
            _remove_run(connection, known[name][1])
        writer = _Writer(connection)
        for name in stale:
            writer.run(RunFolder(reports.absolute() / name), found[name])
        connection.execute("COMMIT")
    problems = connection.execute("SELECT problem FROM runs WHERE problem != '' ORDER BY name")
    return Refreshed(len(stale), len(gone), rebuilt=False, notes=tuple(text for (text,) in problems))


def list_stamps(reports: Path) -> dict[str, str]:
    """Return for each run folder, oldest first, what tells whether it changed: sizes and times of its two files."""
    found = {}
    for record in sorted(reports.glob("*/run.json")):
        folder = RunFolder(record.parent)
        try:
            states = [file.stat() for file in (record, folder.journal_file) if file.exists()]
        except FileNotFoundError:  # removed at this moment
            continue
        found[folder.path.name] = " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)
    return found


def _remove_run(connection: sqlite3.Connection, run: int) -> None:
    for table, column in (("boxes", "run"), ("parts", "run"), ("runs", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))  # noqa: S608  # three words of this module


class _Writer:
    """Put runs into the tables; what boxes have in common is looked up once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[Any, ...], int] = {}

    def run(self, folder: RunFolder, stamp: str) -> None:
        """Read one run folder and write its results.

        A search or a probe has none that count: its cells were picked. What cannot be read is kept as a problem.
        """
        run, journal, problem = self._read(folder)
        values = (folder.path.name, stamp, run.name if run else "", problem)
        insert = "INSERT INTO runs (name, stamp, matrix, problem) VALUES (?, ?, ?, ?)"
        own = self._connection.execute(insert, values).lastrowid or 0
        if run is None:
            return
        self._connection.executemany("INSERT INTO parts VALUES (?, ?)", [(own, part.run) for part in run.parts])
        locks = {cell.id: self._lock(cell) for cell in run.cells}
        rows = [self._row(own, run.name, row, locks[row.result.cell]) for row in read_rows(run, journal)]
        self._connection.executemany(f"INSERT INTO boxes VALUES ({', '.join('?' * 11)})", rows)  # noqa: S608  # marks alone

    def _read(self, folder: RunFolder) -> tuple[RunRecord | None, JournalContent[AttemptSummary], str]:
        try:
            run, journal = folder.read(AttemptSummary)
            counts = kind_of(folder, run) in RESULTS
        except (ConfigError, ValidationError) as error:
            text = str(error).splitlines()[0].replace(str(folder.path), folder.path.name)
            return None, JournalContent(), f"{text}: passed over"
        return (run if counts else None), journal, ""

    def _lock(self, cell: CellRecord) -> int:
        versions = {"python": cell.python, **cell.versions}
        built = {name: display_version(address) for name, address in cell.built.items()} if cell.versions else {}
        texts = (json.dumps(each) for each in (versions, tuple(cell.pins), built))
        return self._id("locks", **dict(zip(("versions", "pins", "built"), texts, strict=True)))

    def _row(self, run: int, matrix: str, row: Row, lock: int) -> tuple[Any, ...]:
        result = row.result
        values = _values(result)
        medians, spreads = pack(values)
        return (
            run,
            self._id("lines", matrix=matrix, line=result.key.series, gpu=row.gpu),
            self._id("scenarios", name=result.key.scenario),
            to_microseconds(row.started),
            self._id("cells", name=result.cell),
            lock,
            self._id("outcomes", words=" ".join(map(str, result.outcomes))),
            self._signature(result),
            self._id("shapes", names="\n".join(values)),
            medians,
            spreads,
        )

    def _signature(self, result: ScenarioResult) -> int:
        name = result.signatures[0] if result.signatures else ""
        key = ("signatures", name)
        if key not in self._known:
            failure = result.decisive.failure if result.decisive and name else None
            text = failure.model_copy(update={"text": ""}).model_dump_json() if failure else None  # no rule reads it
            insert = "INSERT OR IGNORE INTO signatures (name, failure) VALUES (?, ?)"
            self._connection.execute(insert, (name, text))
        return self._id("signatures", name=name)

    def _id(self, table: str, **values: str) -> int:
        """Return the number of a row, which is written where it is not there yet."""
        key = (table, *values.values())
        if key not in self._known:
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            where = " AND ".join(f"{name} = ?" for name in values)
            held = tuple(values.values())
            self._connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", held)  # noqa: S608  # names of this module
            found = self._connection.execute(f"SELECT id FROM {table} WHERE {where}", held)  # noqa: S608
            self._known[key] = found.fetchone()[0]
        return self._known[key]


def _values(result: ScenarioResult) -> dict[str, tuple[float, ...]]:
    """Return each figure of the attempts that count, the seconds of the attempt first."""
    counted = [result.attempts[place] for place in counting([one.outcome for one in result.attempts])]
    seconds = tuple(one.seconds for one in counted if one.outcome.status is not Status.MISS)
    return {"seconds": seconds, **result.values} if seconds else dict(result.values)
