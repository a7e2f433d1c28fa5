"""Cache answers of the network in files, and use an old answer if the network does not give a new one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import InfrastructureError

FRESH_SECONDS = 3600.0


@dataclass(frozen=True)
class Answer:
    """A JSON value, and its age in seconds if it is older than it should be."""

    value: Any
    stale: float | None = None


@dataclass(frozen=True)
class AnswerCache:
    """A folder of answers, one small JSON file each; writing is atomic, so that processes can share it."""

    folder: Path
    fresh_seconds: float = FRESH_SECONDS
    clock: Callable[[], float] = time.time

    def ask(self, key: str, fetch: Callable[[], Any]) -> Answer:
        """Return the cached answer while it is fresh, else a new one, else the old one.

        Args:
            key: The question, for example ``releases torch``.
            fetch: Asks the network; returns a JSON value.

        Raises:
            InfrastructureError: ``fetch`` raised it, and no answer is cached.
        """
        cached = self.cached(key)
        if cached is not None and cached.stale is None:
            return cached
        try:
            value = fetch()
        except InfrastructureError:
            if cached is None:
                raise
            return cached

        self._write(self._file(key), value)
        return Answer(value)

    def cached(self, key: str) -> Answer | None:
        """Return the cached answer, fresh or not; None without one."""
        try:
            content = json.loads(self._file(key).read_text(encoding="utf-8"))
            age, value = self.clock() - float(content["asked"]), content["value"]
        except (OSError, ValueError, KeyError, TypeError):
            return None  # missing, truncated or in another form
        return Answer(value, None if 0 <= age < self.fresh_seconds else age)

    def _file(self, key: str) -> Path:
        readable = re.sub(r"[^A-Za-z0-9]+", "-", key)[:60].strip("-")
        return self.folder / f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.json"

    def _write(self, file: Path, value: object) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
            part.write_text(json.dumps({"asked": self.clock(), "value": value}), encoding="utf-8")
            part.replace(file)
        except OSError:
            return  # without a cache every question costs time, no more


def format_age(seconds: float) -> str:
    """Return an age for display: ``3 h``, ``2 days``."""
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"  # noqa: PLR2004 - two days
