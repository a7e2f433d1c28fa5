"""The append-only journal: one JSON line per event, flushed and synced. Everything else of a run is derived from it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json

from harness.errors import ConfigError
from harness.store.records import AttemptRecord, AttemptSummary

Attempt = TypeVar("Attempt", bound=AttemptSummary)

Listener = Callable[[str, Mapping[str, Any]], None]


class Journal:
    """Append events to one file from any thread, and tell a listener."""

    def __init__(self, path: Path, listener: Listener | None = None) -> None:
        """Open ``path`` for appending; an incomplete last line, left by a crash, is closed first."""
        self._listener = listener
        self._guard = threading.Lock()
        torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a", encoding="utf-8")
        if torn:
            self._file.write("\n")

    def write(self, event: str, **fields: Any) -> None:
        """Append one event with its time (UTC, ISO-8601) and push it to the disk."""
        line = json.dumps({"event": event, "time": datetime.now(UTC).isoformat(), **fields}, default=str)
        with self._guard:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._listener is not None:
                self._listener(event, fields)

    def attempt(self, record: AttemptRecord) -> None:
        """Append one attempt."""
        self.write("attempt", record=record.model_dump(mode="json"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal or of a probe's event file, oldest first; incomplete lines are skipped."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            event = _parse(line)
            if isinstance(event, dict):
                yield event


def _parse(line: bytes) -> object:
    """Parse one line; None if it is incomplete. The fast parser refuses lone surrogates, the other one does not."""
    try:
        return from_json(line)
    except ValueError:
        try:
            return json.loads(line.decode("utf-8", "replace"))
        except ValueError:
            return None


@dataclass(frozen=True)
class JournalContent(Generic[Attempt]):
    """The content of a journal.

    ``attempts`` are in the order they were written. ``listed`` maps a cell to the scenarios of all its collections,
    ``begun`` holds the cells whose environment was begun, ``started`` the cell and scenario of each attempt that
    began. ``end`` is ``run_finished``, ``run_interrupted``, or empty where the run was killed or still goes on.
    ``versions`` maps a cell to what is installed in it.
    """

    attempts: tuple[Attempt, ...] = ()
    listed: Mapping[str, Collection[str]] = field(default_factory=dict)
    begun: Collection[str] = frozenset()
    started: Collection[tuple[str, str]] = frozenset()
    end: str = ""
    versions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read_journal(path: Path, kind: type[Attempt]) -> JournalContent[Attempt]:
    """Read a journal in one pass, its attempts as records of ``kind``.

    Raises:
        ConfigError: an attempt is not of this schema.
    """
    attempts: list[Attempt] = []
    listed: dict[str, set[str]] = {}
    versions: dict[str, dict[str, str]] = {}
    begun, started, end = set(), set(), ""
    for number, event in enumerate(read(path), 1):
        match event:
            case {"event": "attempt", "record": record}:
                try:
                    attempts.append(kind.model_validate(record))
                except ValidationError as invalid:
                    first = invalid.errors()[0]
                    where = f"{path}: line {number}: {'.'.join(map(str, first['loc'])) or 'record'}"
                    raise ConfigError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from invalid
            case {"event": "attempt_started", "cell": str(cell), "scenario": str(scenario)}:
                started.add((cell, scenario))
            case {"event": "collected", "cell": str(cell), "scenarios": list(scenarios)}:
                listed.setdefault(cell, set()).update(one["id"] for one in scenarios)
            case {"event": "versions", "cell": str(cell), "versions": dict(found)}:
                versions[cell] = found
            case {"event": "environment_started" | "environment", "cell": str(cell)}:
                begun.add(cell)
            case {"event": "run_finished" | "run_interrupted" as end}:
                pass
            case {"event": "run_started"}:
                end = ""

    return JournalContent(tuple(attempts), listed, begun, started, end, versions)
