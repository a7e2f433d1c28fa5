"""Resolutions on disk: one small JSON file for each input, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

LIFETIME = 24 * 3600.0  # seconds: new releases of what no pin names should be seen within a day


class Entry(BaseModel):
    """A resolution (``text``), or the sentence that says why there is none; ``created`` in seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None
    sentence: str | None
    created: float

    def fresh(self, *, forever: bool) -> bool:
        """Tell whether it may be used without asking the index again."""
        return forever or 0 <= time.time() - self.created < LIFETIME


def load(path: Path) -> Entry | None:
    """Return what is on disk, None where nothing is or another version of the harness wrote it."""
    try:
        return Entry.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def save(path: Path, text: str | None, sentence: str | None) -> None:
    """Write an entry so that a reader sees all of it or the one before."""
    entry = Entry(text=text, sentence=sentence, created=time.time())
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(entry.model_dump_json())
    os.replace(name, path)
