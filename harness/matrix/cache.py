"""Answers of the network kept on disk for a while, and used beyond it when the network is silent."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InfrastructureError

FRESH_SECONDS = 3600.0


@dataclass(frozen=True)
class Answer:
    """A JSON value, and how many seconds ago it was asked for when it is older than it should be."""

    value: Any
    stale: float | None = None


@dataclass(frozen=True)
class AnswerCache:
    """A folder of answers, one small JSON file each; writing is atomic, so that several processes may share it."""

    folder: Path
    fresh_seconds: float = FRESH_SECONDS
    clock: Callable[[], float] = time.time

    def ask(self, key: str, fetch: Callable[[], Any]) -> Answer:
        """Return the kept answer while it is fresh, else a new one, else the old one.

        Args:
            key: What is asked, for example ``releases torch``.
            fetch: Asks the network; returns a JSON value.

        Raises:
            InfrastructureError: ``fetch`` raised it, and nothing is kept.
        """
        file = self.folder / _file_name(key)
        kept = self._read(file)
        if kept is not None and 0 <= self.clock() - kept[0] < self.fresh_seconds:
            return Answer(kept[1])
        try:
            value = fetch()
        except InfrastructureError:
            if kept is None:
                raise
            return Answer(kept[1], stale=self.clock() - kept[0])
        self._write(file, value)
        return Answer(value)

    def _read(self, file: Path) -> tuple[float, Any] | None:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            return float(content["asked"]), content["value"]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # absent, torn or of another make: ask again

    def _write(self, file: Path, value: object) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps({"asked": self.clock(), "value": value}), encoding="utf-8")
            part.replace(file)
        except OSError:
            return  # a cache that cannot be written only costs time


def _file_name(key: str) -> str:
    readable = re.sub(r"[^A-Za-z0-9]+", "-", key)[:60].strip("-")
    return f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.json"


def age(seconds: float) -> str:
    """Write an age for a person: ``3 h``, ``2 days``."""
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004 - two days
