"""Keep the history's index up with the run folders, which are the truth."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.errors import ConfigError, InfrastructureError
from harness.store.historydb import FILE, INDEXES, create, fits, no_collector, number, opened
from harness.store.nights import pack
from harness.store.run_folder import RunFolder
from harness.store.runboxes import BoxRow
from harness.store.runread import RunRows, read_rows

SEARCHES = ("search.json", "bisect.json", "blame.json")  # one of these marks the run of a search, which is no night


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
            note = "" if rebuild or not path.exists() or fits(path) else _another(path)
            if rebuild or note or not path.exists():
                return _anew(reports, path, note)
            try:
                with opened(path, write=True) as connection:
                    return _update(connection, reports)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                return _anew(reports, path, f"{path.name} was damaged and has been made anew")
    except (OSError, sqlite3.OperationalError) as error:
        raise InfrastructureError(f"{path} cannot be written: {error}") from error


def _another(path: Path) -> str:
    return f"{path.name} was damaged or of another version and has been made anew"


def _anew(reports: Path, path: Path, note: str) -> Refreshed:
    scratch = path.with_name(f".{path.name}.part")
    scratch.unlink(missing_ok=True)
    with opened(scratch, write=True) as connection, no_collector():
        create(connection)
        done = _update(connection, reports)
        connection.executescript(INDEXES)
    os.replace(scratch, path)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # of the file that was there before
    return Refreshed(done.read, 0, rebuilt=True, notes=((note,) if note else ()) + done.notes)


def _update(connection: sqlite3.Connection, reports: Path) -> Refreshed:
    found = stamps(reports)
    known = {name: (stamp, run) for run, name, stamp in connection.execute("SELECT id, name, stamp FROM runs")}
    gone = [name for name in known if name not in found]
    stale = [name for name, stamp in found.items() if name not in known or known[name][0] != stamp]
    if gone or stale:
        connection.execute("BEGIN IMMEDIATE")
        for name in (*gone, *(name for name in stale if name in known)):
            _forget(connection, known[name][1])
        writer = _Writer(connection)
        for name in stale:
            writer.run(RunFolder(reports.absolute() / name), found[name])
        connection.execute("COMMIT")
    problems = connection.execute("SELECT problem FROM runs WHERE problem != '' ORDER BY name")
    return Refreshed(len(stale), len(gone), rebuilt=False, notes=tuple(text for (text,) in problems))


def stamps(reports: Path) -> dict[str, str]:
    """Return for each run folder, oldest first, what tells whether it changed: sizes and times of its two files."""
    found = {}
    for record in sorted(reports.glob("*/run.json")):
        folder = RunFolder(record.parent)
        if any((folder.path / name).exists() for name in SEARCHES):
            continue
        try:
            states = [file.stat() for file in (record, folder.journal_file) if file.exists()]
        except FileNotFoundError:  # removed at this moment
            continue
        found[folder.path.name] = " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)
    return found


def _forget(connection: sqlite3.Connection, run: int) -> None:
    for table, column in (("boxes", "run"), ("parts", "run"), ("runs", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))  # noqa: S608  # three words of this module


class _Writer:
    """Put runs into the tables; what boxes have in common is looked up once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[Any, ...], int] = {}

    def run(self, folder: RunFolder, stamp: str) -> None:
        """Read one run folder and write its boxes; one that cannot be read is kept as a problem."""
        try:
            rows, problem = read_rows(folder), ""
        except ConfigError as error:
            rows, problem = None, f"{error}: passed over"
        values = (folder.path.name, stamp, rows.matrix if rows else "", problem)
        insert = "INSERT INTO runs (name, stamp, matrix, problem) VALUES (?, ?, ?, ?)"
        own = self._connection.execute(insert, values).lastrowid or 0
        if rows is None:
            return
        self._connection.executemany("INSERT INTO parts VALUES (?, ?)", [(own, part) for part in rows.parts])
        locks = {cell: self._lock(rows, cell) for cell in rows.versions}
        boxes = [self._box(own, rows.matrix, box, locks[box.cell]) for box in rows.boxes]
        self._connection.executemany(f"INSERT INTO boxes VALUES ({', '.join('?' * 11)})", boxes)  # noqa: S608  # marks alone

    def _lock(self, rows: RunRows, cell: str) -> int:
        versions, pins, built = (json.dumps(each[cell]) for each in (rows.versions, rows.pins, rows.built))
        return self._id("locks", versions=versions, pins=pins, built=built)

    def _box(self, run: int, matrix: str, box: BoxRow, lock: int) -> tuple[Any, ...]:
        medians, spreads = pack(box.values)
        return (
            run,
            self._id("lines", matrix=matrix, line=box.line, gpu=box.gpu),
            self._id("scenarios", name=box.scenario),
            number(box.started),
            self._id("cells", name=box.cell),
            lock,
            self._id("outcomes", words=" ".join(box.outcomes)),
            self._signature(box.signature, box.failure),
            self._id("shapes", names="\n".join(box.values)),
            medians,
            spreads,
        )

    def _signature(self, name: str, failure: Mapping[str, Any] | None) -> int:
        key = ("signatures", name)
        if key not in self._known:
            insert = "INSERT OR IGNORE INTO signatures (name, failure) VALUES (?, ?)"
            self._connection.execute(insert, (name, json.dumps(failure) if failure else None))
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
