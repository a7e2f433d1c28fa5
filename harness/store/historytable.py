"""The whole history as one pandas DataFrame, a row a night."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness.store.outcome import Outcome, Reason, Status

Rows = list[tuple[Any, ...]]
Numbers = npt.NDArray[np.int64]
BOXES = """
SELECT run, line, scenario, started, cell, lock, outcomes, signature, shape, medians FROM boxes
WHERE run NOT IN (SELECT runs.id FROM runs JOIN parts ON parts.part = runs.name)
ORDER BY rowid
"""
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
NUMBERS = ("run", "line", "scenario", "started", "cell", "lock", "outcomes", "signature", "shape")


def table(ask: Callable[[str], Rows]) -> pd.DataFrame:
    """Make the table from the index; ``ask`` answers a query.

    Columns: ``run``, ``started`` (UTC), ``matrix``, ``line``, ``gpu``, ``scenario``, ``cell``, ``outcomes`` (of all
    attempts, with spaces between), ``status`` (``pass``, ``fail``, ``error``, ``skip``, ``miss``; ``flaky`` where the
    attempts disagree), ``signature``, ``attempts``, one per pinned package and ``python`` (what was installed), then
    the medians of the figures under their names: bytes, seconds, counts, as floats. Texts are categories.
    """
    rows = ask(BOXES)
    columns = dict(zip(NUMBERS, zip(*rows, strict=True), strict=False)) if rows else dict.fromkeys(NUMBERS, ())
    numbers = {name: np.array(columns[name], dtype=np.int64) for name in NUMBERS if name != "started"}
    made: dict[str, Any] = {name: _named(numbers[of], ask(query)) for name, (of, query) in NAMED.items()}
    started = pd.Categorical(columns["started"])
    made["started"] = pd.DatetimeIndex(pd.to_datetime(started.categories, utc=True, format="ISO8601")).take(
        started.codes
    )
    words = ask(NAMED["outcomes"][1])
    made["status"] = _named(numbers["outcomes"], [(number, status(text)) for number, text in words])
    made["attempts"] = _looked_up(numbers["outcomes"], {number: len(text.split()) for number, text in words})
    made |= _packages(numbers["lock"], ask("SELECT id, versions, pins FROM locks"))
    figures = _figures(rows, numbers["shape"], ask("SELECT id, names FROM shapes"))
    order = [
        "run",
        "started",
        "matrix",
        "line",
        "gpu",
        "scenario",
        "cell",
        "status",
        "outcomes",
        "signature",
        "attempts",
    ]
    fixed = pd.DataFrame({name: made[name] for name in (*order, *(name for name in made if name not in order))})
    return pd.concat([fixed, figures], axis=1)


def status(words: str) -> str:
    """Return what all attempts agree on, ``flaky`` where they do not.

    As in the verdict, one that was interrupted, or lacked a GPU that another had, counts only when there is no other.
    """
    found = {Outcome.parse(word) for word in words.split()}
    ran = {each for each in found if each.status is not Status.MISS}
    telling = {each for each in ran if each.reason is not Reason.NO_GPU} or ran or found
    return "flaky" if len(telling) > 1 else next((each.status.value for each in telling), Status.MISS.value)


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


def _figures(rows: Rows, shapes: Numbers, names: Rows) -> pd.DataFrame:
    """Unpack the medians of all boxes that have the same figures at once."""
    named = {number: text.split("\n") if text else [] for number, text in names}
    everything = sorted({name for found in named.values() for name in found})
    place = {name: index for index, name in enumerate(everything)}
    values = np.full((len(everything), len(rows)), np.nan)
    for shape in np.unique(shapes):
        own = named[int(shape)]
        where = np.flatnonzero(shapes == shape)
        packed = b"".join([rows[index][-1] for index in where])
        block = np.frombuffer(packed, dtype="<f8").reshape(len(where), len(own)) if own else np.empty((len(where), 0))
        for column, name in enumerate(own):
            values[place[name], where] = block[:, column]
    return pd.DataFrame(values.T, columns=everything, copy=False)
