"""What every scenario did in every cell-line over the nights, read from an index that can be deleted at any time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError
from harness.history.index import Refreshed, refresh
from harness.history.model import Figures, Measured, Night, Track, pack
from harness.history.schema import FILE, from_microseconds, open_database, to_microseconds, without_collector
from harness.store.records import Failure, Outcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Figures", "History", "Measured", "Night", "Refreshed", "Track", "open_history", "pack", "refresh"]

# A run that a merged one was made of is in there already.
OF_A_PART = "SELECT runs.id FROM runs JOIN parts ON parts.part = runs.name"
TRACKS = f"""
SELECT lines.matrix, lines.line, scenarios.name, lines.gpu
FROM (SELECT DISTINCT line, scenario FROM boxes WHERE run NOT IN ({OF_A_PART})) AS boxes
JOIN lines ON lines.id = boxes.line JOIN scenarios ON scenarios.id = boxes.scenario
"""  # noqa: S608  # one sentence of this module
MODELS = "SELECT matrix, gpu FROM lines WHERE line = ?"
NIGHTS = f"""
SELECT runs.name, boxes.started, cells.name, locks.versions, locks.built, outcomes.words,
    signatures.name, shapes.names, boxes.medians, boxes.spreads
FROM boxes JOIN runs ON runs.id = boxes.run JOIN cells ON cells.id = boxes.cell JOIN locks ON locks.id = boxes.lock
JOIN outcomes ON outcomes.id = boxes.outcomes JOIN signatures ON signatures.id = boxes.signature
JOIN shapes ON shapes.id = boxes.shape
WHERE boxes.line = (SELECT id FROM lines WHERE matrix = ? AND line = ? AND gpu = ?)
    AND boxes.scenario = (SELECT id FROM scenarios WHERE name = ?)
    AND boxes.started >= ? AND boxes.run NOT IN ({OF_A_PART})
ORDER BY boxes.started, runs.name
"""  # noqa: S608


@dataclass(frozen=True)
class History:
    """The index below one folder of runs, as it stood when it was opened."""

    reports: Path

    def lines(self) -> list[Track]:
        """Return everything that is followed, sorted."""
        return sorted(Track(*row) for row in self._rows(TRACKS))

    def line(
        self,
        line: str,
        scenario: str,
        gpu: str | None = None,
        *,
        matrix: str | None = None,
        since: datetime | None = None,
    ) -> list[Night]:
        """Return the nights of one scenario in one cell-line, oldest first; none where nobody knows it.

        Raises:
            ConfigError: it is there on several models of GPU, or in several matrices, and none was named.
        """
        known = [Track(found, line, scenario, model) for found, model in self._rows(MODELS, line)]
        asked = [track for track in known if matrix in {None, track.matrix} and gpu in {None, track.gpu}]
        found = [nights for track in asked if (nights := self.nights(track, since=since))]
        if len(found) > 1:
            names = [f"{nights[0].matrix} on {nights[0].gpu or 'no GPU'}" for nights in found]
            raise ConfigError(f"{scenario} with {line} has several histories, never mixed: {', '.join(names)}")
        return found[0] if found else []

    def nights(self, track: Track, *, since: datetime | None = None) -> list[Night]:
        """Return the nights of one track, oldest first, from a moment on."""
        return [_night(track, row) for row in self._rows(NIGHTS, *_place(track, since))]

    def tracks(
        self, tracks: Sequence[Track] | None = None, *, since: datetime | None = None
    ) -> Iterator[tuple[Track, list[Night]]]:
        """Yield tracks, all or those named, one after the other with their nights, those without any left out."""
        wanted = self.lines() if tracks is None else tracks
        with open_database(self.reports / FILE) as connection:
            for track in wanted:
                try:
                    rows = connection.execute(NIGHTS, _place(track, since)).fetchall()
                    nights = [_night(track, row) for row in rows]
                except sqlite3.DatabaseError:  # damaged where nobody has read before
                    nights = self.nights(track, since=since)
                if nights:
                    yield track, nights

    def failures(self) -> dict[str, Failure]:
        """Return signature → one exception that has it, for the rules that name failures."""
        rows = self._rows("SELECT name, failure FROM signatures WHERE failure IS NOT NULL")
        return {name: Failure.model_validate_json(text) for name, text in rows}

    def table(self) -> pd.DataFrame:
        """Return one row a night; :mod:`harness.history.table` has the columns."""
        from harness.history.table import table  # pandas is needed for nothing else here

        with without_collector():
            try:
                with open_database(self.reports / FILE) as connection:
                    return table(connection)
            except sqlite3.DatabaseError:
                refresh(self.reports, rebuild=True)
                with open_database(self.reports / FILE) as connection:
                    return table(connection)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the index; one that turns out to be damaged is made anew and asked again."""
        try:
            return self._ask(query, values)
        except sqlite3.DatabaseError:
            refresh(self.reports, rebuild=True)
            return self._ask(query, values)

    def _ask(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with open_database(self.reports / FILE) as connection:
            return connection.execute(query, tuple(values)).fetchall()


def open_history(reports: Path, *, rebuild: bool = False) -> tuple[History, Refreshed]:
    """Bring the index up to date and open it.

    Raises:
        ConfigError: there is no such folder.
        InfrastructureError: the index cannot be written.
    """
    done = refresh(reports, rebuild=rebuild)
    return History(reports.absolute()), done


@lru_cache(maxsize=4096)
def _versions(text: str) -> Mapping[str, str]:
    return json.loads(text)  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _places(names: str) -> Mapping[str, int]:
    return {name: place for place, name in enumerate(names.split("\n"))} if names else {}


@lru_cache(maxsize=4096)
def _outcomes(words: str) -> tuple[Outcome, ...]:
    return tuple(Outcome.parse(word) for word in words.split())


def _place(track: Track, since: datetime | None) -> tuple[object, ...]:
    return track.matrix, track.line, track.gpu, track.scenario, to_microseconds(since) if since else 0


def _night(track: Track, row: Sequence[Any]) -> Night:
    run, started, cell, versions, built, words, signature, names, medians, spreads = row
    return Night(
        run=run,
        started=from_microseconds(started),
        matrix=track.matrix,
        line=track.line,
        scenario=track.scenario,
        gpu=track.gpu,
        cell=cell,
        versions=_versions(versions),
        outcomes=_outcomes(words),
        signature=signature,
        figures=Figures(_places(names), medians, spreads),
        built=_versions(built),
    )
