"""The cell-lines that a night did not run again, and the earlier night that shows each."""

from __future__ import annotations

import json
from typing import Any

from harness.store.lines import lines_of
from harness.store.run_folder import RunFolder

NIGHT = "night.json"  # what a night goes by, written when it begins


def is_night(folder: RunFolder) -> bool:
    """Tell whether a run is a night, which nothing but itself goes on with."""
    return (folder.path / NIGHT).exists()


def carried(folder: RunFolder) -> dict[str, RunFolder]:
    """Return line → the newest night before that ran it, for every line that a night planned and left out.

    A run that is no night carries nothing. A line whose night is not beside it any more is left out.
    """
    begun = _begun(folder)
    left = {one["line"] for one in begun.get("planned", ())} - _lines(folder)
    found: dict[str, RunFolder] = {}
    seen = {folder.path.name}
    while left and begun.get("previous") and begun["previous"] not in seen:
        seen.add(begun["previous"])
        night = RunFolder(folder.path.parent / begun["previous"])
        if not night.record_file.exists():
            break
        there = left & _lines(night)
        found |= dict.fromkeys(sorted(there), night)
        left, begun = left - there, _begun(night)
    return found


def _lines(folder: RunFolder) -> set[str]:
    record = folder.read_record()
    return set(lines_of(record.cells, record.name).values())


def _begun(folder: RunFolder) -> dict[str, Any]:
    path = folder.path / NIGHT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
