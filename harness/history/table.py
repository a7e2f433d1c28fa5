"""The history as one pandas DataFrame. A module of its own, because only an export needs pandas."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.history.index import PART_RUNS
from harness.store.records import Outcome
from harness.verdict.result import status_of

Rows = list[tuple[Any, ...]]
Numbers = npt.NDArray[np.int64]
RESULTS = f"FROM results WHERE run NOT IN ({PART_RUNS})"  # a constant of the index
CHUNK = 8192  # rows that are Python objects at the same time
TEXTS = {  # column of the table → column of a result, and the query that returns its texts by id
    "run": ("run", "SELECT id, name FROM runs"),
    "matrix": ("series", "SELECT id, matrix FROM series"),
    "line": ("series", "SELECT id, name FROM series"),
    "gpu": ("series", "SELECT id, gpu FROM series"),
    "scenario": ("scenario", "SELECT id, name FROM scenarios"),
    "cell": ("cell", "SELECT id, name FROM cells"),
    "outcomes": ("outcomes", "SELECT id, text FROM outcomes"),
    "signature": ("signature", "SELECT id, name FROM signatures"),
}
ORDER = ("run", "started", "matrix", "line", "gpu", "scenario", "cell", "status", "outcomes", "signature", "attempts")
NUMBERS = ("run", "series", "scenario", "started", "cell", "lock", "outcomes", "signature", "figures")


def table(connection: sqlite3.Connection) -> pd.DataFrame:
    """Return one row per result of the index.

    Columns: ``run``, ``started`` (UTC), ``matrix``, ``line`` (the cell series), ``gpu``, ``scenario``, ``cell``,
    ``status`` (``pass``, ``fail``, ``error``, ``unavailable``, ``skip``, ``miss`` or ``flaky``), ``outcomes`` (of all
    attempts, separated by spaces), ``signature``, ``attempts``, one per pinned package and ``python`` (the installed
    version), then the median of each figure under its name, as a float: bytes, seconds, counts. Texts are categories.
    """
    numbers, figures = _read_results(connection)

    def rows_of(query: str) -> Rows:
        return connection.execute(query).fetchall()

    columns: dict[str, Any] = {name: _texts(numbers[of], rows_of(query)) for name, (of, query) in TEXTS.items()}
    columns["started"] = pd.DatetimeIndex(numbers["started"].view("M8[us]")).tz_localize("UTC")
    outcomes = rows_of(TEXTS["outcomes"][1])
    statuses = [(number, status_of([Outcome.parse(one) for one in text.split()]).value) for number, text in outcomes]
    columns["status"] = _texts(numbers["outcomes"], statuses)
    columns["attempts"] = _look_up(numbers["outcomes"], {number: len(text.split()) for number, text in outcomes})
    columns |= _packages(numbers["lock"], rows_of("SELECT id, versions, pins FROM locks"))
    fixed = pd.DataFrame({name: columns[name] for name in (*ORDER, *(name for name in columns if name not in ORDER))})
    return pd.concat([fixed, figures], axis=1)


def _read_results(connection: sqlite3.Connection) -> tuple[dict[str, Numbers], pd.DataFrame]:
    """Return the columns of ids of all results, and the medians of their figures."""
    names = {id_: text.split("\n") if text else [] for id_, text in connection.execute("SELECT * FROM figures")}
    every = sorted({name for own in names.values() for name in own})
    position = {name: index for index, name in enumerate(every)}
    positions = {id_: np.array([position[name] for name in own], dtype=np.intp) for id_, own in names.items()}
    (count,) = connection.execute(f"SELECT count(*) {RESULTS}").fetchone()
    numbers = np.empty((len(NUMBERS), count), dtype=np.int64)
    values = np.full((len(every), count), np.nan)
    cursor = connection.execute(f"SELECT {', '.join(NUMBERS)}, medians {RESULTS} ORDER BY rowid")
    start = 0
    while rows := cursor.fetchmany(CHUNK):
        *columns, packed = zip(*rows, strict=True)
        chunk = slice(start, start + len(rows))
        numbers[:, chunk] = columns
        sets = numbers[NUMBERS.index("figures"), chunk]
        for id_ in np.unique(sets):
            where = np.flatnonzero(sets == id_)
            block = np.frombuffer(b"".join([packed[index] for index in where]), dtype="<f8")
            own = positions[int(id_)]
            values[np.ix_(own, start + where)] = block.reshape(len(where), len(own)).T
        start += len(rows)

    return dict(zip(NUMBERS, numbers, strict=True)), pd.DataFrame(values.T, columns=every, copy=False)


def _look_up(ids: Numbers, values: Mapping[int, int]) -> Numbers:
    by_id = np.zeros(max(values, default=0) + 1, dtype=np.int64)
    for id_, value in values.items():
        by_id[id_] = value
    found: Numbers = by_id[ids]
    return found


def _texts(ids: Numbers, rows: Rows) -> pd.Categorical:
    """Return the text of each id; ``rows`` are pairs of id and text, and an empty text is a missing value."""
    texts = sorted({text for _, text in rows if text})
    position = {text: index for index, text in enumerate(texts)}
    codes = _look_up(ids, {id_: position.get(text, -1) for id_, text in rows})
    return pd.Categorical.from_codes(codes, pd.Index(texts, dtype="str"))


def _packages(ids: Numbers, locks: Rows) -> dict[str, pd.Categorical]:
    """Return pinned package → its installed versions; ``locks`` are triples of id, versions and pins."""
    pinned = sorted({name for _, _, pins in locks for name in json.loads(pins)})
    versions = [(id_, json.loads(text)) for id_, text, _ in locks]
    return {name: _texts(ids, [(id_, own.get(name, "")) for id_, own in versions]) for name in [*pinned, "python"]}
