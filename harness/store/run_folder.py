"""Run folders: where each file of a run lies."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import ConfigError
from harness.store.journal import attempts, read
from harness.store.records import SCHEMA_VERSION, AttemptRecord, CellRecord, RunRecord


@dataclass(frozen=True)
class RunFolder:
    """One run on disk, ``reports/<UTC time>-<matrix>-<short hash>/``; ``path`` is absolute."""

    path: Path

    @property
    def record_file(self) -> Path:
        """The plan."""
        return self.path / "run.json"

    @property
    def journal_file(self) -> Path:
        """The truth."""
        return self.path / "journal.jsonl"

    @property
    def known_issues_file(self) -> Path:
        """The known issues as they stood when the run began; empty or missing where none were."""
        return self.path / "known_issues.toml"

    def cell(self, cell: str) -> Path:
        """Where a cell's lock, install log and attempts lie."""
        return self.path / "cells" / cell

    def attempt(self, cell: str, scenario: str, attempt: int) -> Path:
        """Where one attempt's files lie."""
        return self.cell(cell) / folder_name(scenario) / str(attempt)

    def write_record(self, record: RunRecord) -> None:
        """Write ``run.json``."""
        self.record_file.write_text(record.model_dump_json(indent=1), encoding="utf-8")

    def read_record(self) -> RunRecord:
        """Read ``run.json``, with the versions that the cells were then really seen to have.

        Raises:
            ConfigError: it is missing, or not of a schema this version reads.
        """
        try:
            record = RunRecord.model_validate_json(self.record_file.read_bytes())
        except FileNotFoundError as missing:
            raise ConfigError(f"{self.path} is not a run folder: it has no run.json") from missing
        except ValidationError as invalid:
            first = invalid.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "run.json"
            raise ConfigError(f"{self.record_file}: {where}: {first['msg']}") from invalid
        if record.schema_version > SCHEMA_VERSION:
            raise ConfigError(f"{self.record_file} has schema {record.schema_version}, newer than {SCHEMA_VERSION}")
        seen = {event["cell"]: event["versions"] for event in self.events("versions")}
        return record.model_copy(
            update={"cells": tuple(_as_seen(cell, seen.get(cell.id, {})) for cell in record.cells)}
        )

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's events of one kind, oldest first."""
        return [event for event in read(self.journal_file) if event.get("event") == kind]

    def collected(self) -> dict[str, set[str]]:
        """Return which scenarios each cell listed, in all its collections."""
        found: dict[str, set[str]] = {}
        for event in self.events("collected"):
            found.setdefault(event["cell"], set()).update(scenario["id"] for scenario in event["scenarios"])
        return found

    def attempts(self) -> list[AttemptRecord]:
        """Return every attempt of the journal, in the order it was written."""
        return attempts(self.journal_file)


def create(root: Path, matrix: str, started: datetime, digest: str) -> RunFolder:
    """Make a new run folder below ``root``; two runs that begin in one second get different names."""
    stem = f"{started:%Y%m%dT%H%M%SZ}-{folder_name(matrix)}-{digest[:6]}"
    for number in range(1, 100):
        path = root.absolute() / (stem if number == 1 else f"{stem}.{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return RunFolder(path)
    raise ConfigError(f"{root} holds a hundred runs named {stem}")


def find(text: str, root: Path) -> RunFolder:
    """Return the run named by a path, by the beginning or end of its folder's name below ``root``, or ``latest``.

    Raises:
        ConfigError: none or several match.
    """
    if (Path(text) / "run.json").exists():
        return RunFolder(Path(text).absolute())
    runs = sorted((path.parent for path in root.absolute().glob("*/run.json")), key=lambda run: run.name)
    if text == "latest" and runs:
        return RunFolder(runs[-1])
    matching = [run for run in runs if run.name.startswith(text) or run.name.endswith(text)]
    if len(matching) == 1:
        return RunFolder(matching[0])
    what = "no run" if not matching else f"{len(matching)} runs"
    raise ConfigError(f"{what} named {text!r} below {root}")


def folder_name(text: str) -> str:
    """Turn any text into a folder name; two texts that would share one are told apart by a digest."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text.replace("::", ".")).strip("-.")
    faithful = name == text.replace("::", ".") and len(name) <= 100  # noqa: PLR2004  # well under every file system's limit
    return name if faithful else f"{name[:90]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _as_seen(cell: CellRecord, seen: dict[str, str]) -> CellRecord:
    versions = {name: seen.get(name, version) for name, version in cell.versions.items()}
    return cell.model_copy(update={"versions": versions})
