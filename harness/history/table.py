"""The whole history as one pandas DataFrame, a row a night."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.store.records import Outcome
from harness.verdict.result import status_of

Rows = list[tuple[Any, ...]]
Numbers = npt.NDArray[np.int64]
BOXES = "FROM boxes WHERE run NOT IN (SELECT runs.id FROM runs JOIN parts ON parts.part = runs.name)"
CHUNK = 8192  # boxes read at a time: no more of them than that are Python's objects at once
NAMED = {  # column of a box -> where its number is explained
    "run": ("run", "SELECT id, name FROM runs"),
    "matrix": ("line", "SELECT id, matrix FROM lines"),
    "line": ("line", "SELECT id, line FROM lines"),
    "gpu": ("line", "SELECT id, gpu FROM lines"),
    "scenario": ("scenario", "SELECT id, name FROM scenarios"),
    "cell": ("cell", "SELECT id, name FROM cells"),
    "outcomes": ("outcomes", "SELECT id, words FROM outcomes"),
    "signature": ("signature", "SELECT id, name FROM signatures"),
}
ORDER = ("run", "started", "matrix", "line", "gpu", "scenario", "cell", "status", "outcomes", "signature", "attempts")
NUMBERS = ("run", "line", "scenario", "started", "cell", "lock", "outcomes", "signature", "shape")
SHAPE = NUMBERS.index("shape")


def table(connection: sqlite3.Connection) -> pd.DataFrame:
    """Make the table from the index.

    Columns: ``run``, ``started`` (UTC), ``matrix``, ``line``, ``gpu``, ``scenario``, ``cell``, ``outcomes`` (of all
    attempts, with spaces between), ``status`` (``pass``, ``fail``, ``error``, ``skip``, ``miss``; ``flaky`` where the
    attempts disagree), ``signature``, ``attempts``, one per pinned package and ``python`` (what was installed), then
    the medians of the figures under their names: bytes, seconds, counts, as floats. Texts are categories.
    """
    numbers, figures = _boxes(connection)

    def ask(query: str) -> Rows:
        return connection.execute(query).fetchall()

    made: dict[str, Any] = {name: _named(numbers[of], ask(query)) for name, (of, query) in NAMED.items()}
    made["started"] = pd.DatetimeIndex(numbers["started"].view("M8[us]")).tz_localize("UTC")
    words = ask(NAMED["outcomes"][1])
    made["status"] = _named(numbers["outcomes"], [(number, _status(text)) for number, text in words])
    made["attempts"] = _looked_up(numbers["outcomes"], {number: len(text.split()) for number, text in words})
    made |= _packages(numbers["lock"], ask("SELECT id, versions, pins FROM locks"))
    fixed = pd.DataFrame({name: made[name] for name in (*ORDER, *(name for name in made if name not in ORDER))})
    return pd.concat([fixed, figures], axis=1)


def _boxes(connection: sqlite3.Connection) -> tuple[dict[str, Numbers], pd.DataFrame]:
    """Read all boxes, some thousands at a time, into columns of numbers and the medians of their figures."""
    named = {shape: names.split("\n") if names else [] for shape, names in connection.execute("SELECT * FROM shapes")}
    everything = sorted({name for names in named.values() for name in names})
    place = {name: index for index, name in enumerate(everything)}
    places = {shape: np.array([place[name] for name in names], dtype=np.intp) for shape, names in named.items()}
    (count,) = connection.execute(f"SELECT count(*) {BOXES}").fetchone()  # a sentence of this module
    numbers = np.empty((len(NUMBERS), count), dtype=np.int64)
    values = np.full((len(everything), count), np.nan)
    cursor = connection.execute(f"SELECT {', '.join(NUMBERS)}, medians {BOXES} ORDER BY rowid")
    start = 0
    while rows := cursor.fetchmany(CHUNK):
        *columns, packed = zip(*rows, strict=True)
        part = slice(start, start + len(rows))
        numbers[:, part] = columns
        shapes = numbers[SHAPE, part]
        for shape in np.unique(shapes):
            where = np.flatnonzero(shapes == shape)
            block = np.frombuffer(b"".join([packed[index] for index in where]), dtype="<f8")
            own = places[int(shape)]
            values[np.ix_(own, start + where)] = block.reshape(len(where), len(own)).T
        start += len(rows)
    return dict(zip(NUMBERS, numbers, strict=True)), pd.DataFrame(values.T, columns=everything, copy=False)


def _status(words: str) -> str:
    return status_of([Outcome.parse(word) for word in words.split()]).value


def _looked_up(numbers: Numbers, values: Mapping[int, int]) -> Numbers:
    found = np.zeros(max(values, default=0) + 1, dtype=np.int64)
    for number, value in values.items():
        found[number] = value
    taken: Numbers = found[numbers]
    return taken


def _named(numbers: Numbers, names: Rows) -> pd.Categorical:
    texts = sorted({text for _, text in names if text})
    place = {text: index for index, text in enumerate(texts)}
    codes = _looked_up(numbers, {number: place.get(text, -1) for number, text in names})
    return pd.Categorical.from_codes(codes, pd.Index(texts, dtype="str"))


def _packages(numbers: Numbers, locks: Rows) -> dict[str, pd.Categorical]:
    pinned = sorted({name for _, _, pins in locks for name in json.loads(pins)})
    versions = [(number, json.loads(text)) for number, text, _ in locks]
    return {
        name: _named(numbers, [(number, held.get(name, "")) for number, held in versions])
        for name in [*pinned, "python"]
    }
