"""Begin a run: create its folder, with the plan and the locks, before anything is installed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from harness.envs.lock import Lock
from harness.errors import ConfigError
from harness.matrix.paths import find, install_root, short_path
from harness.runner.gpus import read_gpus
from harness.session.plan import Plan
from harness.store.files import write_text
from harness.store.records import GpuRecord, HostRecord, RunKind, RunOptions, RunRecord
from harness.store.run_folder import RunFolder, claimed, create
from harness.verdict.known_issues import parse
from harness.version import harness_version


def describe_host() -> HostRecord:
    """Return platform, cores, memory (bytes) and GPUs; no names of the machine or its users."""
    gpus = tuple(
        GpuRecord(uuid=gpu.uuid, name=gpu.name, memory_bytes=gpu.total, driver=gpu.driver) for gpu in read_gpus()
    )
    return HostRecord(
        platform=f"{platform.system()} {platform.machine()}",
        cpus=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        gpus=gpus,
    )


KNOWN_ISSUES = "known_issues.toml"
DEFAULTS = RunOptions()
VERBS = {kind: kind.value for kind in RunKind} | {RunKind.NIGHT: "nightly"}


def begin(
    plan: Plan,
    reports: Path,
    *,
    kind: RunKind = RunKind.RUN,
    command: Sequence[str] = (),
    selection: Sequence[str] = (),
    keyword: str = "",
    markers: str = "",
    options: RunOptions = DEFAULTS,
) -> RunFolder:
    """Create the folder of a run, with ``run.json``, the locks and the known issues.

    Args:
        plan: the plan of the run.
        reports: the folder of the runs.
        kind: the kind of the run.
        command: how to run it again; by default ``harness run`` (or ``nightly``) with the matrix and the selection.
        selection: scenario entries that replaced the matrix's.
        keyword: ``-k``.
        markers: ``-m``.
        options: the options, which a resumed run keeps.

    Raises:
        ConfigError: the known issues of the matrix cannot be read.
    """
    issues = read_known_issues(plan.matrix.path.parent)
    started = datetime.now(UTC)
    cells = tuple(planned.record() for planned in plan.cells)
    digest = hashlib.sha256(json.dumps([cell.id for cell in cells]).encode()).hexdigest()
    folder = create(reports, plan.matrix.name, started, digest)

    file = short_path(plan.matrix.path)
    arguments = [word for entry in plan.matrix.overrides for word in ("--with", entry)]
    arguments += [word for entry in selection for word in ("--scenarios", entry)]
    arguments += [word for flag, value in (("-k", keyword), ("-m", markers)) if value for word in (flag, value)]

    folder.write_record(
        RunRecord(
            kind=kind,
            name=plan.matrix.name,
            title=plan.matrix.title,
            started=started,
            matrix=json.loads(json.dumps(plan.matrix.raw, default=str)),
            matrix_file=file,
            scenarios=() if keyword or markers else plan.scenarios,  # only pytest knows what a keyword selects
            cells=cells,
            axes=tuple(dict.fromkeys(axis for planned in plan.cells for axis in planned.cell.axes)),
            host=describe_host(),
            harness_version=harness_version(),
            command=tuple(command) or ("harness", VERBS[kind], file, *arguments),
            selection=tuple(selection),
            keyword=keyword,
            markers=markers,
            asked=options,
        )
    )

    write_text(folder.known_issues_file, issues)
    write_locks(plan, folder)
    return folder


def read_known_issues(folder: Path) -> str:
    """Return the text of ``known_issues.toml`` in the folder of a matrix, else of that of the harness.

    Raises:
        ConfigError: the file cannot be read, or an entry is wrong.
    """
    for path in (find(KNOWN_ISSUES, folder), install_root() / "scenarios" / KNOWN_ISSUES):
        if path is not None and path.is_file():
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{short_path(path)} cannot be read: {error}") from error
            parse(text, short_path(path))
            return text

    return ""


def add_cells(plan: Plan, folder: RunFolder) -> None:
    """Add the cells of a plan to a run that lacks them, with their locks.

    Raises:
        ConfigError: another process uses the run folder.
    """
    with claimed(folder):
        record = folder.read_record()
        known = {cell.id for cell in record.cells}
        added = tuple(planned.record() for planned in plan.cells if planned.cell.id not in known)
        if added:
            folder.write_record(record.model_copy(update={"cells": (*record.cells, *added)}))
        write_locks(plan, folder)


def save_options(options: RunOptions, folder: RunFolder) -> None:
    """Write changed options of a resumed run to ``run.json``.

    Raises:
        ConfigError: another process uses the run folder.
    """
    with claimed(folder):
        record = folder.read_record()
        if options != record.asked:
            folder.write_record(record.model_copy(update={"asked": options}))


def write_locks(plan: Plan, folder: RunFolder) -> None:
    """Write each cell's ``lock.txt``."""
    for planned in plan.cells:
        if isinstance(planned.lock, Lock):
            path = folder.cell(planned.cell.id) / "lock.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, planned.lock.text)
