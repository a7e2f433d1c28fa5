"""The SQLite file of the history: its tables, and how it is opened."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

FILE = "history.sqlite"
VERSION = 3  # of the tables below; an index of another version is made anew
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WAIT = 60.0  # seconds that one process waits for another's writing

# What many boxes have in common stands once: lines, cells, versions, names of figures, signatures with an exception.
# A lock's ``built`` says from which commits and folders, as a person reads it: no address, which may be private.
# A box's ``started`` is in microseconds since 1970.
TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL, matrix TEXT NOT NULL, problem TEXT NOT NULL
);
CREATE TABLE parts (run INTEGER NOT NULL, part TEXT NOT NULL);
CREATE TABLE lines (id INTEGER PRIMARY KEY, matrix TEXT, line TEXT, gpu TEXT, UNIQUE (matrix, line, gpu));
CREATE TABLE scenarios (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE cells (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE locks (id INTEGER PRIMARY KEY, versions TEXT, pins TEXT, built TEXT, UNIQUE (versions, pins, built));
CREATE TABLE outcomes (id INTEGER PRIMARY KEY, words TEXT UNIQUE);
CREATE TABLE signatures (id INTEGER PRIMARY KEY, name TEXT UNIQUE, failure TEXT);
CREATE TABLE shapes (id INTEGER PRIMARY KEY, names TEXT UNIQUE);
CREATE TABLE boxes (
    run INTEGER NOT NULL, line INTEGER NOT NULL, scenario INTEGER NOT NULL, started INTEGER NOT NULL,
    cell INTEGER NOT NULL, lock INTEGER NOT NULL, outcomes INTEGER NOT NULL, signature INTEGER NOT NULL,
    shape INTEGER NOT NULL, medians BLOB NOT NULL, spreads BLOB
);
"""
INDEXES = """
CREATE INDEX boxes_of_line ON boxes (line, scenario, run);
CREATE INDEX boxes_of_run ON boxes (run);
"""


@contextmanager
def open_database(path: Path, *, write: bool = False) -> Iterator[sqlite3.Connection]:
    """Open the file and close it at the end; a reader never makes one.

    Raises:
        sqlite3.Error: it is missing or damaged.
    """
    mode = "rwc" if write else "ro"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=WAIT, isolation_level=None
    )
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python from looking for cycles in rows, which have none: a sixth of a year's reading, a third of a table."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def from_microseconds(microseconds: int) -> datetime:
    """Return the moment that a number stands for."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_microseconds(when: datetime) -> int:
    """Return the number that stands for a moment."""
    return (when - EPOCH) // timedelta(microseconds=1)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables in an empty file that nobody else knows yet: its safety is that it is moved when it is whole."""
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;" + TABLES
    )
    connection.execute(f"PRAGMA user_version = {VERSION}")


def is_current(path: Path) -> bool:
    """Tell whether the file is an index of this version, as far as its head tells."""
    try:
        with open_database(path) as connection:
            return bool(connection.execute("PRAGMA user_version").fetchone()[0] == VERSION)
    except sqlite3.DatabaseError:
        return False
