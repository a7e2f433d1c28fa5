"""Merge runs of parts of one matrix, from one machine or several, into one run folder."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from harness.errors import ConfigError
from harness.store.files import write_text
from harness.store.journal import read
from harness.store.records import CellRecord, GpuRecord, HostRecord, PartRecord, RunKind, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder

HEAD = "# The known issues of the merged runs differ; these are the entries of all of them.\n"


Entry = dict[str, Any]


def united_issues(texts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the text of one ``known_issues.toml``, and a note if the parts disagree.

    If all parts have the same entries, the first text is kept with its comments.

    Args:
        texts: part → its ``known_issues.toml``.

    Raises:
        ConfigError: a text does not consist of entries.
    """
    entries = {name: _entries(text, name) for name, text in texts.items()}
    found = {key: entry for of_part in entries.values() for key, entry in of_part.items()}
    partial = {key: [name for name in entries if key in entries[name]] for key in found}
    partial = {key: names for key, names in partial.items() if len(names) < len(entries)}
    if not partial:
        return next(iter(texts.values()), ""), ()
    listed = "; ".join(f"{_called(found[key])} only in {', '.join(names)}" for key, names in partial.items())
    note = f"the known issues of the parts differ, so the entries of all apply ({listed})"
    return HEAD + tomli_w.dumps({"issue": list(found.values())}), (note,)


def _entries(text: str, name: str) -> dict[str, Entry]:
    """Read a part's entries, by their content."""
    try:
        issues = tomllib.loads(text).get("issue", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the known_issues.toml of {name} is not valid TOML: {error}") from error
    if not isinstance(issues, list) or not all(isinstance(issue, dict) for issue in issues):
        raise ConfigError(f"the known_issues.toml of {name}: unknown key issue; entries are [[issue]]")
    return {json.dumps(issue, sort_keys=True, default=str): issue for issue in issues}


def _called(entry: Entry) -> str:
    return " ".join(str(entry[key]) for key in ("scenario", "signature", "tracker") if key in entry)


def merge(parts: Sequence[RunFolder], out: Path) -> tuple[RunFolder, tuple[str, ...]]:
    """Merge runs of one matrix into the new folder ``out``, and note how they differ; the parts are not changed.

    Cells are merged by id. Attempts of a second part are numbered after those of the first. Each attempt names its
    part, and the record keeps each part's machine.

    Raises:
        ConfigError: fewer than two runs, different matrices, different pins of one cell, unreadable known issues, or
            ``out`` exists.
    """
    if len({part.path.resolve() for part in parts}) != len(parts) or len(parts) < 2:  # noqa: PLR2004 - that is what merging means
        raise ConfigError("merging takes two or more different runs")

    records = [(part, part.read_record()) for part in parts]
    records.sort(key=lambda pair: pair[1].started)
    _same_matrix(records)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists; name a new folder with -o")

    names = part_names([part for part, _ in records])
    record = united(records, names)
    issues, disagreed = united_issues(_known_issues(records, names))

    scratch = RunFolder(out.absolute().with_name(f".{out.name}.part"))
    shutil.rmtree(scratch.path, ignore_errors=True)
    (scratch.path / "cells").mkdir(parents=True)
    scratch.write_record(record)
    write_text(scratch.known_issues_file, issues)
    _write_journal(records, names, scratch)

    if out.exists():
        out.rmdir()
    scratch.path.rename(out.absolute())
    return RunFolder(out.absolute()), (*_notes(records, names), *disagreed)


def _same_matrix(records: Sequence[tuple[RunFolder, RunRecord]]) -> None:
    first_folder, first = records[0]
    cells: dict[str, tuple[RunFolder, CellRecord]] = {}
    for folder, record in records:
        if record.name != first.name:
            raise ConfigError(
                f"{first_folder.path.name} is a run of {first.name} and {folder.path.name} one of {record.name}: "
                "only runs of one matrix are merged"
            )
        if record.matrix != first.matrix:
            old, new = first.matrix, record.matrix
            keys = sorted(key for key in old.keys() | new if old.get(key) != new.get(key))
            raise ConfigError(
                f"the matrix {first.name} of {first_folder.path.name} and of {folder.path.name} differ in "
                f"{', '.join(keys)}: only runs of one matrix are merged"
            )
        for cell in record.cells:
            other_folder, other = cells.setdefault(cell.id, (folder, cell))
            if cell.pins != other.pins:
                raise ConfigError(
                    f"{cell.id} has other pins in {folder.path.name} than in {other_folder.path.name}: "
                    "they cannot be one cell"
                )


def part_names(parts: Sequence[RunFolder]) -> list[str]:
    """Name each part by its folder; folders of one name get a number."""
    names: list[str] = []
    for part in parts:
        name, number = part.path.name, 1
        while name in names:
            number += 1
            name = f"{part.path.name}.{number}"
        names.append(name)
    return names


def united(records: Sequence[tuple[RunFolder, RunRecord]], names: Sequence[str]) -> RunRecord:
    """Return the record of the merged run: all cells, expected scenarios, and machines."""
    first = records[0][1]
    cells: dict[str, CellRecord] = {}
    scenarios: dict[str, ScenarioInfo] = {}
    gpus: dict[str, GpuRecord] = {}
    for _, record in records:
        cells = {**{cell.id: cell for cell in record.cells}, **cells}
        scenarios = {**{info.id: info for info in record.scenarios}, **scenarios}
        gpus = {**{gpu.uuid: gpu for gpu in record.host.gpus}, **gpus}

    order = {cell.id: index for _, record in records for index, cell in enumerate(record.cells)}
    alike = all(
        (one.selection, one.keyword, one.markers) == (first.selection, first.keyword, first.markers)
        for _, one in records
    )
    known = alike and all(record.scenarios for _, record in records)
    return first.model_copy(
        update={
            "kind": RunKind.MERGED,
            "cells": tuple(sorted(cells.values(), key=lambda cell: (not cell.reference, order[cell.id], cell.id))),
            "scenarios": tuple(scenarios.values()) if known else (),  # parts of a catalogue expect no whole one
            "axes": tuple(dict.fromkeys(axis for _, record in records for axis in record.axes)),
            "host": _machine([record.host for _, record in records], tuple(gpus.values())),
            "parts": tuple(
                part for name, (_, record) in zip(names, records, strict=True) for part in _parts(name, record)
            ),
        }
    )


def _parts(name: str, record: RunRecord) -> tuple[PartRecord, ...]:
    """Return a run as a part; a merged run is replaced by its own parts."""
    cells = tuple(cell.id for cell in record.cells)
    return record.parts or (PartRecord(run=name, started=record.started, host=record.host, cells=cells),)


def _machine(hosts: Sequence[HostRecord], gpus: tuple[GpuRecord, ...]) -> HostRecord:
    """Describe several machines as one: all GPUs, the fewest cores, the least memory."""
    return HostRecord(
        platform=", ".join(dict.fromkeys(host.platform for host in hosts)),
        cpus=min(host.cpus for host in hosts),
        memory_bytes=min(host.memory_bytes for host in hosts),
        gpus=gpus,
    )


def _known_issues(records: Sequence[tuple[RunFolder, RunRecord]], names: Sequence[str]) -> dict[str, str]:
    """Return the known issues of each part; older runs without the file are left out."""
    files = {name: folder.known_issues_file for name, (folder, _) in zip(names, records, strict=True)}
    return {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.exists()}


def _write_journal(records: Sequence[tuple[RunFolder, RunRecord]], names: Sequence[str], target: RunFolder) -> None:
    """Write the events of one part after the other with renumbered attempts, and copy the cells' files."""
    highest: dict[tuple[str, str], int] = {}
    with target.journal_file.open("w", encoding="utf-8") as journal:
        for (folder, record), name in zip(records, names, strict=True):
            before = dict(highest)
            for event in renumbered(read(folder.journal_file), name, before):
                journal.write(json.dumps(event) + "\n")
                if event.get("event") == "attempt":
                    key = (event["record"]["cell"], event["record"]["scenario"])
                    highest[key] = max(highest.get(key, 0), event["record"]["attempt"])
            for cell in record.cells:
                _copy_cell(folder, target, cell.id, name, before)


def renumbered(
    events: Iterator[dict[str, Any]], part: str, before: dict[tuple[str, str], int]
) -> Iterator[dict[str, Any]]:
    """Yield a part's events with renumbered attempts; ``before``: (cell, scenario) → the highest number so far."""
    for event in events:
        match event:
            case {"event": "attempt", "record": dict(record)}:
                number = _number(record, before)
                changed = {**record, "attempt": number, "part": record.get("part") or part}
                if record.get("folder") and number != record["attempt"]:
                    changed["folder"] = f"{record['folder'].rpartition('/')[0]}/{number}"
                yield {**event, "record": changed}
            case {"event": "attempt_started"}:
                yield {**event, "attempt": _number(event, before), "part": part}
            case _:
                yield {**event, "part": part}


def _number(attempt: dict[str, Any], before: dict[tuple[str, str], int]) -> int:
    """Return the number of an attempt in the merged run; 0, where nothing could be started, stays 0."""
    own = int(attempt["attempt"])
    return own + before.get((attempt["cell"], attempt["scenario"]), 0) if own else 0


def _copy_cell(folder: RunFolder, target: RunFolder, cell: str, part: str, before: dict[tuple[str, str], int]) -> None:
    """Copy a cell's files; files of a second part whose names are taken go below ``parts/``."""
    source, sink = folder.cell(cell), target.cell(cell)
    if not source.is_dir():
        return
    if not sink.exists():
        shutil.copytree(source, sink, symlinks=True)
        return
    moved = {
        folder.attempt(cell, scenario, 1).parent.name: highest
        for (of, scenario), highest in before.items()
        if of == cell and highest
    }
    for path in sorted(source.iterdir()):
        if path.name in moved:
            for attempt in sorted(path.iterdir()):
                number = int(attempt.name) + moved[path.name] if attempt.name.isdecimal() else attempt.name
                shutil.copytree(attempt, sink / path.name / str(number), symlinks=True)
        elif not (sink / path.name).exists():
            _copy(path, sink / path.name)
        else:
            _copy(path, sink / "parts" / part / path.name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copyfile(source, target)


def _notes(records: Sequence[tuple[RunFolder, RunRecord]], names: Sequence[str]) -> tuple[str, ...]:
    """Describe how the parts differ: in GPU models, and in packages without a pin."""
    models = {
        name: ", ".join(sorted({gpu.name for gpu in record.host.gpus})) or "no GPU"
        for name, (_, record) in zip(names, records, strict=True)
    }
    notes = []
    if len(set(models.values())) > 1:
        listed = "; ".join(f"{name}: {model}" for name, model in models.items())
        notes.append(f"the parts ran on different GPUs, so compare their figures with care ({listed})")
    first: dict[str, CellRecord] = {}
    for _, record in records:
        for cell in record.cells:
            other = first.setdefault(cell.id, cell)
            differing = sorted(
                package
                for package in cell.versions.keys() & other.versions
                if cell.versions[package] != other.versions[package]
            )
            if differing:
                notes.append(f"{cell.id} had other releases of {', '.join(differing)} in one part than in another")

    return tuple(notes)
