"""Run folders: the paths of a run's files, and reading its plan and its journal."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import ValidationError

from harness.errors import ConfigError
from harness.store.files import write_text
from harness.store.journal import Attempt, JournalContent, read, read_journal
from harness.store.records import SCHEMA_VERSION, AttemptRecord, AttemptSummary, CellRecord, Reason, RunRecord

LOCK = ".lock"  # locked by the process that runs something in the folder


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
        """The journal."""
        return self.path / "journal.jsonl"

    @property
    def known_issues_file(self) -> Path:
        """The known issues at the start of the run; empty or missing if there were none."""
        return self.path / "known_issues.toml"

    def cell(self, cell: str) -> Path:
        """The folder of a cell: its lock, install log and attempts."""
        return self.path / "cells" / cell

    def attempt(self, cell: str, scenario: str, attempt: int) -> Path:
        """The folder of one attempt."""
        return self.cell(cell) / folder_name(scenario) / str(attempt)

    def write_record(self, record: RunRecord) -> None:
        """Write ``run.json``, whole or not at all."""
        write_text(self.record_file, record.model_dump_json(indent=1))

    def read_plan(self) -> RunRecord:
        """Read ``run.json`` alone.

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
        return record

    def read(self, kind: type[Attempt]) -> tuple[RunRecord, JournalContent[Attempt]]:
        """Read the plan, with the versions found installed in the cells, and the journal.

        Args:
            kind: the record to read attempts as.

        Raises:
            ConfigError: as for :meth:`read_plan`.
        """
        plan, journal = self.read_plan(), read_journal(self.journal_file, kind)
        cells = tuple(_with_installed(cell, journal.versions.get(cell.id, {})) for cell in plan.cells)
        return plan.model_copy(update={"cells": cells}), journal

    def read_record(self) -> RunRecord:
        """Read the plan, with the versions found installed in the cells.

        Raises:
            ConfigError: as for :meth:`read_plan`.
        """
        return self.read(AttemptSummary)[0]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the journal's events of one kind, oldest first."""
        return [event for event in read(self.journal_file) if event.get("event") == kind]

    def journal(self) -> JournalContent[AttemptRecord]:
        """Read the journal."""
        return read_journal(self.journal_file, AttemptRecord)

    def attempts(self) -> tuple[AttemptRecord, ...]:
        """Return every attempt of the journal, in the order it was written."""
        return self.journal().attempts

    def lacking(self, cells: Iterable[str], repeat: int = 1) -> set[str]:
        """Return the cells (ids) that listed nothing, or lack one of ``repeat`` attempts of a scenario they listed."""
        listed, ended = self.journal().listed, self.count_attempts()
        return {
            cell
            for cell in cells
            if not listed.get(cell) or any(ended[cell, scenario] < repeat for scenario in listed[cell])
        }

    def count_attempts(self) -> Counter[tuple[str, str]]:
        """Count the attempts by cell and scenario, without interrupted ones."""
        return Counter(
            (one.cell, one.scenario)
            for one in self.attempts()
            if one.attempt and one.outcome.reason is not Reason.INTERRUPTED
        )


@contextmanager
def held(lock: FileLock, busy: str) -> Iterator[None]:
    """Hold a lock; the kernel releases it when the process ends, however it ends.

    Raises:
        ConfigError: another process holds it; ``busy`` is the sentence.
    """
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(busy) from None
    try:
        yield
    finally:
        lock.release()


def claimed(folder: RunFolder) -> AbstractContextManager[None]:
    """Keep every other process from running anything in a run folder; within one process it can be claimed again.

    Raises:
        ConfigError: another process runs in it.
    """
    lock = FileLock(folder.path / LOCK, is_singleton=True)
    return held(lock, f"{folder.path} is in use: another harness process runs in it")


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


def folder_name(text: str) -> str:
    """Turn any text into a folder name; texts that would share one get a digest."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text.replace("::", ".")).strip("-.")
    faithful = name == text.replace("::", ".") and len(name) <= 100  # noqa: PLR2004  # well under every file system's limit
    return name if faithful else f"{name[:90]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _with_installed(cell: CellRecord, installed: Mapping[str, str]) -> CellRecord:
    versions = {name: installed.get(name, version) for name, version in cell.versions.items()}
    return cell.model_copy(update={"versions": versions})
