"""One run folder read as fast as the history needs it: plain JSON, no attempt is validated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from harness.errors import ConfigError
from harness.matrix.cell import display_version
from harness.store.records import SCHEMA_VERSION, CellRecord, RunRecord
from harness.store.run_folder import RunFolder
from harness.store.runboxes import BoxRow, Raw, boxes

KINDS = (b'"attempt"', b'"versions"')
HEAD = 40  # bytes in which a line names its event


@dataclass(frozen=True)
class RunRows:
    """One run: its boxes, and of each cell what is installed, which packages are pinned, and what was built.

    ``built`` has package → ``git@1a2b3c4d`` or ``path:folder`` beside the version, never the address.
    """

    matrix: str
    started: datetime
    parts: tuple[str, ...]
    versions: Mapping[str, dict[str, str]]
    pins: Mapping[str, tuple[str, ...]]
    built: Mapping[str, dict[str, str]]
    boxes: tuple[BoxRow, ...] = field(repr=False)


def read_rows(folder: RunFolder) -> RunRows:
    """Read a run folder of any schema so far.

    Raises:
        ConfigError: ``run.json`` cannot be read.
    """
    run = read_plan(folder)
    attempts, seen = read_events(folder)
    return RunRows(
        matrix=run.name,
        started=run.started,
        parts=tuple(part.run for part in run.parts),
        versions={cell.id: _versions(cell, seen.get(cell.id, {})) for cell in run.cells},
        pins={cell.id: tuple(cell.pins) for cell in run.cells},
        built={cell.id: _built(cell) for cell in run.cells},
        boxes=boxes(run, attempts),
    )


def read_plan(folder: RunFolder) -> RunRecord:
    """Read ``run.json`` alone, without what the journal knows better.

    Raises:
        ConfigError: it is missing, damaged or newer than this harness.
    """
    try:
        run = RunRecord.model_validate_json(folder.record_file.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{folder.path.name}: run.json cannot be read") from error
    if run.schema_version > SCHEMA_VERSION:
        raise ConfigError(f"{folder.path.name} has schema {run.schema_version}, newer than {SCHEMA_VERSION}")
    return run


def read_events(folder: RunFolder) -> tuple[list[Raw], dict[str, dict[str, str]]]:
    """Return the attempts in their order, and per cell the versions it was seen to have.

    A line names its event first, so most lines need not be parsed; torn ones are passed over.
    """
    attempts: list[Raw] = []
    seen: dict[str, dict[str, str]] = {}
    for line in _lines(folder):
        if not any(kind in line[:HEAD] for kind in KINDS):
            continue
        try:
            event = json.loads(line)
        except ValueError:
            continue
        match event:
            case {"event": "attempt", "record": dict(record)}:
                attempts.append(record)
            case {"event": "versions", "cell": str(cell), "versions": dict(versions)}:
                seen[cell] = versions
    return attempts, seen


def _lines(folder: RunFolder) -> Iterator[bytes]:
    try:
        with folder.journal_file.open("rb") as journal:
            yield from journal
    except FileNotFoundError:
        return


def _built(cell: CellRecord) -> dict[str, str]:
    """Name the commits and folders of what was installed; an unsolvable cell has nothing installed."""
    return {name: display_version(address) for name, address in cell.built.items()} if cell.versions else {}


def _versions(cell: CellRecord, seen: Mapping[str, str]) -> dict[str, str]:
    return {"python": cell.python, **{name: seen.get(name, version) for name, version in cell.versions.items()}}
