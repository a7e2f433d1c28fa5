"""The event file: one JSON line per event, written at once, so that a killed attempt leaves what it knew."""

from __future__ import annotations

import json
import os
import time
from typing import Any


class EventFile:
    """Append events to ``path``; every line is one ``os.write``, so a kill can tear only the last one."""

    def __init__(self, path: str) -> None:
        """Open (and create) the file for appending."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, **fields: Any) -> None:
        """Write one event; values that JSON does not know are written as their text."""
        line = json.dumps({"event": event, "time": time.time(), **fields}, default=str)
        os.write(self._descriptor, line.encode("utf-8", "backslashreplace") + b"\n")

    def close(self) -> None:
        """Close the file; a second call is an error of the caller."""
        os.close(self._descriptor)
