"""The index of the history: an SQLite file with the results of all runs, kept up to date with the run folders."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.cell import display_version
from harness.store.journal import JournalContent
from harness.store.records import AttemptSummary, CellRecord, RunRecord, Status
from harness.store.run_folder import RunFolder
from harness.store.runs import RESULTS, kind_of, run_folders
from harness.verdict.result import ScenarioResult, counting
from harness.verdict.results import GpuModels, results_of
from harness.verdict.statistics import Spread, spread

FILE = "history.sqlite"
VERSION = 4  # of the tables below; an index of another version is rebuilt
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOCK_SECONDS = 60.0  # how long a process waits for another one that writes

TABLES = Path(__file__).with_name("tables.sql").read_text(encoding="utf-8")
INDEXES = Path(__file__).with_name("indexes.sql").read_text(encoding="utf-8")
PART_RUNS = "SELECT runs.id FROM runs JOIN parts ON parts.part = runs.name"  # the merged run has their results


@contextmanager
def open_index(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open an index and close it at the end. Only ``write`` creates a missing file.

    Raises:
        sqlite3.Error: the file is missing or damaged.
    """
    mode = "rwc" if write else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=LOCK_SECONDS, isolation_level=None
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def paused_gc() -> Iterator[None]:
    """Pause Python's cyclic garbage collector: rows have no cycles, and the search for them takes up to a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def from_microseconds(microseconds: int) -> datetime:
    """Return the time of a number of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(when: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return (when - EPOCH) // timedelta(microseconds=1)


class Figures(Mapping[str, Spread]):
    """The figures of one result by name, unpacked on access."""

    __slots__ = ("_medians", "_positions", "_spreads")

    def __init__(self, positions: Mapping[str, int], medians: bytes, spreads: bytes | None) -> None:
        """Take the bytes that :func:`pack` returned, and the position of each name in them."""
        self._positions, self._medians, self._spreads = positions, medians, spreads

    def __getitem__(self, name: str) -> Spread:
        """Return one figure over the attempts that measured it."""
        position = self._positions[name]
        (middle,) = struct.unpack_from("<d", self._medians, 8 * position)
        if self._spreads is None:
            return Spread(middle, middle, middle, 1)
        low, high, count = struct.unpack_from("<ddI", self._spreads, 20 * position)
        return Spread(middle, low, high, count)

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of measurement."""
        return iter(self._positions)

    def __len__(self) -> int:
        """Return the number of figures."""
        return len(self._positions)

    def __repr__(self) -> str:
        """Return the figures as a plain mapping."""
        return f"Figures({dict(self)})"


def pack(values: Mapping[str, Sequence[float]]) -> tuple[bytes, bytes | None]:
    """Return the medians (8 bytes each) and the spreads (20 bytes each) of figures.

    The spreads are None if every figure has a single value.
    """
    if all(len(each) == 1 for each in values.values()):
        return struct.pack(f"<{len(values)}d", *(value for (value,) in values.values())), None
    found = [spread(each) for each in values.values()]
    medians = struct.pack(f"<{len(values)}d", *(each.median for each in found))
    return medians, b"".join(struct.pack("<ddI", each.low, each.high, each.count) for each in found)


@dataclass(frozen=True)
class Row:
    """One row of the index: a result on one GPU model. ``started`` is the start of its run, or of its merged part."""

    result: ScenarioResult
    gpu: str
    started: datetime


def read_rows(run: RunRecord, journal: JournalContent[AttemptSummary]) -> tuple[Row, ...]:
    """Return the results of a run: one row per result and GPU model.

    A cell that a machine was to run and did not run has missing results.
    """
    models = GpuModels(run)
    starts = _starts(run, journal, models)
    gpus = {gpu for by_gpu in starts.values() for gpu in by_gpu}
    found: list[Row] = []
    for gpu in sorted(gpus):
        results = results_of(run, journal, gpu if len(gpus) > 1 else None).values()
        found += [Row(one, gpu, starts[one.cell][gpu]) for one in results if gpu in starts[one.cell]]
    return tuple(found)


def _starts(
    run: RunRecord, journal: JournalContent[AttemptSummary], models: GpuModels
) -> dict[str, dict[str, datetime]]:
    """Return cell → GPU model → start of the run, for the models that ran the cell or were to run it."""
    parts = {part.run: part.started for part in run.parts}
    starts: dict[str, dict[str, datetime]] = {cell.id: {} for cell in run.cells}
    for one in journal.attempts:
        if one.cell in starts:
            starts[one.cell].setdefault(models.of_attempt(one), parts.get(one.part, run.started))
    for cell, actual in starts.items():
        planned = {models.of_part(part.run): part.started for part in reversed(run.parts) if cell in part.cells}
        planned = planned or {models.host: run.started}
        # A host with several models ("H200, T4") is not missing where an attempt names one of them.
        missing = {gpu: when for gpu, when in planned.items() if not actual or ", " not in gpu}
        starts[cell] = {**missing, **actual}

    return starts


@dataclass(frozen=True)
class Refresh:
    """What a refresh did: the number of runs read and removed, and notes for the user."""

    read: int
    removed: int
    rebuilt: bool
    notes: tuple[str, ...] = ()


def refresh(reports: Path, *, rebuild: bool = False) -> Refresh:
    """Update the index of the runs below ``reports``: read new and changed runs, remove deleted ones.

    With ``rebuild``, and if the index is damaged or of another version, all runs are read into a new file, which then
    replaces the old one. Several processes may refresh at the same time.

    Raises:
        ConfigError: ``reports`` is not a folder.
        InfrastructureError: the index cannot be written.
    """
    if not reports.is_dir():
        raise ConfigError(f"there is no folder {reports}: name the folder of the runs with --reports")
    path = reports / FILE
    try:
        with FileLock(f"{path}.lock"):
            if rebuild or not path.exists():
                return _rebuild(reports, path, "")
            if not _is_current(path):
                return _rebuild(reports, path, f"{path.name} was damaged or of another version and was rebuilt")
            try:
                with open_index(path, write=True) as connection:
                    return _update(connection, reports)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                return _rebuild(reports, path, f"{path.name} was damaged and was rebuilt")
    except (OSError, sqlite3.OperationalError) as error:
        raise InfrastructureError(f"{path} cannot be written: {error}") from error


def _is_current(path: Path) -> bool:
    """Return whether the header of a file is that of an index of this version."""
    try:
        with open_index(path) as connection:
            return bool(connection.execute("PRAGMA user_version").fetchone()[0] == VERSION)
    except sqlite3.DatabaseError:
        return False


def _rebuild(reports: Path, path: Path, note: str) -> Refresh:
    scratch = path.with_name(f".{path.name}.part")
    scratch.unlink(missing_ok=True)
    with open_index(scratch, write=True) as connection, paused_gc():
        _create_tables(connection)
        done = _update(connection, reports)
        connection.executescript(INDEXES)

    os.replace(scratch, path)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)  # of the replaced file
    return Refresh(done.read, 0, rebuilt=True, notes=((note,) if note else ()) + done.notes)


def _create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables in a scratch file, which needs no journal: it is renamed when it is complete."""
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;" + TABLES
    )
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _update(connection: sqlite3.Connection, reports: Path) -> Refresh:
    found = fingerprints(reports)
    query = "SELECT id, name, fingerprint FROM runs"
    known = {name: (fingerprint, run) for run, name, fingerprint in connection.execute(query)}
    removed = [name for name in known if name not in found]
    stale = [name for name, fingerprint in found.items() if name not in known or known[name][0] != fingerprint]
    if removed or stale:
        connection.execute("BEGIN IMMEDIATE")
        for name in (*removed, *(name for name in stale if name in known)):
            _remove_run(connection, known[name][1])
        writer = _Writer(connection)
        for name in stale:
            writer.write_run(RunFolder(reports.absolute() / name), found[name])
        connection.execute("COMMIT")

    problems = connection.execute("SELECT problem FROM runs WHERE problem != '' ORDER BY name")
    return Refresh(len(stale), len(removed), rebuilt=False, notes=tuple(text for (text,) in problems))


def fingerprints(reports: Path) -> dict[str, str]:
    """Return run name → sizes and modification times of ``run.json`` and the journal, sorted by name."""
    found = {}
    for folder in run_folders(reports):
        try:
            states = [file.stat() for file in (folder.record_file, folder.journal_file) if file.exists()]
        except FileNotFoundError:  # removed in the meantime
            continue
        found[folder.path.name] = " ".join(f"{state.st_size}:{state.st_mtime_ns}" for state in states)
    return found


def _remove_run(connection: sqlite3.Connection, run: int) -> None:
    for table, column in (("results", "run"), ("parts", "run"), ("runs", "id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))  # noqa: S608  # names of this function


class _Writer:
    """Write runs to the tables; the ids of shared texts are remembered."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[tuple[Any, ...], int] = {}

    def write_run(self, folder: RunFolder, fingerprint: str) -> None:
        """Read one run folder and write its results.

        Searches and probes have no results in the history, because they choose their cells. A run that cannot be read
        is written as a problem.
        """
        run, journal, problem = self._read(folder)
        values = (folder.path.name, fingerprint, run.name if run else "", problem)
        insert = "INSERT INTO runs (name, fingerprint, matrix, problem) VALUES (?, ?, ?, ?)"
        own = self._connection.execute(insert, values).lastrowid or 0
        if run is None:
            return
        self._connection.executemany("INSERT INTO parts VALUES (?, ?)", [(own, part.run) for part in run.parts])
        locks = {cell.id: self._lock(cell) for cell in run.cells}
        rows = [self._row(own, run.name, row, locks[row.result.cell]) for row in read_rows(run, journal)]
        self._connection.executemany(f"INSERT INTO results VALUES ({', '.join('?' * 11)})", rows)  # noqa: S608  # placeholders

    def _read(self, folder: RunFolder) -> tuple[RunRecord | None, JournalContent[AttemptSummary], str]:
        try:
            run, journal = folder.read(AttemptSummary)
            counts = kind_of(folder, run) in RESULTS
        except ConfigError as error:
            text = str(error).splitlines()[0].replace(str(folder.path), folder.path.name)
            return None, JournalContent(), f"{text}: skipped"
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
            self._id("series", matrix=matrix, name=result.key.series, gpu=row.gpu),
            self._id("scenarios", name=result.key.scenario),
            to_microseconds(row.started),
            self._id("cells", name=result.cell),
            lock,
            self._id("outcomes", text=" ".join(map(str, result.outcomes))),
            self._signature(result),
            self._id("figures", names="\n".join(values)),
            medians,
            spreads,
        )

    def _signature(self, result: ScenarioResult) -> int:
        name = result.signatures[0] if result.signatures else ""
        if ("signatures", name) not in self._ids:
            failure = result.decisive.failure if result.decisive and name else None
            text = failure.model_copy(update={"text": ""}).model_dump_json() if failure else None  # no rule reads it
            insert = "INSERT OR IGNORE INTO signatures (name, failure) VALUES (?, ?)"
            self._connection.execute(insert, (name, text))
        return self._id("signatures", name=name)

    def _id(self, table: str, **values: str) -> int:
        """Return the id of a row; a missing row is inserted."""
        key = (table, *values.values())
        if key not in self._ids:
            names, placeholders = ", ".join(values), ", ".join("?" * len(values))
            condition = " AND ".join(f"{name} = ?" for name in values)
            texts = tuple(values.values())
            insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({placeholders})"  # noqa: S608  # names of this class
            self._connection.execute(insert, texts)
            found = self._connection.execute(f"SELECT id FROM {table} WHERE {condition}", texts)  # noqa: S608
            self._ids[key] = found.fetchone()[0]

        return self._ids[key]


def _values(result: ScenarioResult) -> dict[str, tuple[float, ...]]:
    """Return figure → values of the attempts that count, ``seconds`` of the attempts first."""
    counted = [result.attempts[position] for position in counting([one.outcome for one in result.attempts])]
    seconds = tuple(one.seconds for one in counted if one.outcome.status is not Status.MISS)
    return {"seconds": seconds, **result.values} if seconds else dict(result.values)
