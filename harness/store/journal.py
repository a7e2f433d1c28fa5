"""The append-only journal: one JSON line per event, flushed at once; the truth of a run."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.store.records import AttemptRecord

Listener = Callable[[str, Mapping[str, Any]], None]


class Journal:
    """Append events to one file from any thread, and tell a listener."""

    def __init__(self, path: Path, listener: Listener | None = None) -> None:
        """Open ``path`` for appending; a torn last line left by a crash is closed first."""
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
    """Yield the events of a journal or of a probe's event file, oldest first; lines that are torn are passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(event, dict):
                yield event


def attempts(path: Path) -> list[AttemptRecord]:
    """Return the attempts of a journal, in the order they were written."""
    return [AttemptRecord.model_validate(event["record"]) for event in read(path) if event.get("event") == "attempt"]
