"""Read the history: the results of each series over all runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import ConfigError
from harness.history.index import (
    FILE,
    PART_RUNS,
    Figures,
    Refresh,
    from_microseconds,
    open_index,
    paused_gc,
    refresh,
    to_microseconds,
)
from harness.store.records import Failure, Outcome
from harness.verdict.statistics import Spread

if TYPE_CHECKING:
    import pandas as pd

Answer = TypeVar("Answer")
KEYS = f"""
SELECT series.matrix, series.name, scenarios.name, series.gpu
FROM (SELECT DISTINCT series, scenario FROM results WHERE run NOT IN ({PART_RUNS})) AS results
JOIN series ON series.id = results.series JOIN scenarios ON scenarios.id = results.scenario
"""  # noqa: S608  # a constant of the index
RESULTS = f"""
SELECT runs.name, results.started, cells.name, locks.versions, locks.built, outcomes.text,
    signatures.name, figures.names, results.medians, results.spreads
FROM results JOIN runs ON runs.id = results.run JOIN cells ON cells.id = results.cell
JOIN locks ON locks.id = results.lock JOIN outcomes ON outcomes.id = results.outcomes
JOIN signatures ON signatures.id = results.signature JOIN figures ON figures.id = results.figures
WHERE results.series = (SELECT id FROM series WHERE matrix = ? AND name = ? AND gpu = ?)
    AND results.scenario = (SELECT id FROM scenarios WHERE name = ?)
    AND results.started >= ? AND results.run NOT IN ({PART_RUNS})
ORDER BY results.started, runs.name
"""  # noqa: S608


@dataclass(frozen=True, order=True)
class SeriesKey:
    """The key of a series in the history: one scenario in one cell series of one matrix, on one GPU model."""

    matrix: str
    series: str  # of the cell: ``transformers=latest accelerate=1.13.0``
    scenario: str
    gpu: str = ""  # the model; empty without a GPU

    def __str__(self) -> str:
        """Return the key for display."""
        return f"{self.scenario} · {self.label}"

    @property
    def label(self) -> str:
        """Return the cell series and the GPU model for display."""
        return self.series + (f" · {self.gpu}" if self.gpu else "")


@dataclass(frozen=True)
class SeriesResult:
    """The result of one series in one run.

    Attributes:
        run: the name of the run folder.
        started: the start of the run, or of the part of a merged run.
        key: the series.
        cell: the id of the cell.
        versions: package → version of the whole lock as installed, and ``python``.
        outcomes: one per attempt, in their order; empty if the result is missing.
        signature: that of the last failed attempt, or its outcome without one; empty if no attempt failed.
        figures: name → value in its own unit; ``seconds`` is the duration of the attempts.
        built: package → commit or folder (``git@1a2b3c4d``) of each package that was built from one.
    """

    run: str
    started: datetime
    key: SeriesKey
    cell: str
    versions: Mapping[str, str]
    outcomes: tuple[Outcome, ...]
    signature: str
    figures: Mapping[str, Spread]
    built: Mapping[str, str] = field(default_factory=dict)

    @property
    def exact_versions(self) -> Mapping[str, str]:
        """Return the versions, with the commit or folder of each built package."""
        return {**self.versions, **self.built}


@dataclass(frozen=True)
class History:
    """The history of the runs below one folder. A damaged index is rebuilt when a query finds the damage."""

    reports: Path

    def all_keys(self) -> list[SeriesKey]:
        """Return the keys of all series, sorted."""
        return sorted(SeriesKey(*row) for row in self._rows(KEYS))

    def series(
        self,
        series: str,
        scenario: str,
        gpu: str | None = None,
        *,
        matrix: str | None = None,
        since: datetime | None = None,
    ) -> list[SeriesResult]:
        """Return the results of one series, oldest first; empty if there is no such series.

        ``gpu`` and ``matrix`` may be omitted if the series has only one.

        Raises:
            ConfigError: several GPU models or matrices match.
        """
        known = self._rows("SELECT matrix, gpu FROM series WHERE name = ?", series)
        keys = [
            SeriesKey(own_matrix, series, scenario, own_gpu)
            for own_matrix, own_gpu in known
            if matrix in {None, own_matrix} and gpu in {None, own_gpu}
        ]
        found = [(key, results) for key in keys if (results := self.results(key, since=since))]
        if len(found) > 1:
            names = ", ".join(f"{key.matrix} on {key.gpu or 'no GPU'}" for key, _ in found)
            raise ConfigError(f"{scenario} in {series} has several series: {names}; choose a matrix and a GPU")
        return found[0][1] if found else []

    def results(self, key: SeriesKey, *, since: datetime | None = None) -> list[SeriesResult]:
        """Return the results of a series, oldest first."""
        return [_result(key, row) for row in self._rows(RESULTS, *_parameters(key, since))]

    def all_results(
        self, keys: Sequence[SeriesKey] | None = None, *, since: datetime | None = None
    ) -> Iterator[tuple[SeriesKey, list[SeriesResult]]]:
        """Yield each series with its results, oldest first; series without results are omitted."""
        wanted = self.all_keys() if keys is None else keys
        with open_index(self.reports / FILE) as connection:
            for key in wanted:
                try:
                    rows = connection.execute(RESULTS, _parameters(key, since)).fetchall()
                    results = [_result(key, row) for row in rows]
                except sqlite3.DatabaseError:  # damage in a page that was not read before
                    results = self.results(key, since=since)
                if results:
                    yield key, results

    def failures(self) -> dict[str, Failure]:
        """Return signature → one failure that has it, to be matched with the signature rules."""
        rows = self._rows("SELECT name, failure FROM signatures WHERE failure IS NOT NULL")
        return {name: Failure.model_validate_json(text) for name, text in rows}

    def table(self) -> pd.DataFrame:
        """Return one row per result; :func:`harness.history.table.table` lists the columns."""
        from harness.history.table import table  # imports pandas

        with paused_gc():
            return self._read(table)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._read(lambda connection: connection.execute(query, values).fetchall())

    def _read(self, ask: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Return the answer of the index; a damaged one is rebuilt first."""
        try:
            with open_index(self.reports / FILE) as connection:
                return ask(connection)
        except sqlite3.DatabaseError:
            refresh(self.reports, rebuild=True)
            with open_index(self.reports / FILE) as connection:
                return ask(connection)


def open_history(reports: Path, *, rebuild: bool = False) -> tuple[History, Refresh]:
    """Update the index and return the history of the runs below ``reports``.

    Raises:
        ConfigError: ``reports`` is not a folder.
        InfrastructureError: the index cannot be written.
    """
    done = refresh(reports, rebuild=rebuild)
    return History(reports.absolute()), done


@lru_cache(maxsize=4096)
def _versions(text: str) -> Mapping[str, str]:
    return json.loads(text)  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _positions(names: str) -> Mapping[str, int]:
    return {name: position for position, name in enumerate(names.split("\n"))} if names else {}


@lru_cache(maxsize=4096)
def _outcomes(text: str) -> tuple[Outcome, ...]:
    return tuple(Outcome.parse(one) for one in text.split())


def _parameters(key: SeriesKey, since: datetime | None) -> tuple[object, ...]:
    return key.matrix, key.series, key.gpu, key.scenario, to_microseconds(since) if since else 0


def _result(key: SeriesKey, row: Sequence[Any]) -> SeriesResult:
    run, started, cell, versions, built, outcomes, signature, names, medians, spreads = row
    return SeriesResult(
        run=run,
        started=from_microseconds(started),
        key=key,
        cell=cell,
        versions=_versions(versions),
        outcomes=_outcomes(outcomes),
        signature=signature,
        figures=Figures(_positions(names), medians, spreads),
        built=_versions(built),
    )
