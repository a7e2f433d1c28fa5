"""The event file: one JSON line an event, written at once, so that a killed attempt keeps its events."""

from __future__ import annotations

import json
import os
import time
from typing import Any


class EventFile:
    """Append events to ``path``; every line is one ``os.write``, so a kill can truncate only the last one."""

    def __init__(self, path: str) -> None:
        """Open (and create) the file for appending."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Write one event; a value that is not JSON is written as its text."""
        line = json.dumps({"event": event, "time": time.time(), **fields}, default=str)
        os.write(self._descriptor, line.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
