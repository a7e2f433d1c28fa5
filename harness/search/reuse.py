"""Reuse attempts of earlier runs, with their files; each record names the run that it was made in."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.runner.gpus import read_gpus
from harness.runner.isolation import Isolation
from harness.session.cell import visible_gpus
from harness.session.context import Options
from harness.session.plan import Plan
from harness.session.run import gpu_slots
from harness.store.journal import Journal
from harness.store.records import AttemptRecord, CellRecord, HostRecord, Reason, RunRecord, Status, function_of
from harness.store.run_folder import RunFolder
from harness.store.runs import run_folders

DECIDED = {Status.PASS, Status.FAIL, Status.SKIP}
TRANSIENT = {
    Reason.TIMEOUT,
    Reason.INTERRUPTED,
    Reason.GPU_BUSY,
    Reason.NETWORK,
    Reason.HOST_OOM,
}
SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class ReuseQuery:
    """What is about to be run.

    Attributes:
        sources: Test function → digest of its source.
        checkpoints: Those that the functions name.
        gpus: The numbers of GPUs that an attempt may see; several if slots share them unevenly.
    """

    record: RunRecord
    options: Options
    sources: Mapping[str, str]
    checkpoints: Collection[str]
    gpus: Collection[int]


def is_reusable(query: ReuseQuery, theirs: RunRecord) -> bool:
    """Return whether a run had the same tests, sources, hardware, checkpoints and preloads."""
    mine = query.record
    digests = {info.id: info.source for info in theirs.scenarios}
    if not all(source and digests.get(name) == source for name, source in query.sources.items()):
        return False
    if theirs.parts or hardware(mine.host) != hardware(theirs.host):
        return False
    if any(mine.matrix.get(table) != theirs.matrix.get(table) for table in ("checkpoints", "preload")):
        return False
    weights = theirs.matrix.get("checkpoints", {}).get("weights", SYNTHETIC)
    changeable = bool(query.checkpoints) and weights != SYNTHETIC  # a folder or a hub may have changed since
    return bool(query.sources) and not changeable and _same_parameters(mine, theirs)


def hardware(host: HostRecord) -> tuple[str, tuple[tuple[str, int, str], ...]]:
    """Return what two machines must share: the platform, and model, memory and driver of each GPU."""
    return host.platform, tuple(sorted((gpu.name, gpu.memory_bytes, gpu.driver) for gpu in host.gpus))


def same_cell(mine: CellRecord, theirs: CellRecord) -> bool:
    """Return whether two cells share the environment, the variables and the pinned packages.

    The pinned packages matter because signatures name frames of only these. A lock on top of a base interpreter names
    the path of that interpreter, and the version of everything that is taken from it.
    """
    facts = [(one.lock, one.lock_base, one.variables, set(one.pins)) for one in (mine, theirs)]
    return mine.lock is not None and facts[0] == facts[1]


def counts(attempt: AttemptRecord, query: ReuseQuery) -> bool:
    """Return whether an attempt can be expected to end the same way again."""
    if not attempt.attempt or attempt.outcome.status not in DECIDED or attempt.outcome.reason in TRANSIENT:
        return False
    busy = any(gpu.used > query.options.busy_bytes for gpu in attempt.gpus_before)
    fresh = query.options.isolation is not Isolation.SPAWN or attempt.isolation == Isolation.SPAWN
    return len(attempt.gpus_before) in query.gpus and not busy and fresh


def _same_parameters(mine: RunRecord, theirs: RunRecord) -> bool:
    """Return whether both runs list the same parameters of their tests; a selection may name a single one."""
    named, ours = (one.selection or tuple(one.matrix.get("scenarios", ())) for one in (mine, theirs))
    return named == ours or not any("[" in entry for entry in (*named, *ours))


@dataclass(frozen=True)
class EarlierResults:
    """One cell of an earlier run: its scenarios as it listed them, and the attempts that can be reused."""

    run: RunFolder
    cell: str
    listed: tuple[dict[str, Any], ...]
    attempts: tuple[AttemptRecord, ...]


def reuse_query(folder: RunFolder, plan: Plan, options: Options) -> ReuseQuery:
    """Return what a run is about to run in each of its cells, on the GPUs as they are now."""
    gpus = read_gpus()
    return ReuseQuery(
        record=folder.read_record(),
        options=options,
        sources={info.id: info.source for info in plan.scenarios},
        checkpoints={name for info in plan.scenarios for name in info.checkpoints},
        gpus={len(visible_gpus(gpus, slot)) for slot in gpu_slots(options.jobs)},
    )


def reuse_earlier(folder: RunFolder, cells: Collection[str], query: ReuseQuery) -> int:
    """Copy the attempts of some cells (ids) from the runs beside ``folder``; return the number of attempts.

    A cell is copied from the newest run that has attempts of every test, if this run has none of it yet. Each record
    names the run that it was made in (``part``), and the journal has a line for each cell.
    """
    begun = {one.cell for one in folder.attempts()}
    wanted = {cell.id: cell for cell in query.record.cells if cell.id in cells and cell.id not in begun and cell.lock}
    taken = 0
    for run in reversed(run_folders(folder.path.parent)):
        if run == folder:
            continue
        theirs = _read(run, {cell.lock for cell in wanted.values()}) if wanted else None
        if theirs is None or not is_reusable(query, theirs):
            continue
        for mine in tuple(wanted.values()):
            found = _answers(query, mine, run, theirs)
            if found is not None:
                _copy(found, mine.id, folder)
                taken += len(found.attempts)
                del wanted[mine.id]

    return taken


def from_earlier(attempts: Iterable[AttemptRecord]) -> tuple[int, int]:
    """Return the number of reused attempts, and of all."""
    made = [one for one in attempts if one.attempt]
    return sum(bool(one.part) for one in made), len(made)


def _answers(query: ReuseQuery, mine: CellRecord, run: RunFolder, theirs: RunRecord) -> EarlierResults | None:
    """Return the attempts of a cell; None unless every scenario that it listed has one that can be reused."""
    for cell in (one for one in theirs.cells if same_cell(mine, one)):
        events = [event for event in run.events("collected") if event["cell"] == cell.id]
        if not events or not _unchanged(run, query):
            continue
        listed = [one for one in events[-1]["scenarios"] if function_of(one["id"]) in query.sources]
        names = {one["id"] for one in listed}
        kept = [one for one in run.attempts() if one.cell == cell.id and one.scenario in names]
        kept = [one for one in kept if counts(one, query) and one.folder and (run.path / one.folder).is_dir()]
        whole = {one.scenario for one in kept} == names and {
            function_of(name) for name in names
        } == query.sources.keys()
        if whole:
            return EarlierResults(run, cell.id, tuple(listed), tuple(kept))

    return None


def _unchanged(run: RunFolder, query: ReuseQuery) -> bool:
    """Return whether the sources are the same in every part of a run, also after it was resumed."""
    stated = [event.get("sources", {}) for event in run.events("run_started")]
    return all(one.get(name, source) == source for one in stated for name, source in query.sources.items())


def _read(run: RunFolder, locks: Collection[str | None]) -> RunRecord | None:
    """Return the record of a run that has one of the locks; damaged runs are ignored."""
    try:
        text = run.record_file.read_text(encoding="utf-8")
        return RunRecord.model_validate_json(text) if any(f'"{lock}"' in text for lock in locks) else None
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def _copy(found: EarlierResults, cell: str, folder: RunFolder) -> None:
    """Copy the files of a cell, then write its journal lines; an interrupted copy leaves no attempt behind."""
    source, target = found.run.cell(found.cell), folder.cell(cell)
    target.mkdir(parents=True, exist_ok=True)
    records = list(_renumbered(found, cell, folder))
    try:
        for path in source.glob("collect-*"):
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        for path in source.glob("env.json"):
            shutil.copyfile(path, target / path.name)
        for record, origin in records:
            shutil.copytree(
                found.run.path / origin,
                folder.path / str(record.folder),
                symlinks=True,
            )
    except BaseException:  # an interrupt, too: a partial copy would pass for an attempt
        for record, _ in records:
            shutil.rmtree(folder.path / str(record.folder), ignore_errors=True)
        raise

    _journal(found, cell, folder, [record for record, _ in records])


def _journal(found: EarlierResults, cell: str, folder: RunFolder, records: Iterable[AttemptRecord]) -> None:
    run = found.run.path.name
    installed = [event["versions"] for event in found.run.events("versions") if event["cell"] == found.cell]
    with closing(Journal(folder.journal_file)) as journal:
        journal.write("taken_over", cell=cell, run=run, of=found.cell, attempts=len(found.attempts))
        journal.write("collected", cell=cell, part=run, scenarios=list(found.listed))
        for versions in installed[-1:]:
            journal.write("versions", cell=cell, part=run, versions=versions)
        for record in records:
            journal.attempt(record)


def _renumbered(found: EarlierResults, cell: str, folder: RunFolder) -> Iterator[tuple[AttemptRecord, str]]:
    """Yield each attempt as a record of this run, with the folder of its original."""
    numbers: dict[str, int] = {}
    for one in found.attempts:
        number = numbers[one.scenario] = numbers.get(one.scenario, 0) + 1
        place = folder.attempt(cell, one.scenario, number).relative_to(folder.path).as_posix()
        changed = {"cell": cell, "attempt": number, "folder": place, "part": one.part or found.run.path.name}
        yield one.model_copy(update=changed), str(one.folder)
