"""Finding runs: the run folders below ``reports``, their kinds, and names such as ``latest~1``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.matrix.paths import nearest
from harness.reporter import counted, listed
from harness.store.records import RunKind, RunRecord, series_names
from harness.store.run_folder import RunFolder

NIGHT = "night.json"  # the plan of a nightly run, written when it begins
LATEST = "latest"
BACK = re.compile(r"(?P<run>.+)~(?P<back>\d+)")
RESULTS = frozenset({RunKind.RUN, RunKind.NIGHT, RunKind.MERGED})  # runs of a matrix; searches choose their cells
# Files that tell the kind of a run whose run.json has none.
MARKERS = {
    NIGHT: RunKind.NIGHT,
    "blame.json": RunKind.BLAME,
    "bisect.json": RunKind.BISECT,
    "into.json": RunKind.BISECT,
}
COMMANDS = {"merge": RunKind.MERGED, "probe": RunKind.PROBE, "bisect": RunKind.BISECT, "blame": RunKind.BLAME}


@dataclass(frozen=True, order=True)
class Run:
    """One run folder, ordered by its start; ``started`` is ISO-8601 in UTC."""

    started: str
    name: str
    matrix: str
    kind: RunKind


def kind_of(folder: RunFolder, plan: RunRecord | None = None) -> RunKind:
    """Return the kind of a run; ``plan`` is its plan, if already read.

    Raises:
        ConfigError: the folder is not a run.
    """
    plan = plan or folder.read_plan()
    return plan.kind or _older_kind(folder.path, plan.command, merged=bool(plan.parts))


def run_folders(reports: Path) -> list[RunFolder]:
    """Return the run folders below ``reports`` by name; one that begins with a dot is a merge that was killed."""
    return [RunFolder(path.parent) for path in sorted(reports.absolute().glob("[!.]*/run.json"))]


def list_runs(reports: Path, kinds: Collection[RunKind] = RESULTS) -> list[Run]:
    """Return the runs of these kinds below ``reports``, oldest first; folders that cannot be read are left out."""
    found = []
    for folder in run_folders(reports):
        try:
            raw = json.loads(folder.record_file.read_bytes())
            older = _older_kind(folder.path, raw.get("command", ()), merged=bool(raw.get("parts")))
            found.append(Run(raw["started"], folder.path.name, raw["name"], RunKind(raw.get("kind") or older)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # incomplete or not a run: naming it gives the reason

    return sorted(one for one in found if one.kind in kinds)


def newest_run(reports: Path, matrix: str, kind: RunKind) -> RunFolder | None:
    """Return the run of a matrix and a kind that started last; None if there is none."""
    found = [one for one in list_runs(reports, {kind}) if one.matrix == matrix]
    return RunFolder(reports.absolute() / found[-1].name) if found else None


def find_run(text: str, reports: Path) -> RunFolder:
    """Return the run that a text names.

    ========================= ========================================================================
    a path of a run folder    that run
    ``latest``                the run, nightly run or merged run below ``reports`` that started last
    a run's name              the run below ``reports`` of any kind whose folder has the name, or the
                              only one whose name begins or ends so
    ``RUN~N``                 the run N before RUN among the runs that ``latest`` counts, of RUN's matrix
    ========================= ========================================================================

    Raises:
        ConfigError: there is none, or several match.
    """
    if (Path(text) / "run.json").exists():
        return RunFolder(Path(text).absolute())
    back = BACK.fullmatch(text)
    if back is not None:
        return _before(find_run(back["run"], reports), int(back["back"]), reports, text)
    if text == LATEST:
        runs = list_runs(reports)
        if not runs:
            searches = list_runs(reports, tuple(RunKind))
            hint = f"; give the {searches[-1].kind} by its name: {searches[-1].name}" if searches else ""
            raise ConfigError(f"there is no run below {reports}{hint}")
        return RunFolder(reports.absolute() / runs[-1].name)

    return _named(text, reports)


def is_run(text: str, reports: Path, *, part: bool = True) -> bool:
    """Tell whether a text names a run, by the rules of :func:`find_run`; ``latest`` and ``RUN~N`` always do.

    Without ``part`` the beginning or the end of a name is none.
    """
    if text == LATEST or BACK.fullmatch(text):
        return True
    if not part:
        return any((folder / text / "run.json").exists() for folder in (reports, Path()))
    try:
        find_run(text, reports)
    except ConfigError:
        return False
    return True


def _named(text: str, reports: Path) -> RunFolder:
    names = [folder.path.name for folder in run_folders(reports)]
    matching = [name for name in names if name == text] or [
        name for name in names if name.startswith(text) or name.endswith(text)
    ]
    if len(matching) == 1:
        return RunFolder(reports.absolute() / matching[0])
    if matching:
        raise ConfigError(f"{len(matching)} runs below {reports} match {text!r}: {listed(matching, few=3)}")
    near = nearest(text, (LATEST, *names))
    raise ConfigError(f"no run named {text!r} below {reports}{f'; the nearest is {near}' if near else ''}")


def _before(run: RunFolder, back: int, reports: Path, text: str) -> RunFolder:
    runs = list_runs(reports)
    own = next((one for one in runs if reports.absolute() / one.name == run.path), None)
    if own is None:
        raise ConfigError(f"there is no run {text}: {run.path.name} is not among the runs that RUN~N counts")
    same = [one for one in runs if one.matrix == own.matrix]
    index = same.index(own) - back
    if index < 0:
        count = counted(same.index(own), "run")
        raise ConfigError(f"there is no run {text}: the matrix {own.matrix} has {count} before {own.name}")
    return RunFolder(reports.absolute() / same[index].name)


def _older_kind(folder: Path, command: Sequence[str], *, merged: bool) -> RunKind:
    """Return the kind of a run whose ``run.json`` has none: by the files of its folder, else by its command."""
    found = next((kind for name, kind in MARKERS.items() if (folder / name).exists()), None)
    if found is not None:
        return found
    verb = command[1] if len(command) > 1 else ""
    return RunKind.MERGED if merged else COMMANDS.get(verb, RunKind.RUN)


def reused_from(folder: RunFolder) -> dict[str, RunFolder]:
    """Return series → the latest nightly run that ran it, for each series that a nightly run planned and reused.

    A run of another kind reuses nothing. A series whose run folder is gone is left out.
    """
    begun = _begun(folder)
    missing = {one["line"] for one in begun.get("planned", ())} - _series(folder)
    found: dict[str, RunFolder] = {}
    visited = {folder.path.name}
    while missing and begun.get("previous") and begun["previous"] not in visited:
        visited.add(begun["previous"])
        earlier = RunFolder(folder.path.parent / begun["previous"])
        if not earlier.record_file.exists():
            break
        there = missing & _series(earlier)
        found |= dict.fromkeys(sorted(there), earlier)
        missing, begun = missing - there, _begun(earlier)

    return found


def _series(folder: RunFolder) -> set[str]:
    record = folder.read_record()
    return set(series_names(record.cells, record.name).values())


def _begun(folder: RunFolder) -> dict[str, Any]:
    path = folder.path / NIGHT
    return dict(json.loads(path.read_bytes())) if path.exists() else {}
