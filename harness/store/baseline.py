"""Baselines: the run that later runs of a matrix are compared with, and what was accepted since, with reasons."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, ValidationError

from harness.errors import ConfigError
from harness.store.journal import read
from harness.store.records import Record
from harness.store.run_folder import folder_name

FOLDER = "baselines"


class Kept(Record):
    """One figure as it was accepted, in its own unit."""

    median: float
    low: float
    high: float
    count: int


class Acceptance(Record):
    """One difference from the baseline that is no regression any more: this one, and not what comes in its place.

    ``kind`` is that of the comparison (``new failure``, ``memory up``); ``outcomes`` and ``signatures`` are what was
    seen then, empty where the place had disappeared; ``figures`` those that had moved.
    """

    line: str
    scenario: str
    kind: str
    reason: str
    run: str  # the run it was seen in, by its folder's name
    date: datetime
    outcomes: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    figures: dict[str, Kept] = Field(default_factory=dict)


class Baseline(Record):
    """A run that a matrix is held against, and what was accepted since it was set."""

    matrix: str
    run: str  # its folder's name below the reports
    reason: str
    date: datetime
    accepted: tuple[Acceptance, ...] = ()


def set_baseline(reports: Path, matrix: str, run: str, reason: str) -> Baseline:
    """Make a run the baseline of its matrix; what was accepted against the one before counts no more.

    Raises:
        ConfigError: there is no reason.
    """
    made = Baseline(matrix=matrix, run=run, reason=_given(reason), date=datetime.now(UTC))
    _append(file_of(reports, matrix), {"event": "set", **made.model_dump(mode="json", exclude={"accepted"})})
    return made


def accept(reports: Path, matrix: str, acceptances: Sequence[Acceptance]) -> None:
    """Keep what is accepted.

    Raises:
        ConfigError: one has no reason, or the matrix has no baseline.
    """
    if current(reports, matrix) is None:
        raise ConfigError(none_of(matrix))
    lines = [{"event": "accept", **one.model_dump(mode="json"), "reason": _given(one.reason)} for one in acceptances]
    _append(file_of(reports, matrix), *lines)


def current(reports: Path, matrix: str) -> Baseline | None:
    """Return the baseline that holds for a matrix, None where none was set."""
    return next(reversed(kept(reports, matrix)), None)


def kept(reports: Path, matrix: str) -> tuple[Baseline, ...]:
    """Return every baseline that a matrix had, oldest first, each with what was accepted while it held.

    Raises:
        ConfigError: a line is not of this schema.
    """
    path = file_of(reports, matrix)
    found: list[Baseline] = []
    for event in read(path):
        kind = event.pop("event", None)
        try:
            if kind == "set":
                found.append(Baseline.model_validate(event))
            elif kind == "accept" and found:
                accepted = (*found[-1].accepted, Acceptance.model_validate(event))
                found[-1] = found[-1].model_copy(update={"accepted": accepted})
        except ValidationError as invalid:
            first = invalid.errors()[0]
            raise ConfigError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from invalid

    return tuple(found)


def matrices(reports: Path) -> tuple[str, ...]:
    """Return the matrices that have a baseline below ``reports``, by name."""
    events = (event for path in (reports / FOLDER).glob("*.jsonl") for event in read(path))
    return tuple(sorted({event["matrix"] for event in events if event.get("event") == "set" and "matrix" in event}))


def none_of(matrix: str) -> str:
    """Say that a matrix has no baseline, and how it gets one."""
    return f"{matrix} has no baseline; set one with: harness baseline set RUN --reason TEXT"


def file_of(reports: Path, matrix: str) -> Path:
    """Return where the baselines of a matrix are kept."""
    return reports / FOLDER / f"{folder_name(matrix)}.jsonl"


def _given(reason: str) -> str:
    text = " ".join(reason.split())
    if not text:
        raise ConfigError("--reason is empty: say why, for whoever reads it in half a year")
    return text


def _append(path: Path, *events: dict[str, object]) -> None:
    """Append all events in one write, so that two writers cannot mix; a line torn by a crash is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    text = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    target = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(target, (("\n" if torn else "") + text).encode())
        os.fsync(target)
    finally:
        os.close(target)
