"""Make one run folder of several that ran parts of one matrix, on one machine or on many."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from harness.errors import ConfigError
from harness.store.files import write_text
from harness.store.journal import read
from harness.store.records import CellRecord, GpuRecord, HostRecord, PartRecord, RunKind, RunRecord, ScenarioInfo
from harness.store.run_folder import RunFolder

HEAD = "# The parts of this run did not know the same issues; these are the entries of all of them.\n"


Entry = dict[str, Any]


def united_issues(texts: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Return the text of one ``known_issues.toml``, and a sentence where the parts disagree.

    ``texts`` maps a part's name to what it kept. Where all have the same entries, the first text stays as it is, with
    its comments.

    Raises:
        ConfigError: a text is not one of entries.
    """
    entries = {name: _entries(text, name) for name, text in texts.items()}
    found = {key: entry for of_part in entries.values() for key, entry in of_part.items()}
    partial = {key: [name for name in entries if key in entries[name]] for key in found}
    partial = {key: names for key, names in partial.items() if len(names) < len(entries)}
    if not partial:
        return next(iter(texts.values()), ""), ()
    listed = "; ".join(f"{_called(found[key])} only in {', '.join(names)}" for key, names in partial.items())
    note = f"the parts did not know the same issues, so the entries of all of them hold ({listed})"
    return HEAD + tomli_w.dumps({"issue": list(found.values())}), (note,)


def _entries(text: str, name: str) -> dict[str, Entry]:
    """Read a part's entries, by their content."""
    try:
        issues = tomllib.loads(text).get("issue", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the known_issues.toml of {name} is not valid TOML: {error}") from error
    if not isinstance(issues, list) or not all(isinstance(issue, dict) for issue in issues):
        raise ConfigError(f"the known_issues.toml of {name}: issue is not known here; entries are [[issue]]")
    return {json.dumps(issue, sort_keys=True, default=str): issue for issue in issues}


def _called(entry: Entry) -> str:
    return " ".join(str(entry[key]) for key in ("scenario", "signature", "tracker") if key in entry)


@dataclass(frozen=True)
class Merged:
    """A merged run folder, and what a person must know before comparing its figures."""

    folder: RunFolder
    notes: tuple[str, ...]


def merge(parts: Sequence[RunFolder], out: Path) -> Merged:
    """Unite runs of one matrix in the new folder ``out``; the parts stay as they are.

    Cells are united by id. Attempts of one scenario in one cell from a second part get the numbers after those of the
    first. Each attempt names its part, and the record keeps each part's machine.

    Raises:
        ConfigError: there are not two parts, they are not of one matrix, a cell was not the same environment in two of
            them, the known issues of one cannot be read, or ``out`` is there already.
    """
    if len({part.path.resolve() for part in parts}) != len(parts) or len(parts) < 2:  # noqa: PLR2004 - that is what merging means
        raise ConfigError("merging takes two or more different runs")
    records = [(part, part.read_record()) for part in parts]
    records.sort(key=lambda pair: pair[1].started)
    _same_matrix(records)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already; name a new folder with -o")
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
    return Merged(RunFolder(out.absolute()), (*_notes(records, names), *disagreed))


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
            keys = sorted(key for key in first.matrix.keys() | record.matrix if _of(first, key) != _of(record, key))
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


def _of(record: RunRecord, key: str) -> Any:
    return record.matrix.get(key)


def part_names(parts: Sequence[RunFolder]) -> list[str]:
    """Name each part by its folder; two folders of one name are told apart by a number."""
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
    order = {cell.id: place for _, record in records for place, cell in enumerate(record.cells)}
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
    """Return a run as a part; one that was merged before stays the parts it had."""
    cells = tuple(cell.id for cell in record.cells)
    return record.parts or (PartRecord(run=name, started=record.started, host=record.host, cells=cells),)


def _machine(hosts: Sequence[HostRecord], gpus: tuple[GpuRecord, ...]) -> HostRecord:
    """Describe several machines as one: every GPU, and of the rest what the smallest has."""
    return HostRecord(
        platform=", ".join(dict.fromkeys(host.platform for host in hosts)),
        cpus=min(host.cpus for host in hosts),
        memory_bytes=min(host.memory_bytes for host in hosts),
        gpus=gpus,
    )


def _known_issues(records: Sequence[tuple[RunFolder, RunRecord]], names: Sequence[str]) -> dict[str, str]:
    """Return what each part kept; one that kept no file, as older runs did, says nothing."""
    files = {name: folder.known_issues_file for name, (folder, _) in zip(names, records, strict=True)}
    return {name: file.read_text(encoding="utf-8") for name, file in files.items() if file.exists()}


def _write_journal(records: Sequence[tuple[RunFolder, RunRecord]], names: Sequence[str], target: RunFolder) -> None:
    """Write the events of all parts one part after the other, attempts renumbered, and copy what belongs to them."""
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
    """Yield a part's events with attempts counted on from those that earlier parts had (cell, scenario → highest)."""
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
    """Copy a cell's files; what a second part has of the same name beside its attempts goes below ``parts/``."""
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
    """Say what sets the parts apart: GPU models, and packages that no pin holds."""
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
